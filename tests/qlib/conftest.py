"""A market as skattn's table and as a qlib provider folder."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from skattn.datasets import make_market

N_STOCKS, N_DAYS = 8, 120


@pytest.fixture(scope="session")
def ohlcv():
    """Stocks that list late, miss days, are suspended for two weeks, and are delisted early."""
    table = make_market(
        N_STOCKS, N_DAYS, late_listings=0.3, missing_days=0.03, random_state=5
    ).ohlcv
    days = table.index.get_level_values("datetime")
    stock = table.index.get_level_values("instrument")
    calendar = days.unique().sort_values()
    rows = table.groupby("instrument").size().sort_values()
    suspended, delisted = rows.index[-1], rows.index[-2]
    gone = (stock == suspended) & (days >= calendar[70]) & (days < calendar[80])
    gone |= (stock == delisted) & (days >= calendar[95])
    return table[~gone]


@pytest.fixture(scope="session")
def qlib_alpha360(tmp_path_factory):
    """What qlib's Alpha360 handler loads of a table, as a function of the table."""
    qlib = pytest.importorskip("qlib")
    loader = pytest.importorskip("qlib.contrib.data.loader")

    def load(ohlcv: pd.DataFrame) -> pd.DataFrame:
        folder = tmp_path_factory.mktemp("provider")
        write_provider(ohlcv, folder)
        # kernels=1 and threads: in this process, whatever the machine.
        qlib.init(
            provider_uri=str(folder),
            region="us",
            expression_cache=None,
            dataset_cache=None,
            kernels=1,
            joblib_backend="threading",
            logging_level=logging.ERROR,
        )
        return loader.Alpha360DL().load("all")["feature"]

    return load


@pytest.fixture(scope="session")
def qlib_table(ohlcv, qlib_alpha360):
    return qlib_alpha360(ohlcv)


def write_provider(ohlcv: pd.DataFrame, folder) -> None:
    """Write qlib's files: the calendar, the listings, and a float32 series a stock and field."""
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
