"""A market as skattn's table and as a qlib provider folder."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import assert_trained_weights_close, flat_windows, train_in_a_plain_loop
from numpy.testing import assert_allclose
from torch.nn.functional import mse_loss

from skattn import from_long
from skattn.training import Batches, Samples

TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def _seed():
    """Fresh modules draw their weights: the same ones in every run, near no tie."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def ohlcv(ragged_ohlcv):
    return ragged_ohlcv


@pytest.fixture(scope="session")
def open_provider():
    """Point qlib to a provider folder, as a function of the folder."""
    qlib = pytest.importorskip("qlib")

    def open_folder(folder: Path) -> None:
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

    return open_folder


@pytest.fixture(scope="session")
def qlib_features(tmp_path_factory, write_provider, open_provider):
    """What one of qlib's loaders gives of a table, as a function of the table and its name."""
    loaders = pytest.importorskip("qlib.contrib.data.loader")

    def load(ohlcv: pd.DataFrame, loader: str) -> pd.DataFrame:
        folder = tmp_path_factory.mktemp("provider")
        write_provider(ohlcv, folder)
        open_provider(folder)
        return getattr(loaders, loader)().load("all")["feature"]

    return load


@pytest.fixture(scope="session")
def real_ohlcv(us_equities):
    """200,000 rows of real prices, zeros as the missing values that they stand for."""
    table = from_long(us_equities)
    stocks = table.index.unique("instrument")[:92]
    return table[table.index.isin(stocks, level="instrument")].replace(0, np.nan)


@pytest.fixture(scope="session")
def qlib_table(ohlcv, qlib_features):
    return qlib_features(ohlcv, "Alpha360DL")


@pytest.fixture(scope="session")
def assert_trains_alike():
    """Train qlib's module in a plain loop; compare with what a regressor learned."""

    def check(regressor, theirs, weights, x, y) -> None:
        batches = Batches(
            Samples(x.numpy(), y.numpy()), regressor.batch_size, seed=regressor.net_.seed
        )
        sizes = []

        def loss_of(x_batch, y_batch):
            sizes.append(len(x_batch))
            return mse_loss(theirs(flat_windows(x_batch)), y_batch)

        losses = train_in_a_plain_loop(theirs, regressor, batches, loss_of)
        assert len(losses) == 20
        assert_trained_weights_close(regressor, theirs, weights, TOLERANCE)
        by_epoch = (
            np.reshape(sizes, (regressor.max_epochs, -1)),
            np.reshape(losses, (regressor.max_epochs, -1)),
        )
        mean_losses = np.average(by_epoch[1], axis=1, weights=by_epoch[0])
        assert_allclose(regressor.history_["train_loss"], mean_losses, rtol=TOLERANCE)
        with torch.no_grad():
            expected = theirs.eval()(flat_windows(x))
        assert_allclose(regressor.predict(x.numpy()), expected, rtol=0, atol=TOLERANCE)

    return check
