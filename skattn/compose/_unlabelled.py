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

    Of several labels a row, the rows that have all of them are kept.

    Parameters
    ----------
    regressor : estimator
        Estimator to train. A warning names the steps of a Pipeline that need the dropped rows.
    X : array-like of n_samples rows
        Training input.
    label : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels; NaN for unlabelled rows.
    params : dict
        Further parameters of ``fit``.

    Returns
    -------
    X, label, params
    """
    missing = np.isnan(np.asarray(label))
    missing = missing.any(axis=tuple(range(1, missing.ndim)))
    if not missing.any():
        return X, label, params
    rows = np.flatnonzero(~missing)
    if len(rows) == 0:
        raise ValueError(
            f"No row has all its labels (n_samples={len(label)}), and {type(regressor).__name__} "
            f"cannot take NaN: it is trained on rows with a label in each column. Fit it on each "
            f"column of y, or take a model of skattn, which masks single labels."
        )
    _warn_of_hidden_rows(regressor)
    params = rows_of_params(X, params, rows)
    return _safe_indexing(X, rows), _safe_indexing(label, rows), params


def without_weightless(y: Any, params: dict[str, Any]) -> Any:
    """Take the labels of rows of weight 0 away, so that other rows are not scaled by them.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
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
        if without.shape == np.shape(y)[:1] and without.any():
            cells = np.broadcast_to(without if np.ndim(y) == 1 else without[:, None], np.shape(y))
            is_table = isinstance(y, (pd.Series, pd.DataFrame))
            y = y.mask(cells) if is_table else np.where(cells, np.nan, y)
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
