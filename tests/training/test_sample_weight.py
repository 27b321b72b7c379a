"""Weights of rows: in fits, early stopping, pipelines, routing; 2 is twice and 0 is absent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from helpers import KEYS, SECTORS, windows_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from torch.nn import functional

from skattn.compose import CrossSectionalTarget
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import (
    ALSTMRegressor,
    GRURegressor,
    HISTRegressor,
    LSTMRegressor,
    SFMRegressor,
    TransformerRegressor,
)
from skattn.panel import WindowArray
from skattn.preprocessing import RobustZScore
from skattn.weights import time_decay

MODELS = {
    "alstm": (ALSTMRegressor, {"hidden_size": 4, "num_layers": 1}),
    "gru": (GRURegressor, {"hidden_size": 4}),
    "lstm": (LSTMRegressor, {"hidden_size": 4, "num_layers": 1}),
    "sfm": (SFMRegressor, {"hidden_size": 3, "freq_dim": 4, "output_dim": 3}),
    "transformer": (
        TransformerRegressor,
        {"d_model": 4, "nhead": 2, "num_layers": 1, "dim_feedforward": 8},
    ),
    "hist": (HISTRegressor, {"hidden_size": 4, "num_layers": 1, "concepts": SECTORS}),
}
TRAINING = {"max_epochs": 3, "batch_size": 4096, "lr": 0.01, "random_state": 0, "device": "cpu"}


def panel(n_days: int = 12, n_stocks: int = 6, seed: int = 0) -> tuple[WindowArray, pd.Series]:
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=n_days)
    index = pd.MultiIndex.from_product([days, [f"S{i}" for i in range(n_stocks)]], names=KEYS)
    x = rng.normal(size=(len(index), 4, 2)).astype(np.float32)
    y = pd.Series(x[:, -1, 0] + 0.1 * rng.normal(size=len(index)), index, name="label")
    y.attrs.update(horizon=1, reach=1)
    return windows_of(x, index), y


def make(name: str = "gru", **params):
    cls, small = MODELS[name]
    return cls(**{**TRAINING, "early_stopping": False, **small, **params})


@pytest.mark.parametrize("name", [name for name in MODELS if name != "hist"])
def test_two_is_twice_and_zero_is_absent(name: str) -> None:
    X, y = (np.asarray(each, dtype=np.float64) for each in panel())
    weight = np.random.default_rng(1).integers(0, 4, len(y))
    again = np.repeat(np.arange(len(y)), weight)
    weighted = make(name, precision="float64").fit(X, y, sample_weight=7 * weight)
    repeated = make(name, precision="float64").fit(X[again], y[again])
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9)
    assert weighted.predict(X).dtype == np.float64
    unweighted = make(name, precision="float64").fit(X, y)
    assert np.abs(unweighted.predict(X) - weighted.predict(X)).max() > 1e-6


@pytest.mark.parametrize("name", MODELS)
def test_zero_is_unlabelled_to_the_bit(name: str) -> None:
    # HIST still sees the stock beside the others, as it sees those without a label.
    X, y = panel()
    weight = pd.Series(1.0, y.index).where(np.arange(len(y)) % 5 > 0, 0.0)
    kwargs = {"batch_size": 16} if name != "hist" else {"days_per_batch": 2}
    zero = make(name, **kwargs).fit(X, y, weight)
    missing = make(name, **kwargs).fit(X, y.where(weight > 0))
    assert_array_equal(zero.predict(X), missing.predict(X))


@pytest.mark.parametrize("name", ["gru", "hist"])
def test_only_proportions_count(name: str) -> None:
    X, y = panel()
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    few = make(name).fit(X, y, weight)
    many = make(name).fit(X, y, 1024 * weight)
    assert_array_equal(few.predict(X), many.predict(X))
    equal = make(name).fit(X, y, np.full(len(y), 3.0))
    assert_allclose(equal.predict(X), make(name).fit(X, y).predict(X), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "each"),
    [
        ("mse", lambda p, y: (p - y) ** 2),
        ("mae", lambda p, y: (p - y).abs()),
        ("huber", lambda p, y: functional.huber_loss(p, y, reduction="none")),
        (torch.nn.SmoothL1Loss(), lambda p, y: functional.smooth_l1_loss(p, y, reduction="none")),
        (lambda p, y, *, weight: (weight * (p - y) ** 4).mean(), lambda p, y: (p - y) ** 4),
    ],
)  # fmt: skip
def test_losses_are_weighted_means(loss, each) -> None:
    """One step of gradient descent, by hand."""
    X, y = panel()
    weight = np.random.default_rng(0).uniform(0, 2, len(y)).astype(np.float32)
    given = {"loss": loss, "max_epochs": 1, "optimizer": "sgd", "lr": 0.1, "clip_value": None}
    start = make(**{**given, "lr": 1e-30}).fit(X, y, weight).module_
    start.zero_grad()
    fitted = make(**given).fit(X, y, weight)
    predicted = start(torch.tensor(np.asarray(X)))
    w, label = torch.tensor(weight), torch.tensor(y.to_numpy(np.float32))
    ((w * each(predicted, label)).sum() / w.sum()).backward()
    for name, parameter in start.named_parameters():
        step = parameter - 0.1 * parameter.grad
        assert_allclose(
            fitted.module_.get_parameter(name).detach(), step.detach(), rtol=1e-4, atol=1e-6
        )


def test_early_stopping_watches_the_weighted_loss() -> None:
    X, y = panel(n_days=40)
    weight = pd.Series(np.random.default_rng(0).uniform(0, 3, len(y)), y.index)
    model = make(early_stopping=True, batch_size=7, validation_fraction=0.25).fit(X, y, weight)
    days = y.index.get_level_values("datetime")
    held = days >= days.unique()[30]
    best = model.history_["valid_loss"].idxmin()
    error = np.average((model.predict(X[held]) - y[held]) ** 2, weights=weight[held])
    assert_allclose(model.history_.loc[best, "valid_loss"], error, rtol=1e-4)


def test_partial_fit_and_score() -> None:
    X, y = panel()
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    again = np.repeat(np.arange(len(y)), weight.astype(int))
    x = np.asarray(X, dtype=np.float64)
    weighted = make(precision="float64").partial_fit(x, y.to_numpy(), weight)
    repeated = make(precision="float64").partial_fit(x[again], y.to_numpy()[again])
    assert_allclose(weighted.predict(x), repeated.predict(x), rtol=1e-9)
    score = weighted.score(x, y.to_numpy(), weight)
    assert_allclose(score, weighted.score(x[again], y.to_numpy()[again]), rtol=1e-6)


def test_through_pipelines_searches_and_cross_sectional_target() -> None:
    X, y = panel(n_days=30)
    weight = time_decay(y, "5D")
    model = CrossSectionalTarget(make())
    plain = model.fit(X, y, sample_weight=weight).predict(X)
    assert not np.array_equal(plain, model.fit(X, y).predict(X))
    pipeline = make_pipeline(RobustZScore(), CrossSectionalTarget(make()))
    pipeline.fit(X, y, crosssectionaltarget__sample_weight=weight)
    search = GridSearchCV(make(), {"hidden_size": [3]}, cv=DailyTimeSeriesSplit(2))
    search.fit(X, y, sample_weight=weight)
    by_hand = make(hidden_size=3).fit(X, y, weight)
    assert_array_equal(search.predict(X), by_hand.predict(X))
    with sklearn.config_context(enable_metadata_routing=True):
        routed = CrossSectionalTarget(make().set_fit_request(sample_weight=True))
        routed.set_score_request(sample_weight=False)
        assert_array_equal(routed.fit(X, y, sample_weight=weight).predict(X), plain)
        scores = cross_validate(
            routed, X, y, cv=DailyTimeSeriesSplit(2), params={"sample_weight": weight},
            return_estimator=True, return_indices=True,
        )  # fmt: skip
    train = scores["indices"]["train"][0]
    fold = CrossSectionalTarget(make()).fit(
        X[train], y.iloc[train], sample_weight=weight.iloc[train]
    )
    assert_array_equal(scores["estimator"][0].predict(X), fold.predict(X))


@pytest.mark.parametrize("regressor", [Ridge(), GRURegressor(**TRAINING, hidden_size=3)])
def test_rows_of_weight_zero_do_not_scale_labels(regressor) -> None:
    X, y = panel()
    X = np.asarray(X)[:, :, 0] if isinstance(regressor, Ridge) else X
    weight = np.where(np.arange(len(y)) % 4 == 0, 0.0, 1.0)
    extreme = y.where(weight > 0, 1e6)
    model = CrossSectionalTarget(regressor, method="zscore")
    weighted = model.fit(X, extreme, sample_weight=weight).predict(X)
    missing = model.fit(X, y.where(weight > 0), sample_weight=np.ones(len(y))).predict(X)
    assert_allclose(weighted, missing, rtol=1e-5, atol=1e-6)


def test_recency_changes_what_is_learnt() -> None:
    # What predicts turns round half-way.
    X, y = panel(n_days=120, seed=3)
    days = y.index.get_level_values("datetime")
    y = y.where(days >= days.unique()[60], -y)
    fit = {"max_epochs": 25, "batch_size": 64, "lr": 0.02}
    late = days >= days.unique()[110]
    even = make(**fit).fit(X, y)
    recent = make(**fit).fit(X, y, time_decay(y, half_life=15))
    assert np.corrcoef(recent.predict(X[late]), y[late])[0, 1] > 0.9
    assert abs(np.corrcoef(even.predict(X[late]), y[late])[0, 1]) < 0.8
    # In batches of days, too, where all weights of a batch are alike.
    by_days = make(**fit, batch="days", days_per_batch=5).fit(X, y, time_decay(y, half_life=15))
    assert np.corrcoef(by_days.predict(X[late]), y[late])[0, 1] > 0.9


def test_stored_fits_tell_weights_apart(tmp_path) -> None:
    X, y = panel()
    first = make(checkpoint=tmp_path).fit(X, y, time_decay(y))
    again = make(checkpoint=tmp_path).fit(X, y, time_decay(y))
    other = make(checkpoint=tmp_path).fit(X, y)
    assert len([*tmp_path.iterdir()]) == 2
    assert_array_equal(first.predict(X), again.predict(X))
    assert not np.array_equal(first.predict(X), other.predict(X))


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (lambda n: np.full(n, -1.0), "at least 0; got -1.0 in row 0"),
        (lambda n: np.r_[np.ones(n - 1), np.nan], r"finite and at least 0; got nan in row"),
        (lambda n: np.r_[np.inf, np.ones(n - 1)], "finite and at least 0; got inf in row 0"),
        (lambda n: np.ones(n - 1), "must have a weight for each"),
        (lambda n: np.ones((n, 2)), "sample_weight"),
        (lambda n: np.zeros(n), "zero in all rows"),
        (lambda n: ["a"] * n, "sample_weight"),
        (lambda n: "balanced", "sample_weight"),
        (lambda n: 2.0, "sample_weight"),
    ],
)
def test_bad_weights(weight, match: str) -> None:
    X, y = panel()
    for method in ("fit", "partial_fit"):
        with pytest.raises((ValueError, TypeError), match=match):
            getattr(make(), method)(X, y, weight(len(y)))
    model = make().fit(X, y)
    with pytest.raises((ValueError, TypeError), match=match):
        model.score(X, y, weight(len(y)))


def test_weights_of_other_rows_and_of_no_label() -> None:
    X, y = panel()
    with pytest.raises(ValueError, match=r"sample_weight.*different rows|different rows"):
        make().fit(X, y, pd.Series(1.0, y.index).sort_index(ascending=False))
    labelled = np.arange(len(y)) % 2 == 0
    with pytest.raises(ValueError, match="sample_weight is zero in all rows that have a label"):
        make().fit(X, y.where(labelled), (~labelled).astype(float))
    with pytest.raises(ValueError, match=r"loss must take weights.*loss\(predicted, label, \*, w"):
        make(loss=lambda p, y: ((p - y) ** 2).mean()).fit(X, y, np.ones(len(y)))
