"""Checking labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from skattn.parameters import check_numbers, check_value


def check_labels(
    y: Any,
    name: str = "y",
    *,
    required: bool = True,
    warn: bool = False,
    several: bool = False,
) -> np.ndarray:
    """Check labels, one number a row, or one for each row and column.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Labels; NaN means unlabelled.
    name : str, default="y"
        What the labels are called in an error's text.
    required : bool, default=True
        Whether at least one row must have a label.
    warn : bool, default=False
        Whether to warn of a column vector, as scikit-learn does.
    several : bool, default=False
        Whether there may be several labels a row, shape (n_samples, n_outputs).

    Returns
    -------
    labels : ndarray of float64, shape (n_samples,) or (n_samples, n_outputs)

    Raises
    ------
    InvalidParameterError
        The labels are no numbers, or have another shape. It is a ValueError and a TypeError.
    ValueError
        A label is infinite, or all are NaN although one is required.

    Examples
    --------
    >>> from skattn.labels import check_labels
    >>> check_labels([0.1, None])
    array([0.1, nan])
    """
    required = check_value("required", required, "bool")
    several = check_value("several", several, "bool")
    labels = check_numbers(name, y, warn=warn, several=several)
    infinite = np.flatnonzero(np.isinf(labels).any(axis=tuple(range(1, labels.ndim))))
    if len(infinite):
        raise ValueError(
            f"Input {name} contains infinity or a value too large for dtype('float64'), first at "
            f"row {infinite[0]}."
        )
    if required and np.isnan(labels).all():
        raise ValueError(f"{name} has no label at all: it is NaN in all its {len(labels)} rows.")
    return labels
