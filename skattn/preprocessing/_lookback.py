"""What a transformer that looks back can know of the days before its rows."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd

from skattn._warn import warn_user
from skattn.panel import dates_of, level_codes
from skattn.preprocessing._base import PanelTransformer

# As many weekdays in a row may be holidays anywhere.
HOLIDAYS = 4

Rows: TypeAlias = tuple[np.ndarray, pd.MultiIndex]


class LookbackTransformer(PanelTransformer):
    """A transformer whose rows are made of rows before them, and that remembers those.

    A subclass has a parameter ``calendar`` and calls :meth:`_remember` at the end of ``fit`` and
    :meth:`_recall` in ``transform``.
    """

    calendar: Any
    history_: pd.DataFrame | None
    calendar_: pd.DatetimeIndex | None

    def _forget(self) -> None:
        self.history_ = self.calendar_ = None

    def _remember(
        self,
        values: np.ndarray,
        index: pd.MultiIndex,
        names: list[str],
        lookback: int,
        *,
        age: bool = False,
    ) -> None:
        """Keep the last ``2 * lookback + 1`` days: rows of half of them can be made again.

        With ``age``, a stock that is older than these days and has no row on the first of them gets
        an empty one there: it is not to be taken for a stock that was listed later.
        """
        codes, days = level_codes(index, "datetime")
        # A calendar that does not have the fitted days is an error of fit already.
        self._told_days(days)
        self._lookback, self.calendar_, self.history_ = lookback, days, None
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
        """Give the remembered rows, and the days of the market that rows may not have.

        Parameters
        ----------
        index : MultiIndex
            Keys of the rows to transform.
        lookback : int
            Rows that are looked back.

        Returns
        -------
        memory : (values, index)
        calendar : DatetimeIndex
        """
        fitted = cast(pd.DatetimeIndex, self.calendar_)
        if lookback > self._lookback:
            raise ValueError(
                f"{type(self).__name__} was fitted to look back {self._lookback} days and is to "
                f"look back {lookback}: after a change of parameters, fit again."
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
        warn_of_strangers(known, index)
        both = fitted.union(days)
        missing = self._told_days(both).append(self._untold_days(fitted, both))
        return (self.history_.to_numpy(), known), both.union(missing)

    def _told_days(self, seen: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Days of the parameter ``calendar`` between the seen ones."""
        if self.calendar is None:
            return seen[:0]
        given = self._given_days()
        known = dates_of(seen)
        # What comes after the calendar's last day is a day of the market all the same.
        strange = known[(known <= given.max()) & ~known.isin(given)]
        if len(strange):
            shown = ", ".join(str(day.date()) for day in strange[:3])
            raise ValueError(
                f"calendar lacks {len(strange)} of the days of X: {shown}"
                f"{', ...' if len(strange) > 3 else ''}. It must hold every trading day."
            )
        between = given[(given > known.min()) & (given < known.max()) & ~given.isin(known)]
        return _midnights(between.unique(), seen.tz)

    def _untold_days(self, fitted: pd.DatetimeIndex, seen: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Trading days that probably lie in unusual pauses of which no calendar tells."""
        last = None if self.calendar is None else self._given_days().max()
        later = seen if last is None else seen[dates_of(seen) >= last]
        return missed_days(fitted, later)

    def _given_days(self) -> pd.DatetimeIndex:
        try:
            given = dates_of(pd.DatetimeIndex(pd.to_datetime(self.calendar)))
        except (ValueError, TypeError) as error:
            raise TypeError(
                f"calendar must hold the trading days of the market as dates, or be None; got "
                f"{self.calendar!r}."
            ) from error
        if len(given) == 0 or given.hasnans:
            raise ValueError(f"calendar must hold dates, or be None; got {self.calendar!r}.")
        return given


def last_steps(series: np.ndarray, length: int, *, edge: bool = False) -> np.ndarray:
    """Take the last steps of N series.

    Parameters
    ----------
    series : ndarray of shape (N, T) or (N, T, F)
        Oldest step first.
    length : int
        Steps to take.
    edge : bool, default=False
        What stands before the first step where T is too small: that step, or else NaN.

    Returns
    -------
    steps : ndarray of shape (N, length, F)
        A copy.
    """
    cube = series[:, :, None] if series.ndim == 2 else series
    cube = cube[:, -length:]
    before = ((0, 0), (length - cube.shape[1], 0), (0, 0))
    if edge:
        return np.pad(cube, before, mode="edge")
    return np.pad(cube, before, constant_values=np.nan)


def missed_days(fitted: pd.DatetimeIndex, seen: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Trading days that probably lie in the unusual pauses between days; with a warning.

    A pause is as long as the weekdays that it passes over, of those on which the market trades.
    Unusual is one of more than 4, and of more than twice what nearly all of the fitted days have;
    right after the fitted days, one of more than what nearly all of them have.

    Parameters
    ----------
    fitted, seen : DatetimeIndex
        Sorted days of the fit, and the days to find pauses between.

    Returns
    -------
    missed : DatetimeIndex
    """
    week = fitted.day_of_week.unique()
    # Monday to Friday, where the days are too few to tell.
    traded = [day in week if len(week) >= 5 else day < 5 for day in range(7)]

    def pauses(days: pd.DatetimeIndex) -> np.ndarray:
        dates = dates_of(days).to_numpy().astype("datetime64[D]")
        return np.busday_count(dates[:-1] + 1, dates[1:], weekmask=traded)

    def usual(share: float) -> int:
        return np.quantile(pauses(fitted), share, method="lower") if len(fitted) > 1 else 0

    limits = np.full(max(len(seen) - 1, 0), max(HOLIDAYS, 2 * usual(0.99)))
    # A splitter, or a selection, may have made the pause after the fitted days: less is unusual.
    limits[seen[:-1] == fitted[-1]] = usual(0.995)
    gaps = np.flatnonzero(pauses(seen) > limits)
    if len(gaps) == 0:
        return seen[:0]
    between = [pd.date_range(*dates_of(seen[[gap, gap + 1]]), inclusive="neither") for gap in gaps]
    missed = between[0].append(between[1:])
    missed = missed[np.isin(missed.day_of_week, np.flatnonzero(traded))]
    first, after = seen[gaps[0]].date(), seen[gaps[0] + 1].date()
    more = f" (and {len(gaps) - 1} more pauses)" if len(gaps) > 1 else ""
    warn_user(
        f"No row lies between {first} and {after}{more}: about {len(missed)} trading days are "
        f"taken as missing in the windows after them. Pass their rows too, or tell the days on "
        f"which the market was open (calendar=)."
    )
    return _midnights(missed, seen.tz)


def _midnights(days: pd.DatetimeIndex, zone: Any) -> pd.DatetimeIndex:
    # Some zones have no midnight on the day on which their clocks change, or two.
    return days.tz_localize(zone, nonexistent="shift_forward", ambiguous=np.ones(len(days), bool))


def warn_of_short_lookback(
    calendar: pd.DatetimeIndex, days: pd.DatetimeIndex, lookback: int, remembered: int
) -> None:
    """Warn where X begins inside the fitted days, at rows whose past is not remembered."""
    position = calendar.searchsorted(days[0])
    first_needed = max(position - lookback, 0)
    if position > 0 and first_needed < len(calendar) - remembered:
        warn_user(
            f"X begins at {days[0].date()}, inside the fitted days, and only the last {remembered} "
            f"of these are remembered: the windows of its first days are padded with NaN. Pass the "
            f"{lookback} days before them too; in a cross-validation, build the windows before it."
        )


def warn_of_strangers(known: pd.MultiIndex, index: pd.MultiIndex) -> None:
    """Warn where no instrument of X is one of the remembered ones."""
    ours, theirs = (level_codes(each, "instrument")[1] for each in (known, index))
    if not theirs.isin(ours).any():
        warn_user(
            f"No instrument of X is known from fit: X has {theirs[0]!r}, fit saw {ours[0]!r}. "
            f"Their windows begin with X."
        )


def check_one_stamp_a_day(index: pd.MultiIndex) -> None:
    """Raise where stocks have different time stamps on one day.

    Steps of a window are time stamps of the market: stocks that are stamped 15:00 and others that
    are stamped 16:00 would each miss every other step.
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
            f"one stamp, for example with index.set_levels(...normalize())."
        )


def check_same_stamps(fitted: pd.DatetimeIndex, days: pd.DatetimeIndex) -> None:
    """Raise where a fitted day comes again with another time of day: it would be two steps."""
    if not (dates_of(fitted).is_unique and dates_of(days).is_unique):
        return
    both = fitted.union(days)
    twice = _days_of_two_stamps(both)
    if len(twice):
        stamps = both[dates_of(both) == twice[0]]
        raise ValueError(
            f"X and the fitted rows have different time stamps on one day: {stamps[0]} and "
            f"{stamps[1]}. Give each day one stamp."
        )


def _days_of_two_stamps(stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    days = dates_of(stamps.unique())
    return days[days.duplicated()]
