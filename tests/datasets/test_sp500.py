"""The shipped prices against the table that they come from."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from skattn.datasets import load_sp500


def test_sp500_is_the_shipped_table_made_long():
    prices = pytest.importorskip("skfolio.datasets").load_sp500_dataset().sort_index(axis=1)
    data = load_sp500()
    assert data.ohlcv.columns.tolist() == ["close"]
    assert data.ohlcv.index.names == ["datetime", "instrument"]
    assert data.ohlcv.index.is_monotonic_increasing
    assert data.ohlcv.shape == (8313 * 20, 1)
    pd.testing.assert_frame_equal(data.ohlcv["close"].unstack(), prices, check_names=False)
    expected = prices.shift(-2) / prices.shift(-1) - 1
    pd.testing.assert_frame_equal(data.label.unstack(), expected, check_names=False)
    assert data.label.name == "label"
    assert data.label.attrs == {"horizon": 1, "delay": 1, "reach": 2}
    assert data.label.isna().sum() == 2 * 20
    assert "skfolio" in data.DESCR


def test_sp500_is_cut_by_date():
    pytest.importorskip("skfolio")
    data = load_sp500(start="2020-01-01", end=pd.Timestamp("2020-03-31"))
    days = data.ohlcv.index.unique("datetime")
    assert (days[0], days[-1]) == (pd.Timestamp("2020-01-02"), pd.Timestamp("2020-03-31"))
    assert data.label.unstack().isna().all(axis=1).sum() == 2
    assert "2020-01-02 to 2020-03-31" in data.DESCR


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": "2023-01-01"}, "start='2023-01-01'.*1990-01-02.*2022-12-28"),
        ({"start": "2020", "end": "2019"}, "start='2020'.*end='2019'"),
        ({"end": "soon"}, r"\bend\b.*'soon'"),
        ({"start": pd.NaT}, r"\bstart\b.*\bNaT\b"),
        # pandas would read nanoseconds since 1970.
        ({"start": 20200101}, r"\bstart\b.*\b20200101\b"),
        ({"end": 2020.5}, r"\bend\b.*\b2020\.5"),
    ],
)
def test_sp500_bad_dates(given, message):
    pytest.importorskip("skfolio")
    with pytest.raises(ValueError, match=message):
        load_sp500(**given)


def test_sp500_without_skfolio_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skfolio.datasets", None)
    with pytest.raises(ImportError, match=r'pip install "skattn\[examples\]"'):
        load_sp500()


def test_days_with_a_zone_and_whole_years():
    zoned = pd.Timestamp("2020-06-30 22:00", tz="America/New_York")
    days = load_sp500(start="2020-06", end=zoned).ohlcv.index.unique("datetime")
    assert (str(days[0].date()), str(days[-1].date())) == ("2020-06-01", "2020-06-30")
    days = load_sp500(start="2020-12-30", end="2020").ohlcv.index.unique("datetime")
    assert str(days[-1].date()) == "2020-12-31"
