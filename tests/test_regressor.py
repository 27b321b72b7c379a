"""What every regressor inherits, shown on ALSTM."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import small_alstm, weights_of
from sklearn.base import clone
from skorch.callbacks import Callback

from skattn.metrics import ic_score


def test_learns_and_reports(windows):
    X, y = windows
    model = small_alstm(max_epochs=60).fit(X, y)
    assert model.score(X, y) > 0.8
    assert model.n_iter_ == len(model.history_) <= 60
    assert {"train_loss", "valid_loss", "dur"} <= set(model.history_.columns)
    assert (model.n_steps_in_, model.n_features_in_) == (8, 3)
    attention = model.attend(X)["time"]
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)


def test_early_stopping_restores_the_best_epoch(windows):
    X, y = windows
    noise = pd.Series(np.random.default_rng(1).normal(size=len(y)), index=y.index)
    model = small_alstm(max_epochs=80, n_iter_no_change=5, lr=0.05).fit(X, noise)
    losses = model.history_["valid_loss"]
    assert model.n_iter_ == losses.argmin() + 1 + 5 < 80
    last = y.index.get_level_values("datetime") >= y.index.levels[0][-4]
    error = np.mean((model.predict(X[last]) - noise[last]) ** 2)
    assert error == pytest.approx(losses.min(), rel=1e-5)
    assert error != pytest.approx(losses.iloc[-1], rel=1e-3)


@pytest.mark.parametrize("monitor", ["valid_ic", "valid_rank_ic"])
def test_monitors_of_daily_ic(windows, monitor):
    X, y = windows
    model = small_alstm(max_epochs=12, n_iter_no_change=3, monitor=monitor).fit(X, y)
    last = y.index.get_level_values("datetime") >= y.index.levels[0][-4]
    if monitor == "valid_ic":
        expected = ic_score(y[last], model.predict(X[last]))
        assert model.history_[monitor].max() == pytest.approx(expected, abs=1e-4)
    assert model.history_[monitor].iloc[-1] <= 1


def test_auto_early_stopping_needs_days(windows):
    X, y = windows
    assert "valid_loss" not in small_alstm().fit(X, y.to_numpy()).history_
    assert "valid_loss" in small_alstm().fit(X, y).history_
    days = y.index.get_level_values("datetime")
    assert "valid_loss" in small_alstm().fit(X, y.to_numpy(), days=days).history_
    assert "valid_loss" in small_alstm(early_stopping=True).fit(X, y.to_numpy()).history_
    assert "valid_loss" not in small_alstm(early_stopping=False).fit(X, y).history_


def test_partial_fit_and_warm_start_go_on(windows):
    X, y = windows
    whole = small_alstm(early_stopping=False, max_epochs=3).fit(X, y)
    stepwise = small_alstm(early_stopping=False)
    for _ in range(3):
        stepwise.partial_fit(X, y)
    np.testing.assert_array_equal(weights_of(whole), weights_of(stepwise))
    assert stepwise.n_iter_ == 3

    warm = clone(whole).set_params(warm_start=True).fit(X, y)
    before = weights_of(warm).copy()
    assert warm.set_params(lr=1e-9).fit(X, y).n_iter_ == 6
    np.testing.assert_allclose(weights_of(warm), before, atol=1e-6)
    cold = whole.fit(X, y)
    assert cold.n_iter_ == 3


def test_value_clipping(windows):
    class Largest(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            largest.append(max(p.grad.abs().max().item() for _, p in named_parameters))

    X, y = windows
    for clip_value, bound in ((0.01, True), (None, False)):
        largest: list[float] = []
        small_alstm(clip_value=clip_value, callbacks=[Largest()]).fit(X, 100 * y)
        assert (max(largest) <= 0.01 + 1e-7) == bound


def test_univariate_series(windows):
    X, y = windows
    table = pd.DataFrame(X[:, :, 0], index=y.index, columns=[f"CLOSE{lag}" for lag in range(8)])
    model = small_alstm().fit(table, y)
    assert model.n_features_in_ == model.n_steps_in_ == 8
    np.testing.assert_array_equal(weights_of(model), weights_of(small_alstm().fit(X[:, :, :1], y)))


def test_pickles_are_small(windows):
    X, y = windows
    model = small_alstm(callbacks=[Callback()]).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    # It does not drag its training data along.
    larger = small_alstm().fit(np.tile(X, (10, 1, 1)), np.tile(y, 10))
    assert len(pickle.dumps(larger)) < len(pickle.dumps(model)) + X.nbytes
    assert again.module_ is again.net_.module_
    again.partial_fit(X, y)
    assert len(pickle.dumps(again.net_)) > 0.9 * len(pickle.dumps(again))  # weights once


@pytest.mark.parametrize("optimizer", ["adamw", "nadam", "rmsprop", "sgd", torch.optim.Adagrad])
def test_optimizers(windows, optimizer):
    X, y = windows
    model = small_alstm(optimizer=optimizer, weight_decay=1e-4).fit(X, y)
    losses = model.history_["train_loss"]
    assert losses.iloc[-1] < losses.iloc[0]


@pytest.mark.parametrize("loss", ["mae", "huber", torch.nn.functional.mse_loss])
def test_losses(windows, loss):
    X, y = windows
    model = small_alstm(loss=loss, early_stopping=False, lr=1e-12, max_epochs=1).fit(X, y)
    error = model.predict(X) - y
    expected = {
        "mae": error.abs().mean(),
        "huber": np.where(error.abs() < 1, error**2 / 2, error.abs() - 0.5).mean(),
    }.get(loss, (error**2).mean())
    assert model.history_["train_loss"].iloc[0] == pytest.approx(expected, rel=1e-4)


def test_bf16_is_near_float32(windows):
    X, y = windows
    full, half = small_alstm().fit(X, y), small_alstm(precision="bf16").fit(X, y)
    assert np.corrcoef(full.predict(X), half.predict(X))[0, 1] > 0.99
    assert not np.array_equal(full.predict(X), half.predict(X))
    assert half.predict(X).dtype == np.float32


@pytest.mark.slow
def test_compile(windows):
    X, y = windows
    plain, compiled = small_alstm().fit(X, y), small_alstm(compile=True).fit(X, y)
    np.testing.assert_allclose(compiled.predict(X), plain.predict(X), atol=1e-4)
    pickle.loads(pickle.dumps(compiled)).predict(X)


@pytest.mark.gpu
def test_cuda(windows):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    X, y = windows
    state = torch.cuda.get_rng_state()
    model = small_alstm(device="cuda").fit(X, y)
    assert (torch.cuda.get_rng_state() == state).all()
    np.testing.assert_allclose(
        model.predict(X), small_alstm(device="cpu").fit(X, y).predict(X), atol=1e-2
    )


def test_verbose_prints_epochs(windows, capsys):
    X, y = windows
    small_alstm(verbose=1, max_epochs=2).fit(X, y)
    assert "train_loss" in capsys.readouterr().out
    small_alstm(max_epochs=2).fit(X, y)
    assert capsys.readouterr().out == ""
