"""Tables as vendors deliver them: read, or answered with the call that reads them."""

from __future__ import annotations

import pathlib
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal

from skattn import from_long, make_label
from skattn.preprocessing import Alpha360

DAYS = pd.DatetimeIndex(["2024-01-02", "2024-01-03", "2024-01-04"], name="Date")
FIELDS = ["Close", "Low", "Volume"]
# NA and OPEN are tickers, and LOW is a ticker and a field.
TICKERS = ["LOW", "NA", "OPEN"]
COLUMNS = pd.MultiIndex.from_product([FIELDS, TICKERS], names=["Price", "Ticker"])


@pytest.fixture
def yahoo():
    """yfinance's download; NA did not trade on the second day."""
    table = pd.DataFrame(np.arange(27.0).reshape(3, 9), DAYS, COLUMNS)
    table.loc["2024-01-03", (slice(None), "NA")] = np.nan
    return table


@pytest.fixture
def long(yahoo):
    rows = [
        (day, ticker, *(yahoo.loc[day, (field, ticker)] for field in FIELDS))
        for day in DAYS
        for ticker in TICKERS
        if (day, ticker) != (DAYS[1], "NA")
    ]
    table = pd.DataFrame(rows, columns=["datetime", "instrument", *FIELDS])
    return table.set_index(["datetime", "instrument"])


def assert_reads(frame, expected, **params):
    assert_frame_equal(from_long(frame, **params), expected, check_index_type=False)


def call_of(error: pytest.ExceptionInfo) -> str:
    """The call that a message names."""
    text = str(error.value)
    return text[text.rindex("from_long(") :].removesuffix(".")


def run_call(frame, **names) -> pd.DataFrame:
    """Run the call that the error about a table names."""
    with pytest.raises(ValueError, match=r"from_long\(") as error:
        from_long(frame)
    scope = {"from_long": from_long, "pandas": pd, "pathlib": pathlib, "frame": frame, **names}
    return eval(call_of(error), scope)


# Columns of two levels --------------------------------------------------------------------------


def test_columns_of_fields_and_tickers(yahoo, long):
    by_ticker = yahoo.swaplevel(axis=1).sort_index(axis=1)
    for table in (yahoo, by_ticker, yahoo.reset_index(), yahoo.rename_axis(index=None)):
        before = table.copy()
        assert_reads(table, long)
        assert_frame_equal(table, before)
    assert_reads(yahoo.reset_index(), long, datetime="Date")
    assert_reads(yahoo, long, datetime="Date", instrument="Ticker")
    upper = yahoo.rename_axis(columns=[None, None]).drop(columns="LOW", level=1)
    assert_reads(upper, long.drop("LOW", level="instrument"))
    zoned = from_long(yahoo.tz_localize("America/New_York"))
    assert str(zoned.index.get_level_values("datetime").tz) == "America/New_York"


@pytest.mark.parametrize("by_ticker", [False, True])
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_files_of_fields_and_tickers(yahoo, long, tmp_path, by_ticker, suffix):
    table = yahoo.swaplevel(axis=1).sort_index(axis=1) if by_ticker else yahoo
    path = tmp_path / f"yahoo.{suffix}"
    table.to_parquet(path) if suffix == "parquet" else table.to_csv(path)
    assert_reads(path, long)


def test_columns_of_other_levels(yahoo):
    three = pd.concat({"US": yahoo}, axis=1)
    with pytest.raises(ValueError, match=r"3 levels.*'Close', 'AAPL'.*'US', 'Close', 'LOW'"):
        from_long(three)
    with pytest.raises(ValueError, match=r"2 levels.*fields and instruments"):
        from_long(
            yahoo.rename(columns=dict(zip(FIELDS, "abc", strict=True))).rename_axis(
                columns=[None, None]
            )
        )
    with pytest.raises(ValueError, match="must differ"):
        from_long(pd.concat([yahoo, yahoo], axis=1))


# Keys in the index ------------------------------------------------------------------------------


def test_keys_in_the_index(long):
    assert_reads(long, long)
    assert_reads(long.swaplevel(), long)
    assert_reads(long.reset_index("instrument"), long)
    assert_reads(long.reset_index("instrument").rename_axis("Date"), long)
    assert_reads(long.reset_index("instrument").rename_axis(None), long)
    # A column goes before the index.
    table = long.loc[[DAYS[0]]].reset_index("instrument").assign(date="2020-01-01")
    assert set(from_long(table.rename_axis("time")).index.get_level_values(0)) == {
        pd.Timestamp("2020-01-01")
    }


def test_levels_without_names(long):
    result = run_call(long.rename_axis([None, None]))
    assert_frame_equal(result, long, check_index_type=False)
    result = run_call(
        long.reset_index("instrument")
        .set_axis(long.index.get_level_values(0).astype(str))
        .rename_axis(None)
    )
    assert_frame_equal(result, long, check_index_type=False)


# One table for each instrument ------------------------------------------------------------------


def one(long, ticker) -> pd.DataFrame:
    return long.xs(ticker, level="instrument").rename_axis("Date")


def test_tables_of_one_instrument(long, tmp_path):
    tables = {ticker: one(long, ticker) for ticker in TICKERS}
    assert_reads(tables, long)
    tables["NA"] = pl.DataFrame(tables["NA"].reset_index())
    tables["LOW"].to_csv(tmp_path / "LOW.csv")
    tables["LOW"] = tmp_path / "LOW.csv"
    assert_reads(tables, long)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_folder_of_files_of_one_instrument(long, tmp_path, suffix):
    for ticker in TICKERS:
        table, path = one(long, ticker), tmp_path / f"{ticker}.{suffix}"
        table.to_csv(path) if suffix == "csv" else table.to_parquet(path)
    assert_frame_equal(run_call(tmp_path), long, check_index_type=False)


def test_a_table_of_one_instrument(long, tmp_path):
    table = one(long, "LOW")
    expected = long.xs("LOW", level="instrument", drop_level=False)
    expected = expected.rename(index={"LOW": "AAPL"}, level="instrument")
    table.to_csv(tmp_path / "x.csv")
    for frame in (
        table,
        table.reset_index(),
        tmp_path / "x.csv",
        pl.DataFrame(table.reset_index()),
    ):
        assert_frame_equal(run_call(frame), expected, check_index_type=False)


def test_dicts_that_name_no_tables(long):
    with pytest.raises(TypeError, match=r'frame.*"AAPL": table.*list'):
        from_long({"date": ["2024-01-02"], "ticker": ["A"]})
    with pytest.raises(ValueError, match="empty dict"):
        from_long({})
    tables = {ticker: long[long.index.isin([ticker], level=1)] for ticker in TICKERS}
    with pytest.raises(ValueError, match="'LOW' has a column 'instrument'") as error:
        from_long(tables)
    call = re.search(r"pandas\.concat\(.*\)", str(error.value))[0]
    joined = eval(call, {"pandas": pd, "frame": tables, "from_long": from_long})
    assert_reads(joined, long)


# Wide tables ------------------------------------------------------------------------------------


def test_wide_tables(yahoo, long, tmp_path):
    wide = yahoo["Close"]
    expected = long[["Close"]].rename(columns=str.lower)
    wide.to_csv(tmp_path / "x.csv")
    plain = wide.rename_axis(columns=None)
    polars = pl.DataFrame(plain.reset_index())
    paths = [tmp_path / "x.csv"]
    for frame in (wide, plain, wide.rename_axis(None), plain.reset_index(), polars, *paths):
        assert_frame_equal(run_call(frame), expected, check_index_type=False)


def test_a_wide_file_whose_dates_have_no_name(yahoo, long, tmp_path):
    path = tmp_path / "x.csv"
    yahoo["Close"].rename_axis(None).to_csv(path)
    with pytest.raises(ValueError, match=r"'Unnamed: 0'.*datetime="):
        from_long(path)
    with pytest.raises(ValueError, match=r"from_long\(") as error:
        from_long(path, datetime="Unnamed: 0")
    table = eval(call_of(error).replace("from_long", "", 1), {"pandas": pd})
    result = from_long(table, datetime="Unnamed: 0")
    assert_frame_equal(result, long[["Close"]].rename(columns=str.lower), check_index_type=False)


def test_a_series(long):
    with pytest.raises(TypeError, match=r'Series.*frame\.to_frame\("close"\)'):
        from_long(long["Close"])
    assert from_long(long["Close"].to_frame("close"))["close"].equals(long["Close"])


@pytest.mark.parametrize(
    "use", [make_label, lambda table: Alpha360(["close"], length=2).fit(table)]
)
def test_names_in_capitals_have_a_cure(long, use):
    with pytest.raises(ValueError, match=r"\.rename\(columns=str\.lower\)"):
        use(long)
    use(long.rename(columns=str.lower))
