"""WindowArray: N windows of T steps and F fields, stored as one table and gathered in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skattn.panel._fill import FillRows
from skattn.panel._index import days_of, instruments_of
from skattn.panel._transforms import TimeSteps, Transform

# Number of windows gathered at a time for the whole array; limits the temporary memory.
CHUNK = 8192


class WindowArray:
    """An array of shape (N, T, F) stored as one (R, F) table.

    Each sample is a window of T consecutive rows of the table. Windows overlap, so the table holds
    each price once, while a full array would hold each price up to T times. A batch of windows is
    gathered on demand. The recorded transforms (scaling, clipping, ...) are applied to the gathered
    batch.

    Parameters
    ----------
    table : ndarray of shape (R, F)
        Values. The rows of an instrument are consecutive, oldest first.
    ends : ndarray of int, shape (N,)
        Last row of each sample's window.
    length : int
        Number of time steps T.
    starts : ndarray of int, shape (N,), default=None
        First row that each window may read. Steps before this row are NaN. None means row 0.
    index : pandas.Index of length N, default=None
        Labels of the samples, usually (datetime, instrument).
    fields : sequence of str, default=None
        Names of the F fields after all transforms.
    transforms : sequence of Transform, default=()
        Functions that are applied in this order to each gathered batch.
    fill : FillRows, default=None
        Rows to read in place of rows without values. None gathers the rows unchanged.

    Attributes
    ----------
    shape : tuple (N, T, F)
    dtype : numpy.dtype
    index : pandas.Index or None
    fields : tuple of str
    transforms : tuple of Transform

    Notes
    -----
    ``x[rows]`` and ``x[rows, ...]`` with a slice, a mask or an index array return a WindowArray on
    the same table. ``x[i]`` returns one window as a (T, F) array. ``numpy.asarray(x)`` returns all
    windows.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn.panel import WindowArray
    >>> table = np.arange(5, dtype=np.float32)[:, None]
    >>> x = WindowArray(table, ends=np.array([1, 4]), length=3)
    >>> x
    WindowArray(2 windows of 3 steps, fields=('x0',), no transforms)
    >>> np.asarray(x)[:, :, 0]
    array([[nan,  0.,  1.],
           [ 2.,  3.,  4.]], dtype=float32)
    """

    ndim = 3

    def __init__(
        self,
        table: np.ndarray,
        ends: np.ndarray,
        length: int,
        *,
        starts: np.ndarray | None = None,
        index: pd.Index | None = None,
        fields: Sequence[str] | None = None,
        transforms: Sequence[Transform] = (),
        fill: FillRows | None = None,
    ) -> None:
        self._table = np.ascontiguousarray(table)
        self._ends = np.asarray(ends)
        if self._ends.dtype.kind not in "iu" and len(self._ends):
            raise ValueError(f"ends must be integers; got {self._ends.dtype}.")
        if self._ends.dtype.kind != "i":
            self._ends = self._ends.astype(np.int64)
        self._starts = np.zeros_like(self._ends) if starts is None else np.asarray(starts)
        self.index = index
        if self._table.ndim != 2 or self._ends.ndim != 1 or len(self._starts) != len(self._ends):
            raise ValueError(
                f"A WindowArray needs a table of two dimensions, and one end and one start per "
                f"window; got a table of shape {self._table.shape}, {self._ends.shape} ends and "
                f"{self._starts.shape} starts."
            )
        if index is not None and len(index) != len(self._ends):
            raise ValueError(f"index has {len(index)} labels for {len(self._ends)} windows.")
        if isinstance(length, bool) or not isinstance(length, (int, np.integer)) or length < 1:
            raise ValueError(f"length must be a positive int; got {length!r}.")
        if len(self._ends) and not 0 <= self._ends.min() <= self._ends.max() < len(self._table):
            raise ValueError(
                f"ends must be row numbers of the table, from 0 to {len(self._table) - 1}; got "
                f"{self._ends.min()} to {self._ends.max()}."
            )
        names = [f"x{f}" for f in range(self._table.shape[-1])] if fields is None else fields
        self.fields = tuple(names)
        self.transforms = tuple(transforms)
        self._length = length
        self._fill = fill

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of samples N, steps T and fields F."""
        return len(self._ends), self._length, len(self.fields)

    @property
    def dtype(self) -> np.dtype:
        """Type of the gathered values."""
        return self._table.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the table and the window positions, not of the full (N, T, F) array."""
        return self._table.nbytes + self._ends.nbytes + self._starts.nbytes

    @property
    def days(self) -> pd.DatetimeIndex | None:
        """Trading day of each sample, or None."""
        return days_of(None, self, required=False)

    @property
    def instruments(self) -> pd.Index | None:
        """Instrument of each sample, or None."""
        return instruments_of(self)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, key: Any) -> WindowArray | np.ndarray:
        rows, *rest = (key or (slice(None),)) if isinstance(key, tuple) else (key,)
        if rows is Ellipsis:
            if rest:
                return np.asarray(self)[key]
            rows = slice(None)
        if len(rest) == 1 and rest[0] is Ellipsis:
            rest = []
        if not all(isinstance(part, (slice, int, np.integer)) for part in rest):
            raise IndexError(
                "Index the steps and fields of a WindowArray with integers and slices; "
                "numpy.asarray(windows) accepts any index."
            )
        if isinstance(rows, (int, np.integer)):
            return self.gather([rows])[0][tuple(rest)]
        if rest:
            return np.asarray(self[rows])[(slice(None), *rest)]
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            if rows.ndim != 1:
                raise IndexError(f"Index windows with a slice, a mask or a list; got {rows!r}.")
            rows = rows.astype(np.int64) if rows.size == 0 else rows
        return WindowArray(
            self._table,
            self._ends[rows],
            self._length,
            starts=self._starts[rows],
            index=None if self.index is None else self.index[rows],
            fields=self.fields,
            transforms=self.transforms,
            fill=self._fill,
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Converting a WindowArray to an array always copies; got copy=False.")
        out = np.empty(self.shape, dtype=dtype or self.dtype)
        for first in range(0, len(self), CHUNK):
            out[first : first + CHUNK] = self.gather(slice(first, first + CHUNK))
        return out

    def __repr__(self) -> str:
        names = ", ".join(type(each).__name__ for each in self.transforms) or "no transforms"
        n, t, _ = self.shape
        return f"WindowArray({n} windows of {t} steps, fields={self.fields}, {names})"

    def parts(self) -> dict[str, Any]:
        """Give what determines the values of the windows, such as for a digest.

        Returns
        -------
        parts : dict
            "table", "ends", "starts", "length", "fields", "transforms" and "fill".
        """
        return {
            "table": self._table,
            "ends": self._ends,
            "starts": self._starts,
            "length": self._length,
            "fields": self.fields,
            "transforms": self.transforms,
            "fill": self._fill,
        }

    def with_transform(
        self, transform: Transform, *, fields: Sequence[str] | None = None
    ) -> WindowArray:
        """Return the same windows with one more recorded transform.

        Parameters
        ----------
        transform : Transform
            Function of a batch that treats each window separately.
        fields : sequence of str, default=None
            Names of the fields after the transform. None keeps the names.

        Returns
        -------
        windows : WindowArray
            New array that shares its table with this array.
        """
        return WindowArray(
            self._table,
            self._ends,
            self._length,
            starts=self._starts,
            index=self.index,
            fields=self.fields if fields is None else fields,
            transforms=(*self.transforms, transform),
            fill=self._fill,
        )

    def gather(self, rows: Any = slice(None)) -> np.ndarray:
        """Gather windows into a new array and apply the transforms.

        Parameters
        ----------
        rows : slice, mask or array of int
            Samples to gather.

        Returns
        -------
        batch : ndarray of shape (B, T, F)
        """
        return self._gather(rows, np.arange(self._length), slice(None))

    def gather_step(self, step: int, out: np.ndarray | None = None) -> np.ndarray:
        """Gather all samples at one time step and apply the transforms.

        Statistics of one (step, field) cell need only N values at a time, instead of N x T.

        Parameters
        ----------
        step : int
            Time step; 0 is the oldest.
        out : ndarray of shape (N, F), default=None
            Array to write the values to. None makes a new array.

        Returns
        -------
        values : ndarray of shape (N, F)
        """
        steps = np.array([step, self._length - 1])
        values = np.empty((len(self), len(self.fields)), self.dtype) if out is None else out
        for first in range(0, len(self), CHUNK):
            rows = slice(first, first + CHUNK)
            values[rows] = self._gather(rows, steps, steps)[:, 0]
        return values

    def _gather(self, rows: Any, times: np.ndarray, steps: TimeSteps) -> np.ndarray:
        ends, starts = self._ends[rows][:, None], self._starts[rows][:, None]
        positions = ends + (times - (self._length - 1))
        if self._fill is not None:
            first = np.maximum(ends - (self._length - 1), starts)
            positions, empty = self._fill.sources(positions, first)
        else:
            empty = positions < starts
        # Without fill, a window with an empty step always has an empty first step.
        has_empty = empty[:, 0].any() if self._fill is None else empty.any()
        if has_empty:
            positions = np.where(empty, ends, positions)
        batch = self._table.take(positions, axis=0)
        if has_empty:
            batch[empty] = np.nan
        for transform in self.transforms:
            batch = transform(batch, steps)
        return batch
