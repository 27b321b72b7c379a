"""How sure the mean of a daily series is, where neighbouring days overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from skattn._params import is_count
from skattn.panel import label_reach


def newey_west_t(values: np.ndarray, lags: int) -> float:
    """t-value of a mean, robust to heteroskedasticity and to autocorrelation up to some lag.

    The long-run variance is that of Newey and West: autocovariances with Bartlett's weights
    ``1 - lag / (lags + 1)``, and no correction for small samples.

    Parameters
    ----------
    values : ndarray of shape (n_days,)
        One value a day, in the calendar's order; NaN on a day without one. Such a day keeps its
        place, so that lags go on counting days, and adds nothing to any autocovariance.
    lags : int
        Days that a day is correlated with; 0 for none.

    Returns
    -------
    t : float
        NaN for fewer than ``2 * (lags + 1)`` values: the deviations from the mean sum to zero, so
        that the variance, too, shrinks to zero as the lags near the length of the series.

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
    # Bartlett's weights make it at least 0, up to rounding.
    error = np.sqrt(max(long_run, 0.0)) / n_known
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(mean, error))


def holding_days(y: Any) -> int | None:
    """Read from labels over how many days their return is earned: horizon - delay.

    Parameters
    ----------
    y : object
        Labels. ``skattn.preprocessing.make_label`` tells both in ``attrs``.

    Returns
    -------
    days : int or None
        None where y does not tell.

    Raises
    ------
    ValueError
        ``attrs`` tells a horizon or a delay that cannot be.
    """
    horizon = label_reach(y)
    if horizon is None or "delay" not in y.attrs:
        return None
    delay = y.attrs["delay"]
    if not is_count(delay) or delay >= horizon:
        raise ValueError(
            f'y_true.attrs["delay"] must be an int, at least 0 and less than '
            f'y_true.attrs["horizon"], which is {horizon}; got {delay!r}.'
        )
    return horizon - int(delay)


def usual_lags(n_days: int) -> int:
    """Give the lags for a series of which nothing is known: floor(4 (T / 100) ** (2 / 9)).

    References
    ----------
    W. Newey and K. West (1994), "Automatic Lag Selection in Covariance Matrix Estimation",
    Review of Economic Studies 61.
    """
    return int(4 * (n_days / 100) ** (2 / 9))
