"""What a fit leaves on a regressor, and reporting it by epoch to scikit-learn's callbacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackContext
from sklearn.utils import Bunch

from skattn.training import EpochHooks, Samples, SequenceNet

# Attributes of a fit that the next one begins without.
FITTED = (
    "net_",
    "history_",
    "n_iter_",
    "n_outputs_",
    "output_names_",
    "fitted_on_",
    "pretrained_report_",
    "row_bits_differ_",
)


def fitted_attributes(net: SequenceNet, samples: Samples) -> dict[str, Any]:
    """Give the attributes of a regressor that has this net, fitted on these rows."""
    epochs = [{k: v for k, v in row.items() if k != "batches"} for row in net.history]
    history = pd.DataFrame(epochs).set_index("epoch")
    names = {} if net.output_names is None else {"output_names_": _as_array(net.output_names)}
    return {
        "net_": net,
        "history_": history,
        "n_iter_": len(net.history),
        "fitted_on_": _extent(samples),
        "row_bits_differ_": net.row_bits_differ_,
        "n_outputs_": net.n_outputs,
        **names,
    }


def _as_array(names: tuple) -> np.ndarray:
    """Give names as an array of objects, where each may be a tuple."""
    array = np.empty(len(names), dtype=object)
    array[:] = names
    return array


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
