"""Text is read as dates in one way only, and local dates count."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skattn import make_label
from skattn.model_selection import DateSplit
from skattn.panel import days_of, from_long
from skattn.preprocessing import Alpha158, Alpha360

FIFTH_OF_MARCH = pd.Timestamp("2025-03-05")
NEW_YORK = ["2025-03-07 00:00:00-05:00", "2025-03-10 00:00:00-04:00"]


def read(dates, **params) -> list[pd.Timestamp]:
    """The dates that from_long reads, in the order of the rows."""
    tickers = [f"S{i:03}" for i in range(len(dates))]
    table = from_long(pd.DataFrame({"date": dates, "ticker": tickers}), **params)
    return table.sort_index(level="instrument").index.get_level_values("datetime").tolist()


# Which order ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "date_format"),
    [
        ("05/03/2025", "%d/%m/%Y"),
        ("05-03-2025", "%d-%m-%Y"),
        ("05.03.2025", "%d.%m.%Y"),
        ("5/3/2025", "%d/%m/%Y"),
        ("05/03/2025 16:00", "%d/%m/%Y %H:%M"),
        ("05/03/2025 16:00:00", "%d/%m/%Y %H:%M:%S"),
    ],
)
def test_dates_that_can_be_read_both_ways_are_refused(text, date_format):
    message = f"'date'.*'{text}'.*5 March and as 3 May 2025.*dayfirst=.*{date_format}"
    with pytest.raises(ValueError, match=message):
        read(["05/05/2025", None, text])
    # Each cure that the message names works.
    assert read([text], date_format=date_format)[0].normalize() == FIFTH_OF_MARCH
    assert read([text], dayfirst=True)[0].normalize() == FIFTH_OF_MARCH
    assert read([text], dayfirst=False)[0].normalize() == pd.Timestamp("2025-05-03")


def test_a_day_over_12_tells_the_order_of_its_separator():
    assert read(["05/03/2025", "13/03/2025"]) == [FIFTH_OF_MARCH, pd.Timestamp("2025-03-13")]
    assert read(["03/05/2025", "03/13/2025"]) == [FIFTH_OF_MARCH, pd.Timestamp("2025-03-13")]
    assert read(["5.3.2025", "31.3.2025", "03/05/2025", "3/31/2025"])[::2] == [FIFTH_OF_MARCH] * 2
    with pytest.raises(ValueError, match=r"'05\.03\.2025'"):
        read(["05.03.2025", "03/31/2025"])
    with pytest.raises(ValueError, match=r"'13/03/2025' has the day first.*'03/14/2025'"):
        read(["05/03/2025", "13/03/2025", "03/14/2025"])


def test_dates_that_are_the_same_in_both_orders_are_read():
    assert read(["05/05/2025", "03-03-2025"]) == [
        pd.Timestamp("2025-05-05"),
        pd.Timestamp("2025-03-03"),
    ]


@given(
    day=st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)),
    sep=st.sampled_from("/-."),
    dayfirst=st.booleans(),
)
@example(day=dt.date(2025, 3, 5), sep="/", dayfirst=True)
def test_dates_are_read_right_or_refused(day, sep, dayfirst):
    text = day.strftime(sep.join(["%d", "%m", "%Y"] if dayfirst else ["%m", "%d", "%Y"]))
    expected = [pd.Timestamp(day)]
    assert read([text], dayfirst=dayfirst) == expected
    assert read([day.strftime(f"%Y{sep}%m{sep}%d")], dayfirst=dayfirst) == expected
    if day.day <= 12 and day.day != day.month:
        with pytest.raises(ValueError, match="can be read as"):
            read([text])
    else:
        assert read([text]) == expected


@pytest.mark.parametrize("dayfirst", [None, True, False])
@pytest.mark.parametrize(
    "text",
    [
        "2025-03-05",
        "2025/3/5",
        "2025.03.05",
        "20250305",
        "20250305T000000",
        "2025-03-05T00:00:00.000Z",
        "5 March 2025",
        "05-Mar-2025",
        "05MAR2025",
        "Mar 5, 2025",
        "2025-Mar-05",
        "Wed, 05 Mar 2025 00:00:00 GMT",
        " 2025-03-05 ",
    ],
)
def test_dates_of_one_reading_are_read_in_any_case(text, dayfirst):
    assert read([text], dayfirst=dayfirst) == [FIFTH_OF_MARCH]


def test_times_of_day_are_kept():
    texts = ["3/5/2025 4:00:00 PM", "3/25/2025 12:15 AM", "2025-03-05 09:30:00.5", "2025-03-05T16"]
    assert read(texts) == [
        pd.Timestamp("2025-03-05 16:00"),
        pd.Timestamp("2025-03-25 00:15"),
        pd.Timestamp("2025-03-05 09:30:00.5"),
        pd.Timestamp("2025-03-05 16:00"),
    ]


@pytest.mark.parametrize(
    ("text", "date_format"),
    [("05/03/25", "%d/%m/%y"), ("05-Mar-25", "%d-%b-%y"), ("05.03.25 16:00", "%d.%m.%y %H:%M")],
)
def test_a_year_of_two_digits_needs_the_format(text, date_format):
    for dayfirst in (None, True):
        with pytest.raises(ValueError, match=f"'{text}'.*two digits.*{date_format}"):
            read([text], dayfirst=dayfirst)
    assert read([text], date_format=date_format)[0].normalize() == FIFTH_OF_MARCH


@pytest.mark.parametrize(
    "text", ["2025-03", "10:00", "now", "Mon", "2025-02-30", "13/13/2025", "14/13/2025", "1e9"]
)
def test_text_that_names_no_day(text):
    with pytest.raises(ValueError, match=f"'date'.*{text}.*date_format="):
        read(["2025-03-05", text])


# date_format and dayfirst -----------------------------------------------------------------------


def test_the_format_names_the_first_date_that_does_not_fit():
    dates = ["05/03/2025", None, "2025-03-06", "soon"]
    with pytest.raises(ValueError, match="'2025-03-06' does not fit date_format='%d/%m/%Y'"):
        read(dates, date_format="%d/%m/%Y")
    with pytest.raises(ValueError, match="'13/03/2025' is not a date with dayfirst=False"):
        read(["05/03/2025", "13/03/2025"], dayfirst=False)


def test_the_format_reads_numbers_and_offsets(tmp_path):
    # 11225 has lost the zero of 011225.
    expected = [pd.Timestamp("2025-12-01"), FIFTH_OF_MARCH]
    for kind in ("int64", "float64", "Int64", object):
        assert read(pd.Series([11225, 50325]).astype(kind), date_format="%d%m%y") == expected
    (tmp_path / "x.csv").write_text("date,ticker\n011225,A\n050325,B\n")
    table = from_long(tmp_path / "x.csv", date_format="%d%m%y")
    assert table.index.get_level_values("datetime").tolist() == expected[::-1]
    local = [pd.Timestamp("2025-03-07"), pd.Timestamp("2025-03-10")]
    assert read(NEW_YORK, date_format="%Y-%m-%d %H:%M:%S%z") == local
    assert read(["2025-03"], date_format="%Y-%m") == [pd.Timestamp("2025-03-01")]


def test_the_format_leaves_dates_alone():
    assert read([FIFTH_OF_MARCH], date_format="%d/%m/%Y") == [FIFTH_OF_MARCH]


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"date_format": "mixed"}, ValueError, "date_format.*year.*'mixed'"),
        ({"date_format": "%d/%m"}, ValueError, "date_format.*year.*'%d/%m'"),
        ({"date_format": 8}, TypeError, r"date_format.*\b8\b"),
        ({"dayfirst": "yes"}, TypeError, "dayfirst.*'yes'"),
        ({"dayfirst": 1}, TypeError, r"dayfirst.*\b1\b"),
        ({"dayfirst": True, "date_format": "%d/%m/%Y"}, ValueError, "date_format.*dayfirst"),
    ],
)
def test_orders_that_are_none(params, error, message):
    with pytest.raises(error, match=message):
        read(["2025-03-05"], **params)


# Time zones and types ---------------------------------------------------------------------------


@pytest.mark.parametrize("dates", [NEW_YORK, NEW_YORK[::-1], [NEW_YORK[0], "2025-03-10"]])
def test_text_with_offsets_gives_local_dates(dates, tmp_path):
    local = [pd.Timestamp(text[:10]) for text in dates]
    assert read(dates) == local
    pd.DataFrame({"date": dates, "ticker": ["A", "B"]}).to_csv(tmp_path / "x.csv", index=False)
    table = from_long(tmp_path / "x.csv").sort_index(level="instrument")
    assert table.index.get_level_values("datetime").tolist() == local
    assert days_of(dates).tolist() == local


def test_sundays_stay_away_from_tokyo():
    assert read(["2025-03-10 00:00:00+09:00"]) == [pd.Timestamp("2025-03-10")]


def test_stamps_of_several_zones_become_local():
    same_instant = pd.Timestamp("2025-03-10", tz="Asia/Tokyo")
    dates = [same_instant, same_instant.tz_convert("America/New_York"), dt.date(2025, 3, 10)]
    local = ["2025-03-10", "2025-03-09 11:00", "2025-03-10"]
    assert read(pd.Series(dates, dtype=object)) == list(map(pd.Timestamp, local))
    offsets = [dt.datetime.fromisoformat(text) for text in NEW_YORK]
    assert days_of(offsets).tolist() == [pd.Timestamp("2025-03-07"), pd.Timestamp("2025-03-10")]
    zoned = pd.Series([same_instant] * 2, dtype=object)
    assert str(read(zoned)[0].tz) == "Asia/Tokyo"


def test_columns_of_several_types():
    dates = [
        20250305,
        "2025-03-05",
        dt.date(2025, 3, 5),
        np.datetime64("2025-03-05"),
        FIFTH_OF_MARCH,
    ]
    assert read(pd.Series(dates, dtype=object)) == [FIFTH_OF_MARCH] * 5
    with pytest.raises(ValueError, match=r"'date'.*Period.*date"):
        read(pd.Series([FIFTH_OF_MARCH, pd.Period("2025-03-05")], dtype=object))
    with pytest.raises(ValueError, match=r"'date'.*True"):
        read(pd.Series([True, False]))


ARROW = {
    "timestamp": pa.array([dt.datetime(2025, 3, 5)], pa.timestamp("us")),
    "date32": pa.array([dt.date(2025, 3, 5)], pa.date32()),
    "date64": pa.array([dt.date(2025, 3, 5)], pa.date64()),
    "string": pa.array(["2025-03-05"]),
    "dictionary": pa.array(["2025-03-05"]).dictionary_encode(),
    "zone": pa.array([dt.datetime(2025, 3, 5)], pa.timestamp("us", "UTC")),
}


@pytest.mark.parametrize("kind", ARROW)
def test_dates_of_arrow(kind):
    dates = pd.Series(pd.arrays.ArrowExtensionArray(ARROW[kind]))
    assert [stamp.tz_localize(None) for stamp in read(dates)] == [FIFTH_OF_MARCH]
    for days in (dates, pd.Index(dates), dates.array, ARROW[kind]):
        assert days_of(days).tolist() == [FIFTH_OF_MARCH]


def test_tables_with_dtypes_of_arrow(market, tmp_path):
    expected = market.ohlcv
    expected.reset_index().to_parquet(tmp_path / "x.parquet")
    table = pd.read_parquet(tmp_path / "x.parquet", dtype_backend="pyarrow")
    assert from_long(table).index.tolist() == expected.index.tolist()
    indexed = table.set_index(["datetime", "instrument"])
    assert days_of(None, indexed).equals(days_of(None, expected))
    with pytest.raises(ValueError, match=r"from_long\(ohlcv\.reset_index\(\)\) reads the dates"):
        make_label(indexed)
    ohlcv = from_long(indexed.reset_index())
    assert ohlcv.index.tolist() == expected.index.tolist()
    # Numbers of pyarrow give what numbers of numpy give.
    assert_array_equal(make_label(ohlcv), make_label(expected))
    for transformer in (Alpha158(vwap="typical"), Alpha360(vwap="typical", length=5)):
        assert_array_equal(
            np.asarray(transformer.fit_transform(ohlcv)),
            np.asarray(transformer.fit_transform(expected)),
        )


# Days and bounds of spans -----------------------------------------------------------------------


def test_days_have_one_reading():
    assert days_of(["05/03/2025", "13/03/2025"])[0] == FIFTH_OF_MARCH
    with pytest.raises(ValueError, match=r'days.*3 May.*to_datetime\(days, format="%d/%m/%Y"\)'):
        days_of(["05/03/2025", "06/03/2025"])
    assert pd.to_datetime(["05/03/2025"], format="%d/%m/%Y")[0] == FIFTH_OF_MARCH
    with pytest.raises(ValueError, match="two digits"):
        days_of(["05/03/25"])
    for text in ("10:00", "now", "2025-03"):
        with pytest.raises(TypeError, match=f"days.*{text}"):
            days_of([text])
    with pytest.raises(ValueError, match="3 May"):
        next(DateSplit(("2024", "2024"), test=("2025", "2025")).split([0], groups=["05/03/2025"]))


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("05/03/2025", "5 March and as 3 May 2025.*2025-03-05"),
        ("05-03-2025 16:00", "5 March"),
        ("05/03/25", "two digits"),
        ("10:00", "10:00"),
        ("", "''"),
        (np.datetime64("NaT", "D"), "NaT"),
        ("2025-13", "2025-13"),
    ],
)
def test_bounds_have_one_reading(bound, message):
    with pytest.raises(ValueError, match=f"train must hold dates.*{message}"):
        DateSplit(train=(None, bound), test=("2026", None))


@pytest.mark.parametrize(
    "bound",
    [
        "31/03/2025",
        "2025.03.31",
        "2025-03",
        "03/2025",
        "2025Q1",
        "March 2025",
        "20250331",
        "2025-03-31T23:00-04:00",
        dt.date(2025, 3, 31),
        pd.Timestamp("2025-03-31 23:00", tz="US/Eastern"),
    ],
)
def test_bounds_of_one_reading(bound):
    days = pd.date_range("2025-03-30", "2025-04-02")
    ((train, test),) = DateSplit(train=(None, bound), test=("2025-04", None), purge=0).split(
        days, groups=days
    )
    assert (len(train), len(test)) == (2, 2)


def test_polars_days():
    assert days_of(pl.Series(["2025-03-05"])).tolist() == [FIFTH_OF_MARCH]
