"""Transforms that a WindowArray records and applies to each gathered batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

TimeSteps: TypeAlias = slice | np.ndarray


class Transform(Protocol):
    """Interface of a recorded transform: a function that treats each window separately.

    ``transform(batch, steps)`` gets a freshly gathered array of shape (B, L, F) and returns the
    transformed array. The transform may change ``batch`` in place. ``steps`` is an index into the
    time axis (0 is the oldest step) and selects the L gathered steps out of all T steps. The last
    gathered step is always the latest step of the window. A transform looks at one window at a
    time, so a window never depends on the other windows of its batch.
    """

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class DivideByLatest:
    """Divide each field f by the latest value of the field ``by[f]``."""

    by: np.ndarray

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        latest = batch[:, -1, self.by]
        with np.errstate(invalid="ignore", over="ignore"):
            return np.divide(batch, latest[:, None, :], out=batch)


@dataclass(frozen=True, eq=False)
class TakeFields:
    """Keep the given fields, in the given order."""

    fields: np.ndarray

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        return np.ascontiguousarray(batch[:, :, self.fields])


@dataclass(frozen=True, eq=False)
class Scale:
    """Subtract a center and divide by a scale, both of shape (T, F)."""

    center: np.ndarray
    scale: np.ndarray

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        batch -= self.center[steps]
        batch /= self.scale[steps]
        return batch


@dataclass(frozen=True, eq=False)
class Clip:
    """Clip to [-limit, limit]."""

    limit: float

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        return np.clip(batch, -self.limit, self.limit, out=batch)


@dataclass(frozen=True, eq=False)
class Fill:
    """Replace NaN with a value."""

    value: float

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        return np.nan_to_num(batch, copy=False, nan=self.value, posinf=np.inf, neginf=-np.inf)
