"""Whether the mean of a daily series differs from zero by more than chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from skattn.metrics import newey_west_error, usual_lags

KEYS = ("mean", "standard_error")
# The mean of equal values differs from the values by rounding.
ROUNDING = 1e-12


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
    The t-value has no correction for small samples; ``p`` has two. Newey and West's variance is too
    small where values overlap for as many days as there are lags, and where the days are few. The
    t-value is divided by the root of what the variance is expected to lack, and compared with
    Student's distribution with the degrees of freedom of the variance. Without overlap this is the
    t-test. With overlap, ``p`` is NaN below ``4 * (lags + 1)`` days, which leave too few degrees of
    freedom.
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
    if error <= ROUNDING * abs(mean):
        # Every day the same. By chance, n days have the same sign with a probability of 2 / 2^n.
        return (
            (0.0, 0.0, 1.0) if mean == 0 else (0.0, np.copysign(np.inf, mean), 2.0 ** (1 - n_days))
        )
    inflation, freedom = _of_overlap(known, lags)
    t = mean / error
    if lags and n_days < 4 * (lags + 1):
        return error, t, np.nan
    return error, t, float(2 * stats.t.sf(abs(t) / np.sqrt(inflation), freedom))


def _of_overlap(known: np.ndarray, lags: int) -> tuple[float, float]:
    """How much Newey and West's variance falls short, and its degrees of freedom.

    The values are taken to overlap as returns of ``lags + 1`` days do, so that their
    autocorrelations equal Bartlett's weights.
    """
    n_days = np.count_nonzero(known)
    # From the largest lag down to 1.
    weights = np.arange(1, lags + 1) / (lags + 1)
    pairs = np.array([np.count_nonzero(known[k:] & known[:-k]) for k in range(lags, 0, -1)])
    shares = weights * pairs / n_days
    true = 1 + 2 * shares.sum()
    expected = 1 + 2 * float(weights @ shares)
    both_sides = np.concatenate([shares, [1.0], shares[::-1]])
    spread = (np.convolve(both_sides, both_sides) ** 2).sum()
    # Subtracting the mean takes the variance of the mean away.
    return true / (expected - true**2 / n_days), n_days * expected**2 / spread - 1


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p-values for their number as Holm (1979) does; NaN stays NaN and does not count."""
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def by_quarter(daily: pd.DataFrame, lags: int | None = None) -> pd.DataFrame:
    """Mean and standard error of each column by quarter; quarters without a value are left out.

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
    quarters = stacked.unstack().swaplevel(axis=1)[daily.columns]
    return quarters.dropna(how="all")
