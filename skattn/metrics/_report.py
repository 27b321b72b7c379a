"""The usual table about one signal."""

from __future__ import annotations

from typing import Any

import pandas as pd

from skattn.metrics._ic import correlate_days, labelled_rows, mean, mean_over_std


def signal_report(y_true: Any, y_pred: Any, *, days: Any = None) -> pd.Series:
    """Summarise how well predictions rank stocks within days.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels (NaN: unlabelled) and predictions, in any unit.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: from the index of ``y_true``, else of ``y_pred``.

    Returns
    -------
    report : pandas.Series of float
        - ``ic``, ``icir``, ``rank_ic``, ``rank_icir``: mean of :func:`daily_ic`, and mean over
          standard deviation (per day, not annualised), for both methods;
        - ``days``: days that have a value and count in these;
        - ``days_too_few``: days without one, for having fewer than two labelled stocks;
        - ``days_constant``: days without one, for equal predictions or equal labels;
        - ``stocks``: mean number of labelled stocks on the days that count.

    Raises
    ------
    TypeError, ValueError
        As :func:`daily_ic`.

    See Also
    --------
    daily_ic : The values by day.

    References
    ----------
    qlib, ``SigAnaRecord`` in ``qlib/workflow/record_temp.py`` (IC, ICIR, Rank IC, Rank ICIR).

    Examples
    --------
    >>> from skattn.metrics import signal_report
    >>> days = ["2024-01-02"] * 3 + ["2024-01-03"] * 3 + ["2024-01-04"] * 3
    >>> y_true = [1, 2, 3, 1, 2, 3, 1, 2, 3]
    >>> y_pred = [1, 2, 3, 1, 3, 2, 7, 7, 7]
    >>> signal_report(y_true, y_pred, days=days).round(3)
    ic               0.750
    icir             2.121
    rank_ic          0.750
    rank_icir        2.121
    days             2.000
    days_too_few     0.000
    days_constant    1.000
    stocks           3.000
    Name: signal, dtype: float64
    """
    rows = labelled_rows(y_true, y_pred, days)
    ic = correlate_days(rows, "pearson")
    rank_ic = correlate_days(rows, "spearman")
    counts, too_few = ic.notna(), rows.stocks < 2
    report = {
        "ic": mean(ic),
        "icir": mean_over_std(ic),
        "rank_ic": mean(rank_ic),
        "rank_icir": mean_over_std(rank_ic),
        "days": counts.sum(),
        "days_too_few": too_few.sum(),
        "days_constant": (~counts & ~too_few).sum(),
        "stocks": pd.Series(rows.stocks)[counts.to_numpy()].mean(),
    }
    return pd.Series(report, name="signal", dtype=float)
