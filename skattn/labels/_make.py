"""Making labels of prices."""

from __future__ import annotations

from typing import overload

import numpy as np
import pandas as pd

from skattn.panel import check_index
from skattn.panel.internal import dates_of, lay_out, level_codes, rename_hint
from skattn.parameters import check_value, shown

SEQUENCES = (tuple, list, range)


@overload
def make_label(
    ohlcv: pd.DataFrame | pd.Series, horizon: int = 1, delay: int = 1, *, price: str = "close"
) -> pd.Series: ...


@overload
def make_label(
    ohlcv: pd.DataFrame | pd.Series,
    horizon: tuple[int, ...] | list[int] | range,
    delay: int = 1,
    *,
    price: str = "close",
) -> pd.DataFrame: ...


def make_label(
    ohlcv: pd.DataFrame | pd.Series,
    horizon: int | tuple[int, ...] | list[int] | range = 1,
    delay: int = 1,
    *,
    price: str = "close",
) -> pd.Series | pd.DataFrame:
    """Make the label of each row: the stock's return over the days to come.

    The label of day t is ``price[t + delay + horizon] / price[t + delay] - 1``: what a position
    earns that is bought at the close of day t + delay and held for ``horizon`` days. The defaults
    make qlib's ``Ref($close, -2) / Ref($close, -1) - 1``.

    Parameters
    ----------
    ohlcv : pandas.DataFrame or pandas.Series of shape (n_rows,)
        Prices, index (datetime, instrument) in any order, one row a stock and day: a table with a
        column ``price``, or the prices themselves.
    horizon : int or tuple of int, default=1
        Holding period in market days, at least 1. A tuple or list, such as ``(1, 5, 20)``, makes a
        table of several labels, on which models of several outputs are trained at once.
    delay : int, default=1
        Market days between the signal and the purchase, at least 0.
    price : str, default="close"
        The column of the table that holds the prices.

    Returns
    -------
    label : pandas.Series of shape (n_rows,), or DataFrame of shape (n_rows, n_horizons)
        Simple return as a fraction, named "label", with the same index; NaN where it is unknown.
        ``label.attrs`` tells ``horizon``, ``delay`` and their sum ``reach``, which splitters and
        regressors read for ``purge="auto"``. A table has the columns "1d", "5d", "20d", and
        ``horizon`` and ``reach`` are dicts by column: the purge of the table is that of its longest
        label, the purge of ``label["5d"]`` its own.

    Raises
    ------
    TypeError
        ``ohlcv`` is not a table, ``horizon`` not an int or a tuple of them, ``delay`` not an
        int, or ``price`` not a str.
    ValueError
        The index is not a unique (datetime, instrument) index or has several time stamps a day
        (such as hourly bars), the column is missing, a price is not a number, infinite or
        negative, or ``horizon`` is empty or names a period twice.

    Notes
    -----
    Days are the market's days: every day on which any stock has a row. A stock that misses one of
    the two days has no label; the label never jumps over the gap. A price of zero is a vendor's
    way to say "no value", and counts as missing.

    pandas copies ``attrs`` through selections, ``reindex``, arithmetic, ``shift``, copies and
    pickles, whether or not the label still reaches as far. Give ``purge`` as a number where a label
    is shifted or combined with others, and where it is made stock by stock with
    ``groupby(...).apply``, which counts the stock's own rows and so jumps over suspensions. Other
    operations drop ``attrs``: ``rank``, ``pd.qcut``, ``unstack``, ``groupby(...).transform``,
    ``pd.concat`` of labels with different attrs, a label that becomes a column of a table, and
    ``sklearn.compose.TransformedTargetRegressor``. "auto" warns and means 2 days then: set the
    attrs again, or give ``purge``.

    scikit-learn's own regressors and most of its meta-estimators refuse NaN labels ("Input y
    contains NaN"). ``skattn.compose.CrossSectionalTarget(Ridge())`` trains such a regressor, or a
    ``StackingRegressor``, on the labelled rows. Otherwise make the windows or features of all rows
    once, and fit on the labelled ones: ``known = label.notna().to_numpy()``,
    ``model.fit(windows[known], label[known])``. Rows that are dropped before the features are made
    leave gaps in windows.

    References
    ----------
    qlib, ``qlib/contrib/data/handler.py``, ``Alpha360.get_label_config``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn import from_long, make_label
    >>> days = pd.date_range("2024-01-01", periods=4)
    >>> table = from_long(pd.DataFrame({"date": days, "ticker": "A", "close": [9, 10, 11, 22]}))
    >>> label = make_label(table)
    >>> label.round(2).tolist()
    [0.1, 1.0, nan, nan]
    >>> label.attrs
    {'horizon': 1, 'delay': 1, 'reach': 2}
    >>> make_label(table, horizon=(1, 2)).round(2).values.tolist()
    [[0.1, 1.2], [1.0, nan], [nan, nan], [nan, nan]]
    """
    horizons = _read_horizons(horizon)
    delay = check_value("delay", delay, "int", at_least=0)
    if not isinstance(ohlcv, (pd.DataFrame, pd.Series)):
        raise TypeError(
            f"ohlcv must be a DataFrame or a Series with a (datetime, instrument) index; got "
            f"{type(ohlcv).__name__}. skattn.from_long makes such a table of a long one."
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
        rows = layout.rows.astype(np.int64) + min(n_days, layout.n_rows)
        has_row = rows < ends
        later = np.full(len(rows), np.nan)
        later[has_row] = column[rows[has_row]]
        return later

    bought = ahead(delay)
    returns = {f"{days}d": ahead(delay + days) / bought - 1 for days in horizons}
    reaches = {f"{days}d": delay + days for days in horizons}
    if isinstance(horizon, SEQUENCES):
        labels = pd.DataFrame(returns, index=index)
        by_column = dict(zip(returns, horizons, strict=True))
        labels.attrs.update(horizon=by_column, delay=delay, reach=reaches)
        return labels
    (values,), (days,), (reach,) = returns.values(), horizons, reaches.values()
    label = pd.Series(values, index=index, name="label")
    label.attrs.update(horizon=days, delay=delay, reach=reach)
    return label


def _read_horizons(horizon: int | tuple[int, ...] | list[int] | range) -> list[int]:
    if not isinstance(horizon, SEQUENCES):
        return [check_value("horizon", horizon, "int", at_least=1)]
    name = "each period of horizon"
    horizons = [check_value(name, days, "int", at_least=1) for days in horizon]
    if not horizons or len(set(horizons)) < len(horizons):
        raise ValueError(
            f"horizon, where it is a tuple or list, must hold different periods, at least one; got "
            f"{shown(horizon)}."
        )
    return horizons


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
            raise TypeError(f"price must be the name of a column, a str; got {shown(price)}.")
        n_found = list(ohlcv.columns).count(price)
        if n_found != 1:
            raise ValueError(
                f"ohlcv must have one column price={price!r}; it has {n_found} among "
                f"{list(ohlcv.columns)}.{rename_hint(ohlcv.columns, [price], 'ohlcv')}"
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
    negative = np.flatnonzero(prices < 0)
    if len(negative):
        raise ValueError(
            f"The prices of ohlcv must not be negative; {len(negative)} are, first "
            f"{prices[negative[0]]} at {ohlcv.index[negative[0]]}. Some vendors (CRSP) mark quotes "
            f"by a minus sign: pass ohlcv.abs() where that is so."
        )
    return np.where(prices == 0, np.nan, prices)
