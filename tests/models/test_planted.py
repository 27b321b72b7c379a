"""Each architecture finds what it is made for, in markets where the best score is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from skattn.datasets import make_market
from skattn.metrics import rank_ic_score
from skattn.models import (
    ALSTMRegressor,
    GRURegressor,
    HISTRegressor,
    SFMRegressor,
    TransformerRegressor,
)
from skattn.panel import Fill, WindowArray, build_windows

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)


class Task(NamedTuple):
    """Windows of returns, ranks to learn, and the last fifth of the days to test on."""

    X: WindowArray
    y: pd.Series
    label: pd.Series
    test: np.ndarray
    ceiling: float

    def score(self, model) -> float:
        """Mean daily rank IC on the test days, after training on those before."""
        days = self.X.index.get_level_values("datetime")
        # Two days are purged: their labels reach into the test days.
        train = days < days[~self.test].unique().sort_values()[-2]
        predicted = model.fit(self.X[train], self.y[train]).predict(self.X[self.test])
        return rank_ic_score(self.label[self.test], predicted)


def task(length: int, *, with_sectors: bool = False, **planted) -> Task:
    quiet = {"momentum": 0, "reversal": 0, "sector": 0, "late_listings": 0, "missing_days": 0}
    market = make_market(n_days=500, **{**quiet, **planted})
    close = market.ohlcv["close"].unstack("instrument")
    change = close.pct_change(fill_method=None)
    change = change.sub(change.mean(axis=1), axis=0).fillna(0) / change.stack().std()
    fields = change.clip(-3, 3).stack().to_frame("change")
    if with_sectors:
        dummies = pd.get_dummies(market.concepts, dtype=float)
        fields = fields.join(dummies, on="instrument")
    index = market.ohlcv.index
    # Before a stock's first day: the market's return.
    windows = build_windows(fields.reindex(index).to_numpy(np.float32), index, length)
    X = windows.with_transform(Fill(0.0))
    ranks = market.label.groupby(level="datetime").rank(pct=True)
    days = index.get_level_values("datetime")
    test = np.asarray(days >= days.unique().sort_values()[400])
    ceiling = rank_ic_score(market.label[test], market.signal[test])
    return Task(X, 3.46 * (ranks - 0.5), market.label, test, ceiling)


def training(seed: int, **params) -> dict:
    return {"n_iter_no_change": 8, "random_state": seed, "device": "cpu", **params}


@pytest.mark.parametrize("seed", SEEDS)
def test_hist_sees_what_sectors_share(seed):
    # What its sector's other stocks did moves a stock; its own prices say next to nothing. Both
    # models are told each stock's sector in the windows.
    planted = task(5, with_sectors=True, n_stocks=60, n_sectors=4, sector=0.2, random_state=seed)
    params = training(seed, hidden_size=16, num_layers=1, lr=0.003, max_epochs=25)
    gru = planted.score(GRURegressor(batch_size=80, **params))
    sectors = pd.Series(
        np.asarray(planted.X)[:, -1, 1:].argmax(axis=1),
        index=planted.X.index.get_level_values("instrument"),
    )
    concepts = sectors[~sectors.index.duplicated()]
    hist = planted.score(HISTRegressor(concepts=concepts, rnn="gru", days_per_batch=2, **params))
    assert hist > planted.ceiling / 2
    assert hist > gru + planted.ceiling / 4


@pytest.mark.parametrize("seed", SEEDS)
def test_sfm_sees_cycles(seed):
    planted = task(24, n_stocks=40, periodic=0.5, periods=[5, 11], random_state=seed)
    params = training(seed, hidden_size=4, lr=0.02, max_epochs=25, batch_size=400)
    sfm = planted.score(SFMRegressor(freq_dim=12, output_dim=8, **params))
    gru = planted.score(GRURegressor(num_layers=1, **params))
    assert sfm > planted.ceiling / 2
    assert sfm > gru + planted.ceiling / 20


@pytest.mark.parametrize("seed", SEEDS)
def test_alstm_attends_to_the_planted_lag(seed):
    lag, length = 15, 24
    planted = task(length, n_stocks=40, lagged=0.3, lag=lag, random_state=seed)
    model = ALSTMRegressor(
        hidden_size=6, num_layers=1, **training(seed, lr=0.01, max_epochs=40, batch_size=400)
    )
    assert planted.score(model) > planted.ceiling / 2
    weights = model.attend(planted.X[planted.test])["time"].mean(axis=0)[::-1]  # by lag
    # The state of a step knows of the steps before it: attention to the planted one, or to a step
    # that comes up to three days later.
    near = weights[lag - 3 : lag + 1].sum() * length / 4
    assert near > 1.4
    assert lag - 3 <= weights.argmax() <= lag


@pytest.mark.parametrize("model", ["transformer", "gru"])
def test_what_single_stocks_tell(model):
    planted = task(10, n_stocks=40, reversal=0.3, reversal_lookback=5, random_state=0)
    params = training(0, lr=0.005, max_epochs=15, batch_size=400)
    if model == "gru":
        regressor = GRURegressor(hidden_size=8, num_layers=1, **params)
    else:
        regressor = TransformerRegressor(
            d_model=16, nhead=2, num_layers=2, dim_feedforward=32, weight_decay=0.0, **params
        )
    assert planted.score(regressor) > planted.ceiling / 2
