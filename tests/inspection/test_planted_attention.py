"""The arrays behind the pictures of attention show what was planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import KEYS, windows_of

from skattn.inspection import AttentionDisplay
from skattn.models import ALSTMRegressor, HISTRegressor, SFMRegressor, TransformerRegressor

pytestmark = pytest.mark.slow

SEEDS = (0, 1)
TRAINING = {"device": "cpu", "early_stopping": False}


def noise(n_days: int, n_stocks: int, length: int, seed: int) -> tuple[np.ndarray, pd.MultiIndex]:
    """Windows of noise in which no value occurs twice, so that lags do not overlap."""
    days = pd.bdate_range("2020-01-01", periods=n_days)
    stocks = [f"S{i:02d}" for i in range(n_stocks)]
    index = pd.MultiIndex.from_product([days, stocks], names=KEYS)
    x = np.random.default_rng(seed).normal(size=(len(index), length, 1))
    return x.astype(np.float32), index


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["alstm", "transformer"])
def test_attention_peaks_at_the_planted_lag(name: str, seed: int) -> None:
    lag, length = 6, 12
    x, index = noise(150, 20, length, seed)
    y = x[:, -1 - lag, 0] + 0.5 * np.random.default_rng(seed + 9).normal(size=len(x))
    X = windows_of(x, index)
    params = {"lr": 0.01, "batch_size": 200, "random_state": seed, **TRAINING}
    if name == "alstm":
        model = ALSTMRegressor(hidden_size=6, num_layers=1, max_epochs=15, **params)
    else:
        small = {"d_model": 16, "nhead": 2, "num_layers": 1, "dim_feedforward": 32}
        model = TransformerRegressor(max_epochs=15, **small, **params)
    display = AttentionDisplay.from_estimator(
        model.fit(X, y), X, kind="rows", against="uniform", subsample=500
    )
    profile = display.profile_["mean"]
    # A recurrent state knows the steps before: attention may come up to three days later.
    reach = 3 if name == "alstm" else 0
    assert lag - reach <= profile.idxmax() <= lag
    assert profile.max() > 1.3
    # Every bin of rows shows the peak, not only their mean.
    assert display.table_.idxmax(axis=1).between(lag - reach, lag).mean() > 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_concepts_group_by_the_planted_sectors(seed: int) -> None:
    # What a sector has in common moves its stocks. Windows tell a stock's sector, and its return.
    n_days, n_stocks, n_sectors = 250, 40, 4
    x, index = noise(n_days, n_stocks, 3, seed)
    stock = index.get_level_values("instrument")
    sectors = pd.Series(np.arange(n_stocks) % n_sectors, stock[:n_stocks]).map("sector {}".format)
    common = np.random.default_rng(seed).normal(size=(n_days, n_sectors))
    of_row = common[np.repeat(np.arange(n_days), n_stocks), np.tile(sectors.factorize()[0], n_days)]
    x[:, -1, 0] += of_row
    dummies = pd.get_dummies(sectors[stock], dtype=np.float32).to_numpy()
    X = windows_of(np.concatenate([x, dummies[:, None].repeat(3, axis=1)], axis=2), index)
    model = HISTRegressor(
        concepts=sectors, rnn="gru", hidden_size=12, num_layers=1, days_per_batch=2, lr=0.003,
        max_epochs=12, random_state=seed, **TRAINING,
    ).fit(X, of_row)  # fmt: skip
    groups = AttentionDisplay.from_estimator(model, X, map="concept_to_stock").groups_
    assert (groups == sectors[groups.index]).mean() > 0.9
    # Stocks take more from hidden concepts whose centre is of their own sector.
    table = AttentionDisplay.from_estimator(model, X, map="hidden_concept", groups=sectors).table_
    own = sectors[table.index].to_numpy()[:, None] == sectors[table.columns].to_numpy()
    weights = table.to_numpy()
    assert weights[own & (weights > 0)].mean() > 1.3 * weights[~own & (weights > 0)].mean()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("period", [5, 10])
def test_frequencies_peak_at_the_planted_period(period: int, seed: int) -> None:
    # The label is the power of one cycle; another cycle and noise are there to be ignored.
    rng, n_rows, steps = np.random.default_rng(seed), 2500, np.arange(30)
    power, other = rng.uniform(0, 1.5, size=(2, n_rows, 1))

    def wave(amplitude: np.ndarray, length: float) -> np.ndarray:
        return amplitude * np.sin(2 * np.pi * (steps / length + rng.random((n_rows, 1))))

    x = wave(power, period) + wave(other, 10 / 3) + 0.3 * rng.normal(size=(n_rows, len(steps)))
    y = power[:, 0] ** 2 - np.mean(power**2)
    model = SFMRegressor(
        freq_dim=10, hidden_size=4, output_dim=8, lr=0.02, max_epochs=30, batch_size=200,
        random_state=seed, **TRAINING,
    ).fit(x[..., None], y)  # fmt: skip
    latest = AttentionDisplay.from_estimator(model, x[..., None]).table_[0]
    # Seen at whole steps, f and 1 - f are one cycle. Frequency 0 holds the level of the memory.
    cycles = latest.groupby(np.minimum(latest.index, 1 - latest.index).round(3)).sum().drop(0.0)
    assert cycles.idxmax() == 1 / period
    assert cycles.max() > 1.5 * cycles.mean()
