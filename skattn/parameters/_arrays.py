"""Arrays that a user passes."""

from __future__ import annotations

from collections.abc import Mapping
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


def check_lengths(required: Mapping[str, Any], **optional: Any) -> None:
    """Raise if arguments with one value a row differ in their number of rows.

    Parameters
    ----------
    required : mapping of str to object
        Arguments by name.
    **optional : object
        Further arguments. None: not given.

    Raises
    ------
    TypeError
        An argument has no rows.
    ValueError
        The numbers of rows differ.

    Examples
    --------
    >>> from skattn.parameters import check_lengths
    >>> check_lengths({"X": [[1], [2]], "y": [1, 2]}, days=None)
    >>> check_lengths({"X": [[1], [2]], "y": [1, 2]}, days=["2024-01-02"])
    Traceback (most recent call last):
        ...
    ValueError: X, y, days must have the same number of rows; they have 2, 2, 1.
    """
    given = {name: values for name, values in optional.items() if values is not None}
    lengths = {name: _count_rows(name, values) for name, values in {**required, **given}.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"{', '.join(lengths)} must have the same number of rows; they have "
            f"{', '.join(map(str, lengths.values()))}."
        )


def _count_rows(name: str, values: Any) -> int:
    # A sparse matrix has a shape and no length; what becomes an array may have neither.
    is_array = hasattr(values, "__array__") and not hasattr(values, "shape")
    shape = getattr(np.asarray(values) if is_array else values, "shape", None)
    try:
        return shape[0] if shape else len(values)
    except TypeError:
        raise TypeError(
            f"{name} must hold one value a row, such as an array or a Series; got "
            f"{type(values).__name__}."
        ) from None
