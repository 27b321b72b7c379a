"""Purging: which days' labels look into which other days."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.labels._reach import label_reach
from skattn.panel import days_of
from skattn.parameters import check_value
from skattn.utils import warn_user

# The reach of qlib's label, Ref($close, -2) / Ref($close, -1) - 1.
USUAL_REACH = 2


def _read_dates(purge: pd.Series) -> pd.Series:
    """Read the last day of each label."""
    known = purge.notna().to_numpy()
    dates = pd.Series(pd.NaT, purge.index, dtype="datetime64[us]")
    try:
        # All at once: the order of day and month in text may show in a single row.
        dates[known] = days_of(purge[known])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"purge, given as a Series, must hold the last day that each label looks at, as "
            f"dates: {error}"
        ) from error
    return dates


def _check_dates(purge: Any) -> None:
    if isinstance(purge, pd.Series):
        _read_dates(purge)


#: What ``purge`` may be, wherever it is a parameter.
PURGE_BOUNDS: dict[str, Any] = {
    "at_least": 0,
    "one_of": ("auto",),
    "instance_of": pd.Series,
    "words": "a Series of the last day of each label",
    "check": _check_dates,
}


def check_purge(purge: Any) -> int | str | pd.Series:
    """Raise where ``purge`` is neither "auto" nor an int of at least 0 nor a Series of dates."""
    return check_value("purge", purge, "int | str | pandas.Series", **PURGE_BOUNDS)


def resolve_purge(
    purge: int | str | pd.Series, y: Any, use: str = "drops 2 days"
) -> int | pd.Series:
    """Decide how far labels look ahead, and so which days to drop before days that follow.

    Warns where y reaches further ahead than a purge that is given as a number: the labels of the
    last training days would then be made of prices of the days that follow.

    Parameters
    ----------
    purge : int, "auto" or Series of dates
        A number of days, and the last day of each label, are taken as they are. "auto" is the reach
        that y tells, else 2 days, with a warning.
    y : object
        The labels, or None.
    use : str, default="drops 2 days"
        What "auto" does without a reach, for the text of the warning.

    Returns
    -------
    purge : int or Series of datetime64
        Local dates, midnights without a time zone.

    Raises
    ------
    ValueError
        ``purge`` is neither "auto" nor an int of at least 0 nor a Series of dates, or
        ``y.attrs["reach"]`` is not an int of at least 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.labels import resolve_purge
    >>> y = pd.Series([0.01, -0.02])
    >>> y.attrs["reach"] = 5
    >>> resolve_purge("auto", y), resolve_purge(7, y)
    (5, 7)
    """
    if isinstance(purge, pd.Series):
        return _read_dates(purge)  # which is all that check_purge asks of a Series
    purge = check_purge(purge)
    reach = label_reach(y)
    if isinstance(purge, str):
        if reach is None:
            warn_user(
                f'How many days ahead the label reaches is not known, so purge="auto" {use}: '
                f"{USUAL_REACH} is the reach of a return from tomorrow to the day after. Tell "
                f'the reach with y.attrs["reach"], as skattn.make_label does, or pass '
                f"purge=<days>, or purge=<Series of the last day of each label>."
            )
            return USUAL_REACH
        return reach
    if reach is not None and reach > purge:
        warn_user(
            f"The label reaches {reach} days ahead, but purge={purge}: labels of the last training "
            f'days are made of prices of the days that follow. Use purge="auto" or purge={reach}.'
        )
    return purge


def label_ends(
    purge: int | pd.Series,
    calendar: pd.DatetimeIndex,
    day_of_row: np.ndarray,
    index: pd.Index | None = None,
    labelled: np.ndarray | None = None,
) -> np.ndarray:
    """Find the last day that the labels of each day look at.

    Parameters
    ----------
    purge : int or Series of datetime64
        As ``resolve_purge`` returns it: the days that each label looks ahead, or the last day that
        each label looks at. The Series has the index of the rows, and may have more rows; NaT
        stands for a row without a label.
    calendar : DatetimeIndex of length n_days
        The trading days, sorted.
    day_of_row : ndarray of int, shape (n_rows,)
        Position of each row's day in the calendar.
    index : Index of length n_rows, default=None
        Index of the rows. None: the Series has a date for each row, in the order of the rows.
    labelled : ndarray of bool, shape (n_rows,), default=None
        Rows that have a label, where this is known.

    Returns
    -------
    ends : ndarray of int, shape (n_days,)
        Positions in the calendar, for each day the latest of its rows, never before the day
        itself. Positions from ``n_days`` on lie after the calendar.

    Raises
    ------
    ValueError
        The Series lacks a row, has a row twice, has NaT for a row with a label, or a label ends
        before the day of its row.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.labels import label_ends
    >>> days = pd.date_range("2024-01-01", periods=4)
    >>> label_ends(1, days, [0, 1, 2, 3])
    array([1, 2, 3, 4])
    >>> label_ends(pd.Series(days[[0, 3, 3, 3]]), days, [0, 1, 2, 3])
    array([0, 3, 3, 3])
    """
    ends = np.arange(len(calendar))
    if not isinstance(purge, pd.Series):
        return ends + purge
    last = _last_days(purge, len(day_of_row), index)
    known = last.notna().to_numpy()
    open_ends = np.flatnonzero(~known & (False if labelled is None else labelled))
    if len(open_ends):
        raise ValueError(
            f"purge is NaT in {len(open_ends)} rows that have a label, first in row {open_ends[0]} "
            f"(index {last.index[open_ends[0]]}): nobody can tell how far these labels look "
            f"ahead. Give their last day, or no label (NaN) where it is still open."
        )
    dates = pd.DatetimeIndex(last[known])
    position = calendar.searchsorted(dates, side="right") - 1
    # Days after the calendar reach beyond every test set of it.
    position[dates > calendar[-1:].max()] = len(calendar)
    day = np.asarray(day_of_row)[known]
    early = np.flatnonzero(position < day)
    if len(early):
        row = np.flatnonzero(known)[early[0]]
        raise ValueError(
            f"purge: {len(early)} labels end before the day of their row, first in row {row} "
            f"(index {last.index[row]}): {last.iloc[row]} is before "
            f"{calendar[day[early[0]]].date()}."
        )
    np.maximum.at(ends, day, position)
    return ends


def labelled_part(
    purge: int | pd.Series, index: pd.Index | None, labelled: np.ndarray
) -> tuple[int | pd.Series, pd.Index | None]:
    """Take the rows that have a label, of a purge and of the index by which it is read.

    Parameters
    ----------
    purge : int or Series of datetime64
        As ``resolve_purge`` returns it.
    index : Index of length n_rows, or None
        Index of the rows. None: a Series has a date for each row.
    labelled : ndarray of bool, shape (n_rows,)
        The rows to take.

    Returns
    -------
    purge : int or Series of datetime64
    index : Index or None
    """
    if index is not None:
        return purge, index[labelled]
    by_row = isinstance(purge, pd.Series) and len(purge) == len(labelled)
    return (purge[labelled] if by_row else purge), None  # type: ignore[index]


def _last_days(purge: pd.Series, n_rows: int, index: pd.Index | None) -> pd.Series:
    """Give the last day of each row's label."""
    if index is None:
        if len(purge) != n_rows:
            raise ValueError(
                f"purge has the last days of {len(purge)} labels, but there are {n_rows} rows, and "
                f"neither X nor y has an index to find each row's own. Give X or y the index of "
                f"purge."
            )
        return purge
    if isinstance(index, pd.MultiIndex) and set(purge.index.names) == set(index.names) != {None}:
        purge = purge.set_axis(purge.index.reorder_levels(index.names))
    if purge.index.equals(index):
        return purge
    double = purge.index[purge.index.duplicated()]
    if len(double):
        raise ValueError(f"purge has {len(double)} rows twice, first {double[0]}.")
    is_alike = purge.index.nlevels == index.nlevels
    missing = purge.index.get_indexer(index) < 0 if is_alike else np.ones(n_rows, dtype=bool)
    if missing.any():
        raise ValueError(
            f"purge has no last day for {missing.sum()} of {n_rows} rows, first {index[missing][0]}"
            f". Give it the index of X, and NaT where a row has no label."
        )
    return purge.reindex(index)
