"""What a fit does, step by step: a net, the rows, the epochs."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import numpy as np
import pandas as pd
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from torch import nn

from skattn.labels import label_ends, labelled_part, resolve_purge
from skattn.training.apart import refuse_mixed_rows, row_bits_differ
from skattn.training.callbacks import (
    MONITORS,
    EpochHooks,
    FiniteLoss,
    StopTraining,
    ValidScore,
    ValueClipping,
    WeighByDays,
)
from skattn.training.checkpoint import Checkpoint
from skattn.training.digest import digest_of_weights
from skattn.training.holdout import chronological_holdout
from skattn.training.losses import MaskedLoss
from skattn.training.module import read_contract
from skattn.training.net import OPTIMIZERS, SequenceNet
from skattn.training.parameters import TrainingParameters
from skattn.training.samples import FitData, Samples
from skattn.training.schedules import begin_training, keep_schedules
from skattn.training.side_inputs import SideInputs
from skattn.training.weights import freeze_parameters
from skattn.utils import warn_user


def make_net(
    parameters: TrainingParameters,
    module: nn.Module,
    side_inputs: SideInputs,
    *,
    device: str,
    seed: int,
    n_outputs: int = 1,
    output_names: tuple | None = None,
    old: SequenceNet | None = None,
) -> SequenceNet:
    """Make and initialize the net that trains a module.

    Parameters
    ----------
    parameters : TrainingParameters
        Checked.
    module : torch.nn.Module
        With the weights that training starts from.
    side_inputs : SideInputs
        What the module gets beside the windows.
    device : str
        Device of torch.
    seed : int
        Of the order of the batches.
    n_outputs : int, default=1
        Values that the module gives a row.
    output_names : tuple, default=None
        Names of the labels.
    old : SequenceNet, default=None
        Net of an earlier fit whose weights and history the new net goes on from.

    Returns
    -------
    net : SequenceNet

    Raises
    ------
    TypeError, ValueError
        The module breaks its contract, or does not fit the weights of the earlier fit; ``freeze``
        names no part of it.
    """
    contract = read_contract(module, side_inputs.names)
    if old is not None:
        try:
            module.load_state_dict(old.module_.state_dict())
        except RuntimeError as error:
            raise ValueError(
                "warm_start=True goes on from the weights of the last fit, but the parameters "
                "of the architecture have changed since. Set them back, or warm_start=False."
            ) from error
    loss = _make_loss(parameters, n_outputs)
    freeze_parameters(module, parameters.freeze)
    optimizer, decay = parameters.optimizer, parameters.weight_decay
    net = SequenceNet(
        module,
        loss,
        optimizer=OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer,
        **({"optimizer__weight_decay": decay} if decay else {}),
        lr=parameters.lr,
        batch_size=parameters.batch_size,
        max_epochs=parameters.max_epochs,
        callbacks=_make_callbacks(parameters, loss),
        device=device,
        precision=parameters.precision,
        compile=parameters.compile,
        verbose=parameters.verbose,
        seed=seed,
        contract=contract,
        by_days=parameters.batch == "days",
        days_per_batch=parameters.days_per_batch or 1,
        side_inputs=side_inputs,
        n_outputs=n_outputs,
        output_names=output_names,
    )
    net.initialize()
    # The net has the module now. The instance that it was made of would be pickled beside it.
    net.module = type(module)
    if old is not None:
        net.history = copy.deepcopy(old.history)
    return net


def _make_loss(parameters: TrainingParameters, n_outputs: int) -> MaskedLoss:
    """Make the loss, and check that batches are what it needs."""
    loss = MaskedLoss(parameters.loss, n_outputs)
    if parameters.batch == "rows":
        if loss.needs_days:
            raise ValueError(
                f"loss={loss.name} compares the stocks of a day and needs batches of whole days: "
                f"set batch='days' (and days_per_batch); got batch='rows'."
            )
        if parameters.days_per_batch is not None:
            raise ValueError(
                f"days_per_batch counts days, and batch='rows' takes rows, batch_size at a time: "
                f"set batch='days', or leave days_per_batch=None; got "
                f"{parameters.days_per_batch}."
            )
    return loss


def hold_out(
    parameters: TrainingParameters,
    net: SequenceNet,
    samples: Samples,
    valid: Samples | None,
    y: Any,
    *,
    index: pd.Index | None = None,
) -> FitData:
    """Decide which rows are trained on, and which rows early stopping watches.

    Parameters
    ----------
    parameters : TrainingParameters
        Checked.
    net : SequenceNet
        The net that is trained.
    samples : Samples
        The rows of X.
    valid : Samples or None
        The rows of X_val, where they were given.
    y : object
        The labels as they were given; ``attrs`` may tell how far they reach.
    index : Index, default=None
        Index of the rows of X, by which a Series of last days is read.

    Returns
    -------
    data : FitData

    Raises
    ------
    ValueError
        There are too few days to hold any out, ``monitor`` needs days that are unknown, or one of
        several labels is known of no row to train on.
    """
    if valid is not None:
        _check_validation_days(samples, valid, parameters.purge, y, index)
        data = FitData(trainable(samples, net), trainable(valid, net))
    elif stops_early(parameters, samples.days is not None):
        masks = chronological_holdout(
            samples.days,
            samples.labelled(),
            parameters.validation_fraction,
            resolve_purge(parameters.purge, y),
            index,
        )
        data = FitData(*(trainable(samples, net, mask) for mask in masks))
    else:
        data = FitData(trainable(samples, net), None)
    if data.valid is not None and parameters.monitor != "valid_loss" and data.valid.days is None:
        raise ValueError(
            f"monitor={parameters.monitor!r} needs the trading days of the validation rows: give "
            f"{'X' if valid is None else 'X_val'} or y an index with a level 'datetime'."
        )
    if data.train.y.ndim == 2:
        empty = np.flatnonzero(np.isnan(data.train.y).all(axis=0))
        if len(empty):
            names = net.output_names or range(net.n_outputs)
            raise ValueError(
                f"y has no label to train on in column {names[empty[0]]!r}: it is NaN in all rows "
                f"that are left for training. Leave the column out, or give more days."
            )
    return data


def _check_validation_days(
    samples: Samples, valid: Samples, purge: int | str | pd.Series, y: Any, index: pd.Index | None
) -> None:
    """Warn where validation rows that the user gave do not lie after the training rows."""
    if samples.days is None or valid.days is None:
        return
    labelled = samples.labelled()
    days, later = samples.days[labelled], valid.days[valid.labelled()]
    last, first = days.max(), later.min()
    if first <= last:
        shared = later.unique().intersection(days.unique())
        warn_user(
            f"X_val begins at {first.date()}, but X ends at {last.date()} (both have "
            f"{len(shared)} days in common): early stopping would judge by days that are trained "
            f"on, or that lie before such days. Give X_val days after those of X."
        )
        return
    reach = resolve_purge(purge, y, "assumes 2 days between X and X_val")
    if isinstance(reach, pd.Series):
        calendar = days.unique().sort_values().append(pd.DatetimeIndex([first]))
        reach, rows = labelled_part(reach, index, labelled)
        known = np.ones(len(days), dtype=bool)
        ends = label_ends(reach, calendar, calendar.get_indexer(days), rows, known)
        if ends[:-1].max() > len(calendar) - 2:
            warn_user(
                f"X_val begins at {first.date()}, and purge tells of labels of X that look at that "
                f"day or later ones. Leave out the rows of X whose labels do."
            )
        return
    # Holidays are not known, and count as trading days.
    between = pd.date_range(last, first, inclusive="neither")
    n_between = int(between.day_of_week.isin(days.day_of_week.unique()).sum())
    if n_between < reach:
        warn_user(
            f"X_val begins at {first.date()}, and X ends at {last.date()}, with {n_between} "
            f"trading days between; labels of X reach {reach} days ahead, and so are made of "
            f"prices of X_val. Leave {reach} days out between them."
        )


def _make_callbacks(parameters: TrainingParameters, loss: MaskedLoss) -> list:
    callbacks: list = [FiniteLoss()]
    if loss.needs_days:
        callbacks.append(WeighByDays())
    if parameters.clip_value is not None:
        callbacks.append(ValueClipping(parameters.clip_value))
    if parameters.clip_norm is not None:
        callbacks.append(GradientNormClipping(parameters.clip_norm))
    return [*callbacks, *(parameters.callbacks or [])]


def run_epochs(
    parameters: TrainingParameters,
    net: SequenceNet,
    data: FitData,
    epochs: int,
    *,
    hooks: EpochHooks | None = None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Train a net for some epochs.

    Parameters
    ----------
    parameters : TrainingParameters
        Checked.
    net : SequenceNet
        Initialized. Its weights and history change.
    data : FitData
        The rows.
    epochs : int
        Largest number of epochs.
    hooks : EpochHooks, default=None
        Called at the beginning and end of each epoch of this fit alone.
    checkpoint : Checkpoint, default=None
        Stores the end of each epoch.

    Raises
    ------
    ValueError
        Training diverges, or the module lets rows see each other without declaring it.
    RuntimeError
        Another process that shares the fit has failed.
    """
    ranks = net.ranks
    if not net.history:
        refuse_mixed_rows(net, data.train)
    scores: list[Callback] = []
    own: list[Callback] = [] if hooks is None else [hooks]
    if data.valid is not None and stops_early(parameters, True):
        own.insert(0, _make_stopping(parameters))
        if parameters.monitor != "valid_loss":
            scores = [ValidScore(parameters.monitor)]
    lasting = net.callbacks_
    # The user's callbacks and the printed line read the score.
    first = 1 + next(i for i, (_, c) in enumerate(lasting) if isinstance(c, FiniteLoss))
    net.callbacks_ = [*lasting[:first], *_named(scores), *lasting[first:], *_named(own)]
    if ranks is not None and ranks.rank > 0:
        net.verbose = 0  # the first process prints for all
    try:
        begin_training(net, data)
        with contextlib.suppress(StopTraining):
            if checkpoint is None:
                net.fit_loop(data, epochs=epochs)
            else:
                checkpoint.fit_loop(net, data, epochs)
        net.notify("on_train_end", X=data, y=None)
        if ranks is not None:
            ranks.end(digest_of_weights(net))
            net.ranks = None
        if not all(bool(p.isfinite().all()) for p in net.module_.parameters()):
            raise ValueError(
                f"Training diverged: weights are not finite. Scale X and y, or lower lr "
                f"(now {parameters.lr})."
            )
        if net.row_bits_differ_ is None:
            net.row_bits_differ_ = row_bits_differ(net, data.train)
        keep_schedules(net)
    finally:
        net.callbacks_, net.ranks = lasting, None


def _named(callbacks: list[Callback]) -> list[tuple[str, Callback]]:
    return [(type(callback).__name__, callback.initialize()) for callback in callbacks]


def stops_early(parameters: TrainingParameters, can_hold_out: bool) -> bool:
    """Whether early stopping is on, given whether rows can be held out by day."""
    if parameters.early_stopping == "auto":
        return can_hold_out
    return bool(parameters.early_stopping)


def _make_stopping(parameters: TrainingParameters) -> EarlyStopping:
    return EarlyStopping(
        parameters.monitor,
        lower_is_better=MONITORS[parameters.monitor],
        patience=parameters.n_iter_no_change,
        threshold=0,
        load_best=True,
    )


def trainable(samples: Samples, net: SequenceNet, rows: np.ndarray | None = None) -> Samples:
    """Take the labelled rows; where the module looks across stocks, all rows of their days.

    Where the loss compares the stocks of a day, days on which all labels are equal are left out.

    Parameters
    ----------
    samples : Samples
        The rows.
    net : SequenceNet
        The net that they are for.
    rows : ndarray of bool, shape (N,), default=None
        Labelled rows to choose from. None: all.

    Returns
    -------
    samples : Samples
        With weights that are 1 on average.

    Raises
    ------
    ValueError
        No day has two labelled stocks with different labels, and the loss needs that.
    """
    rows = samples.labelled() if rows is None else rows
    if net.criterion_.needs_days:
        samples = samples.rankable()
        rows = rows & samples.labelled()
        if not rows.any():
            raise ValueError(
                f"loss={net.criterion_.name} compares the stocks of a day, and no day to train on, "
                f"or to hold out, has two labelled stocks with different labels."
            )
    if net.contract.cross_sectional:
        rows = samples.whole_days(rows)
    return (samples if rows.all() else samples.rows(rows)).with_mean_weight_one()
