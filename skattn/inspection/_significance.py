"""Whether the mean of a daily series differs from zero by more than chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from skattn.metrics import newey_west_error, usual_lags

KEYS = ("mean", "standard_error")


def mean_tests(daily: pd.DataFrame, lags: int | None = None) -> pd.DataFrame:
    """Test the mean of each column of daily values.

    Parameters
    ----------
    daily : DataFrame of shape (n_days, n_columns)
        A row for each day of the calendar, in order; NaN on days without a value.
    lags : int, default=None
        Days by which the values of neighbouring days overlap. None: the usual number.

    Returns
    -------
    tests : DataFrame
        A row for each column: ``standard_error`` (Newey and West), ``t``, the two-sided p-value
        ``p``, and ``p_holm``, the p-value after Holm's correction for the number of columns.

    Notes
    -----
    The t-value has no correction for small samples; ``p`` has two. Bartlett's weights lower the
    variance of values that overlap for as many days as there are lags: its expectation is the
    ratio of the sums of squared weights and of weights. Subtracting the mean lowers the variance,
    too. The t-value is divided by the root of both, and compared with Student's distribution with
    as many degrees of freedom as the variance estimate has.
    """
    rows = [_test_mean(daily[name].to_numpy(dtype=float), lags) for name in daily.columns]
    tests = pd.DataFrame(rows, daily.columns, ["standard_error", "t", "p"], dtype=float)
    return tests.assign(p_holm=holm(tests["p"].to_numpy()))


def _test_mean(values: np.ndarray, lags: int | None) -> tuple[float, float, float]:
    known = ~np.isnan(values)
    n_days = np.count_nonzero(known)
    if lags is None:
        lags = usual_lags(int(n_days))
    error = newey_west_error(values, lags)
    if np.isnan(error):
        return np.nan, np.nan, np.nan
    mean = values[known].mean()
    if error == 0:
        # Every day the same. By chance, n days have the same sign with a probability of 2 / 2^n.
        return (
            (0.0, 0.0, 1.0) if mean == 0 else (0.0, np.copysign(np.inf, mean), 2.0 ** (1 - n_days))
        )
    weights = np.arange(1, lags + 1) / (lags + 1)
    pairs = [np.count_nonzero(known[lag:] & known[:-lag]) for lag in range(lags, 0, -1)]
    total = n_days + 2 * float(weights @ pairs)
    squares = n_days + 2 * float(weights**2 @ pairs)
    inflation = total / squares / (1 - total / n_days**2)
    freedom = n_days**2 / squares - 1
    t = mean / error
    return error, t, float(2 * stats.t.sf(abs(t) / np.sqrt(inflation), freedom))


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p-values for their number as Holm (1979) does; NaN stays NaN and does not count."""
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def by_quarter(daily: pd.DataFrame, lags: int | None = None) -> pd.DataFrame:
    """Mean and standard error of each column by quarter.

    Returns
    -------
    quarters : DataFrame
        Columns of two levels: the column of ``daily``, and ``mean`` and ``standard_error``. Indexed
        by the quarter.
    """
    found = {}
    for quarter, days in daily.groupby(daily.index.to_period("Q")):
        tests = mean_tests(days, lags)
        found[quarter] = pd.concat([days.mean(), tests["standard_error"]], axis=1, keys=KEYS)
    stacked = pd.concat(found, names=["quarter", daily.columns.name])
    return stacked.unstack().swaplevel(axis=1)[daily.columns]
