"""Daily information coefficient, and scores that summarise the coefficient over days."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd

from skattn.metrics._columns import paired_columns
from skattn.metrics._rows import LabelledRows, labelled_rows, range_of_days
from skattn.parameters import check_value

Method = Literal["pearson", "spearman"]

NAMES = {"pearson": "ic", "spearman": "rank_ic"}


def daily_ic(
    y_true: Any,
    y_pred: Any,
    *,
    days: Any = None,
    method: Method = "pearson",
    sample_weight: Any = None,
) -> pd.Series:
    """Information coefficient of each day: correlation between predictions and labels.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels, in any unit, also as a polars Series or a torch tensor. A row whose label is NaN,
        missing or masked is unlabelled and left out.
    y_pred : array-like of shape (n_samples,)
        Predictions of the same rows, in any unit.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: taken from the index of ``y_true``, else of ``y_pred``.
    method : {"pearson", "spearman"}, default="pearson"
        "spearman" correlates ranks within the day. Ties share their average rank.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows within their day, at least 0, for "pearson". A row of weight 0 is left
        out. A rank correlation has no weights.

    Returns
    -------
    ic : pandas.Series of shape (n_days,)
        Values in [-1, 1], indexed by day, oldest first. The name is "ic", or "rank_ic" for
        "spearman". A day is NaN if it has fewer than two labelled stocks, or if all labels or
        all predictions of its labelled stocks are equal.

    Raises
    ------
    TypeError
        ``days`` are not dates, or ``y_true`` or ``y_pred`` are not numbers.
    ValueError
        The days are unknown; the lengths differ; two arguments are indexed by (datetime,
        instrument) but have different rows; a (datetime, instrument) key occurs twice; a
        prediction is NaN; a value is infinite; a weight is negative, NaN or infinite, or given for
        "spearman"; or the method is unknown.

    See Also
    --------
    signal_report : Full summary, which also counts the days without a value.

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
    check_value("method", method, "str", one_of=tuple(NAMES))
    if method == "spearman" and sample_weight is not None:
        raise ValueError(
            "sample_weight must be None for method='spearman': a rank correlation has no weights."
        )
    rows = labelled_rows(y_true, y_pred, days, sample_weight=sample_weight)
    return correlate_days(rows, method)


def ic_score(y_true: Any, y_pred: Any, *, days: Any = None, sample_weight: Any = None) -> float:
    """Mean daily information coefficient (IC).

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels (NaN means unlabelled) and predictions. The score of several columns is the mean over
        columns.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: taken from the index of ``y_true``, else of ``y_pred``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows within their day. Days count equally.

    Returns
    -------
    score : float
        Mean of :func:`daily_ic` over the days that have a value, in [-1, 1]. NaN if no day has a
        value.

    Raises
    ------
    TypeError, ValueError
        As for :func:`daily_ic`.

    Examples
    --------
    >>> from skattn.metrics import ic_score
    >>> ic_score([1, 2, 1, 2], [1, 2, 3, 4], days=["2024-01-02"] * 2 + ["2024-01-03"] * 2)
    1.0
    """
    return _score(mean, y_true, y_pred, days, "pearson", sample_weight)


def icir_score(y_true: Any, y_pred: Any, *, days: Any = None, sample_weight: Any = None) -> float:
    """Information ratio of the daily IC: its mean over its standard deviation.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels (NaN means unlabelled) and predictions. The score of several columns is the mean over
        columns.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: taken from the index of ``y_true``, else of ``y_pred``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows within their day. Days count equally.

    Returns
    -------
    score : float
        Mean over sample standard deviation (ddof=1) of :func:`daily_ic`, over the days that have
        a value. The ratio is per day, not annualised, as in qlib. NaN if fewer than two days have
        a value; infinite if all days have the same value.

    Raises
    ------
    TypeError, ValueError
        As for :func:`daily_ic`.

    Examples
    --------
    >>> from skattn.metrics import icir_score
    >>> days = ["2024-01-02"] * 3 + ["2024-01-03"] * 3
    >>> round(icir_score([1, 2, 3, 1, 2, 3], [1, 2, 3, 1, 3, 2], days=days), 3)
    2.121
    """
    return _score(mean_over_std, y_true, y_pred, days, "pearson", sample_weight)


def rank_ic_score(y_true: Any, y_pred: Any, *, days: Any = None) -> float:
    """Mean daily rank IC: :func:`ic_score` with Spearman's correlation.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels (NaN means unlabelled) and predictions. The score of several columns is the mean over
        columns.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: taken from the index of ``y_true``, else of ``y_pred``.

    Returns
    -------
    score : float
        Value in [-1, 1]; NaN if no day has a value.

    Raises
    ------
    TypeError, ValueError
        As for :func:`daily_ic`.

    Examples
    --------
    >>> from skattn.metrics import rank_ic_score
    >>> rank_ic_score([1, 2, 3], [1, 10, 1000], days=["2024-01-02"] * 3)
    1.0
    """
    return _score(mean, y_true, y_pred, days, "spearman")


def rank_icir_score(y_true: Any, y_pred: Any, *, days: Any = None) -> float:
    """Information ratio of the daily rank IC: :func:`icir_score` with Spearman's correlation.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels (NaN means unlabelled) and predictions. The score of several columns is the mean over
        columns.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: taken from the index of ``y_true``, else of ``y_pred``.

    Returns
    -------
    score : float
        Ratio per day, not annualised. NaN if fewer than two days have a value; infinite if all
        days have the same value.

    Raises
    ------
    TypeError, ValueError
        As for :func:`daily_ic`.

    Examples
    --------
    >>> from skattn.metrics import rank_icir_score
    >>> days = ["2024-01-02"] * 3 + ["2024-01-03"] * 3
    >>> round(rank_icir_score([1, 2, 3, 1, 2, 3], [1, 2, 9, 1, 9, 2], days=days), 3)
    2.121
    """
    return _score(mean_over_std, y_true, y_pred, days, "spearman")


def _score(
    summarise: Callable[[pd.Series], float],
    y_true: Any,
    y_pred: Any,
    days: Any,
    method: Method,
    sample_weight: Any = None,
) -> float:
    """Summarise the daily IC; of several columns, the mean over columns."""
    pairs = paired_columns(y_true, y_pred)
    beside = {"days": days, "sample_weight": sample_weight}
    scores = [summarise(daily_ic(*pair, method=method, **beside)) for pair in pairs]
    return float(np.mean(scores))


def correlate_days(rows: LabelledRows, method: Method) -> pd.Series:
    """Correlate labels with predictions on each day, for rows that are already checked."""
    method = check_value("method", method, "str", one_of=tuple(NAMES))
    a, b = rows.y_true, rows.y_pred
    if method == "spearman":
        a, b = (pd.Series(values).groupby(rows.day).rank().to_numpy() for values in (a, b))
    n_days = len(rows.calendar)
    a, b = (_center_days(values, rows.day, n_days, rows.weight) for values in (a, b))
    weight = 1.0 if rows.weight is None else rows.weight
    # A day with no stock, a single stock or equal values gives 0 / 0, which is the wanted NaN.
    with np.errstate(invalid="ignore"):
        product, square_a, square_b = (
            np.bincount(rows.day, weights=weight * values, minlength=n_days)
            for values in (a * b, a * a, b * b)
        )
        ic = np.clip(product / np.sqrt(square_a * square_b), -1.0, 1.0)
    return pd.Series(ic, index=rows.calendar, name=NAMES[method])


def _center_days(
    values: np.ndarray, day: np.ndarray, n_days: int, weight: np.ndarray | None
) -> np.ndarray:
    """Scale each day to [0, 1] and subtract its (weighted) mean; NaN on a day of equal values.

    Dividing by the range first detects equal values exactly. The digits in which stocks differ
    then survive a large offset and very large or small values.
    """
    low, high = range_of_days(values, day, n_days)
    with np.errstate(invalid="ignore", over="ignore"):
        if (high - low == np.inf).any():
            # The range of the largest numbers overflows, and the range of their halves does not.
            values, low, high = values / 2, low / 2, high / 2
        scaled = (values - low[day]) / (high - low)[day]
        weighted = scaled if weight is None else weight * scaled
        total = np.bincount(day, weights=weighted, minlength=n_days)
        size = np.bincount(day, weights=weight, minlength=n_days)
        return scaled - (total / size)[day]


def mean(ic: pd.Series) -> float:
    """Mean over the days that have a value."""
    return float(ic.mean())


def mean_over_std(ic: pd.Series) -> float:
    """Mean over standard deviation, over the days that have a value."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(ic.mean(), ic.std(ddof=1)))
