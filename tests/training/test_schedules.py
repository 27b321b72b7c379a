"""Schedules of the learning rate: where they begin, go on and fail."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import small_alstm, weights_of
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from stored_fits import assert_same_fit, four_epochs, kill, trained
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


def warmup(optimizer, last_epoch=-1):
    parts = [LinearLR(optimizer, 0.1, total_iters=2), StepLR(optimizer, 1, 0.5)]
    return SequentialLR(optimizer, parts, milestones=[2])


def plateau(monitor: str) -> LRScheduler:
    """It takes a step after every epoch but the first: nothing improves by so much."""
    return LRScheduler(ReduceLROnPlateau, monitor=monitor, patience=0, threshold=9.0, factor=0.5)


BATCHES = 7  # of an epoch of all rows, 32 each
SCHEDULES = {
    "step": lambda: LRScheduler(StepLR, step_size=2, gamma=0.5),
    "cosine": lambda: LRScheduler(CosineAnnealingLR, T_max=6),
    "plateau": lambda: plateau("train_loss"),
    "one-cycle": lambda: LRScheduler(
        OneCycleLR, max_lr=0.05, total_steps=6 * BATCHES, step_every="batch"
    ),
    "warmup": lambda: LRScheduler(warmup),
}
# Learning rates by the definitions, at the beginning of each epoch; lr is 0.01.
RATES = {
    "step": [0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025],
    "cosine": 0.005 * (1 + np.cos(np.pi * np.arange(6) / 6)),
    "plateau": [0.01, 0.005, 0.0025, 0.00125, 0.000625, 0.0003125],
    "warmup": [0.001, 0.0055, 0.01, 0.005, 0.0025, 0.00125],
}


def rate(model) -> list[float]:
    return model.history_["lr"].tolist()


def all_rows(**params):
    return small_alstm(**{"early_stopping": False, "max_epochs": 6, "purge": 2, **params})


def one_cycle() -> list[float]:
    """OneCycleLR by its definition: two half cosines, 30 % of the steps up."""
    top, first, last = 0.05, 0.05 / 25, 0.05 / 25 / 1e4
    peak, end = 0.3 * 6 * BATCHES - 1, 6 * BATCHES - 1
    steps = np.arange(6) * BATCHES
    up, down = steps / peak, (steps - peak) / (end - peak)
    rising = top + (first - top) / 2 * (1 + np.cos(np.pi * up))
    falling = last + (top - last) / 2 * (1 + np.cos(np.pi * down))
    return np.where(steps <= peak, rising, falling).tolist()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_fit_has_the_rates_of_the_definition(windows, name):
    model = all_rows(callbacks=[SCHEDULES[name]()]).fit(*windows)
    assert (model.history_["train_batch_count"] == BATCHES).all()
    np.testing.assert_allclose(rate(model), RATES.get(name, one_cycle()), rtol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_partial_fit_goes_on_with_it(windows, name):
    X, y = windows
    whole = all_rows(callbacks=[SCHEDULES[name]()]).fit(X, y)
    model = all_rows(callbacks=[SCHEDULES[name]()])
    for n in range(6):
        model.partial_fit(X, y)
        if n == 2 and name != "warmup":
            model = pickle.loads(pickle.dumps(model))
    assert rate(model) == rate(whole)
    np.testing.assert_array_equal(weights_of(model), weights_of(whole))
    # A fit goes on as well.
    begun = all_rows(callbacks=[SCHEDULES[name]()], max_epochs=4).fit(X, y)
    begun.partial_fit(X, y).partial_fit(X, y)
    assert rate(begun) == rate(whole)
    np.testing.assert_array_equal(weights_of(begun), weights_of(whole))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_fit_begins_it(windows, name):
    X, y = windows
    model = all_rows(callbacks=[SCHEDULES[name]()], warm_start=True, max_epochs=3).fit(X, y)
    first = rate(model)
    assert rate(model.fit(X, y)) == first * 2
    # And after a warm start partial_fit goes on from there.
    longer = all_rows(callbacks=[SCHEDULES[name]()], max_epochs=4).fit(X, y)
    assert rate(model.partial_fit(X, y))[-4:] == rate(longer)
    assert rate(model.set_params(warm_start=False).fit(X, y)) == first


def test_a_callback_that_another_model_used_meanwhile(windows):
    X, y = windows
    shared = SCHEDULES["step"]()
    model = all_rows(callbacks=[shared], max_epochs=3).fit(X, y)
    all_rows(callbacks=[shared], max_epochs=2).fit(X, y)
    assert rate(model.partial_fit(X, y)) == [0.01, 0.01, 0.005, 0.005]


class Fails(Callback):
    fails = False

    def on_epoch_end(self, net, **kwargs):
        if self.fails:
            raise RuntimeError("on purpose")


def test_a_call_that_fails_takes_no_step(windows):
    X, y = windows
    fails = Fails()
    model = all_rows(callbacks=[SCHEDULES["step"](), fails], max_epochs=1).fit(X, y)
    fails.fails = True
    with pytest.raises(RuntimeError, match=r"^on purpose$"):
        model.partial_fit(X, y)
    fails.fails = False
    for _ in range(3):
        model.partial_fit(X, y)
    assert rate(model) == [0.01, 0.01, 0.005, 0.005]


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("name", [*SCHEDULES, "plateau of the monitor"])
def test_a_killed_fit_goes_on_to_the_same_bits(windows, tmp_path, name, at):
    def make(**params):
        callbacks = [SCHEDULES.get(name, lambda: plateau("valid_ic"))()]
        return four_epochs(callbacks=callbacks, monitor="valid_ic", purge=2, **params)

    straight = make().fit(*windows)
    assert len(set(rate(straight))) > 1
    model = make(checkpoint=tmp_path)
    kill(model, windows, at)
    # Nothing but the files is left of the killed process.
    model = make(checkpoint=tmp_path)
    assert trained(model, windows) == 4 - (at - 1)
    assert_same_fit(model, straight, windows[0])


def test_a_killed_warm_start_goes_on_to_the_same_bits(windows, tmp_path):
    def start():
        callbacks = [LRScheduler(OneCycleLR, max_lr=0.05, total_steps=18, step_every="batch")]
        return four_epochs(callbacks=callbacks, max_epochs=4, warm_start=True, purge=2)

    straight = start().fit(*windows).fit(*windows)
    assert rate(straight) == rate(straight)[:4] * 2
    model = start().fit(*windows).set_params(checkpoint=tmp_path)
    kill(model, windows, 3)
    assert trained(model, windows) == 2
    assert_same_fit(model, straight, windows[0])


class Reads(Callback):
    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(net.history[-1, "valid_rank_ic"])


def test_callbacks_read_the_monitor_of_the_epoch(windows, capsys):
    reads, params = Reads(), {"monitor": "valid_rank_ic", "max_epochs": 4, "purge": 2}
    model = small_alstm(**params, callbacks=[reads, plateau("valid_rank_ic")], verbose=1)
    model.fit(*windows)
    assert reads.seen == model.history_["valid_rank_ic"].tolist()
    np.testing.assert_allclose(rate(model), [0.01, 0.005, 0.0025, 0.00125])
    assert "valid_rank_ic" in capsys.readouterr().out
    stops = EarlyStopping("valid_rank_ic", lower_is_better=False, patience=1, threshold=9.0)
    stopped = small_alstm(**params, callbacks=[stops]).fit(*windows)
    assert stopped.n_iter_ < 4


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        (LRScheduler("OneCycleLR"), r"no policy 'OneCycleLR'.*torch\.optim\.lr_scheduler"),
        (LRScheduler("Step"), r"no policy 'Step'"),
        (LRScheduler(3), r"no policy 3\b"),
        (LRScheduler(None), r"no policy None"),
        (LRScheduler(StepLR, step_size=1, step_every="week"), r"step_every.*'batch'.*'week'"),
        (LRScheduler("StepLR"), r"LRScheduler\(StepLR\).*'step_size'"),
        (LRScheduler(StepLR, step=1), r"LRScheduler\(StepLR\).*'step'"),
        (LRScheduler(StepLR, step_size=0), r"LRScheduler\(StepLR\) failed after 1 epochs"),
        (LRScheduler(CosineAnnealingLR, T_max=0), r"LRScheduler\(CosineAnnealingLR\)"),
        (
            LRScheduler(OneCycleLR, max_lr=0.1, total_steps=8, step_every="batch"),
            r"LRScheduler\(OneCycleLR\) failed after 2 epochs.*total steps is 8",
        ),
        (plateau("valid_loss"), r"'valid_loss'.*'train_loss'.*X_val"),
        (plateau("trian_loss"), r"'trian_loss'.*'train_loss'"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_said(windows, scheduler, message):
    model = all_rows(callbacks=[Callback(), ("rate", scheduler)])
    with pytest.raises(ValueError, match=rf"callbacks: .*{message}"):
        model.fit(*windows)
    assert not hasattr(model, "net_")


def test_another_callbacks_error_comes_out_as_it_is(windows):
    class Asks(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        all_rows(callbacks=[SCHEDULES["step"](), Asks()]).fit(*windows)
