"""What a fit does, step by step: a net, the rows, the epochs."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from skorch.callbacks import EarlyStopping

from skattn._warn import warn_user
from skattn.panel import label_reach, resolve_purge
from skattn.training.batches import FitData, Samples
from skattn.training.callbacks import MONITORS, EpochTasks, FiniteLoss, ValidScore, ValueClipping
from skattn.training.checkpoint import Checkpoint
from skattn.training.holdout import chronological_holdout
from skattn.training.losses import MaskedLoss
from skattn.training.net import OPTIMIZERS, SequenceNet, StopTraining
from skattn.training.weights import freeze_parameters, load_weights


def make_net(estimator: Any, device: str, seed: int, old: SequenceNet | None = None) -> SequenceNet:
    """Build and initialize a net; with an old one, on its module and history."""
    module = estimator.build_module(estimator.n_steps_in_, estimator._n_fields)
    if old is not None:
        try:
            module.load_state_dict(old.module_.state_dict())
        except RuntimeError as error:
            raise ValueError(
                "warm_start=True goes on from the weights of the last fit, but the parameters "
                "of the architecture have changed since. Set them back, or warm_start=False."
            ) from error
    elif estimator.pretrained is not None:
        estimator.pretrained_report_ = load_weights(module, estimator.pretrained)
    freeze_parameters(module, estimator.freeze)
    optimizer = estimator.optimizer
    decay = {"optimizer__weight_decay": estimator.weight_decay} if estimator.weight_decay else {}
    net = SequenceNet(
        module,
        MaskedLoss(estimator.loss),
        optimizer=OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer,
        **decay,
        lr=estimator.lr,
        batch_size=estimator.batch_size,
        max_epochs=estimator.max_epochs,
        callbacks=_make_callbacks(estimator),
        device=device,
        precision=estimator.precision,
        compile=estimator.compile,
        verbose=estimator.verbose,
        seed=seed,
        days_per_batch=getattr(estimator, "days_per_batch", 1),
        context=estimator.make_context(),
    )
    net.initialize()
    # The net has the module now. The instance it was made of would be pickled beside it.
    net.module = type(module)
    if old is not None:
        net.history = copy.deepcopy(old.history)
        for group in net.optimizer_.param_groups:
            # Schedulers of learning rates ask for it where there is a history.
            group.setdefault("initial_lr", group["lr"])
    return net


def split_rows(
    estimator: Any, net: SequenceNet, samples: Samples, valid: Samples | None, y: Any
) -> FitData:
    """Rows to train on and rows that early stopping watches; y may tell how far labels reach."""
    check_days(estimator, net, samples, fitting=True)
    if valid is not None:
        check_days(estimator, net, valid, fitting=True, name="X_val")
        reach = label_reach(y)
        purge = resolve_purge(estimator.purge, None) if reach is None else reach
        _check_validation_days(samples, valid, purge)
        data = FitData(trainable(net, samples), trainable(net, valid))
    elif _stops_early(estimator, samples.days is not None):
        masks = chronological_holdout(
            samples.days,
            samples.labelled(),
            estimator.validation_fraction,
            resolve_purge(estimator.purge, y),
        )
        data = FitData(*(trainable(net, samples, mask) for mask in masks))
    else:
        data = FitData(trainable(net, samples), None)
    if data.valid is not None and estimator.monitor != "valid_loss" and data.valid.days is None:
        raise ValueError(
            f"monitor={estimator.monitor!r} needs the trading days of the validation rows: give "
            f"{'X' if valid is None else 'X_val'} or y an index with a level 'datetime'."
        )
    return data


def _check_validation_days(samples: Samples, valid: Samples, purge: int) -> None:
    """Warn where validation rows given by the user do not lie after those trained on."""
    if samples.days is None or valid.days is None:
        return
    days, later = samples.days[samples.labelled()], valid.days[valid.labelled()]
    last, first = days.max(), later.min()
    if first <= last:
        shared = later.unique().intersection(days.unique())
        warn_user(
            f"X_val begins at {first.date()}, but X ends at {last.date()} (both have "
            f"{len(shared)} days in common): early stopping would judge by days that are trained "
            f"on, or that lie before such days. Give X_val days after those of X."
        )
        return
    between = pd.date_range(last, first, inclusive="neither")
    # Holidays are not known, and count as trading days.
    n_between = int(between.day_of_week.isin(days.day_of_week.unique()).sum())
    if n_between < purge:
        warn_user(
            f"X_val begins at {first.date()}, and X ends at {last.date()}, with {n_between} "
            f"trading days between; labels of X reach {purge} days ahead, and so are made of "
            f"prices of X_val. Leave {purge} days out between them."
        )


def check_days(
    estimator: Any, net: SequenceNet, samples: Samples, *, fitting: bool, name: str = "X"
) -> None:
    """Look at what a module that looks across stocks needs to know of its rows."""
    if not net.cross_sectional:
        return
    if samples.days is None and (fitting or estimator._fit_knew_days):
        warn_user(
            f"{type(estimator).__name__} looks across the stocks of a day, but the days of {name} "
            f"are not known: each row is taken for a day of its own. Give {name} an index with "
            f"a level 'datetime'{', or pass days=' if name == 'X' else ''}."
        )
    if fitting and name == "X":
        estimator._fit_knew_days = samples.days is not None
    estimator.check_instruments(samples.instruments, context=net.context, fitting=fitting)


def _make_callbacks(estimator: Any) -> list:
    callbacks: list = [FiniteLoss()]
    if estimator.clip_value is not None:
        callbacks.append(ValueClipping(estimator.clip_value))
    # Clones, as of every parameter: a fit leaves what it was given as it was.
    return callbacks + clone(estimator.callbacks or [], safe=False)


def run_epochs(
    estimator: Any,
    net: SequenceNet,
    data: FitData,
    epochs: int,
    *callbacks: EpochTasks,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Run epochs; the callbacks that belong to this fit alone are gone after it."""
    own = list(callbacks)
    if data.valid is not None and _stops_early(estimator, True):
        own.insert(0, _stopping(estimator))
        if estimator.monitor != "valid_loss":
            own.insert(0, ValidScore(estimator.monitor))
    lasting = net.callbacks_
    net.callbacks_ = [*lasting, *((type(c).__name__, c.initialize()) for c in own)]
    try:
        net.notify("on_train_begin", X=data, y=None)
        with contextlib.suppress(StopTraining):
            if checkpoint is None:
                net.fit_loop(data, epochs=epochs)
            else:
                checkpoint.fit_loop(net, data, epochs)
        net.notify("on_train_end", X=data, y=None)
        if not all(bool(p.isfinite().all()) for p in net.module_.parameters()):
            raise ValueError(
                f"Training diverged: weights are not finite. Scale X and y, or lower lr "
                f"(now {estimator.lr})."
            )
    finally:
        net.callbacks_ = lasting


def _stops_early(estimator: Any, can_hold_out: bool) -> bool:
    return can_hold_out if estimator.early_stopping == "auto" else bool(estimator.early_stopping)


def _stopping(estimator: Any) -> EarlyStopping:
    return EarlyStopping(
        estimator.monitor,
        lower_is_better=MONITORS[estimator.monitor],
        patience=estimator.n_iter_no_change,
        threshold=0,
        load_best=True,
    )


def trainable(net: SequenceNet, samples: Samples, rows: np.ndarray | None = None) -> Samples:
    """Labelled rows, or the whole days that have one, where the others are context."""
    rows = samples.labelled() if rows is None else rows
    if net.cross_sectional:
        rows = samples.whole_days(rows)
    return samples if rows.all() else samples.rows(rows)
