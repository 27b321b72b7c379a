"""Rows that stand in for missing ones, inside a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skattn.panel._layout import Layout


@dataclass(frozen=True, eq=False)
class FillRows:
    """Which row's values stand in for a row that has none.

    Parameters
    ----------
    before : ndarray of int, shape (R,)
        For each row of the table the latest that has values, itself or one before it; -1 where
        there is none.
    after : ndarray of int, shape (R,), default=None
        The first that has values, itself or one after it. None: windows are not filled backward.
    """

    before: np.ndarray
    after: np.ndarray | None = None

    @classmethod
    def of(cls, layout: Layout, *, backward: bool) -> FillRows:
        """Fill the rows of a layout that no key is at.

        Parameters
        ----------
        layout : Layout
            Its keys are the rows with values.
        backward : bool
            Whether to fill from later rows of the window where no earlier one has values.

        Returns
        -------
        fill : FillRows
        """
        rows = np.arange(layout.n_rows, dtype=layout.rows.dtype)
        known = np.zeros(layout.n_rows, dtype=bool)
        known[layout.rows] = True
        before = np.maximum.accumulate(np.where(known, rows, -1))
        if not backward:
            return cls(before)
        after = np.minimum.accumulate(np.where(known, rows, layout.n_rows)[::-1])[::-1]
        return cls(before, after)

    def sources(self, rows: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the rows to read in place of some rows of windows.

        Nothing outside a window is read: not before its first row, not after its last, which
        always has values.

        Parameters
        ----------
        rows : ndarray of int, shape (B, L)
            Wanted rows of the table; below ``first`` where a window has no row.
        first : ndarray of int, shape (B, 1)
            The first row that each window may read.

        Returns
        -------
        sources : ndarray of int, shape (B, L)
        empty : ndarray of bool, shape (B, L)
            Where nothing in the window can stand in.
        """
        sources = self.before[np.maximum(rows, first)]
        empty = (rows < first) | (sources < first)
        if self.after is None:
            return sources, empty
        return np.where(empty, self.after[first], sources), np.zeros_like(empty)
