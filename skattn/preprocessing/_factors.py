"""The formulas of qlib's Alpha158, over the rows of many stocks at once.

They follow qlib's ``qlib/contrib/data/loader.py`` (``Alpha158DL``) and ``qlib/data/ops.py`` in
every convention: windows begin short, missing values are left out, differences and ratios of prices
are taken in float32 and everything else in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skattn.preprocessing import _rolling as rolling

# Deviations up to this are none, where something is divided by them (qlib's ops.py).
NO_SPREAD = 2e-5
# What qlib adds to divisors.
TINY = 1e-12

KBAR = ("KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2")
PRICES = ("OPEN0", "HIGH0", "LOW0", "VWAP0")

ByWindow = Iterator[tuple[int, dict[str, np.ndarray]]]


class Block:
    """Rows of some stocks, day after day, with empty rows before each of them.

    Parameters
    ----------
    fields : dict of str to ndarray of float32, shape (n,)
        Prices and volume; NaN where there are none.
    age : ndarray of int, shape (n,)
        Number of the stock's rows so far, this one included; not positive before its first.
    """

    def __init__(self, fields: Mapping[str, np.ndarray], age: np.ndarray) -> None:
        self.fields = fields
        self.age = age

    def __getitem__(self, field: str) -> np.ndarray:
        return self.fields[field]

    @cached_property
    def close_before(self) -> np.ndarray:
        """Yesterday's close."""
        return ago(self["close"], 1)

    @cached_property
    def log_volume(self) -> np.ndarray:
        """Logarithm of the volume."""
        return np.log(self["volume"] + np.float32(1))

    def steps(self, length: int) -> np.ndarray:
        """Number of rows in each window: fewer than its length when the stock is young."""
        return np.minimum(self.age, length)


def ago(x: np.ndarray, days: int) -> np.ndarray:
    """Give the value of some days before; NaN for the first rows."""
    return np.concatenate([np.full(min(days, len(x)), np.nan, dtype=x.dtype), x[: len(x) - days]])


def kbar(block: Block) -> dict[str, np.ndarray]:
    """Shape of the day's candle."""
    open_, high, low, close = (block[field] for field in ("open", "high", "low", "close"))
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


def returns(block: Block, windows: Sequence[int]) -> ByWindow:
    """Close of some days ago."""
    close = block["close"]
    for length in windows:
        yield length, {"ROC": ago(close, length) / close}


def trends(block: Block, windows: Sequence[int]) -> ByWindow:
    """Mean, deviation and regression on time of the close."""
    states = rolling.sliding(rolling.trend(block["close"]), rolling.merge_trend, windows)
    for length, (count, time, mean, time_spread, spread, product) in states:
        close = _last(block["close"], mean)
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


def extremes(block: Block, windows: Sequence[int]) -> ByWindow:
    """Highest high and lowest low: how far away, and how long ago."""
    highest, lowest = (
        _highest(block, block["high"], windows),
        _highest(block, -block["low"], windows),
    )
    for (length, high, high_at), (_, low, low_at) in zip(highest, lowest, strict=True):
        close, low = _last(block["close"], high), -low
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
    block: Block, x: np.ndarray, windows: Sequence[int]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Highest value of each window, and its place from 1; of equal ones the first."""
    missing, listed = np.isnan(x), block.age > 0
    values = rolling.sliding((np.where(missing, -np.inf, x),), rolling.merge_max, windows)
    # A window with a missing value has its "highest" there: numpy's argmax, which qlib applies.
    state = np.where(missing & listed, np.inf, np.where(listed, x, -np.inf))
    places = rolling.sliding(
        (state, np.zeros(len(x), dtype=np.int32)), rolling.merge_argmax, windows
    )
    for (length, (value,)), (_, (_, place)) in zip(values, places, strict=True):
        value = np.where(np.isinf(value), np.nan, value)
        place = _last(block.steps(length), place) + place
        yield length, value, np.where(np.isnan(value), np.nan, place)


def ranks(block: Block, windows: Sequence[int]) -> ByWindow:
    """Rank of the close in its window, as a fraction."""
    known = rolling.sliding(
        ((~np.isnan(block["close"])).astype(float),), rolling.merge_sums, sorted(windows)
    )
    rows = rolling.rank_of_latest(block["close"], windows)
    for (length, rank), (_, (count,)) in zip(rows, known, strict=True):
        yield length, {"RANK": rank / _last(count, rank)}


def quantiles(block: Block, windows: Sequence[int]) -> ByWindow:
    """Upper and lower quintile of the close."""
    for length in windows:
        upper, lower = rolling.quantiles(block["close"], length, (0.8, 0.2))
        close = _last(block["close"], upper)
        yield length, {"QTLU": upper / close, "QTLD": lower / close}


def volume_correlations(block: Block, windows: Sequence[int]) -> ByWindow:
    """Correlation of the close with the logarithm of the volume."""
    for length, value in _correlations(block["close"], block.log_volume, windows):
        yield length, {"CORR": value}


def change_correlations(block: Block, windows: Sequence[int]) -> ByWindow:
    """Correlation of the changes of the close with those of the volume."""
    change = block["close"] / block.close_before
    volume_change = np.log(block["volume"] / ago(block["volume"], 1) + np.float32(1))
    for length, value in _correlations(change, volume_change, windows):
        yield length, {"CORD": value}


def _correlations(
    x: np.ndarray, y: np.ndarray, windows: Sequence[int]
) -> Iterator[tuple[int, np.ndarray]]:
    states = rolling.sliding(rolling.co_moments(x, y), rolling.merge_co_moments, windows)
    for length, (count, _, _, x_spread, y_spread, product) in states:
        value = product / np.sqrt(x_spread * y_spread)
        for spread in (x_spread, y_spread):
            value[_deviation(count, spread) <= NO_SPREAD] = np.nan
        yield length, value


def counts(block: Block, windows: Sequence[int]) -> ByWindow:
    """Share of days on which the close rose, and fell."""
    rose = (block["close"] > block.close_before).astype(float)
    fell = (block["close"] < block.close_before).astype(float)
    for length, (up, down) in rolling.sliding((rose, fell), rolling.merge_sums, windows):
        steps = _last(block.steps(length), up)
        up, down = up / steps, down / steps
        yield length, {"CNTP": up, "CNTN": down, "CNTD": up - down}


def price_sums(block: Block, windows: Sequence[int]) -> ByWindow:
    """Share of the gains in all that the close moved, and of the losses."""
    yield from _sums(block["close"], ("SUMP", "SUMN", "SUMD"), windows)


def volume_sums(block: Block, windows: Sequence[int]) -> ByWindow:
    """Share of the increases in all that the volume moved, and of the decreases."""
    yield from _sums(block["volume"], ("VSUMP", "VSUMN", "VSUMD"), windows)


def _sums(x: np.ndarray, names: Sequence[str], windows: Sequence[int]) -> ByWindow:
    change = (x - ago(x, 1)).astype(float)
    known = ~np.isnan(change)
    state = (
        known.astype(float),
        np.where(change > 0, change, 0.0),
        np.where(change < 0, -change, 0.0),
    )
    for length, (count, up, down) in rolling.sliding(state, rolling.merge_sums, windows):
        whole = np.where(count, up + down + TINY, np.nan)
        yield length, dict(zip(names, (up / whole, down / whole, (up - down) / whole), strict=True))


def volumes(block: Block, windows: Sequence[int]) -> ByWindow:
    """Mean and deviation of the volume."""
    states = rolling.sliding(rolling.moments(block["volume"]), rolling.merge_moments, windows)
    for length, (count, mean, spread) in states:
        latest = _last(block["volume"], mean) + np.float32(TINY)
        yield length, {"VMA": mean / latest, "VSTD": _deviation(count, spread) / latest}


def weighted_volumes(block: Block, windows: Sequence[int]) -> ByWindow:
    """Variation of the price changes, weighted by volume."""
    moved = np.abs(block["close"] / block.close_before - np.float32(1)) * block["volume"]
    states = rolling.sliding(rolling.moments(moved), rolling.merge_moments, windows)
    for length, (count, mean, spread) in states:
        yield length, {"WVMA": _deviation(count, spread) / (mean + TINY)}


class Family(NamedTuple):
    """Operators that are computed together."""

    operators: tuple[str, ...]
    fields: tuple[str, ...]
    compute: Callable[[Block, Sequence[int]], ByWindow]


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
    """Give the last rows of a series, as many as another has."""
    return x[len(x) - len(like) :]


def _deviation(count: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Sample standard deviation; NaN of fewer than two values."""
    return np.sqrt(spread / np.where(count > 1, count - 1, np.nan))
