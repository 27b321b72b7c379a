"""Build windows of days from rows of single days."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from skattn.panel._fill import FillRows
from skattn.panel._index import check_index
from skattn.panel._layout import Layout, lay_out
from skattn.panel._mapped import find_map, new_file
from skattn.panel._windows import MAX_LENGTH, WindowArray
from skattn.parameters import as_floats, check_value, shown

FILL_METHODS = ("none", "ffill", "ffill+bfill")


def build_windows(
    values: np.ndarray,
    index: pd.MultiIndex,
    length: int,
    *,
    memory: tuple[np.ndarray, pd.MultiIndex] | None = None,
    calendar: pd.DatetimeIndex | None = None,
    fields: Sequence[str] | None = None,
    fill_method: str = "none",
    file: str | os.PathLike[str] | None = None,
) -> WindowArray:
    """Lay rows out on the market's calendar and build the window that ends at each row.

    The calendar is the union of the time stamps in the rows, in ``memory`` and in ``calendar``. A
    stock without a row at a time stamp gets a row of NaN, so each step is one step of the market,
    as in qlib. Rows may come in any order. The samples keep the order of the rows.

    Parameters
    ----------
    values : ndarray of shape (N, F)
        One row per sample.
    index : pandas.MultiIndex
        (datetime, instrument) keys of the rows.
    length : int
        Number of steps in each window.
    memory : (values, index), default=None
        Earlier rows that are already known. Windows read the memory for context, but no window ends
        at a row of the memory. If a (datetime, instrument) key is in both, ``values`` wins.
    calendar : DatetimeIndex, default=None
        Further days of the market, on which these rows have no data.
    fields : sequence of str, default=None
        Names of the F columns.
    fill_method : {"none", "ffill", "ffill+bfill"}, default="none"
        How to fill the days of a window on which the stock has no row. "none" gives NaN. "ffill"
        copies the previous row in the window. "ffill+bfill" also fills the days before the first
        row in the window with a copy of that row.
    file : path, default=None
        Name of a new .npy file for the table that the windows read, for tables larger than memory.
        None: the table is in memory; only where ``values`` is a memory map of floats in C order (as
        of ``numpy.load`` with ``mmap_mode="r"``) whose rows come stock after stock, and a row on
        each day from the stock's first to its last, the windows read that map.

    Returns
    -------
    windows : WindowArray of shape (N, length, F)

    Raises
    ------
    TypeError, ValueError
        An argument is of another kind, ``values`` and ``index`` differ in length, or ``file``
        exists or cannot be made.
    """
    values = as_floats("values", values, n_dims=2)
    check_value("length", length, "int", at_least=1, at_most=MAX_LENGTH)
    check_value("fill_method", fill_method, "str", one_of=FILL_METHODS)
    _check_keys("index", values, index)
    known, earlier = (values[:0], index[:0]) if memory is None else _read_memory(memory, values)
    if calendar is not None and not isinstance(calendar, pd.DatetimeIndex):
        raise TypeError(f"calendar must be a DatetimeIndex or None; got {shown(calendar)}.")
    layout = lay_out(index, earlier=earlier, calendar=calendar)
    known = known.reshape(len(earlier), values.shape[1])
    n_earlier, n_bytes = len(earlier), layout.n_rows * values.shape[1] * values.itemsize
    # Where the windows cannot be made, no file is left.
    with nullcontext() if file is None else new_file(file, n_bytes) as name:
        table = _lay_out_table(layout, values, known, name)
        backward = "bfill" in fill_method
        fill = None if fill_method == "none" else FillRows.of(layout, backward=backward)
        return WindowArray(
            table,
            layout.rows[n_earlier:],
            length,
            starts=layout.offsets[layout.stocks[n_earlier:]],
            index=index,
            fields=fields,
            fill=fill,
        )


def _lay_out_table(
    layout: Layout, values: np.ndarray, known: np.ndarray, file: str | None
) -> np.ndarray:
    """Give the table that windows read: in memory, in a file, or the map that the values are."""
    if file is None:
        if find_map(values) is not None and not len(known) and layout.is_order_of_rows():
            return values
        return layout.table(values, known)
    shape = layout.n_rows, values.shape[1]
    layout.write(values, known, open_memmap(file, mode="w+", dtype=values.dtype, shape=shape))
    return np.load(file, mmap_mode="r")


def _read_memory(memory: Any, values: np.ndarray) -> tuple[np.ndarray, pd.MultiIndex]:
    if not isinstance(memory, tuple) or len(memory) != 2:
        raise TypeError(f"memory must be a pair of values and index, or None; got {shown(memory)}.")
    known = as_floats("memory[0]", memory[0], n_dims=2)
    if len(known) and known.shape[1] != values.shape[1]:
        raise ValueError(
            f"memory must have the {values.shape[1]} columns of values; got {known.shape[1]}."
        )
    _check_keys("memory[1]", known, memory[1])
    return known, memory[1]


def _check_keys(name: str, values: np.ndarray, index: Any) -> None:
    """Check that there is one (datetime, instrument) key for each row of values."""
    if not isinstance(index, pd.MultiIndex):
        raise TypeError(f"{name} must be a (datetime, instrument) MultiIndex; got {shown(index)}.")
    check_index(index, name)
    if len(index) != len(values):
        raise ValueError(f"{name} has {len(index)} keys for {len(values)} rows.")
