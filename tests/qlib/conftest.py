"""A market as skattn's table and as a qlib provider folder."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn.functional import mse_loss

from skattn.datasets import make_market
from skattn.training.batches import Batches, Samples

TOLERANCE = 1e-5

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


@pytest.fixture(scope="session")
def assert_trains_alike():
    """Train qlib's module in a plain loop; compare with what a regressor learned."""

    def check(regressor, theirs, weights, x, y) -> None:
        adam = torch.optim.Adam(
            theirs.parameters(), lr=regressor.lr, weight_decay=regressor.weight_decay
        )
        batches = Batches(
            Samples(x.numpy(), y.numpy()), regressor.batch_size, seed=regressor.net_.seed
        )
        sizes, losses, clipped = [], [], []
        for _ in range(regressor.max_epochs):
            for x_batch, y_batch in batches:
                loss = mse_loss(theirs(_flat(x_batch)), y_batch)
                adam.zero_grad()
                loss.backward()
                clipped += [
                    float((p.grad.abs() > regressor.clip_value).float().mean())
                    for p in theirs.parameters()
                ]
                torch.nn.utils.clip_grad_value_(theirs.parameters(), regressor.clip_value)
                adam.step()
                sizes.append(len(x_batch))
                losses.append(loss.item())
        assert len(sizes) == 20
        assert 0 < np.mean(clipped) < 1

        trained = regressor.module_.state_dict()
        for name, expected in theirs.state_dict().items():
            assert (expected - weights[name]).abs().max() > regressor.lr, name
            assert_allclose(trained[name], expected, rtol=0, atol=TOLERANCE, err_msg=name)
        by_epoch = (
            np.reshape(sizes, (regressor.max_epochs, -1)),
            np.reshape(losses, (regressor.max_epochs, -1)),
        )
        mean_losses = np.average(by_epoch[1], axis=1, weights=by_epoch[0])
        assert_allclose(regressor.history_["train_loss"], mean_losses, rtol=TOLERANCE)
        with torch.no_grad():
            expected = theirs.eval()(_flat(x))
        assert_allclose(regressor.predict(x.numpy()), expected, rtol=0, atol=TOLERANCE)

    return check


def _flat(x: torch.Tensor) -> torch.Tensor:
    """Windows (B, T, F) as qlib has them: (B, F * T), feature by feature."""
    return x.transpose(1, 2).reshape(len(x), -1)
