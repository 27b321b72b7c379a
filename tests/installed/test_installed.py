"""Every installed model by name: listed, fitted, searched over, pickled, loaded elsewhere."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.inspection import (
    AttentionTimelineDisplay,
    FeatureImportanceDisplay,
    attention_weights,
)
from skattn.metrics import rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.preprocessing import Alpha158, RobustZScore, RollingWindow
from skattn.qlib import load_workflow

pytestmark = pytest.mark.plugins

NAMES = ["alstm", "gats", "gru", "hist", "localformer", "lstm", "master", "sfm", "transformer"]
DISTRIBUTIONS = {name: f"skattn-{name}" for name in ("gats", "localformer", "master")}
TRAINING = {"max_epochs": 1, "random_state": 0, "batch_size": 200}


@pytest.fixture(scope="module")
def market():
    return make_market(n_stocks=8, n_days=90, late_listings=0, random_state=0)


def small(name: str):
    """A small model of this name; its class says what is small."""
    model = skattn.make_model(name, **TRAINING)
    # What its class calls small for the kit; MASTER reads the columns of MarketInformation.
    return model.set_params(**{**type(model).parameters_for_checks, **MARKET.get(name, {})})


MARKET = {"master": {"n_market": 21}}


def pipeline(model) -> Pipeline:
    from skattn_master import MarketInformation

    return Pipeline(
        [
            ("features", MarketInformation(Alpha158(columns=["ROC5", "STD5", "KLEN"]))),
            ("scale", RobustZScore()),
            ("windows", RollingWindow(6, fill_method="ffill+bfill")),
            ("model", CrossSectionalTarget(model)),
        ]
    )


def test_all_are_listed(tmp_path):
    assert [spec.name for spec in skattn.list_models()] == NAMES

    def command(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "skattn", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    listed = json.loads(command("models", "--json").stdout)["models"]
    assert {each["name"]: each["distribution"] for each in listed} == {
        name: DISTRIBUTIONS.get(name, "skattn") for name in NAMES
    }
    assert command("doctor").returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_is_fitted_pickled_and_loaded_in_a_fresh_process(market, name, tmp_path):
    model = pipeline(small(name)).fit(market.ohlcv, market.label)
    predicted = model.predict(market.ohlcv)
    assert np.isfinite(predicted).all()
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    market.ohlcv.to_pickle(tmp_path / "ohlcv.pkl")
    code = (
        "import pickle, numpy, pandas; "
        "model = pickle.load(open('model.pkl', 'rb')); "
        "numpy.save('predicted.npy', model.predict(pandas.read_pickle('ohlcv.pkl')))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "predicted.npy"), predicted)


def test_a_search_over_all_models_by_name(market):
    models = [small(name) for name in NAMES]
    search = GridSearchCV(
        pipeline(clone(models[0])),
        {"model__regressor": models},
        cv=DailyTimeSeriesSplit(2, test_size=10),
        scoring=rank_ic_scorer,
        n_jobs=2,
        error_score="raise",
    ).fit(market.ohlcv, market.label)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == len(NAMES)


@pytest.mark.parametrize(("name", "map_name"), [("gats", "peers"), ("master", "stocks")])
def test_attention_across_stocks_is_labelled_by_instrument(market, name, map_name):
    model = pipeline(small(name)).fit(market.ohlcv, market.label)
    weights = attention_weights(model, market.ohlcv)[map_name]
    stocks = weights.columns if hasattr(weights, "columns") else weights.labels[-1]
    assert list(stocks) == sorted(market.ohlcv.index.unique("instrument"))


@pytest.mark.parametrize(
    ("name", "map_name"), [("localformer", "layers"), ("master", "aggregation"), ("master", "time")]
)
def test_a_timeline_of_attention(market, name, map_name):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model = pipeline(small(name)).fit(market.ohlcv, market.label)
    # The aggregation over time weighs the lags most directly.
    chosen = None if map_name == "aggregation" else map_name
    display = AttentionTimelineDisplay.from_estimator(
        model, market.ohlcv, market.ohlcv.index[0][1], ohlcv=market.ohlcv, map=chosen
    )
    pyplot.close(display.figure_)
    assert display.name.endswith(f"map {map_name!r}")
    np.testing.assert_allclose(display.weights.sum(axis=1), 1, atol=1e-5)
    assert abs(display.attention.mean() - 1) < 0.05
    assert np.isfinite(display.market["p_value"]).all()


def test_no_timeline_without_lags(market):
    pytest.importorskip("matplotlib")
    model = pipeline(small("gats")).fit(market.ohlcv, market.label)
    with pytest.raises(ValueError, match=r"GATsRegressor has none: it has the maps 'peers'"):
        AttentionTimelineDisplay.from_estimator(
            model, market.ohlcv, market.ohlcv.index[0][1], ohlcv=market.ohlcv
        )


@pytest.mark.parametrize("name", NAMES)
def test_importance_beside_attention(market, name):
    pytest.importorskip("captum")
    pytest.importorskip("matplotlib").use("agg")
    model = pipeline(small(name)).fit(market.ohlcv, market.label)
    display = FeatureImportanceDisplay.from_estimator(
        model,
        market.ohlcv,
        market.label,
        method="both",
        groups=2,
        random_state=0,
        max_samples=200,
        n_steps=4,
    )
    assert np.isfinite(display.permutation["importance"]).all()
    assert (display.gradients["importance"] >= 0).all()
    has_lags = name in ("alstm", "localformer", "master", "transformer")
    assert (display.attention is not None) == has_lags


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_command_checks_a_plugin(name, tmp_path):
    command = [sys.executable, "-m", "skattn", "check", name, "--json"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    statuses = [each["status"] for each in json.loads(ran.stdout)["checks"]]
    assert len(statuses) > 70
    assert set(statuses) <= {"passed", "skipped"}


def workflow(model: dict, handler: str, dataset: str) -> dict:
    """The settings of a workflow of qlib's."""
    processors = [
        {"class": "RobustZScoreNorm", "kwargs": {"fields_group": "feature", "clip_outlier": True}},
        {"class": "Fillna", "kwargs": {"fields_group": "feature"}},
    ]
    handler_settings = {
        "instruments": "csi300",
        "infer_processors": processors,
        "label": ["Ref($close, -2) / Ref($close, -1) - 1"],
    }
    kwargs = {
        "handler": {
            "class": handler,
            "module_path": "qlib.contrib.data.handler",
            "kwargs": handler_settings,
        },
        "segments": {"train": ["2008-01-01", "2014-12-31"], "test": ["2017-01-01", "2020-08-01"]},
    }
    if dataset == "TSDatasetH":
        kwargs["step_len"] = 20
    place = {"class": dataset, "module_path": "qlib.data.dataset", "kwargs": kwargs}
    return {"task": {"model": model, "dataset": place}}


@pytest.mark.parametrize(
    ("cls", "module", "kwargs", "handler", "dataset", "expected"),
    [
        (
            "GATs",
            "pytorch_gats",
            {"d_feat": 6, "hidden_size": 64, "dropout": 0.7, "base_model": "LSTM", "lr": 1e-4},
            "Alpha360",
            "DatasetH",
            {"rnn": "lstm", "dropout": 0.7, "lr": 1e-4},
        ),
        (
            "LocalformerModel",
            "pytorch_localformer_ts",
            {"seed": 0, "n_jobs": 20, "d_feat": 158},
            "Alpha158",
            "TSDatasetH",
            {"random_state": 0, "d_model": 64},
        ),
    ],
)
def test_workflows_of_qlib_load_into_the_plugins(cls, module, kwargs, handler, dataset, expected):
    model = {"class": cls, "module_path": f"qlib.contrib.model.{module}", "kwargs": kwargs}
    loaded = load_workflow(workflow(model, handler, dataset))
    assert type(loaded.model).__module__.startswith(("skattn_gats", "skattn_localformer"))
    assert expected.items() <= loaded.model.get_params().items()
