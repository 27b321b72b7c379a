"""The skorch callbacks of a fit."""

from __future__ import annotations

import copy
import dis
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from skattn.metrics import ic_score, rank_ic_score
from skattn.training.batches import Batch
from skattn.training.samples import Samples

# What early stopping can watch, and whether a lower value is better.
MONITORS = {"valid_loss": True, "valid_ic": False, "valid_rank_ic": False}
_SCORES = {"valid_ic": ic_score, "valid_rank_ic": rank_ic_score}


def best_epoch(history: pd.DataFrame, monitor: str) -> int | None:
    """Find the epoch whose weights early stopping keeps: the first with the best value.

    Parameters
    ----------
    history : DataFrame
        Values by epoch, with the number of the epoch as index.
    monitor : {"valid_loss", "valid_ic", "valid_rank_ic"}
        What is watched.

    Returns
    -------
    epoch : int or None
        None where there are no validation rows.
    """
    # A list compares: a parameter that was set after the fit may be anything.
    if monitor not in [*MONITORS] or monitor not in history or history[monitor].isna().all():
        return None
    values = history[monitor] if MONITORS[monitor] else -history[monitor]
    return int(values.idxmin())


class StopTraining(Exception):  # noqa: N818 - nothing went wrong
    """A callback has ended training. skorch uses KeyboardInterrupt, as a user's Ctrl-C does."""


class ValueClipping(Callback):
    """Clip every element of the gradients to [-clip_value, clip_value], as qlib's loops do."""

    def __init__(self, clip_value: float) -> None:
        self.clip_value = clip_value

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        """Clip, between the backward pass and the optimizer's step."""
        torch.nn.utils.clip_grad_value_((p for _, p in named_parameters), self.clip_value)


class WeighByDays(Callback):
    """Let a batch count by its days in the loss of an epoch, where skorch counts its rows."""

    def on_batch_end(self, net: Any, batch: Batch, training: bool, **kwargs: Any) -> None:
        """Record the number of days in the place of the number of rows."""
        n_days = int(batch[1]["day"].max()) + 1
        net.history.record_batch(f"{'train' if training else 'valid'}_batch_size", n_days)


class FiniteLoss(Callback):
    """Raise an error where training has diverged."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Look at the epoch's loss."""
        loss = net.history[-1, "train_loss"]
        if not np.isfinite(loss):
            raise ValueError(
                f"Training diverged: the loss of epoch {len(net.history)} is {loss}. "
                f"Scale X and y, or lower lr (now {net.lr})."
            )


class ValidScore(Callback):
    """Record the mean daily information coefficient of the validation rows every epoch.

    Of several labels, it is the mean over those that have something to rank in the rows.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Forget the last epoch's predictions."""
        self.predicted_: list[np.ndarray] = []

    def on_batch_end(
        self, net: Any, batch: Batch, training: bool, y_pred: torch.Tensor, **kwargs: Any
    ) -> None:
        """Keep the predictions."""
        if not training:
            predicted, inputs = y_pred.detach().cpu(), batch[0]
            if net.contract.cross_sectional:
                predicted = predicted[inputs["present"]]
            self.predicted_.append(predicted.numpy())

    def on_epoch_end(self, net: Any, dataset_valid: Samples, **kwargs: Any) -> None:
        """Compute the score."""
        predicted, samples = np.concatenate(self.predicted_), dataset_valid
        self.predicted_ = []
        # Batches of days come in the order of the days, other batches in the order of the rows.
        if net.contract.cross_sectional or net.by_days:
            samples = samples.rows(np.concatenate(samples.rows_by_day()))
        score = _score_columns(_SCORES[self.name], samples, predicted)
        if np.isnan(score):
            raise ValueError(
                f"monitor={self.name!r} has no value: no validation day has two labelled stocks "
                f"with different predictions. Use monitor='valid_loss'."
            )
        net.history.record(self.name, float(score))


def _score_columns(score: Callable[..., float], samples: Samples, predicted: np.ndarray) -> float:
    """Score the predictions; of several labels, those that differ on some day."""
    if predicted.ndim == 1:
        return score(samples.y, predicted, days=samples.days)
    differs = ~np.isnan(samples.rankable().y).all(axis=0)
    scores = [
        score(samples.y[:, column], predicted[:, column], days=samples.days)
        for column in np.flatnonzero(differs)
    ]
    return float(np.mean(scores)) if scores else np.nan


class EpochHooks(Callback):
    """Call a function at the beginning and another at the end of each epoch.

    Parameters
    ----------
    begin : callable
        Called without arguments when an epoch begins.
    end : callable
        Called with the net when an epoch ends. Training stops where it returns True.
    """

    def __init__(self, begin: Callable[[], None], end: Callable[[Any], bool]) -> None:
        self.begin = begin
        self.end = end
        self.is_open_ = False

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Call ``begin``."""
        self.is_open_ = True
        self.begin()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Call ``end``, and stop training where it asks to."""
        if self._close(net):
            raise StopTraining

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Call ``end`` for an epoch that another callback has cut short."""
        self._close(net)

    def _close(self, net: Any) -> bool:
        was_open, self.is_open_ = self.is_open_, False
        return was_open and bool(self.end(net))


def is_of_optuna(value: Any) -> bool:
    """Tell a trial or study of Optuna: where callbacks report to, which changes no bit of a fit.

    Parameters
    ----------
    value : object
        Attribute of a callback.

    Returns
    -------
    is_of_optuna : bool
    """
    return any(kind.__module__.partition(".")[0] == "optuna" for kind in type(value).__mro__)


def copy_callback(callback: Any) -> Any:
    """Copy a callback as scikit-learn's clone does, but share the trial that it reports to.

    Reports to a copy of a trial would be lost, and a trial's callback need not have a constructor
    that clone can call.

    Parameters
    ----------
    callback : Callback, class, or tuple of a name and one of these
        Element of the parameter ``callbacks``.

    Returns
    -------
    copied : object
        Without what the callback learnt in a fit.
    """
    if isinstance(callback, tuple):
        return tuple(map(copy_callback, callback))
    known = vars(callback) if isinstance(callback, Callback) else {}
    shared = {id(value): value for value in known.values() if is_of_optuna(value)}
    if not shared:
        return clone(callback, safe=False)
    bare = copy.copy(callback)
    for name in known:
        if name.endswith("_"):
            delattr(bare, name)
    return copy.deepcopy(bare, shared)


def ends_training(error: KeyboardInterrupt) -> bool:
    """Tell a callback that ends training, in skorch's way, from a user's Ctrl-C.

    A callback ends training by ``raise KeyboardInterrupt`` in a method of its own. An interrupt
    comes from the handler of the signal, wherever the program is.

    Parameters
    ----------
    error : KeyboardInterrupt
        What came out of the callback.

    Returns
    -------
    ends : bool
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    frame = trace.tb_frame
    at = trace.tb_lasti
    # A slice: frames of compiled code may have no instructions.
    is_raised = frame.f_code.co_code[at : at + 1] == bytes([dis.opmap["RAISE_VARARGS"]])
    return is_raised and isinstance(frame.f_locals.get("self"), Callback)
