"""The embargo: days after a test set that are not trained on."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd

from skattn.utils import round_up


def _check_embargo(embargo: Any) -> None:
    if isinstance(embargo, float) and embargo >= 1:
        raise ValueError(
            f"embargo, given as a fraction of the days, must be below 1; got {embargo}. Pass an "
            f"int for a number of days."
        )
    if isinstance(embargo, datetime.timedelta) and embargo < datetime.timedelta(0):
        raise ValueError(f"embargo must not be negative; got {embargo!r}.")


# What embargo may be, wherever it is a parameter.
EMBARGO_BOUNDS: dict[str, Any] = {
    "at_least": 0,
    "instance_of": datetime.timedelta,
    "words": "a fraction below 1 or a pandas.Timedelta",
    "check": _check_embargo,
}

Embargo = int | float | datetime.timedelta


def embargo_ends(embargo: Embargo, starts: np.ndarray, calendar: pd.DatetimeIndex) -> np.ndarray:
    """Find the last embargoed day of embargoes that follow given days.

    Parameters
    ----------
    embargo : int, float or timedelta
        Trading days; a fraction of the days of the calendar, rounded up; or a span of time.
    starts : ndarray of int
        Positions in the calendar of the days before each embargo.
    calendar : DatetimeIndex
        The trading days, sorted.

    Returns
    -------
    ends : ndarray of int
        Positions of the last embargoed days.
    """
    if isinstance(embargo, datetime.timedelta):
        # A longer span than that of the calendar embargoes all that follows.
        embargo = min(embargo, calendar[-1] - calendar[0] + pd.Timedelta(days=1))
        known = calendar[np.clip(starts, 0, len(calendar) - 1)]
        ends = calendar.searchsorted(known + pd.Timedelta(embargo), side="right") - 1
        return np.maximum(starts, ends)
    n_days = embargo if isinstance(embargo, int) else round_up(embargo, len(calendar))
    return starts + n_days
