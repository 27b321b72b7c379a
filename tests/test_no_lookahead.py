"""The regulator's test: perturb the future, and nothing at or before today changes a bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline

from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import ALSTMRegressor
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    CrossSectionalScaler,
    RobustZScore,
    RollingWindow,
)

MARKET = make_market(n_stocks=6, n_days=60, sector=0, missing_days=0.05, random_state=1)
DAYS = MARKET.ohlcv.index.get_level_values("datetime")
CALENDAR = DAYS.unique().sort_values()


def perturbed(day: pd.Timestamp, seed: int) -> pd.DataFrame:
    """The market, with other prices after a day, other rows missing and rows in other order."""
    rng = np.random.default_rng(seed)
    table = MARKET.ohlcv.astype(float)
    later = DAYS > day
    table[later] *= rng.lognormal(sigma=0.5, size=(later.sum(), table.shape[1]))
    kept = ~later | (rng.random(len(table)) > 0.2)
    return table[kept].sample(frac=1, random_state=seed)


def upto(table: pd.DataFrame, values: np.ndarray, day: pd.Timestamp) -> pd.DataFrame:
    """Values of the rows at or before a day, in a fixed order."""
    flat = pd.DataFrame(np.asarray(values).reshape(len(table), -1), index=table.index)
    return flat[table.index.get_level_values("datetime") <= day].sort_index()


FEATURES = {
    "alpha360": [Alpha360(length=8), RobustZScore()],
    "alpha158": [
        Alpha158((3, 8)),
        CrossSectionalScaler("rank"),
        RobustZScore(),
        RollingWindow(5, fill_method="ffill+bfill"),
    ],
}


@pytest.mark.parametrize("kind", FEATURES)
@settings(max_examples=12, deadline=None)
@given(cut=st.integers(20, 58), seed=st.integers(0, 2**16))
def test_features_scaled_features_and_predictions(kind, cut, seed):
    day = CALENDAR[cut]
    past = MARKET.ohlcv[DAYS <= day]
    label = MARKET.label.reindex(past.index)
    # What the label of the last two days would tell is not known yet.
    label[past.index.get_level_values("datetime") > CALENDAR[cut - 2]] = np.nan
    pipeline = make_pipeline(
        *FEATURES[kind],
        CrossSectionalTarget(ALSTMRegressor(hidden_size=4, max_epochs=1, random_state=0)),
    ).fit(past, label)
    other = perturbed(day, seed)
    for n_steps in range(1, len(pipeline)):
        one, two = (pipeline[:n_steps].transform(table) for table in (MARKET.ohlcv, other))
        pd.testing.assert_frame_equal(
            upto(MARKET.ohlcv, one, day), upto(other, two, day), check_exact=True
        )
    one, two = (pipeline.predict(table) for table in (MARKET.ohlcv, other))
    pd.testing.assert_frame_equal(
        upto(MARKET.ohlcv, one, day), upto(other, two, day), check_exact=True
    )


@settings(max_examples=12, deadline=None)
@given(cut=st.integers(20, 58), seed=st.integers(0, 2**16))
def test_statistics_and_weights_learn_from_the_training_days_alone(cut, seed):
    day = CALENDAR[cut]
    one, two = (
        make_pipeline(Alpha360(length=8), RobustZScore()).fit(table[on_or_before(table, day)])
        for table in (MARKET.ohlcv, perturbed(day, seed))
    )
    np.testing.assert_array_equal(one[-1].center_, two[-1].center_)
    np.testing.assert_array_equal(one[-1].scale_, two[-1].scale_)


@settings(max_examples=12, deadline=None)
@given(cut=st.integers(40, 58), seed=st.integers(0, 2**16))
def test_folds_do_not_depend_on_prices(cut, seed):
    rng = np.random.default_rng(seed)
    table = MARKET.ohlcv.astype(float)
    other = table.copy()
    other[DAYS > CALENDAR[cut]] *= rng.lognormal(size=table.shape[1])
    cv = DailyTimeSeriesSplit(n_splits=3)
    for (train, test), (other_train, other_test) in zip(
        cv.split(table), cv.split(other), strict=True
    ):
        np.testing.assert_array_equal(train, other_train)
        np.testing.assert_array_equal(test, other_test)
        assert DAYS[train].max() < DAYS[test].min()


def test_training_does_not_see_held_out_features():
    """Weights after a fixed number of epochs do not depend on the held-out days."""
    windows = make_pipeline(Alpha360(length=8), RobustZScore()).fit_transform(MARKET.ohlcv)
    X, y = np.asarray(windows), MARKET.label.to_numpy().copy()
    model = ALSTMRegressor(hidden_size=4, max_epochs=1, random_state=0)
    one = model.fit(X, y, days=DAYS).predict(X)
    labelled_days = DAYS[~np.isnan(y)].unique().sort_values()
    late = labelled_days[-6]  # the last six are held out
    y[DAYS >= late] *= -3
    X[DAYS >= late] += 1
    two = model.fit(X, y, days=DAYS).predict(X)
    np.testing.assert_array_equal(one[DAYS < late], two[DAYS < late])
    y[DAYS < late] *= -1
    assert not np.array_equal(one, model.fit(X, y, days=DAYS).predict(X))


def test_search_over_windows_that_were_built_once():
    """Scores of the early folds do not depend on prices after them."""
    day = CALENDAR[40]
    other = MARKET.ohlcv.astype(float)
    other[DAYS > day] *= 1.5
    labels = MARKET.label.where(DAYS <= CALENDAR[38])
    pipeline = make_pipeline(RobustZScore(), ALSTMRegressor(hidden_size=4, max_epochs=1))
    pipeline.set_params(alstmregressor__random_state=0)
    predictions = []
    for table in (MARKET.ohlcv, other):
        windows = Alpha360(length=8).fit_transform(table)
        train, test = next(DailyTimeSeriesSplit(n_splits=3, test_size=10).split(windows))
        assert DAYS[test].max() <= day
        predictions.append(pipeline.fit(windows[train], labels.iloc[train]).predict(windows[test]))
    np.testing.assert_array_equal(*predictions)


def on_or_before(table: pd.DataFrame, day: pd.Timestamp) -> np.ndarray:
    return table.index.get_level_values("datetime") <= day


@pytest.mark.realdata
def test_real_prices(us_equities):
    from skattn import from_long

    table = from_long(us_equities)
    stocks = table.index.unique("instrument")[::40]
    table = table[table.index.isin(stocks, level="instrument")]
    days = table.index.get_level_values("datetime")
    day = pd.Timestamp("2013-06-28")
    other = table.astype(float)
    other[days > day] *= 1.7
    pipeline = make_pipeline(Alpha360(vwap="typical"), RobustZScore()).fit(table[days <= day])
    one, two = (np.asarray(pipeline.transform(t))[days <= day] for t in (table, other))
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()
