"""Alpha360 against wide tables that pandas shifts and divides."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import OHLCV, QLIB_ORDER, assert_same_bits, days_in, ragged_prices, with_value
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import nan
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_index_equal
from sklearn.base import clone

from skattn.panel import WindowArray, from_long
from skattn.preprocessing import Alpha360


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
    table = ragged_prices(n_days, n_stocks, share=1.0 if n_days * n_stocks < 3 else 0.8, seed=seed)
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
    assert_same_bits(columns, flat)


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
    # In an order of its own, which windows keep.
    table = from_long(long).loc[
        pd.MultiIndex.from_frame(long[["date", "ticker"]].astype({"date": "datetime64[ns]"}))
    ]
    windows = Alpha360(["open", "close", "volume"], length=3).fit_transform(table)
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
    table = ragged_prices()
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
    assert_same_bits(typical.fit_transform(with_vwap), typical.fit_transform(table))


def test_alpha360_divides_by_a_close_that_does_not_come_out():
    table = ragged_prices()
    windows = Alpha360(["open", "volume"], length=3).fit_transform(table)
    assert windows.fields == ("open", "volume")
    expected = slow_alpha360(table, ["open", "volume"], 3)
    assert_allclose(np.asarray(windows), expected, rtol=1e-6)
    assert_allclose(windows.gather_step(1), expected[:, 1], rtol=1e-6)
    volume = Alpha360(["volume"], length=3).fit_transform(table[["volume"]])
    assert_same_bits(np.asarray(volume)[:, :, 0], np.asarray(windows)[:, :, 1])
    with pytest.raises(ValueError, match=r"X.*\['close'\]"):
        Alpha360(["open"], length=3).fit(table[["open"]])


def test_alpha360_of_one_day_and_of_one_step():
    table = ragged_prices(n_days=1, share=1.0, missing=0.0)
    dense = np.asarray(Alpha360(length=60).fit_transform(table))
    assert np.isnan(dense[:, :-1]).all()
    assert_array_equal(dense[:, -1, 0], 1)
    table = ragged_prices()
    single = Alpha360(["close", "open"], length=1).fit(table)
    assert_allclose(
        np.asarray(single.transform(table)), slow_alpha360(table, ["close", "open"], 1), rtol=1e-6
    )
    assert single.history_ is None


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
def test_alpha360_with_time_zones(zone):
    aware, naive = ragged_prices(zone=zone), ragged_prices()
    windows = Alpha360(length=5).fit_transform(aware)
    assert_same_bits(windows, Alpha360(length=5).fit_transform(naive))
    assert_index_equal(windows.index, aware.index)
    assert str(windows.index.get_level_values("datetime").tz) == zone
    assert windows.days.tolist() == days_in(naive).tolist()
    for fitted, other in ((aware, naive), (naive, aware)):
        with pytest.raises(ValueError, match=rf"(None.*{zone}|{zone}.*None)"):
            Alpha360(length=5).fit(fitted).transform(other)


def test_alpha360_takes_what_pandas_calls_numbers():
    table = ragged_prices(missing=0.0).round(3)
    expected = np.asarray(Alpha360(length=4).fit_transform(table))
    for kind in ("Float64", "object", "float32"):
        assert_allclose(
            np.asarray(Alpha360(length=4).fit_transform(table.astype(kind))), expected, rtol=1e-6
        )
    whole = table.astype({"volume": "Int64"})
    assert_same_bits(Alpha360(length=4).fit_transform(whole), expected)
    absent = table.astype("Float64")
    absent.iloc[3, 3] = pd.NA
    assert np.isnan(np.asarray(Alpha360(length=4).fit_transform(absent))[3, :, :4]).all()


def test_alpha360_reads_columns_by_name():
    table = ragged_prices()
    transformer = Alpha360(length=4).fit(table)
    expected = transformer.transform(table)
    assert_same_bits(transformer.transform(table[OHLCV[::-1]].assign(name="x")), expected)


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
    table = ragged_prices(n_days=300, n_stocks=20, share=1.0)
    windows = Alpha360(vwap="typical").fit_transform(table)
    assert windows.shape == (6000, 60, 6)
    assert windows.nbytes <= 6000 * (6 * 4 + 2 * 8)


def test_alpha360_travels():
    table = ragged_prices()
    fitted = Alpha360(length=5).fit(table.iloc[::2])
    twin = pickle.loads(pickle.dumps(fitted))
    assert_same_bits(twin.transform(table), fitted.transform(table))


# Bad input --------------------------------------------------------------------------------------


PRICES = ragged_prices(missing=0.0)


@pytest.mark.parametrize("length", [3.0, "60", True, None])
def test_length_is_an_int(length):
    with pytest.raises(TypeError, match=rf"length.*{length!r}"):
        Alpha360(length=length).fit(PRICES)
    assert Alpha360(length=np.int64(3)).fit_transform(PRICES).shape[1] == 3


@pytest.mark.parametrize("array", [np.ones((3, 60)), np.ones((3, 60, 5))], ids=["2-D", "3-D"])
def test_alpha360_fitted_on_a_table_refuses_arrays(array):
    with pytest.raises(ValueError, match=r"ndarray.*Alpha360"):
        Alpha360().fit(PRICES).transform(array)


def test_alpha360_refitted_on_a_table_refuses_arrays():
    transformer = Alpha360(length=3).fit(np.ones((3, 4, 5))).fit(PRICES)
    with pytest.raises(ValueError, match=r"ndarray.*Alpha360"):
        transformer.transform(np.ones((3, 4, 5)))


def test_alpha360_names_a_column_that_is_there_twice():
    with pytest.raises(ValueError, match=r"X.*\['close'\]\.$"):
        Alpha360().fit(pd.concat([PRICES, PRICES[["close"]]], axis=1))
    assert len(Alpha360(["open"]).fit_transform(pd.concat([PRICES, PRICES["volume"]], axis=1)))


@pytest.mark.filterwarnings("error")
def test_alpha360_tells_large_values_from_infinite_ones():
    with pytest.raises(ValueError, match=r"float32.*\['volume'\]"):
        Alpha360().fit(with_value(PRICES, 3, "volume", 1e300))
