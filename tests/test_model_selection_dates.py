"""DateSplit: segments by dates."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from skattn.model_selection import DateSplit

# One row a day, newest first: row positions are not positions in the calendar.
DAYS = pd.bdate_range("2023-06-01", "2024-12-31")[::-1]
SEGMENTS = {
    "train": ("2023-07-03", "2023-12-29"),
    "valid": ("2024-01-01", "2024-03-29"),
    "test": ("2024-05-01", "2024-06-28"),
}


def spans(cv: DateSplit, days: pd.DatetimeIndex = DAYS) -> dict[str, tuple[str, str, int]]:
    """First day, last day and number of days of each segment."""
    chosen = {name: days[rows] for name, rows in cv.segments(days, groups=days).items()}
    return {name: (str(d.min())[:10], str(d.max())[:10], len(d)) for name, d in chosen.items()}


def test_segments() -> None:
    # Only valid follows at once; between valid and test are a month of days without a segment.
    assert spans(DateSplit(**SEGMENTS)) == {
        "train": ("2023-07-03", "2023-12-27", 128),
        "valid": ("2024-01-01", "2024-03-29", 65),
        "test": ("2024-05-01", "2024-06-28", 43),
    }
    assert spans(DateSplit(**SEGMENTS, purge=0))["train"] == ("2023-07-03", "2023-12-29", 130)
    assert spans(DateSplit(**SEGMENTS, purge=25))["valid"] == ("2024-01-01", "2024-03-26", 62)


@settings(max_examples=60, deadline=None)
@given(
    bounds=st.lists(st.integers(0, 59), min_size=6, max_size=6, unique=True).map(sorted),
    purge=st.integers(0, 8),
    evaluate=st.sampled_from([None, "valid", "test"]),
    seed=st.integers(0, 99),
)
def test_against_brute_force(bounds: list[int], purge: int, evaluate, seed: int) -> None:
    calendar = pd.bdate_range("2024-01-01", periods=60)
    rng = np.random.default_rng(seed)
    # Ragged: each day has one to three rows, in any order.
    day = rng.permutation(np.repeat(np.arange(60), rng.integers(1, 4, 60)))
    names = ["train", "valid", "test"]
    pairs = dict(zip(names, zip(bounds[::2], bounds[1::2], strict=True), strict=True))
    segments = {name: tuple(calendar[list(pair)]) for name, pair in pairs.items()}
    cv = DateSplit(**segments, evaluate=evaluate, purge=purge)
    expected = {}
    for name, (first, last) in pairs.items():
        later = [d for other in names[names.index(name) + 1 :] for d in range(pairs[other][0], 60)]
        reached = [d for d in range(first, last + 1) if set(later) & set(range(d, d + purge + 1))]
        rows = np.flatnonzero((day >= first) & (day <= last) & ~np.isin(day, reached))
        expected[name] = rows
    if not all(map(len, expected.values())):
        with pytest.raises(ValueError, match=f"A purge of {purge} leaves no day of the segment"):
            next(cv.split(day, groups=calendar[day]))
        return
    rows = cv.segments(day, groups=calendar[day])
    assert list(rows) == names
    for name in names:
        assert_array_equal(rows[name], expected[name])
    ((train, test),) = cv.split(day, groups=calendar[day])
    assert_array_equal(train, expected["train"])
    assert_array_equal(test, expected[evaluate or "test"])
    assert cv.get_n_splits() == 1


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (("2024-01-01", "2024-03-29"), ("2024-01-01", "2024-03-29", 65)),
        (["20240101", "2024/03/29"], ("2024-01-01", "2024-03-29", 65)),
        (("2024", "2024-03"), ("2024-01-01", "2024-03-29", 65)),
        (("2024-02", "2024"), ("2024-02-01", "2024-12-31", 239)),
        (
            (datetime.date(2024, 1, 1), datetime.datetime(2024, 3, 29, 15)),
            ("2024-01-01", "2024-03-29", 65),
        ),
        (
            (np.datetime64("2024-01-01"), pd.Timestamp("2024-03-29", tz="Asia/Shanghai")),
            ("2024-01-01", "2024-03-29", 65),
        ),
        # No trading days.
        (("2024-03-30", "2024-04-07"), ("2024-04-01", "2024-04-05", 5)),
        (("2024-12-30", None), ("2024-12-30", "2024-12-31", 2)),
    ],
    ids=["text", "digits", "month", "year", "datetime", "numpy, time zone", "weekend", "open"],
)
def test_dates(segment, expected) -> None:
    assert spans(DateSplit((None, "2023-12-31"), test=segment))["test"] == expected


def test_days_with_hours() -> None:
    hours = DAYS + pd.Timedelta(hours=15)
    assert spans(DateSplit(**SEGMENTS), hours)["test"] == ("2024-05-01", "2024-06-28", 43)


def test_evaluate() -> None:
    train, valid, test = SEGMENTS.values()

    def first_tested(cv: DateSplit) -> str:
        ((_, rows),) = cv.split(DAYS, groups=DAYS)
        return str(DAYS[rows].min())[:10]

    assert first_tested(DateSplit(train, valid, test)) == test[0]
    assert first_tested(DateSplit(train, valid, test, evaluate="valid")) == valid[0]
    assert first_tested(DateSplit(train, valid)) == valid[0]
    assert first_tested(DateSplit(train, test=test)) == test[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"valid": ("2023-12-29", "2024-02-01")}, r"common day; got train=.* and valid=\('2023-12"),
        ({"train": (None, None)}, "common day; got train=.None, None. and valid="),
        ({"test": ("2024-03", None)}, "common day; got valid=.* and test="),
        ({"valid": ("2022", "2022")}, "order train, valid, test .* got train=.* and valid="),
        ({"valid": ("2024-02", "2024-01")}, r"valid ends before it begins: \('2024-02', '2024-01'"),
        ({"valid": None, "test": None}, "needs valid or test"),
        ({"valid": None, "evaluate": "valid"}, "evaluate='valid' needs the segment valid"),
        ({"test": None, "evaluate": "test"}, "evaluate='test' needs the segment test"),
        ({"evaluate": "train"}, "evaluate must be 'valid', 'test' or None; got 'train'"),
        ({"train": None}, "train must be a pair .* got None"),
        ({"train": "2023"}, "train must be a pair .* got '2023'"),
        ({"train": ("2022", "2023", "2024")}, "train must be a pair"),
        ({"train": (2022, 2023)}, "train must hold dates, text .* got 2022"),
        ({"train": ("2022", "never")}, "train must hold dates, text .* got 'never'"),
        ({"train": ("2022", pd.NaT)}, "train must hold dates, text .* got NaT"),
        ({"purge": -1}, 'purge must be "auto" or an int of at least 0; got -1'),
    ],
    ids=range(16),
)
def test_invalid_parameters(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DateSplit(**{**SEGMENTS, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"test": ("2025", None)},
            r"segment test=\('2025', None\) has no trading day among the 414 of the data; they go "
            r"from 2023-06-01 to 2024-12-31\. Use other dates, or leave test out of the DateSplit",
        ),
        ({"train": (None, "2022")}, r"train=.* has no trading day .* Use other dates\.$"),
        # A Saturday.
        ({"valid": ("2024-03-30", "2024-03-30")}, "valid=.* has no trading day"),
        (
            {"train": ("2023-12-28", "2023-12-31")},
            "A purge of 2 leaves no day of the segment train=.* has 2 trading days in the data, "
            "before valid begins on 2024-01-01",
        ),
        ({"purge": 500}, "A purge of 500 leaves no day of the segment train"),
    ],
    ids=["after", "before", "weekend", "short", "purge"],
)
def test_segments_without_days(arguments: dict, message: str) -> None:
    cv = DateSplit(**{**SEGMENTS, **arguments})
    with pytest.raises(ValueError, match=message):
        next(cv.split(DAYS, groups=DAYS))
    with pytest.raises(ValueError, match=message):
        cv.segments(DAYS, groups=DAYS)


def test_in_grid_search(market) -> None:
    y = market.label.dropna()
    X = market.signal.reindex(y.index).to_frame()
    cv = DateSplit((None, "2010-05"), ("2010-06", None))
    search = GridSearchCV(Ridge(), {"alpha": [1e-6, 1e6]}, cv=cv).fit(X, y)
    rows = cv.segments(X, y)
    model = Ridge(alpha=1e-6).fit(X.iloc[rows["train"]], y.iloc[rows["train"]])
    expected = model.score(X.iloc[rows["valid"]], y.iloc[rows["valid"]])
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(expected)
