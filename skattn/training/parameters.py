"""What the shared training parameters may be."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import Callback

from skattn.training.callbacks import MONITORS
from skattn.training.losses import LOSSES
from skattn.training.net import OPTIMIZERS, PRECISIONS

TRAINING_CONSTRAINTS: dict[str, list] = {
    "loss": [StrOptions(set(LOSSES)), callable],
    "optimizer": [StrOptions(set(OPTIMIZERS)), type],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "clip_value": [Interval(Real, 0, None, closed="neither"), None],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "purge": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "monitor": [StrOptions(set(MONITORS))],
    "freeze": [tuple, list],
    "checkpoint": [str, os.PathLike, None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "device": [str],
    "precision": [StrOptions(set(PRECISIONS))],
    "compile": ["boolean"],
    "callbacks": [list, None],
    "verbose": ["verbose"],
}


def check_training_parameters(estimator: Any) -> None:
    """Check what constraints on single values cannot say.

    Raises
    ------
    ValueError, TypeError
        The optimizer is no class of torch optimizers, the loss a class, or a callback not skorch's.
    """
    optimizer, loss = estimator.optimizer, estimator.loss
    if isinstance(optimizer, type) and (
        not issubclass(optimizer, torch.optim.Optimizer) or issubclass(optimizer, torch.optim.LBFGS)
    ):
        raise ValueError(
            f"optimizer must be one of {sorted(OPTIMIZERS)} or a class of torch optimizers other "
            f"than LBFGS; got {optimizer.__name__}."
        )
    if isinstance(loss, type):
        raise ValueError(
            f"loss must be one of {sorted(LOSSES)} or a callable of predictions and labels; got "
            f"the class {loss.__name__}: pass an instance, {loss.__name__}()."
        )
    for callback in estimator.callbacks or ():
        found = callback[1] if isinstance(callback, tuple) and len(callback) == 2 else callback
        is_class = isinstance(found, type) and issubclass(found, Callback)
        if not (is_class or isinstance(found, Callback)):
            raise TypeError(
                f"callbacks must be skorch callbacks; got {callback!r}. (scikit-learn's are set "
                f"with set_callbacks.)"
            )
