"""What a fit leaves on a regressor, and reporting it by epoch to scikit-learn's callbacks."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackContext

from skattn.training import EpochHooks, SequenceNet


def fitted_attributes(net: SequenceNet) -> dict[str, Any]:
    """Give the attributes of a regressor that has this net."""
    epochs = [{k: v for k, v in row.items() if k != "batches"} for row in net.history]
    history = pd.DataFrame(epochs).set_index("epoch")
    return {
        "net_": net,
        "history_": history,
        "n_iter_": len(net.history),
        "row_bits_differ_": net.row_bits_differ_,
    }


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
            reconstruction_attributes=lambda: fitted_attributes(net.snapshot()),
        )

    return EpochHooks(begin, end)
