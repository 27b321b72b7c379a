"""One number a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d

from skattn.parameters._allowed import InvalidParameterError


def check_numbers(name: str, values: Any, *, warn: bool = False) -> np.ndarray:
    """Convert one number a row to an array of float64.

    Parameters
    ----------
    name : str
        What the numbers are called.
    values : array-like of shape (n_samples,) or (n_samples, 1)
        The numbers; NaN and infinity pass.
    warn : bool, default=False
        Whether to warn of a column vector, as scikit-learn does.

    Returns
    -------
    values : ndarray of float64, shape (n_samples,)

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
        dtype = values.dtype if hasattr(values, "dtype") else np.asarray(values).dtype
        # NumPy would take dates and durations for counts of their unit.
        if dtype.kind in "mM":
            raise TypeError(f"got {dtype}")
        return column_or_1d(values, dtype=np.float64, warn=warn)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(f"{name} must hold one number a row: {error}") from error
