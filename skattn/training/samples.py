"""Checks of what a regressor is given, up to the rows that a net is trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skattn._warn import warn_user
from skattn.panel import (
    WindowArray,
    align_y,
    check_panel_input,
    days_of,
    instruments_of,
)
from skattn.panel._windows import CHUNK
from skattn.preprocessing._alpha360 import FIELDS
from skattn.training.batches import Samples, gather


def check_samples(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    *,
    days: Any = None,
    instruments: Any = None,
    reset: bool,
    suffix: str = "",
) -> Samples:
    """Check X, y and days, as scikit-learn does and for what windows and labels must be.

    Returns
    -------
    samples : Samples
        All the rows, labelled or not.
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    windows = check_windows(estimator, X, reset=reset)
    check_consistent_length(windows, y, days, instruments)
    align_y(X, y, names=(f"X{suffix}", f"y{suffix}"))
    if estimator._fit_ndim == 2 and not suffix and days_of(None, X, required=False) is None:
        _warn_of_lost_index(windows.shape[1], y)
    labels = check_labels(y, f"y{suffix}")
    for first in range(0, len(windows), CHUNK):
        gather_finite(windows, slice(first, first + CHUNK), f"X{suffix}")
    return Samples(windows, labels, *_days_and_instruments(days, instruments, X, y))


def check_rows(
    estimator: BaseEstimator, X: Any, *, days: Any = None, instruments: Any = None
) -> Samples:
    """Check X, days and instruments for prediction: samples whose labels are unknown."""
    windows = check_windows(estimator, X, reset=False)
    check_consistent_length(windows, days, instruments)
    unknown = np.full(len(windows), np.nan, dtype=np.float32)
    return Samples(windows, unknown, *_days_and_instruments(days, instruments, X))


def _days_and_instruments(
    days: Any, instruments: Any, *carriers: Any
) -> tuple[pd.DatetimeIndex | None, pd.Index | None]:
    known_days = days_of(days, *carriers, required=False)
    if instruments is not None:
        return known_days, pd.Index(column_or_1d(instruments))
    known = (instruments_of(carrier) for carrier in carriers)
    return known_days, next((found for found in known if found is not None), None)


def check_windows(estimator: BaseEstimator, X: Any, *, reset: bool) -> WindowArray | np.ndarray:
    """Check X and make it a WindowArray or a float32 ndarray of shape (N, T, F)."""
    if isinstance(X, pd.DataFrame):
        _refuse_flat_windows(X, type(estimator).__name__)
    X = check_panel_input(estimator, X, reset=reset, dtype=np.float32)
    if isinstance(X, WindowArray) or X.ndim == 3:
        return X
    if reset:
        estimator.n_steps_in_ = X.shape[1]
    return X[:, :, None]


def _refuse_flat_windows(X: pd.DataFrame, name: str) -> None:
    """Several fields side by side are not one long series."""
    stems = {str(column).rstrip("0123456789").lower() for column in X.columns.get_level_values(-1)}
    if len(stems) > 1 and stems <= set(FIELDS):
        raise ValueError(
            f"X has the flat columns of {len(stems)} fields ({', '.join(sorted(stems))}), which "
            f"{name} would take for one series of {X.shape[1]} steps. Put a "
            f"skattn.preprocessing.SequenceReshaper() before it, or use layout='windows'."
        )


def _warn_of_lost_index(n_columns: int, y: Any) -> None:
    """A 2-D array beside an indexed y may be a table whose index a step before has dropped."""
    if instruments_of(y) is not None and days_of(None, y, required=False) is not None:
        warn_user(
            f"X is a 2-D array without the (datetime, instrument) index that y has: its "
            f"{n_columns} columns are taken for time steps of one field. If they are "
            f'fields, and a step before lost the index, set_output(transform="pandas") on that '
            f"step keeps it. If they are time steps, pass X[:, :, None]."
        )


def gather_finite(X: WindowArray | np.ndarray, rows: slice | np.ndarray, what: str) -> np.ndarray:
    """Gather windows and check that no value is missing or infinite."""
    batch = gather(X, rows)
    if not np.isfinite(batch.sum()) and not np.isfinite(batch).all():
        numbers = np.arange(len(X))[rows]
        bad = numbers[~np.isfinite(batch).all(axis=(1, 2))]
        row = int(bad[0])
        index = getattr(X, "index", None)
        where = f"row {row}" if index is None else f"row {row}, {index[row]}"
        if np.isnan(batch).any():
            raise ValueError(
                f"Input {what} contains NaN (first at {where}; {len(bad)} of rows "
                f"{numbers.min()} to {numbers.max()}). Windows reach back before a stock's first "
                f"day or over days it misses: fill them before the regressor, for example with "
                f"skattn.preprocessing.RobustZScore(fill_value=0.0) after the windows, with "
                f'RollingWindow(fill="ffill+bfill") or, for 2-D X, sklearn.impute.SimpleImputer.'
            )
        raise ValueError(f"Input {what} contains infinity (first at {where}).")
    return batch


def check_labels(y: Any, what: str) -> np.ndarray:
    """Check labels and make them a float32 array; NaN passes, but not in every row."""
    labels = column_or_1d(y, warn=True)
    if labels.dtype.kind in "mM":
        raise TypeError(f"{what} must hold numbers (NaN where unlabelled); got {labels.dtype}.")
    try:
        labels = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must hold numbers (NaN where unlabelled): {error}") from error
    with np.errstate(over="ignore"):
        single = labels.astype(np.float32)
    if np.isinf(single).any():
        row = int(np.flatnonzero(np.isinf(single))[0])
        limit = "float64" if np.isinf(labels[row]) else "float32"
        raise ValueError(
            f"Input {what} contains infinity or a value too large for dtype('{limit}'). "
            f"First at row {row}."
        )
    if np.isnan(single).all():
        raise ValueError(f"{what} has no label at all: it is NaN in all its {len(single)} rows.")
    return single
