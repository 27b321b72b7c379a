"""Reporting epochs to scikit-learn's callbacks."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.callback import CallbackContext

from skattn.training import EpochHooks, SequenceNet


def epoch_hooks(regressor: BaseEstimator, context: CallbackContext, X: Any, y: Any) -> EpochHooks:
    """Report each epoch to scikit-learn's callbacks, and stop where one asks to."""
    tasks: list[CallbackContext] = []

    def begin() -> None:
        tasks.append(context.subcontext(task_name="epoch"))
        tasks[-1].call_on_fit_task_begin(estimator=regressor, X=X, y=y)

    def end(net: SequenceNet) -> bool:
        return tasks.pop().call_on_fit_task_end(
            estimator=regressor,
            X=X,
            y=y,
            reconstruction_attributes=lambda: {"net_": net.snapshot()},
        )

    return EpochHooks(begin, end)
