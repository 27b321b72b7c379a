"""What a transformer that looks back can know of the days before its rows."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

# Longer pauses than this, and than any in the fitted days, are days that nobody has shown us.
USUAL_PAUSE = pd.Timedelta(days=7)


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
    warnings.warn(
        f"X goes on at {later[0].date()}, {(later[0] - fitted[-1]).days} days after the last "
        f"fitted day, {fitted[-1].date()}. About {len(missed)} trading days between are taken as "
        f"missing; pass their rows too, or fit again.",
        UserWarning,
        stacklevel=4,
    )
    return missed


def remembered_days(length: int) -> int:
    """Count the fitted days to keep: rows of the last ``length`` of them see whole windows."""
    return 2 * length - 1 if length > 1 else 0


def warn_of_short_lookback(calendar: pd.DatetimeIndex, days: pd.DatetimeIndex, length: int) -> None:
    """Warn where X begins inside the fitted days, at rows whose past is not remembered."""
    position = calendar.searchsorted(days[0])
    remembered = remembered_days(length)
    first_needed = max(position - (length - 1), 0)
    if position > 0 and first_needed < len(calendar) - remembered:
        warnings.warn(
            f"X begins at {days[0].date()}, inside the fitted days, and only the last {remembered} "
            f"of these are remembered: the windows of its first days are padded with NaN. Pass the "
            f"{length - 1} days before them too.",
            UserWarning,
            stacklevel=4,
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
