"""Layout of a panel in which every stock has a row on each day of the market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skattn.panel._index import level_codes
from skattn.panel._mapped import give_back

# Bytes of a table that are written at a time, and rows of the values that are read at a time.
BLOCK, CHUNK = 2**26, 2**12


@dataclass(frozen=True, eq=False)
class Layout:
    """Rows sorted by stock, and within each stock by day of the market's calendar.

    A stock has a row on each day from its first to its last day, so one row is always one step of
    the market. A day that the stock misses is a row without values. ``margin`` empty rows lie
    before each stock.

    Parameters
    ----------
    rows : ndarray of int, shape (N,)
        Row of each key.
    stocks : ndarray of int, shape (N,)
        Number of the stock of each key.
    offsets : ndarray of int, shape (n_stocks + 1,)
        First row of each stock, margin included, followed by the total number of rows.
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

    def is_order_of_rows(self) -> bool:
        """Whether the keys come row after row, without a row between them."""
        n_keys = len(self.rows)
        return self.n_rows == n_keys and bool((self.rows[1:] > self.rows[:-1]).all())

    def write(self, values: np.ndarray, earlier: np.ndarray, table: np.ndarray) -> None:
        """Write what ``table`` gives into a memory map, a block of it at a time.

        Parameters
        ----------
        values, earlier : ndarray
            As for ``table``.
        table : memmap of shape (n_rows, F)
        """
        rows = np.split(self.rows, [len(earlier)])
        size = max(1, BLOCK // max(1, table[:1].nbytes))
        for start in range(0, self.n_rows, size):
            block = np.full_like(table[start : start + size], np.nan, subok=False)
            for source, targets in zip((earlier, values), rows, strict=True):
                inside = np.flatnonzero((targets >= start) & (targets < start + size))
                for first in range(0, len(inside), CHUNK):
                    part = inside[first : first + CHUNK]
                    block[targets[part] - start] = source[part]
                    give_back(source, CHUNK)
            table[start : start + size] = block
            give_back(table, CHUNK)

    def table(self, values: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Put values in the rows of their keys, and NaN in all other rows.

        Parameters
        ----------
        values : ndarray of shape (n, F)
            Values of the keys of ``index``.
        earlier : ndarray of shape (N - n, F)
            Values of the keys of ``earlier``. If a key is in both, ``values`` wins.

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
        Further keys. In the result they come before the keys of ``index``.
    calendar : DatetimeIndex, default=None
        Further days of the market. The days of the keys are always days of the market.
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
    # 32 bits save memory: the row numbers of a whole market are as large as its prices.
    if offsets[-1] <= np.iinfo(np.int32).max:
        offsets = offsets.astype(np.int32)
    rows = (offsets[:-1] + margin - first).astype(offsets.dtype)[stock]
    rows += day
    return Layout(rows, stock, offsets, margin)


def _join_codes(
    earlier: pd.MultiIndex, codes: np.ndarray, uniques: pd.Index, level: str
) -> tuple[np.ndarray, pd.Index]:
    """Number both sets of keys by their common values, and put the earlier codes first."""
    earlier_codes, earlier_uniques = level_codes(earlier, level)
    both = earlier_uniques.union(uniques)
    old = both.get_indexer(earlier_uniques).astype(np.int32)[earlier_codes]
    new = both.get_indexer(uniques).astype(np.int32)[codes]
    return np.concatenate([old, new]), both
