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
        with pytest.raises(ValueError, match=rf"\bpurge\b.*\b{purge}\b.*\bsegment (train|valid)="):
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
        ({"valid": ("2023-12-29", "2024-02-01")}, r"\btrain=.*\bvalid=\('2023-12-29"),
        ({"train": (None, None)}, r"\btrain=\(None, None\).*\bvalid="),
        ({"test": ("2024-03", None)}, r"\bvalid=.*\btest=\('2024-03', None"),
        ({"valid": ("2022", "2022")}, r"\btrain=.*\bvalid=\('2022', '2022'"),
        ({"valid": ("2024-02", "2024-01")}, r"\bvalid\b.*\('2024-02', '2024-01'"),
        ({"valid": None, "test": None}, r"DateSplit.*\bvalid\b.*\btest\b.*\bNone\b"),
        ({"valid": None, "evaluate": "valid"}, r"evaluate='valid'.*\bvalid\b.*\bNone\b"),
        ({"test": None, "evaluate": "test"}, r"evaluate='test'.*\btest\b.*\bNone\b"),
        ({"evaluate": "train"}, r"evaluate.*'train'"),
        ({"train": None}, r"train.*\bNone\W*$"),
        ({"train": "2023"}, r"train.*'2023'"),
        ({"train": ("2022", "2023", "2024")}, r"train.*\('2022', '2023', '2024'\)"),
        ({"train": (2022, 2023)}, r"train.*\b2022\W*$"),
        ({"train": ("2022", "never")}, r"train.*'never'"),
        ({"train": ("2022", pd.NaT)}, r"train.*\bNaT\b"),
        ({"purge": -1}, r"purge.*-1\b"),
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
            r"\btest=\('2025', None\).*\b414\b.*2023-06-01.*2024-12-31.*\btest\b.*DateSplit",
        ),
        ({"train": (None, "2022")}, r"\btrain=\(None, '2022'\)(?!.*\btrain\b)"),
        # A Saturday.
        ({"valid": ("2024-03-30", "2024-03-30")}, r"\bvalid=\('2024-03-30'.*\b414\b"),
        (
            {"train": ("2023-12-28", "2023-12-31")},
            r"\bpurge\b.*\b2\b.*\btrain=.*\b2\b.*\bvalid\b.*2024-01-01",
        ),
        ({"purge": 500}, r"\bpurge\b.*\b500\b.*\btrain="),
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


@pytest.mark.parametrize("bound", ["06.2014", "0630", "04.2014"])
def test_a_month_that_could_be_a_year_is_refused(bound):
    with pytest.raises(ValueError, match=r"train must hold dates"):
        DateSplit(train=(bound, "2014-12"), test=("2015", None))
