"""Rolling statistics of the windows that end at each row of a series.

A window of any length is merged from windows of 1, 2, 4, 8, ... rows, and each of these windows is
merged from two windows of half its length. This takes a few array operations for all rows at once.
There are no running totals that lose precision. The result of a row depends, in every bit, only on
the rows of its own window.

Series are aligned at their ends. A result shorter than the series lacks the first rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# Statistics of all windows of the same length, as arrays that are aligned at their ends.
State: TypeAlias = tuple[np.ndarray, ...]
# Merges an older window with the newer window after it; the int is the newer window's length.
Merge: TypeAlias = Callable[[State, State, int], State]

# Number of elements copied and sorted at a time: about 250 kB stay in the cache.
SORTED_ELEMENTS = 1 << 16


def sliding(state: State, merge: Merge, lengths: Iterable[int]) -> Iterator[tuple[int, State]]:
    """Aggregate the windows that end at each row.

    Parameters
    ----------
    state : tuple of ndarray of shape (n,)
        Statistics of windows of one row.
    merge : callable
        Merges two neighbouring windows.
    lengths : iterable of int
        Wanted window lengths.

    Yields
    ------
    length : int
    state : tuple of ndarray of shape (n - length + 1,)
        Statistics of the windows of that length.
    """
    lengths = list(lengths)
    powers = {1: state}
    size = 1
    while 2 * size <= max(lengths, default=0):
        powers[2 * size] = _join(powers[size], powers[size], size, merge)
        size *= 2
    for length in lengths:
        whole, covered = None, 0
        for size, part in reversed(powers.items()):
            if length & size:
                whole = part if whole is None else _join(part, whole, covered, merge)
                covered += size
        yield length, cast(State, whole)


def _join(older: State, newer: State, size: int, merge: Merge) -> State:
    n = min(len(older[0]) - size, len(newer[0]))
    end = len(older[0]) - size
    return merge(
        tuple(part[end - n : end] for part in older),
        tuple(part[len(part) - n :] for part in newer),
        size,
    )


def merge_sums(older: State, newer: State, size: int) -> State:
    """Merge sums of any number of series."""
    return tuple(a + b for a, b in zip(older, newer, strict=True))


def merge_max(older: State, newer: State, size: int) -> State:
    """Merge maxima of one series."""
    return (np.maximum(older[0], newer[0]),)


def merge_argmax(older: State, newer: State, size: int) -> State:
    """Merge (maximum, row of the maximum); the first of equal maxima wins.

    Rows count from the window's end: 0, -1, ...
    """
    is_older = older[0] >= newer[0]
    return np.where(is_older, older[0], newer[0]), np.where(is_older, older[1] - size, newer[1])


def moments(x: np.ndarray) -> State:
    """Return (count, mean, sum of squared deviations) of windows of one row; NaN is skipped."""
    known = ~np.isnan(x)
    return known.astype(float), np.where(known, x, 0.0).astype(float), np.zeros(len(x))


def merge_moments(older: State, newer: State, size: int) -> State:
    """Merge (count, mean, sum of squared deviations).

    References
    ----------
    T. Chan, G. Golub, R. LeVeque (1983), "Algorithms for Computing the Sample Variance", The
    American Statistician 37.
    """
    count = older[0] + newer[0]
    weight = newer[0] / np.maximum(count, 1)
    step = newer[1] - older[1]
    spread = older[2] + newer[2] + step * step * (older[0] * weight)
    return count, older[1] + step * weight, spread


def co_moments(x: np.ndarray, y: np.ndarray) -> State:
    """Return the co-moments of two series for windows of one row.

    The co-moments are (count, means, sums of squared deviations, sum of products of deviations).
    Rows with NaN in either series are skipped.
    """
    known = ~(np.isnan(x) | np.isnan(y))
    zero = np.zeros(len(x))
    means = (np.where(known, series, 0.0).astype(float) for series in (x, y))
    return known.astype(float), *means, zero, zero, zero


def merge_co_moments(older: State, newer: State, size: int) -> State:
    """Merge (count, two means, two sums of squares, sum of products)."""
    count = older[0] + newer[0]
    weight = newer[0] / np.maximum(count, 1)
    shared = older[0] * weight
    x, y = newer[1] - older[1], newer[2] - older[2]
    return (
        count,
        older[1] + x * weight,
        older[2] + y * weight,
        older[3] + newer[3] + x * x * shared,
        older[4] + newer[4] + y * y * shared,
        older[5] + newer[5] + x * y * shared,
    )


def trend(y: np.ndarray) -> State:
    """Return the co-moments of time and a series for windows of one row.

    Time counts from the window's end.
    """
    return co_moments(np.zeros(len(y)), y)


def merge_trend(older: State, newer: State, size: int) -> State:
    """Merge the co-moments of time and a series."""
    return merge_co_moments(
        (older[0], older[1] - size * older[0].astype(bool), *older[2:]), newer, size
    )


def rank_of_latest(x: np.ndarray, lengths: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Rank each window's last value among the window's non-NaN values; ties are averaged.

    Parameters
    ----------
    x : ndarray of shape (n,)
    lengths : iterable of int

    Yields
    ------
    length : int
    rank : ndarray of shape (n - max(lengths) + 1,)
        Rank from 1; NaN where the last value is NaN.
    """
    wanted = sorted(set(lengths))
    if not wanted:
        return
    n = len(x) - wanted[-1] + 1
    latest = x[len(x) - n :]
    below, equal = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
    for lag in range(wanted[-1]):
        value = x[len(x) - n - lag : len(x) - lag]
        below += value < latest
        equal += value == latest
        if lag + 1 in wanted:
            yield lag + 1, np.where(equal, below + (equal + 1) / 2, np.nan)


def quantiles(x: np.ndarray, length: int, levels: Iterable[float]) -> list[np.ndarray]:
    """Compute quantiles of each window's non-NaN values, with linear interpolation.

    Parameters
    ----------
    x : ndarray of shape (n,)
    length : int
        Window length.
    levels : iterable of float
        Quantile levels in [0, 1].

    Returns
    -------
    quantiles : list of ndarray of shape (n - length + 1,)
        One array per level; NaN for windows without a value.
    """
    windows = sliding_window_view(x, length)
    levels = list(levels)
    results = [np.empty(len(windows)) for _ in levels]
    step = max(SORTED_ELEMENTS // length, 1)
    for first in range(0, len(windows), step):
        # numpy sorts NaN to the end.
        part = np.sort(windows[first : first + step], axis=1)
        count = length - np.isnan(part).sum(axis=1)
        row = np.arange(len(part))
        for level, result in zip(levels, results, strict=True):
            position = np.maximum(count - 1, 0) * level
            low = position.astype(np.int64)
            high = np.minimum(low + 1, np.maximum(count - 1, 0))
            value = part[row, low].astype(float)
            value += (part[row, high] - value) * (position - low)
            result[first : first + step] = value
    return results
