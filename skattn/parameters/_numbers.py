"""One number a row, or one for each row and column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array, column_or_1d

from skattn.parameters._allowed import InvalidParameterError


def check_numbers(
    name: str, values: Any, *, warn: bool = False, several: bool = False
) -> np.ndarray:
    """Convert one number a row to an array of float64.

    Parameters
    ----------
    name : str
        What the numbers are called.
    values : array-like of shape (n_samples,) or (n_samples, 1)
        The numbers, also as a tensor or a polars Series; NaN and infinity pass. None, NA and
        values that a mask hides become NaN.
    warn : bool, default=False
        Whether to warn of a column vector, as scikit-learn does.
    several : bool, default=False
        Whether there may be several columns, shape (n_samples, n_columns).

    Returns
    -------
    values : ndarray of float64, shape (n_samples,) or (n_samples, n_columns)

    Raises
    ------
    InvalidParameterError
        ``values`` are dates, durations or otherwise no numbers, or have another shape.

    Examples
    --------
    >>> from skattn.parameters import check_numbers
    >>> check_numbers("y_true", [1, 2, None])
    array([ 1.,  2., nan])
    """
    try:
        numbers = _with_nan(values)
        if several and count_columns(numbers) > 1:
            return check_array(numbers, dtype=np.float64, ensure_all_finite=False)
        return column_or_1d(numbers, dtype=np.float64, warn=warn)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        # The first line says what is wrong; scikit-learn and polars print the data below it.
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidParameterError(f"{name} must hold one number a row: {why}") from error


def check_weights(name: str, values: Any) -> np.ndarray:
    """Convert one weight a row to an array of float64, each finite and at least 0.

    Parameters
    ----------
    name : str
        What the weights are called.
    values : array-like of shape (n_samples,)
        The weights.

    Returns
    -------
    weights : ndarray of float64, shape (n_samples,)

    Raises
    ------
    InvalidParameterError
        ``values`` are no numbers, or have another shape.
    ValueError
        A weight is negative, missing or infinite.

    Examples
    --------
    >>> from skattn.parameters import check_weights
    >>> check_weights("sample_weight", [1, 0, 2])
    array([1., 0., 2.])
    """
    weights = check_numbers(name, values)
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        raise ValueError(
            f"{name} must be finite and at least 0; got {weights[bad[0]]} in row {bad[0]} "
            f"({len(bad)} of {len(weights)} rows)."
        )
    return weights


def count_columns(values: Any) -> int:
    """Count the columns of a table or array of two dimensions; what has another shape has one.

    Parameters
    ----------
    values : array-like

    Returns
    -------
    n_columns : int

    Examples
    --------
    >>> from skattn.parameters import count_columns
    >>> count_columns([[1.0, 2.0]]), count_columns([1.0, 2.0])
    (2, 1)
    """
    try:
        shape = values.shape if hasattr(values, "shape") else np.shape(values)
        return int(shape[1]) if len(shape) == 2 else 1
    except (TypeError, ValueError, RuntimeError):
        return 1  # no array at all, which those who read it will say


def from_tensor(values: Any) -> Any:
    """Give a torch tensor as an array on the CPU, and other objects as they are.

    Parameters
    ----------
    values : object
        A tensor may need a gradient and lie on a device; floats become float64.

    Returns
    -------
    values : object
        An ndarray where a tensor was given.

    Raises
    ------
    InvalidParameterError
        The tensor has no values (meta), is sparse or quantized.

    Examples
    --------
    >>> import torch
    >>> from skattn.parameters import from_tensor
    >>> from_tensor(torch.ones(2, dtype=torch.bfloat16, requires_grad=True))
    array([1., 1.])
    >>> from_tensor("text")
    'text'
    """
    if not (hasattr(values, "detach") and hasattr(values, "is_floating_point")):
        return values
    try:
        # NumPy has no bfloat16.
        return (values.double() if values.is_floating_point() else values).numpy(force=True)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidParameterError(
            f"a tensor on {values.device} of layout {values.layout} and {values.dtype} cannot be "
            f"read as an array; pass a dense tensor of numbers: {error}"
        ) from error


def _with_nan(values: Any) -> Any:
    """Mark what is missing as NaN: None, NA, and what a mask hides. Refuse dates and durations."""
    values = from_tensor(values)
    if not hasattr(getattr(values, "dtype", None), "kind"):
        # Lists, tables, and types of other libraries.
        values = np.asarray(values)
    # NumPy would take dates and durations for counts of their unit.
    if values.dtype.kind in "mM":
        raise TypeError(f"got {values.dtype}")
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.result_type(values.dtype, np.float64)), np.nan)
    if values.dtype == object:
        values = np.where(pd.isna(values), np.nan, values)
    return values
