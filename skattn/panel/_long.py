"""Read tables, from memory or from files, as (datetime, instrument) tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from skattn.panel._columns import USUAL_NAMES, find_column
from skattn.panel._files import NEEDS_PYARROW, read_file
from skattn.panel._index import LEVELS, check_index
from skattn.panel._read_dates import read_dates
from skattn.panel._shapes import explain_missing, join_tables, to_long
from skattn.parameters import shown


def from_long(
    frame: Any,
    *,
    datetime: str | None = None,
    instrument: str | None = None,
    date_format: str | None = None,
    dayfirst: bool | None = None,
) -> pd.DataFrame:
    """Make a (datetime, instrument) table from a long table.

    Parameters
    ----------
    frame : table, str, Path, or dict of these
        Table with one row for each stock and day, and with dates and instruments in columns or in
        the index. It may be a table of pandas, polars (lazy frames are collected), pyarrow or
        another library that narwhals supports, or the path of a ``.parquet``, ``.csv`` or
        ``.csv.gz`` file. Instruments in a CSV file are read as text, so 000001 keeps its zeros and
        NA stays a ticker.

        Columns of two levels, fields and tickers as in yfinance's tables and CSV files, become
        rows; a stock has no row on a day without any value. A dict such as ``{"AAPL": table}``
        holds a table or a path for each instrument.
    datetime, instrument : str, default=None
        Names of the columns that hold the dates and the instruments. None takes the column named
        "datetime" or "instrument". If there is no such column, None takes the only column with a
        usual name ("date", "timestamp", ..., "ticker", "symbol", ...), in upper or lower case, and
        then the only such level of the index.
    date_format : str, default=None
        Format of dates in text or numbers, such as "%d/%m/%Y", as for :func:`pandas.to_datetime`.
        None reads dates with a year of four digits that begin with the year (2024-01-02, 20240102
        as text or number), end with the year (02/01/2024) or name the month (2 Jan 2024).
    dayfirst : bool, default=None
        Whether 05/03/2024 is 5 March (True) or 3 May (False). None: a day over 12 in the column
        tells, such as 13/03/2024; without such a day the dates are refused. Dates that begin with
        the year are read as year, month, day in any case.

    Returns
    -------
    table : pandas.DataFrame
        The other columns, indexed by (datetime, instrument) and sorted by both. The rows are in
        order of time, so scikit-learn's own ``TimeSeriesSplit`` splits by time. A column of time
        stamps keeps its time zone. Text with UTC offsets, and stamps of several zones, become local
        times without a zone, because the local date is the trading day.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ImportError
        pyarrow is not installed. It reads Parquet files and converts some tables to pandas.
    TypeError
        ``frame`` is neither a table nor a path, ``datetime`` or ``instrument`` is not a column
        name, ``date_format`` is not text or ``dayfirst`` is not a bool.
    ValueError
        A column is missing, occurs twice or is ambiguous. Dates or instruments cannot be read, or
        dates can be read in two ways. A key is missing or occurs twice. A file is damaged or has
        another format. The table has another shape; the message names the call that reads a table
        of dates and instruments, or one file for each instrument.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn import from_long
    >>> long = pd.DataFrame({"Date": ["2024-01-02"], "ticker": ["A"], "close": [9.5]})
    >>> from_long(long)
                           close
    datetime   instrument
    2024-01-02 A             9.5
    >>> from_long(long.assign(Date="01/02/2024"), dayfirst=False)
                           close
    datetime   instrument
    2024-01-02 A             9.5
    """
    for what, given in (("datetime", datetime), ("instrument", instrument)):
        if not pd.api.types.is_hashable(given):
            raise TypeError(f"{what} must be the name of a column; got {shown(given)}.")
    _check_order(date_format, dayfirst)
    table = _read(frame, datetime, instrument)
    long = to_long(table, datetime, instrument)
    date = _find(long, "datetime", datetime)
    key = _find(long, "instrument", instrument)
    for what, name in (("datetime", date), ("instrument", key)):
        if name is None:
            where = f"{str(frame)!r}: " if isinstance(frame, (str, Path)) else ""
            raise ValueError(
                f"{where}No column for {what} was found among {list(long)} (looked for "
                f"{', '.join(USUAL_NAMES[what])}). Name the column with {what}=... "
                + explain_missing(table, long, date, _source(frame))
            )
    try:
        dates = read_dates(
            long[date],
            date_format=date_format,
            dayfirst=dayfirst,
            cure='Pass dayfirst=True or dayfirst=False, or a date_format such as "{format}".',
        )
    except (ValueError, TypeError) as error:
        hint = " Other formats need date_format=..." if isinstance(error, TypeError) else ""
        raise ValueError(f"Column {date!r} cannot be read as dates: {error}{hint}") from error
    try:
        index = pd.MultiIndex.from_arrays([dates, long[key]], names=LEVELS)
    except TypeError as error:
        raise ValueError(f"Column {key!r} cannot be read as instruments: {error}") from error
    result = long.drop(columns=[date, key]).set_axis(check_index(index, "frame"))
    try:
        return result.sort_index()
    except TypeError as error:
        raise ValueError(
            f"Column {key!r} holds instruments of several types, which cannot be sorted: "
            f"{error}. Convert the instruments to text, for example with astype(str)."
        ) from error


def _check_order(date_format: Any, dayfirst: Any) -> None:
    if not (dayfirst is None or isinstance(dayfirst, (bool, np.bool_))):
        raise TypeError(f"dayfirst must be True, False or None; got {dayfirst!r}.")
    if date_format is None:
        return
    if not isinstance(date_format, str):
        raise TypeError(
            f"date_format must be text such as '%d/%m/%Y', or None; got {date_format!r}."
        )
    # pandas also takes "mixed", which guesses, and formats without a year, which mean 1900.
    if not any(part in date_format for part in ("%Y", "%y", "%G")):
        raise ValueError(
            f"date_format must have a year, such as '%d/%m/%Y' or '%y%m%d'; got {date_format!r}."
        )
    if dayfirst is not None:
        raise ValueError(
            f"date_format tells the order of day and month, so dayfirst must be None; got "
            f"date_format={date_format!r} and dayfirst={dayfirst!r}."
        )


def _read(frame: Any, datetime: str | None, instrument: str | None) -> pd.DataFrame:
    if isinstance(frame, (str, Path)):
        return read_file(Path(frame), datetime, instrument)
    if isinstance(frame, pd.DataFrame):
        return frame
    if isinstance(frame, Mapping):
        tables = {name: _read(value, datetime, instrument) for name, value in frame.items()}
        long = {name: to_long(table, datetime, instrument) for name, table in tables.items()}
        return join_tables(long, instrument)
    table = nw.from_native(frame, pass_through=True)
    if isinstance(table, nw.LazyFrame):
        table = table.collect()
    if not isinstance(table, nw.DataFrame):
        hint = ' Pass frame.to_frame("close").' if isinstance(frame, pd.Series) else ""
        raise TypeError(
            f"frame must be a table of pandas, polars or pyarrow, the path of a Parquet or CSV "
            f'file, or a dict of these, such as {{"AAPL": table}}; got {type(frame).__name__}.'
            f"{hint}"
        )
    try:
        return table.to_pandas()
    except ImportError as error:
        raise ImportError(f"A table of type {type(frame).__name__} {NEEDS_PYARROW}") from error


def _find(table: pd.DataFrame, what: str, given: str | None) -> str | None:
    name = find_column(table.columns, what, given)
    if name is None and given is not None:
        raise ValueError(
            f"{what}={shown(given)} is not a column of the table; it has {list(table)}."
        )
    if name is not None and isinstance(table[name], pd.DataFrame):
        raise ValueError(f"The table has more than one column {name!r}.")
    return name


def _source(frame: Any) -> str:
    """Return code that makes a pandas table of what the user passed as frame."""
    if isinstance(frame, (str, Path)):
        kind = "parquet" if str(frame).lower().endswith(".parquet") else "csv"
        return f"pandas.read_{kind}({str(frame)!r})"
    if isinstance(frame, pd.DataFrame):
        return "frame"
    return "frame.collect().to_pandas()" if hasattr(frame, "collect") else "frame.to_pandas()"
