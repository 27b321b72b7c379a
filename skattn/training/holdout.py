"""The days that early stopping watches."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd


def chronological_holdout(
    days: pd.DatetimeIndex | None, labelled: np.ndarray, fraction: float, purge: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows in time: the last whole days are held out.

    Parameters
    ----------
    days : DatetimeIndex of length N, or None
        Trading day of each row. None: rows are in time order, each a day of its own.
    labelled : ndarray of bool, shape (N,)
        Rows that have a label. Days without a label are not counted.
    fraction : float
        Share of the labelled days to hold out, rounded up.
    purge : int
        Days dropped between the two parts, because their labels reach into the held-out days.

    Returns
    -------
    train, valid : ndarray of bool, shape (N,)
        Disjoint masks of labelled rows.

    Raises
    ------
    ValueError
        There are too few days to hold any out.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn.training import chronological_holdout
    >>> train, valid = chronological_holdout(None, np.ones(10, dtype=bool), 0.2, purge=2)
    >>> train.nonzero()[0], valid.nonzero()[0]
    (array([0, 1, 2, 3, 4, 5]), array([8, 9]))
    """
    codes = np.arange(len(labelled)) if days is None else pd.factorize(days, sort=True)[0]
    known = np.unique(codes[labelled])
    n_valid = math.ceil(fraction * len(known))
    n_train = len(known) - n_valid - purge
    if n_train < 1:
        raise ValueError(
            f"Early stopping holds out the last {n_valid} of {len(known)} labelled days "
            f"(n_samples={len(labelled)}) and drops {purge} before them (purge), which leaves no "
            f"day to train on. Give more days, pass X_val and y_val, or set early_stopping=False."
        )
    train = labelled & (codes <= known[n_train - 1])
    valid = labelled & (codes >= known[-n_valid])
    return train, valid
