"""Labels that nobody can foresee: a pipeline that foresees them has seen them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from skattn.compose import CrossSectionalTarget
from skattn.labels import make_label
from skattn.metrics import ic_scorer
from skattn.model_selection import (
    CombinatorialPurgedDailyKFold,
    DailyTimeSeriesSplit,
    DateSplit,
    PurgedDailyKFold,
)
from skattn.preprocessing import Alpha158, RobustZScore

pytestmark = pytest.mark.slow

N_STOCKS, N_DAYS, HORIZON = 15, 200, 20
DAYS = pd.bdate_range("2020-01-01", periods=N_DAYS, name="datetime")
STOCKS = pd.Index([f"S{i:02}" for i in range(N_STOCKS)], name="instrument")

SPLITTERS = {
    "walk-forward": (DailyTimeSeriesSplit, {"n_splits": 4, "test_size": 8}),
    "k-fold": (PurgedDailyKFold, {"n_splits": 6}),
    "combinatorial": (CombinatorialPurgedDailyKFold, {"n_folds": 5, "n_test_folds": 2}),
    "dates": (DateSplit, {"train": (None, DAYS[149]), "test": (DAYS[150], DAYS[159])}),
}


def mean_ic(splitter, seed: int) -> float:
    """Mean IC over the folds, of a pipeline that recalls what resembles today."""
    rng = np.random.default_rng(seed)
    close = np.exp(np.cumsum(rng.normal(0, 0.02, (N_DAYS, N_STOCKS)), axis=0))
    # Random walks: what comes next is independent of all that was.
    close = pd.DataFrame(close, DAYS, STOCKS).stack().rename("close").to_frame()
    label = make_label(close, horizon=HORIZON - 1)
    pipeline = make_pipeline(
        # They change little from day to day: yesterday's neighbour is the stock itself.
        Alpha158((60,), columns=["MA60", "STD60", "QTLU60", "QTLD60", "BETA60"], calendar=DAYS),
        RobustZScore(),
        CrossSectionalTarget(KNeighborsRegressor(5)),
    )
    scores = cross_validate(pipeline, close, label, cv=splitter, scoring=ic_scorer)
    return float(np.nanmean(scores["test_score"]))


def mean_and_error(splitter, n_seeds: int) -> tuple[float, float]:
    with warnings.catch_warnings():
        # Windows that begin inside the fitted days, and a purge that is too short on purpose.
        warnings.simplefilter("ignore", UserWarning)
        values = [mean_ic(splitter, seed) for seed in range(n_seeds)]
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n_seeds))


@pytest.mark.parametrize("name", SPLITTERS)
def test_nothing_is_foreseen(name):
    make, parameters = SPLITTERS[name]
    mean, error = mean_and_error(make(**parameters), n_seeds=50)
    assert abs(mean) < 2 * error


@pytest.mark.parametrize("name", SPLITTERS)
def test_without_a_purge_the_label_leaks(name):
    make, parameters = SPLITTERS[name]
    mean, error = mean_and_error(make(**parameters, purge=0), n_seeds=30)
    assert mean > 3 * error
