"""What a transformer that looks back can know of the days before its rows."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd

from skattn._warn import warn_user
from skattn.panel import level_codes
from skattn.preprocessing._base import PanelTransformer

# Longer pauses than this, and than any in the fitted days, are days that nobody has shown us.
USUAL_PAUSE = pd.Timedelta(days=7)


class LookbackTransformer(PanelTransformer):
    """A transformer whose rows are made of rows before them, and that remembers those.

    A subclass has a parameter ``calendar`` and calls :meth:`_remember` in ``fit`` and
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
        """Keep the last ``2 * lookback + 1`` days: rows of half of them see their whole past.

        With ``age``, a stock that is older than these days and has no row on the first of them gets
        an empty one there: it is not to be taken for a stock that was listed later.
        """
        codes, self.calendar_ = level_codes(index, "datetime")
        # A calendar that does not have the fitted days is an error of fit already.
        self._unseen_days(self.calendar_)
        if lookback == 0:
            return
        first = max(len(self.calendar_) - remembered_days(lookback), 0)
        tail = codes >= first
        history = pd.DataFrame(values[tail], index[tail], names)
        if age:
            stocks, known = level_codes(index, "instrument")
            older = known[np.setdiff1d(stocks[codes < first], stocks[codes == first])]
            keys = pd.MultiIndex.from_product([self.calendar_[[first]], older])
            keys = keys.set_names(["datetime", "instrument"]).reorder_levels(index.names)
            history = pd.concat([history.reindex(keys), history])
        self.history_ = history

    def _recall(
        self, index: pd.MultiIndex, lookback: int
    ) -> tuple[tuple[np.ndarray, pd.MultiIndex] | None, pd.DatetimeIndex]:
        """Give the remembered rows, and the days of the market that ``index`` may not have.

        Parameters
        ----------
        index : MultiIndex
            Keys of the rows to transform.
        lookback : int
            Rows that are looked back.

        Returns
        -------
        memory : (values, index) or None
        calendar : DatetimeIndex
        """
        fitted = cast(pd.DatetimeIndex, self.calendar_)
        days = level_codes(index, "datetime")[1]
        if str(days.tz) != str(fitted.tz):
            raise ValueError(
                f"The dates of X have the time zone {days.tz}, but {type(self).__name__} was "
                f"fitted with {fitted.tz}."
            )
        if self.history_ is None:
            return None, fitted
        check_same_stamps(fitted, days)
        warn_of_short_lookback(fitted, days, lookback)
        both = fitted.union(days)
        missed = self._unseen_days(both)
        if self.calendar is None:
            missed = missed_days(fitted, days)
        memory = (self.history_.to_numpy(), cast(pd.MultiIndex, self.history_.index))
        return memory, both.union(missed)

    def _unseen_days(self, seen: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Days of the parameter ``calendar`` between the seen ones."""
        if self.calendar is None:
            return seen[:0]
        try:
            given = pd.DatetimeIndex(pd.to_datetime(self.calendar)).tz_localize(None).normalize()
        except (ValueError, TypeError) as error:
            raise TypeError(
                f"calendar must hold the trading days of the market as dates, or be None; got "
                f"{self.calendar!r}."
            ) from error
        known = seen.tz_localize(None).normalize()
        strange = known[~known.isin(given)]
        if len(strange):
            shown = ", ".join(str(day.date()) for day in strange[:3])
            raise ValueError(
                f"calendar lacks {len(strange)} of the days of X: {shown}"
                f"{', ...' if len(strange) > 3 else ''}. It must hold every trading day."
            )
        between = given[(given > known.min()) & (given < known.max()) & ~given.isin(known)]
        return between.unique().tz_localize(seen.tz)


def check_length(length: Any) -> None:
    """Raise where a number of steps is none."""
    if isinstance(length, bool) or not isinstance(length, (int, np.integer)):
        raise TypeError(f"length must be an int; got {length!r}.")
    if length < 1:
        raise ValueError(f"length must be at least 1; got {length}.")


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


def missed_days(fitted: pd.DatetimeIndex, days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Trading days that probably lie between the fitted days and later ones.

    Parameters
    ----------
    fitted, days : DatetimeIndex
        Sorted days of the fit, and of the rows to transform.

    Returns
    -------
    missed : DatetimeIndex
        The weekdays that the fitted days have (Monday to Friday where they are too few to tell),
        in the pause between; empty where the pause is no longer than a week or than the longest of
        the fitted days.
    """
    later = days[days > fitted[-1]]
    longest = max(USUAL_PAUSE, (fitted[1:] - fitted[:-1]).max() if len(fitted) > 1 else USUAL_PAUSE)
    if len(later) == 0 or later[0] - fitted[-1] <= longest:
        return fitted[:0]
    between = pd.date_range(fitted[-1].normalize(), later[0].normalize(), inclusive="neither")
    seen = fitted.day_of_week.unique()
    missed = between[between.day_of_week.isin(seen if len(seen) >= 5 else range(5))]
    warn_user(
        f"X goes on at {later[0].date()}, {(later[0] - fitted[-1]).days} days after the last "
        f"fitted day, {fitted[-1].date()}. About {len(missed)} trading days between are taken as "
        f"missing; pass their rows too, or fit again, or tell the trading days (calendar=)."
    )
    return missed


def remembered_days(lookback: int) -> int:
    """Count the fitted days to keep: rows of the last ``lookback + 1`` have their whole past."""
    return 2 * lookback + 1 if lookback else 0


def warn_of_short_lookback(
    calendar: pd.DatetimeIndex, days: pd.DatetimeIndex, lookback: int
) -> None:
    """Warn where X begins inside the fitted days, at rows whose past is not remembered."""
    position = calendar.searchsorted(days[0])
    remembered = remembered_days(lookback)
    first_needed = max(position - lookback, 0)
    if position > 0 and first_needed < len(calendar) - remembered:
        warn_user(
            f"X begins at {days[0].date()}, inside the fitted days, and only the last {remembered} "
            f"of these are remembered: the windows of its first days are padded with NaN. Pass the "
            f"{lookback} days before them too."
        )


def check_one_stamp_a_day(index: pd.MultiIndex) -> None:
    """Raise where stocks have different time stamps on one day.

    Steps of a window are time stamps of the market: stocks that are stamped 15:00 and others that
    are stamped 16:00 would each miss every other step.
    """
    stamps = index.levels[index.names.index("datetime")]
    if (stamps == stamps.normalize()).all():
        return
    stamps = index.get_level_values("datetime")
    days = stamps.normalize()
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
    if not (fitted.normalize().is_unique and days.normalize().is_unique):
        return
    both = fitted.union(days)
    twice = _days_of_two_stamps(both)
    if len(twice):
        stamps = both[both.normalize() == twice[0]]
        raise ValueError(
            f"X and the fitted rows have different time stamps on one day: {stamps[0]} and "
            f"{stamps[1]}. Give each day one stamp."
        )


def _days_of_two_stamps(stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    days = stamps.unique().normalize()
    return days[days.duplicated()]
