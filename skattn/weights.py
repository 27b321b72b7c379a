"""Weights of rows, for ``fit(X, y, sample_weight=...)``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.panel import days_of
from skattn.panel.internal import index_of
from skattn.parameters import InvalidParameterError, check_value, shown

__all__ = ["by_day", "time_decay"]


def time_decay(index: Any, half_life: Any = "250D") -> pd.Series:
    """Weigh rows by recency: half as much for each half-life before the last day.

    Parameters
    ----------
    index : Index with a level ``datetime``, or Series, DataFrame or WindowArray with such an index
        The rows.
    half_life : str, Timedelta or int, default="250D"
        Time after which a weight has halved: calendar time, such as "250D" or a Timedelta, or a
        number of trading days, counted among the days of the rows.

    Returns
    -------
    weight : Series of shape (N,)
        Between 0 and 1; 1 on the last day.

    Raises
    ------
    TypeError, ValueError
        ``half_life`` is no positive time, or the days of the rows are not known.

    Notes
    -----
    Weights depend on the last day of the rows alone. Give each fold the weights of its own rows:
    ``sample_weight`` of all rows, as searches slice it, differs from them by a factor, which
    regressors of skattn take out.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.weights import time_decay
    >>> days = pd.to_datetime(["2024-01-01", "2024-01-06", "2024-01-11"])
    >>> time_decay(days, "5D").tolist()
    [0.25, 0.5, 1.0]
    >>> time_decay(days, 1).tolist()
    [0.25, 0.5, 1.0]
    """
    index, days = _read(index)
    if isinstance(half_life, (str, pd.Timedelta, np.timedelta64)):
        age = (days.max() - days) / _read_time(half_life)
    else:
        trading_days = check_value("half_life", half_life, "int", at_least=1)
        codes = pd.factorize(days, sort=True)[0]
        age = (codes.max() - codes) / trading_days
    return pd.Series(0.5 ** np.asarray(age, dtype=float), index, name="weight")


def by_day(index: Any) -> pd.Series:
    """Weigh rows so that each day has the same total, however many stocks it has.

    Parameters
    ----------
    index : Index with a level ``datetime``, or Series, DataFrame or WindowArray with such an index
        The rows. Leave out those without a label, or their day weighs less.

    Returns
    -------
    weight : Series of shape (N,)
        The mean over the rows is 1.

    Raises
    ------
    TypeError, ValueError
        The days of the rows are not known.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.weights import by_day
    >>> by_day(pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02"])).tolist()
    [0.75, 0.75, 1.5]
    """
    index, days = _read(index)
    codes, known = pd.factorize(days)
    sizes = np.bincount(codes)
    return pd.Series(len(days) / len(known) / sizes[codes], index, name="weight")


def _read(index: Any) -> tuple[pd.Index, pd.DatetimeIndex]:
    """Read the index and the days of some rows."""
    found = index if isinstance(index, pd.Index) else index_of(index)
    has_days = isinstance(found, pd.DatetimeIndex) or "datetime" in getattr(found, "names", ())
    if found is None or not has_days or not len(found) or [*found.names].count("datetime") > 1:
        raise InvalidParameterError(
            f"index must be an Index with one level 'datetime', or rows that have one; got "
            f"{shown(index)}."
        )
    days = days_of(found)
    assert days is not None
    return found, days


def _read_time(half_life: Any) -> pd.Timedelta:
    try:
        time = pd.Timedelta(half_life)
    except ValueError:
        time = pd.NaT
    if pd.isna(time) or time <= pd.Timedelta(0):
        raise InvalidParameterError(
            f'half_life must be a positive time, such as "250D", or a number of trading days; got '
            f"{shown(half_life)}."
        )
    return time
