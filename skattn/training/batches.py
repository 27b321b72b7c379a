"""The batches that are made of samples: blocks of rows, or whole days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from skattn.parameters import shown
from skattn.training.samples import Samples, gather
from skattn.training.side_inputs import SideInputs

Batch = tuple[Any, Any]


class Batches:
    """Iterates over samples in runs of rows: shuffled anew each epoch, or in order.

    The order of an epoch depends on the seed and the epoch's number alone, so that an
    interrupted fit can go on where it stopped. The last batch may be smaller; it is not dropped.

    Parameters
    ----------
    samples : Samples
        The rows.
    batch_size : int
        Rows in a batch.
    side_inputs : SideInputs, default=SideInputs()
        What a batch has beside the windows. Where there is something, a batch is
        ``({"x": windows, name: values, ...}, labels)``, else ``(windows, labels)``.
    seed : int, default=None
        Of the order of the rows. None: in order.
    first_epoch : int, default=0
        Number of the first epoch.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        side_inputs: SideInputs | None = None,
        *,
        seed: int | None = None,
        first_epoch: int = 0,
    ) -> None:
        self.samples = samples
        self.batch_size = batch_size
        self.side_inputs = side_inputs or SideInputs()
        self.seed = seed
        self.epoch = first_epoch

    def __iter__(self) -> Iterator[Batch]:
        order = self._order(len(self.samples))
        for first in range(0, len(self.samples), self.batch_size):
            rows = slice(first, first + self.batch_size)
            yield self.batch_of(rows if order is None else order[rows])

    def batch_of(self, rows: Any) -> Batch:
        """Take some rows as tensors: windows (B, T, F), or a dict with them, and labels.

        Labels are (B,), or (B, K) where there are K of them; so it is for days below.
        """
        return self._windows_of(rows), _as_targets(self._targets_of(rows))

    def _targets_of(self, rows: Any) -> dict[str, torch.Tensor]:
        targets = {"y": torch.from_numpy(self.samples.y[rows])}
        if self.samples.weight is not None:
            targets["weight"] = torch.from_numpy(self.samples.weight[rows])
        return targets

    def _windows_of(self, rows: Any) -> Any:
        inputs = look_up(self.samples, rows, self.side_inputs)
        tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}
        return tensors if len(tensors) > 1 else tensors["x"]

    def _order(self, n: int) -> np.ndarray | None:
        if self.seed is None:
            return None
        order = np.random.default_rng([self.seed, self.epoch]).permutation(n)
        self.epoch += 1
        return order


class RowsOfDays(Batches):
    """Iterates over whole days of rows that do not see each other, for losses that compare them.

    A batch is ``(windows (B, T, F), {"y": (B,), "day": (B,), ...})`` for the B rows of some days.
    ``batch_size`` counts days.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        side_inputs: SideInputs | None = None,
        *,
        seed: int | None = None,
        first_epoch: int = 0,
    ) -> None:
        super().__init__(samples, batch_size, side_inputs, seed=seed, first_epoch=first_epoch)
        self.days = samples.rows_by_day()

    def __iter__(self) -> Iterator[Batch]:
        order = self._order(len(self.days))
        days = self.days if order is None else [self.days[number] for number in order]
        for first in range(0, len(days), self.batch_size):
            yield self.batch_of(days[first : first + self.batch_size])

    def batch_of(self, rows: list[np.ndarray]) -> Batch:
        """Take some days, each given by its rows."""
        joined = np.concatenate(rows)
        day = np.repeat(np.arange(len(rows)), [len(day) for day in rows])
        targets = {**self._targets_of(joined), "day": torch.from_numpy(day)}
        return self._windows_of(joined), targets


class DayBatches(RowsOfDays):
    """Iterates over whole days, for modules that look across stocks.

    A batch is ``({"x": (D, S, T, F), "present": (D, S), ...}, y: (D, S))`` for D days of at most S
    stocks. A day with fewer stocks is filled up with rows that are not present: zeros, without a
    label. ``batch_size`` counts days. Where ``with_days``, the number of the day stands beside the
    labels.
    """

    with_days = False

    def batch_of(self, rows: list[np.ndarray]) -> Batch:
        """Lay some days, each given by its rows, out as tensors (D, S, ...)."""
        joined = np.concatenate(rows)
        sizes = np.array([len(day) for day in rows])
        present = np.arange(sizes.max()) < sizes[:, None]
        inputs = look_up(self.samples, joined, self.side_inputs)
        padded = {name: _pad(values, present, 0) for name, values in inputs.items()}
        padded["present"] = torch.from_numpy(present)
        targets = {"y": _pad(self.samples.y[joined], present, np.nan)}
        if self.samples.weight is not None:
            targets["weight"] = _pad(self.samples.weight[joined], present, 0)
        if self.with_days:
            targets["day"] = torch.arange(len(rows))[:, None].expand(present.shape)
        return padded, _as_targets(targets)


def _as_targets(targets: dict[str, torch.Tensor]) -> Any:
    """Give labels alone as a tensor, and labels with weights or days as a dict."""
    return targets if len(targets) > 1 else targets["y"]


def look_up(samples: Samples, rows: Any, side_inputs: SideInputs) -> dict[str, np.ndarray]:
    """Give the windows of some rows, named "x", and what there is beside them."""
    x = gather(samples.X, rows, samples.y.dtype)
    if not side_inputs.names:
        return {"x": x}
    instruments = None if samples.instruments is None else samples.instruments[rows]
    found = side_inputs.rows(instruments, len(x))
    where = f"{type(side_inputs).__name__}.rows"
    if not isinstance(found, Mapping):
        raise TypeError(f"{where} must give a dict of arrays; got {type(found).__name__}.")
    return {
        "x": x,
        **{
            name: _check_side_input(
                found.get(name), f"{where}: {name!r}", instruments, len(x), samples.y.dtype
            )
            for name in side_inputs.names
        },
    }


def _check_side_input(
    values: Any, name: str, instruments: pd.Index | None, n_rows: int, dtype: Any
) -> np.ndarray:
    """Check one side input, and make it an array of its own, with floats as in the windows."""
    array = np.array(values)
    if array.dtype.kind not in "biuf" or array.ndim == 0 or len(array) != n_rows:
        got = "nothing" if values is None else f"dtype {array.dtype} and shape {array.shape}"
        raise ValueError(f"{name} must be an array of numbers for {n_rows} rows; got {got}.")
    finite = np.isfinite(array).reshape(n_rows, -1).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        stock = "" if instruments is None else f" of instrument {shown(instruments[row])}"
        raise ValueError(f"{name} must be finite; got {array[row]} in row {row}{stock}.")
    return array.astype(dtype) if array.dtype.kind == "f" else array


def _pad(values: np.ndarray, present: np.ndarray, fill: float) -> torch.Tensor:
    """Lay rows out as (D, S, ...)."""
    if present.all():
        return torch.from_numpy(values.reshape(*present.shape, *values.shape[1:]))
    padded = np.full((*present.shape, *values.shape[1:]), fill, dtype=values.dtype)
    padded[present] = values
    return torch.from_numpy(padded)
