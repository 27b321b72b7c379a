"""A fold of days, and the purge and embargo around its test days."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Fold(NamedTuple):
    """One split of a calendar, as increasing positions of days."""

    train: np.ndarray
    test: np.ndarray
    # Unused days by reason: "purged", "gap", "embargoed", or the name of another segment.
    left_out: dict[str, np.ndarray]
    # Name of the test days in a plot.
    test_name: str = "test"


def purge_around(test: np.ndarray, n_days: int, purge: int, embargo: int) -> Fold:
    """Train on all days except the test days, the purged days and the embargoed days.

    A training label of day t uses prices up to day t + purge, and the label of a test day e uses
    prices up to day e + purge. Training therefore leaves out ``purge`` days on both sides of each
    run of test days. The embargo follows the purge after each run.

    Parameters
    ----------
    test : ndarray of int
        Test days as positions in the calendar, in any number of runs.
    n_days : int
        Number of days in the calendar.
    purge : int
        Days left out before and after each run.
    embargo : int
        Further days left out after the purge that follows each run.

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


def cut_into_runs(n_days: int, n_runs: int) -> list[np.ndarray]:
    """Cut a calendar into runs of days; the first ``n_days % n_runs`` runs have an extra day."""
    return np.array_split(np.arange(n_days), n_runs)


def _days_since(is_test: np.ndarray) -> np.ndarray:
    """Count the days since the latest test day: 0 on a test day, infinite before the first."""
    day = np.arange(len(is_test))
    return day - np.maximum.accumulate(np.where(is_test, day, -np.inf))
