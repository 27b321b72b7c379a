"""WindowArray: N windows of T steps and F fields, held as one table and gathered in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skattn.panel._fill import FillRows
from skattn.panel._index import days_of, instruments_of
from skattn.panel._layout import lay_out
from skattn.panel._steps import Step

# Windows gathered at a time when the whole array is asked for: bounds the temporaries.
CHUNK = 8192


class WindowArray:
    """An array of shape (N, T, F) that is stored as one (R, F) table.

    Each sample is a window of T consecutive rows of the table; windows overlap, so the table
    holds every price once where the array would hold it T times. Batches are gathered when
    asked for, and the recorded steps (scaling, clipping, ...) are applied to them then.

    Parameters
    ----------
    table : ndarray of shape (R, F)
        Rows of an instrument are consecutive and oldest first.
    ends : ndarray of int, shape (N,)
        The row where each sample's window ends.
    length : int
        Number of time steps T.
    starts : ndarray of int, shape (N,), default=None
        The first row that each window may read: steps before it are NaN. None: row 0.
    index : pandas.Index of length N, default=None
        Labels of the samples, usually (datetime, instrument).
    fields : sequence of str, default=None
        Names of the F fields that come out, after all steps.
    steps : sequence of Step
        Functions applied in turn to each gathered batch.
    fill : FillRows, default=None
        Which rows stand in for those without values. None: they are gathered as they are.

    Attributes
    ----------
    shape : tuple (N, T, F)
    dtype : numpy.dtype
    index : pandas.Index or None
    fields : tuple of str
    steps : tuple of Step

    Notes
    -----
    ``x[rows]`` and ``x[rows, ...]`` with a slice, a mask or an index array give a WindowArray
    on the same table; ``x[i]`` one (T, F) array; ``numpy.asarray(x)`` everything.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn.panel import WindowArray
    >>> table = np.arange(5, dtype=np.float32)[:, None]
    >>> x = WindowArray(table, ends=np.array([1, 4]), length=3)
    >>> x
    WindowArray(2 windows of 3 steps, fields=('x0',), no steps)
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
        steps: Sequence[Step] = (),
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
                f"A WindowArray has a table of two dimensions and one end and start a window; got "
                f"a table of shape {self._table.shape}, {self._ends.shape} ends and "
                f"{self._starts.shape} starts."
            )
        if index is not None and len(index) != len(self._ends):
            raise ValueError(f"index has {len(index)} labels for {len(self._ends)} windows.")
        if isinstance(length, bool) or not isinstance(length, (int, np.integer)) or length < 1:
            raise ValueError(f"length must be a positive int; got {length!r}.")
        if len(self._ends) and not 0 <= self._ends.min() <= self._ends.max() < len(self._table):
            raise ValueError(
                f"ends must be rows of the table, 0 to {len(self._table) - 1}; got "
                f"{self._ends.min()} to {self._ends.max()}."
            )
        names = [f"x{f}" for f in range(self._table.shape[-1])] if fields is None else fields
        self.fields = tuple(names)
        self.steps = tuple(steps)
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
        """Bytes held by the table and the window positions, not by the array it stands for."""
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
                "Steps and fields of a WindowArray are taken by integers and slices; "
                "numpy.asarray(windows) takes any index."
            )
        if isinstance(rows, (int, np.integer)):
            return self.gather([rows])[0][tuple(rest)]
        if rest:
            return np.asarray(self[rows])[(slice(None), *rest)]
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            if rows.ndim != 1:
                raise IndexError(f"Windows are taken by a slice, a mask or a list; got {rows!r}.")
            rows = rows.astype(np.int64) if rows.size == 0 else rows
        return WindowArray(
            self._table,
            self._ends[rows],
            self._length,
            starts=self._starts[rows],
            index=None if self.index is None else self.index[rows],
            fields=self.fields,
            steps=self.steps,
            fill=self._fill,
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("A WindowArray is gathered when it becomes an array: copy=False.")
        out = np.empty(self.shape, dtype=dtype or self.dtype)
        for first in range(0, len(self), CHUNK):
            out[first : first + CHUNK] = self.gather(slice(first, first + CHUNK))
        return out

    def __repr__(self) -> str:
        steps = ", ".join(type(step).__name__ for step in self.steps) or "no steps"
        n, t, _ = self.shape
        return f"WindowArray({n} windows of {t} steps, fields={self.fields}, {steps})"

    def with_step(self, step: Step, *, fields: Sequence[str] | None = None) -> WindowArray:
        """Return the same windows with one more recorded step.

        Parameters
        ----------
        step : Step
            A row-wise function of a batch.
        fields : sequence of str, default=None
            Names of the fields after the step, where it changes them.

        Returns
        -------
        windows : WindowArray
            It shares the table with this one.
        """
        return WindowArray(
            self._table,
            self._ends,
            self._length,
            starts=self._starts,
            index=self.index,
            fields=self.fields if fields is None else fields,
            steps=(*self.steps, step),
            fill=self._fill,
        )

    def gather(self, rows: Any = slice(None)) -> np.ndarray:
        """Gather some windows into a fresh array, steps applied.

        Parameters
        ----------
        rows : slice, mask or array of int
            The samples.

        Returns
        -------
        batch : ndarray of shape (B, T, F)
        """
        return self._gather(rows, np.arange(self._length), slice(None))

    def gather_lag(self, step: int, out: np.ndarray | None = None) -> np.ndarray:
        """All samples at one time step (0 is the oldest), recorded steps applied.

        For statistics by cell, which need N values at a time but not N·T.

        Parameters
        ----------
        step : int
            The time step.
        out : ndarray of shape (N, F), default=None
            Where to put them. None: a new array.

        Returns
        -------
        values : ndarray of shape (N, F)
        """
        lags = np.array([step, self._length - 1])
        values = np.empty((len(self), len(self.fields)), self.dtype) if out is None else out
        for first in range(0, len(self), CHUNK):
            rows = slice(first, first + CHUNK)
            values[rows] = self._gather(rows, lags, lags)[:, 0]
        return values

    def _gather(self, rows: Any, times: np.ndarray, lags: slice | np.ndarray) -> np.ndarray:
        ends, starts = self._ends[rows][:, None], self._starts[rows][:, None]
        positions = ends + (times - (self._length - 1))
        if self._fill is not None:
            first = np.maximum(ends - (self._length - 1), starts)
            positions, empty = self._fill.sources(positions, first)
        else:
            empty = positions < starts
        # Only windows that reach back before their start have empty steps.
        has_empty = empty[:, 0].any() if self._fill is None else empty.any()
        if has_empty:
            positions = np.where(empty, ends, positions)
        batch = self._table.take(positions, axis=0)
        if has_empty:
            batch[empty] = np.nan
        for step in self.steps:
            batch = step(batch, lags)
        return batch


def build_windows(
    values: np.ndarray,
    index: pd.MultiIndex,
    length: int,
    *,
    memory: tuple[np.ndarray, pd.MultiIndex] | None = None,
    calendar: pd.DatetimeIndex | None = None,
    fields: Sequence[str] | None = None,
    fill: str = "none",
) -> WindowArray:
    """Lay rows out on the market's calendar, one window ending at each of them.

    The calendar is every time stamp that the rows, the memory or ``calendar`` have. A stock that
    misses one of them has a row of NaN there, so that a step is always one step of the market, as
    in qlib. Rows may come in any order; samples keep it.

    Parameters
    ----------
    values : ndarray of shape (N, F)
        One row a sample.
    index : pandas.MultiIndex
        Their (datetime, instrument) keys.
    length : int
        Steps a window.
    memory : (values, index), default=None
        Earlier known rows. They give context to windows and get none of their own; where both
        know a (datetime, instrument), ``values`` counts.
    calendar : DatetimeIndex, default=None
        Days that are known to be days of the market, though no row here has them.
    fields : sequence of str, default=None
        Names of the F columns.
    fill : {"none", "ffill", "ffill+bfill"}, default="none"
        What stands in a window for days that the stock misses: NaN; the row of the day before in
        the window; or, where there is none, that of the day after in the window.

    Returns
    -------
    windows : WindowArray of shape (N, length, F)
    """
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    known, earlier = (values[:0], index[:0]) if memory is None else memory
    layout = lay_out(index, earlier=earlier, calendar=calendar)
    table = layout.table(values, known.reshape(len(earlier), values.shape[1]))
    n_earlier = len(earlier)
    return WindowArray(
        table,
        layout.rows[n_earlier:],
        length,
        starts=layout.offsets[layout.stocks[n_earlier:]],
        index=index,
        fields=fields,
        fill=None if fill == "none" else FillRows.of(layout, backward=fill == "ffill+bfill"),
    )
