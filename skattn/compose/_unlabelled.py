"""Drop unlabelled rows for regressors that cannot take NaN labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from skattn.compose._routing import is_named
from skattn.preprocessing import PanelTransformer
from skattn.utils import rows_of_params, warn_user


def drop_unlabelled(
    regressor: Any, X: Any, label: Any, params: dict[str, Any]
) -> tuple[Any, Any, dict[str, Any]]:
    """Keep the labelled rows of X, of the label and of parameters with one value per row.

    Parameters
    ----------
    regressor : estimator
        Estimator to train. A warning names the steps of a Pipeline that need the dropped rows.
    X : array-like of n_samples rows
        Training input.
    label : array-like of shape (n_samples,)
        Labels; NaN for unlabelled rows.
    params : dict
        Further parameters of ``fit``.

    Returns
    -------
    X, label, params
    """
    if not np.isnan(label).any():
        return X, label, params
    _warn_of_hidden_rows(regressor)
    rows = np.flatnonzero(~np.isnan(label))
    params = rows_of_params(X, params, rows)
    return _safe_indexing(X, rows), _safe_indexing(label, rows), params


def without_weightless(y: Any, params: dict[str, Any]) -> Any:
    """Take the labels of rows of weight 0 away, so that other rows are not scaled by them.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.
    params : dict
        Further parameters of ``fit``, ``sample_weight`` among them or not.

    Returns
    -------
    y : array-like of shape (n_samples,)
        A Series stays a Series, with its attrs.
    """
    for name, weight in params.items():
        if weight is None or not is_named(name, "sample_weight"):
            continue
        without = np.asarray(weight) == 0
        # What has another shape, the regressor refuses.
        if without.shape == np.shape(y) and without.any():
            is_series = isinstance(y, pd.Series)
            y = y.where(~without) if is_series else np.where(without, np.nan, y)
    return y


def _warn_of_hidden_rows(regressor: Any) -> None:
    """Warn if steps that may look at other rows will not see the unlabelled rows."""
    steps = [step for _, step in regressor.steps[:-1]] if isinstance(regressor, Pipeline) else []
    looking = [type(step).__name__ for step in steps if isinstance(step, PanelTransformer)]
    if looking:
        last = type(regressor[-1]).__name__
        warn_user(
            f"{last} cannot take NaN labels, so the earlier steps {', '.join(looking)} will not "
            f"see the unlabelled rows either. Put CrossSectionalTarget at the end of the pipeline: "
            f"make_pipeline({looking[0]}(...), ..., CrossSectionalTarget({last}(...)))."
        )
