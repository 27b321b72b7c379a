"""Transforms that a WindowArray records and applies to each gathered batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from skattn.parameters import as_floats, as_whole_numbers, check_value

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
    """Divide each field f by the latest value of the field ``by[f]``.

    Parameters
    ----------
    by : array-like of int, shape (F,)
        Number of the field to divide by, for each field.
    """

    by: np.ndarray

    def __post_init__(self) -> None:
        """Check the numbers of the fields."""
        object.__setattr__(self, "by", as_whole_numbers("by", self.by))

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        n_fields = batch.shape[2]
        _check_fields("by", self.by, n_fields)
        if len(self.by) != n_fields:
            raise ValueError(
                f"by must have one number for each of {n_fields} fields; got {self.by}."
            )
        latest = batch[:, -1, self.by]
        with np.errstate(invalid="ignore", over="ignore"):
            return np.divide(batch, latest[:, None, :], out=batch)


@dataclass(frozen=True, eq=False)
class TakeFields:
    """Keep the given fields, in the given order.

    Parameters
    ----------
    fields : array-like of int
        Numbers of the fields.
    """

    fields: np.ndarray

    def __post_init__(self) -> None:
        """Check the numbers of the fields."""
        object.__setattr__(self, "fields", as_whole_numbers("fields", self.fields))

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        _check_fields("fields", self.fields, batch.shape[2])
        return np.ascontiguousarray(batch[:, :, self.fields])


@dataclass(frozen=True, eq=False)
class Scale:
    """Subtract a center and divide by a scale, both of shape (T, F).

    Parameters
    ----------
    center, scale : array-like of shape (T, F), or (F,) for tables
        Real numbers.
    """

    center: np.ndarray
    scale: np.ndarray

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("center", "scale"):
            object.__setattr__(self, name, as_floats(name, getattr(self, name)))
        if self.center.shape != self.scale.shape or self.center.ndim not in (1, 2):
            raise ValueError(
                f"center and scale must have one shape, (T, F) or (F,); got {self.center.shape} "
                f"and {self.scale.shape}."
            )

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        whole = isinstance(steps, slice)
        if self.center.shape != (batch.shape[1:] if whole else (len(self.center), batch.shape[2])):
            raise ValueError(
                f"center and scale of shape {self.center.shape} do not fit windows of shape "
                f"{batch.shape[1:]}."
            )
        batch -= self.center[steps]
        batch /= self.scale[steps]
        return batch


@dataclass(frozen=True, eq=False)
class Clip:
    """Clip to [-limit, limit].

    Parameters
    ----------
    limit : float
        At least 0.
    """

    limit: float

    def __post_init__(self) -> None:
        """Check the limit."""
        object.__setattr__(self, "limit", check_value("limit", self.limit, "float", at_least=0))

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        return np.clip(batch, -self.limit, self.limit, out=batch)


@dataclass(frozen=True, eq=False)
class Fill:
    """Replace NaN with a value.

    Parameters
    ----------
    value : float
        Finite.
    """

    value: float

    def __post_init__(self) -> None:
        """Check the value."""
        object.__setattr__(self, "value", check_value("value", self.value, "float"))

    def __call__(self, batch: np.ndarray, steps: TimeSteps) -> np.ndarray:
        return np.nan_to_num(batch, copy=False, nan=self.value, posinf=np.inf, neginf=-np.inf)


def _check_fields(name: str, numbers: np.ndarray, n_fields: int) -> None:
    """Raise where a number belongs to no field."""
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < n_fields:
        raise ValueError(f"{name} must be numbers of {n_fields} fields; got {numbers.tolist()}.")
