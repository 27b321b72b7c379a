"""Dates of time stamps, and reading dates from user input."""

from __future__ import annotations

import datetime
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

Day = str | datetime.date | np.datetime64 | None


def dates_of(stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the local dates of time stamps.

    The time zone is dropped first, because midnight does not exist on every day of every zone.
    """
    return stamps.tz_localize(None).normalize()


def read_day(name: str, day: Any, *, last: bool) -> pd.Timestamp:
    """Read the first or the last day of a span.

    Parameters
    ----------
    name : str
        Name of the parameter, used in error messages.
    day : str, date, Timestamp, datetime64 or None
        Day to read. A string may name a period: "2014-06" and "2014" cover all days of the month
        or year. For a time stamp with a time zone, the local date counts. None means no bound.
    last : bool
        True if ``day`` ends the span, False if ``day`` begins the span.

    Returns
    -------
    day : pandas.Timestamp
        Midnight without a time zone, as returned by :func:`days_of`.

    Raises
    ------
    ValueError
        ``day`` cannot be read as a day. Numbers are rejected: pandas would read a number as
        nanoseconds since 1970.

    Examples
    --------
    >>> from skattn.panel.internal import read_day
    >>> read_day("start", "2014-06", last=False)
    Timestamp('2014-06-01 00:00:00')
    >>> read_day("end", "2014-06", last=True)
    Timestamp('2014-06-30 00:00:00')
    """
    if day is None:
        return pd.Timestamp(9999, 12, 31) if last else pd.Timestamp(1, 1, 1)
    try:
        if isinstance(day, Number):
            raise ValueError("a number is not a date")
        if isinstance(day, str):
            # A Period also gives the last day of "2014" or "2014-06".
            period = pd.Period(day)
            day = period.end_time if last else period.start_time
        return pd.Timestamp(day).tz_localize(None).normalize()
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{name} must hold dates, text such as '2014-12-31', or None; got {day!r}."
        ) from error
