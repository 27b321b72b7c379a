"""The label: the return of the days to come."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skattn.panel import check_index


def future_return(close: pd.Series, *, horizon: int = 2, delay: int = 1) -> pd.Series:
    """Return of each stock from ``delay`` to ``horizon`` market days ahead.

    The label of day t is ``close[t + horizon] / close[t + delay] - 1``: what a position earns
    that is bought at the close of day t + delay and sold at that of day t + horizon. The
    defaults are qlib's ``Ref($close, -2) / Ref($close, -1) - 1``. Days are the market's: every
    day that any stock has. A stock that misses one of the two days has no label; the label never
    jumps over the gap.

    Parameters
    ----------
    close : pandas.Series
        Closing prices, index (datetime, instrument) in any order.
    horizon : int, default=2
        Days ahead that the return ends.
    delay : int, default=1
        Days ahead that it begins; 0 <= delay < horizon.

    Returns
    -------
    label : pandas.Series
        Simple return as a fraction, named "label", same index as ``close``; NaN where unknown.

    Raises
    ------
    ValueError
        The index is not a unique (datetime, instrument) one, or the days are out of order.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn import from_long
    >>> from skattn.datasets._label import future_return
    >>> days = pd.date_range("2024-01-01", periods=4)
    >>> table = from_long(pd.DataFrame({"date": days, "ticker": "A", "close": [9, 10, 11, 22]}))
    >>> future_return(table["close"]).round(2).tolist()
    [0.1, 1.0, nan, nan]
    """
    if not 0 <= delay < horizon:
        raise ValueError(f"0 <= delay < horizon must hold; got delay={delay}, horizon={horizon}.")
    index = check_index(close.index, "close")
    day, calendar = pd.factorize(index.get_level_values("datetime"), sort=True)
    stock, stocks = pd.factorize(index.get_level_values("instrument"))
    # Rows past the end of the calendar stay NaN, and so do the days that a stock misses.
    grid = np.full((len(calendar) + horizon, len(stocks)), np.nan)
    grid[day, stock] = close.to_numpy(dtype=float, na_value=np.nan)
    label = grid[day + horizon, stock] / grid[day + delay, stock] - 1
    return pd.Series(label, index=close.index, name="label")
