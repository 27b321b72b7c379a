from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skattn.datasets import make_market

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    # Tiny matrices: threads would spend their time waiting for each other.
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def market():
    return make_market(n_stocks=12, n_days=160, missing_days=0.02, random_state=0)


@pytest.fixture
def signal(market) -> tuple[pd.Series, pd.Series]:
    """Labels and predictions of 160 days, on which 12 stocks or fewer have a label."""
    label = market.label
    noise = np.random.default_rng(0).normal(size=len(label))
    return label, label.fillna(0.0) + 0.05 * noise


@pytest.fixture(scope="session")
def ragged_ohlcv() -> pd.DataFrame:
    """Stocks that list late, miss days, are suspended for long, and are delisted early."""
    table = make_market(8, 120, late_listings=0.3, missing_days=0.03, random_state=5).ohlcv
    days = table.index.get_level_values("datetime")
    stock = table.index.get_level_values("instrument")
    calendar = days.unique().sort_values()
    rows = table.groupby("instrument").size().sort_values()
    suspended, delisted = rows.index[-1], rows.index[-2]
    gone = (stock == suspended) & (days >= calendar[45]) & (days < calendar[100])
    gone |= (stock == delisted) & (days >= calendar[95])
    return table[~gone]


@pytest.fixture(scope="session")
def us_equities() -> pd.DataFrame:
    path = SHARED / "us_equities.parquet"
    if not path.exists():
        pytest.skip(f"no real prices at {path}")
    return pd.read_parquet(path)


@pytest.fixture(scope="session")
def us_sectors() -> pd.Series:
    path = SHARED / "us_sectors.csv"
    if not path.exists():
        pytest.skip(f"no sectors at {path}")
    return pd.read_csv(path, index_col="instrument")["sector"]


@pytest.fixture
def windows():
    """Windows (N, T, F), labels that the third last step tells, and their index."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=40, name="datetime")
    index = pd.MultiIndex.from_product([days, list("ABCDE")], names=["datetime", "instrument"])
    X = rng.normal(size=(len(index), 8, 3)).astype(np.float32)
    y = pd.Series(X[:, -3, 0] + 0.1 * rng.normal(size=len(index)), index=index, name="label")
    return X, y


@pytest.fixture(scope="session")
def stock_days():
    """Days of one to nine stocks, of which one stock is in no concept."""
    from helpers import make_stock_days

    return make_stock_days([9, 4, 7, 1, 8, 2, 9, 9, 5, 6, 3, 9, 8, 7, 9, 2, 6, 9, 9, 5, 8, 7, 9, 4])


@pytest.fixture(scope="session")
def write_provider():
    """Write a table as a provider folder of qlib's."""

    def write(ohlcv: pd.DataFrame, folder: Path) -> None:
        """The calendar, the listings, and a float32 series a stock and field."""
        calendar = ohlcv.index.get_level_values("datetime").unique().sort_values()
        names = [day.strftime("%Y-%m-%d") for day in calendar]
        for part in ("calendars", "instruments", "features"):
            (folder / part).mkdir()
        (folder / "calendars" / "day.txt").write_text("\n".join(names) + "\n")
        listings = []
        for stock, rows in ohlcv.groupby("instrument"):
            rows = rows.droplevel("instrument").astype(float)
            rows["vwap"] = (rows["high"] + rows["low"] + rows["close"]) / 3
            first, last = calendar.get_indexer([rows.index.min(), rows.index.max()])
            listings.append(f"{stock}\t{names[first]}\t{names[last]}")
            # A day that the stock misses is a NaN.
            rows = rows.reindex(calendar[first : last + 1])
            home = folder / "features" / stock.lower()
            home.mkdir()
            for field, values in rows.items():
                np.hstack([first, values]).astype("<f4").tofile(home / f"{field}.day.bin")
        (folder / "instruments" / "all.txt").write_text("\n".join(listings) + "\n")

    return write
