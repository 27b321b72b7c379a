"""load_workflow: the settings that qlib publishes, and what they come to."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import (
    HANDLER_KWARGS,
    HIST_KWARGS,
    KWARGS_OF_158,
    KWARGS_OF_360,
    MODEL_KWARGS,
    QLIB_LABEL,
    SELECTED20,
    edit_settings,
    keys_of_settings,
    model_of,
    qlib_processor,
    steps_of,
)
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skattn.compose import CrossSectionalTarget
from skattn.labels import make_label
from skattn.model_selection import DateSplit
from skattn.preprocessing import Alpha158, Alpha360, RobustZScore, RollingWindow
from skattn.qlib import load_workflow, read_provider

# Of the workflows under qlib's examples/benchmarks: task.model.class, .module_path, .kwargs.
SFM_KWARGS = {"d_feat": 6, "hidden_size": 64, "output_dim": 32, "freq_dim": 25, "dropout_W": 0.5}
SFM_KWARGS |= {"dropout_U": 0.5, "n_epochs": 20, "lr": 1e-3, "batch_size": 1600, "early_stop": 20}
SFM_KWARGS |= {"eval_steps": 5, "loss": "mse", "optimizer": "adam", "GPU": 0}
PUBLISHED = {
    "ALSTM-158": ("ALSTM", "alstm_ts", {**KWARGS_OF_158, "rnn_type": "GRU"}),
    "ALSTM-360": ("ALSTM", "alstm", {**KWARGS_OF_360, "rnn_type": "LSTM"}),
    "GRU-158": ("GRU", "gru_ts", {**KWARGS_OF_158, "lr": 2e-4}),
    "GRU-360": ("GRU", "gru", KWARGS_OF_360),
    "HIST-360": ("HIST", "hist", HIST_KWARGS),
    "LSTM-158": ("LSTM", "lstm_ts", KWARGS_OF_158),
    "LSTM-360": ("LSTM", "lstm", KWARGS_OF_360),
    "SFM-360": ("SFM", "sfm", SFM_KWARGS),
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
    assert told == keys_of_settings(settings)
    assert not set(workflow.translated) & set(workflow.untranslated)

    ohlcv = read_provider(**workflow.data)
    y = workflow.label(ohlcv)
    pd.testing.assert_series_equal(y, make_label(ohlcv))
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
    assert (fitted.n_steps_in_, fitted.n_features_in_) == ((20, 20) if series else (60, 6))
    if name == "HIST":
        assert "rnn.weight_hh_l1" in fitted.pretrained_report_.loaded


def test_steps_of_the_published_alpha158(config):
    workflow = load_workflow(config("GRU", "gru_ts", KWARGS_OF_158))
    alpha, scaler, windows = (step for _, step in workflow.pipeline.steps[:-1])
    assert sorted(alpha.columns) == sorted(SELECTED20)
    # qlib filters columns where they are: they keep its order, not that of the list.
    whole = list(Alpha158(vwap="typical").fit(small_table()).get_feature_names_out())
    assert list(alpha.columns) == [name for name in whole if name in SELECTED20]
    assert scaler.get_params() == RobustZScore(3.0, fill_value=0.0).get_params()
    assert windows.get_params() == RollingWindow(20, fill_method="ffill+bfill").get_params()
    assert workflow.data["fields"] == ["open", "high", "low", "close", "volume"]


def small_table():
    day = pd.to_datetime(["2024-01-01"])
    index = pd.MultiIndex.from_arrays([day, ["A"]], names=["datetime", "instrument"])
    return pd.DataFrame(1.0, index, ["open", "high", "low", "close", "volume"])


def test_what_is_not_translated_has_its_reason(config):
    workflow = load_workflow(
        config("ALSTM", "alstm_ts", {**KWARGS_OF_158, "rnn_type": "LSTM", "x": 1})
    )
    untranslated = workflow.untranslated
    for key, reason in {
        f"{MODEL_KWARGS}.rnn_type": "GRU whatever it says",
        f"{MODEL_KWARGS}.n_jobs": "batches",
        f"{MODEL_KWARGS}.x": "no such setting and ignores it",
        "qlib_init.region": "how qlib runs",
        "port_analysis_config.backtest.account": "backtest",
        "task.record.0.class": "after training",
        "market": "where task refers to it",
        "data_handler_config.label": "where task refers to it",
    }.items():
        assert reason in untranslated[key]
    assert workflow.translated[f"{MODEL_KWARGS}.lr"] == "lr=0.001"
    assert not any(key.startswith(HANDLER_KWARGS) for key in untranslated)


def test_settings_of_the_handler_without_counterpart(config):
    workflow = load_workflow(
        config(filter_pipe=[{"filter_type": "NameDFilter"}], process_type="independent", freq="day")
    )
    assert "filters" in workflow.untranslated[f"{HANDLER_KWARGS}.filter_pipe.0.filter_type"]
    assert "pipeline" in workflow.untranslated[f"{HANDLER_KWARGS}.process_type"]
    assert workflow.translated[f"{HANDLER_KWARGS}.freq"] == "day"


def test_qlibs_defaults_hold_where_the_workflow_is_silent(config):
    settings = config("SFM", "sfm", {})
    regressor = model_of(load_workflow(settings))
    assert (regressor.optimizer, regressor.output_dim, regressor.freq_dim) == ("sgd", 1, 10)
    assert regressor.batch_size == 2000
    settings = edit_settings(settings, f"{HANDLER_KWARGS}.infer_processors", ...)
    settings = edit_settings(settings, f"{HANDLER_KWARGS}.learn_processors", ...)
    workflow = load_workflow(settings)
    assert steps_of(workflow) == ["Alpha360", "StandardScaler", "SimpleImputer", "SequenceReshaper"]
    assert workflow.pipeline["model"].method == "zscore"
    default = f"{HANDLER_KWARGS}.infer_processors (qlib's default).2.kwargs.fields_group"
    assert "unlabelled" in workflow.untranslated[default]
    settings = edit_settings(settings, "qlib_init", ...)
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


@pytest.mark.parametrize(
    ("expression", "horizon", "delay", "price"),
    [
        (QLIB_LABEL, 1, 1, "close"),
        ("Ref($close,-5)/Ref($close,-1)-1", 4, 1, "close"),
        ("Ref($close, -1) / $close - 1", 1, 0, "close"),
        ("Ref($vwap, -11)/Ref($vwap, -1) - 1", 10, 1, "vwap"),
    ],
)
@pytest.mark.parametrize("form", [str, lambda e: [e], lambda e: [[e], ["LABEL0"]]])
def test_labels(config, provider, expression, horizon, delay, price, form):
    workflow = load_workflow(config(label=form(expression)))
    ohlcv = read_provider(provider)
    expected = make_label(ohlcv, horizon, delay, price=price)
    pd.testing.assert_series_equal(workflow.label(ohlcv), expected)


def test_alpha158_by_vwap(config):
    settings = config("GRU", "gru_ts", KWARGS_OF_158)
    settings = edit_settings(settings, "task.dataset.kwargs.handler.class", "Alpha158vwap")
    workflow = load_workflow(edit_settings(settings, f"{HANDLER_KWARGS}.label", ...))
    assert workflow.label.keywords == {"horizon": 1, "delay": 1, "price": "vwap"}
    assert "vwap" in workflow.data["fields"]


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
    settings = config("GRU", "gru_ts", {**KWARGS_OF_158, "d_feat": d_feat})
    settings = edit_settings(settings, "task.dataset.class", "DatasetH")
    settings = edit_settings(settings, "task.dataset.kwargs.step_len", ...)
    settings = edit_settings(settings, "task.model.module_path", "qlib.contrib.model.pytorch_gru")
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
    settings = config("GRU", "gru_ts", {**KWARGS_OF_158, "d_feat": 360})
    settings = edit_settings(settings, "task.dataset.kwargs.handler.class", "Alpha360")
    settings = edit_settings(
        settings, f"{HANDLER_KWARGS}.infer_processors", [qlib_processor("Fillna", "feature")]
    )
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
    later = edit_settings(settings, f"{HANDLER_KWARGS}.fit_end_time", "2020-01-31")
    reason = load_workflow(later).untranslated[f"{HANDLER_KWARGS}.fit_end_time"]
    assert "processors learn from the rows that fit gets" in reason
    assert str(days[99].date()) in reason
    more = edit_settings(settings, "task.dataset.kwargs.segments.live", ["2030-01-01", None])
    assert "beyond" in load_workflow(more).untranslated["task.dataset.kwargs.segments.live"]


def test_a_year_or_month_is_all_its_days(config):
    settings = config(start_time="2010", end_time="2010", fit_start_time="2010")
    segments = {"train": ["2010", "2010-04"], "valid": ["2010-05", "2010-05"]}
    settings = edit_settings(settings, "task.dataset.kwargs.segments", segments)
    workflow = load_workflow(settings)
    assert workflow.cv.train == (pd.Timestamp("2010-01-01"), pd.Timestamp("2010-04-30"))
    assert workflow.cv.valid == (pd.Timestamp("2010-05-01"), pd.Timestamp("2010-05-31"))
    assert workflow.data["start"] == pd.Timestamp("2010-01-01")
    assert workflow.data["end"] == pd.Timestamp("2010-12-31")
    assert f"{HANDLER_KWARGS}.fit_start_time" in workflow.translated


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
    settings = edit_settings(config(), "task.dataset.kwargs.segments.valid", ...)
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
    assert y.attrs == {"horizon": 1, "delay": 1, "reach": 2}
    assert y[~ohlcv.index.isin(members)].isna().all()
    narrow, wide = (
        np.asarray(workflow.pipeline[:-1].fit_transform(table))[-80:, :, 0]
        for table in (ohlcv.loc[members], ohlcv)
    )
    first = np.isnan(narrow[0]).sum(), np.isnan(wide[0]).sum()
    assert first[0] == 59
    assert first[1] < 10


def test_numbers_are_numbers_also_as_texts(config):
    """yaml.safe_load reads 1e-3 as a text."""
    assert model_of(load_workflow(config(kwargs={**KWARGS_OF_360, "lr": "1e-3"}))).lr == 1e-3
