"""From long tables, in memory or in a file, to (datetime, instrument) tables."""

from __future__ import annotations

import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from skattn.panel._index import LEVELS, check_index, is_number

# Column names that vendors use, lower-case.
DATETIME_NAMES = ("datetime", "date", "timestamp", "time", "day", "trade_date", "tradedate")
INSTRUMENT_NAMES = ("instrument", "ticker", "symbol", "stock", "code", "asset", "permno", "sid")

NEEDS_PYARROW = 'cannot be read without pyarrow: pip install "skattn[parquet]"'


def from_long(
    frame: Any, *, datetime: str | None = None, instrument: str | None = None
) -> pd.DataFrame:
    """Make a (datetime, instrument) table from a long one.

    Parameters
    ----------
    frame : table, str or Path
        One row for each stock and day, dates and instruments in columns: a table of pandas,
        polars (lazy ones are collected), pyarrow or another library that narwhals knows; or the
        path of a ``.parquet``, ``.csv`` or ``.csv.gz`` file. Instruments of a CSV file are read as
        text, so that 000001 keeps its zeros and the ticker NA is one. Dates may be written as
        eight digits, 20240102, as numbers or text.
    datetime, instrument : str, default=None
        The columns that hold them. None takes the column of that very name, else the only one
        with a usual name ("date", "timestamp", ..., "ticker", "symbol", ...), upper or lower case.

    Returns
    -------
    table : pandas.DataFrame
        The other columns, indexed by (datetime, instrument), rows in the order given.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ImportError
        pyarrow, which reads Parquet files and turns some tables into pandas', is not installed.
    TypeError
        ``frame`` is neither a table nor a path, or a column's name not one.
    ValueError
        A column cannot be found, is there twice, or several may be meant; dates or instruments
        cannot be read; a key is missing or double; a file is damaged or of another kind.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn import from_long
    >>> long = pd.DataFrame({"Date": ["2024-01-02"], "ticker": ["A"], "close": [9.5]})
    >>> from_long(long)
                           close
    datetime   instrument
    2024-01-02 A             9.5
    """
    if isinstance(frame, (str, Path)):
        frame = _read_file(Path(frame), instrument)
    elif not isinstance(frame, pd.DataFrame):
        frame = _to_pandas(frame)
    datetime = _find_column(frame.columns, "datetime", datetime, DATETIME_NAMES)
    instrument = _find_column(frame.columns, "instrument", instrument, INSTRUMENT_NAMES)
    for name in (datetime, instrument):
        if isinstance(frame[name], pd.DataFrame):
            raise ValueError(f"The table has more than one column {name!r}.")
    dates = _as_dates(frame[datetime])
    try:
        index = pd.MultiIndex.from_arrays([dates, frame[instrument]], names=LEVELS)
    except TypeError as error:
        raise ValueError(f"Column {instrument!r} cannot be read as instruments: {error}") from error
    return frame.drop(columns=[datetime, instrument]).set_axis(check_index(index, "frame"))


def _to_pandas(frame: Any) -> pd.DataFrame:
    table = nw.from_native(frame, pass_through=True)
    if isinstance(table, nw.LazyFrame):
        table = table.collect()
    if not isinstance(table, nw.DataFrame):
        raise TypeError(
            f"frame must be a table of pandas, polars or pyarrow, or the path of a Parquet or CSV "
            f"file; got {type(frame).__name__}."
        )
    try:
        return table.to_pandas()
    except ImportError as error:
        raise ImportError(f"A table of type {type(frame).__name__} {NEEDS_PYARROW}") from error


def _read_file(path: Path, instrument: str | None) -> pd.DataFrame:
    name = path.name.lower()
    if not name.endswith((".parquet", ".csv", ".csv.gz")):
        raise ValueError(
            f"{str(path)!r} is not a file that from_long reads: it must end in .parquet, .csv or "
            f".csv.gz. Read it with another library, and pass the table."
        )
    if not path.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    try:
        return _read_parquet(path) if name.endswith(".parquet") else _read_csv(path, instrument)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    if find_spec("pyarrow") is None:
        raise ImportError(f"{str(path)!r} {NEEDS_PYARROW}")
    table = pd.read_parquet(path, engine="pyarrow")
    # pandas stores its index, too: the keys may be there.
    return table.reset_index([level for level in table.index.names if level is not None])


def _read_csv(path: Path, instrument: str | None) -> pd.DataFrame:
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
    columns = pd.Index(header.iloc[0])
    double = columns[columns.duplicated() & (columns != "")].unique()
    if len(double):
        # pandas would call the second one "close.1".
        raise ValueError(f"It has more than one column {', '.join(map(repr, double))}.")
    key = _find_column(columns, "instrument", instrument, INSTRUMENT_NAMES)
    codes = pd.read_csv(path, usecols=[key], dtype=str, keep_default_na=False)[key].str.strip()
    return pd.read_csv(path).assign(**{key: codes.where(codes != "")})


def _as_dates(dates: pd.Series) -> pd.Series:
    name = dates.name
    if isinstance(dates.dtype, pd.CategoricalDtype):
        dates = dates.astype(dates.cat.categories.dtype)
    if pd.api.types.is_datetime64_any_dtype(dates):
        return dates
    try:
        # Numbers like 20240102 are dates written as digits, never nanoseconds.
        dates = dates.astype("Int64").astype("string") if is_number(dates) else dates
        known = dates.drop_duplicates().astype("string").dropna()
        numbers = known[known.str.fullmatch(r"-?\d+") & ~known.str.fullmatch(r"\d{8}")]
        if len(numbers):
            raise ValueError(f"{numbers.iloc[0]} does not have the eight digits of 20240102")
        return pd.to_datetime(dates)
    except (ValueError, TypeError) as error:
        raise ValueError(f"Column {name!r} cannot be read as dates: {error}") from error


def _find_column(columns: pd.Index, what: str, given: str | None, usual: tuple[str, ...]) -> str:
    if given is not None:
        if not pd.api.types.is_hashable(given):
            raise TypeError(f"{what} must be the name of a column; got {given!r}.")
        if given not in columns:
            raise ValueError(
                f"{what}={given!r} is not a column of the table; it has {list(columns)}."
            )
        return given
    if what in columns:
        return what
    found = [name for name in columns.unique() if str(name).strip().lower() in usual]
    if len(found) > 1:
        raise ValueError(
            f"Several columns may be the {what}: {', '.join(map(repr, found))}. Name the one that "
            f"is with {what}=..."
        )
    if found:
        return found[0]
    raise ValueError(
        f"No column for {what} was found among {list(columns)} (looked for {', '.join(usual)}): "
        f"name it with {what}=..., or, where it is in the index, pass frame.reset_index()."
    )
