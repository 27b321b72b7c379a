"""Fits that processes share. A test runs this file in two processes, by rank and folder."""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from kit_models import DaysRegressor, Rows, RowsRegressor
from skorch.callbacks import Callback, EpochScoring, LRScheduler
from torch import distributed, nn

from skattn import GRURegressor, HISTRegressor, SequenceRegressor

KEYS = ["datetime", "instrument"]
SMALL = {"max_epochs": 3, "lr": 0.01, "random_state": 0, "device": "cpu"}


def panel(seed: int = 0, n_days: int = 24, n_stocks: int = 7):
    """Windows of a ragged panel, labels with gaps, and weights."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=n_days)
    index = pd.MultiIndex.from_product([days, [f"S{i}" for i in range(n_stocks)]], names=KEYS)
    index = index[rng.random(len(index)) < 0.9]
    X = rng.standard_normal((len(index), 5, 3)).astype(np.float32)
    y = pd.Series(X[:, -1, 0] + 0.5 * rng.standard_normal(len(index)), index)
    y.attrs["reach"] = 1
    return X, y.mask(rng.random(len(y)) < 0.05), rng.uniform(0.5, 2, len(y))


class NormedRegressor(SequenceRegressor):
    """A mean over the rows of a batch."""

    def build_module(self, n_steps, n_features):
        return Normed(n_features)


class Normed(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.norm, self.out = nn.BatchNorm1d(n_features), nn.Linear(n_features, 1)

    def forward(self, x):
        return self.out(self.norm(x[:, -1]))[:, 0]


class Unused(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.out, self.spare = nn.Linear(n_features, 1), nn.Linear(2, 2)

    def forward(self, x):
        return self.out(x[:, -1])[:, 0]


class UnusedRegressor(SequenceRegressor):
    """A model with weights that no prediction depends on."""

    def build_module(self, n_steps, n_features):
        return Unused(n_features)


def fit(model, *, weigh=False, several=False, seed=0, **params):
    X, y, weight = panel(seed)
    if several:
        y = pd.DataFrame({"a": y, "b": y.shift(1)})
        y.attrs["reach"] = 1
    return model(**{**SMALL, **params}).fit(X, y, weight if weigh else None)


# What is equal to the fit of one process. Where the gradient of a weight is 0, Adam makes steps of
# its rounding, so these fits take other optimizers or double precision.
EQUAL = {
    "gru": lambda **own: fit(GRURegressor, hidden_size=8, batch_size=40, **own),
    "last batch of one row": lambda **own: fit(
        GRURegressor, hidden_size=4, early_stopping=False, batch_size=5, max_epochs=1, **own
    ),
    "weights and clipping": lambda **own: fit(
        GRURegressor, hidden_size=8, batch_size=30, clip_norm=0.01, weigh=True, loss="mae", **own
    ),
    "loss of days": lambda **own: fit(
        GRURegressor,
        hidden_size=8,
        loss="ic",
        batch="days",
        monitor="valid_ic",
        optimizer="sgd",
        **own,
    ),
    "several labels": lambda **own: fit(
        GRURegressor, hidden_size=8, several=True, batch_size=40, **own
    ),
    "days": lambda **own: fit(DaysRegressor, size=8, days_per_batch=3, **own),
    "days and a loss of days": lambda **own: fit(
        HISTRegressor,
        hidden_size=8,
        loss="listnet",
        days_per_batch=4,
        precision="float64",
        **own,
    ),
    "frozen": lambda **own: fit(
        RowsRegressor, size=8, freeze=("rnn",), batch_size=40, optimizer="sgd", **own
    ),
    "unused": lambda **own: fit(UnusedRegressor, weight_decay=0.1, batch_size=40, **own),
    "double": lambda **own: fit(GRURegressor, hidden_size=4, precision="float64", **own),
    "schedule": lambda **own: fit(
        GRURegressor,
        hidden_size=4,
        callbacks=[LRScheduler("StepLR", step_size=1, gamma=0.5)],
        **own,
    ),
}


class RaisesAt(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise OSError("the disk is full")


class StopsAt(RaisesAt):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


class Heats(Callback):
    def on_epoch_end(self, net, **kwargs):
        net.optimizer_.param_groups[0]["lr"] = 1.0


def _nan():
    X, y, _ = panel()
    X[5] = np.nan
    return GRURegressor(**SMALL, data_parallel=True).fit(X, y)


def gru(**own):
    return fit(GRURegressor, **{"hidden_size": 4, "data_parallel": True, **own})


SHARED = {"size": 4, "data_parallel": True}


def fit_that_fails(part):
    """Fail where a device would: in the forward or backward pass of one process, in training."""

    def fail(*arguments):
        raise OSError("the device is full")

    def forward(module, x):
        if module.training and part == "forward":
            fail()
        predicted = plain(module, x)
        if module.training and predicted.requires_grad:
            predicted.register_hook(fail)
        return predicted

    plain, Rows.forward = Rows.forward, forward
    try:
        return fit(RowsRegressor, **SHARED)
    finally:
        Rows.forward = plain


# What fails, in both processes: from the rank to the fit.
FAILING = {
    "lr": lambda rank: gru(lr=0.01 * (1 + rank)),
    "max_epochs": lambda rank: gru(max_epochs=2 + rank),
    "rows": lambda rank: gru(seed=rank),
    "model": lambda rank: gru() if rank else fit(RowsRegressor, size=4, data_parallel=True),
    "random_state": lambda rank: gru(random_state=None),
    "loss": lambda rank: gru(loss=nn.L1Loss() if rank else nn.MSELoss()),
    "bad parameter": lambda rank: gru(lr=-1.0 if rank else 0.1),
    "bad rows": lambda rank: _nan() if rank else gru(),
    "raises": lambda rank: gru(callbacks=[RaisesAt(2)] if rank else None),
    "stops": lambda rank: gru(callbacks=[StopsAt(2)] if rank else None),
    "changes lr": lambda rank: gru(callbacks=[Heats()] if rank else None, early_stopping=False),
    "small batch": lambda rank: gru(batch_size=1),
    "one day": lambda rank: fit(DaysRegressor, size=4, data_parallel=True),
    "batch norm": lambda rank: fit(NormedRegressor, data_parallel=True),
    "forward": lambda rank: fit_that_fails("forward") if rank else fit(RowsRegressor, **SHARED),
    "backward": lambda rank: fit_that_fails("backward") if rank else fit(RowsRegressor, **SHARED),
    "backward of both": lambda rank: fit_that_fails("backward"),
    "diverges": lambda rank: gru(lr=1e30, clip_value=None, optimizer="sgd"),
}


def masks() -> list[torch.Tensor]:
    """Give what the dropout of this process lets through, of each batch."""
    seen: list[torch.Tensor] = []

    def keep(module, inputs, output):
        if module.training:
            seen.append(output != 0)

    class Watches(Callback):
        def on_train_begin(self, net, **kwargs):
            self.handle_ = net.module_.drop.register_forward_hook(keep)

        def on_train_end(self, net, **kwargs):
            self.handle_.remove()

    dropout = {"size": 8, "dropout": 0.5, "batch_size": 8, "data_parallel": True}
    fit(RowsRegressor, **dropout, callbacks=[Watches()], early_stopping=False, max_epochs=1)
    return [mask for mask in seen if len(mask) == 4]


def results_of(model) -> dict:
    weights = {name: value.clone() for name, value in model.module_.state_dict().items()}
    wanted = [name for name in model.history_ if name.endswith(("loss", "lr", "ic"))]
    history = {name: model.history_[name].tolist() for name in wanted}
    return {"weights": weights, "history": history, "processes": model.net_.ranks}


def main(rank: int, folder: Path) -> None:
    """Run everything in this process, which has a rank among two."""
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/group",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=30),
    )
    found: dict = {name: results_of(make(data_parallel=True)) for name, make in EQUAL.items()}
    for name, make in FAILING.items():
        try:
            make(rank)
            found[name] = "nothing failed"
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    dropout = {"size": 8, "dropout": 0.5, "batch_size": 40, "data_parallel": True}
    found["dropout"] = [results_of(fit(RowsRegressor, **dropout)) for _ in range(2)]
    stored = {"checkpoint": folder / "stored", **dropout, "max_epochs": 4}
    try:
        fit(RowsRegressor, **stored, callbacks=[RaisesAt(3)])
    except OSError:
        found["resumed"] = results_of(fit(RowsRegressor, **stored))
    found["whole"] = results_of(fit(RowsRegressor, **{**stored, "checkpoint": None}))
    found["masks"] = masks()
    gru(checkpoint=folder / f"stored{rank}")
    model = gru(verbose=1, callbacks=[EpochScoring("r2", name="r2")] if rank == 0 else None)
    X, *_ = panel()
    if rank == 0:
        model.predict(X)  # alone
    torch.save(found, folder / f"found{rank}.pt")
    if rank == 1:
        gru(callbacks=[Ends()])
    begin = time.perf_counter()
    try:
        gru()
    except RuntimeError as error:
        torch.save((str(error), time.perf_counter() - begin), folder / "lost.pt")
    # Without taking leave: torch waits for the other process there.
    os._exit(0)


class Ends(Callback):
    def on_batch_begin(self, net, **kwargs):
        os._exit(0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]), Path(sys.argv[2]))
