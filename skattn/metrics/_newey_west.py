"""Standard error and t-value of the mean of a daily series whose neighbouring days overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from skattn.parameters import check_numbers, check_value


def newey_west_t(values: np.ndarray, lags: int) -> float:
    """t-value of a mean: the mean over its :func:`newey_west_error`; NaN where the error is."""
    error = newey_west_error(values, lags)
    if np.isnan(error):
        return np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(np.nanmean(values), error))


def newey_west_error(values: Any, lags: int) -> float:
    """Standard error of a mean, robust to heteroskedasticity and autocorrelation up to ``lags``.

    Newey and West's long-run variance sums autocovariances with Bartlett's weights
    ``1 - lag / (lags + 1)``. There is no correction for small samples.

    Parameters
    ----------
    values : array-like of shape (n_days,)
        One value per day, in calendar order; NaN on a day without a value. A NaN day keeps its
        place, so lags still count days, and adds nothing to any autocovariance.
    lags : int
        Number of preceding days with which a day is correlated; 0 for none.

    Returns
    -------
    error : float
        NaN below ``2 * (lags + 1)`` values: the variance estimate collapses, because deviations
        from the mean sum to zero.

    Raises
    ------
    ValueError
        ``values`` are no numbers, have another shape or are infinite, or ``lags`` is negative.

    References
    ----------
    W. Newey and K. West (1987), "A Simple, Positive Semi-Definite, Heteroskedasticity and
    Autocorrelation Consistent Covariance Matrix", Econometrica 55.
    D. Datta and W. Du (2012), "Nonparametric HAC Estimation for Time Series Data with Missing
    Observations", Federal Reserve Board IFDP 1060 (its amplitude modulated estimator).

    Examples
    --------
    >>> from skattn.metrics import newey_west_error
    >>> newey_west_error([1.0, 2.0, 3.0, 2.0], lags=0)
    0.3535533905932738
    """
    values = check_numbers("values", values)
    lags = check_value("lags", lags, "int", at_least=0)
    if np.isinf(values).any():
        raise ValueError(f"values must be finite or NaN; got {np.isinf(values).sum()} infinite.")
    known = ~np.isnan(values)
    n_known = np.count_nonzero(known)
    if n_known < 2 * (lags + 1):
        return np.nan
    deviation = np.where(known, values - values[known].mean(), 0.0)
    long_run = float(deviation @ deviation)
    for lag in range(1, lags + 1):
        long_run += 2 * (1 - lag / (lags + 1)) * float(deviation[lag:] @ deviation[:-lag])
    # Bartlett's weights make the variance at least 0, up to rounding.
    return float(np.sqrt(max(long_run, 0.0)) / n_known)


def usual_lags(n_days: int) -> int:
    """Give the usual number of lags for T days: floor(4 (T / 100) ** (2 / 9)).

    Parameters
    ----------
    n_days : int
        Number of days T that have a value.

    Returns
    -------
    lags : int

    Raises
    ------
    ValueError
        ``n_days`` is negative.

    References
    ----------
    W. Newey and K. West (1994), "Automatic Lag Selection in Covariance Matrix Estimation",
    Review of Economic Studies 61.

    Examples
    --------
    >>> from skattn.metrics import usual_lags
    >>> usual_lags(250)
    4
    """
    n_days = check_value("n_days", n_days, "int", at_least=0)
    return int(4 * (n_days / 100) ** (2 / 9))
