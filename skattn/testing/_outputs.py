"""Several labels a row: outputs of their own where a model offers them, else a clear refusal."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skattn.base import SequenceRegressor
from skattn.testing._data import Panel, fitted, make_panel, small

CURE = (
    "build_module(self, n_steps, n_features, n_outputs=1) passes n_outputs to the module, whose "
    "last layer has n_outputs columns, and forward ends with squeeze(-1), which takes a single "
    "column away and leaves several"
)


def check_several_labels(estimator: SequenceRegressor) -> None:
    """Fit on two labels a row, of which one is missing in some rows."""
    panel = make_panel()
    y = pd.DataFrame({"near": panel.y, "far": -panel.y})
    y.iloc[::5, 1] = np.nan
    y.iloc[::7, 0] = np.nan
    name = type(estimator).__name__
    # As the tags say it, which read the signature of build_module.
    if not estimator.__sklearn_tags__().target_tags.multi_output:
        try:
            small(estimator).fit(panel.X, y)
        except ValueError:
            return
        raise AssertionError(
            f"{name} has one output and is fitted on two labels a row without a word. Leave fit to "
            f"SequenceRegressor; a model of several outputs says so: {CURE}."
        )
    try:
        model, _ = fitted(estimator, Panel(panel.X, y))  # type: ignore[arg-type]
    except Exception as error:
        raise AssertionError(
            f"{name}.build_module takes n_outputs, but the model cannot be trained on two labels "
            f"a row: {type(error).__name__}: {error} ({CURE})."
        ) from error
    predicted = model.predict(panel.X)
    if predicted.shape != y.shape or not np.isfinite(predicted).all():
        raise AssertionError(
            f"predict of {name}, fitted on two labels a row, must give finite numbers of shape "
            f"{y.shape}; it gives shape {predicted.shape}, {np.isnan(predicted).sum()} NaN: {CURE}."
        )
    if np.array_equal(predicted[:, 0], predicted[:, 1]):
        raise AssertionError(
            f"{name} predicts the same for two labels that are opposites: {CURE}. Repeating one "
            f"output by expand or repeat makes no second one."
        )
    part = panel.days < panel.days.unique()[5]
    if not np.array_equal(model.predict(panel.X[part]), predicted[part]):
        raise AssertionError(
            f"predict of {name}, fitted on two labels a row, gives other bits for the first days "
            f"than for all days together: nothing of forward may depend on the place of a row."
        )


OUTPUTS = (check_several_labels,)
