"""load_workflow against qlib: its signatures, and what its handlers make of a provider folder."""

from __future__ import annotations

import importlib
import inspect
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import SELECTED20, flat_windows, qlib_processor
from numpy.testing import assert_allclose

from skattn.preprocessing import CrossSectionalScaler
from skattn.qlib import load_workflow, read_provider

pytestmark = pytest.mark.qlib

MODELS = {
    "alstm": "ALSTM",
    "alstm_ts": "ALSTM",
    "gru": "GRU",
    "gru_ts": "GRU",
    "lstm": "LSTM",
    "lstm_ts": "LSTM",
    "transformer": "TransformerModel",
    "transformer_ts": "TransformerModel",
    "sfm": "SFM",
    "hist": "HIST",
}
# qlib's names of settings that are numbers, and skattn's.
NUMBERS = {
    "n_epochs": "max_epochs",
    "lr": "lr",
    "early_stop": "n_iter_no_change",
    "batch_size": "batch_size",
    "reg": "weight_decay",
    "hidden_size": "hidden_size",
    "num_layers": "num_layers",
    "d_model": "d_model",
    "nhead": "nhead",
    "dropout": "dropout",
    "output_dim": "output_dim",
    "freq_dim": "freq_dim",
    "seed": "random_state",
    "loss": "loss",
}
N_TRAIN = 80


@pytest.fixture(scope="module")
def provider(ohlcv, write_provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("provider")
    write_provider(ohlcv, folder)
    return folder


@pytest.fixture(scope="module")
def calendar(ohlcv):
    return ohlcv.index.get_level_values("datetime").unique().sort_values()


@pytest.fixture
def config(provider, calendar):
    def compose(module, kwargs, handler, **handler_kwargs):
        first, cut, last = (f"{calendar[i]:%Y-%m-%d}" for i in (0, N_TRAIN - 1, -1))
        after = f"{calendar[N_TRAIN]:%Y-%m-%d}"
        series = module.endswith("_ts")
        return {
            "qlib_init": {"provider_uri": str(provider)},
            "task": {
                "model": {
                    "class": MODELS[module],
                    "module_path": f"qlib.contrib.model.pytorch_{module}",
                    "kwargs": kwargs,
                },
                "dataset": {
                    "class": "TSDatasetH" if series else "DatasetH",
                    "module_path": "qlib.data.dataset",
                    "kwargs": {
                        "handler": {
                            "class": handler,
                            "module_path": "qlib.contrib.data.handler",
                            "kwargs": {
                                "instruments": "all",
                                "start_time": first,
                                "end_time": last,
                                "fit_start_time": first,
                                "fit_end_time": cut,
                                **handler_kwargs,
                            },
                        },
                        "segments": {"train": [first, cut], "test": [after, last]},
                    },
                },
            },
        }

    return compose


@pytest.mark.parametrize("module", MODELS)
def test_defaults_are_those_of_qlibs_signatures(config, module):
    theirs = importlib.import_module(f"qlib.contrib.model.pytorch_{module}")
    signature = inspect.signature(getattr(theirs, MODELS[module]).__init__).parameters
    d_feat = signature["d_feat"].default
    columns = [qlib_processor("FilterCol", col_list=SELECTED20[:d_feat])]
    is_360 = d_feat == 6 and not module.endswith("_ts")
    settings = config(
        module,
        {},
        "Alpha360" if is_360 else "Alpha158",
        **({} if is_360 else {"infer_processors": columns}),
    )
    model = load_workflow(settings).pipeline["model"].regressor
    known = {qlibs: ours for qlibs, ours in NUMBERS.items() if qlibs in signature}
    assert len(known) >= 8
    for qlibs, ours in known.items():
        assert getattr(model, ours) == signature[qlibs].default, qlibs
    optimizers = {"adam": "adam", "gd": "sgd"}
    assert model.optimizer == optimizers[signature["optimizer"].default]
    if "base_model" in signature:
        assert model.rnn == signature["base_model"].default.lower()


def test_lightgbms_defaults_are_those_of_qlibs_signature(config):
    pytest.importorskip("lightgbm")
    theirs = importlib.import_module("qlib.contrib.model.gbdt").LGBModel
    signature = inspect.signature(theirs.__init__).parameters
    workflow = load_workflow(of_lightgbm(config("gru", {}, "Alpha158"), {}))
    assert workflow.model.objective == signature["loss"].default
    assert workflow.model.n_estimators == signature["num_boost_round"].default
    reason = workflow.untranslated["task.model.kwargs.early_stopping_rounds"]
    assert f"early_stopping_round={signature['early_stopping_rounds'].default})" in reason


def of_lightgbm(settings, kwargs):
    settings["task"]["model"] = {
        "class": "LGBModel",
        "module_path": "qlib.contrib.model.gbdt",
        "kwargs": kwargs,
    }
    return settings


@pytest.fixture(scope="module")
def handlers(provider, open_provider):
    open_provider(provider)
    return pytest.importorskip("qlib.contrib.data.handler")


NO_LABEL = {"class": "DropnaLabel"}
PROCESSORS = {
    "published": (
        [
            qlib_processor("RobustZScoreNorm", "feature", clip_outlier=True),
            qlib_processor("Fillna", "feature"),
        ],
        [NO_LABEL, qlib_processor("CSRankNorm", "label")],
    ),
    "unclipped": (
        [qlib_processor("RobustZScoreNorm", "feature", clip_outlier=False)],
        [NO_LABEL, qlib_processor("CSZScoreNorm", "label")],
    ),
    "z-score": (
        [
            qlib_processor("ZScoreNorm", "feature"),
            qlib_processor("Fillna", "feature", fill_value=0.5),
        ],
        [NO_LABEL],
    ),
    "min-max": ([qlib_processor("MinMaxNorm", "feature")], [NO_LABEL]),
}
CHOOSE_20 = qlib_processor("FilterCol", col_list=SELECTED20)


@pytest.mark.parametrize("processors", PROCESSORS)
@pytest.mark.parametrize("handler", ["Alpha158", "Alpha360"])
def test_features_and_labels_are_those_of_qlibs_handler(config, handlers, handler, processors):
    """Fitted on train, for all rows. Constant columns are the documented exception."""
    infer, learn = PROCESSORS[processors]
    is_158 = handler == "Alpha158"
    if is_158:
        infer = [CHOOSE_20, *infer]
    d_feat = 20 if is_158 else 6
    settings = config(
        "gru", {"d_feat": d_feat}, handler, infer_processors=infer, learn_processors=learn
    )
    kwargs = settings["task"]["dataset"]["kwargs"]["handler"]["kwargs"]
    theirs = getattr(handlers, handler)(**kwargs)
    features = theirs.fetch(col_set="feature", data_key=theirs.DK_I)
    label = theirs.fetch(col_set="label", data_key=theirs.DK_L)["LABEL0"]

    workflow = load_workflow(settings)
    ohlcv = read_provider(**workflow.data)
    assert ohlcv.index.equals(features.index)
    y = workflow.label(ohlcv)
    days = ohlcv.index.get_level_values("datetime")
    train = days <= days.unique()[N_TRAIN - 1]
    steps = workflow.pipeline[:-1].fit(ohlcv[train])
    ours = flat_windows(steps.transform(ohlcv))
    # qlib leaves constant columns as they are; these are 1 wherever they are at all.
    varies = ~features.columns.isin(["CLOSE0", "VOLUME0"])
    values = features.to_numpy()[:, varies]
    assert np.isfinite(values).mean() > 0.5
    # Medians of float32 divided by small deviations: a few units of the last place more.
    assert_allclose(ours[:, varies], values, rtol=2e-4, atol=2e-4)

    method = getattr(workflow.pipeline["model"], "method", None)
    if method is not None:
        y = CrossSectionalScaler(method).fit_transform(y.to_frame())["label"]
    # qlib divides prices in float32: 1e-7, against a day's spread of about 0.01.
    assert_allclose(y.dropna(), label, rtol=0, atol=1e-4)
    assert y.dropna().index.equals(label.index)


def test_windows_are_those_of_qlibs_sampler(config, handlers):
    """The published Alpha158 with TSDatasetH, fitted on train, for the rows of test."""
    infer, learn = PROCESSORS["published"]
    infer = [CHOOSE_20, *infer]
    settings = config(
        "gru_ts", {"d_feat": 20}, "Alpha158", infer_processors=infer, learn_processors=learn
    )
    kwargs = settings["task"]["dataset"]["kwargs"]
    kwargs["step_len"] = 12
    dataset = pytest.importorskip("qlib.data.dataset").TSDatasetH(
        handler=handlers.Alpha158(**kwargs["handler"]["kwargs"]),
        segments=kwargs["segments"],
        step_len=12,
    )
    sampler = dataset.prepare("test", col_set=["feature", "label"], data_key="infer")
    sampler.config(fillna_type="ffill+bfill")
    theirs = np.stack([sampler[i][:, :-1] for i in range(len(sampler))])

    workflow = load_workflow(settings)
    ohlcv = read_provider(**workflow.data)
    days = ohlcv.index.get_level_values("datetime")
    is_train = days <= days.unique()[N_TRAIN - 1]
    steps = workflow.pipeline[:-1].fit(ohlcv[is_train])
    later = ohlcv[~is_train]
    order = later.index.get_indexer(sampler.get_index())
    assert sorted(order) == list(range(len(later)))
    assert_allclose(np.asarray(steps.transform(later))[order], theirs, rtol=2e-4, atol=2e-4)


def test_lightgbm_predicts_as_qlibs_does(config, handlers, monkeypatch):
    """Alpha158 with qlib's default processors, stopped early on the valid segment."""
    lightgbm = pytest.importorskip("lightgbm", minversion="4.7")
    gbdt = importlib.import_module("qlib.contrib.model.gbdt")
    monkeypatch.setattr(gbdt, "R", SimpleNamespace(log_metrics=lambda *args, **kwargs: None))
    kwargs = {"learning_rate": 0.05, "num_leaves": 8, "lambda_l2": 1.0, "num_threads": 1}
    kwargs |= {"num_boost_round": 60, "early_stopping_rounds": 20, "colsample_bytree": 0.9}
    settings = of_lightgbm(config("gru", {}, "Alpha158"), kwargs)
    of_dataset = settings["task"]["dataset"]["kwargs"]
    first, last = of_dataset["segments"]["test"]
    later = pd.bdate_range(first, last)
    middle = f"{later[len(later) // 2]:%Y-%m-%d}"
    of_dataset["segments"]["valid"] = [first, middle]
    of_dataset["segments"]["test"] = [last, last]
    dataset = pytest.importorskip("qlib.data.dataset").DatasetH(
        handler=handlers.Alpha158(**of_dataset["handler"]["kwargs"]),
        segments=of_dataset["segments"],
    )
    theirs = gbdt.LGBModel(**kwargs)
    curves = {}
    theirs.fit(dataset, verbose_eval=0, evals_result=curves)
    expected = theirs.predict(dataset, "valid")

    workflow = load_workflow(settings)
    assert isinstance(workflow.model, lightgbm.LGBMRegressor)
    ohlcv = read_provider(**workflow.data)
    y = workflow.label(ohlcv)
    days = ohlcv.index.get_level_values("datetime")
    # qlib does not purge.
    train, valid = days < first, (days >= first) & (days <= middle)
    pipeline = workflow.pipeline.set_params(model__regressor__early_stopping_round=20)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline.set_params(transform_input=["X_val"])
        pipeline.fit(ohlcv[train], y[train], X_val=ohlcv[valid], y_val=y[valid])
    ours = pd.Series(pipeline.predict(ohlcv), ohlcv.index)[expected.index]
    fitted = pipeline["model"].regressor_
    losses = fitted.evals_result_["valid_0"]["l2"]
    assert len(losses) > 20
    # Features that differ in their last bits may fall into another bin.
    assert_allclose(losses, curves["valid"]["l2"], rtol=1e-3)
    assert fitted.best_iteration_ == theirs.model.best_iteration
    assert ours.std() > 0
    assert np.corrcoef(ours, expected)[0, 1] > 0.99
