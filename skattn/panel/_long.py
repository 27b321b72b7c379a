"""Read long tables, from memory or from a file, as (datetime, instrument) tables."""

from __future__ import annotations

import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from skattn.panel._index import LEVELS, check_index, is_number

# Column names used by data vendors, in lower case.
DATETIME_NAMES = ("datetime", "date", "timestamp", "time", "day", "trade_date", "tradedate")
INSTRUMENT_NAMES = ("instrument", "ticker", "symbol", "stock", "code", "asset", "permno", "sid")

NEEDS_PYARROW = 'cannot be read without pyarrow: pip install "skattn[parquet]"'


def from_long(
    frame: Any, *, datetime: str | None = None, instrument: str | None = None
) -> pd.DataFrame:
    """Make a (datetime, instrument) table from a long table.

    Parameters
    ----------
    frame : table, str or Path
        Table with one row for each stock and day, and with dates and instruments in columns. It
        may be a table of pandas, polars (lazy frames are collected), pyarrow or another library
        that narwhals supports, or the path of a ``.parquet``, ``.csv`` or ``.csv.gz`` file.
        Instruments in a CSV file are read as text, so 000001 keeps its zeros and NA stays a
        ticker. Dates may have eight digits, such as 20240102, as numbers or text.
    datetime, instrument : str, default=None
        Names of the columns that hold the dates and the instruments. None takes the column named
        "datetime" or "instrument". If there is no such column, None takes the only column with a
        usual name ("date", "timestamp", ..., "ticker", "symbol", ...), in upper or lower case.

    Returns
    -------
    table : pandas.DataFrame
        The other columns, indexed by (datetime, instrument) and sorted by both. The rows are in
        order of time, so scikit-learn's own ``TimeSeriesSplit`` splits by time.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ImportError
        pyarrow is not installed. It reads Parquet files and converts some tables to pandas.
    TypeError
        ``frame`` is neither a table nor a path, or ``datetime`` or ``instrument`` is not a column
        name.
    ValueError
        A column is missing, occurs twice or is ambiguous. Dates or instruments cannot be read. A
        key is missing or occurs twice. A file is damaged or has another format.

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
    table = frame.drop(columns=[datetime, instrument]).set_axis(check_index(index, "frame"))
    try:
        return table.sort_index()
    except TypeError as error:
        raise ValueError(
            f"Column {instrument!r} holds instruments of several types, which cannot be sorted: "
            f"{error}. Convert the instruments to text, for example with astype(str)."
        ) from error


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
            f"from_long cannot read {str(path)!r}: the file name must end in .parquet, .csv or "
            f".csv.gz. Read the file with another library, and pass the table."
        )
    if not path.exists():
        raise FileNotFoundError(f"The file {str(path)!r} does not exist.")
    try:
        return _read_parquet(path) if name.endswith(".parquet") else _read_csv(path, instrument)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    if find_spec("pyarrow") is None:
        raise ImportError(f"{str(path)!r} {NEEDS_PYARROW}")
    table = pd.read_parquet(path, engine="pyarrow")
    # pandas also stores the index in the file, and the keys may be index levels.
    return table.reset_index([level for level in table.index.names if level is not None])


def _read_csv(path: Path, instrument: str | None) -> pd.DataFrame:
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
    columns = pd.Index(header.iloc[0])
    double = columns[columns.duplicated() & (columns != "")].unique()
    if len(double):
        # pandas would rename the second column to "close.1".
        raise ValueError(f"The file has more than one column {', '.join(map(repr, double))}.")
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
        # Numbers like 20240102 are dates written as digits; pandas would read nanoseconds.
        dates = dates.astype("Int64").astype("string") if is_number(dates) else dates
        known = dates.drop_duplicates().astype("string").dropna()
        numbers = known[known.str.fullmatch(r"-?\d+") & ~known.str.fullmatch(r"\d{8}")]
        if len(numbers):
            raise ValueError(f"{numbers.iloc[0]} does not have eight digits, as 20240102 has")
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
            f"Several columns may hold the {what}: {', '.join(map(repr, found))}. Choose a column "
            f"with {what}=..."
        )
    if found:
        return found[0]
    raise ValueError(
        f"No column for {what} was found among {list(columns)} (looked for {', '.join(usual)}). "
        f"Name the column with {what}=... If the values are in the index, pass frame.reset_index()."
    )
