"""Checks of an index, and what is read from it: days, instruments, codes, and rows that agree."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import CALENDAR, KEYS, index_of, ragged_panel, ragged_windows, scrambled
from numpy.testing import assert_array_equal
from pandas.testing import assert_index_equal

from skattn.panel import align_y, check_index, days_of, instruments_of
from skattn.panel.internal import level_codes

# check_index ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [["datetime", "instrument"], ["instrument", "datetime"]])
def test_check_index_takes_rows_and_levels_in_any_order(order):
    index = index_of([(3, 1), (0, 0), (5, 1), (0, 1)]).reorder_levels(order)
    assert check_index(index) is index


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (pd.RangeIndex(3), "RangeIndex.*from_long"),
        (pd.DatetimeIndex(CALENDAR, name="datetime"), r"DatetimeIndex.*\['datetime'\]"),
        (index_of([(0, 0)]).set_names(["date", "instrument"]), r"\['date', 'instrument'\]"),
        (index_of([(0, 0)]).set_names([None, None]), "MultiIndex.*MultiIndex"),
        (
            pd.MultiIndex.from_tuples([("2024-01-02", "A")], names=KEYS),
            "'datetime'.*'2024-01-02'",
        ),
        (
            pd.MultiIndex.from_tuples([(20240102, "A")], names=KEYS),
            "'datetime'.*int64.*20240102",
        ),
        (
            pd.MultiIndex.from_arrays([[pd.NaT, *CALENDAR[:1]], ["A", "A"]], names=KEYS),
            r"'datetime'.*\b0\b",
        ),
        (
            pd.MultiIndex.from_arrays([CALENDAR[:5], ["A", None, None, None, None]], names=KEYS),
            r"'instrument'.*1, 2, 3, \.\.\.",
        ),
        (
            index_of([(1, 0), (1, 0), (2, 3), (1, 0), (2, 3)]),
            r"\(2024-01-03, 'S0'\).*\(2024-01-04, 'S3'\)",
        ),
        (
            index_of([(d, 0) for d in range(5)] * 2),
            r"\b5\b.*\(2024-01-04, 'S0'\), \.\.\.",
        ),
        (
            index_of([(1, 0), (1, 0)]).swaplevel(),
            r"\b1\b.*\(2024-01-03, 'S0'\)",
        ),
    ],
)
def test_check_index_names_what_is_wrong(index, message):
    with pytest.raises(ValueError, match=message):
        check_index(index)
    with pytest.raises(ValueError, match="prices"):
        check_index(index, "prices")


def test_check_index_refuses_a_third_level():
    index = pd.MultiIndex.from_arrays(
        [CALENDAR[[0, 0]], ["A", "A"], ["NYSE", "LSE"]], names=[*KEYS, "venue"]
    )
    with pytest.raises(ValueError, match="'venue'"):
        check_index(index)


# days_of, instruments_of, align_y, level_codes --------------------------------------------------


@pytest.mark.parametrize(
    "days",
    [
        ["2024-01-02 16:00", "2024-01-03 00:00"],
        ["20240102", "20240103"],
        [dt.date(2024, 1, 2), dt.date(2024, 1, 3)],
        np.array(["2024-01-02T09:30", "2024-01-03T16:00"], dtype="datetime64[s]"),
        pd.Series(pd.to_datetime(["2024-01-02 23:59", "2024-01-03 00:00"]), index=[5, 5]),
        pd.to_datetime(["2024-01-02 23:00", "2024-01-03 01:00"]).tz_localize("America/New_York"),
        pd.Categorical(["2024-01-02", "2024-01-03"]),
        index_of([(0, 0), (1, 0)]),
        index_of([(0, 0), (1, 0)]).swaplevel(),
    ],
)
def test_days_are_midnights(days):
    result = days_of(days)
    assert isinstance(result, pd.DatetimeIndex)
    assert result.tz is None
    assert result.tolist() == [pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-03")]


def test_days_come_from_the_first_carrier_that_knows():
    table, later = ragged_panel(), ragged_panel(seed=1)
    expected = table.index.get_level_values("datetime")
    assert_index_equal(days_of(None, None, np.ones(3), table, later), expected, check_names=False)
    assert_index_equal(days_of(None, table["a"]), expected, check_names=False)
    assert_index_equal(days_of(None, ragged_windows()), expected, check_names=False)
    assert days_of(CALENDAR, table).tolist() == CALENDAR.tolist()


def test_days_that_nobody_knows():
    assert days_of(None, np.ones(3), required=False) is None
    with pytest.raises(ValueError, match=r"y_true.*from_long"):
        days_of(None, np.ones(3), pd.Series([1.0]), what="y_true")


@pytest.mark.parametrize(
    "days",
    [
        [20240102, 20240103],
        np.array([0.0, 1.0]),
        pd.Series([20240102], dtype="Int64"),
        pd.Series([20240102, 20240103], dtype=object),
        np.array([20240102, "2024-01-03"], dtype=object),
        np.array([20240102.0, None], dtype=object),
        np.array([20240102, 20240103.0], dtype=object),
        np.array([Decimal("20240102")], dtype=object),
        pd.Categorical([20240102, 20240103]),
        np.array([True, False]),
    ],
)
def test_days_are_never_numbers(days):
    with pytest.raises(TypeError, match=r"\bdays\b.*(20240102|0\.|True)"):
        days_of(days)


def test_days_that_cannot_be_read():
    with pytest.raises(TypeError, match=r"days.*tomorrow"):
        days_of(["tomorrow-ish"])
    with pytest.raises(ValueError, match=r"day.*\b1, 3\b"):
        days_of(["2024-01-02", None, "2024-01-03", pd.NaT])


@pytest.mark.parametrize("days", ["2024-01-02", [["2024-01-02"]], pd.DataFrame({"d": CALENDAR})])
def test_days_are_one_date_a_row(days):
    with pytest.raises(ValueError, match=r"(?s)days.*2024-01-02"):
        days_of(days)


def test_instruments_follow_the_index():
    table = ragged_panel()
    expected = table.index.get_level_values("instrument")
    for source in (table, table["a"], ragged_windows(), table.swaplevel()):
        assert_index_equal(instruments_of(source), expected)
    assert instruments_of(np.ones(3)) is None
    assert instruments_of(pd.Series([1.0])) is None


def test_align_y_finds_the_row_that_differs():
    X = ragged_panel()
    align_y(X, X["a"])
    align_y(X, X["a"].copy().set_axis(X.index.copy()))
    align_y(ragged_windows(), X["a"])
    # Without two indexes nothing can be said; other lengths are scikit-learn's to report.
    align_y(X, X["a"].to_numpy())
    align_y(X.to_numpy(), X["a"])
    align_y(X, X["a"].iloc[:3])
    y = X["a"].iloc[[0, 1, 3, 2, *range(4, len(X))]]
    with pytest.raises(ValueError, match=r"\b2\b.*y\.reindex"):
        align_y(X, y)
    with pytest.raises(ValueError, match=r"X_val.*y_val"):
        align_y(ragged_windows(), y, ("X_val", "y_val"))


def test_align_y_takes_levels_in_any_order():
    X = ragged_panel()
    align_y(X, X["a"].swaplevel())


def test_level_codes_number_the_values_that_occur():
    index = index_of([(5, 2), (0, 10), (3, 2), (0, 1), (1, 0)])[:4]
    assert scrambled(index).equals(index)
    for levels in (index, index.swaplevel(), *(scrambled(index, seed) for seed in range(5))):
        for level in KEYS:
            codes, values = level_codes(levels, level)
            expected, uniques = pd.factorize(index.get_level_values(level), sort=True)
            assert_array_equal(codes, expected)
            assert_index_equal(values, uniques, check_names=False)


def test_level_codes_names_the_types_that_have_no_order():
    index = pd.MultiIndex.from_product([CALENDAR[:2], [1, "A"]], names=KEYS)
    with pytest.raises(TypeError, match=r"'instrument'.*int, str"):
        level_codes(index, "instrument")


def test_days_that_are_tensors_masked_or_none_at_all():
    for numbers in (torch.tensor([20240102]), pl.Series([20240102])):
        with pytest.raises(TypeError, match=r"days must be dates; got numbers"):
            days_of(numbers)
    dates = np.array(["2024-01-02", "2024-01-03"], "datetime64[D]")
    with pytest.raises(ValueError, match=r"missing in 1 row: 1"):
        days_of(np.ma.masked_array(dates, [False, True]))
    pd.testing.assert_index_equal(days_of(pl.Series(dates)), pd.DatetimeIndex(dates))
    assert len(days_of([])) == 0
