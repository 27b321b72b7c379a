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


@pytest.fixture(scope="session")
def us_equities() -> pd.DataFrame:
    path = SHARED / "us_equities.parquet"
    if not path.exists():
        pytest.skip(f"no real prices at {path}")
    return pd.read_parquet(path)


@pytest.fixture
def windows():
    """Windows (N, T, F), labels that the third last step tells, and their index."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=40, name="datetime")
    index = pd.MultiIndex.from_product([days, list("ABCDE")], names=["datetime", "instrument"])
    X = rng.normal(size=(len(index), 8, 3)).astype(np.float32)
    y = pd.Series(X[:, -3, 0] + 0.1 * rng.normal(size=len(index)), index=index, name="label")
    return X, y
