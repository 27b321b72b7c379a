"""Schedules of the learning rate, which are callbacks of skorch's: where they begin and go on."""

from __future__ import annotations

import traceback
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import LRScheduler, lr_scheduler
from skorch.history import History

from skattn.parameters import shown
from skattn.training.samples import FitData


def check_schedule(scheduler: LRScheduler) -> None:
    """Raise where a schedule has an unknown policy, or would never take a step.

    Parameters
    ----------
    scheduler : LRScheduler
        As the user made it.

    Raises
    ------
    ValueError
    """
    policy, every = scheduler.policy, scheduler.step_every
    known = getattr(lr_scheduler, policy, None) if isinstance(policy, str) else policy
    if not callable(known):
        raise ValueError(
            f"callbacks: LRScheduler has no policy {shown(policy)}. Pass a class of "
            f"torch.optim.lr_scheduler, such as LRScheduler(OneCycleLR, ...)."
        )
    if every not in ("epoch", "batch"):
        raise ValueError(
            f"callbacks: step_every of LRScheduler must be 'epoch' or 'batch'; got {shown(every)}."
        )


def begin_training(net: NeuralNet, data: FitData) -> None:
    """Tell the callbacks that training begins.

    A schedule begins with its optimizer, and goes on where the optimizer does. skorch would begin
    it at the number of the epoch, which fits neither: a new optimizer has its full learning rate,
    one that goes on would take a step twice, and schedules by batch count no epochs.

    Parameters
    ----------
    net : SequenceNet
        With its callbacks, the schedules among them.
    data : FitData
        What the net is trained on.
    """
    everyone, history = net.callbacks_, net.history
    groups = [
        {name: value for name, value in group.items() if name != "params"}
        for group in net.optimizer_.param_groups
    ]
    try:
        net.callbacks_ = [each for each in everyone if not isinstance(each[1], LRScheduler)]
        net.notify("on_train_begin", X=data, y=None)
        net.callbacks_ = [each for each in everyone if isinstance(each[1], LRScheduler)]
        net.history = History()
        net.notify("on_train_begin", X=data, y=None)
    finally:
        net.callbacks_, net.history = everyone, history
    if net.schedules_:
        for scheduler, known in zip(_schedulers(net), net.schedules_, strict=True):
            scheduler.lr_scheduler_.load_state_dict(known)
        # A schedule takes a step when it begins.
        for group, values in zip(net.optimizer_.param_groups, groups, strict=True):
            group.update(values)


def keep_schedules(net: NeuralNet) -> None:
    """Keep where the schedules are, for training that goes on with the optimizer.

    The callbacks know it too, but another net may use them by then.

    Parameters
    ----------
    net : SequenceNet
        Trained.
    """
    net.schedules_ = tuple(each.lr_scheduler_.state_dict() for each in _schedulers(net))


def _schedulers(net: NeuralNet) -> list[LRScheduler]:
    return [callback for _, callback in net.callbacks_ if isinstance(callback, LRScheduler)]


def explained(error: Exception, history: History) -> ValueError | None:
    """Say what a user did wrong where a schedule fails, or where the history lacks what is asked.

    Parameters
    ----------
    error : Exception
        What came out of the callbacks.
    history : History
        What the callbacks read.

    Returns
    -------
    clear : ValueError or None
        None: the error is another one.
    """
    for lack in (error, error.__cause__):
        text = str(lack.args[0]) if isinstance(lack, KeyError) and lack.args else ""
        if text.endswith(" was not found in history."):
            known = sorted(set(history[-1]) - {"batches"}) if history else []
            return ValueError(
                f"callbacks: {text.removesuffix('.')}, which has {known}. Losses and scores of "
                f"validation rows are there where early stopping holds rows out or X_val is given, "
                f"a score where it is the monitor too; partial_fit has none."
            )
    if not isinstance(error, (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)):
        return None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        failed: Any = frame.f_locals.get("self")
        if isinstance(failed, LRScheduler):
            policy = getattr(failed.policy, "__name__", failed.policy)
            return ValueError(
                f"callbacks: LRScheduler({policy}) failed after {len(history)} epochs "
                f"({type(error).__name__}: {error})."
            )
    return None
