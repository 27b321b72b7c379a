"""Counts that are a share of other counts."""

from __future__ import annotations

import math


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
