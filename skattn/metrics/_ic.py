"""The daily information coefficient, and the scores that summarise it over days."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from skattn.metrics._rows import LabelledRows, labelled_rows, range_of_days

Method = Literal["pearson", "spearman"]

NAMES = {"pearson": "ic", "spearman": "rank_ic"}


def daily_ic(
    y_true: Any, y_pred: Any, *, days: Any = None, method: Method = "pearson"
) -> pd.Series:
    """Information coefficient of each day: the correlation of predictions with labels.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels, in any unit; NaN means unlabelled, and the row is left out.
    y_pred : array-like of shape (n_samples,)
        Predictions of the same rows, in any unit.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: from the index of ``y_true``, else of ``y_pred``.
    method : {"pearson", "spearman"}, default="pearson"
        "spearman" correlates ranks within the day (ties share their average rank).

    Returns
    -------
    ic : pandas.Series of shape (n_days,)
        In [-1, 1], indexed by day, oldest first; named "ic", or "rank_ic" for "spearman". NaN
        on a day with fewer than two labelled stocks, or on which the labels or the predictions
        of the labelled stocks are all equal.

    Raises
    ------
    TypeError
        ``days`` are not dates; or ``y_true`` or ``y_pred`` are no numbers.
    ValueError
        The days are not known; the lengths differ; both are indexed by (datetime, instrument)
        but have different rows; a (datetime, instrument) key occurs twice; a prediction is NaN; a
        value is infinite; an unknown method.

    See Also
    --------
    signal_report : The usual summary, with the days that have no value.

    References
    ----------
    R. Grinold and R. Kahn (1999), "Active Portfolio Management" (information coefficient).
    qlib, ``calc_ic`` in ``qlib/contrib/eva/alpha.py``.

    Examples
    --------
    >>> from skattn.metrics import daily_ic
    >>> days = ["2024-01-02"] * 3 + ["2024-01-03"] * 3
    >>> daily_ic([1, 2, 3, 1, 2, 3], [1, 2, 3, 5, 5, 5], days=days)
    datetime
    2024-01-02    1.0
    2024-01-03    NaN
    Name: ic, dtype: float64
    """
    return correlate_days(labelled_rows(y_true, y_pred, days), method)


def ic_score(y_true: Any, y_pred: Any, *, days: Any = None) -> float:
    """Mean daily information coefficient (IC).

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels (NaN: unlabelled) and predictions.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: from the index of ``y_true``, else of ``y_pred``.

    Returns
    -------
    score : float
        In [-1, 1]: mean of :func:`daily_ic` over the days that have a value; NaN if none has.

    Raises
    ------
    TypeError, ValueError
        As :func:`daily_ic`.

    Examples
    --------
    >>> from skattn.metrics import ic_score
    >>> ic_score([1, 2, 1, 2], [1, 2, 3, 4], days=["2024-01-02"] * 2 + ["2024-01-03"] * 2)
    1.0
    """
    return mean(daily_ic(y_true, y_pred, days=days))


def icir_score(y_true: Any, y_pred: Any, *, days: Any = None) -> float:
    """Information ratio of the daily IC: its mean over its standard deviation.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels (NaN: unlabelled) and predictions.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: from the index of ``y_true``, else of ``y_pred``.

    Returns
    -------
    score : float
        Per day, not annualised (as in qlib), with the sample standard deviation (ddof=1) of
        :func:`daily_ic` over the days that have a value. NaN if fewer than two have one;
        infinite if all days have the same one.

    Raises
    ------
    TypeError, ValueError
        As :func:`daily_ic`.

    Examples
    --------
    >>> from skattn.metrics import icir_score
    >>> days = ["2024-01-02"] * 3 + ["2024-01-03"] * 3
    >>> round(icir_score([1, 2, 3, 1, 2, 3], [1, 2, 3, 1, 3, 2], days=days), 3)
    2.121
    """
    return mean_over_std(daily_ic(y_true, y_pred, days=days))


def rank_ic_score(y_true: Any, y_pred: Any, *, days: Any = None) -> float:
    """Mean daily rank IC: as :func:`ic_score`, with Spearman's correlation.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels (NaN: unlabelled) and predictions.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: from the index of ``y_true``, else of ``y_pred``.

    Returns
    -------
    score : float
        In [-1, 1]; NaN if no day has a value.

    Raises
    ------
    TypeError, ValueError
        As :func:`daily_ic`.

    Examples
    --------
    >>> from skattn.metrics import rank_ic_score
    >>> rank_ic_score([1, 2, 3], [1, 10, 1000], days=["2024-01-02"] * 3)
    1.0
    """
    return mean(daily_ic(y_true, y_pred, days=days, method="spearman"))


def rank_icir_score(y_true: Any, y_pred: Any, *, days: Any = None) -> float:
    """Information ratio of the daily rank IC: as :func:`icir_score`, with ranks.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels (NaN: unlabelled) and predictions.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: from the index of ``y_true``, else of ``y_pred``.

    Returns
    -------
    score : float
        Per day, not annualised. NaN if fewer than two days have a value; infinite if all days
        have the same one.

    Raises
    ------
    TypeError, ValueError
        As :func:`daily_ic`.

    Examples
    --------
    >>> from skattn.metrics import rank_icir_score
    >>> days = ["2024-01-02"] * 3 + ["2024-01-03"] * 3
    >>> round(rank_icir_score([1, 2, 3, 1, 2, 3], [1, 2, 9, 1, 9, 2], days=days), 3)
    2.121
    """
    return mean_over_std(daily_ic(y_true, y_pred, days=days, method="spearman"))


def correlate_days(rows: LabelledRows, method: Method) -> pd.Series:
    """Correlate labels with predictions on each day: :func:`daily_ic` of checked rows."""
    check_method(method)
    a, b = rows.y_true, rows.y_pred
    if method == "spearman":
        a, b = (pd.Series(values).groupby(rows.day).rank().to_numpy() for values in (a, b))
    n_days = len(rows.calendar)
    a, b = (_center_days(values, rows.day, n_days) for values in (a, b))
    # No stock, a single one, or all equal: 0 / 0, the NaN that such a day should have.
    with np.errstate(invalid="ignore"):
        product, square_a, square_b = (
            np.bincount(rows.day, weights=values, minlength=n_days)
            for values in (a * b, a * a, b * b)
        )
        ic = np.clip(product / np.sqrt(square_a * square_b), -1.0, 1.0)
    return pd.Series(ic, index=rows.calendar, name=NAMES[method])


def check_method(method: Any) -> None:
    """Raise where ``method`` is none of those of :func:`daily_ic`."""
    # A tuple, as what is not hashable may have been given.
    if method not in tuple(NAMES):
        raise ValueError(f"method must be 'pearson' or 'spearman'; got {method!r}.")


def _center_days(values: np.ndarray, day: np.ndarray, n_days: int) -> np.ndarray:
    """Scale each day to [0, 1] and subtract its mean; NaN on a day of equal values.

    The range goes first: it tells equal values exactly, and neither a large offset nor very
    large or small values can then lose the digits in which stocks differ.
    """
    low, high = range_of_days(values, day, n_days)
    with np.errstate(invalid="ignore"):
        scaled = (values - low[day]) / (high - low)[day]
        total = np.bincount(day, weights=scaled, minlength=n_days)
        stocks = np.bincount(day, minlength=n_days)
        return scaled - (total / stocks)[day]


def mean(ic: pd.Series) -> float:
    """Mean over the days that have a value."""
    return float(ic.mean())


def mean_over_std(ic: pd.Series) -> float:
    """Mean over standard deviation, over the days that have a value."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(ic.mean(), ic.std(ddof=1)))
