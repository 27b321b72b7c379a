"""DailyTimeSeriesSplit: what it promises, against brute force and scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score, cross_validate

from skattn.model_selection import DailyTimeSeriesSplit
from skattn.panel import build_windows


def ragged_panel(n_days: int, seed: int = 0, max_stocks: int = 4) -> pd.DataFrame:
    """Days with 1 to max_stocks rows, all rows shuffled."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, max_stocks + 1, n_days)
    days = pd.bdate_range("2024-01-01", periods=n_days).repeat(sizes)
    stocks = np.concatenate([[f"S{i}" for i in range(size)] for size in sizes])
    index = pd.MultiIndex.from_arrays([days, stocks], names=["datetime", "instrument"])
    frame = pd.DataFrame({"x": rng.standard_normal(len(index))}, index=index)
    return frame.iloc[rng.permutation(len(frame))]


def days_in(frame: pd.DataFrame) -> pd.DatetimeIndex:
    return frame.index.get_level_values("datetime")


parameters = st.fixed_dictionaries(
    {
        "n_splits": st.integers(2, 6),
        "max_train_size": st.none() | st.integers(1, 10),
        "test_size": st.none() | st.integers(1, 4),
        "purge": st.integers(0, 4),
    }
)


@settings(max_examples=150, deadline=None)
@given(params=parameters, n_days=st.integers(1, 45), seed=st.integers(0, 99))
def test_folds(params: dict, n_days: int, seed: int) -> None:
    frame = ragged_panel(n_days, seed)
    cv = DailyTimeSeriesSplit(**params)
    n_splits, purge = params["n_splits"], params["purge"]
    test_size = params["test_size"] or n_days // (n_splits + 1)
    first_test = n_days - n_splits * test_size
    if test_size == 0 or first_test - purge < 1:
        with pytest.raises(ValueError, match=f"trading days; there .* {n_days}\\."):
            list(cv.split(frame))
        return

    row_days = days_in(frame)
    calendar = row_days.unique().sort_values()
    folds = list(cv.split(frame))
    assert len(folds) == cv.get_n_splits(frame) == n_splits
    for k, (train, test) in enumerate(folds):
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()
        # Test days follow one another, up to the last day of all.
        start = first_test + k * test_size
        stop = start - purge
        oldest = max(0, stop - (params["max_train_size"] or stop))
        # All rows of exactly these days: no day is cut, on both sides or within the purge.
        assert_array_equal(test, np.flatnonzero(row_days.isin(calendar[start:][:test_size])))
        assert_array_equal(train, np.flatnonzero(row_days.isin(calendar[oldest:stop])))
        assert len(train) > 0


@pytest.mark.parametrize("purge", [0, 2, 5])
def test_labels_of_training_days_end_before_the_test(purge: int) -> None:
    frame = ragged_panel(40)
    calendar = days_in(frame).unique().sort_values()
    for train, test in DailyTimeSeriesSplit(4, purge=purge).split(frame):
        last_train = calendar.get_loc(days_in(frame)[train].max())
        assert calendar[last_train + purge] < days_in(frame)[test].min()
        # One more day of training would reach the test.
        assert calendar[last_train + purge + 1] == days_in(frame)[test].min()


@pytest.mark.parametrize(
    "params", [{}, {"test_size": 2}, {"max_train_size": 5}, {"n_splits": 3, "test_size": 4}]
)
@pytest.mark.parametrize("purge", [0, 1, 2])
def test_one_row_a_day_is_time_series_split(params: dict, purge: int) -> None:
    frame = ragged_panel(30, max_stocks=1).sort_index()
    ours = list(DailyTimeSeriesSplit(**params, purge=purge).split(frame))
    theirs = list(TimeSeriesSplit(**params, gap=purge).split(frame))
    assert len(ours) == len(theirs)
    for our_fold, their_fold in zip(ours, theirs, strict=True):
        for our_rows, their_rows in zip(our_fold, their_fold, strict=True):
            assert_array_equal(our_rows, their_rows)


def test_row_order_does_not_matter() -> None:
    frame = ragged_panel(25)
    ordered = frame.sort_index()
    folds = zip(
        DailyTimeSeriesSplit(3).split(frame), DailyTimeSeriesSplit(3).split(ordered), strict=True
    )
    for shuffled_fold, ordered_fold in folds:
        for rows, ordered_rows in zip(shuffled_fold, ordered_fold, strict=True):
            assert set(frame.index[rows]) == set(ordered.index[ordered_rows])


def as_timestamps_of_the_day(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return days + pd.to_timedelta(np.arange(len(days)) % 24, unit="h")


@pytest.mark.parametrize(
    "make",
    [
        lambda days: days,
        lambda days: days.to_numpy(),
        lambda days: days.strftime("%Y-%m-%d").to_numpy(),
        lambda days: list(days),
        lambda days: pd.Series(days, index=np.arange(len(days))[::-1]),
        lambda days: days.tz_localize("America/New_York"),
        as_timestamps_of_the_day,
    ],
    ids=["index", "datetime64", "str", "Timestamps", "Series", "time zone", "hours"],
)
def test_days_from_groups(make) -> None:
    frame = ragged_panel(20)
    expected = DailyTimeSeriesSplit(3).split(frame)
    actual = DailyTimeSeriesSplit(3).split(frame.to_numpy(), groups=make(days_in(frame)))
    for expected_fold, actual_fold in zip(expected, actual, strict=True):
        assert_array_equal(expected_fold[0], actual_fold[0])
        assert_array_equal(expected_fold[1], actual_fold[1])


def test_days_come_from_groups_then_x_then_y() -> None:
    frame = ragged_panel(20, max_stocks=1)
    other = frame.set_axis(frame.index[::-1])
    cv = DailyTimeSeriesSplit(2)

    def last_test(*args, **kwargs) -> list[int]:
        return list(cv.split(*args, **kwargs))[-1][1].tolist()

    by_frame, by_other = last_test(frame), last_test(other)
    assert by_frame != by_other
    assert last_test(frame, other["x"]) == by_frame
    assert last_test(frame.to_numpy(), other["x"]) == by_other
    assert last_test(frame, other["x"], groups=days_in(other)) == by_other


def test_days_from_windows() -> None:
    frame = ragged_panel(20)
    windows = build_windows(frame.to_numpy(), frame.index, 3)
    expected = list(DailyTimeSeriesSplit(3).split(frame))
    actual = list(DailyTimeSeriesSplit(3).split(windows))
    for expected_fold, actual_fold in zip(expected, actual, strict=True):
        assert_array_equal(expected_fold[1], actual_fold[1])
        assert windows[actual_fold[1]].index.equals(frame.index[expected_fold[1]])


@pytest.mark.parametrize("groups", [np.arange(12), list(range(12)), np.arange(12.0)])
def test_numbers_are_not_days(groups) -> None:
    frame = ragged_panel(12, max_stocks=1)
    with pytest.raises(TypeError, match=r"groups must hold .* got (int|float)64"):
        next(DailyTimeSeriesSplit(2).split(frame, groups=groups))


def test_unknown_days() -> None:
    with pytest.raises(ValueError, match="trading days of X are not known"):
        next(DailyTimeSeriesSplit(2).split(np.zeros((20, 1)), np.zeros(20)))


def test_groups_of_another_length() -> None:
    frame = ragged_panel(20)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        next(DailyTimeSeriesSplit(2).split(frame, groups=days_in(frame)[:-1]))


@pytest.mark.parametrize(
    ("params", "n_days", "needed"),
    [
        ({"n_splits": 5, "test_size": 1}, 7, 8),
        ({"n_splits": 5, "test_size": 10, "purge": 4}, 20, 55),
        ({"n_splits": 5}, 4, 8),
        # Tests of n_days // 6 = 2 days leave 2 to purge and none to train on.
        ({"n_splits": 5}, 12, 13),
    ],
)
def test_too_few_days(params: dict, n_days: int, needed: int) -> None:
    cv = DailyTimeSeriesSplit(**params)
    with pytest.raises(ValueError, match=rf"needs {needed} trading days; there are {n_days}\."):
        next(cv.split(ragged_panel(n_days)))
    assert len(list(cv.split(ragged_panel(needed)))) == 5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_splits": 1}, "n_splits must be an integer of at least 2; got 1"),
        ({"n_splits": 2.0}, "n_splits must be an integer of at least 2; got 2.0"),
        ({"purge": -1}, "purge must be an integer of at least 0; got -1"),
        ({"purge": None}, "purge must be an integer of at least 0; got None"),
        ({"purge": True}, "purge must be an integer of at least 0; got True"),
        ({"test_size": 0}, "test_size must be an integer of at least 1 or None; got 0"),
        ({"test_size": 0.2}, "test_size must be an integer of at least 1 or None; got 0.2"),
        ({"max_train_size": "5"}, "max_train_size must be an integer of .* or None; got '5'"),
    ],
)
def test_invalid_parameters(params: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DailyTimeSeriesSplit(**params)


def test_is_an_ordinary_cross_validator() -> None:
    cv = DailyTimeSeriesSplit(np.int64(3), max_train_size=5)
    assert repr(DailyTimeSeriesSplit(3, purge=1)) == (
        "DailyTimeSeriesSplit(max_train_size=None, n_splits=3, purge=1, test_size=None)"
    )
    assert repr(pickle.loads(pickle.dumps(cv))) == repr(clone(cv, safe=False)) == repr(cv)
    with pytest.raises(TypeError):
        DailyTimeSeriesSplit(3, 5)


def test_in_cross_validate() -> None:
    frame = ragged_panel(30)
    y = frame["x"] * 2
    cv = DailyTimeSeriesSplit(3)
    kwargs = {"cv": cv, "return_indices": True}
    result = cross_validate(Ridge(), frame, y, **kwargs)
    for (train, test), *used in zip(
        cv.split(frame), result["indices"]["train"], result["indices"]["test"], strict=True
    ):
        assert_array_equal(train, used[0])
        assert_array_equal(test, used[1])
    parallel = cross_val_score(Ridge(), frame.to_numpy(), y, cv=cv, n_jobs=2)
    assert_allclose(parallel, result["test_score"])


def test_in_grid_search() -> None:
    frame = ragged_panel(30)
    noise = np.random.default_rng(1).standard_normal(len(frame)) / 10
    search = GridSearchCV(Ridge(), {"alpha": [1e-3, 1e5]}, cv=DailyTimeSeriesSplit(3))
    search.fit(frame, frame["x"] + noise)
    assert search.best_params_ == {"alpha": 1e-3}
    assert search.n_splits_ == 3


def test_groups_are_routed() -> None:
    frame = ragged_panel(30)
    X, y, days = frame.to_numpy(), frame["x"].to_numpy() ** 2, days_in(frame)
    cv = DailyTimeSeriesSplit(3)
    expected = cross_val_score(Ridge(), frame, y, cv=cv)
    assert_allclose(cross_val_score(Ridge(), X, y, cv=cv, groups=days), expected)
    with config_context(enable_metadata_routing=True):
        routed = cross_val_score(Ridge(), X, y, cv=cv, params={"groups": days})
        assert_allclose(routed, expected)
        renamed = DailyTimeSeriesSplit(3).set_split_request(groups="when")
        routed = cross_val_score(Ridge(), X, y, cv=renamed, params={"when": days})
        assert_allclose(routed, expected)
        search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=cv, scoring=get_scorer("r2"))
        search.fit(X, y, groups=days)
        assert search.best_score_ == pytest.approx(expected.mean())
