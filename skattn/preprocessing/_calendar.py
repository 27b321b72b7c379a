"""Find the market days without rows, so that windows do not skip them.

Three rules apply:

1. ``calendar=`` is exact: its days are the days of the market, up to its last day.
2. Otherwise, dates between the fitted and the later rows that are still in the rows' index are
   market days without a row. pandas keeps the dates of dropped rows in the index of every slice, so
   the days purged by a splitter are known. Such dates do not count within the fitted rows or within
   the later rows, because they may belong to another market.
3. Otherwise consecutive days with rows are neighbours. A warning follows if the pause between
   fitted and later rows is longer than any pause within the fitted days. A warning also follows if
   another pause is longer than any market closure (10 weekdays); k-fold splitters produce such
   pauses. Rows that come back from a file know no dropped days: their users need ``calendar=``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.panel.internal import dates_of
from skattn.parameters import as_array, shown
from skattn.utils import warn_user

# No current market has closed for more weekdays in a row, so a longer pause is a cut in the data.
LONGEST_CLOSURE = 10


def check_calendar(calendar: Any, seen: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Read the parameter ``calendar`` and check that it holds the days of the rows.

    Parameters
    ----------
    calendar : array-like of dates
        All trading days of the market.
    seen : DatetimeIndex
        Days of the rows. They may continue after the last day of the calendar.

    Returns
    -------
    days : DatetimeIndex
        Midnights without a time zone, sorted.

    Raises
    ------
    TypeError, ValueError
        The calendar does not hold dates, or lacks a day of the rows.
    """
    has_dtype = isinstance(calendar, (pd.Index, pd.Series))
    given = calendar if has_dtype else as_array("calendar", calendar)
    try:
        if given.ndim != 1 or given.dtype.kind in "iufbc":
            # pandas would read numbers as nanoseconds since 1970.
            raise TypeError(f"{given.dtype} of shape {given.shape}")
        days = dates_of(pd.DatetimeIndex(pd.to_datetime(given)))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise TypeError(
            f"calendar must hold the trading days of the market as dates, or be None; got "
            f"{shown(calendar)}."
        ) from error
    if len(days) == 0 or days.hasnans:
        raise ValueError(f"calendar must hold dates, or be None; got {shown(calendar)}.")
    dates = dates_of(seen)
    lacking = dates[(dates <= days.max()) & ~dates.isin(days)]
    if len(lacking):
        first = ", ".join(str(day.date()) for day in lacking[:3])
        raise ValueError(
            f"calendar lacks {len(lacking)} of the days of X: {first}"
            f"{', ...' if len(lacking) > 3 else ''}. It must hold every trading day."
        )
    return days.unique().sort_values()


def days_without_rows(
    calendar: Any, fitted: pd.DatetimeIndex, days: pd.DatetimeIndex, known: pd.DatetimeIndex
) -> pd.DatetimeIndex:
    """Find the market days without rows between the first and the last row.

    Parameters
    ----------
    calendar : array-like of dates or None
        The parameter ``calendar``.
    fitted, days : DatetimeIndex
        Sorted time stamps of the fitted rows and of the rows to transform.
    known : DatetimeIndex
        Time stamps in the index levels of the rows, with or without a row.

    Returns
    -------
    missing : DatetimeIndex
    """
    seen = fitted.union(days)
    missing = seen[:0]
    told_until = None
    if calendar is not None:
        given = check_calendar(calendar, seen)
        dates = dates_of(seen)
        told_until = given[-1]
        between = given[(given > dates[0]) & (given < dates[-1]) & ~given.isin(dates)]
        missing = _midnights(between, seen.tz)
    is_seam, traded = _seams(seen, fitted, days), _traded(fitted)
    missing = missing.union(_known_at_seams(seen, is_seam, traded, known, told_until))
    of_fitted = _pauses(fitted, traded)
    _warn_of_pauses(seen.union(missing), seen, is_seam, traded, of_fitted, told_until)
    return missing


def _seams(seen: pd.DatetimeIndex, fitted: pd.DatetimeIndex, days: pd.DatetimeIndex) -> np.ndarray:
    """Mask the pairs of neighbouring days that join a fitted day and a day of a later row."""
    is_fitted, is_later = seen.isin(fitted), seen.isin(days)
    both_fitted = is_fitted[:-1] & is_fitted[1:]
    both_later = is_later[:-1] & is_later[1:]
    return ~both_fitted & (~both_later | (seen[:-1] == fitted[-1]))


def _known_at_seams(
    seen: pd.DatetimeIndex,
    is_seam: np.ndarray,
    traded: np.ndarray,
    known: pd.DatetimeIndex,
    told_until: pd.Timestamp | None,
) -> pd.DatetimeIndex:
    """Find the known time stamps between fitted and later rows, after the end of the calendar."""
    place = seen.searchsorted(known)
    inside = (place > 0) & (place < len(seen)) & ~known.isin(seen)
    found = known[inside][is_seam[place[inside] - 1]]
    # Time stamps of another market or another time of day are not steps of these rows.
    found = found[found.day_of_week.isin(np.flatnonzero(traded))]
    found = found[np.isin(_time_of_day(found), _time_of_day(seen))]
    return found if told_until is None else found[dates_of(found) > told_until]


def _warn_of_pauses(
    all_days: pd.DatetimeIndex,
    seen: pd.DatetimeIndex,
    is_seam: np.ndarray,
    traded: np.ndarray,
    of_fitted: np.ndarray,
    told_until: pd.Timestamp | None,
) -> None:
    """Warn of long pauses over which windows would join distant days."""
    pauses = _pauses(all_days, traded)
    # Each pause lies between two seen days; the later day shows whether the pause is at a seam.
    after = seen.searchsorted(all_days[1:])
    usual = 2 * np.median(of_fitted) if len(of_fitted) else 0
    amid = max(LONGEST_CLOSURE, usual)
    limits = np.where(is_seam[np.maximum(after - 1, 0)], of_fitted.max(initial=0), amid)
    is_long = pauses > limits
    if told_until is not None:
        is_long &= dates_of(all_days[1:]) > told_until
    if not is_long.any():
        return
    first = np.flatnonzero(is_long)[0]
    more = f" (and {is_long.sum() - 1} more pauses)" if is_long.sum() > 1 else ""
    warn_user(
        f"No row lies between {all_days[first].date()} and {all_days[first + 1].date()}{more}: "
        f"windows treat the two days as neighbours, across {pauses[first]} weekdays. Pass the "
        f"missing rows, or pass the trading days of the market as calendar=."
    )


def _traded(fitted: pd.DatetimeIndex) -> np.ndarray:
    """Mask the days of the week on which the market trades."""
    week = fitted.day_of_week.unique()
    # Too few days to infer the trading week: assume Monday to Friday.
    return np.array([day in week if len(week) >= 5 else day < 5 for day in range(7)])


def _pauses(days: pd.DatetimeIndex, traded: np.ndarray) -> np.ndarray:
    """Count the possible trading days between each pair of neighbouring days."""
    dates = dates_of(days).to_numpy().astype("datetime64[D]")
    if len(dates) < 2:
        return np.zeros(0, dtype=int)
    return np.busday_count(dates[:-1] + 1, dates[1:], weekmask=traded)


def _time_of_day(stamps: pd.DatetimeIndex) -> np.ndarray:
    local = stamps.tz_localize(None)
    return (local - local.normalize()).to_numpy()


def _midnights(days: pd.DatetimeIndex, zone: Any) -> pd.DatetimeIndex:
    # In some zones midnight does not exist or occurs twice on a day of a clock change.
    return days.tz_localize(zone, nonexistent="shift_forward", ambiguous=np.ones(len(days), bool))
