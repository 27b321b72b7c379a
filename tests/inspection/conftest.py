"""What the tests of inspection share: planted windows, and figures without a screen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import KEYS, windows_of

FIELD, LAG = "x1", 2


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def make_planted(n_days: int = 60, n_stocks: int = 20, n_steps: int = 6, seed: int = 0):
    """Windows of three fields, of which one at one lag is the label, up to noise."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2023-11-01", periods=n_days)
    index = pd.MultiIndex.from_product([days, [f"S{i:02}" for i in range(n_stocks)]], names=KEYS)
    X = rng.normal(size=(len(index), n_steps, 3)).astype(np.float32)
    noise = 0.5 * rng.normal(size=len(index))
    y = pd.Series(X[:, -1 - LAG, 1] + noise, index, name="label")
    y.attrs.update(horizon=1, reach=2)
    return windows_of(X, index), y


@pytest.fixture(scope="session")
def planted():
    return make_planted()
