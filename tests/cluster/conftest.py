"""What dask and Ray are asked to do, and what a local run gives."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
from plugin_site import Site, hook
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.models import GRURegressor, HISTRegressor
from skattn.plugins._collect import collected
from skattn.preprocessing import Alpha360, RobustZScore

CV = DailyTimeSeriesSplit(3, test_size=20)


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/cluster/" in item.path.as_posix():
            item.add_marker(pytest.mark.cluster)


def _search(prices, label):
    gru = GRURegressor(num_layers=1, max_epochs=2, lr=0.01, random_state=0)
    pipeline = make_pipeline(
        Alpha360(["close", "volume"], length=4), RobustZScore(), CrossSectionalTarget(gru)
    )
    grid = {"crosssectionaltarget__regressor__hidden_size": [2, 4]}
    search = GridSearchCV(pipeline, grid, cv=CV, scoring=rank_ic_scorer)
    search.fit(prices, label)
    scores = [search.cv_results_[f"split{fold}_test_score"] for fold in range(3)]
    return {"scores": np.array(scores), "best": search.predict(prices)}


def _of_table(prices, label):
    gru = GRURegressor(hidden_size=3, num_layers=1, max_epochs=2, random_state=0)
    model = make_pipeline(Alpha360(["close"], length=4), RobustZScore(), gru)
    return {"table": cross_val_signal(model, prices, label, cv=CV)}


def _windows(prices):
    return RobustZScore().fit_transform(Alpha360(["close"], length=4).fit_transform(prices))


def _of_windows(prices, label):
    gru = GRURegressor(hidden_size=3, num_layers=1, max_epochs=2, dropout=0.2, random_state=0)
    weight = {"sample_weight": np.linspace(1, 2, len(label))}
    return {"windows": cross_val_signal(gru, _windows(prices), label, cv=CV, params=weight)}


def _of_days(prices, label):
    hist = HISTRegressor(hidden_size=3, num_layers=1, max_epochs=1, random_state=0)
    return {"whole days": cross_val_signal(hist, _windows(prices), label, cv=CV)}


TASKS = {"search": _search, "table": _of_table, "windows": _of_windows, "days": _of_days}


@pytest.fixture(scope="session")
def data():
    market = make_market(n_stocks=10, n_days=120, missing_days=0.02, random_state=0)
    return market.ohlcv, market.label


@pytest.fixture(scope="session", params=TASKS)
def task(request, data):
    """Something to run, and what it gives on this machine."""
    return SimpleNamespace(
        run=lambda: TASKS[request.param](*data), local=TASKS[request.param](*data)
    )


@pytest.fixture
def plugin_here(tmp_path, monkeypatch):
    """A plugin that this process has, and workers that are running do not."""
    monkeypatch.syspath_prepend(str(tmp_path))
    answer = 'ModelSpec("lonely", "MODULE:Mean", "A mean.", "")'
    Site(tmp_path).install("skattn-lonely", hook(answer), version="4.5.6")
    yield "skattn-lonely 4.5.6"
    monkeypatch.undo()
    importlib.invalidate_caches()
    collected.cache_clear()


@pytest.fixture(scope="session")
def large():
    """Labels and a table of a few MB, in windows: much beside the messages of an engine."""
    market = make_market(n_stocks=100, n_days=600, sector=0, random_state=0)
    return Alpha360(["close", "volume"], length=4).fit_transform(market.ohlcv), market.label
