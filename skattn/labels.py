"""Labels: how they are made, how far they reach, and what that asks of a split.

The attributes of a label (``label.attrs``) tell its ``reach``, the days ahead of the last price
that it is made of, its ``delay`` and its ``horizon``. Here they are written and read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.panel import check_index
from skattn.panel.internal import dates_of, lay_out, level_codes
from skattn.parameters import InvalidParameterError, check_numbers, check_value, shown
from skattn.utils import warn_user

__all__ = [
    "PURGE_BOUNDS",
    "USUAL_REACH",
    "check_labels",
    "check_purge",
    "holding_days",
    "label_reach",
    "make_label",
    "resolve_purge",
]

# What purge may be, wherever it is a parameter.
PURGE_BOUNDS: dict[str, Any] = {"at_least": 0, "one_of": ("auto",)}

# The reach of qlib's label, Ref($close, -2) / Ref($close, -1) - 1.
USUAL_REACH = 2


def make_label(
    ohlcv: pd.DataFrame | pd.Series, horizon: int = 1, delay: int = 1, *, price: str = "close"
) -> pd.Series:
    """Make the label of each row: the stock's return over the days to come.

    The label of day t is ``price[t + delay + horizon] / price[t + delay] - 1``: what a position
    earns that is bought at the close of day t + delay and held for ``horizon`` days. The defaults
    make qlib's ``Ref($close, -2) / Ref($close, -1) - 1``.

    Parameters
    ----------
    ohlcv : pandas.DataFrame or pandas.Series of shape (n_rows,)
        Prices, index (datetime, instrument) in any order, one row a stock and day: a table with a
        column ``price``, or the prices themselves.
    horizon : int, default=1
        Holding period in market days, at least 1.
    delay : int, default=1
        Market days between the signal and the purchase, at least 0.
    price : str, default="close"
        The column of the table that holds the prices.

    Returns
    -------
    label : pandas.Series of shape (n_rows,)
        Simple return as a fraction, named "label", with the same index; NaN where it is unknown.
        ``label.attrs`` tells ``horizon``, ``delay`` and their sum ``reach``, which splitters and
        regressors read for ``purge="auto"``.

    Raises
    ------
    TypeError
        ``ohlcv`` is not a table, ``horizon`` or ``delay`` not an int, or ``price`` not a str.
    ValueError
        The index is not a unique (datetime, instrument) index or has several time stamps a day
        (such as hourly bars), the column is missing, or a price is not a number, infinite or
        negative.

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
    """
    horizon = check_value("horizon", horizon, "int", at_least=1)
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

    label = pd.Series(ahead(delay + horizon) / ahead(delay) - 1, index=index, name="label")
    label.attrs.update(horizon=horizon, delay=delay, reach=delay + horizon)
    return label


def label_reach(y: Any) -> int | None:
    """Read how many days ahead the prices lie that a label is made of.

    Parameters
    ----------
    y : object
        Labels. A Series or a DataFrame of one column may tell the reach in ``attrs["reach"]``, as
        :func:`make_label` writes it.

    Returns
    -------
    reach : int or None
        Days; None where y does not tell.

    Raises
    ------
    ValueError
        ``attrs["reach"]`` is not an int of at least 0, or ``attrs`` tells a horizon and no reach.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.labels import label_reach
    >>> y = pd.Series([0.01, -0.02])
    >>> y.attrs["reach"] = 5
    >>> label_reach(y)
    5
    """
    is_label = isinstance(y, pd.Series) or (isinstance(y, pd.DataFrame) and y.shape[1] == 1)
    if not is_label:
        return None
    if "reach" not in y.attrs:
        if "horizon" in y.attrs:
            raise ValueError(
                f"y.attrs tells a horizon of {shown(y.attrs['horizon'])} and no reach. Set "
                f'y.attrs["reach"] to the days ahead of the last price that the label is made of: '
                f"delay + horizon."
            )
        return None
    return _read_days(y, "reach", 0)


def holding_days(y: Any) -> int | None:
    """Read from labels over how many days their return is earned.

    Parameters
    ----------
    y : object
        Labels. :func:`make_label` tells the days in ``attrs["horizon"]``.

    Returns
    -------
    days : int or None
        None where y does not tell.

    Raises
    ------
    ValueError
        ``attrs`` tells a horizon that is not an int of at least 1 or exceeds the reach.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.labels import holding_days
    >>> y = pd.Series([0.01, -0.02])
    >>> y.attrs.update(reach=6, horizon=5)
    >>> holding_days(y)
    5
    """
    reach = label_reach(y)
    if reach is None or "horizon" not in y.attrs:
        return None
    horizon = _read_days(y, "horizon", 1)
    if horizon > reach:
        raise ValueError(
            f'y.attrs["horizon"] must be at most y.attrs["reach"], which is {reach}; got {horizon}.'
        )
    return horizon


def resolve_purge(purge: int | str, y: Any) -> int:
    """Decide how many days to drop between training days and the days that follow them.

    Warns where y reaches further ahead than a purge that is given as a number: the labels of the
    last training days would then be made of prices of the days that follow.

    Parameters
    ----------
    purge : int or "auto"
        A number is taken as it is. "auto" is the reach that y tells, else 2 days, with a warning.
    y : object
        The labels, or None.

    Returns
    -------
    days : int

    Raises
    ------
    ValueError
        ``purge`` is neither "auto" nor an int of at least 0, or ``y.attrs["reach"]`` is not an int
        of at least 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.labels import resolve_purge
    >>> y = pd.Series([0.01, -0.02])
    >>> y.attrs["reach"] = 5
    >>> resolve_purge("auto", y), resolve_purge("auto", None), resolve_purge(7, y)
    (5, 2, 7)
    """
    purge = check_purge(purge)
    reach = label_reach(y)
    if isinstance(purge, str):
        if reach is None:
            warn_user(
                f'How many days ahead the label reaches is not known, so purge="auto" drops '
                f"{USUAL_REACH} days, the reach of a return from tomorrow to the day after. Tell "
                f'the reach with y.attrs["reach"], as skattn.make_label does, or pass '
                f"purge=<days>."
            )
            return USUAL_REACH
        return reach
    if reach is not None and reach > purge:
        warn_user(
            f"The label reaches {reach} days ahead, but purge={purge}: labels of the last training "
            f'days are made of prices of the days that follow. Use purge="auto" or purge={reach}.'
        )
    return purge


def check_purge(purge: Any) -> int | str:
    """Raise where ``purge`` is neither "auto" nor an int of at least 0."""
    return check_value("purge", purge, "int | str", **PURGE_BOUNDS)


def check_labels(
    y: Any, name: str = "y", *, required: bool = True, warn: bool = False
) -> np.ndarray:
    """Check labels, one number a row.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Labels; NaN means unlabelled.
    name : str, default="y"
        What the labels are called in an error's text.
    required : bool, default=True
        Whether at least one row must have a label.
    warn : bool, default=False
        Whether to warn of a column vector, as scikit-learn does.

    Returns
    -------
    labels : ndarray of float64, shape (n_samples,)

    Raises
    ------
    InvalidParameterError
        The labels are no numbers, or have another shape. It is a ValueError and a TypeError.
    ValueError
        A label is infinite, or all are NaN although one is required.

    Examples
    --------
    >>> from skattn.labels import check_labels
    >>> check_labels([0.1, None])
    array([0.1, nan])
    """
    labels = check_numbers(name, y, warn=warn)
    infinite = np.flatnonzero(np.isinf(labels))
    if len(infinite):
        raise ValueError(
            f"Input {name} contains infinity or a value too large for dtype('float64'), first at "
            f"row {infinite[0]}."
        )
    if required and np.isnan(labels).all():
        raise ValueError(f"{name} has no label at all: it is NaN in all its {len(labels)} rows.")
    return labels


def _read_days(y: Any, name: str, least: int) -> int:
    try:
        return check_value(f'y.attrs["{name}"]', y.attrs[name], "int", at_least=least)
    except InvalidParameterError as error:
        raise ValueError(str(error)) from None


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
    negative = np.flatnonzero(prices < 0)
    if len(negative):
        raise ValueError(
            f"The prices of ohlcv must not be negative; {len(negative)} are, first "
            f"{prices[negative[0]]} at {ohlcv.index[negative[0]]}. Some vendors (CRSP) mark quotes "
            f"by a minus sign: pass ohlcv.abs() where that is so."
        )
    return np.where(prices == 0, np.nan, prices)
