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
from skattn.inspection import attention_weights
from skattn.metrics import rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.preprocessing import Alpha158, RobustZScore, RollingWindow

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
