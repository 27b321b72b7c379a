"""The regulator's test: perturb the future, and nothing at or before today changes a bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from public import public_classes, variants
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.pipeline import make_pipeline

from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import ALSTMRegressor
from skattn.parameters import parameters_of
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    CorrelationClusters,
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


# Every transformer of the package, with every choice of its methods and layouts ------------------

# Parameters that make a transformer fit a market of 60 days; others keep their defaults.
SMALLER = {
    "Alpha158": {"lengths": (3, 8)},
    "Alpha360": {"length": 8},
    "RollingWindow": {"length": 5},
}
TRANSFORMERS = [
    pytest.param(cls(**{**SMALLER.get(cls.__name__, {}), **choice}), id=f"{cls.__name__}-{choice}")
    for cls in public_classes(TransformerMixin)
    if hasattr(cls, "transform")
    for choice in variants(cls)
]
LEVELS = [1.0, 1e9, 1e-6]


def test_every_transformer_is_found():
    found = {type(param.values[0]).__name__ for param in TRANSFORMERS}
    assert {"Alpha158", "Alpha360", "CrossSectionalScaler", "RobustZScore"} <= found
    methods = {param.values[0].get_params().get("method") for param in TRANSFORMERS}
    assert {"rank", "zscore", "robust"} <= methods


def ragged_table(level: float, seed: int) -> pd.DataFrame:
    """The market in random order: values and rows are missing, prices are of any size."""
    rng = np.random.default_rng(seed)
    table = MARKET.ohlcv.assign(vwap=MARKET.ohlcv["close"]).astype(float) * level
    table = table.mask(rng.random(table.shape) < 0.05)
    return table[rng.random(len(table)) < 0.9].sample(frac=1, random_state=seed)


def with_another_future(table: pd.DataFrame, day: pd.Timestamp, how: str, seed: int):
    """The table with other rows after a day."""
    rng = np.random.default_rng(seed)
    later = ~on_or_before(table, day)
    cells = np.repeat(later[:, None], table.shape[1], axis=1)
    if how == "other values":
        return table.mask(cells, table * rng.lognormal(sigma=2, size=table.shape))
    if how == "missing values":
        return table.mask(cells & (rng.random(table.shape) < 0.5))
    if how == "one missing value":
        table = table.copy()
        table.iloc[np.flatnonzero(later)[-1]] = np.nan
        return table
    return table[~later | (rng.random(len(table)) < 0.5)].sample(frac=1, random_state=seed + 1)


@pytest.mark.filterwarnings("ignore:high is below low", "ignore:X begins at")
@pytest.mark.parametrize("transformer", TRANSFORMERS)
@settings(max_examples=12, deadline=None)
@given(
    cut=st.integers(20, 57),
    seed=st.integers(0, 2**16),
    level=st.sampled_from(LEVELS),
    how=st.sampled_from(["other values", "missing values", "one missing value", "other rows"]),
)
def test_no_transformer_looks_ahead(transformer, cut, seed, level, how):
    day = CALENDAR[cut]
    table = ragged_table(level, seed)
    other = with_another_future(table, day, how, seed)
    fitted = clone(transformer).fit(table[on_or_before(table, day)])
    one, two = (fitted.transform(each) for each in (table, other))
    assert np.isfinite(np.asarray(one)).any()
    pd.testing.assert_frame_equal(upto(table, one, day), upto(other, two, day), check_exact=True)
    # Before the next day has come, too.
    past = table[on_or_before(table, day)].sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(
        upto(table, one, day), upto(past, fitted.transform(past), day), check_exact=True
    )


class Recorder(RegressorMixin, BaseEstimator):
    """A regressor that keeps the labels that it is given."""

    def fit(self, X, y):
        self.y_ = y
        return self


@pytest.mark.parametrize("method", parameters_of(CrossSectionalTarget)["method"].one_of)
@settings(max_examples=15, deadline=None)
@given(cut=st.integers(5, 55), seed=st.integers(0, 2**16), level=st.sampled_from(LEVELS))
def test_scaled_labels_do_not_look_ahead(method, cut, seed, level):
    day = CALENDAR[cut]
    label = MARKET.label.dropna().sample(frac=1, random_state=seed) + level
    table = label.to_frame("x")
    later = ~on_or_before(table, day)
    other = label.where(~later, label * 3 + 7)
    other.iloc[np.flatnonzero(later)[0]] = np.nan
    scaled = []
    for y in (label, other):
        target = CrossSectionalTarget(Recorder(), method=method).fit(table, y)
        known = pd.Series(target.regressor_.y_, y[y.notna()].index)
        scaled.append(known[on_or_before(known, day)].sort_index())
    pd.testing.assert_series_equal(*scaled, check_exact=True)


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
    one, two = (
        CorrelationClusters(2, min_days=10).fit(table[on_or_before(table, day)]).concepts_
        for table in (MARKET.ohlcv, perturbed(day, seed))
    )
    pd.testing.assert_series_equal(one, two)


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
