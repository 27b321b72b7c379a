"""What a fit leaves on a regressor, and reporting it by epoch to scikit-learn's callbacks."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackContext
from sklearn.utils import Bunch

from skattn.training import EpochHooks, Samples, SequenceNet


def fitted_attributes(net: SequenceNet, samples: Samples) -> dict[str, Any]:
    """Give the attributes of a regressor that has this net, fitted on these rows."""
    epochs = [{k: v for k, v in row.items() if k != "batches"} for row in net.history]
    history = pd.DataFrame(epochs).set_index("epoch")
    return {
        "net_": net,
        "history_": history,
        "n_iter_": len(net.history),
        "fitted_on_": _extent(samples),
        "row_bits_differ_": net.row_bits_differ_,
    }


def _extent(samples: Samples) -> Bunch:
    """Count the rows that have a label, their stocks and their days."""
    rows = samples.labelled()
    stocks = None if samples.instruments is None else samples.instruments[rows]
    days = None if samples.days is None else samples.days[rows]
    return Bunch(
        n_rows=int(rows.sum()),
        n_stocks=None if stocks is None else stocks.nunique(),
        n_days=None if days is None else days.nunique(),
        first_day=None if days is None else days.min(),
        last_day=None if days is None else days.max(),
    )


def epoch_hooks(
    regressor: BaseEstimator, context: CallbackContext, X: Any, y: Any, samples: Samples
) -> EpochHooks:
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
            reconstruction_attributes=lambda: fitted_attributes(net.snapshot(), samples),
        )

    return EpochHooks(begin, end)
