"""Summary table of a signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from skattn.labels import holding_days
from skattn.metrics._signals import SIGNAL, read_signals
from skattn.metrics._summary import add_differences, daily_table, summarise
from skattn.panel import align_y
from skattn.parameters import as_array, check_lengths, check_value, from_tensor
from skattn.utils import warn_user


@overload
def signal_report(
    y_true: Any,
    y_pred: Mapping[str, Any],
    *,
    days: Any = None,
    by: Any = None,
    quantile: float = 0.2,
    lags: int | Literal["auto"] = "auto",
    days_per_year: float = 252,
) -> pd.DataFrame: ...


@overload
def signal_report(
    y_true: Any,
    y_pred: Any,
    *,
    days: Any = None,
    by: None = None,
    quantile: float = 0.2,
    lags: int | Literal["auto"] = "auto",
    days_per_year: float = 252,
) -> pd.Series: ...


@overload
def signal_report(
    y_true: Any,
    y_pred: Any,
    *,
    days: Any = None,
    by: Any,
    quantile: float = 0.2,
    lags: int | Literal["auto"] = "auto",
    days_per_year: float = 252,
) -> pd.DataFrame: ...


def signal_report(
    y_true: Any,
    y_pred: Any,
    *,
    days: Any = None,
    by: Any = None,
    quantile: float = 0.2,
    lags: int | Literal["auto"] = "auto",
    days_per_year: float = 252,
) -> pd.Series | pd.DataFrame:
    """Summarise how well predictions rank stocks within days, and the returns of the ranking.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels. A row whose label is NaN is unlabelled and left out. ``long_short`` and ``average``
        are returns only if the labels are simple returns, not ranks or scores of returns.
    y_pred : array-like of shape (n_samples,), mapping of str to array-like, or DataFrame
        Predictions of the same rows, in any unit. Several signals, as ``{"ALSTM": a, "ridge": b}``
        or a table with two or more columns, each have a prediction for each row. A table of one
        column is one signal.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: taken from the index of ``y_true``, else of ``y_pred``, else
        of the first signal that has days.
    by : {"day", "month", "year"}, array-like of shape (n_samples,), or None, default=None
        None: one summary of all days. "month", "year": one summary per month or year. An array:
        one summary per distinct value, such as the fold that predicted a row or the row's sector.
        "day": the daily values themselves.
    quantile : float in (0, 0.5], default=0.2
        Share of a day's labelled stocks that is bought, and share that is sold short. The number
        of stocks is rounded down.
    lags : int or "auto", default="auto"
        Number of neighbouring days, in calendar order, that the t-values treat as correlated
        (Newey and West's estimator with Bartlett's weights). "auto": ``horizon - 1``, the days by
        which the returns of two labels overlap. The horizon comes from ``y_true.attrs``, which
        :func:`skattn.make_label` sets (``lags`` is 0 for its default label). Without a horizon,
        "auto" is the usual ``floor(4 * (days / 100) ** (2 / 9))``. A t-value of fewer than
        ``2 * (lags + 1)`` days is NaN.
    days_per_year : float, default=252
        Trading days per year, for the annual figures.

    Returns
    -------
    report : pandas.Series or pandas.DataFrame
        The same figures, in the same order and as float, for one signal or several and whatever
        ``by`` is, except "day". One signal: a Series with ``by=None``, or a DataFrame with one row
        per group. Several signals, also a mapping of one: a DataFrame indexed by ``signal``, or by
        ``signal`` and group, in the order in which the signals are given:

        - ``ic``, ``icir``, ``ic_t``: mean of :func:`daily_ic`, mean over standard deviation (per
          day, not annualised), and t-value of the mean;
        - ``rank_ic``, ``rank_icir``, ``rank_ic_t``: the same figures for the rank IC;
        - ``long_short``, ``long_short_t``: mean label of the top quantile minus mean label of the
          bottom quantile, averaged over days, and its t-value;
        - ``long_short_annual``, ``long_short_sharpe``: ``long_short`` per year, and its annualised
          mean over standard deviation;
        - ``average_annual``, ``average_sharpe``: the same figures for the mean label of all stocks;
        - ``days``: days that have an IC; all figures above use only such days;
        - ``days_too_few``: days left out because they have fewer than two labelled stocks;
        - ``days_constant``: days left out because of equal labels or equal predictions, that is
          ``days_constant_labels`` plus ``days_constant_predictions``;
        - ``days_long_short``: days among ``days`` that have a stock in each quantile, which takes
          ``1 / quantile`` labelled stocks; the other days count in the IC only;
        - ``stocks``: mean number of labelled stocks on the days in ``days``;
        - ``lags``: lags of the t-values;
        - ``ic_diff``, ``ic_diff_t``: mean of the daily IC minus the daily IC of the first signal,
          over the days that have both, and its t-value. NaN for the first signal, and for one
          signal;
        - ``rank_ic_diff``, ``rank_ic_diff_t``: the same figures for the rank IC.

        With ``by="day"``, a DataFrame with one row per day, indexed by ``datetime``, or by
        ``signal`` and ``datetime``: ``ic``, ``rank_ic``, ``long`` and
        ``short`` (mean labels of the quantiles), ``long_short``, ``average``, ``stocks``, and
        ``left_out``, the reason why a day has no values (missing if the day has values).

    Raises
    ------
    TypeError
        As for :func:`daily_ic`.
    ValueError
        As for :func:`daily_ic`, but a (datetime, instrument) key may occur once in each group of
        an array ``by``; messages name the signal. Also if signals are of different rows, have no
        names or equal names, ``by`` is an unknown name or has missing values, or another
        parameter is out of range.

    See Also
    --------
    daily_ic : IC or rank IC by day.
    quantile_returns : Mean labels from the lowest to the highest predictions.
    SignalDisplay : Draws the results, of several signals, too.

    Notes
    -----
    Stocks with equal predictions at the edge of a quantile share the remaining places, so the
    order of rows does not matter.

    If ``y_true.attrs`` has a ``horizon`` of h days, a label is the return of h days. A position
    is then held for h days, and 1 / h of the capital is renewed each day. Annual returns are the
    mean times ``days_per_year / h``. Sharpe ratios are multiplied by the square root of
    ``days_per_year / h``. Without a horizon, h is 1.

    Below ``2 * (lags + 1)`` days a t-value is NaN. Deviations from a mean sum to zero, so Newey
    and West's variance estimate shrinks to zero as the lags approach the number of days, and the
    t-value grows without bound.

    The t-value of a difference follows the same rules: ``lags`` is the same for all signals, and
    the usual number is that of the days that have both ICs. Most of what moves an IC from day to
    day moves the ICs of all signals, so a difference is surer than the ICs themselves. Differences
    of 1e-12 or less are rounding and count as 0.

    A day without a value keeps its place in the series of a t-value and counts as equal to the
    mean, so lags count calendar days. The calendar holds the days of all rows, labelled or not.
    A day without any row is not in the calendar.

    References
    ----------
    qlib, ``SigAnaRecord`` in ``qlib/workflow/record_temp.py`` and ``calc_long_short_return`` in
    ``qlib/contrib/eva/alpha.py``. qlib's long-short return is half of ``long_short``, because its
    capital covers both sides; the Sharpe ratio is the same. qlib calls ``average`` "Long-Avg".

    W. Newey and K. West (1987), "A Simple, Positive Semi-Definite, Heteroskedasticity and
    Autocorrelation Consistent Covariance Matrix", Econometrica 55.

    Examples
    --------
    >>> from skattn.metrics import signal_report
    >>> days = ["2024-01-02"] * 3 + ["2024-01-03"] * 3 + ["2024-01-04"] * 3
    >>> y_true = [1, 2, 3, 1, 2, 3, 1, 2, 3]
    >>> y_pred = [1, 2, 3, 1, 3, 2, 7, 7, 7]
    >>> signal_report(y_true, y_pred, days=days, quantile=0.5, lags=0).round(3)
    ic                            0.750
    icir                          2.121
    ic_t                          4.243
    rank_ic                       0.750
    rank_icir                     2.121
    rank_ic_t                     4.243
    long_short                    1.500
    long_short_t                  4.243
    long_short_annual           378.000
    long_short_sharpe            33.675
    average_annual              504.000
    average_sharpe                  inf
    days                          2.000
    days_too_few                  0.000
    days_constant                 1.000
    days_constant_labels          0.000
    days_constant_predictions     1.000
    days_long_short               2.000
    stocks                        3.000
    lags                          0.000
    ic_diff                         NaN
    ic_diff_t                       NaN
    rank_ic_diff                    NaN
    rank_ic_diff_t                  NaN
    Name: signal, dtype: float64

    >>> signal_report(y_true, y_pred, days=days, by="day")[["ic", "stocks", "left_out"]]
                 ic  stocks              left_out
    datetime
    2024-01-02  1.0       3                   NaN
    2024-01-03  0.5       3                   NaN
    2024-01-04  NaN       3  constant predictions

    Two signals, on the days that have an IC of both:

    >>> signals = {"one": y_pred, "two": [3, 2, 1, 1, 2, 3, 1, 2, 3]}
    >>> report = signal_report(y_true, signals, days=days, quantile=0.5, lags=0)
    >>> report[["ic", "days", "ic_diff", "ic_diff_t"]].round(3)
               ic  days  ic_diff  ic_diff_t
    signal
    one     0.750   2.0      NaN        NaN
    two     0.333   3.0    -0.75     -0.849

    By fold, where each fold predicts the days after its training days:

    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from skattn.datasets import make_market
    >>> from skattn.model_selection import DailyTimeSeriesSplit
    >>> label = make_market(n_stocks=5, n_days=60, random_state=0).label.dropna()
    >>> X = label.groupby(level="instrument").shift(5).fillna(0).to_frame("past")
    >>> predicted, fold = label * 0, pd.Series(-1, index=label.index, name="fold")
    >>> for k, (train, test) in enumerate(DailyTimeSeriesSplit(n_splits=3).split(X)):
    ...     model = LinearRegression().fit(X.iloc[train], label.iloc[train])
    ...     predicted.iloc[test], fold.iloc[test] = model.predict(X.iloc[test]), k
    >>> tested = fold >= 0
    >>> signal_report(label[tested], predicted[tested], by=fold[tested])[["days", "stocks"]]
          days  stocks
    fold
    0     ...
    1     ...
    2     ...
    """
    quantile = check_value("quantile", quantile, "float", above=0, at_most=0.5)
    lags = check_value("lags", lags, "int | str", at_least=0, one_of=("auto",))
    days_per_year = check_value("days_per_year", days_per_year, "float", above=0)
    signals = read_signals(y_pred)
    row_days = signals.days(y_true, days)
    by_day = isinstance(by, str) and by == "day"
    groups = None if by is None or by_day else _groups_of(by, row_days, y_true)
    tables = {
        name: daily_table(rows, quantile)
        for name, rows in signals.rows(y_true, row_days, groups).items()
    }
    if by_day:
        return signals.join(tables)
    holding = holding_days(y_true)
    if holding is None and lags == "auto" and len(row_days):
        warn_user(
            'Over how many days a label is earned is not known, so lags="auto" takes the usual '
            "number for a series of this length, which is too small for labels that overlap for "
            'longer. Tell the days with y_true.attrs["horizon"] and ["reach"], as '
            "skattn.make_label does, or pass lags=<days>."
        )
    calendar = row_days.unique().sort_values()
    first = next(iter(tables))
    reports = {}
    for name, table in tables.items():
        table = add_differences(table, None if name == first else tables[first])
        parts = [table]
        if groups is not None:
            by_group = table.groupby(level=0, sort=False, observed=True)
            parts = [part.droplevel(0) for _, part in by_group]
        summaries = [summarise(part, calendar, lags, holding, days_per_year) for part in parts]
        index = [SIGNAL] if groups is None else table.index.unique(level=0)
        reports[name] = pd.DataFrame(summaries, index=index, dtype=float)
    if groups is None:
        report = pd.concat(reports, names=[SIGNAL]).droplevel(1)
        return report if signals.are_several else report.loc[SIGNAL]
    return signals.join(reports)


def _groups_of(by: Any, row_days: pd.DatetimeIndex, y_true: Any) -> pd.Index:
    """Group of each row."""
    if isinstance(by, str):
        if by not in ("month", "year"):
            raise ValueError(
                f"by must be None, 'day', 'month', 'year' or an array with one group per row, such "
                f"as fold numbers; got {by!r}."
            )
        return (row_days.to_period("M") if by == "month" else row_days.year).rename(by)
    by = from_tensor(by)
    if not hasattr(by, "dtype"):
        by = as_array("by", by)
    if np.ndim(by) != 1:
        raise ValueError(f"by must be a name or one group per row; got {np.ndim(by)} dimensions.")
    check_lengths({"y_true": y_true, "by": by})
    align_y(y_true, by, names=("y_true", "by"))
    groups = pd.Index(by, name=getattr(by, "name", None) or "group")
    if missing := np.count_nonzero(groups.isna()):
        raise ValueError(
            f"by has {missing} missing values among {len(groups)}. Give each row a group, or drop "
            f"the rows without a group."
        )
    return groups
