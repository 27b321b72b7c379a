"""load_workflow: classes of qlib that nobody has, and LightGBM's."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import (
    HANDLER_KWARGS,
    KWARGS_OF_158,
    KWARGS_OF_360,
    MODEL_KWARGS,
    edit_settings,
    keys_of_settings,
    scale_days_by_hand,
)
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from skattn.compose import CrossSectionalTarget
from skattn.qlib import load_workflow, read_provider

HOME = "qlib.contrib.model."
# Of qlib's examples/benchmarks/TabNet and LightGBM.
TABNET = {"d_feat": 158, "pretrain": True, "seed": 993}
LGB_158 = {"loss": "mse", "colsample_bytree": 0.8879, "learning_rate": 0.2, "subsample": 0.8789}
LGB_158 |= {"lambda_l1": 205.6999, "lambda_l2": 580.9768, "max_depth": 8, "num_leaves": 210}
LGB_158 |= {"num_threads": 20}


@pytest.fixture
def of_158(config):
    """Compose a workflow of a DatasetH of Alpha158 with qlib's default processors."""

    def compose(name, module, kwargs, handler="Alpha158", **handler_kwargs):
        settings = config(name, "gru", kwargs, **handler_kwargs)
        settings = edit_settings(settings, "task.model.module_path", HOME + module)
        settings = edit_settings(settings, "task.dataset.kwargs.handler.class", handler)
        for key in ("infer_processors", "learn_processors"):
            if key not in handler_kwargs:
                settings = edit_settings(settings, f"{HANDLER_KWARGS}.{key}", ...)
        return settings

    return compose


# Classes that nobody has ------------------------------------------------------------------------


def test_an_unknown_class_leaves_the_rest(of_158, provider, days):
    settings = of_158("TabnetModel", "pytorch_tabnet", TABNET)
    workflow = load_workflow(settings)
    assert workflow.model is None
    reason = workflow.untranslated["task.model"]
    for part in (
        "'TabnetModel' of 'qlib.contrib.model.pytorch_tabnet'",
        "ALSTM of qlib.contrib.model.pytorch_alstm,",
        "LGBModel of qlib.contrib.model.gbdt",
        "ModelSpec(qlib=('qlib.contrib.model.pytorch_tabnet:TabnetModel',))",
        "CrossSectionalTarget(model, 'zscore')",
    ):
        assert part in reason
    for key in ("class", "module_path", "kwargs.d_feat", "kwargs.pretrain"):
        assert "see task.model" in workflow.untranslated[f"task.model.{key}"]
    told = set(workflow.translated) | set(workflow.untranslated)
    assert {key for key in told - keys_of_settings(settings) if "default" not in key} == {
        "task.model"
    }
    assert keys_of_settings(settings) <= told
    assert not set(workflow.translated) & set(workflow.untranslated)

    assert workflow.cv.train == (days[0], days[99])
    ohlcv = read_provider(**workflow.data)
    features = workflow.pipeline.fit_transform(ohlcv)
    assert isinstance(features, pd.DataFrame)
    assert features.shape == (len(ohlcv), 158)
    y = workflow.label(ohlcv)
    # As the notes say.
    mine = CrossSectionalTarget(Ridge(), "zscore")
    fill = SimpleImputer(keep_empty_features=True)
    pipeline = Pipeline([*workflow.pipeline.steps, ("fill", fill), ("model", mine)])
    assert np.isfinite(pipeline.fit(ohlcv, y).predict(ohlcv)).all()


@pytest.mark.parametrize(
    ("module", "kwargs", "shape"),
    [("gru", KWARGS_OF_360, (60, 6)), ("gru_ts", KWARGS_OF_158, (20, 20))],
)
@pytest.mark.parametrize("name", ["Mine", "GRUs", "LGBModel"])
def test_windows_without_a_model(config, module, kwargs, shape, name):
    """Whatever d_feat says, which only a model's class gives a meaning."""
    workflow = load_workflow(config(name, module, {**kwargs, "d_feat": 7}))
    assert workflow.model is None
    ohlcv = read_provider(**workflow.data)
    windows = workflow.pipeline.fit_transform(ohlcv)
    assert windows.shape == (len(ohlcv), *shape)
    assert not np.isnan(np.asarray(windows)[-1]).any()


def test_without_a_model_only_the_model_may_be_unknown(of_158):
    settings = edit_settings(of_158("Mine", "pytorch_mine", {}), MODEL_KWARGS, [1])
    with pytest.raises(TypeError, match=r"task\.model\.kwargs\b.*\[1\]"):
        load_workflow(settings)
    settings = of_158("Mine", "pytorch_mine", {}, "Alpha101")
    with pytest.raises(ValueError, match=r"handler\.class\b.*'Alpha101'"):
        load_workflow(settings)
    settings = edit_settings(of_158("Mine", "mine", {}), "task.dataset.class", "MTSDatasetH")
    with pytest.raises(ValueError, match=r"dataset\.class\b.*'MTSDatasetH'"):
        load_workflow(settings)


# LightGBM ---------------------------------------------------------------------------------------


def test_lightgbm_that_is_not_installed(of_158, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    workflow = load_workflow(of_158("LGBModel", "gbdt", LGB_158))
    assert workflow.model is None
    assert "pip install lightgbm." in workflow.untranslated["task.model"]
    assert "CrossSectionalTarget(model, 'zscore')" in workflow.untranslated["task.model"]
    assert workflow.pipeline.steps[-1][0] == "alpha158"


def test_lightgbm_that_cannot_be_loaded(of_158, monkeypatch, tmp_path):
    (tmp_path / "lightgbm.py").write_text("raise OSError('libgomp.so.1: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    workflow = load_workflow(of_158("LGBModel", "gbdt", LGB_158))
    assert workflow.model is None
    assert "libgomp.so.1: cannot open." in workflow.untranslated["task.model"]


def test_lightgbm_is_trained_as_qlib_trains_it(of_158):
    """Same trees as of lightgbm.train with qlib's parameters, on the labelled rows."""
    lightgbm = pytest.importorskip("lightgbm")
    kwargs = {**LGB_158, "lambda_l1": 0.5, "lambda_l2": 1, "num_threads": 1, "num_boost_round": 20}
    kwargs["max_bin"] = 31
    settings = of_158("LGBModel", "gbdt", kwargs)
    workflow = load_workflow(settings)
    assert type(workflow.model) is lightgbm.LGBMRegressor
    assert workflow.pipeline["model"].regressor is workflow.model
    told = set(workflow.translated) | set(workflow.untranslated)
    assert keys_of_settings(settings) <= told
    assert f"{MODEL_KWARGS}.early_stopping_rounds" in told
    assert workflow.translated[f"{MODEL_KWARGS}.lambda_l1"] == "reg_alpha=0.5"
    ohlcv = read_provider(**workflow.data)
    y = workflow.label(ohlcv)
    predicted = clone(workflow.pipeline).fit(ohlcv, y).predict(ohlcv)

    features = workflow.pipeline[:-1].fit_transform(ohlcv)
    scaled, known = scale_days_by_hand(y, "zscore"), y.notna().to_numpy()
    assert not known.all()
    params = {k: v for k, v in kwargs.items() if k not in ("loss", "num_boost_round")}
    params |= {"objective": "mse", "verbosity": -1}
    data = lightgbm.Dataset(features.to_numpy()[known], label=scaled[known])
    trees = lightgbm.train(params, data, num_boost_round=20)
    assert np.std(predicted) > 0
    assert_allclose(predicted, trees.predict(features.to_numpy()), rtol=1e-9)


def test_lightgbm_has_qlibs_defaults(of_158):
    pytest.importorskip("lightgbm")
    workflow = load_workflow(of_158("LGBModel", "gbdt", {}))
    parameters = workflow.model.get_params()
    assert (parameters["objective"], parameters["n_estimators"]) == ("mse", 1000)
    reason = workflow.untranslated[f"{MODEL_KWARGS}.early_stopping_rounds"]
    assert "all 1000 rounds" in reason
    assert "model__regressor__early_stopping_round=50" in reason
    published = load_workflow(of_158("LGBModel", "gbdt", LGB_158)).model.get_params()
    expected = {"reg_alpha": 205.6999, "reg_lambda": 580.9768, "n_jobs": 20, "num_leaves": 210}
    expected |= {"colsample_bytree": 0.8879, "subsample": 0.8789, "max_depth": 8}
    assert {key: published[key] for key in expected} == expected


@pytest.mark.parametrize("processors", [[], [{"class": "DropnaLabel"}]])
def test_lightgbm_on_windows_and_on_the_label_as_it_is(of_158, processors):
    """LightGBM takes columns, and a missing label for 0: no row without a label may reach it."""
    pytest.importorskip("lightgbm")
    settings = of_158(
        "LGBModel",
        "gbdt",
        {"num_boost_round": 3, "num_threads": 1},
        "Alpha360",
        infer_processors=[],
        learn_processors=processors,
    )
    workflow = load_workflow(settings)
    assert isinstance(workflow.pipeline["model"], CrossSectionalTarget)
    assert workflow.pipeline["model"].method is None
    ohlcv = read_provider(**workflow.data)
    y = workflow.label(ohlcv)
    pipeline = pickle.loads(pickle.dumps(workflow.pipeline.fit(ohlcv, y + 1)))
    assert pipeline["model"].regressor_.n_features_in_ == 360
    # With missing labels as zeros, this would be the lower mean of all rows.
    assert pipeline.predict(ohlcv).mean() == pytest.approx(1 + y.mean(), abs=1e-3)


def test_lightgbm_stops_early_on_the_valid_segment(of_158):
    """As the notes say; the valid segment's labels are scaled, and what is missing left out."""
    lightgbm = pytest.importorskip("lightgbm", minversion="4.7")
    kwargs = {"num_boost_round": 40, "num_threads": 1, "num_leaves": 4}
    workflow = load_workflow(of_158("LGBModel", "gbdt", kwargs))
    ohlcv = read_provider(**workflow.data)
    y = workflow.label(ohlcv)
    rows = workflow.cv.segments(ohlcv, y)
    train, valid = rows["train"], rows["valid"]
    y = y.copy()
    y.iloc[valid[::5]] = np.nan
    pipeline = workflow.pipeline.set_params(model__regressor__early_stopping_round=3)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline.set_params(transform_input=["X_val"])
        pipeline.fit(ohlcv.iloc[train], y.iloc[train], X_val=ohlcv.iloc[valid], y_val=y.iloc[valid])
    fitted = pipeline["model"].regressor_
    losses = fitted.evals_result_["valid_0"]["l2"]
    assert len(losses) < 40
    assert fitted.best_iteration_ == len(losses) - 3

    alpha = workflow.pipeline[0]
    features = alpha.transform(ohlcv.iloc[valid])
    scaled = scale_days_by_hand(y.iloc[valid], "zscore")
    known = ~np.isnan(scaled)
    by_hand = fitted.booster_.predict(features.to_numpy()[known])
    assert np.mean((by_hand - scaled[known]) ** 2) == pytest.approx(min(losses), rel=1e-6)
    assert issubclass(type(fitted), lightgbm.LGBMRegressor)


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("loss", "binary", ValueError, r"kwargs\.loss\b.*'mse'.*'binary'"),
        ("learning_rate", "fast", TypeError, r"kwargs\.learning_rate\b.*'fast'"),
        ("learning_rate", 0, ValueError, r"kwargs\.learning_rate\b.*above 0.*\b0\.0\b"),
        ("colsample_bytree", 1.5, ValueError, r"kwargs\.colsample_bytree\b.*1\.5"),
        ("subsample", 0, ValueError, r"kwargs\.subsample\b.*\b0\.0\b"),
        ("lambda_l1", -1, ValueError, r"kwargs\.lambda_l1\b.*-1"),
        ("num_leaves", 1, ValueError, r"kwargs\.num_leaves\b.*at least 2.*\b1\b"),
        ("max_depth", 8.5, TypeError, r"kwargs\.max_depth\b.*8\.5"),
        ("num_threads", "20", TypeError, r"kwargs\.num_threads\b.*'20'"),
        ("num_boost_round", 0, ValueError, r"kwargs\.num_boost_round\b.*at least 1.*\b0\b"),
        ("early_stopping_rounds", "x", TypeError, r"kwargs\.early_stopping_rounds\b.*'x'"),
        ("reg_alpha", 1, ValueError, r"kwargs\.lambda_l1 and .*kwargs\.reg_alpha both set"),
    ],
)
def test_errors_of_lightgbm_name_the_setting(of_158, key, value, error, message):
    pytest.importorskip("lightgbm")
    with pytest.raises(error, match=message):
        load_workflow(of_158("LGBModel", "gbdt", {**LGB_158, key: value}))


def test_lightgbm_reads_no_windows(config):
    pytest.importorskip("lightgbm")
    settings = config("LGBModel", "gru_ts", {})
    settings = edit_settings(settings, "task.model.module_path", HOME + "gbdt")
    with pytest.raises(ValueError, match=r"dataset\.class\b.*LGBModel of .*gbdt reads DatasetH"):
        load_workflow(settings)
