"""The formulas of qlib's Alpha158, applied to the rows of many stocks at once.

All conventions follow qlib's ``qlib/contrib/data/loader.py`` (``Alpha158DL``) and
``qlib/data/ops.py``. Windows are shorter at the start of a stock, and missing values are skipped.
Differences and ratios of prices are computed in float32, everything else in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skattn.preprocessing import _rolling as rolling

# Deviations up to this size count as zero when they are divisors (qlib's ops.py).
NO_SPREAD = 2e-5
# qlib adds this number to divisors.
TINY = 1e-12

KBAR = ("KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2")
PRICES = ("OPEN0", "HIGH0", "LOW0", "VWAP0")

ByWindow = Iterator[tuple[int, dict[str, np.ndarray]]]


class StockRows:
    """Rows of several stocks, sorted by day, with empty rows before each stock.

    Parameters
    ----------
    fields : dict of str to ndarray of float32, shape (n,)
        Prices and volume; NaN where a value is missing.
    age : ndarray of int, shape (n,)
        Number of the stock's rows so far, the current row included. Rows before the stock's first
        row have an age of zero or less.
    """

    def __init__(self, fields: Mapping[str, np.ndarray], age: np.ndarray) -> None:
        self.fields = fields
        self.age = age

    def __getitem__(self, field: str) -> np.ndarray:
        return self.fields[field]

    @cached_property
    def close_before(self) -> np.ndarray:
        """Yesterday's close."""
        return days_before(self["close"], 1)

    @cached_property
    def log_volume(self) -> np.ndarray:
        """Logarithm of the volume."""
        return np.log(self["volume"] + np.float32(1))

    def steps(self, length: int) -> np.ndarray:
        """Return the number of rows in each window: fewer than ``length`` for a young stock."""
        return np.minimum(self.age, length)


def days_before(x: np.ndarray, days: int) -> np.ndarray:
    """Return the value ``days`` rows earlier for each row; NaN for the first rows."""
    return np.concatenate([np.full(min(days, len(x)), np.nan, dtype=x.dtype), x[: len(x) - days]])


def kbar(rows: StockRows) -> dict[str, np.ndarray]:
    """Compute the shape of the day's candle."""
    open_, high, low, close = (rows[field] for field in ("open", "high", "low", "close"))
    top, bottom = np.maximum(open_, close), np.minimum(open_, close)
    length = high - low + np.float32(TINY)
    shift = 2 * close - high - low
    return {
        "KMID": (close - open_) / open_,
        "KLEN": (high - low) / open_,
        "KMID2": (close - open_) / length,
        "KUP": (high - top) / open_,
        "KUP2": (high - top) / length,
        "KLOW": (bottom - low) / open_,
        "KLOW2": (bottom - low) / length,
        "KSFT": shift / open_,
        "KSFT2": shift / length,
    }


def returns(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the close of ``length`` days ago, relative to the close."""
    close = rows["close"]
    for length in lengths:
        yield length, {"ROC": days_before(close, length) / close}


def trends(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the mean and deviation of the close, and its regression on time."""
    states = rolling.sliding(rolling.trend(rows["close"]), rolling.merge_trend, lengths)
    for length, (count, time, mean, time_spread, spread, product) in states:
        close = _last(rows["close"], mean)
        deviation = _deviation(count, spread)
        slope = product / time_spread
        fit = product * slope / spread
        yield (
            length,
            {
                "MA": mean / close,
                "STD": deviation / close,
                "BETA": slope / close,
                "RSQR": np.where(deviation <= NO_SPREAD, np.nan, fit),
                "RESI": (close - (mean - slope * time)) / close,
            },
        )


def extremes(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the level and the place of the highest high and the lowest low."""
    highest, lowest = (
        _highest(rows, rows["high"], lengths),
        _highest(rows, -rows["low"], lengths),
    )
    for (length, high, high_at), (_, low, low_at) in zip(highest, lowest, strict=True):
        close, low = _last(rows["close"], high), -low
        yield (
            length,
            {
                "MAX": high / close,
                "MIN": low / close,
                "RSV": (close - low) / (high - low + TINY),
                "IMAX": high_at / length,
                "IMIN": low_at / length,
                "IMXD": (high_at - low_at) / length,
            },
        )


def _highest(
    rows: StockRows, x: np.ndarray, lengths: Sequence[int]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Return each window's highest value and its place, counted from 1; ties take the first."""
    missing, listed = np.isnan(x), rows.age > 0
    values = rolling.sliding((np.where(missing, -np.inf, x),), rolling.merge_max, lengths)
    # A missing value counts as the highest, because numpy's argmax in qlib finds NaN first.
    state = np.where(missing & listed, np.inf, np.where(listed, x, -np.inf))
    places = rolling.sliding(
        (state, np.zeros(len(x), dtype=np.int32)), rolling.merge_argmax, lengths
    )
    for (length, (value,)), (_, (_, place)) in zip(values, places, strict=True):
        value = np.where(np.isinf(value), np.nan, value)
        place = _last(rows.steps(length), place) + place
        yield length, value, np.where(np.isnan(value), np.nan, place)


def ranks(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the rank of the close in its window, as a fraction."""
    known = rolling.sliding(
        ((~np.isnan(rows["close"])).astype(float),), rolling.merge_sums, sorted(lengths)
    )
    latest = rolling.rank_of_latest(rows["close"], lengths)
    for (length, rank), (_, (count,)) in zip(latest, known, strict=True):
        yield length, {"RANK": rank / _last(count, rank)}


def quantiles(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the upper and lower quintile of the close."""
    for length in lengths:
        upper, lower = rolling.quantiles(rows["close"], length, (0.8, 0.2))
        close = _last(rows["close"], upper)
        yield length, {"QTLU": upper / close, "QTLD": lower / close}


def volume_correlations(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the correlation of the close with the logarithm of the volume."""
    for length, value in _correlations(rows["close"], rows.log_volume, lengths):
        yield length, {"CORR": value}


def change_correlations(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the correlation of changes of the close with changes of the volume."""
    change = rows["close"] / rows.close_before
    volume_change = np.log(rows["volume"] / days_before(rows["volume"], 1) + np.float32(1))
    for length, value in _correlations(change, volume_change, lengths):
        yield length, {"CORD": value}


def _correlations(
    x: np.ndarray, y: np.ndarray, lengths: Sequence[int]
) -> Iterator[tuple[int, np.ndarray]]:
    states = rolling.sliding(rolling.co_moments(x, y), rolling.merge_co_moments, lengths)
    for length, (count, _, _, x_spread, y_spread, product) in states:
        value = product / np.sqrt(x_spread * y_spread)
        for spread in (x_spread, y_spread):
            value[_deviation(count, spread) <= NO_SPREAD] = np.nan
        yield length, value


def counts(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the share of days with a rising close and the share with a falling close."""
    rose = (rows["close"] > rows.close_before).astype(float)
    fell = (rows["close"] < rows.close_before).astype(float)
    for length, (up, down) in rolling.sliding((rose, fell), rolling.merge_sums, lengths):
        steps = _last(rows.steps(length), up)
        up, down = up / steps, down / steps
        yield length, {"CNTP": up, "CNTN": down, "CNTD": up - down}


def price_sums(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the shares of gains and losses in the total movement of the close."""
    yield from _sums(rows["close"], ("SUMP", "SUMN", "SUMD"), lengths)


def volume_sums(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the shares of increases and decreases in the total movement of the volume."""
    yield from _sums(rows["volume"], ("VSUMP", "VSUMN", "VSUMD"), lengths)


def _sums(x: np.ndarray, names: Sequence[str], lengths: Sequence[int]) -> ByWindow:
    change = (x - days_before(x, 1)).astype(float)
    known = ~np.isnan(change)
    state = (
        known.astype(float),
        np.where(change > 0, change, 0.0),
        np.where(change < 0, -change, 0.0),
    )
    for length, (count, up, down) in rolling.sliding(state, rolling.merge_sums, lengths):
        whole = np.where(count, up + down + TINY, np.nan)
        yield length, dict(zip(names, (up / whole, down / whole, (up - down) / whole), strict=True))


def volumes(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the mean and deviation of the volume."""
    states = rolling.sliding(rolling.moments(rows["volume"]), rolling.merge_moments, lengths)
    for length, (count, mean, spread) in states:
        latest = _last(rows["volume"], mean) + np.float32(TINY)
        yield length, {"VMA": mean / latest, "VSTD": _deviation(count, spread) / latest}


def weighted_volumes(rows: StockRows, lengths: Sequence[int]) -> ByWindow:
    """Compute the variation of price changes, weighted by volume."""
    moved = np.abs(rows["close"] / rows.close_before - np.float32(1)) * rows["volume"]
    states = rolling.sliding(rolling.moments(moved), rolling.merge_moments, lengths)
    for length, (count, mean, spread) in states:
        yield length, {"WVMA": _deviation(count, spread) / (mean + TINY)}


class Family(NamedTuple):
    """Group of operators that are computed together."""

    operators: tuple[str, ...]
    fields: tuple[str, ...]
    compute: Callable[[StockRows, Sequence[int]], ByWindow]


FAMILIES = (
    Family(("ROC",), ("close",), returns),
    Family(("MA", "STD", "BETA", "RSQR", "RESI"), ("close",), trends),
    Family(("MAX", "MIN", "RSV", "IMAX", "IMIN", "IMXD"), ("close", "high", "low"), extremes),
    Family(("QTLU", "QTLD"), ("close",), quantiles),
    Family(("RANK",), ("close",), ranks),
    Family(("CORR",), ("close", "volume"), volume_correlations),
    Family(("CORD",), ("close", "volume"), change_correlations),
    Family(("CNTP", "CNTN", "CNTD"), ("close",), counts),
    Family(("SUMP", "SUMN", "SUMD"), ("close",), price_sums),
    Family(("VMA", "VSTD"), ("volume",), volumes),
    Family(("WVMA",), ("close", "volume"), weighted_volumes),
    Family(("VSUMP", "VSUMN", "VSUMD"), ("volume",), volume_sums),
)


def _last(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return the last rows of x, as many as ``like`` has."""
    return x[len(x) - len(like) :]


def _deviation(count: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the sample standard deviation; NaN for fewer than two values."""
    return np.sqrt(spread / np.where(count > 1, count - 1, np.nan))
