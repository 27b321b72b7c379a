"""Batches of whole days, and losses that compare the stocks of a day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import KEYS, SECTORS, ragged_panel, windows_of
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import pearsonr

from skattn.losses import ic
from skattn.metrics import rank_ic_score
from skattn.models import GRURegressor, HISTRegressor, TransformerRegressor

TRAINING = {"max_epochs": 2, "lr": 0.01, "random_state": 0, "device": "cpu"}
DAY_LOSSES = ("ic", "ccc", "listnet")


def panel(n_days: int = 20, seed: int = 0):
    """Days of one to six stocks."""
    table = ragged_panel(n_days=n_days, seed=seed).fillna(0.0)
    x = np.random.default_rng(seed).normal(size=(len(table), 4, 2)).astype(np.float32)
    y = pd.Series(x[:, -1, 0] + 0.3 * x[:, 0, 1], table.index, name="label")
    y.attrs.update(horizon=1, reach=1)
    return windows_of(x, table.index), y


def gru(**params) -> GRURegressor:
    return GRURegressor(**{**TRAINING, "hidden_size": 4, "num_layers": 1, **params})


def hist(**params) -> HISTRegressor:
    small = {"hidden_size": 4, "num_layers": 1, "concepts": SECTORS}
    return HISTRegressor(**{**TRAINING, **small, **params})


def whole_days(**params) -> list[list[int]]:
    """What a loss of one's own sees: the days of the rows of each batch."""
    seen: list[list[int]] = []

    def loss(predicted, label, *, day):
        if torch.is_grad_enabled():
            seen.append(torch.bincount(day).tolist())
        return ((predicted - label) ** 2).mean()

    X, y = panel()
    gru(loss=loss, batch="days", early_stopping=False, **params).fit(X, y)
    return seen


def test_batches_are_whole_days_in_another_order_each_epoch() -> None:
    _, y = panel()
    sizes = y.groupby(level="datetime").size().tolist()
    seen = whole_days(days_per_batch=3)
    n_batches = -(-len(sizes) // 3)
    assert len(seen) == 2 * n_batches
    epochs = [np.concatenate(part).tolist() for part in (seen[:n_batches], seen[n_batches:])]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(sizes)
    assert epochs[0] != epochs[1]
    assert [len(batch) for batch in seen[:n_batches]] == [3] * (n_batches - 1) + [
        len(sizes) - 3 * (n_batches - 1)
    ]
    assert max(map(len, whole_days())) == 1  # one day by default


@pytest.mark.parametrize("name", DAY_LOSSES)
@pytest.mark.parametrize("make", [gru, hist])
def test_learns_by_each_loss(make, name: str) -> None:
    X, y = panel(n_days=60)
    params = {"loss": name, "days_per_batch": 4, "max_epochs": 30, "lr": 0.02}
    params |= {"early_stopping": False} | ({"batch": "days"} if make is gru else {})
    model = make(**params).fit(X, y)
    assert rank_ic_score(y, model.predict(X, days=y.index.get_level_values(0))) > 0.7


@pytest.mark.parametrize("make", [gru, hist])
def test_ic_of_an_epoch_is_what_the_metric_says(make) -> None:
    X, y = panel()
    params = {"batch": "days"} if make is gru else {}
    model = make(loss="ic", early_stopping=True, validation_fraction=0.3, max_epochs=1, **params)
    model.fit(X, y)
    days = y.index.get_level_values("datetime")
    calendar = days.unique().sort_values()
    held = days >= calendar[-6]
    predicted = model.predict(X[held])
    known = [
        pearsonr(predicted[of_day], y[held][of_day])[0]
        for day in calendar[-6:]
        if (of_day := days[held] == day).sum() > 1
    ]
    assert_allclose(model.history_["valid_loss"].iloc[0], 1 - np.mean(known), rtol=1e-4)


def test_same_bits_for_a_seed_and_after_a_resume(tmp_path) -> None:
    X, y = panel(n_days=30)
    params = {"loss": "ic", "batch": "days", "days_per_batch": 2, "checkpoint": tmp_path}
    whole = gru(**params | {"checkpoint": None, "max_epochs": 4})
    straight = whole.fit(X, y)
    gru(
        **params,
    ).fit(X, y)
    resumed = gru(**params | {"max_epochs": 4}).fit(X, y)
    assert_array_equal(straight.predict(X), resumed.predict(X))
    order = np.random.default_rng(0).permutation(len(y))
    expected = straight.predict(X)
    assert_array_equal(whole.fit(X[order], y.iloc[order]).predict(X), expected)


@pytest.mark.parametrize("make", [gru, hist])
def test_days_with_nothing_to_rank_are_left_out(make) -> None:
    X, y = panel()
    days = y.index.get_level_values("datetime")
    equal, single = days.unique()[3], days.unique()[5]
    y = y.where(days != equal, 0.25)
    first = np.flatnonzero(days == single)[0]
    y = y.where((days != single) | (np.arange(len(y)) == first))
    params = {"loss": "ic", "early_stopping": False} | ({"batch": "days"} if make is gru else {})
    with_them = make(**params).fit(X, y)
    missing = y.where(~days.isin([equal, single]))
    assert_array_equal(with_them.predict(X), make(**params).fit(X, missing).predict(X))


def test_a_loss_of_ones_own() -> None:
    X, y = panel()

    def half(predicted, label, *, day, weight):
        assert weight is None
        return 0.5 * ((predicted - label) ** 2).mean() + 0.5 * ic(predicted, label, day=day)

    by_name = gru(loss=ic, batch="days").fit(X, y)
    assert_array_equal(by_name.predict(X), gru(loss="ic", batch="days").fit(X, y).predict(X))
    assert np.isfinite(gru(loss=half, batch="days").fit(X, y).predict(X)).all()
    assert np.isfinite(hist(loss=half).fit(X, y).predict(X)).all()
    # A loss that takes the day where there is one is not refused without.
    optional = gru(loss=lambda p, y, day=None: ((p - y) ** 2).mean(), max_epochs=1)
    assert_array_equal(optional.fit(X, y).predict(X), gru(max_epochs=1).fit(X, y).predict(X))


@pytest.mark.parametrize("monitor", ["valid_ic", "valid_rank_ic"])
def test_monitors_see_the_rows_of_batches_of_days(monitor: str) -> None:
    X, y = panel(n_days=40)
    order = np.random.default_rng(1).permutation(len(y))
    model = gru(batch="days", days_per_batch=3, monitor=monitor, early_stopping=True, max_epochs=3)
    model.fit(X[order], y.iloc[order])
    days = y.index.get_level_values("datetime")
    held = days >= days.unique().sort_values()[-4]
    best = model.history_[monitor].idxmax()
    method = "spearman" if monitor == "valid_rank_ic" else "pearson"
    predicted = pd.Series(model.predict(X[held]), y.index[held])
    daily = [
        predicted[day].corr(y[held][day], method=method) for day in y[held].index.unique("datetime")
    ]
    assert_allclose(model.history_.loc[best, monitor], np.nanmean(daily), rtol=1e-4)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"loss": "ic"}, "loss=ic compares the stocks of a day and needs batches of whole days"),
        ({"loss": ic}, "compares the stocks of a day and needs batches of whole days"),
        ({"days_per_batch": 3}, "days_per_batch counts days, and batch='rows' takes rows"),
        ({"batch": "weeks"}, "batch must be"),
        ({"batch": "days", "days_per_batch": 0}, "days_per_batch must be"),
        ({"loss": "rank"}, "loss must be"),
        (
            {"loss": lambda p, y, *, day: p - y, "batch": "days"},
            r"loss must give a scalar tensor.*gave \(",
        ),
        ({"loss": lambda p, y: (p - y) ** 2}, r"loss must give a scalar tensor.*gave \("),
        ({"loss": lambda p, y: y.mean()}, "loss must depend on the predictions"),
        ({"loss": lambda p, y: (p.detach() - y).mean()}, "loss must depend on the predictions"),
    ],
)
def test_bad_losses_and_batches(params, match: str) -> None:
    X, y = panel()
    with pytest.raises((ValueError, TypeError), match=match):
        gru(**params).fit(X, y)


def test_days_that_nobody_knows() -> None:
    X, y = panel()
    x, labels = np.asarray(X), y.to_numpy()
    for params, match in (
        ({"batch": "days"}, "batch='days' needs the trading days of X"),
        ({"batch": "days", "loss": "ic"}, "loss=ic needs the trading days of X"),
    ):
        with pytest.raises(ValueError, match=match):
            gru(**params).fit(x, labels)
    with pytest.raises(ValueError, match="loss=ccc needs the trading days of X"):
        hist(loss="ccc").fit(x, labels)
    with pytest.raises(ValueError, match="needs the trading days of X_val"):
        gru(batch="days").fit(X, y, X_val=x, y_val=labels)
    gru(batch="days").fit(x, labels, days=y.index.get_level_values("datetime"))
    with pytest.raises(ValueError, match=r"no day to train on.*two labelled stocks"):
        gru(batch="days", loss="ic", early_stopping=False).fit(X, y * 0)
    with pytest.raises(ValueError, match="batch must be"):
        hist(batch="rows").fit(X, y)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_ic_beats_squares_where_the_market_moves_all(name: str, seed: int) -> None:
    # The label is a small signal below a large return that all stocks of a day share.
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2020-01-01", periods=240)
    index = pd.MultiIndex.from_product([days, [f"S{i}" for i in range(20)]], names=KEYS)
    x = rng.normal(size=(len(index), 5, 2)).astype(np.float32)
    market = np.repeat(rng.normal(0, 10, len(days)), 20)
    y = pd.Series(0.3 * x[:, -2, 0] + rng.normal(size=len(index)) + market, index)
    y.attrs.update(horizon=1, reach=1)
    X, test = windows_of(x, index), index.get_level_values(0) >= days[180]
    shared = {**TRAINING, "max_epochs": 15, "lr": 0.003, "random_state": seed}
    shared |= {"batch": "days", "days_per_batch": 4, "early_stopping": False}
    if name == "gru":
        model = GRURegressor(hidden_size=8, num_layers=1, **shared)
    else:
        small = {"d_model": 16, "nhead": 2, "num_layers": 1, "dim_feedforward": 32}
        model = TransformerRegressor(**small, **shared)

    def score(loss: str) -> float:
        fitted = model.set_params(loss=loss).fit(X[~test], y[~test])
        return rank_ic_score(y[test], fitted.predict(X[test]))

    assert score("ic") > score("mse") + 0.03
