"""Samples and the batches that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from skattn.panel import WindowArray

Batch = tuple[Any, torch.Tensor]

# What a module that looks across stocks gets beside the windows: arrays (n, ...) by name, of the
# instruments of n rows (None where they are unknown).
Context = Callable[[pd.Index | None, int], Mapping[str, np.ndarray]]


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
        """Take some of the rows as Samples of their own."""
        return Samples(
            self.X[rows],
            self.y[rows],
            None if self.days is None else self.days[rows],
            None if self.instruments is None else self.instruments[rows],
        )

    def labelled(self) -> np.ndarray:
        """Tell the rows that have a label."""
        return ~np.isnan(self.y)

    def day_codes(self) -> np.ndarray:
        """Give each row the number of its day; where days are unknown each row is one."""
        if self.days is None:
            return np.arange(len(self))
        return pd.factorize(self.days, sort=True)[0]

    def rows_by_day(self) -> list[np.ndarray]:
        """Give the row numbers of each day: days in order, and stocks by name within a day.

        So that sums over a day's stocks do not depend, in any bit, on the order of rows.
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

    def batch(self, rows: np.ndarray | slice) -> Batch:
        """Take some of the rows as tensors: windows (B, T, F) and labels (B,)."""
        return torch.from_numpy(gather(self.X, rows)), torch.from_numpy(self.y[rows])


class FitData(NamedTuple):
    """What a net is trained on: the training rows and, or None, the validation rows."""

    train: Samples
    valid: Samples | None


class Batches:
    """Iterates over samples in blocks of rows: shuffled anew each epoch, or in order.

    The order of an epoch depends on the seed and the epoch's number alone, so that an
    interrupted fit can go on where it stopped. The last block may be smaller; it is not dropped.
    """

    def __init__(
        self, samples: Samples, batch_size: int, *, seed: int | None = None, first_epoch: int = 0
    ) -> None:
        self.samples = samples
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = first_epoch

    def __iter__(self) -> Iterator[Batch]:
        order = self._order(len(self.samples))
        for first in range(0, len(self.samples), self.batch_size):
            rows = slice(first, first + self.batch_size)
            yield self.samples.batch(rows if order is None else order[rows])

    def _order(self, n: int) -> np.ndarray | None:
        if self.seed is None:
            return None
        order = np.random.default_rng([self.seed, self.epoch]).permutation(n)
        self.epoch += 1
        return order


class DayBatches(Batches):
    """Iterates over whole days, for modules that look across stocks.

    A batch is ``({"x": (D, S, T, F), "present": (D, S), ...}, y: (D, S))`` for D days of at most S
    stocks. Where a day has fewer, the rest of its rows is not present: zeros, without a label.
    """

    def __init__(
        self,
        samples: Samples,
        days_per_batch: int,
        context: Context,
        *,
        seed: int | None = None,
        first_epoch: int = 0,
    ) -> None:
        super().__init__(samples, days_per_batch, seed=seed, first_epoch=first_epoch)
        self.context = context
        self.days = samples.rows_by_day()

    def __iter__(self) -> Iterator[Batch]:
        order = self._order(len(self.days))
        days = self.days if order is None else [self.days[number] for number in order]
        for first in range(0, len(days), self.batch_size):
            yield self.batch_of(days[first : first + self.batch_size])

    def batch_of(self, days: list[np.ndarray]) -> Batch:
        """Lay the rows of some days out as a batch."""
        samples, rows = self.samples, np.concatenate(days)
        sizes = np.array([len(day) for day in days])
        present = np.arange(sizes.max()) < sizes[:, None]
        instruments = None if samples.instruments is None else samples.instruments[rows]
        inputs = {"x": gather(samples.X, rows), **self.context(instruments, len(rows))}
        padded = {name: _pad(values, present, 0) for name, values in inputs.items()}
        padded["present"] = torch.from_numpy(present)
        return padded, _pad(samples.y[rows], present, np.nan)


def gather(X: WindowArray | np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
    """Take some windows as a fresh float32 array (B, T, F)."""
    if isinstance(X, WindowArray):
        return X.gather(rows).astype(np.float32, copy=False)
    return X[rows].copy() if isinstance(rows, slice) else X.take(rows, axis=0)


def _pad(values: np.ndarray, present: np.ndarray, fill: float) -> torch.Tensor:
    """Lay rows out as (D, S, ...)."""
    if present.all():
        return torch.from_numpy(values.reshape(*present.shape, *values.shape[1:]))
    padded = np.full((*present.shape, *values.shape[1:]), fill, dtype=values.dtype)
    padded[present] = values
    return torch.from_numpy(padded)
