"""read_provider on folders that are written here, against the tables they were written of."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import OHLCV
from hypothesis import given, settings
from hypothesis import strategies as st

from skattn.preprocessing import Alpha158, Alpha360
from skattn.qlib import read_provider


@pytest.fixture(scope="module")
def ohlcv(market):
    return market.ohlcv[OHLCV].astype("float32")


@pytest.fixture(scope="module")
def shared(ohlcv, write_provider, tmp_path_factory):
    """A folder whose series no test changes."""
    folder = tmp_path_factory.mktemp("provider")
    write_provider(ohlcv, folder)
    return folder


@pytest.fixture
def folder(ohlcv, write_provider, tmp_path):
    """A folder of one's own: three stocks, 30 days."""
    days = ohlcv.index.get_level_values("datetime").unique()[:30]
    stocks = ohlcv.index.get_level_values("instrument").unique()[:3]
    index = pd.MultiIndex.from_product([days, stocks], names=["datetime", "instrument"])
    write_provider(ohlcv.reindex(index).ffill().bfill(), tmp_path)
    return tmp_path


def bins(folder, field="close"):
    return sorted((folder / "features").glob(f"*/{field}.day.bin"))


def calendar_days(folder):
    return (folder / "calendars" / "day.txt").read_text().split()


def set_market(folder, *lines, name="few"):
    (folder / "instruments" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return name


# --- what comes out --------------------------------------------------------------------------


def test_the_table_that_was_written_comes_back(shared, ohlcv):
    table = read_provider(shared, fields=OHLCV)
    assert table.index.names == ["datetime", "instrument"]
    assert table.index.is_monotonic_increasing
    assert table.columns.tolist() == OHLCV
    assert (table.dtypes == np.float32).all()
    pd.testing.assert_frame_equal(table.loc[ohlcv.index], ohlcv, check_exact=True)
    others = table.loc[~table.index.isin(ohlcv.index)]
    assert len(others) > 5
    assert others.isna().all(axis=None), "days that a stock misses"


def test_vwap_comes_where_every_stock_has_it(folder):
    assert read_provider(folder).columns.tolist() == [*OHLCV, "vwap"]
    bins(folder, "vwap")[1].unlink()
    assert read_provider(folder).columns.tolist() == OHLCV


def test_fields_may_have_their_dollar_and_any_case(folder):
    table = read_provider(folder, fields=["$close", "Volume"])
    assert table.columns.tolist() == ["close", "Volume"]
    expected = read_provider(folder, fields=["close", "volume"])
    np.testing.assert_array_equal(table, expected)


@pytest.mark.parametrize(("start", "end"), [(None, 100), (40, None), (40, 100), (40, 40)], ids=str)
def test_start_and_end_are_included(shared, start, end):
    whole = read_provider(shared)
    calendar = whole.index.levels[0]
    table = read_provider(
        shared,
        start=None if start is None else calendar[start],
        end=None if end is None else calendar[end].strftime("%Y-%m-%d"),
    )
    days = whole.index.get_level_values("datetime")
    wanted = days >= calendar[start or 0]
    wanted &= days <= calendar[-1 if end is None else end]
    pd.testing.assert_frame_equal(table, whole[wanted])
    days = table.index.levels[0]
    assert days[0] == calendar[start or 0]
    assert days[-1] == calendar[-1 if end is None else end]


def test_start_and_end_need_not_be_trading_days(folder):
    whole = read_provider(folder)
    days = pd.DatetimeIndex(calendar_days(folder))
    gap = np.flatnonzero(np.diff(days) > pd.Timedelta(days=1))[0]
    between = days[gap] + pd.Timedelta(days=1)
    later = read_provider(folder, start=between)
    earlier = read_provider(folder, end=between)
    assert later.index.levels[0][0] == days[gap + 1]
    assert earlier.index.levels[0][-1] == days[gap]
    assert len(later) + len(earlier) == len(whole)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2010", "2010", "2010-01-04", "2010-08-13"),
        ("2010-02", "2010-03", "2010-02-01", "2010-03-31"),
        (None, "2010Q1", "2010-01-04", "2010-03-31"),
        (pd.Timestamp("2010-02-02 01:00", tz="Asia/Shanghai"), None, "2010-02-02", "2010-08-13"),
        (None, np.datetime64("2010-02-02T15:00"), "2010-01-04", "2010-02-02"),
    ],
    ids=["year", "month", "quarter", "zone", "time"],
)
def test_days_are_whole_days_and_texts_whole_periods(shared, start, end, first, last):
    days = read_provider(shared, start=start, end=end).index.levels[0]
    assert (days[0], days[-1]) == (pd.Timestamp(first), pd.Timestamp(last))


@pytest.mark.parametrize("days", [("1990-01-01", "1990-02-01"), ("2090-01-01", None)], ids=str)
def test_outside_the_calendar_there_is_nothing(folder, days):
    with pytest.warns(UserWarning, match=rf"'all'.*start='{days[0]}'.*2010-02-12"):
        table = read_provider(folder, start=days[0], end=days[1])
    assert table.shape == (0, 6)
    assert table.index.names == ["datetime", "instrument"]
    assert (table.dtypes == np.float32).all()


def test_a_stock_may_belong_to_a_market_twice(folder):
    days = calendar_days(folder)
    whole = read_provider(folder)
    stock = whole.index.get_level_values("instrument")[0]
    name = set_market(
        folder,
        f"{stock}\t{days[2]}\t{days[5]}",
        f"{stock}\t{days[20]}\t2099-12-31",
    )
    table = read_provider(folder, name)
    expected = pd.DatetimeIndex(days[2:6] + days[20:])
    assert table.index.get_level_values("datetime").equals(expected.rename("datetime"))
    pd.testing.assert_frame_equal(table, whole.loc[table.index], check_exact=True)
    assert read_provider(folder, "FEW").equals(table), "names of markets have no case"


def test_a_list_of_codes_is_read_whole(folder):
    whole = read_provider(folder)
    first, second, _ = whole.index.get_level_values("instrument").unique()
    set_market(folder, *(f"{code}\t2000-01-01\t2000-01-02" for code in (first, second)), name="all")
    table = read_provider(folder, [second.lower(), first, first])
    assert set(table.index.get_level_values("instrument")) == {first, second.lower()}
    for code in (first, second):
        given_as = first if code == first else second.lower()
        np.testing.assert_array_equal(
            table.xs(given_as, level="instrument"), whole.xs(code, level="instrument")
        )


def test_series_of_different_length_have_the_days_of_any(folder):
    close, volume = bins(folder)[0], bins(folder, "volume")[0]
    code = read_provider(folder).index.get_level_values("instrument")[0]
    np.array([3, 10, 11], "<f4").tofile(close)
    np.array([8, 99], "<f4").tofile(volume)
    table = read_provider(folder, [code], fields=["close", "volume"]).droplevel("instrument")
    days = pd.DatetimeIndex(calendar_days(folder))
    expected = pd.DataFrame(
        {"close": [10, 11, np.nan], "volume": [np.nan, np.nan, 99]},
        days[[3, 4, 8]].rename("datetime"),
        dtype="float32",
    )
    pd.testing.assert_frame_equal(table, expected)


def test_a_device_of_windows_is_a_code(folder):
    home = bins(folder)[0].parent
    home.rename(home.parent / "_qlib_con")
    assert len(read_provider(folder, ["CON"])) == 30


def test_a_market_with_stocks_without_data_warns(folder):
    code = read_provider(folder).index.get_level_values("instrument")[0]
    name = set_market(folder, f"{code}\t2000-01-01\t2099-01-01", "ZZZ\t2000-01-01\t2099-01-01")
    with pytest.warns(UserWarning, match=r"\b1\b.*\b2\b.*features.*\bZZZ\b"):
        table = read_provider(folder, name)
    assert len(table) == 30


def test_the_future_calendar_and_blank_lines_are_not_read(folder):
    expected = read_provider(folder)
    (folder / "calendars" / "day_future.txt").write_text("no day\n")
    path = folder / "calendars" / "day.txt"
    path.write_text("\n" + path.read_text().replace("\n", "\n\n", 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pd.testing.assert_frame_equal(read_provider(folder), expected)


@pytest.mark.filterwarnings("ignore:.*the table is empty")
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_spans_and_days(shared, data):
    """Rows are those of the whole table that a filter by hand keeps."""
    whole = read_provider(shared)
    calendar = whole.index.levels[0]
    places = st.integers(0, len(calendar) - 1)
    pairs = st.tuples(places, places).map(sorted)
    codes = whole.index.get_level_values("instrument").unique()
    spans = data.draw(st.dictionaries(st.sampled_from(list(codes)), st.lists(pairs, min_size=1)))
    spans = spans or {codes[0]: [[0, 3]]}
    start, end = data.draw(pairs)
    lines = [
        f"{code}\t{calendar[a]:%Y-%m-%d}\t{calendar[b]:%Y-%m-%d}"
        for code, ends in spans.items()
        for a, b in ends
    ]
    name = set_market(shared, *lines, name="drawn")
    table = read_provider(shared, name, start=calendar[start], end=calendar[end])
    kept = [
        start <= (place := calendar.get_loc(day)) <= end
        and any(a <= place <= b for a, b in spans.get(code, []))
        for day, code in whole.index
    ]
    pd.testing.assert_frame_equal(table, whole[kept], check_exact=True)


@pytest.mark.slow
def test_as_large_as_an_index(tmp_path):
    """441 stocks, 6 fields, 2,500 days, in seconds and not minutes."""
    import time

    (tmp_path / "calendars").mkdir()
    (tmp_path / "instruments").mkdir()
    days = pd.bdate_range("2010-01-01", periods=2500).strftime("%Y-%m-%d")
    (tmp_path / "calendars" / "day.txt").write_text("\n".join(days))
    values = np.arange(2501, dtype="<f4")
    values[0] = 0
    codes = [f"SH{600000 + i}" for i in range(441)]
    set_market(tmp_path, *(f"{code}\t{days[0]}\t{days[-1]}" for code in codes), name="all")
    for code in codes:
        home = tmp_path / "features" / code.lower()
        home.mkdir(parents=True)
        for field in [*OHLCV, "vwap"]:
            values.tofile(home / f"{field}.day.bin")
    began = time.perf_counter()
    table = read_provider(tmp_path)
    assert time.perf_counter() - began < 15
    assert table.shape == (441 * 2500, 6)
    np.testing.assert_array_equal(table["vwap"], np.repeat(values[1:], 441))


# --- what cannot be read ---------------------------------------------------------------------


def test_no_provider_folder(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"nowhere\b.*\bcalendars\b"):
        read_provider(tmp_path / "nowhere")
    (folder / "instruments").rename(folder / "gone")
    with pytest.raises(FileNotFoundError, match=r"\binstruments\b.*\bcalendars\b"):
        read_provider(folder)
    with pytest.raises(TypeError, match=r"\buri\b.*\bNone\b"):
        read_provider(None)


def test_an_unknown_market_names_those_there_are(folder):
    set_market(folder, "x", name="csi300")
    with pytest.raises(FileNotFoundError, match=r"csi500\.txt\b.*\ball, csi300\b"):
        read_provider(folder, "csi500")


def test_unknown_codes(folder):
    code = read_provider(folder).index.get_level_values("instrument")[0]
    with pytest.raises(FileNotFoundError, match=r"\b1\b.*\b2\b.*features.*\bZZZ\b"):
        read_provider(folder, [code, "ZZZ"])


@pytest.mark.parametrize("name", ["../calendars/day", "a/b", "a\\b", "..", ".", ""])
def test_names_that_are_paths(folder, name):
    for kwargs in ({"instruments": [name]}, {"instruments": name}, {"fields": [f"${name}"]}):
        with pytest.raises(ValueError, match=rf"\bnames\b.*{re.escape(repr(name))}"):
            read_provider(folder, **kwargs)
    with pytest.raises(ValueError, match=rf"\bnames\b.*{re.escape(repr(f'x/{name}'))}"):
        read_provider(folder, set_market(folder, f"x/{name}\t2000-01-01\t2099-01-01"))


def test_one_stock_in_two_spellings(folder):
    code = read_provider(folder).index[0][1]
    with pytest.raises(ValueError, match=f"'{code}'.*'{code.lower()}'"):
        read_provider(folder, [code, code.lower()])
    lines = [f"{each}\t2000-01-01\t2099-01-01" for each in (code, code.lower())]
    with pytest.raises(ValueError, match=f"'{code}'.*'{code.lower()}'"):
        read_provider(folder, set_market(folder, *lines))


@pytest.mark.parametrize("instruments", [[], [600000], 3, None, {"A": 1}], ids=str)
def test_instruments_of_another_kind(folder, instruments):
    with pytest.raises(TypeError, match=rf"instruments.*{re.escape(repr(instruments))}"):
        read_provider(folder, instruments)


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ("close", TypeError, r"fields.*(?<!, )'close'\W*$"),
        ([], TypeError, r"fields.*\[\]"),
        ([1], TypeError, r"fields.*\[1\]"),
        (5, TypeError, r"fields.*\b5\b"),
        (["close", "$close"], ValueError, r"fields.*\['close', 'close'\]"),
        (["close", "factor"], FileNotFoundError, r"factor\.day\.bin\b.*\bclose, high\b"),
    ],
    ids=["str", "empty", "number", "no list", "twice", "unknown"],
)
def test_fields_that_are_none(folder, fields, error, match):
    with pytest.raises(error, match=match):
        read_provider(folder, fields=fields)


@pytest.mark.parametrize(
    ("days", "match"),
    [
        (("2024-02-01", "2024-01-01"), r"start\b.*\bend\b.*'2024-02-01'.*'2024-01-01'"),
        (("2024", "2023"), r"start\b.*\bend\b.*'2024'.*'2023'"),
        (("yesterday's", None), 'start\\b.*"yesterday\'s"'),
        ((None, float("nan")), r"\bend\b.*\bnan\b"),
        ((5, None), r"\bstart\b.*\b5\b"),
        ((None, 20240103), r"\bend\b.*\b20240103\b"),
        ((pd.NaT, None), r"\bstart\b.*\bNaT\b"),
    ],
    ids=["order", "years", "text", "nan", "number", "day as a number", "nat"],
)
def test_days_that_are_none(folder, days, match):
    with pytest.raises(ValueError, match=match):
        read_provider(folder, start=days[0], end=days[1])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"close\.day\.bin\b.*\b0\b"),
        (np.array([0, 1], "<f4").tobytes()[:-1], r"close\.day\.bin\b.*\b7\b"),
        (
            np.array([30, 1], "<f4").tobytes(),
            r"close\.day\.bin\b.*calendar.*\b1\b.*\b30\b.*day\.txt",
        ),
        (np.array([-1, 1], "<f4").tobytes(), r"close\.day\.bin\b.*calendar.*-1\b"),
        (np.array([0.5, 1], "<f4").tobytes(), r"close\.day\.bin\b.*calendar.*\b0\.5\b"),
        (np.array([np.nan, 1], "<f4").tobytes(), r"close\.day\.bin\b.*calendar.*\bnan\b"),
        (np.arange(5, 34, dtype="<f4").tobytes(), r"close\.day\.bin\b.*\b28\b.*\b5\b.*\b30\b"),
    ],
    ids=["empty", "cut", "start", "negative", "half", "nan", "long"],
)
def test_a_broken_series(folder, content, match):
    path = bins(folder)[1]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as info:
        read_provider(folder)
    assert str(path) in str(info.value)


def test_a_missing_field(folder):
    path = bins(folder)[1]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"close\.day\.bin\b.*\bhigh\b"):
        read_provider(folder)


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ([], r"\bno day\b"),
        (["2024-01-02", "2024-01-02"], r"line 2\b.*2024-01-02(?!.*2024)"),
        (["2024-01-03", "", "2024-01-02"], r"line 3\b.*2024-01-02.*2024-01-03"),
        (["2024-01-02", "soon"], r"line 2\b.*'soon'"),
        (["2024-13-02"], r"line 1\b.*'2024-13-02'"),
        (["2024-01-02", "2024-01-03T00:00+08:00"], r"line 2\b.*\+08:00'.*time zone"),
        (["2024-01-02 00:00-05:00", "2024-01-03 00:00+08:00"], r"line 1\b.*-05:00'"),
        (["2024-01-02T00:00Z"], r"line 1\b.*Z'"),
    ],
    ids=["empty", "twice", "order", "text", "month", "zone", "zones", "utc"],
)
def test_a_broken_calendar(folder, lines, match):
    (folder / "calendars" / "day.txt").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"day\.txt.*{match}"):
        read_provider(folder)


def test_a_missing_or_unreadable_calendar(folder):
    path = folder / "calendars" / "day.txt"
    path.write_bytes(b"2024-01-02\n\xff\xfe")
    with pytest.raises(ValueError, match=r"day\.txt\b.*UTF-8.*0xff"):
        read_provider(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"day\.txt\b.*\bdays\b"):
        read_provider(folder)


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (["A 2024-01-02 2024-01-03"], r"line 1\b.*'A 2024-01-02 2024-01-03'.*\btabs\b"),
        (["A\t2024-01-02\t2024-01-03", "B\t2024-01-02"], r"line 2\b.*'B.t2024-01-02'.*\btabs\b"),
        (["A\t2024-01-02\tsoon"], r"line 1\b.*'soon'"),
        (
            ["A\t2024-01-02\t2024-01-03", "B\t2024-01-02Z\t2024-01-03+08:00"],
            r"line 2\b.*'2024-01-02Z'",
        ),
        (["A\t2024-01-03\t2024-01-02"], r"line 1\b.*2024-01-03.*2024-01-02.*\bfirst\b.*\blast\b"),
        ([""], r"\bno instrument\b"),
    ],
    ids=["spaces", "short", "text", "zone", "order", "empty"],
)
def test_broken_spans(folder, lines, match):
    name = set_market(folder, *lines)
    with pytest.raises(ValueError, match=rf"few\.txt.*{match}"):
        read_provider(folder, name)


@pytest.mark.parametrize("line", ["2024", "2024-01", "05/03/2024", "05-03-2024"])
def test_lines_of_a_calendar_name_days(folder, line):
    path = folder / "calendars" / "day.txt"
    path.write_text("\n".join([line, *calendar_days(folder)[1:]]) + "\n")
    with pytest.raises(ValueError, match=rf"day\.txt, line 1: '{line}' is not a day"):
        read_provider(folder)


@pytest.mark.parametrize("bound", ["start", "end"])
def test_bounds_that_can_be_read_both_ways(shared, bound):
    with pytest.raises(ValueError, match=rf"{bound} must hold dates.*5 March and as 3 May 2024"):
        read_provider(shared, **{bound: "05/03/2024"})


def test_without_vwap_the_cure_is_named(folder):
    for path in bins(folder, "vwap"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r'Alpha360\(vwap="typical"\)'):
        read_provider(folder, fields=["close", "vwap"])
    table = read_provider(folder)
    with pytest.raises(ValueError, match=r"'vwap'.*Alpha360\(vwap=\"typical\"\)"):
        Alpha360(["close", "vwap"]).fit(table)
    assert Alpha360(["close", "vwap"], vwap="typical").fit_transform(table).shape[2] == 2
    with_vwap = table.assign(vwap=table["close"])
    with pytest.raises(ValueError, match=r"'vwap'.*Alpha158\(vwap=\"typical\"\)"):
        Alpha158().fit(with_vwap).transform(table)
