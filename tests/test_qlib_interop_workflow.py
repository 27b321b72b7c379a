"""load_workflow: the settings that qlib publishes, and those that nobody should."""

from __future__ import annotations

import copy
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skattn import make_model
from skattn.model_selection import DateSplit
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    CrossSectionalScaler,
    CrossSectionalTarget,
    RobustZScore,
    RollingWindow,
    SequenceReshaper,
    make_label,
)
from skattn.qlib import load_workflow, read_provider

LABEL = "Ref($close, -2) / Ref($close, -1) - 1"
SELECTED = list(Alpha158.SELECTED20)
HANDLER = "task.dataset.kwargs.handler.kwargs"
MODEL = "task.model.kwargs"

# What the workflows under qlib's examples/benchmarks have in task.model.kwargs.
RNN = {"hidden_size": 64, "num_layers": 2, "dropout": 0.0, "n_epochs": 200, "metric": "loss"}
RNN |= {"loss": "mse", "GPU": 0}
OF_360 = {**RNN, "d_feat": 6, "lr": 1e-3, "early_stop": 20, "batch_size": 800}
OF_158 = {**RNN, "d_feat": 20, "lr": 1e-3, "early_stop": 10, "batch_size": 800, "n_jobs": 20}
SFM = {"d_feat": 6, "hidden_size": 64, "output_dim": 32, "freq_dim": 25, "dropout_W": 0.5}
SFM |= {"dropout_U": 0.5, "n_epochs": 20, "lr": 1e-3, "batch_size": 1600, "early_stop": 20}
SFM |= {"eval_steps": 5, "loss": "mse", "optimizer": "adam", "GPU": 0}
HIST = {**OF_360, "dropout": 0, "lr": 1e-4, "metric": "ic", "base_model": "LSTM"}
HIST.pop("batch_size")
PUBLISHED = {
    "ALSTM-158": ("ALSTM", "alstm_ts", {**OF_158, "rnn_type": "GRU"}),
    "ALSTM-360": ("ALSTM", "alstm", {**OF_360, "rnn_type": "LSTM"}),
    "GRU-158": ("GRU", "gru_ts", {**OF_158, "lr": 2e-4}),
    "GRU-360": ("GRU", "gru", OF_360),
    "HIST-360": ("HIST", "hist", HIST),
    "LSTM-158": ("LSTM", "lstm_ts", OF_158),
    "LSTM-360": ("LSTM", "lstm", OF_360),
    "SFM-360": ("SFM", "sfm", SFM),
    "Transformer-158": ("TransformerModel", "transformer_ts", {"seed": 0, "n_jobs": 20}),
    "Transformer-360": ("TransformerModel", "transformer", {"d_feat": 6, "seed": 0}),
}
# What they come to, as far as it is not what stands there.
EXPECTED = {
    "ALSTM-158": {"rnn": "gru", "n_iter_no_change": 10},
    "ALSTM-360": {"rnn": "gru", "weight_decay": 0.0},
    "GRU-158": {"lr": 2e-4, "n_iter_no_change": 10},
    "GRU-360": {"n_iter_no_change": 20, "batch_size": 800},
    "HIST-360": {"rnn": "lstm", "monitor": "valid_ic", "lr": 1e-4, "days_per_batch": 1},
    "LSTM-158": {"hidden_size": 64, "max_epochs": 200},
    "LSTM-360": {"monitor": "valid_loss", "optimizer": "adam", "device": "auto"},
    "SFM-360": {"dropout_W": 0.0, "output_dim": 32, "freq_dim": 25, "max_epochs": 20},
    "Transformer-158": {"batch_size": 8192, "lr": 1e-4, "random_state": 0, "weight_decay": 1e-3},
    "Transformer-360": {"batch_size": 2048, "max_epochs": 100, "n_iter_no_change": 5},
}


@pytest.fixture(scope="module")
def days(market):
    return market.ohlcv.index.get_level_values("datetime").unique()


@pytest.fixture(scope="module")
def provider(market, write_provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("provider")
    write_provider(market.ohlcv, folder)
    (folder / "instruments" / "csi300.txt").write_bytes(
        (folder / "instruments" / "all.txt").read_bytes()
    )
    return folder


@pytest.fixture
def config(days, provider):
    """Compose a workflow as qlib publishes them: of a model and one of two handlers."""

    def compose(name="GRU", module="gru", kwargs=OF_360, **handler_kwargs):
        series = module.endswith("_ts")
        choose = [processor("FilterCol", "feature", col_list=SELECTED)] if series else []
        segments = [[0, 99], [100, 129], [130, 159]]
        segments = [[days[i].date() for i in pair] for pair in segments]
        handler = {
            "start_time": days[0].date(),
            "end_time": days[-1].date(),
            "fit_start_time": days[0].date(),
            "fit_end_time": days[99].date(),
            "instruments": "csi300",
            "infer_processors": [
                *choose,
                processor("RobustZScoreNorm", "feature", clip_outlier=True),
                processor("Fillna", "feature"),
            ],
            "learn_processors": [{"class": "DropnaLabel"}, processor("CSRankNorm", "label")],
            "label": [LABEL],
            **handler_kwargs,
        }
        dataset = {
            "handler": {
                "class": "Alpha158" if series else "Alpha360",
                "module_path": "qlib.contrib.data.handler",
                "kwargs": handler,
            },
            "segments": dict(zip(("train", "valid", "test"), segments, strict=True)),
            **({"step_len": 20} if series else {}),
        }
        signal = {"model": "<MODEL>", "dataset": "<DATASET>"}
        record = {"class": "SignalRecord", "module_path": "qlib.workflow.record_temp"}
        return {
            "qlib_init": {"provider_uri": str(provider), "region": "cn"},
            "market": "csi300",
            "benchmark": "SH000300",
            "data_handler_config": handler,
            "port_analysis_config": {"backtest": {"account": 100000000, "benchmark": "SH000300"}},
            "task": {
                "model": {
                    "class": name,
                    "module_path": f"qlib.contrib.model.pytorch_{module}",
                    "kwargs": dict(kwargs),
                },
                "dataset": {
                    "class": "TSDatasetH" if series else "DatasetH",
                    "module_path": "qlib.data.dataset",
                    "kwargs": dataset,
                },
                "record": [{**record, "kwargs": signal}],
            },
        }

    return compose


def processor(name, group=None, **kwargs):
    groups = {} if group is None else {"fields_group": group}
    return {"class": name, "kwargs": {**groups, **kwargs}}


def leaves(value, path=""):
    """Every key that holds no mapping, by dotted path: an own reading of what a leaf is."""
    if isinstance(value, dict) and value:
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        parts = enumerate(value)
    else:
        return {path}
    return {leaf for key, part in parts for leaf in leaves(part, f"{path}.{key}".lstrip("."))}


def model_of(workflow):
    """The regressor inside the pipeline."""
    model = workflow.pipeline["model"]
    return getattr(model, "regressor", model)


def steps_of(workflow):
    return [type(step).__name__ for _, step in workflow.pipeline.steps[:-1]]


def edit(config, path, value):
    """Set one key by its dotted path; ``...`` takes it away."""
    config = copy.deepcopy(config)
    *parents, last = (int(key) if key.isdigit() else key for key in path.split("."))
    place = config
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return config


# --- what qlib publishes -----------------------------------------------------------------------


@pytest.fixture
def hist_files(market, tmp_path):
    """Concepts, their index, and a pretrained LSTM with qlib's names of weights."""
    sectors = pd.get_dummies(market.concepts)
    np.save(tmp_path / "stock2concept.npy", sectors.to_numpy())
    np.save(tmp_path / "stock_index.npy", {code: i for i, code in enumerate(sectors.index)})
    weights = make_model("lstm").build_module(60, 6).state_dict()
    torch.save(weights, tmp_path / "model_lstm_csi300.pkl")
    return {
        "model_path": str(tmp_path / "model_lstm_csi300.pkl"),
        "stock2concept": str(tmp_path / "stock2concept.npy"),
        "stock_index": str(tmp_path / "stock_index.npy"),
    }


@pytest.mark.parametrize("published", PUBLISHED)
def test_what_qlib_publishes_translates_and_fits(published, config, hist_files):
    name, module, kwargs = PUBLISHED[published]
    files = hist_files if name == "HIST" else {}
    settings = config(name, module, {**kwargs, **files})
    workflow = load_workflow(settings)

    regressor = model_of(workflow)
    parameters = regressor.get_params()
    assert {key: parameters[key] for key in EXPECTED[published]} == EXPECTED[published]
    assert parameters["clip_value"] == 3.0
    assert isinstance(workflow.pipeline["model"], CrossSectionalTarget)
    series = module.endswith("_ts")
    assert steps_of(workflow) == (
        ["Alpha158", "RobustZScore", "RollingWindow"] if series else ["Alpha360", "RobustZScore"]
    )
    told = set(workflow.translated) | set(workflow.untranslated)
    assert told == leaves(settings)
    assert not set(workflow.translated) & set(workflow.untranslated)

    ohlcv = read_provider(**workflow.data)
    y = workflow.label(ohlcv)
    pd.testing.assert_series_equal(y, make_label(ohlcv, horizon=2, delay=1))
    rows = workflow.cv.segments(ohlcv, y)
    regressor.set_params(max_epochs=1)
    if name != "HIST":
        small = "dim_feedforward" if name == "TransformerModel" else "hidden_size"
        regressor.set_params(**{small: 8})
    pipeline = workflow.pipeline.fit(ohlcv.iloc[rows["train"]], y.iloc[rows["train"]])
    later = ohlcv.iloc[np.concatenate([rows["valid"], rows["test"]])]
    predicted = pipeline.predict(later)
    assert predicted.shape == (len(later),)
    assert np.isfinite(predicted).all()
    assert np.std(predicted) > 0
    fitted = pipeline["model"].regressor_
    assert fitted.n_iter_ == 1
    assert (fitted.n_steps_in_, fitted._n_fields) == ((20, 20) if series else (60, 6))
    if name == "HIST":
        assert "rnn.weight_hh_l1" in fitted.pretrained_report_.loaded


def test_steps_of_the_published_alpha158(config):
    workflow = load_workflow(config("GRU", "gru_ts", OF_158))
    alpha, scaler, windows = (step for _, step in workflow.pipeline.steps[:-1])
    assert sorted(alpha.columns) == sorted(SELECTED)
    # qlib filters columns where they are: they keep its order, not that of the list.
    whole = list(Alpha158(vwap="typical").fit(small_table()).get_feature_names_out())
    assert list(alpha.columns) == [name for name in whole if name in SELECTED]
    assert scaler.get_params() == RobustZScore(3.0, fill_value=0.0).get_params()
    assert windows.get_params() == RollingWindow(20, fill="ffill+bfill").get_params()
    assert workflow.data["fields"] == ["open", "high", "low", "close", "volume"]


def small_table():
    day = pd.to_datetime(["2024-01-01"])
    index = pd.MultiIndex.from_arrays([day, ["A"]], names=["datetime", "instrument"])
    return pd.DataFrame(1.0, index, ["open", "high", "low", "close", "volume"])


def test_what_is_not_translated_has_its_reason(config):
    workflow = load_workflow(config("ALSTM", "alstm_ts", {**OF_158, "rnn_type": "LSTM", "x": 1}))
    untranslated = workflow.untranslated
    for key, reason in {
        f"{MODEL}.rnn_type": "GRU whatever it says",
        f"{MODEL}.n_jobs": "batches",
        f"{MODEL}.x": "no such setting and ignores it",
        "qlib_init.region": "how qlib runs",
        "port_analysis_config.backtest.account": "backtest",
        "task.record.0.class": "after training",
        "market": "where task refers to it",
        "data_handler_config.label": "where task refers to it",
    }.items():
        assert reason in untranslated[key]
    assert workflow.translated[f"{MODEL}.lr"] == "lr=0.001"
    assert not any(key.startswith(HANDLER) for key in untranslated)


def test_qlibs_defaults_hold_where_the_workflow_is_silent(config):
    settings = config("SFM", "sfm", {})
    regressor = model_of(load_workflow(settings))
    assert (regressor.optimizer, regressor.output_dim, regressor.freq_dim) == ("sgd", 1, 10)
    assert regressor.batch_size == 2000
    settings = edit(settings, f"{HANDLER}.infer_processors", ...)
    settings = edit(settings, f"{HANDLER}.learn_processors", ...)
    workflow = load_workflow(settings)
    assert steps_of(workflow) == ["Alpha360", "StandardScaler", "SimpleImputer", "SequenceReshaper"]
    assert workflow.pipeline["model"].method == "zscore"
    default = f"{HANDLER}.infer_processors (qlib's default).2.kwargs.fields_group"
    assert "unlabelled" in workflow.untranslated[default]
    settings = edit(settings, "qlib_init", ...)
    assert load_workflow(settings).data["uri"] == "~/.qlib/qlib_data/cn_data"


def test_the_workflow_is_left_as_it_was(config):
    settings = config()
    before = copy.deepcopy(settings)
    load_workflow(settings)
    assert settings == before


def test_the_pipeline_can_be_cloned_and_searched(config):
    pipeline = load_workflow(config()).pipeline
    copied = clone(pipeline).set_params(model__regressor__hidden_size=7)
    assert isinstance(copied, Pipeline)
    assert copied["model"].regressor.hidden_size == 7
    assert pipeline["model"].regressor.hidden_size == 64


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "horizon", "delay", "price"),
    [
        (LABEL, 2, 1, "close"),
        ("Ref($close,-5)/Ref($close,-1)-1", 5, 1, "close"),
        ("Ref($close, -1) / $close - 1", 1, 0, "close"),
        ("Ref($vwap, -11)/Ref($vwap, -1) - 1", 11, 1, "vwap"),
    ],
)
@pytest.mark.parametrize("form", [str, lambda e: [e], lambda e: [[e], ["LABEL0"]]])
def test_labels(config, provider, expression, horizon, delay, price, form):
    workflow = load_workflow(config(label=form(expression)))
    ohlcv = read_provider(provider)
    expected = make_label(ohlcv, horizon, delay, price=price)
    pd.testing.assert_series_equal(workflow.label(ohlcv), expected)


@pytest.mark.parametrize(
    "expression",
    [
        "Ref($close, -1) / Ref($close, -2) - 1",
        "Ref($close, -1) / Ref($close, -1) - 1",
        "Ref($close, 2) / Ref($close, 1) - 1",
        "Ref($close, -2) / Ref($open, -1) - 1",
        "Ref($close, -2) / Ref($close, -1)",
        "Log($close)",
        "Ref($close, -1000000000) / Ref($close, -1) - 1",
        "",
    ],
)
def test_labels_that_are_none(config, expression):
    with pytest.raises(ValueError, match=rf"{HANDLER}\.label must be a return such as"):
        load_workflow(config(label=[expression]))


@pytest.mark.parametrize("label", [[LABEL, LABEL], [[LABEL, LABEL], ["A", "B"]]])
def test_two_labels(config, label):
    with pytest.raises(ValueError, match=r"\.label must be one label"):
        load_workflow(config(label=label))


def test_alpha158_by_vwap(config):
    settings = config("GRU", "gru_ts", OF_158)
    settings = edit(settings, "task.dataset.kwargs.handler.class", "Alpha158vwap")
    workflow = load_workflow(edit(settings, f"{HANDLER}.label", ...))
    assert workflow.label.keywords == {"horizon": 2, "delay": 1, "price": "vwap"}
    assert "vwap" in workflow.data["fields"]


@pytest.mark.parametrize(
    ("processors", "steps", "told"),
    [
        ([], ["Alpha360"], {}),
        ([processor("RobustZScoreNorm", "feature")], ["Alpha360", "RobustZScore"], {}),
        (
            [processor("ProcessInf"), processor("ZScoreNorm", "feature")],
            ["Alpha360", "StandardScaler", "SequenceReshaper"],
            {},
        ),
        (
            [processor("Fillna", "feature", fill_value=2), processor("MinMaxNorm", "feature")],
            ["Alpha360", "SimpleImputer", "MinMaxScaler", "SequenceReshaper"],
            {},
        ),
        (
            [processor("CSZScoreNorm", ["feature"], method="robust")],
            ["Alpha360", "CrossSectionalScaler", "SequenceReshaper"],
            {},
        ),
        (
            [processor("CSRankNorm", "feature"), processor("Fillna", "feature")],
            ["Alpha360", "CrossSectionalScaler", "SimpleImputer", "SequenceReshaper"],
            {},
        ),
        ([processor("TanhProcess")], ["Alpha360"], {"0.class": "FunctionTransformer"}),
        ([processor("CSZFillna", "feature")], ["Alpha360"], {"0.class": "mean of the day"}),
        ([processor("HashStockFormat")], ["Alpha360"], {"0.class": "in memory"}),
        ([processor("DropnaProcessor", "feature")], ["Alpha360"], {"0.class": "drop rows"}),
        ([processor("Mine")], ["Alpha360"], {"0.class": "no counterpart of Mine"}),
        (
            [{**processor("ZScoreNorm", "feature"), "module_path": "mine.processors"}],
            ["Alpha360"],
            {"0.class": "of one's own", "0.kwargs.fields_group": "own", "0.module_path": "own"},
        ),
        (
            [processor("FilterCol", "feature", col_list=["CLOSE0"])],
            ["Alpha360"],
            {"0.class": "all its columns", "0.kwargs.col_list": "all its columns"},
        ),
        (
            [processor("RobustZScoreNorm")],
            ["Alpha360", "RobustZScore"],
            {"0.kwargs.fields_group": "label: the label is scaled within its day, or not at all"},
        ),
    ],
    ids=range(14),
)
def test_processors_of_alpha360(config, processors, steps, told):
    settings = config(infer_processors=processors)
    workflow = load_workflow(settings)
    assert steps_of(workflow) == steps
    home = f"{HANDLER}.infer_processors."
    found = {k.removeprefix(home): v for k, v in workflow.untranslated.items() if home in k}
    for key, reason in told.items():
        assert reason in found[key]
    assert bool(found) == bool(told)
    assert leaves(settings) <= set(workflow.translated) | set(workflow.untranslated)


def test_processors_compute_what_they_say(config, provider):
    """The table steps, put together by hand."""
    processors = [
        processor("ZScoreNorm", "feature"),
        processor("Fillna", "feature", fill_value=0.5),
        processor("MinMaxNorm", "feature"),
    ]
    workflow = load_workflow(config(infer_processors=processors))
    ohlcv = read_provider(provider)
    table = Alpha360(layout="columns").fit_transform(ohlcv)
    scaled = np.nan_to_num(StandardScaler().fit_transform(table), nan=0.5)
    scaled = MinMaxScaler().fit_transform(scaled)
    windows = np.asarray(workflow.pipeline[:-1].fit_transform(ohlcv))
    np.testing.assert_allclose(
        windows.transpose(0, 2, 1).reshape(len(windows), -1), scaled, atol=1e-6
    )


def test_processors_of_one_class_are_several_steps(config, provider):
    processors = [
        processor("Fillna", "feature"),
        processor("CSZScoreNorm", "feature"),
        processor("CSRankNorm", "feature"),
        processor("Fillna", "feature", fill_value=0.5),
    ]
    pipeline = load_workflow(config(infer_processors=processors)).pipeline
    assert list(pipeline.named_steps) == [
        "alpha360",
        "simpleimputer-1",
        "crosssectionalscaler-1",
        "crosssectionalscaler-2",
        "simpleimputer-2",
        "sequencereshaper",
        "model",
    ]
    ohlcv = read_provider(provider)
    pipeline.set_params(model__regressor__max_epochs=1, model__regressor__hidden_size=4)
    predicted = pipeline.fit(ohlcv, make_label(ohlcv)).predict(ohlcv)
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize(
    ("processors", "method", "told"),
    [
        ([{"class": "DropnaLabel"}], None, {}),
        ([processor("CSZScoreNorm", "label")], "zscore", {}),
        ([processor("CSZScoreNorm", "label", method="robust")], "robust", {}),
        ([processor("DropnaProcessor", "label"), processor("CSRankNorm", "label")], "rank", {}),
        (
            [processor("CSRankNorm", "label"), processor("CSZScoreNorm", "label")],
            "rank",
            {"1.class": "scaled already"},
        ),
        ([processor("CSRankNorm")], "rank", {"0.kwargs.fields_group": "in training alone"}),
        ([processor("ZScoreNorm", "label")], None, {"0.class": "within its day, or not at all"}),
        ([processor("Fillna", "label")], None, {"0.class": "leaves such rows unlabelled"}),
        ([processor("RobustZScoreNorm", "feature")], None, {"0.class": "in training alone"}),
    ],
    ids=range(9),
)
def test_processors_of_the_label(config, processors, method, told):
    workflow = load_workflow(config(learn_processors=processors))
    model = workflow.pipeline["model"]
    assert getattr(model, "method", None) == method
    home = f"{HANDLER}.learn_processors."
    found = {k.removeprefix(home): v for k, v in workflow.untranslated.items() if home in k}
    for key, reason in told.items():
        assert reason in found[key]
    assert bool(found) == bool(told)


def test_columns_may_be_dropped(config):
    drop = [processor("DropCol", col_list=[c for c in SELECTED if c != "KLEN"])]
    settings = config("GRU", "gru_ts", {**OF_158, "d_feat": 138 + 1}, infer_processors=drop)
    workflow = load_workflow(settings)
    assert "KLEN" in workflow.pipeline[0].columns
    assert len(workflow.pipeline[0].columns) == 139
    assert workflow.data["fields"][-1] == "vwap"


@pytest.mark.parametrize(
    ("d_feat", "shape", "steps"),
    [
        (20, (1, 20), ["RollingWindow"]),
        (4, (5, 4), ["SequenceReshaper"]),
        (1, (20, 1), ["SequenceReshaper"]),
    ],
)
def test_alpha158_without_windows(config, provider, d_feat, shape, steps):
    """DatasetH: the columns of a row are d_feat features of so many steps, by position."""
    settings = config("GRU", "gru_ts", {**OF_158, "d_feat": d_feat})
    settings = edit(settings, "task.dataset.class", "DatasetH")
    settings = edit(settings, "task.dataset.kwargs.step_len", ...)
    settings = edit(settings, "task.model.module_path", "qlib.contrib.model.pytorch_gru")
    workflow = load_workflow(settings)
    assert steps_of(workflow) == ["Alpha158", "RobustZScore", *steps]
    ohlcv = read_provider(provider)
    windows = workflow.pipeline[:-1].fit_transform(ohlcv)
    pd.testing.assert_index_equal(windows.index, ohlcv.index)
    flat = np.asarray(workflow.pipeline[:2].fit_transform(ohlcv))
    expected = flat.reshape(len(flat), d_feat, -1).transpose(0, 2, 1)
    assert windows.shape[1:] == shape
    np.testing.assert_array_equal(np.asarray(windows), expected)
    pipeline = workflow.pipeline.set_params(model__regressor__max_epochs=1)
    y = workflow.label(ohlcv)
    assert np.isfinite(pipeline.fit(ohlcv, y).predict(ohlcv)).all()


def test_alpha360_in_windows_of_rows(config):
    settings = config("GRU", "gru_ts", {**OF_158, "d_feat": 360})
    settings = edit(settings, "task.dataset.kwargs.handler.class", "Alpha360")
    settings = edit(settings, f"{HANDLER}.infer_processors", [processor("Fillna", "feature")])
    workflow = load_workflow(settings)
    assert steps_of(workflow) == ["Alpha360", "SimpleImputer", "RollingWindow"]
    assert workflow.pipeline[0].layout == "columns"


def test_split_and_days_of_the_fit(config, days):
    settings = config()
    workflow = load_workflow(settings)
    assert isinstance(workflow.cv, DateSplit)
    assert workflow.cv.train == (days[0], days[99])
    assert workflow.cv.test == (days[130], days[159])
    assert workflow.data["start"] == days[0]
    later = edit(settings, f"{HANDLER}.fit_end_time", "2020-01-31")
    reason = load_workflow(later).untranslated[f"{HANDLER}.fit_end_time"]
    assert "processors learn from the rows that fit gets" in reason
    assert str(days[99].date()) in reason
    more = edit(settings, "task.dataset.kwargs.segments.live", ["2030-01-01", None])
    assert "beyond" in load_workflow(more).untranslated["task.dataset.kwargs.segments.live"]


def test_a_year_or_month_is_all_its_days(config):
    settings = config(start_time="2010", end_time="2010", fit_start_time="2010")
    segments = {"train": ["2010", "2010-04"], "valid": ["2010-05", "2010-05"]}
    settings = edit(settings, "task.dataset.kwargs.segments", segments)
    workflow = load_workflow(settings)
    assert workflow.cv.train == (pd.Timestamp("2010-01-01"), pd.Timestamp("2010-04-30"))
    assert workflow.cv.valid == (pd.Timestamp("2010-05-01"), pd.Timestamp("2010-05-31"))
    assert workflow.data["start"] == pd.Timestamp("2010-01-01")
    assert workflow.data["end"] == pd.Timestamp("2010-12-31")
    assert f"{HANDLER}.fit_start_time" in workflow.translated


def test_the_models_own_holdout_is_the_valid_segment(config, provider):
    workflow = load_workflow(config())
    regressor = model_of(workflow)
    ohlcv = read_provider(provider)
    y = workflow.label(ohlcv)
    rows = workflow.cv.segments(ohlcv, y)
    n_days = [len(ohlcv.index[rows[name]].get_level_values(0).unique()) for name in rows]
    share = 30 / (100 + 30)
    assert regressor.validation_fraction == pytest.approx(share, abs=0.01)
    assert n_days[:2] == [98, 28], "without the purged days"
    settings = edit(config(), "task.dataset.kwargs.segments.valid", ...)
    assert model_of(load_workflow(settings)).early_stopping is False


def test_the_valid_segment_by_name(config, provider):
    """As the notes say: nothing is learned from it, and the model watches it."""
    workflow = load_workflow(config())
    ohlcv = read_provider(provider)
    y = workflow.label(ohlcv)
    rows = workflow.cv.segments(ohlcv, y)
    train, valid = rows["train"], rows["valid"]
    pipeline = workflow.pipeline.set_params(
        model__regressor__max_epochs=2,
        model__regressor__random_state=0,
        model__regressor__hidden_size=4,
    )
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline.set_params(transform_input=["X_val"])
        pipeline.fit(ohlcv.iloc[train], y.iloc[train], X_val=ohlcv.iloc[valid], y_val=y.iloc[valid])
    by_name = pipeline["model"].regressor_

    scaler = RobustZScore()
    alpha = Alpha360().fit(ohlcv.iloc[train])
    windows = scaler.fit_transform(alpha.transform(ohlcv.iloc[train]))
    by_hand = CrossSectionalTarget(clone(model_of(workflow))).fit(
        windows,
        y.iloc[train],
        X_val=scaler.transform(alpha.transform(ohlcv.iloc[valid])),
        y_val=y.iloc[valid],
    )
    pd.testing.assert_frame_equal(
        by_name.history_.drop(columns="dur"),
        by_hand.regressor_.history_.drop(columns="dur"),
    )
    assert "valid_loss" in by_name.history_


def test_rows_before_a_stock_joins_are_context(config, provider, days):
    """As the notes say: read more, and leave what does not belong unlabelled."""
    (provider / "instruments" / "joined.txt").write_text(
        f"{read_provider(provider).index[0][1]}\t{days[80]:%Y-%m-%d}\t2099-01-01\n"
    )
    workflow = load_workflow(config(instruments="joined", infer_processors=[]))
    members = read_provider(**workflow.data).index
    codes = list(members.unique("instrument"))
    ohlcv = read_provider(provider, codes, workflow.data["fields"])
    y = workflow.label(ohlcv).where(ohlcv.index.isin(members))
    assert len(ohlcv) == len(members) + 80
    assert y.attrs == {"horizon": 2, "delay": 1}
    assert y[~ohlcv.index.isin(members)].isna().all()
    narrow, wide = (
        np.asarray(workflow.pipeline[:-1].fit_transform(table))[-80:, :, 0]
        for table in (ohlcv.loc[members], ohlcv)
    )
    first = np.isnan(narrow[0]).sum(), np.isnan(wide[0]).sum()
    assert first[0] == 59
    assert first[1] < 10


# --- files ---------------------------------------------------------------------------------------

YAML = """
qlib_init:
    provider_uri:
        day: "~/somewhere"
market: &market csi300
data_handler_config: &data_handler_config
    start_time: 2008-01-01
    instruments: *market
    label: ["Ref($close, -2) / Ref($close, -1) - 1"]
task:
    model:
        class: LSTM
        module_path: qlib.contrib.model.pytorch_lstm
        kwargs: {lr: 5e-4, GPU: -1, metric: ""}
    dataset:
        class: DatasetH
        module_path: qlib.data.dataset
        kwargs:
            handler:
                class: Alpha360
                module_path: qlib.contrib.data.handler
                kwargs: *data_handler_config
            segments:
                train: [2008-01-01, 2014-12-31]
                test: [2017-01-01, null]
"""


@pytest.fixture
def file(tmp_path):
    pytest.importorskip("yaml")

    def write(text):
        path = tmp_path / "workflow.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_file_with_anchors(file):
    workflow = load_workflow(file(YAML))
    regressor = model_of(workflow)
    assert (regressor.lr, regressor.device) == (5e-4, "cpu")
    assert workflow.data["uri"] == "~/somewhere"
    assert workflow.data["instruments"] == "csi300"
    assert workflow.data["start"] == pd.Timestamp("2008-01-01")
    assert workflow.cv.test == (pd.Timestamp("2017-01-01"), None)
    assert workflow.data == load_workflow(str(file(YAML))).data


def test_numbers_are_numbers_also_as_texts(config):
    """yaml.safe_load reads 1e-3 as a text."""
    assert model_of(load_workflow(config(kwargs={**OF_360, "lr": "1e-3"}))).lr == 1e-3


def test_files_of_hist_beside_the_workflow(file, hist_files, tmp_path):
    text = YAML.replace("LSTM", "HIST").replace("pytorch_lstm", "pytorch_hist")
    text = text.replace("kwargs: {lr", "kwargs: {model_path: model_lstm_csi300.pkl, lr")
    workflow = load_workflow(file(text.replace("lr: 5e-4", "base_model: LSTM")))
    assert model_of(workflow).pretrained == str(tmp_path / "model_lstm_csi300.pkl")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (("lr: 5e-4", "lr: {{ LR }}"), "line 14: .*jinja template"),
        (("lr: 5e-4", "lr: 1, lr: 2"), "the key 'lr' comes twice"),
        (("task:", "task: ["), "is no YAML"),
        (("lr: 5e-4", "lr: !!python/object/apply:os.system [true]"), "is no YAML.*python/object"),
        (("qlib_init:", "BASE_CONFIG_PATH: base.yaml\nqlib_init:"), "BASE_CONFIG_PATH"),
        (("class: LSTM", "class: &a [*a]"), "contains itself|must be a text|is no YAML"),
    ],
    ids=["jinja", "twice", "broken", "object", "base", "loop"],
)
def test_broken_files(file, change, match):
    text = YAML.replace(*change)
    assert text != YAML
    with pytest.raises((ValueError, TypeError), match=f"(?s){match}"):
        load_workflow(file(text))


def doubled(levels, first, level):
    """Aliases of aliases: what is written out doubles with each level."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{i}: &a{i} {level.replace('*', f'*a{i - 1}')}" for i in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("? [a]\n: b", "is no YAML.*unhashable key"),
        ("{[a]: b}", "is no YAML.*unhashable key"),
        (b"task: \xff\xfe", "is no text in UTF-8"),
        ("start: 2020-13-45", "is no YAML.*month must be in"),
        ("a: " + "9" * 6000, "is no YAML.*4300 digits"),
        ("a: !!timestamp x", "is no YAML"),
        ("a: " + "[" * 3000, "is no YAML.*recursion"),
        ("a: " + "[" * 60 + "]" * 60, "more than 50 levels deep"),
        (doubled(60, "[x, x]", "[*, *]"), "more than"),
        (doubled(18, "{x: 1}", "{p: *, q: *}"), "more than 10000 keys"),
        (doubled(18, "!!pairs [x: 1]", "!!pairs [p: *, q: *]"), "more than 10000 keys"),
        (doubled(60, "{x: 1}", "{<<: [*, *]}"), "merges make more than 10000 keys"),
    ],
    ids=[
        "key",
        "flow key",
        "bytes",
        "date",
        "digits",
        "timestamp",
        "open",
        "deep",
        "lists",
        "mappings",
        "pairs",
        "merges",
    ],
)
def test_files_that_are_hostile(file, content, match):
    path = file(content)
    with pytest.raises(ValueError, match=f"(?s)workflow.yaml.*{match}") as info:
        load_workflow(path)
    assert len(str(info.value)) < 1000


def test_a_mapping_with_very_many_keys(config):
    many = {"x": 1}
    for _ in range(18):
        many = {"p": many, "q": many}
    with pytest.raises(ValueError, match="mapping is no workflow: more than 10000 keys"):
        load_workflow(edit(config(), "market", many))


def test_a_merge_of_a_merge_names_no_key_twice(file):
    """Though what is deeper is read later: b is merged into a before a is read."""
    text = "b: &b {x: 0}\nd: {e: {f: &a {<<: *b, x: 1}}}\nc: {<<: *a}\n"
    assert load_workflow(file(text + YAML)).translated


def test_without_pyyaml_files_say_what_to_install(file, config, monkeypatch):
    path = file(YAML)
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r'pip install "skattn\[yaml\]"'):
        load_workflow(path)
    assert load_workflow(config()).pipeline


def test_files_that_hold_no_mapping(file, tmp_path):
    with pytest.raises(ValueError, match="must hold a mapping; got list"):
        load_workflow(file("[1]"))
    with pytest.raises(FileNotFoundError):
        load_workflow(tmp_path / "none.yaml")
    for path in ("", tmp_path):
        with pytest.raises(FileNotFoundError, match="is no file: load_workflow reads"):
            load_workflow(path)
    with pytest.raises(TypeError, match="path_or_dict"):
        load_workflow(3)


# --- what cannot be translated -------------------------------------------------------------------

BAD = {
    "no task": ("task", ..., ValueError, "task is missing; the workflow has qlib_init, market"),
    "no model": ("task.model", ..., ValueError, "task.model is missing; task has dataset, record"),
    "task text": ("task", "x", TypeError, "task must be a mapping; got 'x'"),
    "no class": ("task.model.class", ..., ValueError, "task.model.class is missing"),
    "class": ("task.model.class", "LGBModel", ValueError, r"'LGBModel' of .*It has: ALSTM of qlib"),
    "module": (
        "task.model.module_path",
        "qlib.contrib.model.pytorch_sfm_ts",
        ValueError,
        "'GRU' of 'qlib.contrib.model.pytorch_sfm_ts', which skattn does not have",
    ),
    "hidden text": (
        f"{MODEL}.hidden_size",
        "abc",
        TypeError,
        r"task.model.kwargs.hidden_size must be a whole number; got 'abc'",
    ),
    "hidden float": (f"{MODEL}.hidden_size", 6.5, TypeError, "hidden_size must be a whole"),
    "hidden bool": (f"{MODEL}.hidden_size", True, TypeError, "hidden_size must be a whole"),
    "hidden 0": (
        f"{MODEL}.hidden_size",
        0,
        ValueError,
        r"task.model.kwargs.hidden_size: .*must be an int in the range \[1, inf\)",
    ),
    "lr": (f"{MODEL}.lr", "fast", TypeError, "kwargs.lr must be a number; got 'fast'"),
    "lr 0": (f"{MODEL}.lr", 0, ValueError, r"kwargs.lr: .* must be a float in the range \(0"),
    "dropout": (f"{MODEL}.dropout", 1.5, ValueError, r"kwargs.dropout: .* \[0.0, 1.0\)"),
    "metric": (f"{MODEL}.metric", "ic", ValueError, r"metric must be one of \['', 'loss'\]"),
    "loss": (f"{MODEL}.loss", "mae", ValueError, r"loss must be one of \['mse'\]; got 'mae'"),
    "optimizer": (f"{MODEL}.optimizer", "lbfgs", ValueError, r"one of \['adam', 'gd'\]"),
    "GPU": (f"{MODEL}.GPU", "0", TypeError, "kwargs.GPU must be a whole number"),
    "d_feat": (f"{MODEL}.d_feat", 5, ValueError, "d_feat must be 6, the number of features"),
    "kwargs": (MODEL, [1], TypeError, "task.model.kwargs must be a mapping"),
    "dataset": ("task.dataset.class", "Mine", ValueError, r"skattn has \['DatasetH', 'TSDatasetH'"),
    "series": ("task.dataset.class", "TSDatasetH", ValueError, "pytorch_gru reads DatasetH"),
    "handler": (
        "task.dataset.kwargs.handler.class",
        "Alpha101",
        ValueError,
        r"handler.class is 'Alpha101' .*\['Alpha158', 'Alpha158vwap', 'Alpha360'",
    ),
    "pickled handler": (
        "task.dataset.kwargs.handler",
        "file:///a.pkl",
        TypeError,
        "handler must be a mapping",
    ),
    "freq": (f"{HANDLER}.freq", "1min", ValueError, "kwargs.freq must be 'day'; got '1min'"),
    "start": (f"{HANDLER}.start_time", "soon", TypeError, "start_time must be a day such as"),
    "start number": (f"{HANDLER}.start_time", 2008, TypeError, "start_time must be a day such as"),
    "order": (f"{HANDLER}.end_time", "1999-01-01", ValueError, "start_time is after .*end_time"),
    "instruments": (f"{HANDLER}.instruments", 300, TypeError, "instruments must be a list of text"),
    "processors": (f"{HANDLER}.infer_processors", "Fillna", TypeError, "a list of processors"),
    "processor": (f"{HANDLER}.infer_processors.0", "Fillna", TypeError, "0 must be a mapping with"),
    "group": (
        f"{HANDLER}.infer_processors.0.kwargs.fields_group",
        "featur",
        ValueError,
        r"0.kwargs.fields_group must be one or several of \['feature', 'label'\]; got 'featur'",
    ),
    "clip": (
        f"{HANDLER}.infer_processors.0.kwargs.clip_outlier",
        3,
        TypeError,
        "clip_outlier must be true or false",
    ),
    "overlap": (
        "task.dataset.kwargs.segments.valid",
        ["2000-01-01", "2001-01-01"],
        ValueError,
        r"segments.valid must begin after task.dataset.kwargs.segments.train ends",
    ),
    "backwards": (
        "task.dataset.kwargs.segments.test",
        ["2100-01-01", "2099-01-01"],
        ValueError,
        "segments.test ends before it begins",
    ),
    "pair": ("task.dataset.kwargs.segments.train", ["2000"], ValueError, "must be a pair of days"),
    "no train": (
        "task.dataset.kwargs.segments.train",
        ...,
        ValueError,
        "segments.train is missing",
    ),
    "day": (
        "task.dataset.kwargs.segments.train",
        ["x", None],
        TypeError,
        "segments.train must be a day such as",
    ),
    "uri": ("qlib_init.provider_uri", 3, ValueError, "provider_uri must be the path of a folder"),
}


@pytest.mark.parametrize("bad", BAD)
def test_errors_name_the_key_and_what_is_allowed(config, bad):
    path, value, error, match = BAD[bad]
    with pytest.raises(error, match=match):
        load_workflow(edit(config(), path, value))


def test_only_a_train_segment(config):
    settings = edit(config(), "task.dataset.kwargs.segments.valid", None)
    with pytest.raises(ValueError, match="segments must have valid or test besides train"):
        load_workflow(edit(settings, "task.dataset.kwargs.segments.test", None))


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (f"{HANDLER}.infer_processors.0.kwargs.col_list", ["KLEN", "XYZ"], "158 features: XYZ"),
        (f"{HANDLER}.infer_processors.0.kwargs.col_list", [], "leaves no feature"),
        (f"{HANDLER}.infer_processors.0.kwargs.col_list", ["KLEN"], "d_feat must be 1, the number"),
        ("task.dataset.kwargs.step_len", 0, "step_len must be at least 1"),
        ("task.dataset.class", "DatasetH", "pytorch_gru_ts reads TSDatasetH"),
    ],
)
def test_errors_of_alpha158(config, path, value, match):
    with pytest.raises(ValueError, match=match):
        load_workflow(edit(config("GRU", "gru_ts", OF_158), path, value))


@pytest.mark.parametrize("missing", ["model_path", "stock2concept", "stock_index"])
def test_files_of_hist_that_are_not_there(config, hist_files, missing):
    kwargs = {**HIST, **hist_files, missing: "nowhere.npy"}
    with pytest.raises(ValueError, match=rf"{missing} must be a file that exists.*'nowhere.npy'"):
        load_workflow(config("HIST", "hist", kwargs))
    if missing != "model_path":
        with pytest.raises(ValueError, match="go together; only one"):
            load_workflow(config("HIST", "hist", {**kwargs, missing: None}))


def test_settings_of_the_handler_without_counterpart(config):
    workflow = load_workflow(
        config(filter_pipe=[{"filter_type": "NameDFilter"}], process_type="independent", freq="day")
    )
    assert "filters" in workflow.untranslated[f"{HANDLER}.filter_pipe.0.filter_type"]
    assert "pipeline" in workflow.untranslated[f"{HANDLER}.process_type"]
    assert workflow.translated[f"{HANDLER}.freq"] == "day"


def test_a_scaler_within_the_day_is_in_the_pipeline(config):
    workflow = load_workflow(config(infer_processors=[processor("CSRankNorm", "feature")]))
    scaler, reshaper = workflow.pipeline[1], workflow.pipeline[2]
    assert isinstance(scaler, CrossSectionalScaler)
    assert scaler.method == "rank"
    assert isinstance(reshaper, SequenceReshaper)
