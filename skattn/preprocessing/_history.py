"""Store the last fitted rows, because the windows of later rows look back into them."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd

from skattn.panel.internal import dates_of, level_codes
from skattn.parameters import parameter, shown
from skattn.preprocessing._base import PanelTransformer
from skattn.preprocessing._calendar import check_calendar, days_without_rows
from skattn.utils import warn_user

Rows: TypeAlias = tuple[np.ndarray, pd.MultiIndex]


class LookbackTransformer(PanelTransformer):
    """Base class of transformers that look back at earlier rows and store the last fitted rows.

    A subclass calls :meth:`_remember` at the end of ``fit`` and :meth:`_recall` in ``transform``.
    """

    calendar: Any = parameter(None)

    def _forget(self) -> None:
        self.history_: pd.DataFrame | None = None
        self.calendar_: pd.DatetimeIndex | None = None

    def _remember(
        self,
        values: np.ndarray,
        index: pd.MultiIndex,
        names: list[str],
        lookback: int,
        *,
        age: bool = False,
    ) -> None:
        """Store the last ``2 * lookback + 1`` days, so the later half can be transformed again.

        With ``age``, some stocks get an empty row on the first stored day: stocks that are older
        than the stored days and have no row on the first stored day. The empty row distinguishes an
        older stock from a stock that was listed later.
        """
        lookback = int(lookback)  # numpy's small integers would overflow
        codes, days = level_codes(index, "datetime")
        if self.calendar is not None:
            check_calendar(self.calendar, days)
        self._lookback, self.calendar_, self.history_ = lookback, days, None
        self._known_stamps = _stamps_of_level(index)
        if lookback == 0:
            return
        first = max(len(days) - self._remembered_days(), 0)
        tail = codes >= first
        history = pd.DataFrame(values[tail], index[tail], names)
        if age:
            stocks, known = level_codes(index, "instrument")
            older = known[np.setdiff1d(stocks[codes < first], stocks[codes == first])]
            keys = pd.MultiIndex.from_product([days[[first]], older])
            keys = keys.set_names(["datetime", "instrument"]).reorder_levels(index.names)
            history = pd.concat([history.reindex(keys), history])
        self.history_ = history

    def _remembered_days(self) -> int:
        return 2 * self._lookback + 1

    def _recall(self, index: pd.MultiIndex, lookback: int) -> tuple[Rows, pd.DatetimeIndex]:
        """Return the stored rows, and all days of the market, with or without rows.

        Parameters
        ----------
        index : MultiIndex
            Keys of the rows to transform.
        lookback : int
            Number of days that rows look back.

        Returns
        -------
        memory : (values, index)
        calendar : DatetimeIndex
        """
        lookback = int(lookback)
        fitted = cast(pd.DatetimeIndex, self.calendar_)
        if lookback > self._lookback:
            raise ValueError(
                f"{type(self).__name__} was fitted to look back {self._lookback} days, but now has "
                f"to look back {lookback} days. Fit again after changing parameters."
            )
        days = level_codes(index, "datetime")[1]
        if str(days.tz) != str(fitted.tz):
            raise ValueError(
                f"The dates of X have the time zone {days.tz}, but {type(self).__name__} was "
                f"fitted with {fitted.tz}."
            )
        if self.history_ is None:
            return (np.empty((0, 0)), index[:0]), fitted
        check_same_stamps(fitted, days)
        warn_of_short_lookback(fitted, days, lookback, self._remembered_days())
        known = cast(pd.MultiIndex, self.history_.index)
        warn_of_unknown_instruments(known, index)
        known_stamps = self._known_stamps.union(_stamps_of_level(index))
        missing = days_without_rows(self.calendar, fitted, days, known_stamps)
        return (self.history_.to_numpy(), known), fitted.union(days).union(missing)


def _stamps_of_level(index: pd.MultiIndex) -> pd.DatetimeIndex:
    """Return all dates in the level of an index; a slice keeps the dates of dropped rows."""
    return cast(pd.DatetimeIndex, index.levels[index.names.index("datetime")])


def last_steps(series: np.ndarray, length: int, *, edge: bool = False) -> np.ndarray:
    """Take the last steps of N series.

    Parameters
    ----------
    series : ndarray of shape (N, T) or (N, T, F)
        Series, oldest step first.
    length : int
        Number of steps to take.
    edge : bool, default=False
        How to pad in front if T is smaller than ``length``: True repeats the first step, False uses
        NaN.

    Returns
    -------
    steps : ndarray of shape (N, length, F)
        The steps, as a copy.
    """
    cube = series[:, :, None] if series.ndim == 2 else series
    cube = cube[:, -length:]
    before = ((0, 0), (length - cube.shape[1], 0), (0, 0))
    if edge:
        return np.pad(cube, before, mode="edge")
    return np.pad(cube, before, constant_values=np.nan)


def warn_of_short_lookback(
    calendar: pd.DatetimeIndex, days: pd.DatetimeIndex, lookback: int, remembered: int
) -> None:
    """Warn if X begins inside the fitted days, and the history lacks the days before X."""
    position = calendar.searchsorted(days[0])
    first_needed = max(position - lookback, 0)
    if position > 0 and first_needed < len(calendar) - remembered:
        warn_user(
            f"X begins at {days[0].date()}, inside the fitted days, and only the last {remembered} "
            f"of these are remembered: the windows of its first days are padded with NaN. Pass the "
            f"{lookback} days before them too; in a cross-validation, build the windows before it."
        )


def warn_of_unknown_instruments(known: pd.MultiIndex, index: pd.MultiIndex) -> None:
    """Warn if the history contains no instrument of X."""
    ours, theirs = (level_codes(each, "instrument")[1] for each in (known, index))
    if not theirs.isin(ours).any():
        warn_user(
            f"No instrument of X is known from fit: X has {shown(theirs[0])}, fit saw "
            f"{shown(ours[0])}. The windows of these instruments begin with X."
        )


def check_one_stamp_a_day(index: pd.MultiIndex) -> None:
    """Raise if stocks have different time stamps on the same day.

    The steps of a window are time stamps of the market. If some stocks were stamped 15:00 and
    others 16:00, each stock would miss every other step.
    """
    stamps = index.levels[index.names.index("datetime")]
    if (stamps.tz_localize(None) == dates_of(stamps)).all():
        return
    stamps = index.get_level_values("datetime")
    days = dates_of(stamps)
    if len(stamps.unique()) == len(days.unique()):
        return
    pairs = pd.MultiIndex.from_arrays([days, index.get_level_values("instrument")])
    if pairs.is_unique:
        day = days[np.flatnonzero(days.isin(_days_of_two_stamps(stamps)))[0]]
        raise ValueError(
            f"Stocks have different time stamps on one day ({day.date()}: "
            f"{', '.join(str(s.time()) for s in stamps[days == day].unique()[:3])}). Give each day "
            f"one time stamp, for example with index.set_levels(...normalize())."
        )


def check_same_stamps(fitted: pd.DatetimeIndex, days: pd.DatetimeIndex) -> None:
    """Raise if a fitted day occurs in X with another time of day, which would be another step."""
    if not (dates_of(fitted).is_unique and dates_of(days).is_unique):
        return
    both = fitted.union(days)
    twice = _days_of_two_stamps(both)
    if len(twice):
        stamps = both[dates_of(both) == twice[0]]
        raise ValueError(
            f"X and the fitted rows have different time stamps on one day: {stamps[0]} and "
            f"{stamps[1]}. Give each day one time stamp."
        )


def _days_of_two_stamps(stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    days = dates_of(stamps.unique())
    return days[days.duplicated()]
