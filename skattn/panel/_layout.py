"""Where the rows of a panel lie when every stock has a row on each day of the market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skattn.panel._index import level_codes


@dataclass(frozen=True, eq=False)
class Layout:
    """Rows stock after stock, and within a stock day after day of the market's calendar.

    A stock has a row on each day from its first to its last, so that one row is always one step
    of the market; days that it misses are rows without values. ``margin`` empty rows lie before
    each stock.

    Parameters
    ----------
    rows : ndarray of int, shape (N,)
        Row of each key.
    stocks : ndarray of int, shape (N,)
        Number of the stock of each key.
    offsets : ndarray of int, shape (n_stocks + 1,)
        Where the rows of each stock begin, its margin included, and the number of all rows.
    margin : int
        Empty rows before each stock.
    """

    rows: np.ndarray
    stocks: np.ndarray
    offsets: np.ndarray
    margin: int

    @property
    def n_rows(self) -> int:
        """Number of rows, margins included."""
        return int(self.offsets[-1])

    def table(self, values: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Put values where they belong, and NaN where there are none.

        Parameters
        ----------
        values : ndarray of shape (n, F)
            Those of the keys of ``index``.
        earlier : ndarray of shape (N - n, F)
            Those of the keys before them; where both know a key, ``values`` count.

        Returns
        -------
        table : ndarray of shape (n_rows, F)
        """
        table = np.full((self.n_rows, values.shape[1]), np.nan, dtype=values.dtype)
        table[self.rows[: len(earlier)]] = earlier
        table[self.rows[len(earlier) :]] = values
        return table


def lay_out(
    index: pd.MultiIndex,
    *,
    earlier: pd.MultiIndex | None = None,
    calendar: pd.DatetimeIndex | None = None,
    margin: int = 0,
) -> Layout:
    """Lay (datetime, instrument) keys out on the market's calendar.

    Parameters
    ----------
    index : MultiIndex
        The keys, in any order.
    earlier : MultiIndex, default=None
        Other keys that are laid out too, before those of ``index`` in the result's order.
    calendar : DatetimeIndex, default=None
        Days that are known to be days of the market. Those of the keys always are.
    margin : int, default=0
        Empty rows before each stock.

    Returns
    -------
    layout : Layout
    """
    day, days = level_codes(index, "datetime")
    stock, stocks = level_codes(index, "instrument")
    if earlier is not None and len(earlier):
        day, days = _join_codes(earlier, day, days, "datetime")
        stock, stocks = _join_codes(earlier, stock, stocks, "instrument")
    if calendar is not None:
        day = calendar.union(days).get_indexer(days).astype(np.int32)[day]
    first = np.full(len(stocks), np.iinfo(np.int32).max, dtype=np.int32)
    last = np.full(len(stocks), -1, dtype=np.int32)
    np.minimum.at(first, stock, day)
    np.maximum.at(last, stock, day)
    spans = (last - first + 1 + margin).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(spans)])
    # 32 bits where they do: row numbers of a whole market are as large as its prices.
    if offsets[-1] <= np.iinfo(np.int32).max:
        offsets = offsets.astype(np.int32)
    rows = (offsets[:-1] + margin - first).astype(offsets.dtype)[stock]
    rows += day
    return Layout(rows, stock, offsets, margin)


def _join_codes(
    earlier: pd.MultiIndex, codes: np.ndarray, uniques: pd.Index, level: str
) -> tuple[np.ndarray, pd.Index]:
    """Put the earlier keys' codes before the others', on their common values."""
    earlier_codes, earlier_uniques = level_codes(earlier, level)
    both = earlier_uniques.union(uniques)
    old = both.get_indexer(earlier_uniques).astype(np.int32)[earlier_codes]
    new = both.get_indexer(uniques).astype(np.int32)[codes]
    return np.concatenate([old, new]), both
