"""Transformers against slow, independent implementations, and hunted for look-ahead."""

from __future__ import annotations

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_index_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skattn.panel import WindowArray, from_long
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    RobustZScore,
    RollingWindow,
    SequenceReshaper,
)

LEVELS = ["datetime", "instrument"]
DAY = "datetime"
OHLCV = ["open", "high", "low", "close", "volume"]
QLIB_ORDER = ("close", "open", "high", "low", "vwap", "volume")
nan = np.nan


def prices(n_days=14, n_stocks=4, share=0.85, seed=0, missing=0.05, zone=None) -> pd.DataFrame:
    """A ragged, shuffled market in which values are missing or zero."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=n_days, tz=zone, name=DAY)
    index = pd.MultiIndex.from_product([days, [f"S{i}" for i in range(n_stocks)]], names=LEVELS)
    table = pd.DataFrame(10 * np.exp(rng.normal(0, 0.1, (len(index), 5))), index, columns=OHLCV)
    table["volume"] = rng.integers(1, 10**6, len(index))
    table = table.astype({"volume": "float64"})
    table = table.mask(rng.random(table.shape) < missing)
    table = table.mask(rng.random(table.shape) < missing, 0.0)
    return table.iloc[rng.permutation(len(index))[: int(share * len(index))]]


def days_in(table: pd.DataFrame) -> pd.DatetimeIndex:
    return table.index.get_level_values(DAY)


def slow_alpha360(table, fields, length, vwap=None) -> np.ndarray:
    """Wide tables of all days and all stocks, shifted and divided: pandas alone, float64."""
    table = table.astype("float64").replace(0.0, nan)
    if vwap == "typical":
        table = table.assign(vwap=table[["high", "low", "close"]].sum(axis=1, skipna=False) / 3)
    cells = []
    for lag in reversed(range(length)):
        step = []
        for field in fields:
            wide = table[field].unstack("instrument").sort_index()
            by = table["volume" if field == "volume" else "close"].unstack("instrument")
            ratio = (wide.shift(lag) / by.sort_index()).stack(future_stack=True)
            step.append(ratio.reorder_levels(table.index.names).reindex(table.index).to_numpy())
        cells.append(np.stack(step, axis=-1))
    return np.stack(cells, axis=1)


def slow_robust(values, clip=3.0, fill_value=0.0) -> np.ndarray:
    """One column after the other of a 2-D array."""
    out = np.array(values, dtype=np.float64)
    for column in range(out.shape[1]):
        known = out[~np.isnan(out[:, column]), column]
        if len(known):
            center = np.median(known)
            scale = 1.4826 * (np.median(np.abs(known - center)) + 1e-12)
            out[:, column] = (out[:, column] - center) / scale
        else:
            out[:, column] = nan
    if clip is not None:
        out = np.where(out > clip, clip, np.where(out < -clip, -clip, out))
    if fill_value is not None:
        out[np.isnan(out)] = fill_value
    return out


def assert_same(left, right) -> None:
    """The same bits, NaN included."""
    left, right = np.asarray(left), np.asarray(right)
    assert left.dtype == right.dtype
    assert_array_equal(left, right, strict=True)


# scikit-learn's conventions ---------------------------------------------------------------------

TRANSFORMERS = [
    Alpha158(),
    Alpha360(),
    Alpha360(layout="columns"),
    RobustZScore(),
    RobustZScore(clip=None, fill_value=None),
    RollingWindow(),
    RollingWindow(3, fill="ffill+bfill"),
    SequenceReshaper(),
    SequenceReshaper(by="position"),
]


@parametrize_with_checks(TRANSFORMERS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_scikit_learn_checks_are_not_skipped(transformer):
    results = check_estimator(transformer, on_skip=None, on_fail=None)
    others = {r["check_name"]: r["status"] for r in results if r["status"] != "passed"}
    assert others in ({}, {"check_array_api_input": "skipped"})
    assert len(results) > 40


@pytest.mark.parametrize(
    ("transformer", "params"),
    [
        (
            Alpha360(("close",), length=3, vwap="typical", layout="columns"),
            {
                "fields": ("close",),
                "length": 3,
                "vwap": "typical",
                "layout": "columns",
                "calendar": None,
            },
        ),
        (RobustZScore(2.5, fill_value=None), {"clip": 2.5, "fill_value": None, "subsample": None}),
        (SequenceReshaper(6), {"n_features": 6, "by": "name"}),
        (SequenceReshaper(by="position"), {"n_features": None, "by": "position"}),
        (
            Alpha360(),
            {"fields": None, "length": 60, "vwap": None, "layout": "windows", "calendar": None},
        ),
        (RobustZScore(), {"clip": 3.0, "fill_value": 0.0, "subsample": None}),
    ],
)
def test_parameters(transformer, params):
    assert transformer.get_params() == params
    assert clone(transformer).get_params() == params
    assert type(transformer)().set_params(**params).get_params() == params


@pytest.mark.parametrize("transformer", [Alpha360(), RobustZScore(), SequenceReshaper()], ids=str)
def test_transform_before_fit(transformer):
    with pytest.raises(NotFittedError):
        transformer.transform(prices())


# Alpha360: values -------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(1, 16),
    st.lists(st.sampled_from(QLIB_ORDER), min_size=1, unique=True),
    st.booleans(),
)
def test_alpha360_equals_shifted_wide_tables(seed, n_days, n_stocks, length, fields, swap):
    table = prices(n_days, n_stocks, share=1.0 if n_days * n_stocks < 3 else 0.8, seed=seed)
    table = table.swaplevel() if swap else table
    before = table.copy()
    transformer = Alpha360(fields, length=length, vwap="typical")
    windows = transformer.fit_transform(table)
    assert isinstance(windows, WindowArray)
    assert windows.shape == (len(table), length, len(fields))
    assert windows.fields == tuple(fields)
    assert windows.dtype == np.float32
    assert_index_equal(windows.index, table.index)
    assert_allclose(np.asarray(windows), slow_alpha360(table, fields, length, "typical"), rtol=1e-6)
    assert_frame_equal(table, before)

    columns = clone(transformer).set_params(layout="columns").fit_transform(table)
    assert isinstance(columns, pd.DataFrame)
    assert_index_equal(columns.index, table.index)
    names = [f"{field.upper()}{lag}" for field in fields for lag in range(length - 1, -1, -1)]
    assert columns.columns.tolist() == names
    flat = np.asarray(windows).transpose(0, 2, 1).reshape(len(table), -1)
    assert_same(columns, flat)


def test_alpha360_by_hand():
    long = pd.DataFrame(
        {
            "date": ["2024-01-04", "2024-01-02", "2024-01-03", "2024-01-03", "2024-01-04"],
            "ticker": ["A", "A", "A", "B", "B"],
            "close": [4.0, 1.0, 0.0, 5.0, 10.0],
            "open": [8.0, 2.0, 6.0, 0.0, 5.0],
            "volume": [100.0, 50.0, 0.0, 7.0, 0.0],
        }
    )
    windows = Alpha360(["open", "close", "volume"], length=3).fit_transform(from_long(long))
    dense = np.asarray(windows)
    assert_array_equal(
        dense[:, :, 0], [[0.5, 1.5, 2], [nan, nan, 2], [nan] * 3, [nan] * 3, [nan, nan, 0.5]]
    )
    assert_array_equal(
        dense[:, :, 1], [[0.25, nan, 1], [nan, nan, 1], [nan] * 3, [nan, nan, 1], [nan, 0.5, 1]]
    )
    assert_array_equal(
        dense[:, :, 2], [[0.5, nan, 1], [nan, nan, 1], [nan] * 3, [nan, nan, 1], [nan] * 3]
    )


def test_alpha360_usual_fields():
    table = prices()
    assert Alpha360(length=2).fit(table).fields_ == ("close", "open", "high", "low", "volume")
    assert Alpha360(length=2, vwap="typical").fit(table).fields_ == QLIB_ORDER
    with_vwap = table.assign(vwap=table["close"] * 2, sector="tech")
    transformer = Alpha360(length=2).fit(with_vwap)
    assert transformer.fields_ == QLIB_ORDER
    assert transformer.n_features_in_ == 7
    assert transformer.feature_names_in_.tolist() == [*OHLCV, "vwap", "sector"]
    assert_allclose(
        np.asarray(transformer.transform(with_vwap)),
        slow_alpha360(with_vwap.drop(columns="sector"), QLIB_ORDER, 2),
        rtol=1e-6,
    )
    # "typical" takes the column's place.
    typical = Alpha360(length=2, vwap="typical")
    assert_same(typical.fit_transform(with_vwap), typical.fit_transform(table))


def test_alpha360_divides_by_a_close_that_does_not_come_out():
    table = prices()
    windows = Alpha360(["open", "volume"], length=3).fit_transform(table)
    assert windows.fields == ("open", "volume")
    expected = slow_alpha360(table, ["open", "volume"], 3)
    assert_allclose(np.asarray(windows), expected, rtol=1e-6)
    assert_allclose(windows.gather_lag(1), expected[:, 1], rtol=1e-6)
    volume = Alpha360(["volume"], length=3).fit_transform(table[["volume"]])
    assert_same(np.asarray(volume)[:, :, 0], np.asarray(windows)[:, :, 1])
    with pytest.raises(ValueError, match=r"lacks the column \['close'\]"):
        Alpha360(["open"], length=3).fit(table[["open"]])


def test_alpha360_of_one_day_and_of_one_step():
    table = prices(n_days=1, share=1.0, missing=0.0)
    dense = np.asarray(Alpha360(length=60).fit_transform(table))
    assert np.isnan(dense[:, :-1]).all()
    assert_array_equal(dense[:, -1, 0], 1)
    table = prices()
    single = Alpha360(["close", "open"], length=1).fit(table)
    assert_allclose(
        np.asarray(single.transform(table)), slow_alpha360(table, ["close", "open"], 1), rtol=1e-6
    )
    assert single.history_ is None


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
def test_alpha360_with_time_zones(zone):
    aware, naive = prices(zone=zone), prices()
    windows = Alpha360(length=5).fit_transform(aware)
    assert_same(windows, Alpha360(length=5).fit_transform(naive))
    assert_index_equal(windows.index, aware.index)
    assert str(windows.index.get_level_values(DAY).tz) == zone
    assert windows.days.tolist() == days_in(naive).tolist()
    for fitted, other in ((aware, naive), (naive, aware)):
        with pytest.raises(ValueError, match=r"time zone \S+, but Alpha360 was fitted with"):
            Alpha360(length=5).fit(fitted).transform(other)


def test_alpha360_takes_what_pandas_calls_numbers():
    table = prices(missing=0.0).round(3)
    expected = np.asarray(Alpha360(length=4).fit_transform(table))
    for kind in ("Float64", "object", "float32"):
        assert_allclose(
            np.asarray(Alpha360(length=4).fit_transform(table.astype(kind))), expected, rtol=1e-6
        )
    whole = table.astype({"volume": "Int64"})
    assert_same(Alpha360(length=4).fit_transform(whole), expected)
    absent = table.astype("Float64")
    absent.iloc[3, 3] = pd.NA
    assert np.isnan(np.asarray(Alpha360(length=4).fit_transform(absent))[3, :, :4]).all()


def test_alpha360_reads_columns_by_name():
    table = prices()
    transformer = Alpha360(length=4).fit(table)
    expected = transformer.transform(table)
    assert_same(transformer.transform(table[OHLCV[::-1]].assign(name="x")), expected)


def test_alpha360_of_arrays():
    rng = np.random.default_rng(0)
    series = rng.uniform(1, 2, (5, 7))
    series[1, 4] = 0
    expected = np.where(series == 0, nan, series) / series[:, -1:]
    dense = Alpha360(length=4).fit_transform(series)
    assert dense.dtype == np.float32
    assert_allclose(dense, expected[:, -4:, None], rtol=1e-6)
    longer = Alpha360(length=9).fit_transform(series)
    assert np.isnan(longer[:, :2]).all()
    assert_allclose(longer[:, 2:, 0], expected, rtol=1e-6)

    cube = rng.uniform(1, 2, (5, 7, 6))
    by = cube[:, -1:, [0, 0, 0, 0, 0, 5]]
    assert_allclose(Alpha360(length=4).fit_transform(cube), (cube / by)[:, -4:], rtol=1e-6)
    five = Alpha360(length=2).fit(cube[:, :, :5])
    assert five.fields_ == ("close", "open", "high", "low", "volume")
    assert (five.n_steps_in_, five.n_features_in_) == (7, 5)
    flat = Alpha360(["open", "close"], length=2, layout="columns").fit(cube[:, :, :2])
    columns = flat.transform(cube[:, :, :2])
    assert flat.get_feature_names_out().tolist() == ["OPEN1", "OPEN0", "CLOSE1", "CLOSE0"]
    assert_allclose(columns[:, :2], cube[:, -2:, 0] / cube[:, -1:, 1], rtol=1e-6)
    assert_allclose(columns[:, 2:], cube[:, -2:, 1] / cube[:, -1:, 1], rtol=1e-6)


def test_alpha360_holds_the_table_once():
    table = prices(n_days=300, n_stocks=20, share=1.0)
    windows = Alpha360(vwap="typical").fit_transform(table)
    assert windows.shape == (6000, 60, 6)
    assert windows.nbytes <= 6000 * (6 * 4 + 2 * 8)


def test_alpha360_travels():
    table = prices()
    fitted = Alpha360(length=5).fit(table.iloc[::2])
    twin = pickle.loads(pickle.dumps(fitted))
    assert_same(twin.transform(table), fitted.transform(table))


# Alpha360: memory -------------------------------------------------------------------------------

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
    table = prices(seed=seed, share=0.9)
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
    assert_same(transformer.transform(table[rows]), expected)
    # Nothing is learned in transform.
    assert_same(transformer.transform(table[rows]), expected)
    # With everything at hand, memory changes nothing.
    assert_same(np.asarray(transformer.transform(table))[rows], expected)


def test_history_holds_the_windows_of_the_last_days():
    table = prices(share=1.0)
    calendar = days_in(table).unique().sort_values()
    history = Alpha360(length=5).fit(table).history_
    assert days_in(history).unique().sort_values().tolist() == calendar[-9:].tolist()
    assert len(Alpha360(length=60).fit(table).history_) == len(table)
    assert Alpha360(length=1).fit(table).history_ is None


def test_a_stock_absent_from_the_last_fitted_days_is_padded():
    table = prices(n_days=10, share=1.0, missing=0.0).sort_index()
    calendar = days_in(table).unique().sort_values()
    absent = (table.index.get_level_values("instrument") == "S1") & np.isin(
        days_in(table), calendar[6:9]
    )
    table = table[~absent]
    transformer = Alpha360(["close"], length=6).fit(table[days_in(table) < calendar[9]])
    today = table[days_in(table) == calendar[9]]
    window = np.asarray(transformer.transform(today))[1, :, 0]
    assert np.isnan(window).tolist() == [False, False, True, True, True, False]
    assert_same(
        transformer.transform(today),
        np.asarray(Alpha360(["close"], length=6).fit_transform(table))[-4:],
    )


def test_corrected_rows_count_where_memory_knows_others():
    table = prices(share=1.0, missing=0.0).sort_index()
    today = days_in(table) == days_in(table).max()
    corrected = table * np.where(today, 2.0, 1.0)[:, None]
    transformer = Alpha360(["close"], length=4).fit(table)
    expected = np.asarray(Alpha360(["close"], length=4).fit_transform(corrected))[today]
    # The fitted days were length - 1 with today's, so that the oldest step is out of reach.
    assert_same(np.asarray(transformer.transform(corrected[today]))[:, 1:], expected[:, 1:])


@pytest.mark.filterwarnings("ignore:X begins at")
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.sets(st.integers(0, 13), min_size=1))
def test_some_rows_of_the_fitted_days_are_padded_never_spliced(seed, length, chosen):
    table = prices(seed=seed)
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
    table = prices(n_days=30, share=1.0, missing=0.0).sort_index()
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
    index = pd.MultiIndex.from_product([days, ["A", "B"]], names=LEVELS)
    return pd.DataFrame({"close": np.arange(1.0, 2 * n_days + 1)}, index)


@settings(max_examples=8, deadline=None)
@given(st.integers(4, 18), st.integers(6, 20), st.integers(1, 25))
def test_days_missing_after_the_fit_are_padded_and_reported(last, gap, length):
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
    if length == 1:
        assert_same(transformer.transform(table[later]), expected)
        return
    message = rf"and {calendar[last + gap + 1].date()}: about {gap} trading days"
    with pytest.warns(UserWarning, match=message):
        assert_same(transformer.transform(table[later]), expected)


def test_days_missing_after_the_fit_are_padded_where_fitted_days_come_again():
    table = weekdays()
    calendar = days_in(table).unique()
    transformer = Alpha360(["close"], length=10).fit(table[days_in(table) <= calendar[9]])
    again = (days_in(table) >= calendar[9]) & ~days_in(table).isin(calendar[10:16])
    with pytest.warns(UserWarning, match="about 6 trading days"):
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
    index = pd.MultiIndex.from_product([days, ["A"]], names=LEVELS)
    monthly = pd.DataFrame({"close": np.arange(1.0, 13)}, index)
    expected = np.asarray(Alpha360(["close"], length=4).fit_transform(monthly))
    transformer = Alpha360(["close"], length=4).fit(monthly[:9])
    assert_same(transformer.transform(monthly[9:]), expected[9:])


@pytest.mark.parametrize("start", ["2024-02-26", "2024-10-21"])
def test_missing_days_when_the_clock_changes(start):
    # The close of New York is 21:00 UTC in winter, 20:00 in summer.
    table = weekdays(30, start, hour=16, zone="America/New_York")
    calendar = days_in(table).unique()
    transformer = Alpha360(["close"], length=10).fit(table[days_in(table) <= calendar[9]])
    with pytest.warns(UserWarning, match="about 7 trading days"):
        windows = transformer.transform(table[days_in(table) > calendar[16]])
    assert np.isnan(windows[0, :, 0]).tolist() == [False] * 2 + [True] * 7 + [False]


def test_rows_whose_past_is_not_remembered_are_reported():
    table = weekdays()
    calendar = days_in(table).unique()
    transformer = Alpha360(["close"], length=6).fit(table)
    with pytest.warns(UserWarning, match="begins at 2024-01-15, .* only the last 11 .*Pass the 5"):
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
    table = prices(n_days=30)
    windows = Alpha360(length=5).fit_transform(table)
    test = days_in(table) >= days_in(table).unique().sort_values()[20]
    assert_same(windows[test], np.asarray(windows)[test])


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_stocks_have_one_time_stamp_a_day(zone):
    late = weekdays(5, hour=15).xs("A", level="instrument", drop_level=False)
    mixed = pd.concat([weekdays(5).xs("B", level="instrument", drop_level=False), late])
    mixed = mixed if zone is None else mixed.tz_localize(zone, level=DAY)
    with pytest.raises(ValueError, match=r"different time stamps on one day \(2024-01-01: .*15:00"):
        Alpha360(["close"]).fit(mixed)
    with pytest.raises(ValueError, match="different time stamps on one day"):
        Alpha360(["close"]).fit(
            late if zone is None else late.tz_localize(zone, level=DAY)
        ).transform(mixed)


def test_bars_of_a_day_are_steps():
    stamps = pd.DatetimeIndex([f"2024-01-0{day} {hour}:00" for day in (2, 3) for hour in (10, 11)])
    index = pd.MultiIndex.from_product([stamps, ["A", "B"]], names=LEVELS)
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
    assert_same(np.asarray(windows)[-2:, 1:], expected[:, 1:])


# Look-ahead -------------------------------------------------------------------------------------


def alter_later(table, today, how, seed) -> pd.DataFrame:
    """The same rows up to a day; others after it."""
    rng = np.random.default_rng(seed)
    later = np.asarray(days_in(table) > today)
    if how == "perturb":
        noise = rng.uniform(0.01, 100, table.shape)
        return table.mask(later[:, None] & np.ones(table.shape, bool), table * noise)
    if how == "nan":
        return table.mask(later[:, None] & (rng.random(table.shape) < 0.7))
    if how == "delete":
        return table[~later | (rng.random(len(table)) < 0.3)]
    if how == "cut":
        return table[~later]
    if how == "append":
        more = prices(20, 7, seed=seed + 1) * 50
        more = more[(days_in(more) > today) & ~more.index.isin(table.index)]
        mixed = pd.concat([more, table])
        return mixed.iloc[rng.permutation(len(mixed))]
    raise AssertionError(how)


LOOKING_BACK = {
    "windows": Alpha360(length=5, vwap="typical"),
    "columns": Alpha360(["open", "volume"], length=5, layout="columns"),
    "scaled windows": make_pipeline(Alpha360(length=5), RobustZScore()),
    "scaled columns": make_pipeline(Alpha360(length=5, layout="columns"), RobustZScore()),
    "unclipped": make_pipeline(Alpha360(length=5), RobustZScore(None, fill_value=None)),
    "reshaped": make_pipeline(
        Alpha360(length=5, layout="columns"), RobustZScore(), SequenceReshaper()
    ),
    "table": RobustZScore(),
}


def by_key(result, index, wanted) -> np.ndarray:
    return np.asarray(result)[index.get_indexer(wanted)]


@pytest.mark.parametrize("name", LOOKING_BACK)
@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(0, 13),
    st.sampled_from(["perturb", "nan", "delete", "cut", "append"]),
    st.sampled_from(["until today", "before"]),
)
def test_nothing_after_a_day_changes_what_is_known_on_it(name, seed, day, how, fitted_on):
    transformer = clone(LOOKING_BACK[name])
    table = prices(seed=seed, share=0.9)
    calendar = days_in(table).unique().sort_values()
    day = min(day, len(calendar) - 1)
    until = calendar[day // 2] if fitted_on == "before" else calendar[day]
    past = days_in(table) <= calendar[day]
    altered = alter_later(table, calendar[day], how, seed)
    known = table.index[past]
    transformer.fit(table[days_in(table) <= until])
    before = by_key(transformer.transform(table), table.index, known)
    after = by_key(transformer.transform(altered), altered.index, known)
    assert_same(before, after)
    # Alone, the past gives the same again, and with it what a live run would have seen.
    assert_same(transformer.transform(table[past]), before)


@pytest.mark.filterwarnings("ignore:X begins at")
@pytest.mark.parametrize("layout", ["windows", "columns"])
@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(0, 13),
    st.sampled_from(["perturb", "nan", "delete", "append"]),
    st.booleans(),
)
def test_a_fit_that_saw_later_days_does_not_tell_of_them(layout, seed, day, how, alone):
    """Alpha360 remembers rows: those after a window's day stay out of it."""
    transformer = Alpha360(length=5, layout=layout)
    table = prices(seed=seed, share=0.9)
    calendar = days_in(table).unique().sort_values()
    day = min(day, len(calendar) - 1)
    if alone and how in ("delete", "append"):
        how = "perturb"  # Which days are remembered depends on which days there are.
    altered = alter_later(table, calendar[day], how, seed)
    past = table[days_in(table) <= calendar[day]]
    if alone:
        past = past[days_in(past) == calendar[day]]
    assert_same(
        clone(transformer).fit(table).transform(past),
        clone(transformer).fit(altered).transform(past),
    )


def test_statistics_come_from_the_fitted_rows_alone():
    table = prices(missing=0.0)
    calendar = days_in(table).unique().sort_values()
    past = table[days_in(table) <= calendar[6]]
    pipeline = make_pipeline(Alpha360(length=3), RobustZScore()).fit(past)
    scaler = pipeline[-1]
    alone = RobustZScore().fit(Alpha360(length=3).fit_transform(past))
    assert_same(scaler.center_, alone.center_)
    center, scale = scaler.center_.copy(), scaler.scale_.copy()
    pipeline.transform(table * 1000)
    assert_same(scaler.center_, center)
    assert_same(scaler.scale_, scale)


# RobustZScore -----------------------------------------------------------------------------------


def messy(shape, seed=0, dtype=np.float64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(2, shape)
    values[rng.random(shape) < 0.2] = nan
    return values.astype(dtype)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.sampled_from([3.0, 0.5, 10, None]),
    st.sampled_from([0.0, -1.5, None]),
)
def test_robust_z_score_equals_medians_by_column(seed, n_rows, clip, fill_value):
    values = messy((n_rows, 4), seed)
    values[:, 3] = nan
    scaler = RobustZScore(clip, fill_value=fill_value)
    before = values.copy()
    result = scaler.fit_transform(values)
    assert_array_equal(values, before)
    assert_allclose(result, slow_robust(values, clip, fill_value), rtol=1e-9, atol=1e-12)
    assert scaler.center_.shape == scaler.scale_.shape == (4,)
    assert np.isnan([scaler.center_[3], scaler.scale_[3]]).all()


def test_robust_z_score_scales_rows_that_it_was_not_fitted_on():
    train, test = messy((30, 3)), messy((10, 3), seed=1)
    scaler = RobustZScore(clip=None, fill_value=None).fit(train)
    center = np.array([np.median(c[~np.isnan(c)]) for c in train.T])
    deviation = [
        np.median(np.abs(c[~np.isnan(c)] - m)) for c, m in zip(train.T, center, strict=True)
    ]
    assert_allclose(scaler.center_, center)
    assert_allclose(scaler.scale_, 1.4826 * np.array(deviation), rtol=1e-9)
    assert_allclose(scaler.transform(test), (test - center) / (1.4826 * np.array(deviation)))


@pytest.mark.parametrize(("clip", "fill_value"), [(3.0, 0.0), (None, None), (1.0, -7.0)])
def test_tables_cubes_and_windows_agree(clip, fill_value):
    table = prices(n_days=25, seed=3)
    windows = Alpha360(length=5).fit_transform(table)
    dense = np.asarray(windows)
    flat = pd.DataFrame(dense.reshape(len(table), -1), table.index)
    scaler = RobustZScore(clip, fill_value=fill_value)
    lazy, of_cube, of_table = (clone(scaler).fit(X) for X in (windows, dense, flat))
    for fitted in (lazy, of_cube):
        assert fitted.center_.shape == fitted.scale_.shape == (5, 5)
        assert (fitted.n_steps_in_, fitted.n_features_in_) == (5, 5)
        assert_array_equal(fitted.center_.ravel(), of_table.center_)
        assert_array_equal(fitted.scale_.ravel(), of_table.scale_)
    assert lazy.feature_names_in_.tolist() == list(windows.fields)
    assert not hasattr(of_cube, "feature_names_in_")
    assert_same(lazy.transform(dense), lazy.transform(windows))
    scaled = lazy.transform(windows)
    assert isinstance(scaled, WindowArray)
    assert_index_equal(scaled.index, table.index)
    assert scaled.fields == windows.fields
    assert_same(scaled, of_cube.transform(dense))
    assert_same(scaled, of_table.transform(flat).to_numpy().reshape(dense.shape))
    assert_same(scaled, of_cube.transform(windows))
    assert_same(windows, dense)
    expected = slow_robust(flat, clip, fill_value).reshape(dense.shape)
    assert_allclose(np.asarray(scaled)[:, :, 1:], expected[:, :, 1:], rtol=2e-4, atol=2e-5)
    # Rows taken after scaling are the rows taken before it.
    assert_same(scaled[3:9], np.asarray(scaled)[3:9])


def test_robust_z_score_of_cells_without_spread_or_value():
    values = np.array([[nan, 5.0, 1.0], [nan, 5.0, 1.0], [nan, 5.0, 1.0], [nan, nan, 2.0]])
    scaler = RobustZScore().fit(values)
    assert_allclose(scaler.center_, [nan, 5, 1])
    assert_allclose(scaler.scale_, [nan, 1.4826e-12, 1.4826e-12])
    assert_array_equal(scaler.transform(values)[3], [0, 0, 3])
    # A cell without any value in training is missing ever after.
    later = np.array([[2.0, 4.9, 1.0]])
    assert_array_equal(scaler.transform(later), [[0, -3, 0]])
    unfilled = RobustZScore(fill_value=None).fit(values)
    assert_array_equal(unfilled.transform(later), [[nan, -3, 0]])
    cube = np.stack([values, values], axis=1).astype(np.float32)
    assert_array_equal(RobustZScore().fit_transform(cube)[3], [[0, 0, 3], [0, 0, 3]])
    assert_array_equal(RobustZScore(fill_value=None).fit_transform(cube)[3, 0], [nan, nan, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_robust_z_score_keeps_the_dtype(dtype):
    assert RobustZScore().fit_transform(messy((9, 2), dtype=dtype)).dtype == dtype
    assert RobustZScore().fit_transform(messy((9, 3, 2), dtype=dtype)).dtype == dtype
    assert RobustZScore().fit_transform(np.arange(6).reshape(3, 2)).dtype == np.float64


def test_robust_z_score_of_tables():
    table = prices()
    scaler = RobustZScore().fit(table)
    scaled = scaler.transform(table)
    assert isinstance(scaled, pd.DataFrame)
    assert_index_equal(scaled.index, table.index)
    assert_index_equal(scaled.columns, table.columns)
    assert_allclose(scaled, slow_robust(table), rtol=1e-9, atol=1e-12)
    assert scaler.get_feature_names_out().tolist() == OHLCV
    assert scaler.feature_names_in_.tolist() == OHLCV
    plain = table.reset_index(drop=True)
    assert_frame_equal(RobustZScore().fit_transform(plain), scaled.reset_index(drop=True))


def test_set_output():
    values = messy((6, 2))
    scaler = RobustZScore().set_output(transform="pandas").fit(values)
    assert isinstance(scaler.transform(values), pd.DataFrame)
    assert scaler.transform(values).columns.tolist() == ["x0", "x1"]
    columns = Alpha360(length=2, layout="columns").set_output(transform="polars")
    table = prices()
    result = columns.fit_transform(table)
    assert type(result).__module__.startswith("polars")
    assert (
        result.columns == Alpha360(length=2, layout="columns").fit_transform(table).columns.tolist()
    )
    # Windows are no tables, so there is nothing to set.
    assert not hasattr(Alpha360(), "get_feature_names_out")
    assert not hasattr(Alpha360(), "set_output")
    with config_context(transform_output="pandas"):
        assert isinstance(Alpha360(length=2).fit_transform(table), WindowArray)
        columns = Alpha360(length=2, layout="columns").fit_transform(table)
        scaled = RobustZScore().fit_transform(columns)
        assert_index_equal(scaled.index, table.index)
        assert isinstance(SequenceReshaper().fit_transform(scaled), WindowArray)


@pytest.mark.parametrize("make", [lambda x: x, np.asarray], ids=["windows", "array"])
def test_windows_stay_windows_whatever_output_is_configured(make):
    windows = make(Alpha360(length=2).fit_transform(prices()))
    with config_context(transform_output="pandas"):
        scaled = RobustZScore().fit_transform(windows)
    assert_same(scaled, RobustZScore().fit_transform(windows))


def test_pipeline_of_windows():
    table = prices(n_days=20)
    pipeline = make_pipeline(Alpha360(vwap="typical", length=6), RobustZScore())
    scaled = pipeline.fit_transform(table)
    assert isinstance(scaled, WindowArray)
    assert scaled.shape == (len(table), 6, 6)
    assert scaled.fields == QLIB_ORDER
    assert_index_equal(scaled.index, table.index)
    dense = np.asarray(scaled)
    assert np.isfinite(dense).all()
    assert np.abs(dense).max() <= 3
    assert_same(clone(pipeline).fit(table).transform(table), dense)
    assert_same(pickle.loads(pickle.dumps(pipeline)).transform(table), dense)


def test_refitting_forgets():
    table, cube = prices(), messy((6, 4, 5))
    scaler = RobustZScore().fit(table)
    assert_same(scaler.fit(cube).transform(cube), RobustZScore().fit_transform(cube))
    assert not hasattr(scaler, "feature_names_in_")
    assert scaler.center_.shape == (4, 5)
    assert_frame_equal(scaler.fit(table).transform(table), RobustZScore().fit_transform(table))
    later = prices(n_days=30, seed=9)
    later = later[days_in(later) > days_in(table).max()]
    transformer = Alpha360(length=3).fit(prices(n_days=25, seed=7)).fit(table)
    assert_same(transformer.transform(later), Alpha360(length=3).fit(table).transform(later))


# SequenceReshaper -------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.lists(st.sampled_from(QLIB_ORDER), min_size=1, unique=True),
    st.booleans(),
)
def test_reshaper_is_the_inverse_of_columns(seed, length, fields, shuffle):
    table = prices(seed=seed, n_days=5)
    columns = Alpha360(fields, length=length, vwap="typical", layout="columns").fit_transform(table)
    if shuffle:
        columns = columns.sample(frac=1, axis=1, random_state=seed)
    reshaper = SequenceReshaper()
    windows = reshaper.fit_transform(columns)
    in_order = tuple(field for field in QLIB_ORDER if field in fields)
    assert isinstance(windows, WindowArray)
    assert windows.fields == reshaper.fields_ == tuple(field.upper() for field in in_order)
    assert windows.shape == (len(table), length, len(fields))
    assert reshaper.n_steps_ == length
    assert reshaper.n_features_in_ == len(fields) * length
    assert_index_equal(windows.index, table.index)
    assert_same(windows, Alpha360(in_order, length=length, vwap="typical").fit_transform(table))
    assert_same(windows[[2, 0]], np.asarray(windows)[[2, 0]])
    # By name in transform too.
    other = columns.sample(frac=1, axis=1, random_state=seed + 1)
    assert_same(reshaper.transform(other), windows)


def test_reshaper_of_arrays_goes_by_position():
    flat = np.arange(24.0).reshape(2, 12)
    cube = SequenceReshaper(3).fit_transform(flat)
    assert cube.shape == (2, 4, 3)
    assert_array_equal(cube[0], np.arange(12).reshape(3, 4).T)
    assert_array_equal(cube[1] - cube[0], 12)
    assert_array_equal(SequenceReshaper().fit_transform(flat), flat[:, :, None])
    single = SequenceReshaper(12).fit_transform(flat.astype(np.float32))
    assert single.shape == (2, 1, 12)
    assert single.dtype == np.float32


def test_reshaper_of_names_without_lags_goes_by_position():
    flat = pd.DataFrame(np.arange(8.0).reshape(2, 4), columns=["d", "c", "b", "a"])
    cube = SequenceReshaper(2).fit_transform(flat)
    assert isinstance(cube, np.ndarray)
    assert_array_equal(cube[0], [[0, 2], [1, 3]])
    numbered = flat.set_axis(range(4), axis=1)
    assert_array_equal(SequenceReshaper(2).fit_transform(numbered), cube)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_reshaper_by_position_keeps_the_index():
    """Names with numbers that are no lags, as those of Alpha158."""
    table = prices(n_days=5).iloc[:, :4].set_axis(["MA5", "KLEN", "MA10", "CLOSE0"], axis=1)
    reshaper = SequenceReshaper(2, by="position")
    windows = reshaper.fit_transform(table)
    assert isinstance(windows, WindowArray)
    assert_index_equal(windows.index, table.index)
    assert windows.fields == reshaper.fields_ == ("x0", "x1")
    expected = SequenceReshaper(2).fit_transform(table.to_numpy())
    assert_same(windows, expected)
    assert_same(reshaper.fit(table).transform(table.to_numpy()), expected)
    # The columns still have the places that they had in fit.
    with pytest.raises(ValueError, match="same order"):
        reshaper.transform(table.iloc[:, ::-1])


def test_reshaper_orders_other_features_by_name():
    names = ["zeta1", "zeta0", "alpha0", "alpha1", "volume1", "volume0", "close01", "close00"]
    cube = SequenceReshaper(4).fit_transform(pd.DataFrame([np.arange(8.0)], columns=names))
    assert_array_equal(cube[0], [[6, 4, 3, 0], [7, 5, 2, 1]])


def test_reshaper_reads_the_last_level_of_qlibs_columns():
    names = [("feature", name) for name in ("OPEN0", "CLOSE0", "OPEN1", "CLOSE1")]
    table = pd.DataFrame(np.arange(8.0).reshape(2, 4), columns=pd.MultiIndex.from_tuples(names))
    reshaper = SequenceReshaper().fit(table)
    assert reshaper.fields_ == ("CLOSE", "OPEN")
    assert_array_equal(reshaper.transform(table)[0], [[3, 2], [1, 0]])
    assert_array_equal(reshaper.transform(table[names[::-1]])[0], [[3, 2], [1, 0]])
    renamed = table.rename(columns={"OPEN0": "LOW0", "OPEN1": "LOW1"}, level=1)
    with pytest.raises(ValueError, match=r"has the features CLOSE, LOW, but .* CLOSE, OPEN"):
        reshaper.transform(renamed)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_reshaper_reads_arrays_in_the_fitted_order_of_columns():
    columns = Alpha360(["open", "close"], length=3, layout="columns").fit_transform(prices())
    reshaper = SequenceReshaper().fit(columns)
    assert_same(reshaper.transform(columns.to_numpy()), reshaper.transform(columns))


def named(*names) -> pd.DataFrame:
    return pd.DataFrame(np.ones((2, len(names))), columns=list(names))


def test_reshaper_refuses_names_of_which_some_have_lags():
    with pytest.raises(ValueError, match="these have none: label"):
        SequenceReshaper().fit(named("CLOSE1", "CLOSE0", "OPEN1", "OPEN0", "label"))


def test_reshaper_refuses_two_columns_of_one_step():
    with pytest.raises(ValueError, match="CLOSE1 and CLOSE01 are the same step"):
        SequenceReshaper().fit(named("CLOSE1", "CLOSE0", "CLOSE01"))


# Bad input --------------------------------------------------------------------------------------


def with_value(table, row, column, value) -> pd.DataFrame:
    table = table.copy()
    table.iloc[row, table.columns.get_loc(column)] = value
    return table


PRICES = prices(missing=0.0)


@pytest.mark.parametrize(
    ("transformer", "X", "message"),
    [
        (Alpha360(), PRICES.drop(columns="open"), r"lacks the column \['open'\]; it has \['high'"),
        (Alpha360(), PRICES[["close", "high"]], r"lacks the columns \['open', 'low', 'volume'\]"),
        (Alpha360(["vwap"]), PRICES, r"lacks the column \['vwap'\].*vwap=\"typical\" computes"),
        (
            Alpha360(vwap="typical"),
            PRICES.drop(columns="high"),
            r"lacks the column \['high'\]",
        ),
        (
            Alpha360(),
            PRICES.assign(open="a", low=pd.Categorical(["x"] * len(PRICES))),
            r"columns 'open' \(\w+\), 'low' \(category\)",
        ),
        (Alpha360(), PRICES.assign(low=pd.Timestamp(0)), r"columns 'low' \(datetime64"),
        (
            Alpha360(),
            with_value(PRICES.astype(object), 3, "high", "n/a"),
            "Column 'high' is not numeric: .*'n/a'",
        ),
        (
            Alpha360(),
            with_value(PRICES, 7, "low", -np.inf),
            r"infinity or .* in the columns \['low'\], first at .*"
            + re.escape(repr(PRICES.index[7][1])),
        ),
        (
            Alpha360(),
            with_value(with_value(PRICES, 9, "open", np.inf), 7, "volume", np.inf),
            r"infinity or .* in the columns \['open', 'volume'\], first at .*"
            + re.escape(str(PRICES.index[9][0])),
        ),
        (Alpha360(), PRICES.reset_index(drop=True), "index of X must be a MultiIndex"),
        (Alpha360(), pd.concat([PRICES, PRICES[:1]]), "X has 1 duplicate"),
        (Alpha360(), PRICES[:0], r"0 sample\(s\)"),
        (Alpha360(layout="wide"), PRICES, r"layout must be one of .*'columns'\); got 'wide'"),
        (Alpha360(vwap="close"), PRICES, r"vwap must be one of .*'typical'\); got 'close'"),
        (Alpha360("close"), PRICES, "fields must be a sequence .*; got 'close'"),
        (Alpha360(["close", "adj"]), PRICES, r"fields must be .*got \['close', 'adj'\]"),
        (Alpha360([]), PRICES, r"fields must be a sequence .*; got \[\]"),
        (Alpha360(["low", "low"]), PRICES, r"fields must differ; got \['low', 'low'\]"),
        (Alpha360(length=0), PRICES, "length must be an integer of at least 1; got 0"),
        (Alpha360(), np.ones((3, 4, 4)), r"array with 4 field\(s\) does not hold"),
        (Alpha360(["open", "high"]), np.ones((3, 4, 2)), "close is needed"),
        (Alpha360(["close", "open"]), np.ones((3, 4)), r"array with 1 field\(s\)"),
        (RobustZScore(0), PRICES, "clip must be a positive number or None; got 0"),
        (RobustZScore(nan), PRICES, "clip must be a positive number or None; got nan"),
        (RobustZScore(), with_value(PRICES, 7, "low", np.inf), "contains infinity"),
        (RobustZScore(), np.full((2, 3, 4), np.inf), "contains infinity"),
        (RobustZScore(), PRICES.assign(open="a"), r"not so in the columns 'open' \("),
        (RobustZScore(), pd.concat([PRICES, PRICES[:1]]), "X has 1 duplicate"),
        (RobustZScore(), np.ones((2, 2, 2, 2)), "4 dimensions"),
        (RobustZScore(), np.ones(3), "Expected 2D array"),
        (RobustZScore(), np.empty((0, 3, 4)), r"0 sample\(s\)"),
        (RobustZScore(), Alpha360().fit_transform(PRICES)[:0], r"0 sample\(s\)"),
        (RobustZScore(), np.ones((2, 0, 4)), "need a step and a feature"),
        (SequenceReshaper(), named("CLOSE1", "CLOSE0", "OPEN0"), r"lacks columns .* \(1\): OPEN1"),
        (
            SequenceReshaper(),
            named("CLOSE7", "CLOSE0"),
            r"lacks columns .* \(6\): CLOSE6, CLOSE5, CLOSE4, CLOSE3, CLOSE2, \.\.\.",
        ),
        (
            SequenceReshaper(),
            named("CLOSE1", "CLOSE0", "CLOSE0"),
            "CLOSE0 and CLOSE0 are the same step",
        ),
        (SequenceReshaper(2), named("CLOSE1", "CLOSE0"), "n_features=2, .* tell 1 .*: CLOSE"),
        (SequenceReshaper(by="lag"), np.ones((2, 4)), "by must be 'name' or 'position'; got 'lag'"),
        (SequenceReshaper(3), np.ones((2, 4)), "4 columns, .* no multiple of n_features=3"),
        (SequenceReshaper(0), np.ones((2, 4)), "n_features must be a positive int or None; got 0"),
        (SequenceReshaper(2.0), np.ones((2, 4)), "n_features must be a positive int .*2.0"),
        (SequenceReshaper(), np.ones((2, 4, 2)), r"two dimensions .*got shape \(2, 4, 2\)"),
        (SequenceReshaper(), np.array([[1.0, np.inf]]), "contains infinity"),
        (SequenceReshaper(), PRICES.assign(open="a"), r"not so in the columns 'open' \("),
    ],
)
def test_fit_says_what_is_wrong(transformer, X, message):
    with pytest.raises(ValueError, match=message):
        transformer.fit(X)


@pytest.mark.parametrize("name", ["clip", "fill_value"])
@pytest.mark.parametrize("value", ["3", True, [3.0]])
def test_limits_are_numbers(name, value):
    with pytest.raises(TypeError, match=f"{name} must be a number or None; got"):
        RobustZScore().set_params(**{name: value}).fit(PRICES)


def test_dates_are_no_numbers():
    with pytest.raises(TypeError, match="X must hold numbers; got datetime64"):
        RobustZScore().fit(np.array([["2024-01-02"]], dtype="datetime64[D]"))


@pytest.mark.parametrize("length", [3.0, "60", True, None])
def test_length_is_an_int(length):
    with pytest.raises(TypeError, match="length must be an integer of at least 1; got"):
        Alpha360(length=length).fit(PRICES)
    assert Alpha360(length=np.int64(3)).fit_transform(PRICES).shape[1] == 3


@pytest.mark.parametrize(
    ("transformer", "fitted", "X", "message"),
    [
        (Alpha360(), PRICES, PRICES.drop(columns="open"), r"lacks the column \['open'\]"),
        (Alpha360(), PRICES, with_value(PRICES, 2, "open", np.inf), r"columns \['open'\], first"),
        (Alpha360(), PRICES, PRICES.reset_index(drop=True), "must be a MultiIndex"),
        (Alpha360(), PRICES, PRICES[:0], r"0 sample\(s\)"),
        (Alpha360(), np.ones((3, 4, 5)), PRICES, "fitted on an array; got a table"),
        (Alpha360(), np.ones((3, 4, 5)), np.ones((3, 3, 5)), "3 steps and 5 features, .* 4 steps"),
        (
            Alpha360(),
            np.ones((3, 4, 5)),
            np.ones((3, 4, 6)),
            "6 features, .* 4 steps and 5 features",
        ),
        (Alpha360(), np.ones((3, 4)), np.ones((3, 5)), "X has 5 features, .* expecting 4"),
        (Alpha360(), np.ones((3, 4)), np.ones((3, 4, 1)), "X has 3 dimensions, .* fitted with 2"),
        (RobustZScore(), np.ones((3, 4)), np.ones((3, 5)), "X has 5 features, .* expecting 4"),
        (RobustZScore(), np.ones((3, 4)), np.ones((3, 4, 1)), "X has 3 dimensions, .* with 2"),
        (RobustZScore(), np.ones((3, 4, 1)), np.ones((3, 4)), "X has 2 dimensions, .* with 3"),
        (
            RobustZScore(),
            Alpha360(length=3).fit_transform(PRICES),
            Alpha360(length=4).fit_transform(PRICES),
            "X has 4 steps and 5 features, but RobustZScore is expecting 3 steps and 5 features",
        ),
        (
            RobustZScore(),
            Alpha360(length=3).fit_transform(PRICES),
            np.ones((2, 3, 6)),
            "X has 3 steps and 6 features",
        ),
        (
            RobustZScore(),
            Alpha360(["close", "open"], length=3).fit_transform(PRICES),
            Alpha360(["open", "close"], length=3).fit_transform(PRICES),
            "fields of X are open, close, but RobustZScore was fitted with close, open",
        ),
        (RobustZScore(), np.ones((4, 3, 2)), np.ones((3, 2)), r"x of shape \(T, F\) is x\[None\]"),
        (RobustZScore(), PRICES, PRICES[OHLCV[::-1]], "must be in the same order"),
        (
            SequenceReshaper(),
            named("CLOSE1", "CLOSE0"),
            named("CLOSE1", "OPEN0"),
            r"lacks columns .* \(2\): CLOSE0, OPEN1",
        ),
        (SequenceReshaper(), named("CLOSE1", "CLOSE0"), named("CLOSE1"), r"lacks .* \(1\): CLOSE0"),
        (
            SequenceReshaper(),
            named("CLOSE1", "CLOSE0"),
            named("CLOSE2", "CLOSE1", "CLOSE0"),
            "unseen at fit time:\n- CLOSE2",
        ),
        (SequenceReshaper(2), np.ones((3, 4)), np.ones((3, 6)), "X has 6 features, .* expecting 4"),
    ],
)
def test_transform_says_what_is_wrong(transformer, fitted, X, message):
    transformer = clone(transformer).fit(fitted)
    with pytest.raises(ValueError, match=message):
        transformer.transform(X)


@pytest.mark.parametrize("array", [np.ones((3, 60)), np.ones((3, 60, 5))], ids=["2-D", "3-D"])
def test_alpha360_fitted_on_a_table_refuses_arrays(array):
    with pytest.raises(ValueError, match="fitted on a table; got ndarray"):
        Alpha360().fit(PRICES).transform(array)


def test_alpha360_refitted_on_a_table_refuses_arrays():
    transformer = Alpha360(length=3).fit(np.ones((3, 4, 5))).fit(PRICES)
    with pytest.raises(ValueError, match="fitted on a table; got ndarray"):
        transformer.transform(np.ones((3, 4, 5)))


def test_alpha360_names_a_column_that_is_there_twice():
    with pytest.raises(ValueError, match=r"more than one column \['close'\]"):
        Alpha360().fit(pd.concat([PRICES, PRICES[["close"]]], axis=1))
    assert len(Alpha360(["open"]).fit_transform(pd.concat([PRICES, PRICES["volume"]], axis=1)))


@pytest.mark.filterwarnings("error")
def test_alpha360_tells_large_values_from_infinite_ones():
    with pytest.raises(ValueError, match=r"too large for .*float32.*\['volume'\]"):
        Alpha360().fit(with_value(PRICES, 3, "volume", 1e300))


# What a transformer can know of the days before its rows -----------------------------------------


def daily(n_days=60) -> pd.DataFrame:
    days = pd.bdate_range("2024-01-01", periods=n_days)
    index = pd.MultiIndex.from_product([days, ["A", "B"]], names=["datetime", "instrument"])
    return pd.DataFrame({"close": np.arange(1.0, len(index) + 1)}, index=index)


def test_a_long_pause_after_the_fit_is_missing_not_spliced():
    table = daily()
    days = table.index.get_level_values("datetime")
    calendar = days.unique()
    transformer = Alpha360(["close"], length=20).fit(table[days <= calendar[29]])
    with pytest.warns(UserWarning, match="about 8 trading days"):
        windows = np.asarray(transformer.transform(table[days >= calendar[38]]))[:, :, 0]
    full = np.asarray(transformer.transform(table))[days >= calendar[38], :, 0]
    known = ~np.isnan(windows)
    assert_array_equal(windows[known], full[known])
    assert_array_equal(known[0], [*[True] * 11, *[False] * 8, True])


def test_rows_whose_past_is_forgotten_are_warned_of():
    table = daily()
    days = table.index.get_level_values("datetime")
    transformer = Alpha360(["close"], length=10).fit(table)
    with pytest.warns(UserWarning, match=r"only the last 19 .* are remembered"):
        transformer.transform(table[days == days.unique()[30]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer.transform(table)
        transformer.transform(table[days == days.unique()[-1]])


def test_two_time_stamps_on_one_day():
    table = daily(10)
    stamps = table.index.get_level_values("datetime") + pd.to_timedelta(
        np.where(table.index.get_level_values("instrument") == "A", 15, 16), unit="h"
    )
    index = pd.MultiIndex.from_arrays(
        [stamps, table.index.get_level_values("instrument")], names=table.index.names
    )
    with pytest.raises(ValueError, match=r"different time stamps on one day \(2024-01-01: 15:00"):
        Alpha360(["close"]).fit(table.set_axis(index))
    # Several bars a day of every stock are bars, not days.
    later = index.set_levels(index.levels[0] + pd.Timedelta(hours=2), level=0)
    bars = pd.concat([table.set_axis(index), table.set_axis(later)])
    assert Alpha360(["close"], length=2).fit_transform(bars).shape == (40, 2, 1)


@pytest.mark.parametrize("params", [{"clip": "3"}, {"fill_value": "a"}, {"clip": True}])
def test_robust_z_score_parameters(params):
    with pytest.raises(TypeError, match=f"{next(iter(params))} must be a number or None"):
        RobustZScore(**params).fit(np.ones((3, 2)))


def test_reshaper_takes_scikit_learns_default_names_by_position():
    table = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["x0", "x1", "x2"])
    assert_array_equal(SequenceReshaper().fit_transform(table)[0, :, 0], [1, 2, 3])


def test_a_short_fit_does_not_know_the_weekdays():
    table = daily(30)
    days = table.index.get_level_values("datetime")
    calendar = days.unique()
    transformer = Alpha360(["close"], length=20).fit(table[days <= calendar[1]])
    with pytest.warns(UserWarning, match="about 14 trading days"):
        windows = transformer.transform(table[days >= calendar[16]])
    assert np.isnan(windows[0, :, 0]).tolist() == [*[True] * 3, *[False] * 2, *[True] * 14, False]


@pytest.mark.parametrize("windows", [False, True])
def test_a_subsample_is_drawn_from_all_stocks(windows):
    """Every third row of a regular panel would always be of the same stocks."""
    n_days, n_stocks = 200, 30
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2020-01-01", periods=n_days), range(n_stocks)], names=LEVELS
    )
    noise = np.random.default_rng(0).normal(size=len(index))
    table = pd.DataFrame({"a": np.tile(np.arange(n_stocks), n_days) + noise}, index)
    X = RollingWindow(2).fit_transform(table) if windows else table
    exact, part = RobustZScore().fit(X), RobustZScore(subsample=len(X) // 3).fit(X)
    assert_allclose(part.center_, exact.center_, atol=0.5)
    assert_allclose(part.scale_, exact.scale_, rtol=0.1)
    assert_array_equal(RobustZScore(subsample=len(X) // 3).fit(X).center_, part.center_)
    assert_array_equal(RobustZScore(subsample=len(X)).fit(X).center_, exact.center_)
    with pytest.raises(ValueError, match="subsample must be an integer of at least 1 or None"):
        RobustZScore(subsample=0).fit(X)
