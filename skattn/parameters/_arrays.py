"""Arrays that a user passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from skattn.parameters._allowed import InvalidParameterError


def as_array(name: str, values: Any) -> np.ndarray:
    """Read an array-like as an array.

    Parameters
    ----------
    name : str
        What the array is called.
    values : array-like
        Nested sequences, an array, or any object that gives an array.

    Returns
    -------
    values : ndarray

    Raises
    ------
    InvalidParameterError
        The rows of a list differ in length, or the object gives no array, as a torch tensor that
        requires grad.

    Examples
    --------
    >>> from skattn.parameters import as_array
    >>> as_array("X", [[1.0], [1.0, 2.0]])
    Traceback (most recent call last):
        ...
    skattn...InvalidParameterError: X cannot be read as an array: setting an array element ...
    """
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise InvalidParameterError(f"{name} cannot be read as an array: {error}") from error


def as_floats(name: str, values: Any, n_dims: int | None = None) -> np.ndarray:
    """Read an array-like of real numbers; floats keep their type, other numbers become float64.

    Parameters
    ----------
    name : str
        What the array is called.
    values : array-like
        Real numbers; objects and texts are converted with ``float``.
    n_dims : int, default=None
        Number of dimensions that the array must have. None: any.

    Returns
    -------
    values : ndarray of float

    Raises
    ------
    InvalidParameterError
        A value is no real number, or the array has another number of dimensions.

    Examples
    --------
    >>> from skattn.parameters import as_floats
    >>> as_floats("X", [[1, None]])
    array([[ 1., nan]])
    >>> as_floats("X", [1j])
    Traceback (most recent call last):
        ...
    skattn...InvalidParameterError: X must hold real numbers; got complex128.
    """
    array = as_array(name, values)
    if array.dtype.kind not in "fiubOSU":
        raise InvalidParameterError(f"{name} must hold real numbers; got {array.dtype}.")
    if n_dims is not None and array.ndim != n_dims:
        raise InvalidParameterError(
            f"{name} must have {n_dims} dimension{'s' if n_dims > 1 else ''}; got shape "
            f"{array.shape}."
        )
    if array.dtype.kind == "f":
        return array
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidParameterError(f"{name} must hold real numbers: {error}") from error


def as_whole_numbers(name: str, values: Any) -> np.ndarray:
    """Read an array-like of one dimension that holds integers.

    Parameters
    ----------
    name : str
        What the array is called.
    values : array-like of int, shape (n,)
        The numbers.

    Returns
    -------
    values : ndarray of int, shape (n,)

    Raises
    ------
    InvalidParameterError
        The array has another number of dimensions, or holds other values.

    Examples
    --------
    >>> from skattn.parameters import as_whole_numbers
    >>> as_whole_numbers("ends", [0, 0.5])
    Traceback (most recent call last):
        ...
    skattn...InvalidParameterError: ends must be integers of one dimension; got float64 of ...
    """
    array = as_array(name, values)
    if array.ndim == 1 and len(array) == 0:
        return array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidParameterError(
            f"{name} must be integers of one dimension; got {array.dtype} of shape {array.shape}."
        )
    return array if array.dtype.kind == "i" else array.astype(np.int64)
