"""Checks of parameters and of numbers that all parts share."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import InvalidParameterError


def is_count(value: Any, least: int = 0) -> bool:
    """Whether a value is an integer of at least ``least``, and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def check_count(name: str, value: Any, least: int, *, or_none: bool = False) -> None:
    """Raise where a parameter is not an integer of at least ``least``.

    Parameters
    ----------
    name : str
        What the parameter is called.
    value : object
        What was given; a bool is not taken for an integer.
    least : int
        Lowest value that is allowed.
    or_none : bool, default=False
        Whether None is allowed, too.

    Raises
    ------
    InvalidParameterError
        scikit-learn's error, both a ValueError and a TypeError.

    Examples
    --------
    >>> from skattn._params import check_count
    >>> check_count("n_splits", 5, 2)
    >>> check_count("n_splits", 1, 2)
    Traceback (most recent call last):
        ...
    sklearn...InvalidParameterError: n_splits must be an integer of at least 2; got 1.
    """
    if or_none and value is None:
        return
    if not is_count(value, least):
        allowed = f"an integer of at least {least}" + (" or None" if or_none else "")
        raise InvalidParameterError(f"{name} must be {allowed}; got {value!r}.")


def check_numbers(name: str, values: Any) -> np.ndarray:
    """Convert one number a row to an array of float.

    Parameters
    ----------
    name : str
        What the numbers are called.
    values : array-like of shape (n_samples,) or (n_samples, 1)
        The numbers; NaN and infinity pass.

    Returns
    -------
    values : ndarray of float64, shape (n_samples,)

    Raises
    ------
    InvalidParameterError
        ``values`` are dates, durations or other things that are no numbers, or of another shape.
        It is scikit-learn's error, both a ValueError and a TypeError.

    Examples
    --------
    >>> from skattn._params import check_numbers
    >>> check_numbers("y_true", [1, 2, None])
    array([ 1.,  2., nan])
    """
    try:
        dtype = values.dtype if hasattr(values, "dtype") else np.asarray(values).dtype
        # NumPy would take dates and durations for counts of their unit.
        if dtype.kind in "mM":
            raise TypeError(f"got {dtype}")
        return column_or_1d(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(f"{name} must hold one number a row: {error}") from error
