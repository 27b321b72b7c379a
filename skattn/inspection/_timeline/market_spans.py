"""Spans of high attention, and what a market did in them."""

from __future__ import annotations

import numpy as np
import pandas as pd

# Days over which the usual volume of a day is looked up, and how few of them suffice.
VOLUME_DAYS, FEWEST_VOLUME_DAYS = 20, 5
# With fewer days there are fewer shifts, and no p-value can reach 0.05.
FEWEST_DAYS = 20
# Attention above the quantile by no more than this is rounding of equal weights.
ROUNDING = 1e-5

MARKET_COLUMNS = ("inside", "outside", "difference", "p_value")


def attention_by_date(weights: pd.DataFrame, date_of_step: np.ndarray) -> pd.Series:
    """Average the weights that a date gets, relative to what its lags usually get.

    The weights of a date are summed over the windows that contain it, and divided by the sum of the
    mean weights of the same lags. A sum over a sum, and not the mean of the quotients: a lag that
    hardly gets any weight would count as much as the lags on which the output rests.

    Parameters
    ----------
    weights : DataFrame of shape (N, T)
        Weight of each lag (columns) in the window that ends at each date (index).
    date_of_step : ndarray of int, shape (N, T)
        Row of the date of each step in the index of ``weights``; -1 where the step has none.

    Returns
    -------
    attention : Series of length N
        1 means as much as usual. NaN for a date whose windows hold less than half of what the
        windows of a date in the middle hold: a mean over few windows varies more, and the ends
        of the history would stand out for that reason alone.
    """
    values = weights.to_numpy(dtype=np.float64)
    there = (date_of_step >= 0) & ~np.isnan(values)
    counts = np.maximum(there.sum(axis=0), 1)
    usual = np.broadcast_to(np.where(there, values, 0.0).sum(axis=0) / counts, values.shape)
    dates = date_of_step[there]
    got, expected = (
        np.bincount(dates, each[there], minlength=len(weights)) for each in (values, usual)
    )
    enough = (expected > 0) & (expected >= expected.max() / 2)
    attention = np.full(len(weights), np.nan)
    np.divide(got, expected, out=attention, where=enough)
    return pd.Series(attention, index=weights.index, name="attention")


def is_high(attention: pd.Series, quantile: float) -> pd.Series:
    """Mark the dates with attention above the quantile; dates without attention are left out."""
    known = attention.dropna()
    return known > known.quantile(quantile) + ROUNDING


def spans_of(attention: pd.Series, high: pd.Series) -> pd.DataFrame:
    """Join neighbouring dates of high attention.

    Parameters
    ----------
    attention : Series by date
        Attention to each date.
    high : Series of bool, by date
        The result of :func:`is_high`.

    Returns
    -------
    spans : DataFrame
        ``start``, ``end``, ``days`` (number of dates) and ``attention`` (mean) of each span.
    """
    dates, inside = high.index, high.to_numpy()
    edges = np.diff(inside.astype(np.int8), prepend=0, append=0)
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    values = attention.reindex(dates).to_numpy()
    means = [values[start:stop].mean() for start, stop in zip(starts, stops, strict=True)]
    columns = {"start": dates[starts], "end": dates[stops - 1], "days": stops - starts}
    return pd.DataFrame({**columns, "attention": np.asarray(means, dtype=float)})


def market_of(series: pd.DataFrame) -> pd.DataFrame:
    """Compute by day what is compared: of prices the return, of other series the level.

    Parameters
    ----------
    series : DataFrame by day
        ``close``, and ``volume`` where it is known; or one column of any other name.

    Returns
    -------
    market : DataFrame by day
        ``return``, ``volatility`` (absolute return) and ``volume`` (logarithm of the volume
        relative to its median over the 20 days before, which takes out the level and its trend);
        or ``level`` and ``change`` of the series.
    """
    if "close" not in series:
        values = series.iloc[:, 0]
        return pd.DataFrame({"level": values, "change": values.diff()})
    returns = series["close"].pct_change(fill_method=None)
    market = pd.DataFrame({"return": returns, "volatility": returns.abs()})
    if "volume" in series:
        rolling = series["volume"].rolling(VOLUME_DAYS, min_periods=FEWEST_VOLUME_DAYS)
        market["volume"] = np.log(series["volume"]) - np.log(rolling.median().shift())
    return market


def compare_market(high: pd.Series, market: pd.DataFrame) -> pd.DataFrame:
    """Compare the market in the spans with all other days.

    Parameters
    ----------
    high : Series of bool, by date
        Whether the date lies in a span.
    market : DataFrame by day
        A column for each row of the result. Days beside those of ``high`` do not count.

    Returns
    -------
    table : DataFrame
        ``inside`` and ``outside`` (means), ``difference`` and ``p_value`` of each column of
        ``market``.
    """
    market = market.reindex(high.index)
    rows = [compare_days(high.to_numpy(), values.to_numpy()) for _, values in market.items()]
    return pd.DataFrame(rows, index=market.columns, columns=list(MARKET_COLUMNS))


def compare_days(inside: np.ndarray, values: np.ndarray) -> tuple[float, float, float, float]:
    """Compare the mean of some days with the mean of the others, by a test of circular shifts.

    Attention and volatility both come in clusters. A permutation of single days would break up the
    clusters and call any two clustered series related. A shift of all the marks by the same number
    of days, from the end round to the start, keeps both series as they are and changes only how
    they lie against each other. Every shift is used, so that nothing is drawn at random.

    Parameters
    ----------
    inside : ndarray of bool, shape (n_days,)
        Whether the day counts for the first mean.
    values : ndarray of float, shape (n_days,)
        Values in the order of the days. Days with NaN are left out.

    Returns
    -------
    inside, outside, difference : float
        Both means, and the first less the second. NaN where there is no such day.
    p_value : float
        Share of the shifts, no shift included, whose difference is at least as large in absolute
        value. NaN with fewer than 20 days, or where one of the means is NaN.

    References
    ----------
    Lotwick, Silverman 1982, "Methods for Analysing Spatial Processes of Several Types of Points",
    J. R. Statist. Soc. B 44, for the test by shifts on a circle (there, a torus). Phipson, Smyth
    2010, "Permutation P-values Should Never Be Zero", for counting the observed arrangement.
    """
    known = ~np.isnan(values)
    inside, values = inside[known], values[known]
    n_days, n_inside = len(values), int(inside.sum())
    means = [
        float(part.mean()) if len(part) else np.nan for part in (values[inside], values[~inside])
    ]
    difference = means[0] - means[1]
    if n_days < FEWEST_DAYS or not 0 < n_inside < n_days:
        return means[0], means[1], difference, np.nan
    # The sums inside, of every shift at once; the difference of the means is proportional to them.
    centred = values - values.mean()
    spectrum = np.fft.rfft(inside.astype(float)).conj() * np.fft.rfft(centred)
    sums = np.abs(np.fft.irfft(spectrum, n_days))
    # A shift that gives the same days again differs by rounding.
    tolerance = 1e-9 * np.abs(centred).sum()
    p_value = float(np.mean(sums >= sums[0] - tolerance))
    return means[0], means[1], difference, p_value
