"""Prices and volume of one instrument by day, or any other series, read from a user's table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.inspection._timeline.instrument_windows import code_of
from skattn.panel import check_index
from skattn.panel.internal import dates_of, rename_hint
from skattn.parameters import check_numbers, shown

PRICES = ("close", "volume")


def read_daily(ohlcv: Any, instrument: Any) -> pd.DataFrame:
    """Read what a timeline draws and compares, by day.

    Parameters
    ----------
    ohlcv : DataFrame or Series
        Of a (datetime, instrument) index or, of one instrument, a DatetimeIndex. A table has a
        column ``close``, and may have ``volume``.
    instrument : object
        Whose rows to take.

    Returns
    -------
    series : DataFrame by day
        ``close`` (and ``volume``) with NaN for zeros; of a Series, one column of its name.

    Raises
    ------
    TypeError, ValueError
        ``ohlcv`` is no table or Series by day, has no rows of the instrument, no column ``close``,
        or values that are infinite, no numbers or, of prices, negative.
    """
    if not isinstance(ohlcv, (pd.DataFrame, pd.Series)):
        raise TypeError(
            f"ohlcv must be a DataFrame with a column 'close' or a Series, by (datetime, "
            f"instrument) or by day; got {shown(ohlcv)}."
        )
    rows, days = _rows_of(ohlcv.index, instrument)
    if days.has_duplicates:
        twice = days[days.duplicated()][0]
        raise ValueError(f"ohlcv has more than one row of {twice.date()}: keep one row a day.")
    order = days.argsort()
    index, part = days[order], ohlcv.iloc[rows[order]]
    if isinstance(part, pd.Series):
        label = part.name if isinstance(part.name, str) and part.name not in PRICES else "value"
        return pd.DataFrame({label: _numbers(part, "ohlcv", index)}, index)
    columns = list(part.columns)
    absent = [name for name in PRICES[:1] if name not in columns]
    if absent:
        hint = rename_hint(columns, absent, "ohlcv")
        raise ValueError(
            f"ohlcv must have a column 'close', or be a Series; it has {shown(columns)}.{hint}"
        )
    series = {}
    for place, name in enumerate(columns):
        if name not in PRICES:
            continue
        if name in series:
            raise ValueError(f"ohlcv has more than one column {name!r}.")
        values = _numbers(part.iloc[:, place], f"The column {name!r} of ohlcv", index)
        if (values < 0).any():
            day = index[values < 0][0]
            raise ValueError(
                f"The column {name!r} of ohlcv must not be negative; it is on {day.date()}. Pass "
                f"a Series for values that are no prices."
            )
        series[name] = np.where(values == 0, np.nan, values)
    return pd.DataFrame(series, index)


def _rows_of(index: pd.Index, instrument: Any) -> tuple[np.ndarray, pd.DatetimeIndex]:
    """Give the rows of the instrument and their days."""
    if isinstance(index, pd.DatetimeIndex):
        if index.hasnans:
            raise ValueError("ohlcv must have a day in each row; its index has missing ones.")
        return np.arange(len(index)), dates_of(index)
    check_index(index, "ohlcv")
    codes, names = pd.factorize(index.get_level_values("instrument"))
    rows = np.flatnonzero(codes == code_of(names, instrument, "ohlcv"))
    return rows, dates_of(pd.DatetimeIndex(index.get_level_values("datetime")[rows]))


def _numbers(values: pd.Series, what: str, days: pd.DatetimeIndex) -> np.ndarray:
    numbers = check_numbers(what, values)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise ValueError(f"{what} contains infinity, first on {days[infinite[0]].date()}.")
    return numbers
