"""Record the kind of input that an estimator was fitted on, and compare later input with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

KINDS = {
    "table": "a table of 2 dimensions with a (datetime, instrument) index",
    "array": "of 2 dimensions, without a (datetime, instrument) index",
    "windows": "of 3 dimensions (N, T, F)",
}


def is_long(table: Any) -> bool:
    """Return whether each row is a stock on a day, that is, whether there is a MultiIndex."""
    return isinstance(getattr(table, "index", None), pd.MultiIndex)


def input_kind(X: Any) -> str:
    """Return the kind of X.

    The kind is "table" (each row is a stock on a day), "array" (two dimensions) or "windows"
    (three dimensions).
    """
    if (X if hasattr(X, "ndim") else np.asarray(X)).ndim == 3:
        return "windows"
    return "table" if isinstance(X, pd.DataFrame) and is_long(X) else "array"


def check_input_kind(
    estimator: BaseEstimator, X: Any, *, reset: bool, by_index: bool = True
) -> None:
    """Set ``input_kind_`` in ``fit``, and compare X with ``input_kind_`` later.

    Parameters
    ----------
    estimator : estimator
        Estimator that stores ``input_kind_``.
    X : object
        Input to check.
    reset : bool
        True in ``fit``, False after ``fit``.
    by_index : bool, default=True
        Whether "table" and "array" are different kinds. If False, only the number of dimensions
        counts.

    Raises
    ------
    ValueError
        The kind of X differs from the kind of the fitted input.
    """
    kind = input_kind(X)
    if reset:
        estimator.input_kind_ = kind
        return
    fitted = estimator.input_kind_
    same = kind == fitted if by_index else (kind == "windows") == (fitted == "windows")
    if not same:
        hint = (
            " (Pass a single window x of shape (T, F) as x[None].)" if fitted == "windows" else ""
        )
        raise ValueError(
            f"X, of type {type(X).__name__}, is {KINDS[kind]}, but {type(estimator).__name__} was "
            f"fitted on X that is {KINDS[fitted]}.{hint}"
        )
