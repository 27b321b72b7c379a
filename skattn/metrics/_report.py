"""Summary table of a signal."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from skattn.labels import holding_days
from skattn.metrics._ic import correlate_days, mean, mean_over_std
from skattn.metrics._newey_west import newey_west_t, usual_lags
from skattn.metrics._quantiles import tail_returns
from skattn.metrics._rows import (
    REASONS,
    LabelledRows,
    check_lengths,
    labelled_rows,
    left_out,
    read_days,
)
from skattn.panel import align_y
from skattn.parameters import as_array, check_value, from_tensor
from skattn.utils import warn_user

TOO_FEW, CONSTANT_LABELS, CONSTANT_PREDICTIONS = REASONS


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
    y_pred : array-like of shape (n_samples,)
        Predictions of the same rows, in any unit.
    days : array-like of dates, shape (n_samples,), default=None
        Trading day of each row. None: taken from the index of ``y_true``, else of ``y_pred``.
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
        With ``by=None``, a Series of float. With groups, a DataFrame with one row per group:

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
        - ``lags``: lags of the t-values.

        With ``by="day"``, a DataFrame with one row per day: ``ic``, ``rank_ic``, ``long`` and
        ``short`` (mean labels of the quantiles), ``long_short``, ``average``, ``stocks``, and
        ``left_out``, the reason why a day has no values (missing if the day has values).

    Raises
    ------
    TypeError
        As for :func:`daily_ic`.
    ValueError
        As for :func:`daily_ic`, but a (datetime, instrument) key may occur once in each group of
        an array ``by``. Also if ``by`` is an unknown name or has missing values, or another
        parameter is out of range.

    See Also
    --------
    daily_ic : IC or rank IC by day.
    quantile_returns : Mean labels from the lowest to the highest predictions.
    SignalDisplay : Draws the results.

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
    Name: signal, dtype: float64

    >>> signal_report(y_true, y_pred, days=days, by="day")[["ic", "stocks", "left_out"]]
                 ic  stocks              left_out
    datetime
    2024-01-02  1.0       3                   NaN
    2024-01-03  0.5       3                   NaN
    2024-01-04  NaN       3  constant predictions

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
    row_days = read_days(y_true, y_pred, days)
    by_day = isinstance(by, str) and by == "day"
    groups = None if by is None or by_day else _groups_of(by, row_days, y_true)
    rows = labelled_rows(y_true, y_pred, row_days, groups)
    table = _daily_table(rows, quantile)
    if by_day:
        return table
    holding = holding_days(y_true)
    if holding is None and lags == "auto" and len(table):
        warn_user(
            'Over how many days a label is earned is not known, so lags="auto" takes the usual '
            "number for a series of this length, which is too small for labels that overlap for "
            'longer. Tell the days with y_true.attrs["horizon"] and ["reach"], as '
            "skattn.make_label does, or pass lags=<days>."
        )
    calendar = rows.calendar.get_level_values(-1).unique().sort_values()
    if by is None:
        summary = _summarise(table, calendar, lags, holding, days_per_year)
        return pd.Series(summary, name="signal", dtype=float)
    summaries = [
        _summarise(part.droplevel(0), calendar, lags, holding, days_per_year)
        for _, part in table.groupby(level=0, sort=False, observed=True)
    ]
    return pd.DataFrame(summaries, index=table.index.unique(level=0), dtype=float)


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
    check_lengths(y_true=y_true, by=by)
    align_y(y_true, by, names=("y_true", "by"))
    groups = pd.Index(by, name=getattr(by, "name", None) or "group")
    if missing := np.count_nonzero(groups.isna()):
        raise ValueError(
            f"by has {missing} missing values among {len(groups)}. Give each row a group, or drop "
            f"the rows without a group."
        )
    return groups


def _daily_table(rows: LabelledRows, quantile: float) -> pd.DataFrame:
    """Make the table with one row per day: the report with ``by="day"``."""
    long, short = tail_returns(rows, quantile)
    stocks = rows.stocks
    with np.errstate(invalid="ignore"):
        average = np.bincount(rows.day, rows.y_true, len(stocks)) / stocks
    values = pd.DataFrame(
        {
            "ic": correlate_days(rows, "pearson"),
            "rank_ic": correlate_days(rows, "spearman"),
            "long": long,
            "short": short,
            "long_short": long - short,
            "average": average,
        },
        index=rows.calendar,
    )
    reason = left_out(rows)
    values[reason.notna()] = np.nan
    return values.assign(stocks=stocks, left_out=reason)


def _summarise(
    table: pd.DataFrame,
    calendar: pd.Index,
    lags: int | Literal["auto"],
    holding: int | None,
    days_per_year: float,
) -> dict[str, float]:
    """Summarise the days of a table. The calendar also has the days in between."""
    reason = table["left_out"]
    counts = reason.isna()
    n_days = int(counts.sum())
    if lags == "auto":
        lags = usual_lags(n_days) if holding is None else holding - 1

    def t_value(name: str) -> float:
        return newey_west_t(table[name].reindex(calendar).to_numpy(), lags)

    periods = days_per_year / (holding or 1)
    constant_labels = int((reason == CONSTANT_LABELS).sum())
    constant_predictions = int((reason == CONSTANT_PREDICTIONS).sum())
    return {
        "ic": mean(table["ic"]),
        "icir": mean_over_std(table["ic"]),
        "ic_t": t_value("ic"),
        "rank_ic": mean(table["rank_ic"]),
        "rank_icir": mean_over_std(table["rank_ic"]),
        "rank_ic_t": t_value("rank_ic"),
        "long_short": mean(table["long_short"]),
        "long_short_t": t_value("long_short"),
        "long_short_annual": mean(table["long_short"]) * periods,
        "long_short_sharpe": mean_over_std(table["long_short"]) * periods**0.5,
        "average_annual": mean(table["average"]) * periods,
        "average_sharpe": mean_over_std(table["average"]) * periods**0.5,
        "days": n_days,
        "days_too_few": int((reason == TOO_FEW).sum()),
        "days_constant": constant_labels + constant_predictions,
        "days_constant_labels": constant_labels,
        "days_constant_predictions": constant_predictions,
        "days_long_short": int(table["long_short"].count()),
        "stocks": table["stocks"][counts].mean(),
        "lags": lags,
    }
