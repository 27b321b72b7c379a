"""A market's return and traded value by day, read from tables, and their statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skattn.panel import days_of

FIELDS = ["return", "amount"]


def column_names(market: str, lengths: Sequence[int]) -> list[str]:
    """Name the columns of a market, in the order of the original: all of a length together."""
    start = f"MARKET_{market}_" if market else "MARKET_"
    names = [
        f"{field}_{statistic}{length}"
        for length in lengths
        for field in ("RETURN", "AMOUNT")
        for statistic in ("MEAN", "STD")
    ]
    return [start + name for name in ("RETURN", *names)]


def describe(series: pd.DataFrame, lengths: Sequence[int]) -> pd.DataFrame:
    """Compute the columns of a market for each of its days.

    Each window is summed on its own: a running sum would carry the rounding of all days before, so
    that the bits of a day would depend on where the series begins.
    """
    returns, amounts = series[FIELDS].to_numpy(float).T
    columns = [returns]
    with np.errstate(invalid="ignore", divide="ignore"):
        for length in lengths:
            columns += _mean_and_deviation(returns, length)
            columns += [part / amounts for part in _mean_and_deviation(amounts, length)]
    return pd.DataFrame(np.column_stack(columns), series.index)


def _mean_and_deviation(values: np.ndarray, length: int) -> list[np.ndarray]:
    """Mean and sample deviation of the known values among the last ``length``."""
    padded = np.concatenate([np.full(length - 1, np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)
    known = ~np.isnan(windows)
    n_known = known.sum(axis=1)
    mean = np.where(known, windows, 0.0).sum(axis=1) / n_known
    squares = np.where(known, (windows - mean[:, None]) ** 2, 0.0).sum(axis=1)
    return [mean, np.sqrt(np.where(n_known > 1, squares, np.nan) / (n_known - 1))]


def universe(rows: pd.DataFrame, calendar: pd.DatetimeIndex, *, by_value: bool) -> pd.DataFrame:
    """Compute the return and the traded value of the stocks of each day of the calendar.

    The sums of a day run over its stocks in the order of their names, so that their bits depend on
    the day's rows alone.
    """
    try:
        rows = rows.sort_values(["instrument", "day"])
    except TypeError as error:
        raise TypeError(f"The instruments of X must be of one type: {error}.") from None
    day = calendar.get_indexer(rows["day"])
    stock, close, amount = (rows[name].to_numpy() for name in ("instrument", "close", "amount"))
    now = 1 + np.flatnonzero((stock[1:] == stock[:-1]) & (day[1:] == day[:-1] + 1))
    returns = close[now] / close[now - 1] - 1
    weights = amount[now - 1] if by_value else np.ones(len(now))
    counts = ~np.isnan(returns) & ~np.isnan(weights)
    now, returns, weights = now[counts], returns[counts], weights[counts]
    traded = ~np.isnan(amount)

    def sum_by_day(of_day: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Sums; NaN where a day has no value."""
        sums = np.bincount(of_day, values, minlength=len(calendar))
        return np.where(np.bincount(of_day, minlength=len(calendar)) > 0, sums, np.nan)

    market = sum_by_day(day[now], weights * returns) / sum_by_day(day[now], weights)
    values = np.column_stack([market, sum_by_day(day[traded], amount[traded])])
    return pd.DataFrame(values, calendar, FIELDS)


def read_rows(X: pd.DataFrame) -> pd.DataFrame:
    """Read day, instrument, close and traded value of each row; zeros as missing."""
    close = _read(X, "close", "X")
    if "amount" in X.columns:
        amount = _read(X, "amount", "X")
    else:
        amount = close * _read(X, "volume", "X", instead="amount")
    instruments = np.asarray(X.index.get_level_values("instrument"))
    columns = {"instrument": instruments, "close": close, "amount": amount}
    rows = pd.DataFrame({"day": days_of(None, X), **columns})
    twice = rows.duplicated(["day", "instrument"])
    if twice.any():
        raise ValueError(
            f"X has more than one row of a stock on one day, first {X.index[twice.argmax()]}. The "
            f"market is described by day: keep one row for each stock and day."
        )
    return rows


def dropped_days(
    index: pd.MultiIndex, fitted: pd.DatetimeIndex, days: pd.DatetimeIndex
) -> pd.DatetimeIndex:
    """Find the days between the fitted and the later days that are left in the index's levels."""
    later = days[days > fitted[-1]]
    known = days_of(index.levels[index.names.index("datetime")]).unique()
    return known[(known > fitted[-1]) & (known < later.min())] if len(later) else known[:0]


def read_index(name: str, table: Any) -> pd.DataFrame:
    """Read the return and the traded value of an index that the user passes."""
    what = f"indexes[{name!r}]" if name else "indexes"
    if not isinstance(table, pd.DataFrame) or isinstance(table.index, pd.MultiIndex):
        raise ValueError(
            f"{what} must be a DataFrame of close and amount or volume by date; got "
            f"{type(table).__name__} with {type(getattr(table, 'index', None)).__name__}."
        )
    try:
        days = days_of(table.index)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The index of {what} must hold dates: {error}") from None
    if days.has_duplicates:
        day = days[days.duplicated()][0]
        raise ValueError(f"{what} must have one row for each day; {day.date()} has more.")
    close = _read(table, "close", what)
    amount = _read(table, "amount" if "amount" in table.columns else "volume", what, "amount")
    series = pd.DataFrame({"close": close, "amount": amount}, days).sort_index()
    series = series[series["close"].notna()]
    if len(series) == 0:
        raise ValueError(f"{what} has no day with a close.")
    returns = series["close"] / series["close"].shift(1) - 1
    return pd.DataFrame({"return": returns, "amount": series["amount"]})


def check_last_days(series: dict[str, pd.DataFrame], last: pd.Timestamp) -> None:
    """Raise where X goes beyond the last day of an index."""
    for name, values in series.items():
        if values.index[-1] < last:
            raise ValueError(
                f"indexes{f'[{name!r}]' if name else ''} ends at {values.index[-1].date()}, and X "
                f"goes to {last.date()}: pass a series that goes on, "
                f"set_params(indexes=...), before rows of later days."
            )


def _read(table: pd.DataFrame, name: str, what: str, instead: str = "") -> np.ndarray:
    """Read a column of prices or volume in float64, zeros as NaN."""
    if name not in table.columns:
        words = f"{name!r} (or {instead!r})" if instead else repr(name)
        raise ValueError(f"{what} lacks the column {words}; it has {list(table.columns)}.")
    if not table.columns.is_unique:
        double = list(table.columns[table.columns.duplicated()])
        raise ValueError(f"{what} has more than one column {double}.")
    try:
        values = table[name].to_numpy(dtype=float, na_value=np.nan, copy=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The column {name!r} of {what} is not numeric: {error}") from None
    bad = np.flatnonzero(np.isinf(values) | (values < 0))
    if len(bad):
        raise ValueError(
            f"The column {name!r} of {what} must be finite and not negative; {len(bad)} values are "
            f"not, first {values[bad[0]]} at {table.index[bad[0]]}."
        )
    values[values == 0] = np.nan
    return values
