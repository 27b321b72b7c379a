"""Checks of X that transformers and regressors share."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from skattn.panel._index import check_index
from skattn.panel._windows import WindowArray

FLOATS = (np.float64, np.float32)


def check_panel_input(
    estimator: BaseEstimator, X: Any, *, reset: bool, dtype: Any = FLOATS
) -> np.ndarray | WindowArray:
    """Check X as scikit-learn does, for 2-D tables and arrays and for (N, T, F) windows.

    Sets (``reset=True``) or compares ``n_features_in_``, ``feature_names_in_`` and, where X has
    three dimensions, ``n_steps_in_``. NaN passes; infinity does not. A DataFrame with a
    MultiIndex must have the levels datetime and instrument.

    Parameters
    ----------
    estimator : estimator
        It carries the fitted shape.
    X : WindowArray, DataFrame or array-like of two or three dimensions
        The input.
    reset : bool
        True in ``fit``, False after it.
    dtype : dtype or tuple of dtypes, default=(float64, float32)
        The first is converted to, unless X has one of them.

    Returns
    -------
    X : WindowArray, or ndarray of shape (n_samples, n_columns) or (N, T, F)

    Raises
    ------
    TypeError
        X is a table of another library than pandas, or an array of dates.
    ValueError
        X is empty, not numeric, infinite, badly indexed, or of another shape than fitted.
    """
    if not isinstance(X, pd.DataFrame) and isinstance(
        nw.from_native(X, pass_through=True), (nw.DataFrame, nw.LazyFrame)
    ):
        raise TypeError(
            f"X is a table of type {type(X).__module__.split('.')[0]}.{type(X).__name__}, which "
            f"knows no stocks and days. skattn.from_long makes one of pandas of it that does."
        )
    n_dims = (X if hasattr(X, "ndim") else np.asarray(X)).ndim
    if n_dims > 3:
        raise ValueError(
            f"X has {n_dims} dimensions; windows have three, (N, T, F), and series two, (N, T)."
        )
    if getattr(getattr(X, "dtype", None), "kind", None) in ("m", "M"):
        raise TypeError(f"X must hold numbers; got {X.dtype}.")
    ndim = 3 if n_dims == 3 else 2
    if reset:
        estimator._fit_ndim = ndim
    elif ndim != estimator._fit_ndim:
        raise ValueError(
            f"X has {n_dims} dimensions, but {type(estimator).__name__} was fitted with "
            f"{estimator._fit_ndim}. (A single window x of shape (T, F) is x[None].)"
        )
    if ndim == 2:
        if reset:
            estimator.__dict__.pop("n_steps_in_", None)
        if isinstance(X, pd.DataFrame):
            if isinstance(X.index, pd.MultiIndex):
                check_index(X.index)
            if X.shape[1] == 0:
                raise ValueError(
                    f"X has no columns: 0 feature(s) (shape={X.shape}) while a minimum of 1 is "
                    f"required."
                )
            check_numeric(X)
            if X.dtypes.map(pd.api.types.is_object_dtype).any():
                # float() does not take pandas.NA.
                X = X.where(X.notna(), np.nan)
        return validate_data(estimator, X, reset=reset, dtype=dtype, ensure_all_finite="allow-nan")
    if not isinstance(X, WindowArray):
        X = check_array(X, dtype=dtype, allow_nd=True, ensure_all_finite="allow-nan")
    elif len(X) == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while 1 is required.")
    _, n_steps, n_features = X.shape
    if n_steps == 0 or n_features == 0:
        raise ValueError(f"Windows need a step and a feature at least; got shape {X.shape}.")
    fields = np.asarray(X.fields, dtype=object) if isinstance(X, WindowArray) else None
    if reset:
        estimator.n_steps_in_, estimator.n_features_in_ = n_steps, n_features
        estimator.__dict__.pop("feature_names_in_", None)
        if fields is not None:
            estimator.feature_names_in_ = fields
    elif (n_steps, n_features) != (estimator.n_steps_in_, estimator.n_features_in_):
        raise ValueError(
            f"X has {n_steps} steps and {n_features} features, but {type(estimator).__name__} is "
            f"expecting {estimator.n_steps_in_} steps and {estimator.n_features_in_} features as "
            f"input."
        )
    elif fields is not None and hasattr(estimator, "feature_names_in_"):
        known = estimator.feature_names_in_
        if list(fields) != list(known):
            raise ValueError(
                f"The fields of X are {', '.join(fields)}, but {type(estimator).__name__} was "
                f"fitted with {', '.join(known)}."
            )
    return X


def check_numeric(X: pd.DataFrame) -> None:
    """Raise a ValueError that names the columns of X that are not numbers."""
    # Objects are left to scikit-learn, which tries to convert them and says where it failed.
    bad = [
        f"{name!r} ({kind})"
        for name, kind in X.dtypes.items()
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_object_dtype(kind))
    ]
    if bad:
        raise ValueError(f"X must hold numbers alone; not so in the columns {', '.join(bad)}.")
