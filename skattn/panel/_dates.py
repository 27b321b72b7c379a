"""Dates of time stamps, and reading dates from user input."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import pandas as pd

from skattn.panel._read_dates import read_dates
from skattn.parameters import shown

Day = str | datetime.date | np.datetime64 | None

# Text that names a year, a month or a quarter.
PERIOD = re.compile(
    r"[12]\d{3}|[12]\d{3}[-/.]\d{1,2}|\d{1,2}[-/][12]\d{3}|[A-Za-z]{3,9} [12]\d{3}"
    r"|\d{4}-?[Qq][1-4]|[1-4][Qq]-?\d{4}"
)


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
        Day to read. Text may name a period: "2014-06" and "2014" cover all days of the month or
        year. For a time stamp with a time zone, the local date counts. None means no bound.
    last : bool
        True if ``day`` ends the span, False if ``day`` begins the span.

    Returns
    -------
    day : pandas.Timestamp
        Midnight without a time zone, as returned by :func:`days_of`.

    Raises
    ------
    ValueError
        ``day`` cannot be read as a day, or text such as "05/03/2025" can be read as two days.
        Numbers are rejected: pandas would read a number as nanoseconds since 1970.

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
        if isinstance(day, str) and PERIOD.fullmatch(day.strip()):
            period = pd.Period(day.strip())
            return (period.end_time if last else period.start_time).normalize()
        if not isinstance(day, (str, datetime.date, np.datetime64)):
            raise TypeError(f"{type(day).__name__} is not a date.")
        dates = dates_of(read_dates([day]))
        if dates.hasnans:
            raise ValueError("The day is missing.")
        return dates[0]
    except (ValueError, TypeError) as error:
        # The reason is of use where text can be read in two ways.
        reason = f" {error}" if isinstance(day, str) and isinstance(error, ValueError) else ""
        raise ValueError(
            f"{name} must hold dates, text such as '2014-12-31', or None; got {shown(day)}.{reason}"
        ) from error
