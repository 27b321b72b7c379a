"""The training parameters that every regressor shares: default, allowed values, description."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from skorch.callbacks import Callback, LRScheduler

from skattn.labels import PURGE_BOUNDS
from skattn.parameters import DeclaredParameters, parameter, parameters_of, shown
from skattn.training.callbacks import MONITORS
from skattn.training.losses import DAY_LOSSES, LOSSES
from skattn.training.net import OPTIMIZERS, PRECISIONS
from skattn.training.schedules import check_schedule


def _check_loss(loss: Any) -> None:
    if isinstance(loss, type):
        raise ValueError(
            f"loss must be one of {[*LOSSES, *DAY_LOSSES]} or a callable of predictions and "
            f"labels; got "
            f"the class {loss.__name__}: pass an instance, {loss.__name__}()."
        )


def _check_optimizer(optimizer: Any) -> None:
    if not isinstance(optimizer, type):
        return
    is_usable = issubclass(optimizer, torch.optim.Optimizer) and not issubclass(
        optimizer, (torch.optim.LBFGS, torch.optim.SparseAdam)
    )
    if not is_usable or optimizer is torch.optim.Optimizer:
        raise ValueError(
            f"optimizer must be one of {sorted(OPTIMIZERS)} or a class of torch optimizers other "
            f"than LBFGS and SparseAdam; got {optimizer.__name__}."
        )


def _check_callbacks(callbacks: Any) -> None:
    for callback in callbacks or ():
        found = callback[1] if isinstance(callback, tuple) and len(callback) == 2 else callback
        is_class = isinstance(found, type) and issubclass(found, Callback)
        if not (is_class or isinstance(found, Callback)):
            raise TypeError(
                f"callbacks must be skorch callbacks; got {shown(callback)}. (scikit-learn's are "
                f"set with set_callbacks.)"
            )
        if isinstance(found, LRScheduler):
            check_schedule(found)


class TrainingParameters(DeclaredParameters):
    """What training is told: every parameter that does not belong to one architecture."""

    loss: str | Callable[..., torch.Tensor] = parameter(
        "mse",
        one_of=(*LOSSES, *DAY_LOSSES),
        instance_of=Callable,  # type: ignore[arg-type]
        words="a callable",
        check=_check_loss,
        doc="""
            Function that training minimises over the labelled rows of a batch. "ic", "ccc" and
            "listnet" compare the stocks of a day (see :mod:`skattn.losses`) and need
            ``batch="days"``; days with nothing to rank are left out. A callable takes the
            predictions and the labels, tensors of shape (B,), and returns a scalar tensor. Where it
            has a parameter ``day``, it also gets the number of each row's day in the batch; where
            it has a parameter ``weight``, the rows' weights, or None:
            ``loss(predicted, label, *, day, weight)``. Of several labels a row, each column has a
            loss of its own, over the rows that have the label; the loss is their mean, in which a
            column counts by the number of these rows.""",
    )
    optimizer: str | type[torch.optim.Optimizer] = parameter(
        "adam",
        one_of=tuple(OPTIMIZERS),
        instance_of=type,
        words="a class of torch optimizers",
        check=_check_optimizer,
        doc="Optimizer that updates the weights.",
    )
    lr: float = parameter(
        1e-3,
        above=0,
        doc="Learning rate. For a schedule, give ``callbacks`` skorch's LRScheduler.",
    )
    weight_decay: float = parameter(0.0, at_least=0, doc="The optimizer's weight decay.")
    batch_size: int = parameter(
        800,
        at_least=1,
        doc="""
            Rows a training step, for ``batch="rows"``. The last batch of an epoch may be smaller;
            it is not dropped.""",
    )
    batch: str = parameter(
        "rows",
        one_of=("rows", "days"),
        doc="""
            What a training step takes: shuffled rows, or whole days in shuffled order, which losses
            that compare the stocks of a day need.""",
    )
    days_per_batch: int | None = parameter(
        None,
        at_least=1,
        doc='Days a training step, for ``batch="days"``. None: one day.',
    )
    max_epochs: int = parameter(
        200, at_least=1, doc="Largest number of passes over the training rows."
    )
    clip_value: float | None = parameter(
        3.0,
        above=0,
        doc="""
            Every element of the gradients is clipped to [-clip_value, clip_value]. None: elements
            are not clipped.""",
    )
    clip_norm: float | None = parameter(
        None,
        above=0,
        doc="""
            The Euclidean norm of all gradients together is at most clip_norm: above it, they are
            scaled down by one factor. None: the norm is not clipped. Elements are clipped first;
            clip_value=None leaves the direction of the gradient as it is.""",
    )
    early_stopping: bool | str = parameter(
        "auto",
        one_of=("auto",),
        doc="""
            Whether to hold out the last whole days (or take X_val and y_val), to stop when
            ``monitor`` has not improved on them for ``n_iter_no_change`` epochs, and to restore the
            weights of the best epoch. "auto" does so where the trading days are known or X_val is
            given. With True and unknown days, rows are taken to be in time order, each row a day
            of its own.""",
    )
    validation_fraction: float = parameter(
        0.1, above=0, below=1, doc="Share of the labelled days to hold out, rounded up."
    )
    purge: int | str | pd.Series = parameter(
        "auto",
        **PURGE_BOUNDS,
        doc="""
            Days dropped before the held-out days, because the labels of these days reach into the
            held-out days. "auto" takes what y tells in ``attrs["reach"]``, as
            ``skattn.make_label`` writes it, of several labels the furthest, else 2, with a warning.
            A Series with the index of the
            rows tells the last day that each label looks at, such as the day on which a barrier was
            touched. X_val is taken as it is: leave as many days out before X_val.""",
    )
    n_iter_no_change: int = parameter(
        20, at_least=1, doc="Epochs that early stopping waits for an improvement."
    )
    monitor: str = parameter(
        "valid_loss",
        one_of=tuple(MONITORS),
        doc="""
            What early stopping watches: the loss, or the mean daily (rank) information coefficient
            of the held-out days; of several labels a row, its mean over those that have something
            to rank there.""",
    )
    pretrained: Any = parameter(
        None,
        words="a path, a state dict or a fitted regressor",
        doc="""
            Weights to start from. Weights that match by name and shape are loaded; a file of torch
            or safetensors is read as tensors and cannot run code. Searches clone parameters, which
            unfits a regressor: pass them its state dict or a
            ``sklearn.frozen.FrozenEstimator``.""",
    )
    freeze: Sequence[str] = parameter(
        (),
        instance_of=(tuple, list),
        words="a tuple or list of str",
        doc='Parts of the module whose weights are not trained, such as ("rnn",).',
    )
    checkpoint: str | os.PathLike | None = parameter(
        None,
        instance_of=os.PathLike,
        words="a path",
        doc="""
            Directory where ``fit`` stores the end of every epoch. A fit that was killed and is run
            again goes on from its last stored epoch, to the bits that it would have had. The last
            two epochs are kept, each with a digest: a damaged one is skipped with a warning. A fit
            that had ended is loaded; it goes on where ``max_epochs`` is raised and nothing had
            stopped it. Many fits may share the directory: each has a folder that is named by its
            parameters and data. Functions and classes count by name there, so changed code needs
            another directory. With random_state=None the stored seed is used again. Of the
            callbacks, skorch's LRScheduler and EarlyStopping go on too; other callbacks begin
            anew. Trials of Optuna do not tell fits apart: a trial with the parameters of an earlier
            one goes on from its epochs. ``partial_fit`` stores nothing.""",
    )
    warm_start: bool = parameter(
        False,
        doc="""
            Whether ``fit`` goes on from the weights of the last fit, with a new optimizer.
            ``pretrained`` counts for the first fit only.""",
    )
    random_state: int | np.random.RandomState | None = parameter(
        None,
        at_least=0,
        at_most=2**32 - 1,
        instance_of=np.random.RandomState,
        words="a RandomState",
        doc="""
            Seed of weights, batches and dropout. None: each fit gets another seed. The global
            generators of numpy and torch are left as they were found.""",
    )
    device: str = parameter(
        "auto", doc='Any torch device, or "auto": "cuda" where there is a GPU, else "cpu".'
    )
    data_parallel: bool = parameter(
        False,
        doc="""
            Whether the processes of torch.distributed share each batch of the fit. Each process
            calls ``fit`` with the same rows and parameters, on a device of its own, and ends with
            the weights that one process would have found, up to rounding and dropout masks.""",
    )
    precision: str = parameter(
        "float32",
        one_of=PRECISIONS,
        doc="""
            "bf16" runs the forward pass in bfloat16 where that is safe (torch autocast). "float64"
            computes all in double precision, several times slower, and predicts in it.""",
    )
    compile: bool = parameter(
        False,
        doc="""
            Whether ``torch.compile`` compiles the module for training. Predictions are made by the
            module as it is, so that they do not depend on how it was compiled.""",
    )
    callbacks: list | None = parameter(
        None,
        instance_of=list,
        words="a list of skorch callbacks",
        check=_check_callbacks,
        doc="""
            skorch callbacks that are called during training: objects, which ``fit`` uses as they
            are, or classes, which ``fit`` makes objects of. Searches copy them. They read the
            epoch in ``net.history[-1]``: "train_loss", and where there are validation rows
            "valid_loss" and the ``monitor``. skorch's LRScheduler begins with each ``fit``, with
            warm_start too; ``partial_fit`` goes on with its schedule. Optuna prunes by
            ``optuna_integration.SkorchPruningCallback(trial, "valid_loss")``; copies of the
            callback report to the trial itself. (scikit-learn's callbacks are set with
            ``set_callbacks``.)""",
    )
    verbose: int | bool = parameter(0, at_least=0, doc="Above 0, a line is printed for each epoch.")


def select_training_parameters(settings: Mapping[str, Any]) -> TrainingParameters:
    """Choose the training parameters among the checked parameters of a model.

    Parameters
    ----------
    settings : dict of str to object
        All parameters of the model by name.

    Returns
    -------
    parameters : TrainingParameters
    """
    return TrainingParameters(
        **{name: settings[name] for name in parameters_of(TrainingParameters)}
    )
