"""One fold in days, and the purge and embargo around its test days."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Fold(NamedTuple):
    """One split of a calendar: positions of days, increasing."""

    train: np.ndarray
    test: np.ndarray
    # Days on neither side, by the reason: "purged", "gap", "embargoed", or another segment's name.
    left_out: dict[str, np.ndarray]
    # What the test days are called in a picture.
    test_name: str = "test"


def purge_around(test: np.ndarray, n_days: int, purge: int, embargo: int) -> Fold:
    """Train on all days but the test days, what their labels touch, and an embargo after it.

    A training label of day t is made of prices up to day t + purge, and the label of a test day e
    of prices up to day e + purge. So training leaves out ``purge`` days on both sides of each run
    of test days; the embargo comes after those that follow it.

    Parameters
    ----------
    test : ndarray of int
        The test days as positions in the calendar, in any number of runs.
    n_days : int
        Days of the calendar.
    purge : int
        Days left out before and after each run.
    embargo : int
        Further days left out after each run.

    Returns
    -------
    fold : Fold
    """
    is_test = np.zeros(n_days, dtype=bool)
    is_test[test] = True
    since, until = _days_since(is_test), _days_since(is_test[::-1])[::-1]
    purged = ~is_test & ((until <= purge) | (since <= purge))
    embargoed = ~is_test & ~purged & (since <= purge + embargo)
    train = ~(is_test | purged | embargoed)
    left_out = {"purged": np.flatnonzero(purged), "embargoed": np.flatnonzero(embargoed)}
    return Fold(np.flatnonzero(train), np.flatnonzero(is_test), left_out)


def blocks(n_days: int, n_blocks: int) -> list[np.ndarray]:
    """Cut a calendar into runs of days; the first ``n_days % n_blocks`` have one day more."""
    return np.array_split(np.arange(n_days), n_blocks)


def _days_since(is_test: np.ndarray) -> np.ndarray:
    """Days since the latest test day: 0 on a test day, infinite before the first."""
    day = np.arange(len(is_test))
    return day - np.maximum.accumulate(np.where(is_test, day, -np.inf))
