"""Build windows of days from rows of single days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from skattn.panel._fill import FillRows
from skattn.panel._layout import lay_out
from skattn.panel._windows import WindowArray


def build_windows(
    values: np.ndarray,
    index: pd.MultiIndex,
    length: int,
    *,
    memory: tuple[np.ndarray, pd.MultiIndex] | None = None,
    calendar: pd.DatetimeIndex | None = None,
    fields: Sequence[str] | None = None,
    fill_method: str = "none",
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

    Returns
    -------
    windows : WindowArray of shape (N, length, F)
    """
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    known, earlier = (values[:0], index[:0]) if memory is None else memory
    layout = lay_out(index, earlier=earlier, calendar=calendar)
    table = layout.table(values, known.reshape(len(earlier), values.shape[1]))
    n_earlier = len(earlier)
    fill = None if fill_method == "none" else FillRows.of(layout, backward="bfill" in fill_method)
    return WindowArray(
        table,
        layout.rows[n_earlier:],
        length,
        starts=layout.offsets[layout.stocks[n_earlier:]],
        index=index,
        fields=fields,
        fill=fill,
    )
