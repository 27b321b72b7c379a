"""Counts that are a share of other counts, and places that stand for others."""

from __future__ import annotations

import math

import numpy as np


def round_up(share: float, n: int) -> int:
    """Give a share of n things as a whole number, rounded up; 0.07 of 100 is 7.

    Examples
    --------
    >>> from skattn.utils import round_up
    >>> round_up(0.07, 100), round_up(0.071, 100)
    (7, 8)
    """
    # As a float, 0.07 * 100 is a little more than 7.
    return math.ceil(round(share * n, 9))


def evenly(n: int, most: int) -> np.ndarray:
    """Choose at most so many of n places, evenly spaced, the first and the last among them.

    Examples
    --------
    >>> from skattn.utils import evenly
    >>> evenly(100, 4), evenly(2, 4)
    (array([ 0, 33, 66, 99]), array([0, 1]))
    """
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
