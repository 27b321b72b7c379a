"""Indexes, lazily gathered windows and their layout, against slow, independent implementations."""

from __future__ import annotations

import copy
import datetime as dt
import gzip
import pickle
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_index_equal
from sklearn.model_selection import TimeSeriesSplit, train_test_split
from sklearn.utils import _safe_indexing

import skattn
from skattn.panel import (
    Clip,
    DivideByLatest,
    Fill,
    Scale,
    TakeFields,
    WindowArray,
    align_y,
    build_windows,
    check_index,
    days_of,
    from_long,
    instruments_of,
    level_codes,
)

LEVELS = ["datetime", "instrument"]
CALENDAR = pd.DatetimeIndex(
    ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"]
)


def make_index(pairs, calendar=CALENDAR) -> pd.MultiIndex:
    """(datetime, instrument) keys from pairs (day number, stock number)."""
    days = calendar[[day for day, _ in pairs]]
    return pd.MultiIndex.from_arrays([days, [f"S{s}" for _, s in pairs]], names=LEVELS)


def scrambled(index: pd.MultiIndex, seed=0) -> pd.MultiIndex:
    """An equal index whose levels are out of order and have values that no row has."""
    rng = np.random.default_rng(seed)
    unused = make_index([(day, 90 + day) for day in range(len(CALENDAR))])
    levels, codes = [], []
    for name in index.names:
        values = index.unique(name).union(unused.unique(name))
        levels.append(values[rng.permutation(len(values))])
        codes.append(levels[-1].get_indexer(index.get_level_values(name)))
    return pd.MultiIndex(levels, codes, names=index.names)


def ragged(n_days=30, n_stocks=6, share=0.8, seed=0) -> pd.DataFrame:
    """Two fields of a shuffled panel in which stocks miss days; a few values are NaN."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=n_days)
    index = pd.MultiIndex.from_product([days, [f"S{i}" for i in range(n_stocks)]], names=LEVELS)
    index = index[rng.permutation(len(index))[: int(share * len(index))]]
    values = rng.standard_normal((len(index), 2)).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = np.nan
    return pd.DataFrame(values, index, columns=["a", "b"])


def windows(length=4, **params) -> WindowArray:
    table = ragged(**params)
    return build_windows(table.to_numpy(), table.index, length, fields=("a", "b"))


def slow_windows(values, index, length, memory=None, days=()) -> np.ndarray:
    """Every stock reindexed to the calendar, then shifted: pandas alone."""
    table = pd.DataFrame(np.asarray(values, dtype=np.float64), index)
    if memory is not None:
        known = pd.DataFrame(np.asarray(memory[0], dtype=np.float64), memory[1])
        known = known.reorder_levels(index.names)
        table = pd.concat([known[~known.index.isin(index)], table])
    calendar = pd.DatetimeIndex(sorted({*table.index.get_level_values("datetime"), *days}))
    cube = np.full((len(index), length, table.shape[1]), np.nan)
    stocks = index.get_level_values("instrument")
    for stock in stocks.unique():
        of_stock = table.xs(stock, level="instrument").reindex(calendar)
        mine = np.flatnonzero(stocks == stock)
        days = index.get_level_values("datetime")[mine]
        for lag in range(length):
            cube[mine, length - 1 - lag] = of_stock.shift(lag).loc[days].to_numpy()
    return cube


# from_long --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("datetime", "instrument"),
    [
        ("datetime", "instrument"),
        ("Date", "Ticker"),
        ("timestamp", "SYMBOL"),
        (" Trade_Date ", "code"),
        ("day", "permno"),
    ],
)
def test_from_long_guesses_the_columns(datetime, instrument):
    long = pd.DataFrame(
        {"close": [1.0, 2.0], datetime: ["2024-01-03", "2024-01-02"], instrument: ["B", "A"]}
    )
    before = long.copy()
    table = from_long(long)
    assert list(table.columns) == ["close"]
    assert table.index.names == LEVELS
    assert list(table.index) == [
        (pd.Timestamp("2024-01-03"), "B"),
        (pd.Timestamp("2024-01-02"), "A"),
    ]
    assert table["close"].tolist() == [1.0, 2.0]
    assert_frame_equal(long, before)
    check_index(table.index)


def test_from_long_takes_the_columns_of_that_very_name():
    columns = ["x", "Date", "datetime", "date", "ticker", "instrument", "Instrument"]
    row = [1, "soon", "2024-01-02", "later", None, "A", "B"]
    table = from_long(pd.DataFrame([row], columns=columns))
    assert list(table.index) == [(pd.Timestamp("2024-01-02"), "A")]
    assert list(table.columns) == ["x", "Date", "date", "ticker", "Instrument"]


@pytest.mark.parametrize(
    ("columns", "message", "given"),
    [
        (["date", "TICKER", "time"], "may be the datetime: 'date', 'time'.*datetime=", "datetime"),
        (["Date", "date", "ticker"], "may be the datetime: 'Date', 'date'", "datetime"),
        (
            ["ticker", "date", "permno", "Symbol"],
            r"may be the instrument: 'ticker', 'permno', 'Symbol'.*instrument=\.\.\.",
            "instrument",
        ),
    ],
    ids=["date and time", "spellings", "ticker and permno"],
)
def test_from_long_does_not_choose_between_columns(columns, message, given):
    long = pd.DataFrame([["2024-01-02"] * len(columns)], columns=columns)
    with pytest.raises(ValueError, match=message):
        from_long(long)
    table = from_long(long, **{given: columns[0]})
    assert columns[0] not in table.columns
    assert len(table.columns) == len(columns) - 2


def test_from_long_takes_the_columns_it_is_told():
    long = pd.DataFrame(
        {
            "date": ["2024-01-02"] * 2,
            "ticker": ["A"] * 2,
            "settle": ["2024-01-04", "2024-01-05"],
            "isin": ["US1", "US2"],
        }
    )
    table = from_long(long, datetime="settle", instrument="isin")
    assert list(table.columns) == ["date", "ticker"]
    assert table.index.get_level_values("instrument").tolist() == ["US1", "US2"]
    assert table.index.get_level_values("datetime")[0] == pd.Timestamp("2024-01-04")
    assert from_long(long, datetime="settle", instrument="isin").index.names == LEVELS


COLUMNS = {
    "date": [dt.date(2024, 1, 2), dt.date(2024, 1, 2), dt.date(2024, 1, 3)],
    "symbol": ["A", "NA", "A"],
    "close": [1.0, None, 3.0],
    "volume": [5, 6, 7],
}


@pytest.mark.parametrize(
    "make", [pl.DataFrame, pl.LazyFrame, pa.table], ids=["polars", "lazy polars", "pyarrow"]
)
def test_from_long_reads_other_tables(make):
    table = from_long(make(COLUMNS))
    expected = from_long(pd.DataFrame(COLUMNS))
    assert_frame_equal(table, expected, check_index_type=False)
    assert table["close"].isna().tolist() == [False, True, False]
    assert table.dtypes.tolist() == [np.float64, np.int64]
    check_index(table.index)


@pytest.mark.parametrize("as_path", [str, Path])
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz", ".CSV"])
def test_from_long_reads_files(tmp_path, suffix, as_path):
    path = tmp_path / f"prices.of.2024{suffix}"
    frame = pd.DataFrame(COLUMNS)
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    table = from_long(as_path(path))
    assert_frame_equal(table, from_long(frame), check_index_type=False, check_column_type=False)


def test_from_long_reads_a_parquet_file_of_an_indexed_table(tmp_path, market):
    market.ohlcv.to_parquet(tmp_path / "prices.parquet")
    assert_frame_equal(from_long(tmp_path / "prices.parquet"), market.ohlcv)


def test_from_long_reads_the_codes_of_a_csv_file_as_text(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("day,code,isin,close\n20240102,000001,007,9.5\n20240102,1,NA,NA\n")
    table = from_long(path)
    assert table.index.get_level_values("instrument").tolist() == ["000001", "1"]
    assert table["close"].isna().tolist() == [False, True]
    table = from_long(str(path), instrument="isin")
    assert table.index.get_level_values("instrument").tolist() == ["007", "NA"]
    path.write_text("day,code,close\n20240102,A,9.5\n20240102, ,9.5\n")
    with pytest.raises(ValueError, match=r"'instrument' .* missing in 1 row: 1"):
        from_long(path)


@pytest.mark.parametrize("name", ["prices.xlsx", "prices", "prices.csv.bz2"])
def test_from_long_names_the_files_that_it_reads(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(
        ValueError, match=rf"{name}' is not .* end in \.parquet, \.csv or \.csv\.gz"
    ):
        from_long(tmp_path / name)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_from_long_says_which_file_is_not_there_or_damaged(tmp_path, suffix):
    path = tmp_path / f"prices{suffix}"
    with pytest.raises(FileNotFoundError, match=f"no file .*prices{suffix}"):
        from_long(path)
    path.touch()
    with pytest.raises(ValueError, match=f"prices{suffix}' cannot be read: "):
        from_long(path)
    pd.DataFrame({"day": ["2024-01-02"], "name": ["A"]}).to_csv(tmp_path / "prices.csv")
    with pytest.raises(ValueError, match=r"prices\.csv' cannot be read: No column for instrument"):
        from_long(tmp_path / "prices.csv")


def test_from_long_says_that_a_packed_file_is_none_or_damaged(tmp_path):
    path = tmp_path / "prices.csv.gz"
    packed = gzip.compress(b"date,ticker,close\n" + b"2024-01-02,A,9.5\n" * 50)
    for content in (b"date,ticker,close\n", packed[:-20], packed[:30] + b"!" * 30):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"prices\.csv\.gz' cannot be read: "):
            from_long(path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match=r"folder\.csv' cannot be read: .*directory"):
        from_long(tmp_path / "folder.csv")


def test_from_long_says_that_a_file_has_a_column_twice(tmp_path):
    (tmp_path / "prices.csv").write_text("date,ticker,,,close,close\n2024-01-02,A,1,2,3,4\n")
    with pytest.raises(ValueError, match=r"prices\.csv' .* more than one column 'close'\."):
        from_long(tmp_path / "prices.csv")


def test_from_long_says_what_a_parquet_file_needs(tmp_path, monkeypatch):
    pd.DataFrame(COLUMNS).to_parquet(tmp_path / "prices.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ImportError, match=r'cannot be read without pyarrow: pip install "skattn\[parquet\]"'
    ):
        from_long(tmp_path / "prices.parquet")
    with pytest.raises(ImportError, match="type DataFrame cannot be read without pyarrow"):
        from_long(pl.DataFrame(COLUMNS))


@pytest.mark.parametrize("kind", ["int32", "int64", "float64", "Int64", "str", "string"])
def test_from_long_reads_dates_written_as_digits(kind):
    dates = pd.Series([20240102, 20231229]).astype(kind)
    table = from_long(pd.DataFrame({"date": dates, "sid": [1, 1], "close": [1.0, 2.0]}))
    assert table.index.get_level_values("datetime").tolist() == [
        pd.Timestamp("2024-01-02"),
        pd.Timestamp("2023-12-29"),
    ]


def test_from_long_reads_digits_of_polars():
    table = from_long(pl.DataFrame({"date": [20240102], "ticker": ["A"], "close": [1.0]}))
    assert table.index[0] == (pd.Timestamp("2024-01-02"), "A")


def test_from_long_reads_digits_in_object_columns():
    dates = pd.Series([20240102, 20240103], dtype=object)
    table = from_long(pd.DataFrame({"date": dates, "ticker": ["A", "A"]}))
    assert table.index.get_level_values("datetime")[0] == pd.Timestamp("2024-01-02")


def test_from_long_reads_digits_in_categorical_columns():
    dates = pd.Categorical([20240102, 20240103])
    table = from_long(pd.DataFrame({"date": dates, "ticker": ["A", "A"]}))
    assert table.index.get_level_values("datetime")[0] == pd.Timestamp("2024-01-02")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Shanghai"])
def test_from_long_keeps_time_zones(zone):
    stamps = pd.to_datetime(["2024-01-02 15:00", "2024-01-03 15:00"]).tz_localize(zone)
    table = from_long(pd.DataFrame({"timestamp": stamps, "ticker": ["A", "A"], "x": [1, 2]}))
    assert_array_equal(table.index.get_level_values("datetime"), stamps)
    assert str(table.index.get_level_values("datetime").tz) == zone
    assert days_of(None, table).tolist() == list(pd.to_datetime(["2024-01-02", "2024-01-03"]))


def long_table(dates=("2024-01-02", "2024-01-02"), tickers=("A", "B"), **columns) -> pd.DataFrame:
    return pd.DataFrame({"date": list(dates), "ticker": list(tickers), **columns})


@pytest.mark.parametrize(
    ("frame", "params", "message"),
    [
        (
            long_table(tickers=("A", "A")),
            {},
            r"frame has 1 duplicate \(datetime, instrument\) key: \(2024-01-02, 'A'\)",
        ),
        (long_table(tickers=("A", None)), {}, r"'instrument' .* missing in 1 row: 1"),
        (long_table(dates=(None, "2024-01-02")), {}, r"'datetime' .* missing in 1 row: 0"),
        (long_table(dates=(np.nan, 20240102.0)), {}, r"'datetime' .* missing in 1 row: 0"),
        (long_table(), {"datetime": "Date"}, r"datetime='Date' is not a column .*'date', 'ticker'"),
        (long_table(), {"instrument": "isin"}, r"instrument='isin' is not a column"),
        (
            long_table().rename(columns={"date": "when"}),
            {},
            r"No column for datetime .*\['when', 'ticker'\].*datetime=\.\.\.",
        ),
        (
            long_table().rename(columns={"ticker": "name"}),
            {},
            r"No column for instrument .*\['date', 'name'\].*instrument=\.\.\.",
        ),
        (long_table(dates=("soon", "later")), {}, "Column 'date' cannot be read as dates: .*soon"),
        (long_table(dates=(20241302, 20240102)), {}, "Column 'date' cannot be read as dates"),
        (long_table(dates=(1, 2)), {}, "Column 'date' cannot be read as dates"),
        (long_table(dates=(240102, 240103)), {}, "'date' cannot be .* 240102 .* eight digits"),
        (long_table(dates=("20240102", "2023")), {}, "'date' cannot be .* 2023 .* eight digits"),
        (long_table(dates=(-20240102, None)), {}, "'date' cannot be .* -20240102 .* eight digits"),
        (long_table(tickers=(["A"], ["B"])), {}, "'ticker' cannot be .* instruments: unhashable"),
    ],
)
@pytest.mark.filterwarnings("ignore:Could not infer format")
def test_from_long_says_what_is_wrong(frame, params, message):
    with pytest.raises(ValueError, match=message):
        from_long(frame, **params)


@pytest.mark.parametrize("name", ["datetime", "instrument"])
def test_from_long_takes_one_name_a_key(name):
    with pytest.raises(TypeError, match=rf"{name} must be the name of a column; got \['date'\]"):
        from_long(long_table(), **{name: ["date"]})


def test_from_long_refuses_what_is_no_table():
    with pytest.raises(TypeError, match=r"pandas, polars or pyarrow, or the path .*; got list"):
        from_long([["2024-01-02", "A", 1.0]])


def test_from_long_names_the_column_of_digits_with_a_fraction():
    with pytest.raises(ValueError, match="'date' cannot be read as dates"):
        from_long(long_table(dates=(20240102.5, 20240103.0)))


def test_from_long_says_that_a_column_is_there_twice():
    frame = pd.DataFrame([["2024-01-02", "2024-01-02", "A"]], columns=["date", "date", "ticker"])
    with pytest.raises(ValueError, match="more than one column 'date'"):
        from_long(frame)


# check_index ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [["datetime", "instrument"], ["instrument", "datetime"]])
def test_check_index_takes_rows_and_levels_in_any_order(order):
    index = make_index([(3, 1), (0, 0), (5, 1), (0, 1)]).reorder_levels(order)
    assert check_index(index) is index


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (pd.RangeIndex(3), "must be a MultiIndex with the levels .* got RangeIndex.*from_long"),
        (pd.DatetimeIndex(CALENDAR, name="datetime"), "got DatetimeIndex with levels .*datetime"),
        (make_index([(0, 0)]).set_names(["date", "instrument"]), r"\['date', 'instrument'\]"),
        (make_index([(0, 0)]).set_names([None, None]), "got MultiIndex"),
        (
            pd.MultiIndex.from_tuples([("2024-01-02", "A")], names=LEVELS),
            "'datetime' .* must hold dates; got dtype .*'2024-01-02'.*pandas.to_datetime",
        ),
        (
            pd.MultiIndex.from_tuples([(20240102, "A")], names=LEVELS),
            "'datetime' .* must hold dates; got dtype int64 .*20240102",
        ),
        (
            pd.MultiIndex.from_arrays([[pd.NaT, *CALENDAR[:1]], ["A", "A"]], names=LEVELS),
            "level 'datetime' .* missing in 1 row: 0",
        ),
        (
            pd.MultiIndex.from_arrays([CALENDAR[:5], ["A", None, None, None, None]], names=LEVELS),
            r"level 'instrument' .* missing in 4 rows: 1, 2, 3, \.\.\.",
        ),
        (
            make_index([(1, 0), (1, 0), (2, 3), (1, 0), (2, 3)]),
            r"3 duplicate .* keys: \(2024-01-03, 'S0'\), .*\(2024-01-04, 'S3'\)",
        ),
        (
            make_index([(d, 0) for d in range(5)] * 2),
            r"5 duplicate .* keys: \(2024-01-02, 'S0'\), .*\(2024-01-04, 'S0'\), \.\.\.",
        ),
        (
            make_index([(1, 0), (1, 0)]).swaplevel(),
            r"1 duplicate \(datetime, instrument\) key: \(2024-01-03, 'S0'\)",
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
        [CALENDAR[[0, 0]], ["A", "A"], ["NYSE", "LSE"]], names=[*LEVELS, "venue"]
    )
    with pytest.raises(ValueError, match=r"no others; got .*'venue'"):
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
        make_index([(0, 0), (1, 0)]),
        make_index([(0, 0), (1, 0)]).swaplevel(),
    ],
)
def test_days_are_midnights(days):
    result = days_of(days)
    assert isinstance(result, pd.DatetimeIndex)
    assert result.tz is None
    assert result.tolist() == [pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-03")]


def test_days_come_from_the_first_carrier_that_knows():
    table, later = ragged(), ragged(seed=1)
    expected = table.index.get_level_values("datetime")
    assert_index_equal(days_of(None, None, np.ones(3), table, later), expected, check_names=False)
    assert_index_equal(days_of(None, table["a"]), expected, check_names=False)
    assert_index_equal(days_of(None, windows()), expected, check_names=False)
    assert days_of(CALENDAR, table).tolist() == CALENDAR.tolist()


def test_days_that_nobody_knows():
    assert days_of(None, np.ones(3), required=False) is None
    with pytest.raises(ValueError, match=r"trading days of y_true are not known.*from_long"):
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
    with pytest.raises(TypeError, match="days must be dates; got numbers"):
        days_of(days)


def test_days_that_cannot_be_read():
    with pytest.raises(TypeError, match=r"days must be dates; got .*tomorrow"):
        days_of(["tomorrow-ish"])
    with pytest.raises(ValueError, match="trading day is missing in 2 rows: 1, 3"):
        days_of(["2024-01-02", None, "2024-01-03", pd.NaT])


@pytest.mark.parametrize("days", ["2024-01-02", [["2024-01-02"]], pd.DataFrame({"d": CALENDAR})])
def test_days_are_one_date_a_row(days):
    with pytest.raises(ValueError, match="days must be one date a row"):
        days_of(days)


def test_instruments_follow_the_index():
    table = ragged()
    expected = table.index.get_level_values("instrument")
    for source in (table, table["a"], windows(), table.swaplevel()):
        assert_index_equal(instruments_of(source), expected)
    assert instruments_of(np.ones(3)) is None
    assert instruments_of(pd.Series([1.0])) is None


def test_align_y_finds_the_row_that_differs():
    X = ragged()
    align_y(X, X["a"])
    align_y(X, X["a"].copy().set_axis(X.index.copy()))
    align_y(windows(), X["a"])
    # Without two indexes nothing can be said; other lengths are scikit-learn's to report.
    align_y(X, X["a"].to_numpy())
    align_y(X.to_numpy(), X["a"])
    align_y(X, X["a"].iloc[:3])
    y = X["a"].iloc[[0, 1, 3, 2, *range(4, len(X))]]
    with pytest.raises(ValueError, match=r"different rows: row 2 is .* in X and .* in y.*reindex"):
        align_y(X, y)
    with pytest.raises(ValueError, match=r"in X_val and .* in y_val"):
        align_y(windows(), y, ("X_val", "y_val"))


def test_align_y_takes_levels_in_any_order():
    X = ragged()
    align_y(X, X["a"].swaplevel())


def test_level_codes_number_the_values_that_occur():
    index = make_index([(5, 2), (0, 10), (3, 2), (0, 1), (1, 0)])[:4]
    assert scrambled(index).equals(index)
    for levels in (index, index.swaplevel(), *(scrambled(index, seed) for seed in range(5))):
        for level in LEVELS:
            codes, values = level_codes(levels, level)
            expected, uniques = pd.factorize(index.get_level_values(level), sort=True)
            assert_array_equal(codes, expected)
            assert_index_equal(values, uniques, check_names=False)


def test_level_codes_names_the_types_that_have_no_order():
    index = pd.MultiIndex.from_product([CALENDAR[:2], [1, "A"]], names=LEVELS)
    with pytest.raises(TypeError, match=r"level 'instrument' .* one type; got int, str"):
        level_codes(index, "instrument")


# WindowArray ------------------------------------------------------------------------------------


def test_window_array_is_an_array_like():
    x = windows(length=4)
    dense = np.asarray(x)
    assert x.shape == dense.shape == (144, 4, 2)
    assert x.ndim == dense.ndim == 3
    assert x.dtype == dense.dtype == np.float32
    assert len(x) == 144
    assert x.fields == ("a", "b")
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert_array_equal(np.array(x), dense)
    assert_array_equal(x[...], dense)
    assert_array_equal(x[..., 0], dense[..., 0])
    assert_array_equal(np.stack(list(x)), dense)
    assert_array_equal(dense, slow_windows(ragged().to_numpy(), ragged().index, 4))
    assert "144 windows of 4 steps" in repr(x)
    with pytest.raises(ValueError, match="copy=False"):
        np.array(x, copy=False)
    assert skattn.WindowArray is WindowArray


def test_window_array_pads_before_its_rows_start():
    table = np.arange(5, dtype=np.float32)[:, None]
    x = WindowArray(table, np.array([1, 4, 3]), 3, starts=np.array([0, 0, 3]))
    nan = np.nan
    assert_array_equal(np.asarray(x)[:, :, 0], [[nan, 0, 1], [2, 3, 4], [nan, nan, 3]])
    assert x.index is None
    assert x.days is None
    assert x.instruments is None
    assert x[[0, 2]].index is None
    assert x.fields == ("x0",)


@pytest.mark.parametrize(
    ("ends", "length", "params", "message"),
    [
        ([1, 7], 2, {}, "rows of the table, 0 to 4; got 1 to 7"),
        ([-1, 2], 2, {}, "rows of the table, 0 to 4; got -1 to 2"),
        ([1.0], 2, {}, "ends must be integers; got float64"),
        ([[1, 2]], 2, {}, "one end and start a window"),
        ([1], 2, {"starts": [0, 1]}, "one end and start a window"),
        ([1], 2, {"index": CALENDAR}, "index has 6 labels for 1 windows"),
        ([1], 0, {}, "length must be a positive int; got 0"),
        ([1], 2.0, {}, "length must be a positive int; got 2.0"),
    ],
)
def test_window_array_checks_its_parts(ends, length, params, message):
    with pytest.raises(ValueError, match=message):
        WindowArray(np.ones((5, 2)), ends, length, **params)
    with pytest.raises(ValueError, match="table of two dimensions"):
        WindowArray(np.ones(5), [1], 2)


def test_window_array_of_more_windows_than_a_chunk():
    table = np.arange(20_000, dtype=np.float64)[:, None]
    x = WindowArray(table, np.arange(20_000), 2)
    dense = np.asarray(x)
    assert_array_equal(dense[:, 1, 0], np.arange(20_000))
    assert_array_equal(dense[1:, 0, 0], np.arange(19_999))
    assert np.isnan(dense[0, 0, 0])


N = len(ragged())
ROWS = st.one_of(
    st.integers(-N, N - 1),
    st.slices(N),
    st.lists(st.integers(-N, N - 1), max_size=8),
    st.lists(st.integers(-N, N - 1), max_size=8).map(lambda rows: np.array(rows, dtype=np.int32)),
    st.lists(st.booleans(), min_size=N, max_size=N).map(np.array),
    st.lists(st.booleans(), min_size=N, max_size=N),
    st.integers(-N, N - 1).map(np.int64),
)
REST = st.sampled_from(
    [
        (),
        (...,),
        (slice(None),),
        (-1,),
        (-1, 0),
        (0, -1),
        (slice(None), 1),
        (slice(-2, None), slice(None, None, -1)),
        (slice(None), np.int64(-1)),
    ]
)


@settings(max_examples=80, deadline=None)
@given(ROWS, REST, st.booleans())
def test_indexing_equals_that_of_the_dense_array(rows, rest, as_tuple):
    x = windows()
    dense = np.asarray(x)
    key = (rows, *rest) if rest or as_tuple else rows
    safe = np.asarray(rows, dtype=int) if isinstance(rows, list) and not rows else rows
    expected = dense[(safe, *rest)]
    result = x[key]
    assert result.shape == expected.shape
    assert_array_equal(np.asarray(result), expected)
    if isinstance(rows, (int, np.integer)) or rest not in ((), (...,)):
        assert isinstance(result, (np.ndarray, np.generic))
    else:
        assert isinstance(result, WindowArray)
        assert_index_equal(result.index, x.index[safe])
        assert result.days.equals(x.days[safe])
        assert_index_equal(result.instruments, x.instruments[safe])
        assert_array_equal(np.asarray(result[::-1]), expected[::-1])


@pytest.mark.parametrize("key", [N, -N - 1, [0, N], np.ones(N - 1, dtype=bool)])
def test_indexing_out_of_bounds(key):
    with pytest.raises(IndexError):
        windows()[key]


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), ..., 0),
        (0, ..., 1),
        ([0, 1], [0, 1]),
        ([0, 1], slice(None), [1, 0]),
        (0, slice(None), [1, 0]),
        (slice(None), [1, 0]),
        (slice(None), None),
        np.array(2),
        np.array([[0, 1], [2, 3]]),
        None,
        "a",
        [0.5],
    ],
    ids=str,
)
def test_other_indexes_are_refused_not_misread(key):
    with pytest.raises(IndexError):
        windows()[key]


def test_selection_shares_the_table():
    x = windows()
    assert x[:5].nbytes < x.nbytes
    assert x[:5].nbytes >= ragged().to_numpy().nbytes
    rows = x[:5]
    np.asarray(rows)[:] = 0.0
    x[0][:] = 0.0
    assert_array_equal(np.asarray(x), np.asarray(windows()))


@pytest.mark.parametrize("clone", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_window_array_travels(clone):
    x = windows().with_step(DivideByLatest(np.array([0, 0]))).with_step(Fill(0.5))[10:50:3]
    twin = clone(x)
    assert isinstance(twin, WindowArray)
    assert_array_equal(np.asarray(twin), np.asarray(x))
    assert_index_equal(twin.index, x.index)
    assert twin.fields == x.fields
    assert [type(step) for step in twin.steps] == [DivideByLatest, Fill]


def test_scikit_learn_slices_it():
    x = windows()
    dense = np.asarray(x)
    rows = np.array([3, 1, 4, 1])
    mask = np.arange(len(x)) % 7 == 0
    for key in (rows, rows.tolist(), mask, slice(2, 5)):
        taken = _safe_indexing(x, key)
        assert isinstance(taken, WindowArray)
        assert_array_equal(np.asarray(taken), dense[key])
        assert_index_equal(taken.index, x.index[key])
    train, test, y_train, y_test = train_test_split(x, dense[:, -1, 0], shuffle=False)
    assert isinstance(train, WindowArray)
    assert_array_equal(np.concatenate([train, test]), dense)
    assert_array_equal(np.concatenate([y_train, y_test]), dense[:, -1, 0])
    assert_index_equal(train.index.append(test.index), x.index)
    for first, second in TimeSeriesSplit(3).split(x):
        assert_array_equal(np.asarray(x[second]), dense[second])
        assert first.max() < second.min()


def test_steps_are_recorded_and_applied_in_turn():
    x = windows()
    dense = np.asarray(x)
    stepped = (
        x.with_step(DivideByLatest(np.array([0, 0])))
        .with_step(TakeFields(np.array([1])), fields=("ratio",))
        .with_step(Scale(np.array([[1.0], [2.0], [3.0], [4.0]]), np.full((4, 1), 0.5)))
        .with_step(Clip(3.0))
        .with_step(Fill(-9.0))
    )
    expected = (dense[:, :, 1:] / dense[:, -1:, :1] - np.array([[1], [2], [3], [4]])) / 0.5
    expected = np.clip(expected, -3, 3)
    expected[np.isnan(expected)] = -9
    assert stepped.shape == (144, 4, 1)
    assert stepped.fields == ("ratio",)
    np.testing.assert_allclose(np.asarray(stepped), expected, rtol=1e-5)
    assert_array_equal(np.asarray(x), dense)
    assert_array_equal(stepped[5], np.asarray(stepped)[5])
    for step in range(4):
        assert_array_equal(stepped.gather_lag(step), np.asarray(stepped)[:, step])


def test_a_batch_does_not_depend_on_its_batch_mates():
    x = windows().with_step(DivideByLatest(np.array([0, 1]))).with_step(Clip(2.0))
    dense = np.asarray(x)
    for i in range(0, len(x), 17):
        assert_array_equal(x[i], dense[i])
        assert_array_equal(x.gather([i, 0])[0], dense[i])


def test_fields_may_be_an_index():
    table = ragged()
    x = build_windows(table.to_numpy(), table.index, 2, fields=table.columns)
    assert x.fields == ("a", "b")


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_windows_of_integers_are_padded_with_nan():
    index = make_index([(0, 0), (2, 0)])
    memory = (np.array([[7]]), make_index([(1, 1)]))
    x = build_windows(np.array([[1], [2]]), index, 2, memory=memory)
    assert_array_equal(np.asarray(x)[:, :, 0], [[np.nan, 1], [np.nan, 2]])


# build_windows ----------------------------------------------------------------------------------

PAIRS = st.lists(
    st.tuples(st.integers(0, len(CALENDAR) - 1), st.integers(0, 2)), unique=True, min_size=1
)


@settings(max_examples=60, deadline=None)
@given(
    PAIRS,
    PAIRS | st.none(),
    st.sets(st.integers(0, len(CALENDAR) - 1)) | st.none(),
    st.integers(1, 8),
    st.booleans(),
    st.booleans(),
    st.integers(0, 5),
)
def test_build_windows_equals_reindex_and_shift(
    pairs, known, open_days, length, swap, swap_memory, seed
):
    index = make_index(pairs)
    values = np.arange(2.0 * len(pairs)).reshape(-1, 2)
    values[1::4, 1] = np.nan
    memory = None
    if known is not None:
        memory_index = make_index(known)
        memory_index = memory_index.swaplevel() if swap_memory else memory_index
        memory_index = scrambled(memory_index, seed) if seed else memory_index
        memory = (-1.0 - np.arange(2.0 * len(known)).reshape(-1, 2), memory_index)
    index = index.swaplevel() if swap else index
    index = scrambled(index, seed) if seed else index
    calendar = None if open_days is None else CALENDAR[sorted(open_days)]
    x = build_windows(values, index, length, memory=memory, calendar=calendar)
    assert x.index is index
    assert x.shape == (len(pairs), length, 2)
    expected = slow_windows(values, index, length, memory, () if calendar is None else calendar)
    assert_array_equal(np.asarray(x), expected)
    assert_array_equal(x[:, -1], values)


def test_days_of_the_calendar_that_no_row_has_are_nan():
    index = make_index([(0, 0), (2, 0)])
    x = build_windows(np.array([[1.0], [2.0]]), index, 3, calendar=CALENDAR[:5].as_unit("s"))
    assert_array_equal(np.asarray(x)[:, :, 0], [[np.nan, np.nan, 1], [1, np.nan, 2]])


def test_missing_days_are_nan_and_days_before_the_listing_too():
    index = make_index([(3, 0), (0, 0), (1, 1), (3, 1)])
    x = build_windows(np.array([[30.0], [0.0], [1.0], [31.0]]), index, 3)
    nan = np.nan
    assert_array_equal(
        np.asarray(x)[:, :, 0],
        [[0, nan, 30], [nan, nan, 0], [nan, nan, 1], [nan, 1, 31]],
        err_msg="S0 misses the day that only S1 has; no stock has the day number 2",
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_memory_may_have_another_resolution_of_time(unit):
    index = make_index([(1, 0), (2, 0)])
    memory_index = make_index([(0, 0)], CALENDAR.as_unit(unit))
    x = build_windows(np.array([[1.0], [2.0]]), index, 3, memory=(np.array([[0.0]]), memory_index))
    assert_array_equal(np.asarray(x)[1, :, 0], [0, 1, 2])


def test_values_count_where_memory_knows_the_same_key():
    index = make_index([(1, 0), (2, 0)])
    memory = (np.array([[10.0], [11.0], [12.0]]), make_index([(2, 0), (1, 0), (0, 0)]))
    x = build_windows(np.array([[np.nan], [2.0]]), index, 3, memory=memory)
    assert_array_equal(np.asarray(x)[1, :, 0], [12, np.nan, 2])


@settings(max_examples=40, deadline=None)
@given(PAIRS, PAIRS, st.integers(1, 8), st.integers(0, len(CALENDAR) - 1))
def test_windows_never_hold_later_values(pairs, known, length, today):
    index, memory_index = make_index(pairs), make_index(known)
    values, remembered = np.arange(1.0, len(pairs) + 1), np.arange(-1.0, -len(known) - 1, -1)
    past = index.get_level_values("datetime") <= CALENDAR[today]

    def at_most_today(values, remembered):
        x = build_windows(
            values[:, None], index, length, memory=(remembered[:, None], memory_index)
        )
        return np.asarray(x)[past]

    before = at_most_today(values, remembered)
    later = memory_index.get_level_values("datetime") > CALENDAR[today]
    after = at_most_today(np.where(past, values, np.nan), np.where(later, 1e9, remembered))
    assert_array_equal(before, after)


def test_a_million_rows_take_little_more_than_their_table():
    n_days, n_stocks, length = 1000, 1000, 60
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2020-01-01", periods=n_days), range(n_stocks)], names=LEVELS
    )
    values = np.zeros((len(index), 6), dtype=np.float32)
    x = build_windows(values, index, length)
    assert x.shape == (1_000_000, 60, 6)
    positions = 2 * 8 * len(index)
    assert x.nbytes <= values.nbytes + positions
    assert x.nbytes < np.prod(x.shape) * 4 / 30
    assert x[::2].with_step(Fill(0.0)).nbytes < x.nbytes
    assert len(pickle.dumps(x.steps)) < 1000


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ends": [5]}, "ends must be rows of the table, 0 to 4; got 5 to 5"),
        ({"ends": [-1]}, "ends must be rows of the table"),
        ({"ends": [1.5]}, "ends must be integers"),
        ({"starts": np.zeros(2, int)}, "one end and start a window"),
        ({"table": np.ones(5)}, "a table of two dimensions"),
        ({"index": pd.RangeIndex(3)}, "index has 3 labels for 1 windows"),
        ({"length": 2.0}, "length must be a positive int"),
    ],
)
def test_windows_must_fit_their_table(changed, message):
    right = {"table": np.ones((5, 2)), "ends": [2], "length": 2}
    WindowArray(**right)
    with pytest.raises(ValueError, match=message):
        WindowArray(**{**right, **changed})
