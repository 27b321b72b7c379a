"""Parameters of ``fit`` and ``predict`` that have a value for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import _check_method_params, _num_samples


def rows_of_params(X: Any, params: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """Take rows of the parameters that have a value for each row of X, as cross_validate does.

    Parameters
    ----------
    X : array-like of n_samples rows
        The rows.
    params : dict
        Parameters by name, possibly with the prefix of a Pipeline's step. X_val and y_val hold
        other rows, and stay whole even if their number equals the number of rows of X.
    rows : ndarray of int
        Row positions.

    Returns
    -------
    params : dict

    Examples
    --------
    >>> import numpy as np
    >>> from skattn.utils import rows_of_params
    >>> rows_of_params(np.zeros((3, 1)), {"days": ["a", "b", "c"], "k": 1}, np.array([2, 0]))
    {'days': ['c', 'a'], 'k': 1}
    """
    by_row = {k: v for k, v in params.items() if k.rpartition("__")[2] not in ("X_val", "y_val")}
    # scikit-learn cannot take rows of an Index of texts.
    indexes = {
        k: v.take(rows)
        for k, v in by_row.items()
        if isinstance(v, pd.Index) and len(v) == _num_samples(X)
    }
    others = {k: v for k, v in by_row.items() if k not in indexes}
    return {**params, **_check_method_params(X, others, rows), **indexes}
