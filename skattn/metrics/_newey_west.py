"""t-value of the mean of a daily series whose neighbouring days overlap."""

from __future__ import annotations

import numpy as np


def newey_west_t(values: np.ndarray, lags: int) -> float:
    """t-value of a mean, robust to heteroskedasticity and to autocorrelation up to ``lags``.

    Newey and West's long-run variance sums autocovariances with Bartlett's weights
    ``1 - lag / (lags + 1)``. There is no correction for small samples.

    Parameters
    ----------
    values : ndarray of shape (n_days,)
        One value per day, in calendar order; NaN on a day without a value. A NaN day keeps its
        place, so lags still count days, and adds nothing to any autocovariance.
    lags : int
        Number of preceding days with which a day is correlated; 0 for none.

    Returns
    -------
    t : float
        NaN below ``2 * (lags + 1)`` values: the variance estimate collapses, because deviations
        from the mean sum to zero.

    References
    ----------
    W. Newey and K. West (1987), "A Simple, Positive Semi-Definite, Heteroskedasticity and
    Autocorrelation Consistent Covariance Matrix", Econometrica 55.
    D. Datta and W. Du (2012), "Nonparametric HAC Estimation for Time Series Data with Missing
    Observations", Federal Reserve Board IFDP 1060 (its amplitude modulated estimator).
    """
    known = ~np.isnan(values)
    n_known = np.count_nonzero(known)
    if n_known < 2 * (lags + 1):
        return np.nan
    mean = values[known].mean()
    deviation = np.where(known, values - mean, 0.0)
    long_run = float(deviation @ deviation)
    for lag in range(1, lags + 1):
        long_run += 2 * (1 - lag / (lags + 1)) * float(deviation[lag:] @ deviation[:-lag])
    # Bartlett's weights make the variance at least 0, up to rounding.
    error = np.sqrt(max(long_run, 0.0)) / n_known
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(mean, error))


def usual_lags(n_days: int) -> int:
    """Give the usual number of lags for T days: floor(4 (T / 100) ** (2 / 9)).

    References
    ----------
    W. Newey and K. West (1994), "Automatic Lag Selection in Covariance Matrix Estimation",
    Review of Economic Studies 61.
    """
    return int(4 * (n_days / 100) ** (2 / 9))
