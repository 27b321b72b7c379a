"""Long tables and files of several kinds become indexed tables."""

from __future__ import annotations

import datetime as dt
import gzip
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import KEYS
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from skattn.panel import check_index, days_of, from_long


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
    assert table.index.names == KEYS
    # Rows are sorted by both levels.
    assert list(table.index) == [
        (pd.Timestamp("2024-01-02"), "A"),
        (pd.Timestamp("2024-01-03"), "B"),
    ]
    assert table["close"].tolist() == [2.0, 1.0]
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
        (["date", "TICKER", "time"], "'date', 'time'.*datetime=", "datetime"),
        (["Date", "date", "ticker"], "'Date', 'date'.*datetime=", "datetime"),
        (
            ["ticker", "date", "permno", "Symbol"],
            "'ticker', 'permno', 'Symbol'.*instrument=",
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
    assert from_long(long, datetime="settle", instrument="isin").index.names == KEYS


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
    with pytest.raises(ValueError, match=r"'instrument'.*\b1\b"):
        from_long(path)


@pytest.mark.parametrize("name", ["prices.xlsx", "prices", "prices.csv.bz2"])
def test_from_long_names_the_files_that_it_reads(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=rf"{name}'.*\.parquet"):
        from_long(tmp_path / name)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_from_long_says_which_file_is_not_there_or_damaged(tmp_path, suffix):
    path = tmp_path / f"prices{suffix}"
    with pytest.raises(FileNotFoundError, match=rf"prices\{suffix}'"):
        from_long(path)
    path.touch()
    with pytest.raises(ValueError, match=rf"prices\{suffix}'"):
        from_long(path)
    pd.DataFrame({"day": ["2024-01-02"], "name": ["A"]}).to_csv(tmp_path / "prices.csv")
    with pytest.raises(ValueError, match=r"prices\.csv'.*instrument="):
        from_long(tmp_path / "prices.csv")


def test_from_long_says_that_a_packed_file_is_none_or_damaged(tmp_path):
    path = tmp_path / "prices.csv.gz"
    packed = gzip.compress(b"date,ticker,close\n" + b"2024-01-02,A,9.5\n" * 50)
    for content in (b"date,ticker,close\n", packed[:-20], packed[:30] + b"!" * 30):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"prices\.csv\.gz'"):
            from_long(path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match=r"folder\.csv'.*directory"):
        from_long(tmp_path / "folder.csv")


def test_from_long_says_that_a_file_has_a_column_twice(tmp_path):
    (tmp_path / "prices.csv").write_text("date,ticker,,,close,close\n2024-01-02,A,1,2,3,4\n")
    with pytest.raises(ValueError, match=r"prices\.csv'.*'close'"):
        from_long(tmp_path / "prices.csv")


def test_from_long_says_what_a_parquet_file_needs(tmp_path, monkeypatch):
    pd.DataFrame(COLUMNS).to_parquet(tmp_path / "prices.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"prices\.parquet'.*skattn\[parquet\]"):
        from_long(tmp_path / "prices.parquet")
    with pytest.raises(ImportError, match=r"DataFrame.*skattn\[parquet\]"):
        from_long(pl.DataFrame(COLUMNS))


@pytest.mark.parametrize("kind", ["int32", "int64", "float64", "Int64", "str", "string"])
def test_from_long_reads_dates_written_as_digits(kind):
    dates = pd.Series([20240102, 20231229]).astype(kind)
    table = from_long(pd.DataFrame({"date": dates, "sid": [1, 1], "close": [1.0, 2.0]}))
    assert table.index.get_level_values("datetime").tolist() == [
        pd.Timestamp("2023-12-29"),
        pd.Timestamp("2024-01-02"),
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
            r"frame.*\(2024-01-02, 'A'\)",
        ),
        (long_table(tickers=("A", None)), {}, r"'instrument'.*\b1\b"),
        (long_table(dates=(None, "2024-01-02")), {}, r"'datetime'.*\b0\b"),
        (long_table(dates=(np.nan, 20240102.0)), {}, r"'datetime'.*\b0\b"),
        (long_table(), {"datetime": "Date"}, "datetime='Date'.*'date', 'ticker'"),
        (long_table(), {"instrument": "isin"}, "instrument='isin'"),
        (
            long_table().rename(columns={"date": "when"}),
            {},
            r"\['when', 'ticker'\].*datetime=",
        ),
        (
            long_table().rename(columns={"ticker": "name"}),
            {},
            r"\['date', 'name'\].*instrument=",
        ),
        (long_table(dates=("soon", "later")), {}, "'date'.*soon"),
        (long_table(dates=(20241302, 20240102)), {}, "'date'.*20241302"),
        (long_table(dates=(1, 2)), {}, r"'date'.*\b1\b"),
        (long_table(dates=(240102, 240103)), {}, r"'date'.*\b240102\b"),
        (long_table(dates=("20240102", "2023")), {}, r"'date'.*\b2023\b"),
        (long_table(dates=(-20240102, None)), {}, "'date'.*-20240102"),
        (long_table(tickers=(["A"], ["B"])), {}, "'ticker'.*'list'"),
    ],
)
@pytest.mark.filterwarnings("ignore:Could not infer format")
def test_from_long_says_what_is_wrong(frame, params, message):
    with pytest.raises(ValueError, match=message):
        from_long(frame, **params)


@pytest.mark.parametrize("name", ["datetime", "instrument"])
def test_from_long_takes_one_name_a_key(name):
    with pytest.raises(TypeError, match=rf"{name}.*\['date'\]"):
        from_long(long_table(), **{name: ["date"]})


def test_from_long_refuses_what_is_no_table():
    with pytest.raises(TypeError, match=r"frame.*\blist\b"):
        from_long([["2024-01-02", "A", 1.0]])


def test_from_long_names_the_column_of_digits_with_a_fraction():
    with pytest.raises(ValueError, match="'date'"):
        from_long(long_table(dates=(20240102.5, 20240103.0)))


def test_from_long_says_that_a_column_is_there_twice():
    frame = pd.DataFrame([["2024-01-02", "2024-01-02", "A"]], columns=["date", "date", "ticker"])
    with pytest.raises(ValueError, match="column 'date'"):
        from_long(frame)
