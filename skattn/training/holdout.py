"""The days that early stopping watches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skattn.labels import label_ends, labelled_part
from skattn.utils import round_up


def chronological_holdout(
    days: pd.DatetimeIndex | None,
    labelled: np.ndarray,
    fraction: float,
    purge: int | pd.Series,
    index: pd.Index | None = None,
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
    purge : int or Series of dates
        Days dropped between the two parts, because their labels reach into the held-out days; or
        the last day that each label looks at.
    index : Index of length N, default=None
        Index of the rows, by which a Series is read. None: it has a date for each row.

    Returns
    -------
    train, valid : ndarray of bool, shape (N,)
        Disjoint masks of labelled rows.

    Raises
    ------
    ValueError
        There are too few days to hold any out, or ``purge`` is a Series and days are unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn.training import chronological_holdout
    >>> train, valid = chronological_holdout(None, np.ones(10, dtype=bool), 0.2, purge=2)
    >>> train.nonzero()[0], valid.nonzero()[0]
    (array([0, 1, 2, 3, 4, 5]), array([8, 9]))
    """
    if days is None and isinstance(purge, pd.Series):
        raise ValueError(
            "purge tells the last day of each label, but the trading days of X are not known: give "
            "X or y an index with a level 'datetime', or pass days=."
        )
    codes, calendar = pd.factorize(np.arange(len(labelled)) if days is None else days, sort=True)
    known, day = np.unique(codes[labelled], return_inverse=True)
    n_valid = round_up(fraction, len(known))
    first_valid = len(known) - n_valid
    purge, index = labelled_part(purge, index, labelled)
    ends = label_ends(purge, calendar[known], day, index, np.ones(len(day), dtype=bool))
    train_days = np.flatnonzero(ends[:first_valid] < first_valid)
    if len(train_days) == 0:
        dropped = "all" if isinstance(purge, pd.Series) else purge
        raise ValueError(
            f"Early stopping holds out the last {n_valid} of {len(known)} labelled days "
            f"(n_samples={len(labelled)}) and drops {dropped} days before them (purge), which "
            f"leaves no day to train on. Give more days, pass X_val and y_val, or set "
            f"early_stopping=False."
        )
    train = labelled & np.isin(codes, known[train_days])
    valid = labelled & (codes >= known[first_valid])
    return train, valid
