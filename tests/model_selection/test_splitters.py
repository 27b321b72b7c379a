"""Splitters over days: what they promise, against brute force and scikit-learn."""

from __future__ import annotations

import datetime
import pickle
import warnings
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from helpers import days_in, with_purge
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    TimeSeriesSplit,
)

from skattn.model_selection import (
    CombinatorialPurgedDailyKFold,
    DailyTimeSeriesSplit,
    DateSplit,
    PurgedDailyKFold,
)
from skattn.panel import build_windows

SPLITTERS = [
    DailyTimeSeriesSplit(3),
    PurgedDailyKFold(3),
    CombinatorialPurgedDailyKFold(4, 2),
    DateSplit((None, "2024-02-01"), ("2024-02-02", "2024-02-15"), ("2024-02-16", None)),
]


def uneven_panel(n_days: int, seed: int = 0, max_stocks: int = 4) -> pd.DataFrame:
    """Days with 1 to max_stocks rows, all rows shuffled."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, max_stocks + 1, n_days)
    days = pd.bdate_range("2024-01-01", periods=n_days).repeat(sizes)
    stocks = np.concatenate([[f"S{i}" for i in range(size)] for size in sizes])
    index = pd.MultiIndex.from_arrays([days, stocks], names=["datetime", "instrument"])
    frame = pd.DataFrame({"x": rng.standard_normal(len(index))}, index=index)
    return frame.iloc[rng.permutation(len(frame))]


parameters = st.fixed_dictionaries(
    {
        "n_splits": st.integers(2, 6),
        "max_train_size": st.none() | st.integers(1, 10),
        "test_size": st.none() | st.integers(1, 4),
        "purge": st.integers(0, 4),
        "gap": st.integers(0, 2),
        "embargo": st.integers(0, 4),
    }
)


@settings(max_examples=150, deadline=None)
@given(params=parameters, n_days=st.integers(1, 45), seed=st.integers(0, 99))
def test_folds(params: dict, n_days: int, seed: int) -> None:
    frame = uneven_panel(n_days, seed)
    cv = DailyTimeSeriesSplit(**params)
    n_splits, before = params["n_splits"], params["purge"] + params["gap"]
    test_size = params["test_size"] or n_days // (n_splits + 1)
    first_test = n_days - n_splits * test_size
    if test_size == 0 or first_test - before < 1:
        with pytest.raises(ValueError, match=rf"DailyTimeSeriesSplit.*\b{n_days}\b.*test_size"):
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
        # Earlier test sets keep the days after them out of this training set.
        ends = [first_test + j * test_size - 1 for j in range(1, k + 1)]
        days = [
            day
            for day in range(start - before)
            if not any(end < day <= end + params["embargo"] for end in ends)
        ]
        days = days[-(params["max_train_size"] or n_days) :]
        # All rows of exactly these days: no day is cut, on both sides or within the purge.
        assert_array_equal(test, np.flatnonzero(row_days.isin(calendar[start:][:test_size])))
        assert_array_equal(train, np.flatnonzero(row_days.isin(calendar[days])))
        assert len(train) > 0


@pytest.mark.parametrize("purge", [0, 2, 5])
def test_labels_of_training_days_end_before_the_test(purge: int) -> None:
    frame = uneven_panel(40)
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
    frame = uneven_panel(30, max_stocks=1).sort_index()
    ours = list(DailyTimeSeriesSplit(**params, purge=purge).split(frame))
    theirs = list(TimeSeriesSplit(**params, gap=purge).split(frame))
    assert len(ours) == len(theirs)
    for our_fold, their_fold in zip(ours, theirs, strict=True):
        for our_rows, their_rows in zip(our_fold, their_fold, strict=True):
            assert_array_equal(our_rows, their_rows)


@settings(max_examples=40, deadline=None)
@given(
    n_folds=st.integers(2, 6),
    n_test_folds=st.integers(1, 3),
    purge=st.integers(0, 5),
    embargo=st.integers(0, 4),
    n_days=st.integers(1, 45),
    seed=st.integers(0, 99),
)
def test_blocks(n_folds, n_test_folds, purge, embargo, n_days, seed) -> None:
    n_test_folds = min(n_test_folds, n_folds - 1)
    frame = uneven_panel(n_days, seed)
    splitters = [CombinatorialPurgedDailyKFold(n_folds, n_test_folds, purge=purge, embargo=embargo)]
    if n_test_folds == 1:
        splitters.append(PurgedDailyKFold(n_folds, purge=purge, embargo=embargo))
    if n_days < n_folds:
        for cv in splitters:
            message = rf"\b{n_folds}\b.*days.*\b{n_days}\b.*(n_folds|n_splits)"
            with pytest.raises(ValueError, match=message):
                next(cv.split(frame))
        return

    def is_free(day: int, test: np.ndarray) -> bool:
        """The label of a day shares no day with a test day's label, and embargo has passed."""
        return all(day + purge < e or day > e + purge + embargo for e in test)

    blocks = [test for _, test in KFold(n_folds).split(np.arange(n_days))]
    tests = [np.concatenate(chosen) for chosen in combinations(blocks, n_test_folds)]
    trains = [[day for day in range(n_days) if is_free(day, test)] for test in tests]
    empty = [number for number, train in enumerate(trains) if not train]
    row_days = days_in(frame)
    calendar = row_days.unique().sort_values()
    for cv in splitters:
        if empty:
            # Before the first fold, whichever it is that cannot be.
            with pytest.raises(ValueError, match=rf"\bfold {empty[0]}\b.*\bpurge\b"):
                next(cv.split(frame))
            continue
        folds = list(cv.split(frame))
        assert len(folds) == cv.get_n_splits() == len(tests)
        for (train, test), train_days, test_days in zip(folds, trains, tests, strict=True):
            # All rows of the days, so that all stocks of a day are on one side.
            assert_array_equal(train, np.flatnonzero(row_days.isin(calendar[train_days])))
            assert_array_equal(test, np.flatnonzero(row_days.isin(calendar[test_days])))
        times_tested = np.bincount(np.concatenate([test for _, test in folds]))
        assert (times_tested == comb(n_folds - 1, n_test_folds - 1)).all()


@pytest.mark.parametrize("cv", SPLITTERS, ids=lambda cv: type(cv).__name__)
def test_row_order_does_not_matter(cv) -> None:
    frame = uneven_panel(45)
    ordered = frame.sort_index()
    folds = zip(cv.split(frame), cv.split(ordered), strict=True)
    for shuffled_fold, ordered_fold in folds:
        for rows, ordered_rows in zip(shuffled_fold, ordered_fold, strict=True):
            assert set(frame.index[rows]) == set(ordered.index[ordered_rows])


def days_of_folds(cv, frame: pd.DataFrame, y=None) -> list[list[str]]:
    return [
        [" ".join(days_in(frame)[rows].unique().sort_values().strftime("%m%d")) for rows in fold]
        for fold in cv.split(frame, y)
    ]


@pytest.mark.parametrize("cv", SPLITTERS, ids=lambda cv: type(cv).__name__)
def test_purge_is_the_reach_of_the_label(cv) -> None:
    frame = uneven_panel(45)
    y = frame["x"].copy()
    usual, longer = (days_of_folds(with_purge(cv, purge), frame) for purge in (2, 4))
    assert usual != longer
    assert days_of_folds(cv, frame) == days_of_folds(cv, frame, y) == usual
    assert days_of_folds(cv, frame, y.to_numpy()) == usual
    y.attrs["reach"] = 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert days_of_folds(cv, frame, y) == longer
        assert days_of_folds(with_purge(cv, 4), frame, y) == longer
    with pytest.warns(UserWarning, match=r"\b4\b.*purge=2\b") as caught:
        assert days_of_folds(with_purge(cv, 2), frame, y) == usual
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("cv", SPLITTERS, ids=lambda cv: type(cv).__name__)
def test_copies_are_equal(cv) -> None:
    assert repr(pickle.loads(pickle.dumps(cv))) == repr(clone(cv, safe=False)) == repr(cv)
    assert repr(eval(repr(cv))) == repr(cv)
    assert str(cv).startswith(f"{cv!r}: ")


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
    frame = uneven_panel(20)
    expected = DailyTimeSeriesSplit(3).split(frame)
    actual = DailyTimeSeriesSplit(3).split(frame.to_numpy(), groups=make(days_in(frame)))
    for expected_fold, actual_fold in zip(expected, actual, strict=True):
        assert_array_equal(expected_fold[0], actual_fold[0])
        assert_array_equal(expected_fold[1], actual_fold[1])


def test_days_come_from_groups_then_x_then_y() -> None:
    frame = uneven_panel(20, max_stocks=1)
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
    frame = uneven_panel(20)
    windows = build_windows(frame.to_numpy(), frame.index, 3)
    expected = list(DailyTimeSeriesSplit(3).split(frame))
    actual = list(DailyTimeSeriesSplit(3).split(windows))
    for expected_fold, actual_fold in zip(expected, actual, strict=True):
        assert_array_equal(expected_fold[1], actual_fold[1])
        assert windows[actual_fold[1]].index.equals(frame.index[expected_fold[1]])


@pytest.mark.parametrize("groups", [np.arange(12), list(range(12)), np.arange(12.0)])
def test_numbers_are_not_days(groups) -> None:
    frame = uneven_panel(12, max_stocks=1)
    with pytest.raises(TypeError, match=r"groups.*\b(int|float)64\b"):
        next(DailyTimeSeriesSplit(2).split(frame, groups=groups))


def test_unknown_days() -> None:
    with pytest.raises(ValueError, match=r"\bX\b.*datetime.*\bdays\b"):
        next(DailyTimeSeriesSplit(2).split(np.zeros((20, 1)), np.zeros(20)))


def test_groups_of_another_length() -> None:
    frame = uneven_panel(20)
    with pytest.raises(ValueError, match=rf"\b{len(frame)}, {len(frame) - 1}\b"):
        next(DailyTimeSeriesSplit(2).split(frame, groups=days_in(frame)[:-1]))


@pytest.mark.parametrize(
    ("params", "n_days", "needed"),
    [
        ({"n_splits": 5, "test_size": 1}, 7, 8),
        ({"n_splits": 5, "test_size": 10, "purge": 4}, 20, 55),
        ({"n_splits": 5}, 4, 8),
        # Tests of n_days // 6 = 2 days leave 2 to purge and none to train on.
        ({"n_splits": 5}, 12, 13),
        ({"n_splits": 5, "gap": 1}, 13, 14),
        # A purge longer than the data.
        ({"n_splits": 5, "purge": 100}, 20, 581),
    ],
)
def test_too_few_days(params: dict, n_days: int, needed: int) -> None:
    cv = DailyTimeSeriesSplit(**params)
    with pytest.raises(ValueError, match=rf"\b{needed}\b.*\b{n_days}\b.*test_size"):
        next(cv.split(uneven_panel(n_days)))
    assert len(list(cv.split(uneven_panel(needed)))) == 5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_splits": 1}, r"n_splits.*\b1\b"),
        ({"n_splits": 2.0}, r"n_splits.*\b2\.0\b"),
        ({"purge": -1}, r"purge.*-1\b"),
        ({"purge": None}, r"purge.*\bNone\b"),
        ({"purge": True}, r"purge.*\bTrue\b"),
        ({"test_size": 0}, r"test_size.*\b0\W*$"),
        ({"test_size": 0.2}, r"test_size.*\b0\.2\b"),
        ({"max_train_size": "5"}, r"max_train_size.*'5'"),
    ],
)
def test_invalid_parameters(params: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DailyTimeSeriesSplit(**params)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PurgedDailyKFold(1), r"n_splits.*\b1\b"),
        (lambda: PurgedDailyKFold(purge=1.5), r"purge.*\b1\.5\b"),
        (lambda: PurgedDailyKFold(purge="none"), r"purge.*'none'"),
        (lambda: PurgedDailyKFold(embargo=-1), r"embargo.*-1\b"),
        (lambda: DailyTimeSeriesSplit(gap=-1), r"gap.*-1\b"),
        (lambda: DailyTimeSeriesSplit(embargo=None), r"embargo.*\bNone\b"),
        (lambda: CombinatorialPurgedDailyKFold(1), r"n_folds.*\b1\b"),
        (lambda: CombinatorialPurgedDailyKFold(5, 0), r"n_test_folds.*\b0\b"),
        (lambda: CombinatorialPurgedDailyKFold(5, 5), r"n_test_folds.*n_folds=5\b.*\b5\b"),
        (
            lambda: CombinatorialPurgedDailyKFold(30, 9),
            r"n_folds=30\b.*n_test_folds=9\b.*14,307,150",
        ),
    ],
    ids=range(10),
)
def test_invalid_parameters_of_others(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_no_day_to_train_on_says_why() -> None:
    cv = PurgedDailyKFold(3, purge=3, embargo=1)
    message = (
        r"\bfold 1\b.*2024-01-04.*2024-01-08.*\b9\b.*\b3\b.*\b6\b.*\bpurge\b.*\b3\b.*"
        r"\bpurge\b.*\bembargo\b"
    )
    with pytest.raises(ValueError, match=message):
        next(cv.split(uneven_panel(9)))


def test_is_an_ordinary_cross_validator() -> None:
    cv = DailyTimeSeriesSplit(np.int64(3), max_train_size=5)
    assert cv.get_n_splits() == 3
    with pytest.raises(TypeError):
        DailyTimeSeriesSplit(3, 5)


ENDS = pd.Series(pd.bdate_range("2024-01-01", periods=900))


@pytest.mark.parametrize(
    ("cv", "text"),
    [
        (DailyTimeSeriesSplit(), "DailyTimeSeriesSplit()"),
        (DailyTimeSeriesSplit(5, purge=1, gap=0), "DailyTimeSeriesSplit(purge=1)"),
        (PurgedDailyKFold(3, embargo=0.1), "PurgedDailyKFold(n_splits=3, embargo=0.1)"),
        (
            CombinatorialPurgedDailyKFold(embargo=pd.Timedelta(days=5)),
            "CombinatorialPurgedDailyKFold(embargo=Timedelta('5 days 00:00:00'))",
        ),
        (PurgedDailyKFold(purge=ENDS), "PurgedDailyKFold(purge=<900 last days>)"),
        (
            DateSplit(pd.to_datetime(["2020-01-01", "2020-12-31"]), test=["2021", None]),
            "DateSplit(train=('2020-01-01', '2020-12-31'), test=('2021', None))",
        ),
        (
            DateSplit((np.datetime64("2020-01-01"), datetime.date(2020, 12, 31)), ("2021", None)),
            "DateSplit(train=('2020-01-01', '2020-12-31'), valid=('2021', None))",
        ),
    ],
    ids=range(7),
)
def test_repr_is_the_call_with_what_differs_from_defaults(cv, text: str) -> None:
    assert repr(cv) == text
    assert str(cv).startswith(f"{text}: ")
    if "<" not in text:
        again = eval(text, {**globals(), "Timedelta": pd.Timedelta})
        assert repr(again) == text


def test_repr_with_every_parameter() -> None:
    with config_context(print_changed_only=False):
        assert repr(DailyTimeSeriesSplit(3, purge=1)) == (
            "DailyTimeSeriesSplit(n_splits=3, max_train_size=None, test_size=None, purge=1, "
            "gap=0, embargo=0)"
        )
        assert repr(DateSplit(("2020", "2020"), test=("2021", None))) == (
            "DateSplit(train=('2020', '2020'), valid=None, test=('2021', None), evaluate=None, "
            "purge='auto')"
        )


def test_in_grid_search() -> None:
    frame = uneven_panel(30)
    noise = np.random.default_rng(1).standard_normal(len(frame)) / 10
    search = GridSearchCV(Ridge(), {"alpha": [1e-3, 1e5]}, cv=DailyTimeSeriesSplit(3))
    search.fit(frame, frame["x"] + noise)
    assert search.best_params_ == {"alpha": 1e-3}
    assert search.n_splits_ == 3
