"""Rows with their labels, days and instruments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from skattn.panel import WindowArray


class Samples:
    """Windows with their labels, days and instruments, from which batches are taken by row.

    Parameters
    ----------
    X : WindowArray or ndarray of shape (N, T, F), float32
        The windows.
    y : ndarray of shape (N,), float32
        Labels.
    days : DatetimeIndex of length N, default=None
        Trading day of each row, where it is known.
    instruments : Index of length N, default=None
        Stock of each row, where it is known.
    """

    def __init__(
        self,
        X: WindowArray | np.ndarray,
        y: np.ndarray,
        days: pd.DatetimeIndex | None = None,
        instruments: pd.Index | None = None,
    ) -> None:
        self.X = X
        self.y = y
        self.days = days
        self.instruments = instruments

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, rows: np.ndarray) -> Samples:
        """Take some of the rows, as another Samples."""
        return Samples(
            self.X[rows],
            self.y[rows],
            None if self.days is None else self.days[rows],
            None if self.instruments is None else self.instruments[rows],
        )

    def labelled(self) -> np.ndarray:
        """Mask of the rows that have a label."""
        return ~np.isnan(self.y)

    def day_codes(self) -> np.ndarray:
        """Number the day of each row; where days are unknown each row is a day of its own."""
        if self.days is None:
            return np.arange(len(self))
        return pd.factorize(self.days, sort=True)[0]

    def rows_by_day(self) -> list[np.ndarray]:
        """Give the row numbers of each day: days in order, and stocks by name within a day.

        Sums over a day's stocks then do not depend, in any bit, on the order of rows.
        """
        day = self.day_codes()
        stock = np.zeros(len(self), dtype=int)
        if self.instruments is not None:
            codes, names = pd.factorize(self.instruments)
            stock = names.astype(str).argsort().argsort()[codes]
        order = np.lexsort((stock, day))
        return np.split(order, np.flatnonzero(np.diff(day[order])) + 1)

    def whole_days(self, rows: np.ndarray) -> np.ndarray:
        """Widen a mask of rows to all the rows of their days."""
        codes = self.day_codes()
        return np.isin(codes, codes[rows])


class FitData(NamedTuple):
    """What a net is trained on: the training rows and, or None, the validation rows."""

    train: Samples
    valid: Samples | None


def gather(X: WindowArray | np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
    """Take some windows as a new float32 array (B, T, F)."""
    if isinstance(X, WindowArray):
        return X.gather(rows).astype(np.float32, copy=False)
    return X[rows].copy() if isinstance(rows, slice) else X.take(rows, axis=0)
