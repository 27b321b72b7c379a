"""Steps that a WindowArray records and applies to each batch that it gathers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

Lags: TypeAlias = slice | np.ndarray


class Step(Protocol):
    """What a recorded step is: a row-wise function of gathered windows.

    ``step(batch, lags)`` gets a freshly gathered array of shape (B, L, F), which it may change
    in place, and returns the array. ``lags`` says which of the T time steps the L are (an index
    into the time axis); the last of them is always the window's latest. A step may look at its
    own row alone, so that a batch never depends on its batch mates.
    """

    def __call__(self, batch: np.ndarray, lags: Lags) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class DivideByLatest:
    """Divide each field by the latest value of a field: ``by[f]`` is the divisor of field f."""

    by: np.ndarray

    def __call__(self, batch: np.ndarray, lags: Lags) -> np.ndarray:
        latest = batch[:, -1, self.by]
        with np.errstate(invalid="ignore", over="ignore"):
            return np.divide(batch, latest[:, None, :], out=batch)


@dataclass(frozen=True, eq=False)
class TakeFields:
    """Keep some fields, in the order given."""

    fields: np.ndarray

    def __call__(self, batch: np.ndarray, lags: Lags) -> np.ndarray:
        return np.ascontiguousarray(batch[:, :, self.fields])


@dataclass(frozen=True, eq=False)
class Scale:
    """Subtract a center and divide by a scale, each of shape (T, F)."""

    center: np.ndarray
    scale: np.ndarray

    def __call__(self, batch: np.ndarray, lags: Lags) -> np.ndarray:
        batch -= self.center[lags]
        batch /= self.scale[lags]
        return batch


@dataclass(frozen=True, eq=False)
class Clip:
    """Clip to [-limit, limit]."""

    limit: float

    def __call__(self, batch: np.ndarray, lags: Lags) -> np.ndarray:
        return np.clip(batch, -self.limit, self.limit, out=batch)


@dataclass(frozen=True, eq=False)
class Fill:
    """Replace NaN by a value."""

    value: float

    def __call__(self, batch: np.ndarray, lags: Lags) -> np.ndarray:
        return np.nan_to_num(batch, copy=False, nan=self.value, posinf=np.inf, neginf=-np.inf)
