"""Samples and the batches that are made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from skattn.panel import WindowArray

Batch = tuple[torch.Tensor, torch.Tensor]


class Samples:
    """Windows with their labels and days, from which batches are taken by row.

    Parameters
    ----------
    X : WindowArray or ndarray of shape (N, T, F), float32
        The windows.
    y : ndarray of shape (N,), float32
        Labels.
    days : DatetimeIndex of length N, default=None
        Trading day of each row, where it is known.
    """

    def __init__(
        self, X: WindowArray | np.ndarray, y: np.ndarray, days: pd.DatetimeIndex | None = None
    ) -> None:
        self.X = X
        self.y = y
        self.days = days

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, rows: np.ndarray) -> Samples:
        """Take some of the rows as Samples of their own."""
        return Samples(self.X[rows], self.y[rows], None if self.days is None else self.days[rows])

    def labelled(self) -> Samples:
        """Take the rows that have a label."""
        known = ~np.isnan(self.y)
        return self if known.all() else self.rows(known)

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
        n, order = len(self.samples), None
        if self.seed is not None:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(n)
            self.epoch += 1
        for first in range(0, n, self.batch_size):
            rows = slice(first, first + self.batch_size)
            yield self.samples.batch(rows if order is None else order[rows])


def gather(X: WindowArray | np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
    """Take some windows as a fresh float32 array (B, T, F)."""
    if isinstance(X, WindowArray):
        return X.gather(rows).astype(np.float32, copy=False)
    return X[rows].copy() if isinstance(rows, slice) else X.take(rows, axis=0)
