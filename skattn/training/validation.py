"""From what a user passes to samples: checks without side effects."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from skattn.labels import check_labels
from skattn.panel import WindowArray, align_y, days_of, instruments_of
from skattn.panel.internal import OHLCV_FIELDS
from skattn.parameters import as_array, check_lengths, check_weights
from skattn.training.samples import Samples, gather
from skattn.utils import warn_user

# Windows that are gathered at a time: bounds the memory.
CHUNK = 8192

Windows: TypeAlias = WindowArray | np.ndarray


def make_samples(
    windows: Windows,
    X: Any,
    y: Any,
    *,
    days: Any = None,
    instruments: Any = None,
    sample_weight: Any = None,
    dtype: type = np.float32,
    suffix: str = "",
) -> Samples:
    """Check labels, days and instruments of checked windows.

    Parameters
    ----------
    windows : WindowArray or ndarray of shape (N, T, F)
        The windows of X.
    X : object
        What the user passed; its index may know days and instruments.
    y : array-like of shape (N,) or (N, K), or None
        Labels. None: unknown, as in prediction; windows are not looked at then.
    days, instruments : array-like of shape (N,), default=None
        As the user passed them. None: from the index of X, else of y.
    sample_weight : array-like of shape (N,), default=None
        Weights of the rows, at least 0. A row of weight 0 counts as a row without a label.
    dtype : type, default=numpy.float32
        Type of the labels, in which windows are computed, too.
    suffix : str, default=""
        End of the names of X and y in errors, as "_val".

    Returns
    -------
    samples : Samples
        All the rows, labelled or not.

    Raises
    ------
    ValueError, TypeError
        Lengths differ, X and another argument have different rows, a value of X is missing or
        infinite, a label is infinite, no number, or too large for float32, or a weight is negative,
        missing or infinite.
    """
    for name, given in (("days", days), ("instruments", instruments)):
        align_y(X, given, names=(f"X{suffix}", name))
    if y is None:
        check_lengths({"X": windows}, days=days, instruments=instruments)
        unknown: np.ndarray = np.full(len(windows), np.nan, dtype=dtype)
        return Samples(windows, unknown, *_days_and_instruments(days, instruments, X))
    required = {f"X{suffix}": windows, f"y{suffix}": y}
    check_lengths(required, days=days, instruments=instruments)
    align_y(X, y, names=(f"X{suffix}", f"y{suffix}"))
    labels = check_labels(y, f"y{suffix}", warn=True, several=True)
    labels = to_floats(labels, f"y{suffix}", dtype)
    weight: np.ndarray | None = None
    if sample_weight is not None:
        weight = check_sample_weight(sample_weight, len(windows), X, y)
        has_weight = weight > 0 if labels.ndim == 1 else weight[:, None] > 0
        labels = np.where(has_weight, labels, np.nan).astype(dtype)
        if np.isnan(labels).all():
            raise ValueError("sample_weight is zero in all rows that have a label.")
    for first in range(0, len(windows), CHUNK):
        rows = slice(first, first + CHUNK)
        check_finite(gather(windows, rows), windows, rows, f"X{suffix}")
    return Samples(windows, labels, *_days_and_instruments(days, instruments, X, y), weight)


def check_sample_weight(sample_weight: Any, n_rows: int, *carriers: Any) -> np.ndarray:
    """Check the weights of some rows.

    Parameters
    ----------
    sample_weight : array-like of shape (N,)
        Weights, at least 0.
    n_rows : int
        Number of rows N.
    *carriers : object
        X and y, whose index has to be that of the weights, where both have one.

    Returns
    -------
    weight : ndarray of shape (N,), float64
    """
    for name, carrier in zip("Xy", carriers, strict=False):
        align_y(carrier, sample_weight, names=(name, "sample_weight"))
    weight = check_weights("sample_weight", sample_weight)
    if len(weight) != n_rows:
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected {(n_rows,)}: it must have a weight "
            f"for each of the {n_rows} rows."
        )
    if not weight.any():
        raise ValueError("sample_weight is zero in all rows: no row is left to train on.")
    return weight


def _days_and_instruments(
    days: Any, instruments: Any, *carriers: Any
) -> tuple[pd.DatetimeIndex | None, pd.Index | None]:
    known_days = days_of(days, *carriers, required=False)
    if instruments is not None:
        has_index = isinstance(instruments, (pd.Index, pd.Series))
        stocks = instruments if has_index else as_array("instruments", instruments)
        if stocks.ndim != 1:
            raise ValueError(
                f"instruments must hold one stock a row; got {stocks.ndim} dimensions."
            )
        absent = np.flatnonzero(pd.isna(stocks))
        if len(absent):
            raise ValueError(
                f"instruments must hold one stock a row; the stock is missing in {len(absent)} "
                f"rows, first in row {absent[0]}."
            )
        return known_days, pd.Index(stocks)
    known = (instruments_of(carrier) for carrier in carriers)
    return known_days, next((found for found in known if found is not None), None)


def to_floats(labels: np.ndarray, name: str, dtype: type = np.float32) -> np.ndarray:
    """Convert labels, and raise where a label is too large for float32."""
    with np.errstate(over="ignore"):
        single = labels.astype(np.float32)
    too_large = np.flatnonzero(np.isinf(single).any(axis=tuple(range(1, single.ndim))))
    if len(too_large):
        raise ValueError(
            f"Input {name} contains infinity or a value too large for dtype('float32'), first at "
            f"row {too_large[0]}."
        )
    return labels.astype(dtype, copy=False)


def refuse_flat_windows(X: pd.DataFrame, name: str) -> None:
    """Raise where columns are several fields side by side, which are not one long series."""
    stems = {str(column).rstrip("0123456789").lower() for column in X.columns.get_level_values(-1)}
    if len(stems) > 1 and stems <= set(OHLCV_FIELDS):
        raise ValueError(
            f"X has the flat columns of {len(stems)} fields ({', '.join(sorted(stems))}), which "
            f"{name} would take for one series of {X.shape[1]} steps. Put a "
            f"skattn.preprocessing.SequenceReshaper() before it, or use layout='windows'."
        )


def warn_of_features(X: pd.DataFrame, name: str) -> None:
    """Warn of a table whose columns have the names of several features, and not of one's steps."""
    columns = [str(column) for column in X.columns.get_level_values(-1)]
    stems = {column.rstrip("0123456789").lower() for column in columns}
    if len(stems) > 1:
        warn_user(
            f"X has {len(columns)} columns of different names ({', '.join(columns[:3])}, ...), "
            f"which {name} takes for one series of {len(columns)} steps. Where they are features, "
            f"put a skattn.preprocessing.RollingWindow before it, which makes windows of days; "
            f'where they are steps, SequenceReshaper(by="position").'
        )


def warn_of_lost_index(n_columns: int, y: Any) -> None:
    """Warn of a 2-D array beside an indexed y: a step before may have dropped the index."""
    if instruments_of(y) is not None and days_of(None, y, required=False) is not None:
        warn_user(
            f"X is a 2-D array without the (datetime, instrument) index that y has: its "
            f"{n_columns} columns are taken for time steps of one field. If they are "
            f'fields, and a step before lost the index, set_output(transform="pandas") on that '
            f"step keeps it. If they are time steps, pass X[:, :, None]."
        )


def check_finite(batch: np.ndarray, windows: Windows, rows: slice | np.ndarray, what: str) -> None:
    """Raise where a gathered window has a missing or infinite value.

    Parameters
    ----------
    batch : ndarray of shape (B, T, F)
        The gathered windows.
    windows : WindowArray or ndarray of shape (N, T, F)
        What they were gathered from; its index names the first offending row.
    rows : slice or ndarray of int
        The rows of the batch.
    what : str
        What the windows are called in the error's text.
    """
    if np.isfinite(batch.sum()) or np.isfinite(batch).all():
        return
    numbers = np.arange(len(windows))[rows]
    bad = numbers[~np.isfinite(batch).all(axis=(1, 2))]
    row = int(bad[0])
    index = getattr(windows, "index", None)
    where = f"row {row}" if index is None else f"row {row}, {index[row]}"
    if np.isnan(batch).any():
        raise ValueError(
            f"Input {what} contains NaN (first at {where}; {len(bad)} of rows "
            f"{numbers.min()} to {numbers.max()}). Windows reach back before a stock's first "
            f"day or over days it misses: fill them before the regressor, for example with "
            f"skattn.preprocessing.RobustZScore(fill_value=0.0) after the windows, with "
            f'RollingWindow(fill_method="ffill+bfill") or, for 2-D X, '
            f"sklearn.impute.SimpleImputer."
        )
    raise ValueError(f"Input {what} contains infinity (first at {where}).")
