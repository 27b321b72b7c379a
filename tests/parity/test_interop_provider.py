"""read_provider against qlib's own D.features, bit for bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skattn.qlib import read_provider

pytestmark = pytest.mark.qlib

FIELDS = ["open", "high", "low", "close", "volume", "vwap"]


@pytest.fixture(scope="module")
def provider(ohlcv, write_provider, tmp_path_factory):
    """Stocks that list late and are delisted, and a market that they join and leave."""
    folder = tmp_path_factory.mktemp("provider")
    write_provider(ohlcv, folder)
    calendar = pd.DatetimeIndex((folder / "calendars" / "day.txt").read_text().split())
    codes = sorted(home.name.upper() for home in (folder / "features").iterdir())
    days = calendar.strftime("%Y-%m-%d")
    lines = [
        f"{codes[0]}\t{days[3]}\t{days[10]}",
        f"{codes[0]}\t{days[50]}\t{days[60]}",
        f"{codes[1]}\t1990-01-01\t2099-12-31",
        f"{codes[2]}\t{days[0]}\t{days[0]}",
        f"{codes[3]}\t1990-01-01\t1990-12-31",
        f"{codes[2]}\t{days[40]}\t{days[90]}",
    ]
    (folder / "instruments" / "csi300.txt").write_text("\n".join(lines) + "\n")
    # One series is shorter than its stock's others, one in the middle of them.
    close = folder / "features" / codes[1].lower() / "close.day.bin"
    values = np.fromfile(close, "<f4")
    np.hstack([values[0] + 2, values[3:-4]]).astype("<f4").tofile(close)
    low = folder / "features" / codes[0].lower() / "low.day.bin"
    np.array([5, 1.5, np.nan, -0.0, np.inf], "<f4").tofile(low)
    return folder


@pytest.fixture(scope="module")
def codes(provider):
    return sorted(home.name.upper() for home in (provider / "features").iterdir())


@pytest.fixture(scope="module")
def qlib_features(provider, open_provider):
    open_provider(provider)
    data = pytest.importorskip("qlib.data").D

    def features(instruments, fields, start=None, end=None):
        if isinstance(instruments, str):
            instruments = data.instruments(instruments)
        return data.features(instruments, [f"${field}" for field in fields], start, end)

    return features


def assert_tables_of_same_bits(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Same rows, columns and values; qlib's index is by instrument, then by day."""
    theirs = theirs.swaplevel().sort_index()
    assert ours.columns.tolist() == [name.removeprefix("$") for name in theirs.columns]
    assert ours.index.equals(theirs.index)
    assert ours.index.names == theirs.index.names
    assert (ours.dtypes == np.float32).all()
    assert (theirs.dtypes == np.float32).all()
    ours_bits, their_bits = (
        np.where(np.isnan(table), np.float32(np.nan), table).view(np.uint32)
        for table in (ours.to_numpy(), theirs.to_numpy())
    )
    np.testing.assert_array_equal(ours_bits, their_bits)


@pytest.mark.parametrize("market", ["all", "csi300", "CSI300"])
def test_markets(provider, qlib_features, market):
    theirs = qlib_features(market, FIELDS)
    assert len(theirs) > 100
    assert theirs.isna().any(axis=None)
    assert_tables_of_same_bits(read_provider(provider, market), theirs)


def test_days_of_nan_are_rows(provider, qlib_features):
    theirs = qlib_features("all", FIELDS)
    empty = theirs.isna().all(axis=1)
    assert empty.any()
    ours = read_provider(provider)
    assert ours.isna().all(axis=1).sum() == empty.sum()


@pytest.mark.parametrize(
    "shift",
    [(-5, None), (None, 5), (10, -10), (30, -80), (7, -70), (15, -60)],
    ids=str,
)
@pytest.mark.parametrize("market", ["all", "csi300"])
def test_start_and_end(provider, qlib_features, market, shift):
    """Also before the calendar's first day, after its last one, and on days without trading."""
    calendar = pd.DatetimeIndex((provider / "calendars" / "day.txt").read_text().split())
    start, end = (
        None if by is None else edge + pd.Timedelta(days=round(by * 1.4))
        for by, edge in zip(shift, (calendar[0], calendar[-1]), strict=True)
    )
    theirs = qlib_features(market, FIELDS, start, end)
    assert len(theirs) > 5
    assert_tables_of_same_bits(read_provider(provider, market, start=start, end=end), theirs)


@pytest.mark.parametrize("days", [("1990-01-01", "1990-02-01"), ("2090-01-01", "2091-01-01")])
def test_outside_the_calendar(provider, qlib_features, days):
    theirs = qlib_features("all", FIELDS, *days)
    ours = read_provider(provider, start=days[0], end=days[1])
    assert len(theirs) == len(ours) == 0
    assert ours.columns.tolist() == [name.removeprefix("$") for name in theirs.columns]


def test_lists_of_codes(provider, qlib_features, codes):
    """Whole series, whatever the markets say, under the spelling that was given."""
    wanted = [codes[3], codes[0].lower(), codes[1]]
    assert_tables_of_same_bits(read_provider(provider, wanted), qlib_features(wanted, FIELDS))


def test_some_fields(provider, qlib_features, codes):
    theirs = qlib_features([codes[0]], ["low"])
    assert len(theirs) == 4
    assert_tables_of_same_bits(read_provider(provider, [codes[0]], ["low"]), theirs)
    fields = ["vwap", "low", "close"]
    assert_tables_of_same_bits(read_provider(provider, "all", fields), qlib_features("all", fields))


def test_what_qlib_passes_over_in_silence(provider, qlib_features, codes):
    assert len(qlib_features(["ZZZ"], FIELDS)) == 0
    with pytest.raises(FileNotFoundError, match="ZZZ"):
        read_provider(provider, ["ZZZ", codes[0]])
    assert qlib_features([codes[0]], ["factor"]).isna().all(axis=None)
    with pytest.raises(FileNotFoundError, match="factor"):
        read_provider(provider, [codes[0]], ["factor"])


@pytest.mark.realdata
def test_real_prices(real_ohlcv, write_provider, open_provider, tmp_path):
    """The last test of this file: it points qlib elsewhere."""
    write_provider(real_ohlcv, tmp_path)
    open_provider(tmp_path)
    data = pytest.importorskip("qlib.data").D
    theirs = data.features(data.instruments("all"), [f"${field}" for field in FIELDS])
    assert len(theirs) > 200_000
    assert_tables_of_same_bits(read_provider(tmp_path), theirs)
