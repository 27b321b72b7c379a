"""A fold of days, and the purge and embargo around its test days."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from skattn.model_selection._embargo import Embargo, embargo_ends


class Fold(NamedTuple):
    """One split of a calendar, as increasing positions of days."""

    train: np.ndarray
    test: np.ndarray
    # Unused days by reason: "purged", "gap", "embargoed", or the name of another segment.
    left_out: dict[str, np.ndarray]
    # Name of the test days in a plot.
    test_name: str = "test"


def purge_around(
    test: np.ndarray, ends: np.ndarray, embargo: Embargo, calendar: pd.DatetimeIndex
) -> Fold:
    """Train on all days except the test days, the purged days and the embargoed days.

    Training leaves out the days before a test day whose labels look at the test day, and the days
    after a test day that the label of the test day looks at. The embargo follows after that.

    Parameters
    ----------
    test : ndarray of int
        Test days as positions in the calendar, in any number of runs.
    ends : ndarray of int, shape (n_days,)
        Last day that the labels of each day look at.
    embargo : int, float or timedelta
        Further days left out after each run.
    calendar : DatetimeIndex of length n_days
        The trading days, sorted.

    Returns
    -------
    fold : Fold
    """
    n_days = len(calendar)
    day = np.arange(n_days)
    is_test = np.zeros(n_days, dtype=bool)
    is_test[test] = True
    next_test = np.minimum.accumulate(np.where(is_test, day, n_days + ends.max())[::-1])[::-1]
    # The last day that the labels of the test days so far look at; -1 before the first of them.
    seen = np.maximum.accumulate(np.where(is_test, ends, -1))
    purged = ~is_test & ((ends >= next_test) | (day <= seen))
    embargoed = ~is_test & ~purged & (seen >= 0) & (day <= embargo_ends(embargo, seen, calendar))
    train = ~(is_test | purged | embargoed)
    left_out = {"purged": np.flatnonzero(purged), "embargoed": np.flatnonzero(embargoed)}
    return Fold(np.flatnonzero(train), np.flatnonzero(is_test), left_out)


def cut_into_runs(n_days: int, n_runs: int) -> list[np.ndarray]:
    """Cut a calendar into runs of days; the first ``n_days % n_runs`` runs have an extra day."""
    return np.array_split(np.arange(n_days), n_runs)
