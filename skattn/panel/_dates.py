"""Days: of time stamps, and as people write them."""

from __future__ import annotations

import datetime
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

Day = str | datetime.date | np.datetime64 | None


def dates_of(stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Give the local dates of time stamps, without their zone, which may lack a midnight."""
    return stamps.tz_localize(None).normalize()


def read_day(name: str, day: Any, *, last: bool) -> pd.Timestamp:
    """Read the first or the last day of a span.

    Parameters
    ----------
    name : str
        Name of the parameter, for the error's text.
    day : str, date, Timestamp, datetime64 or None
        Text may be a period: "2014-06" and "2014" stand for all their days. Of a time of day with
        a zone, the local date counts. None: no bound.
    last : bool
        Whether the span ends with ``day``.

    Returns
    -------
    day : pandas.Timestamp
        Midnight, without a time zone, as :func:`days_of` gives them.

    Raises
    ------
    ValueError
        ``day`` is no day. Numbers are none: pandas would take them for nanoseconds since 1970.

    Examples
    --------
    >>> from skattn.panel import read_day
    >>> read_day("start", "2014-06", last=False)
    Timestamp('2014-06-01 00:00:00')
    >>> read_day("end", "2014-06", last=True)
    Timestamp('2014-06-30 00:00:00')
    """
    if day is None:
        return pd.Timestamp(9999, 12, 31) if last else pd.Timestamp(1, 1, 1)
    try:
        if isinstance(day, Number):
            raise ValueError("a number is no date")
        if isinstance(day, str):
            # A period knows that "2014" ends in December.
            period = pd.Period(day)
            day = period.end_time if last else period.start_time
        return pd.Timestamp(day).tz_localize(None).normalize()
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{name} must hold dates, text such as '2014-12-31', or None; got {day!r}."
        ) from error
