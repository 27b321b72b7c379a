"""Mean labels of stocks grouped by their predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skattn.metrics._rows import LabelledRows, left_out
from skattn.metrics._signals import read_signals
from skattn.parameters import check_value


def quantile_returns(
    y_true: Any, y_pred: Any, *, days: Any = None, n_quantiles: int = 5
) -> pd.DataFrame:
    """Mean label of each day's stocks in groups of equal size, from lowest to highest prediction.

    Each stock in a tie of equal predictions counts with the mean label of the tied stocks, so the
    order of rows does not matter.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels, for example returns. A row whose label is NaN is unlabelled and left out.
    y_pred : array-like of shape (n_samples,), mapping of str to array-like, or DataFrame
        Predictions of the same rows, in any unit; several signals as for :func:`signal_report`.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: taken from the index of ``y_true``, else of ``y_pred``.
    n_quantiles : int, default=5
        Number of groups, at least 2. Group sizes differ by at most one stock.

    Returns
    -------
    returns : pandas.DataFrame of shape (n_days, n_quantiles)
        Mean labels in the unit of the labels, indexed by day, oldest first. Column 1 holds the
        lowest predictions. A day is NaN if it has fewer labelled stocks than groups, or if all
        its labels or all its predictions are equal. Of several signals, the tables stand below
        each other, indexed by (signal, datetime).

    Raises
    ------
    TypeError, ValueError
        As for :func:`daily_ic`; or ``n_quantiles`` is not an int of 2 to 1,000.

    See Also
    --------
    signal_report : Reports the return of the top quantile minus the return of the bottom quantile.
    SignalDisplay : Draws the mean labels.

    References
    ----------
    qlib, ``_group_return`` in ``qlib/contrib/report/analysis_model/analysis_model_performance.py``
    (whose first group is the best predicted).

    Examples
    --------
    >>> from skattn.metrics import quantile_returns
    >>> quantile_returns([1, 2, 3, 4], [1, 2, 3, 4], days=["2024-01-02"] * 4, n_quantiles=2)
    quantile      1    2
    datetime
    2024-01-02  1.5  3.5
    """
    n_quantiles = check_value("n_quantiles", n_quantiles, "int", at_least=2, at_most=1_000)
    signals = read_signals(y_pred)
    by_signal = signals.rows(y_true, signals.days(y_true, days))
    return signals.join({name: _means(rows, n_quantiles) for name, rows in by_signal.items()})


def _means(rows: LabelledRows, n_quantiles: int) -> pd.DataFrame:
    by_rank = sort_days(rows)
    stocks = rows.stocks[by_rank.day]
    # Each stock covers 1 / stocks of the day; its group is the group that holds the middle.
    group = (2 * by_rank.position + 1) * n_quantiles // (2 * stocks)
    shape = len(rows.calendar), n_quantiles
    cell = by_rank.day * n_quantiles + group
    with np.errstate(invalid="ignore"):
        means = np.bincount(cell, by_rank.label, np.prod(shape)) / np.bincount(
            cell, minlength=np.prod(shape)
        )
    means = means.reshape(shape)
    means[(rows.stocks < n_quantiles) | left_out(rows).notna()] = np.nan
    columns = pd.RangeIndex(1, n_quantiles + 1, name="quantile")
    return pd.DataFrame(means, index=rows.calendar, columns=columns)


def tail_returns(rows: LabelledRows, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean label of each day's stocks with the highest and with the lowest predictions.

    Each side holds the share ``quantile`` of the day's labelled stocks, rounded down. A day whose
    sides are empty is NaN.
    """
    by_rank = sort_days(rows)
    # 0.35 of 180 is 63, but slightly less in floating point.
    size = np.floor(rows.stocks * quantile + 1e-9).astype(int)
    short = by_rank.position < size[by_rank.day]
    long = by_rank.position >= (rows.stocks - size)[by_rank.day]
    with np.errstate(invalid="ignore"):
        return tuple(
            np.bincount(by_rank.day[side], by_rank.label[side], len(size)) / size
            for side in (long, short)
        )


@dataclass(frozen=True)
class RankedRows:
    """Rows ordered by day, and within the day from the lowest prediction to the highest.

    ``position`` counts from 0 within the day. Rows with equal predictions carry their mean label.
    """

    day: np.ndarray
    position: np.ndarray
    label: np.ndarray


def sort_days(rows: LabelledRows) -> RankedRows:
    """Order the stocks of each day by prediction."""
    order = np.lexsort((rows.y_pred, rows.day))
    day, prediction = rows.day[order], rows.y_pred[order]
    position = np.arange(len(day)) - (np.cumsum(rows.stocks) - rows.stocks)[day]
    differs = np.diff(prediction, prepend=np.nan) != 0
    tie = np.cumsum(differs | (position == 0)) - 1
    label = (np.bincount(tie, rows.y_true[order]) / np.bincount(tie))[tie]
    return RankedRows(day, position, label)
