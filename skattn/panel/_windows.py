"""WindowArray: N windows of T steps and F fields, stored as one table and gathered in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skattn.panel._fill import FillRows
from skattn.panel._index import days_of, instruments_of
from skattn.panel._mapped import take_rows
from skattn.panel._transforms import TimeSteps, Transform
from skattn.parameters import as_array, as_floats, as_whole_numbers, check_value, shown

# Number of windows gathered at a time for the whole array; limits the temporary memory.
CHUNK = 8192
# Largest number of steps of a window: larger numbers are slips that would fill the memory.
MAX_LENGTH = 100_000


class WindowArray:
    """An array of shape (N, T, F) stored as one (R, F) table.

    Each sample is a window of T consecutive rows of the table. Windows overlap, so the table holds
    each price once, while a full array would hold each price up to T times. A batch of windows is
    gathered on demand. The recorded transforms (scaling, clipping, ...) are applied to the gathered
    batch.

    Parameters
    ----------
    table : ndarray of shape (R, F)
        Values. The rows of an instrument are consecutive, oldest first. A memory map of floats in
        C order stays a map, whose rows are read when a batch is gathered.
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

    Raises
    ------
    TypeError, ValueError
        The table holds no real numbers, an end or a start is no row of the table, a start lies
        behind its end, or an argument is of another kind.

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
        self._table = np.ascontiguousarray(as_floats("table", table, n_dims=2))
        self._ends = as_whole_numbers("ends", ends)
        self._starts = (
            np.zeros_like(self._ends) if starts is None else as_whole_numbers("starts", starts)
        )
        self._length = check_value("length", length, "int", at_least=1, at_most=MAX_LENGTH)
        self.index = index
        self.transforms = _read_transforms(transforms)
        self.fields = _read_fields(fields, self._table.shape[1], bool(self.transforms))
        if fill is not None and not isinstance(fill, FillRows):
            raise TypeError(f"fill must be FillRows or None; got {shown(fill)}.")
        self._fill = fill
        self._check_rows()

    def _check_rows(self) -> None:
        """Check that the ends, the starts and the index belong to the table and to each other."""
        n_windows = len(self._ends)
        if len(self._starts) != n_windows:
            raise ValueError(
                f"A WindowArray needs one start per window; got {self._starts.shape} starts and "
                f"{self._ends.shape} ends."
            )
        if self.index is not None:
            if not isinstance(self.index, pd.Index):
                raise TypeError(f"index must be a pandas Index or None; got {shown(self.index)}.")
            if len(self.index) != n_windows:
                raise ValueError(f"index has {len(self.index)} labels for {n_windows} windows.")
        if n_windows and not 0 <= self._ends.min() <= self._ends.max() < len(self._table):
            raise ValueError(
                f"ends must be row numbers of the table, from 0 to {len(self._table) - 1}; got "
                f"{self._ends.min()} to {self._ends.max()}."
            )
        if n_windows and (self._starts.min() < 0 or (self._starts > self._ends).any()):
            raise ValueError(
                "starts must be row numbers of the table, none behind the end of its window; got "
                f"{self._starts.min()} to {self._starts.max()}."
            )

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

    def __sizeof__(self) -> int:
        """Bytes held: by this size dask and Ray see that windows are to be shipped only once."""
        return object.__sizeof__(self) + self.nbytes

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
            rows = self._read_rows(rows)
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
        if not isinstance(rows, slice):
            rows = self._read_rows(rows)
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
        step = check_value("step", step, "int", at_least=0, at_most=self._length - 1)
        steps = np.array([step, self._length - 1])
        values = np.empty((len(self), len(self.fields)), self.dtype) if out is None else out
        for first in range(0, len(self), CHUNK):
            rows = slice(first, first + CHUNK)
            values[rows] = self._gather(rows, steps, steps)[:, 0]
        return values

    def _read_rows(self, rows: Any) -> np.ndarray:
        """Read a mask or an array of row numbers."""
        rows, n_windows = as_array("rows", rows), len(self)
        if rows.ndim == 1 and rows.size == 0:
            return rows.astype(np.int64)
        is_mask = rows.dtype.kind == "b"
        if rows.ndim != 1 or rows.dtype.kind not in "iub" or (is_mask and len(rows) != n_windows):
            raise IndexError(
                f"rows must be a slice, a mask of {n_windows} windows or a list of integers; got "
                f"{rows.dtype} of shape {rows.shape}."
            )
        if not is_mask and not -n_windows <= rows.min() <= rows.max() < n_windows:
            raise IndexError(
                f"rows must be numbers of the {n_windows} windows; got {rows.min()} to "
                f"{rows.max()}."
            )
        return rows

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
        batch = take_rows(self._table, positions)
        if has_empty:
            batch[empty] = np.nan
        for transform in self.transforms:
            batch = transform(batch, steps)
        return batch


def _read_fields(fields: Any, n_columns: int, may_change: bool) -> tuple[str, ...]:
    """Read the names of the fields, as many as columns unless a transform may change that."""
    if fields is None:
        return tuple(f"x{f}" for f in range(n_columns))
    names = tuple(fields) if np.iterable(fields) and not isinstance(fields, str) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"fields must be a sequence of str, or None; got {shown(fields)}.")
    if len(names) != n_columns and not may_change:
        raise ValueError(f"fields must name the {n_columns} columns of the table; got {names}.")
    return names


def _read_transforms(transforms: Any) -> tuple[Transform, ...]:
    is_sequence = isinstance(transforms, (tuple, list))
    if not is_sequence or not all(callable(each) for each in transforms):
        raise TypeError(
            f"transforms must be a tuple or list of callables, such as skattn.panel.Clip(3.0); "
            f"got {shown(transforms)}."
        )
    return tuple(transforms)
