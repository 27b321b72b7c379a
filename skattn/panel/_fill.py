"""Fill missing rows inside a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skattn.panel._layout import Layout


@dataclass(frozen=True, eq=False)
class FillRows:
    """For each row of a table, the row to read when the row itself has no values.

    Parameters
    ----------
    before : ndarray of int, shape (R,)
        For each row of the table, the latest row with values at or before the row; -1 if there is
        no such row.
    after : ndarray of int, shape (R,), default=None
        For each row of the table, the first row with values at or after the row. None means that
        windows are not filled backward.
    """

    before: np.ndarray
    after: np.ndarray | None = None

    @classmethod
    def of(cls, layout: Layout, *, backward: bool) -> FillRows:
        """Fill the rows of a layout that belong to no key.

        Parameters
        ----------
        layout : Layout
            Layout of the table. The rows of its keys have values.
        backward : bool
            Whether to fill from a later row of the window if no earlier row has values.

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
        """Find the rows to read in place of the wanted rows of windows.

        All sources lie inside the window, from its first to its last row. The last row of a window
        always has values.

        Parameters
        ----------
        rows : ndarray of int, shape (B, L)
            Wanted rows of the table. A row below ``first`` lies outside the window.
        first : ndarray of int, shape (B, 1)
            The first row that each window may read.

        Returns
        -------
        sources : ndarray of int, shape (B, L)
        empty : ndarray of bool, shape (B, L)
            True where the window holds no row to read.
        """
        sources = self.before[np.maximum(rows, first)]
        empty = (rows < first) | (sources < first)
        if self.after is None:
            return sources, empty
        return np.where(empty, self.after[first], sources), np.zeros_like(empty)
