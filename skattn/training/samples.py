"""Rows with their labels, days and instruments."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skattn.panel import WindowArray


class Samples:
    """Windows with their labels, days and instruments, from which batches are taken by row.

    Parameters
    ----------
    X : WindowArray or ndarray of shape (N, T, F), float32
        The windows.
    y : ndarray of shape (N,) or (N, K), float32
        Labels; K of them a row.
    days : DatetimeIndex of length N, default=None
        Trading day of each row, where it is known.
    instruments : Index of length N, default=None
        Stock of each row, where it is known.
    weight : ndarray of shape (N,), default=None
        Weight of each row in the loss, float64, or of the type of y once they are 1 on average.
        None: all weigh the same. A row of weight 0 has no label.
    """

    def __init__(
        self,
        X: WindowArray | np.ndarray,
        y: np.ndarray,
        days: pd.DatetimeIndex | None = None,
        instruments: pd.Index | None = None,
        weight: np.ndarray | None = None,
    ) -> None:
        self.X = X
        self.y = y
        self.days = days
        self.instruments = instruments
        self.weight = weight

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, rows: np.ndarray) -> Samples:
        """Take some of the rows, as another Samples."""
        return Samples(
            self.X[rows],
            self.y[rows],
            None if self.days is None else self.days[rows],
            None if self.instruments is None else self.instruments[rows],
            None if self.weight is None else self.weight[rows],
        )

    def with_mean_weight_one(self) -> Samples:
        """Scale the weights, so that those of the labelled rows are 1 on average.

        The loss of a batch is then the mean of weight times loss over the batch's rows: a batch of
        light rows moves the weights of the module less than one of heavy rows.
        """
        if self.weight is None:
            return self
        by_cell = self.weight
        if self.y.ndim == 2:
            by_cell = np.broadcast_to(self.weight[:, None], self.y.shape)
        # By the largest first: a sum of large weights could overflow.
        largest = self.weight.max()
        weight = self.weight / largest
        weight = (weight / (by_cell / largest)[~np.isnan(self.y)].mean()).astype(self.y.dtype)
        return Samples(self.X, self.y, self.days, self.instruments, weight)

    def labelled(self) -> np.ndarray:
        """Mask of the rows that have a label; of K labels, any."""
        known = ~np.isnan(self.y)
        return known if known.ndim == 1 else known.any(axis=1)

    def rankable(self) -> Samples:
        """Keep the labels, of each column, of the days on which its labels differ."""
        day, y = self.day_codes(), self.y.copy()
        for labels in [y] if y.ndim == 1 else y.T:
            labelled = ~np.isnan(labels)
            low, high = np.full((2, day.max(initial=-1) + 1), [[np.inf], [-np.inf]])
            np.minimum.at(low, day[labelled], labels[labelled])
            np.maximum.at(high, day[labelled], labels[labelled])
            labels[~(high > low)[day]] = np.nan
        return Samples(self.X, y, self.days, self.instruments, self.weight)

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


def gather(
    X: WindowArray | np.ndarray, rows: np.ndarray | slice, dtype: Any = np.float32
) -> np.ndarray:
    """Take some windows as a new array (B, T, F)."""
    if isinstance(X, WindowArray):
        return X.gather(rows).astype(dtype, copy=False)
    return X[rows].copy() if isinstance(rows, slice) else X.take(rows, axis=0)
