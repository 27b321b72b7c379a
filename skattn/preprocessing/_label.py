"""The label: the return of the days to come."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import pandas as pd

from skattn.panel import check_index, dates_of, lay_out, level_codes


def make_label(
    ohlcv: pd.DataFrame | pd.Series, horizon: int = 2, delay: int = 1, *, price: str = "close"
) -> pd.Series:
    """Make each row's label: the stock's return from ``delay`` to ``horizon`` market days ahead.

    A return over h days is ``horizon=delay + h``: of five days, by default, ``horizon=6``.

    The label of day t is ``close[t + horizon] / close[t + delay] - 1``: what a position earns
    that is bought at the close of day t + delay and sold at that of day t + horizon. The
    defaults are qlib's ``Ref($close, -2) / Ref($close, -1) - 1``.

    Parameters
    ----------
    ohlcv : pandas.DataFrame or pandas.Series of shape (n_rows,)
        Prices, index (datetime, instrument) in any order, one row a stock and day: a table with a
        column ``price``, or the prices themselves.
    horizon : int, default=2
        Market days ahead that the return ends.
    delay : int, default=1
        Market days ahead that it begins; 0 <= delay < horizon.
    price : str, default="close"
        The column of the table that holds the prices.

    Returns
    -------
    label : pandas.Series of shape (n_rows,)
        Simple return as a fraction, named "label", same index; NaN where unknown.
        ``label.attrs`` tells ``horizon`` and ``delay``, which a splitter or a regressor with
        ``purge="auto"`` reads.

    Raises
    ------
    TypeError
        ``ohlcv`` is not a table, ``horizon`` or ``delay`` not an int, or ``price`` not a str.
    ValueError
        The index is not a unique (datetime, instrument) one or has several time stamps a day (such
        as hourly bars), the column is not there, a price is not a number or infinite, or the days
        are out of order.

    Notes
    -----
    Days are the market's: every day that any stock has. A stock that misses one of the two days
    has no label; the label never jumps over the gap. A price of zero is a vendor's way to say
    "no value", and counts as missing.

    pandas copies ``attrs`` however a label is changed: through selections, ``reindex``, arithmetic,
    ``shift``, copies and pickles. They do not know whether the label still reaches as far. Give
    ``purge`` as a number where a label is shifted, or combined of others; and where it is made
    stock by stock with ``groupby(...).apply``, which counts the stock's own rows, and so jumps over
    suspensions. Other operations drop them: ``rank``, ``pd.qcut``, ``unstack``,
    ``groupby(...).transform``, ``pd.concat`` of labels with different attrs, where the label
    becomes a column of a table, and ``sklearn.compose.TransformedTargetRegressor``. "auto" is 2
    days then; set the attrs again, or give ``purge``.

    References
    ----------
    qlib, ``qlib/contrib/data/handler.py``, ``Alpha360.get_label_config``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn import from_long
    >>> from skattn.preprocessing import make_label
    >>> days = pd.date_range("2024-01-01", periods=4)
    >>> table = from_long(pd.DataFrame({"date": days, "ticker": "A", "close": [9, 10, 11, 22]}))
    >>> label = make_label(table)
    >>> label.round(2).tolist()
    [0.1, 1.0, nan, nan]
    >>> label.attrs
    {'horizon': 2, 'delay': 1}
    """
    for name, value in (("horizon", horizon), ("delay", delay)):
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, a number of market days; got {value!r}.")
    if not 0 <= delay < horizon:
        raise ValueError(
            f"0 <= delay < horizon must hold, for a return over horizon - delay days; got "
            f"delay={delay}, horizon={horizon}."
        )
    if not isinstance(ohlcv, (pd.DataFrame, pd.Series)):
        raise TypeError(
            f"ohlcv must be a DataFrame or a Series with a (datetime, instrument) index; got "
            f"{type(ohlcv).__name__}. skattn.from_long makes a table of a long one."
        )
    index = check_index(ohlcv.index, "ohlcv")
    _check_daily(level_codes(index, "datetime")[1])
    prices = _prices(ohlcv, price)
    layout = lay_out(index)
    # Days that a stock misses stay NaN.
    column = np.full(layout.n_rows, np.nan)
    column[layout.rows] = prices
    ends = layout.offsets[layout.stocks + 1]

    def ahead(n_days: int) -> np.ndarray:
        # No stock has as many days as there are rows.
        rows = layout.rows.astype(np.int64) + min(int(n_days), layout.n_rows)
        has_row = rows < ends
        later = np.full(len(rows), np.nan)
        later[has_row] = column[rows[has_row]]
        return later

    label = pd.Series(ahead(horizon) / ahead(delay) - 1, index=index, name="label")
    label.attrs.update(horizon=int(horizon), delay=int(delay))
    return label


def _check_daily(stamps: pd.DatetimeIndex) -> None:
    """Raise where a day has more than one time stamp: the steps of a label are days."""
    days = dates_of(stamps)
    if not days.is_unique:
        day = days[days.duplicated()][0]
        times = ", ".join(str(stamp.time()) for stamp in stamps[days == day][:3])
        raise ValueError(
            f"ohlcv must have one row a stock and day, and one time stamp for all stocks of a day: "
            f"labels count days. {day.date()} has the time stamps {times}. Keep one bar a day, "
            f"for example with groupby and last, and give each day one stamp."
        )


def _prices(ohlcv: pd.DataFrame | pd.Series, price: str) -> np.ndarray:
    """Prices as floats, NaN where there is none."""
    if isinstance(ohlcv, pd.DataFrame):
        if not isinstance(price, str):
            raise TypeError(f"price must be the name of a column, a str; got {price!r}.")
        n_found = (ohlcv.columns == price).sum()
        if n_found != 1:
            raise ValueError(
                f"ohlcv must have one column price={price!r}; it has {n_found} among "
                f"{list(ohlcv.columns)}."
            )
        ohlcv = ohlcv[price]
    try:
        is_real = pd.api.types.is_numeric_dtype(ohlcv) and not np.iscomplexobj(ohlcv)
        if not is_real and ohlcv.dtype != object:
            raise TypeError(f"dtype {ohlcv.dtype}")
        prices = ohlcv.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The prices of ohlcv must be numbers: {error}") from error
    infinite = np.flatnonzero(np.isinf(prices))
    if len(infinite):
        raise ValueError(
            f"The prices of ohlcv contain infinity, first at {ohlcv.index[infinite[0]]}."
        )
    return np.where(prices == 0, np.nan, prices)
