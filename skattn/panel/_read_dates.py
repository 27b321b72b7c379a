"""Read dates of any type: text, digits, and dates of Python, pandas and pyarrow."""

from __future__ import annotations

import datetime
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from skattn.panel._date_text import read_texts
from skattn.parameters import shown


def read_dates(
    values: Any,
    *,
    date_format: str | None = None,
    dayfirst: bool | None = None,
    cure: str = "Write the dates as 2025-03-05.",
) -> pd.DatetimeIndex:
    """Read dates of any type, and refuse text that can be read in two ways.

    Text with UTC offsets gives the local time without the offset: the offset of a stock exchange
    changes with its clocks, and the local date is the trading day. Other dates keep their time
    zone if they share one.

    Parameters
    ----------
    values : Series, Index or array-like of dates
        Text names the year with four digits, first or last, and the month as a number or by its
        English name. Numbers have eight digits, as 20240102 has. None, NaN, NaT and empty text are
        missing.
    date_format : str, default=None
        Format of text and numbers, as for :func:`pandas.to_datetime`.
    dayfirst : bool, default=None
        Whether "05/03/2025" is 5 March. None: the other dates with the same separator tell, by a
        day over 12. Text that begins with the year is read as year, month, day in any case.
    cure : str
        End of the message where text can be read in two ways. "{format}" stands for a format that
        reads the text with the day first.

    Returns
    -------
    dates : pandas.DatetimeIndex
        One date per value; NaT where the value is missing.

    Raises
    ------
    TypeError
        A value is not a date. The message names the first such value.
    ValueError
        Text can be read in two ways, or ``date_format`` or ``dayfirst`` does not fit.

    Examples
    --------
    >>> from skattn.panel.internal import read_dates
    >>> read_dates(["05/03/2025", "13/03/2025"])
    DatetimeIndex(['2025-03-05', '2025-03-13'], dtype='datetime64[...]', freq=None)
    """
    column = _plain(values)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pd.DatetimeIndex(column, name=None)
    column = column.astype(object)
    if set(map(type, column.dropna())) == {datetime.date}:
        return pd.DatetimeIndex(pd.to_datetime(column), name=None)
    known = column.notna().to_numpy()
    is_text = np.array([_is_text(value) for value in column], dtype=bool) & known
    parts = []
    if is_text.any():
        codes, values = pd.factorize(column[is_text])
        # Numbers have lost the zeros that they begin with in the format.
        width = len(datetime.date(2000, 1, 1).strftime(date_format)) if date_format else 0
        texts = [
            value.strip() if isinstance(value, str) else _digits(value, width) for value in values
        ]
        read = read_texts(texts, date_format, dayfirst, cure)
        parts.append(pd.Series(read[codes], np.flatnonzero(is_text)))
    if (known & ~is_text).any():
        parts.append(_read_objects(column[known & ~is_text]))
    if not parts:
        return pd.DatetimeIndex([pd.NaT] * len(column))
    if len(parts) == 2:
        parts = [part.dt.tz_localize(None) for part in parts]
    return pd.DatetimeIndex(pd.concat(parts).reindex(range(len(column))), name=None)


def is_number(values: Any) -> bool:
    """Return whether an array or Series holds numbers, possibly with dtype object."""
    kinds = ("integer", "floating", "mixed-integer-float", "mixed-integer", "decimal")
    return pd.api.types.is_numeric_dtype(values.dtype) or (
        values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in kinds
    )


def _plain(values: Any) -> pd.Series:
    """Return a Series of numpy's or pandas' own dtype, without categories."""
    is_pandas = isinstance(values, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray))
    column = pd.Series(values if is_pandas else np.asarray(values)).reset_index(drop=True)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if isinstance(column.dtype, pd.ArrowDtype):
        # pyarrow itself knows how each of its types is called in numpy.
        column = column.array.__arrow_array__().to_pandas(date_as_object=False)
    return column


def _is_text(value: Any) -> bool:
    return isinstance(value, (str, Number)) and not isinstance(value, bool)


def _digits(number: Any, width: int) -> str:
    return str(int(number)).zfill(width) if number % 1 == 0 else str(number)


def _read_objects(values: pd.Series) -> pd.Series:
    """Read dates of Python, numpy and pandas: stamps of several zones become local."""
    wrong = [value for value in values if not isinstance(value, (datetime.date, np.datetime64))]
    if wrong:
        raise TypeError(f"{shown(wrong[0])} is not a date.")
    stamps = [pd.Timestamp(value) for value in values]
    if len({str(stamp.tz) for stamp in stamps}) > 1:
        stamps = [stamp.tz_localize(None) for stamp in stamps]
    return pd.Series(pd.DatetimeIndex(stamps), index=values.index)
