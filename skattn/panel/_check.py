"""Checks of X shared by transformers and regressors."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from skattn.panel._index import check_index
from skattn.panel._kind import check_input_kind
from skattn.panel._windows import WindowArray
from skattn.parameters import as_array, as_floats, shown

FLOATS = (np.float64, np.float32)


def check_panel_input(
    estimator: BaseEstimator, X: Any, *, reset: bool, dtype: Any = FLOATS, by_index: bool = False
) -> np.ndarray | WindowArray:
    """Check X as scikit-learn does, for 2-D tables and arrays and for (N, T, F) windows.

    With ``reset=True`` the function sets ``input_kind_``, ``n_features_in_``,
    ``feature_names_in_`` and, if X has three dimensions, ``n_steps_in_``. With ``reset=False`` it
    compares X with these attributes. NaN is allowed, infinity is not. A DataFrame with a MultiIndex
    must have the levels datetime and instrument.

    Parameters
    ----------
    estimator : estimator
        Estimator that stores the fitted shape.
    X : WindowArray, DataFrame or array-like of two or three dimensions
        Input to check.
    reset : bool
        True in ``fit``, False after ``fit``.
    dtype : dtype or tuple of dtypes, default=(float64, float32)
        Allowed dtypes. X is converted to the first dtype unless X already has an allowed dtype.
    by_index : bool, default=False
        Whether tables with a (datetime, instrument) index and 2-D arrays are different kinds of
        input. If True, ``fit`` and later calls must get the same kind.

    Returns
    -------
    X : WindowArray, or ndarray of shape (n_samples, n_columns) or (N, T, F)

    Raises
    ------
    TypeError
        X is a table of a library other than pandas, or an array of dates.
    ValueError
        X is empty, not numeric, infinite or badly indexed, or its shape differs from the fitted
        shape.
    """
    X = _read_input(X)
    n_dims = X.ndim
    if n_dims > 3:
        raise ValueError(
            f"X has {n_dims} dimensions; use three for windows (N, T, F) or two for series (N, T)."
        )
    check_input_kind(estimator, X, reset=reset, by_index=by_index)
    if n_dims != 3:
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
            X = _read_table(X)
        return validate_data(estimator, X, reset=reset, dtype=dtype, ensure_all_finite="allow-nan")
    if not isinstance(X, WindowArray):
        X = check_array(X, dtype=dtype, allow_nd=True, ensure_all_finite="allow-nan")
    elif len(X) == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while 1 is required.")
    _, n_steps, n_features = X.shape
    if n_steps == 0 or n_features == 0:
        raise ValueError(f"Windows need at least one step and one feature; got shape {X.shape}.")
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


def _read_input(X: Any) -> Any:
    """Give a DataFrame, windows, a sparse matrix or an array; arrays of objects become floats."""
    if isinstance(X, (pd.DataFrame, WindowArray)) or issparse(X):
        return X
    if isinstance(nw.from_native(X, pass_through=True), (nw.DataFrame, nw.LazyFrame)):
        raise TypeError(
            f"X is a table of type {type(X).__module__.split('.')[0]}.{type(X).__name__}, which "
            f"has no index of stocks and days. Convert X to pandas with skattn.from_long."
        )
    X = as_array("X", X)
    if X.dtype.kind in "mMV":
        raise TypeError(f"X must hold numbers; got {X.dtype}.")
    return as_floats("X", X) if X.dtype.kind in "OSU" else X


def _read_table(X: pd.DataFrame) -> pd.DataFrame:
    """Check the columns, and convert columns of objects and sparse columns to floats."""
    if not X.columns.is_unique:
        double = X.columns[X.columns.duplicated()].unique()
        raise ValueError(f"X has more than one column {', '.join(map(repr, double[:3]))}.")
    check_numeric(X)
    kinds = [isinstance(kind, pd.SparseDtype) or kind.kind == "O" for kind in X.dtypes]
    if not any(kinds):
        return X
    floats = {}
    for place in np.flatnonzero(kinds).tolist():
        column = X.iloc[:, place]
        # float() cannot convert pandas.NA.
        known = column.where(column.notna(), np.nan).to_numpy()
        floats[place] = as_floats(f"The column {shown(column.name)} of X", known)
    columns = {
        place: floats[place] if place in floats else X.iloc[:, place] for place in range(X.shape[1])
    }
    return pd.DataFrame(columns, index=X.index).set_axis(X.columns, axis=1)


def check_numeric(X: pd.DataFrame) -> None:
    """Raise a ValueError that names the columns of X that are not numeric."""
    # scikit-learn converts object columns itself and reports the value that fails.
    bad = [
        f"{shown(name)} ({kind})"
        for name, kind in X.dtypes.items()
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_object_dtype(kind))
    ]
    if bad:
        raise ValueError(f"X must hold only numbers; not numeric: columns {', '.join(bad)}.")
