"""What Alpha360 knows of the days before its rows, and what it says where it does not."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import KEYS, assert_same_bits, days_in, ragged_prices
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skattn.preprocessing import Alpha360

CUTS = st.integers(1, 13)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10**6),
    CUTS,
    st.integers(1, 9),
    st.sampled_from(["later", "today", "one stock"]),
    st.sampled_from(["windows", "columns"]),
)
def test_later_rows_look_back_into_the_fitted_days(seed, cut, length, what, layout):
    table = ragged_prices(seed=seed, share=0.9)
    calendar = days_in(table).unique().sort_values()
    cut = min(cut, len(calendar) - 1)
    history = table[days_in(table) < calendar[cut]]
    rows = days_in(table) >= calendar[cut]
    if what != "later":
        rows &= days_in(table) == calendar[cut]
    if what == "one stock":
        rows &= np.arange(len(table)) == np.flatnonzero(rows)[0]
    transformer = Alpha360(length=length, vwap="typical", layout=layout)
    expected = np.asarray(transformer.fit_transform(table))[rows]
    transformer.fit(history)
    assert_same_bits(transformer.transform(table[rows]), expected)
    # Nothing is learned in transform.
    assert_same_bits(transformer.transform(table[rows]), expected)
    # With everything at hand, memory changes nothing.
    assert_same_bits(np.asarray(transformer.transform(table))[rows], expected)


def test_history_holds_the_windows_of_the_last_days():
    table = ragged_prices(share=1.0)
    calendar = days_in(table).unique().sort_values()
    history = Alpha360(length=5).fit(table).history_
    assert days_in(history).unique().sort_values().tolist() == calendar[-9:].tolist()
    assert len(Alpha360(length=60).fit(table).history_) == len(table)
    assert Alpha360(length=1).fit(table).history_ is None


def test_a_stock_absent_from_the_last_fitted_days_is_padded():
    table = ragged_prices(n_days=10, share=1.0, missing=0.0).sort_index()
    calendar = days_in(table).unique().sort_values()
    absent = (table.index.get_level_values("instrument") == "S1") & np.isin(
        days_in(table), calendar[6:9]
    )
    table = table[~absent]
    transformer = Alpha360(["close"], length=6).fit(table[days_in(table) < calendar[9]])
    today = table[days_in(table) == calendar[9]]
    window = np.asarray(transformer.transform(today))[1, :, 0]
    assert np.isnan(window).tolist() == [False, False, True, True, True, False]
    assert_same_bits(
        transformer.transform(today),
        np.asarray(Alpha360(["close"], length=6).fit_transform(table))[-4:],
    )


def test_corrected_rows_count_where_memory_knows_others():
    table = ragged_prices(share=1.0, missing=0.0).sort_index()
    today = days_in(table) == days_in(table).max()
    corrected = table * np.where(today, 2.0, 1.0)[:, None]
    transformer = Alpha360(["close"], length=4).fit(table)
    expected = np.asarray(Alpha360(["close"], length=4).fit_transform(corrected))[today]
    # The fitted days were length - 1 with today's, so that the oldest step is out of reach.
    assert_same_bits(np.asarray(transformer.transform(corrected[today]))[:, 1:], expected[:, 1:])


@pytest.mark.filterwarnings("ignore:X begins at")
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.sets(st.integers(0, 13), min_size=1))
def test_some_rows_of_the_fitted_days_are_padded_never_spliced(seed, length, chosen):
    table = ragged_prices(seed=seed)
    transformer = Alpha360(["close", "volume"], length=length).fit(table)
    calendar = days_in(table).unique().sort_values()
    assert transformer.calendar_.equals(calendar)
    rows = np.isin(days_in(table), calendar[[day % len(calendar) for day in chosen]])
    full = np.asarray(transformer.transform(table))[rows]
    some = np.asarray(transformer.transform(table[rows]))
    known = ~np.isnan(some)
    assert_array_equal(some[known], full[known])
    assert_array_equal(some[:, -1], full[:, -1])


@pytest.mark.filterwarnings("ignore:X begins at")
def test_old_rows_of_the_fitted_days_are_padded_never_spliced():
    table = ragged_prices(n_days=30, share=1.0, missing=0.0).sort_index()
    calendar = days_in(table).unique()
    transformer = Alpha360(["close"], length=5).fit(table)
    rows = np.isin(days_in(table), calendar[[5, 27]])
    some = np.asarray(transformer.transform(table[rows]))
    assert np.isnan(some[0, :, 0]).tolist() == [True, True, True, True, False]
    full = np.asarray(transformer.transform(table))
    assert_array_equal(some[-1], full[rows][-1])
    assert not np.isnan(some[-1]).any()


def weekdays(n_days=40, start="2024-01-01", hour=0, zone=None) -> pd.DataFrame:
    """Two stocks that trade on every weekday, at prices that never repeat."""
    days = pd.bdate_range(start, periods=n_days) + pd.Timedelta(hours=hour)
    days = days if zone is None else days.tz_localize(zone).tz_convert("UTC")
    index = pd.MultiIndex.from_product([days, ["A", "B"]], names=KEYS)
    return pd.DataFrame({"close": np.arange(1.0, 2 * n_days + 1)}, index)


@pytest.mark.filterwarnings("error")
@settings(max_examples=8, deadline=None)
@given(st.integers(4, 18), st.integers(6, 20), st.integers(1, 25))
def test_days_that_the_index_knows_after_the_fit_are_missing(last, gap, length):
    table = weekdays()
    calendar = days_in(table).unique()
    later = days_in(table) > calendar[last + gap]
    transformer = Alpha360(length=length, fields=["close"]).fit(
        table[days_in(table) <= calendar[last]]
    )
    missing = days_in(table).isin(calendar[last + 1 : last + gap + 1])
    expected = np.asarray(
        Alpha360(length=length, fields=["close"]).fit_transform(table.mask(missing[:, None]))
    )[later]
    assert_same_bits(transformer.transform(table[later]), expected)


@pytest.mark.filterwarnings("error")
def test_days_missing_after_the_fit_are_padded_where_fitted_days_come_again():
    table = weekdays()
    calendar = days_in(table).unique()
    transformer = Alpha360(["close"], length=10).fit(table[days_in(table) <= calendar[9]])
    again = (days_in(table) >= calendar[9]) & ~days_in(table).isin(calendar[10:16])
    windows = transformer.transform(table[again])
    assert np.isnan(windows[2, :, 0]).tolist() == [False] * 3 + [True] * 6 + [False]


@pytest.mark.filterwarnings("error")
def test_a_weekend_is_no_gap():
    table = weekdays()
    calendar = days_in(table).unique()
    transformer = Alpha360(["close"], length=4).fit(table[days_in(table) <= calendar[4]])
    assert calendar[4].day_name() == "Friday"
    assert not np.isnan(transformer.transform(table[days_in(table) == calendar[5]])).any()


@pytest.mark.filterwarnings("error")
def test_pauses_like_those_of_the_fitted_days_are_no_gaps():
    days = pd.date_range("2020-01-31", periods=12, freq="ME")
    index = pd.MultiIndex.from_product([days, ["A"]], names=KEYS)
    monthly = pd.DataFrame({"close": np.arange(1.0, 13)}, index)
    expected = np.asarray(Alpha360(["close"], length=4).fit_transform(monthly))
    transformer = Alpha360(["close"], length=4).fit(monthly[:9])
    assert_same_bits(transformer.transform(monthly[9:]), expected[9:])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("start", ["2024-02-26", "2024-10-21"])
def test_missing_days_when_the_clock_changes(start):
    # The close of New York is 21:00 UTC in winter, 20:00 in summer.
    table = weekdays(30, start, hour=16, zone="America/New_York")
    calendar = days_in(table).unique()
    transformer = Alpha360(["close"], length=10).fit(table[days_in(table) <= calendar[9]])
    windows = transformer.transform(table[days_in(table) > calendar[16]])
    assert np.isnan(windows[0, :, 0]).tolist() == [False] * 2 + [True] * 7 + [False]


def test_rows_whose_past_is_not_remembered_are_reported():
    table = weekdays()
    calendar = days_in(table).unique()
    transformer = Alpha360(["close"], length=6).fit(table)
    with pytest.warns(UserWarning, match=r"2024-01-15.*\b11\b"):
        transformer.transform(table[days_in(table) >= calendar[10]])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("length", [6, 60])
def test_rows_whose_past_is_known_are_not_reported(length):
    table = weekdays()
    calendar = days_in(table).unique()
    transformer = Alpha360(["close"], length=length).fit(table[days_in(table) < calendar[30]])
    transformer.transform(table)
    transformer.transform(table[days_in(table) >= calendar[30]])
    if length == 60:
        transformer.transform(table[days_in(table) >= calendar[3]])


@pytest.mark.parametrize("day", [0, 1, 20, 28, 32, 33, 34, 35, 37, 39])
def test_fitted_days_have_their_whole_window_or_a_warning(day):
    table = weekdays()
    today = days_in(table) == days_in(table).unique()[day]
    transformer = Alpha360(["close"], length=6).fit(table)
    full = np.asarray(transformer.transform(table))[today]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        some = np.asarray(transformer.transform(table[today]))
    assert len(caught) == (not np.array_equal(some, full, equal_nan=True))
    assert len(caught) == (0 < day < 34)


def test_windows_that_are_built_before_splitting_are_exact():
    table = ragged_prices(n_days=30)
    windows = Alpha360(length=5).fit_transform(table)
    test = days_in(table) >= days_in(table).unique().sort_values()[20]
    assert_same_bits(windows[test], np.asarray(windows)[test])


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_stocks_have_one_time_stamp_a_day(zone):
    late = weekdays(5, hour=15).xs("A", level="instrument", drop_level=False)
    mixed = pd.concat([weekdays(5).xs("B", level="instrument", drop_level=False), late])
    mixed = mixed if zone is None else mixed.tz_localize(zone, level="datetime")
    with pytest.raises(ValueError, match=r"2024-01-01.*15:00"):
        Alpha360(["close"]).fit(mixed)
    with pytest.raises(ValueError, match=r"2024-01-01.*15:00"):
        Alpha360(["close"]).fit(
            late if zone is None else late.tz_localize(zone, level="datetime")
        ).transform(mixed)


def test_bars_of_a_day_are_steps():
    stamps = pd.DatetimeIndex([f"2024-01-0{day} {hour}:00" for day in (2, 3) for hour in (10, 11)])
    index = pd.MultiIndex.from_product([stamps, ["A", "B"]], names=KEYS)
    windows = Alpha360(["close"], length=4).fit_transform(
        pd.DataFrame({"close": np.arange(1.0, 9)}, index)
    )
    assert_allclose(windows[-1, :, 0], np.array([2, 4, 6, 8]) / 8)


def test_a_day_is_one_step_whatever_its_time_of_day():
    table, stamped = weekdays(), weekdays(hour=15)
    transformer = Alpha360(["close"], length=6).fit(table)
    expected = np.asarray(transformer.transform(table))[-2:]
    try:
        windows = transformer.transform(stamped[-10:])
    except ValueError:
        return
    assert_same_bits(np.asarray(windows)[-2:, 1:], expected[:, 1:])


@pytest.mark.filterwarnings("error")
def test_a_long_pause_after_the_fit_is_missing_not_spliced():
    table = weekdays(60)
    days = table.index.get_level_values("datetime")
    calendar = days.unique()
    transformer = Alpha360(["close"], length=20).fit(table[days <= calendar[29]])
    windows = np.asarray(transformer.transform(table[days >= calendar[38]]))[:, :, 0]
    full = np.asarray(transformer.transform(table))[days >= calendar[38], :, 0]
    known = ~np.isnan(windows)
    assert_array_equal(windows[known], full[known])
    assert_array_equal(known[0], [*[True] * 11, *[False] * 8, True])


def test_rows_whose_past_is_forgotten_are_warned_of():
    table = weekdays(60)
    days = table.index.get_level_values("datetime")
    transformer = Alpha360(["close"], length=10).fit(table)
    with pytest.warns(UserWarning, match=r"2024-02-12.*\b19\b"):
        transformer.transform(table[days == days.unique()[30]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer.transform(table)
        transformer.transform(table[days == days.unique()[-1]])


def test_two_time_stamps_on_one_day():
    table = weekdays(10)
    stamps = table.index.get_level_values("datetime") + pd.to_timedelta(
        np.where(table.index.get_level_values("instrument") == "A", 15, 16), unit="h"
    )
    index = pd.MultiIndex.from_arrays(
        [stamps, table.index.get_level_values("instrument")], names=table.index.names
    )
    with pytest.raises(ValueError, match=r"2024-01-01.*15:00"):
        Alpha360(["close"]).fit(table.set_axis(index))
    # Several bars a day of every stock are bars, not days.
    later = index.set_levels(index.levels[0] + pd.Timedelta(hours=2), level=0)
    bars = pd.concat([table.set_axis(index), table.set_axis(later)])
    assert Alpha360(["close"], length=2).fit_transform(bars).shape == (40, 2, 1)


@pytest.mark.filterwarnings("error")
def test_a_short_fit_does_not_know_the_weekdays():
    table = weekdays(30)
    days = table.index.get_level_values("datetime")
    calendar = days.unique()
    transformer = Alpha360(["close"], length=20).fit(table[days <= calendar[1]])
    windows = transformer.transform(table[days >= calendar[16]])
    assert np.isnan(windows[0, :, 0]).tolist() == [*[True] * 3, *[False] * 2, *[True] * 14, False]


@pytest.mark.filterwarnings("error")
def test_days_and_hours_of_other_markets_are_no_steps():
    """A table that was cut out of one with weekends, and with bars of the day."""
    stamps = pd.date_range("2024-01-01 15:00", periods=40)
    stamps = stamps.append(stamps + pd.Timedelta(hours=1)).sort_values()
    index = pd.MultiIndex.from_product([stamps, ["A"]], names=KEYS)
    table = pd.DataFrame({"close": np.arange(1.0, 81)}, index)
    closes = (days_in(table).hour == 16) & (days_in(table).day_of_week < 5)
    table = table[closes]
    assert len(table.index.levels[0]) > 2 * len(table)
    expected = np.asarray(Alpha360(["close"], length=5).fit_transform(table))
    transformer = Alpha360(["close"], length=5).fit(table[:20])
    assert days_in(table)[20].day_name() == "Monday"
    assert_same_bits(transformer.transform(table[20:]), expected[20:])
