"""Fits that are killed go on to the bits that they would have had."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from stored_fits import Tasks, assert_same_fit, epochs, four_epochs, kill, trained
from torch.optim import lr_scheduler

from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import ALSTM, ALSTMRegressor, HISTRegressor
from skattn.preprocessing import Alpha360, RobustZScore


def files(directory: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in directory.rglob("*.*")}


SLOW_FIT = """
import pickle, sys, time, torch

class Slow:
    max_propagation_depth = None
    def setup(self, estimator, context): pass
    teardown = on_fit_task_begin = setup
    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            time.sleep(0.1)

torch.set_num_threads(1)
with open(sys.argv[1], "rb") as file:
    model, X, y = pickle.load(file)
model.set_callbacks(Slow()).fit(X, y)
"""


def test_a_killed_process(windows, tmp_path):
    X, y = windows
    store, job = tmp_path / "store", tmp_path / "job"
    params = {"dropout": 0.3, "max_epochs": 20, "early_stopping": False}
    params["callbacks"] = [LRScheduler("StepLR", step_size=2, gamma=0.9)]
    model = four_epochs(**params, checkpoint=store)
    job.write_bytes(pickle.dumps((model, X, y)))
    with subprocess.Popen([sys.executable, "-c", SLOW_FIT, str(job)]) as process:
        for _ in range(600):
            if list(store.glob("*/epoch-0004.state")) or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    number = max(int(path.stem[6:]) for path in store.glob("*/epoch-*"))
    assert 4 <= number < 20
    assert trained(model, windows) == 20 - number
    assert_same_fit(model, four_epochs(**params).fit(X, y), X)
    assert epochs(store) == ["epoch-0019", "epoch-0020-last"]


def schedule(policy, **params) -> dict:
    return {"callbacks": [LRScheduler(policy, **params)]}


class RecordsNorm(Callback):
    def on_epoch_end(self, net, **kwargs):
        norm = sum(p.detach().square().sum() for p in net.module_.parameters())
        net.history.record("norm", norm.numpy()[()])


@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.4},
        {"early_stopping": False, "rnn": "lstm"},
        {"monitor": "valid_ic", "optimizer": "nadam"},
        {"optimizer": "adamw", "weight_decay": 0.1, "clip_value": None},
        {"optimizer": "rmsprop", "loss": torch.nn.SmoothL1Loss(beta=0.5)},
        {"optimizer": "sgd", "freeze": ("rnn",)},
        {"optimizer": torch.optim.ASGD},
        {"optimizer": torch.optim.Adagrad, "precision": "bf16"},
        {"optimizer": torch.optim.Rprop},
        schedule("WarmRestartLR"),
        schedule(lr_scheduler.ReduceLROnPlateau, monitor="valid_loss", patience=0),
        schedule("CyclicLR", step_every="batch", base_lr=0.001, max_lr=0.1, step_size_up=7),
        schedule(lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=200, step_every="batch"),
        schedule("CosineAnnealingLR", T_max=5),
        schedule("MultiStepLR", milestones=[2, 4]),
        {"max_epochs": 9, "callbacks": [RecordsNorm(), EarlyStopping("norm", patience=3)]},
    ],
)
def test_goes_on_to_the_same_bits(windows, params, tmp_path):
    straight = four_epochs(**params).fit(*windows)
    model = four_epochs(**params, checkpoint=tmp_path)
    kill(model, windows, 3)
    assert trained(model, windows) == straight.n_iter_ - 2
    assert_same_fit(model, straight, windows[0])


def test_early_stopping(windows, tmp_path):
    X, y = windows
    noise = pd.Series(np.random.default_rng(1).normal(size=len(y)), index=y.index)
    params = {"max_epochs": 40, "n_iter_no_change": 3, "lr": 0.05}
    straight = four_epochs(**params).fit(X, noise)
    n, best = straight.n_iter_, int(straight.history_["valid_loss"].argmin()) + 1
    assert n == best + 3 < 40
    # In the best epoch, after it, and when the one that stops is stored.
    for at in (best, best + 2, n):
        model = four_epochs(**params, checkpoint=tmp_path / str(at))
        kill(model, (X, noise), at)
        assert trained(model, (X, noise)) == (0 if at == n else n - at + 1)
        assert_same_fit(model, straight, X)
        before = files(tmp_path)
        assert trained(model.set_params(max_epochs=80), (X, noise)) == 0
        assert_same_fit(model, straight, X)
        assert files(tmp_path) == before


def test_one_that_ended_is_given_back(windows, tmp_path):
    model = four_epochs(checkpoint=str(tmp_path)).fit(*windows)
    before = files(tmp_path)
    again = four_epochs(checkpoint=tmp_path, verbose=1)
    assert trained(again, windows) == 0
    assert_same_fit(again, model, windows[0])
    assert files(tmp_path) == before
    assert epochs(tmp_path) == ["epoch-0003", "epoch-0004-last"]


def test_more_and_fewer_epochs(windows, tmp_path):
    X, _ = windows
    straight = {n: four_epochs(dropout=0.2, max_epochs=n).fit(*windows) for n in (1, 2, 3, 4)}
    for max_epochs, expected in ((2, 2), (4, 2), (1, 1), (3, 0), (4, 0), (2, 0)):
        model = four_epochs(dropout=0.2, max_epochs=max_epochs, checkpoint=tmp_path)
        assert trained(model, windows) == expected
        assert_same_fit(model, straight[max_epochs], X)
    assert len(list(tmp_path.iterdir())) == 1


def test_other_fits_have_folders_of_their_own(windows, tmp_path):
    X, y = windows
    renamed = y.rename({"A": "a"}, level="instrument")
    four_epochs(max_epochs=1, checkpoint=tmp_path).fit(X, y)
    for n, (params, data) in enumerate(
        [
            ({"lr": 0.02}, (X, y)),
            ({"hidden_size": 6}, (X, y)),
            ({"random_state": 1}, (X, y)),
            ({"random_state": None}, (X, y)),
            ({"loss": torch.nn.functional.mse_loss}, (X, y)),
            ({"loss": torch.nn.functional.l1_loss}, (X, y)),
            ({"callbacks": [LRScheduler("StepLR", step_size=1)]}, (X, y)),
            ({"callbacks": [LRScheduler("StepLR", step_size=2)]}, (X, y)),
            ({}, (X, y + 1)),
            ({}, (X + 1, y)),
            ({}, (X, y.to_numpy())),
            ({}, (X, renamed)),
        ],
        start=2,
    ):
        model = four_epochs(**{"max_epochs": 1, "checkpoint": tmp_path, **params})
        assert trained(model, data) == 1
        assert len(list(tmp_path.iterdir())) == n
        assert trained(model, data) == 0
    with pytest.warns(UserWarning, match="X_val"):
        explicit = four_epochs(max_epochs=1, checkpoint=tmp_path).fit(
            X, y, X_val=X[:50], y_val=y[:50]
        )
    assert explicit.n_iter_ == 1
    assert len(list(tmp_path.iterdir())) == n + 1


def test_a_drawn_seed_stays(windows, tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.randbelow", lambda n: 5)
    straight = four_epochs(random_state=None, dropout=0.2).fit(*windows)
    model = four_epochs(random_state=None, dropout=0.2, checkpoint=tmp_path)
    kill(model, windows, 3)
    monkeypatch.setattr("secrets.randbelow", lambda n: 6)
    assert trained(model, windows) == 2
    assert_same_fit(model, straight, windows[0])

    generator = np.random.RandomState(3)
    models = [
        four_epochs(random_state=generator, max_epochs=1, checkpoint=tmp_path).fit(*windows)
        for _ in range(2)
    ]
    assert not np.array_equal(*(model.predict(windows[0]) for model in models))
    again = four_epochs(random_state=np.random.RandomState(3), max_epochs=1, checkpoint=tmp_path)
    assert trained(again, windows) == 0
    assert_same_fit(again, models[0], windows[0])


def test_pretrained(windows, tmp_path):
    torch.manual_seed(1)
    weights = ALSTM(3, 4).state_dict()
    del weights["fc_out.weight"]
    params = {"pretrained": weights, "freeze": ("rnn", "net.fc_in.bias"), "optimizer": "adam"}
    straight = four_epochs(**params).fit(*windows)
    model = four_epochs(**params, checkpoint=tmp_path)
    kill(model, windows, 3)
    assert trained(model, windows) == 2
    assert_same_fit(model, straight, windows[0])
    assert model.pretrained_report_.missing == ["fc_out.weight"]
    assert torch.equal(model.module_.rnn.weight_hh_l0, weights["rnn.weight_hh_l0"])

    # The weights count, not where they come from.
    path = tmp_path / "weights.pt"
    torch.save(weights, path)
    by_path = four_epochs(**{**params, "pretrained": path}, checkpoint=tmp_path)
    assert trained(by_path, windows) == 0
    torch.save({name: value + 1 for name, value in weights.items()}, path)
    assert trained(by_path, windows) == 4


def test_warm_start(windows, tmp_path):
    def start() -> ALSTMRegressor:
        return four_epochs(max_epochs=3, warm_start=True, dropout=0.2)

    straight = start().fit(*windows).set_params(lr=0.02).fit(*windows)
    model = start().fit(*windows).set_params(lr=0.02, checkpoint=tmp_path)
    first = model.net_
    kill(model, windows, 3)
    model.net_ = first
    assert trained(model, windows) == 1
    assert_same_fit(model, straight, windows[0])
    assert model.n_iter_ == 6
    # And on from there: another fit.
    assert trained(model, windows) == 3
    assert_same_fit(model, straight.fit(*windows), windows[0])


def test_partial_fit_does_not_use_it(windows, tmp_path):
    four_epochs(checkpoint=tmp_path).partial_fit(*windows)
    assert not list(tmp_path.iterdir())


def test_stocks_of_a_day(market, tmp_path):
    windows = RobustZScore().fit_transform(Alpha360(length=3).fit_transform(market.ohlcv))
    params = {"concepts": market.concepts, "hidden_size": 4, "lr": 0.01, "random_state": 0}
    params |= {"dropout": 0.2, "max_epochs": 3, "days_per_batch": 20}
    straight = HISTRegressor(**params).fit(windows, market.label)
    model = HISTRegressor(**params, checkpoint=tmp_path)
    kill(model, (windows, market.label), 2)
    assert trained(model, (windows, market.label)) == 2
    assert_same_fit(model, straight, windows)
    model.set_params(concepts=market.concepts.iloc[::-1].set_axis(market.concepts.index))
    assert trained(model, (windows, market.label)) == 3


def test_a_search_shares_the_directory(windows, tmp_path):
    X, y = windows
    grid = [{"hidden_size": [4, 6], "max_epochs": [1]}, {"max_epochs": [2]}]
    cv = DailyTimeSeriesSplit(n_splits=2)
    plain = GridSearchCV(four_epochs(), grid, cv=cv).fit(X, y)
    for n_jobs in (2, 1):
        model = four_epochs(checkpoint=tmp_path, loss=torch.nn.MSELoss())
        search = GridSearchCV(model, grid, cv=cv, n_jobs=n_jobs).fit(X, y)
        np.testing.assert_array_equal(
            search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
        )
        assert_same_fit(search.best_estimator_, plain.best_estimator_, X)
        # Two folds for each size, of which one had a fit of more epochs, and the best on all rows.
        assert len(list(tmp_path.iterdir())) == 5
        if n_jobs == 2:
            before = files(tmp_path)
    assert files(tmp_path) == before


def test_the_same_fit_twice_at_once(windows, tmp_path):
    class Second(Tasks):
        def on_fit_task_end(self, estimator, context):
            super().on_fit_task_end(estimator, context)
            if self.n_epochs == 2:
                four_epochs(checkpoint=tmp_path).fit(*windows)

    straight = four_epochs().fit(*windows)
    first = four_epochs(checkpoint=tmp_path).set_callbacks(Second()).fit(*windows)
    assert_same_fit(first, straight, windows[0])
    assert trained(first, windows) == 0


class CannotBePickled:
    def __call__(self, predicted, y):
        return (predicted - y).abs().mean()

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return "loss " * 1000

    def __reduce__(self):
        raise RuntimeError


class RecordsObjects(Callback):
    def __init__(self, made=object):
        self.made = made

    def on_epoch_end(self, net, **kwargs):
        net.history.record("made", self.made())


def test_what_cannot_be_stored(windows, tmp_path):
    with pytest.raises(ValueError, match=r"checkpoint.*loss=<function"):
        four_epochs(checkpoint=tmp_path, loss=lambda p, y: (p - y).abs().mean()).fit(*windows)
    with pytest.raises(ValueError, match=r"checkpoint.*loss=loss .*RuntimeError") as caught:
        four_epochs(checkpoint=tmp_path, loss=CannotBePickled()).fit(*windows)
    assert len(str(caught.value)) < 500
    scheduler = LRScheduler("LambdaLR", lr_lambda=lambda epoch: 0.9**epoch)
    with pytest.raises(ValueError, match=r"checkpoint.*callbacks=\["):
        four_epochs(checkpoint=tmp_path, callbacks=[scheduler]).fit(*windows)
    for made, named in ((RecordsObjects, "RecordsObjects"), (CannotBePickled, "RuntimeError")):
        with pytest.raises(TypeError, match=rf"checkpoint.*{named}"):
            four_epochs(checkpoint=tmp_path, callbacks=[RecordsObjects(made)]).fit(*windows)
    assert not list(tmp_path.glob("*/*"))
