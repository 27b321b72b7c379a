"""Read tables from Parquet and CSV files."""

from __future__ import annotations

import os
import zlib
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from skattn.panel._columns import find_column, is_usual
from skattn.parameters import shown

NEEDS_PYARROW = 'cannot be read without pyarrow: pip install "skattn[parquet]"'
SUFFIXES = (".parquet", ".csv", ".csv.gz")


def read_file(path: Path, datetime: str | None, instrument: str | None) -> pd.DataFrame:
    """Read a table from a file; the dates and instruments of a CSV file are read as text.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ImportError
        pyarrow is not installed.
    ValueError
        The file is damaged or has another format.
    """
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        if os.path.isdir(path):
            kind = "parquet" if any(path.glob("*.parquet")) else "csv"
            raise ValueError(
                f"frame={str(path)!r} is a folder, and no file. If it holds a file for each "
                f"instrument, named by the instrument, pass from_long({{path.stem: path for path "
                f'in pathlib.Path({str(path)!r}).glob("*.{kind}")}}).'
            )
        raise ValueError(
            f"from_long cannot read {str(path)!r}: the file name must end in .parquet, .csv or "
            f".csv.gz. Read the file with another library, and pass the table."
        )
    try:
        path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"The file {str(path)!r} does not exist.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"The path {shown(str(path))} cannot be opened: {why}.") from error
    try:
        if name.endswith(".parquet"):
            return _read_parquet(path)
        return _read_csv(path, datetime, instrument)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    if find_spec("pyarrow") is None:
        raise ImportError(f"{str(path)!r} {NEEDS_PYARROW}")
    table = pd.read_parquet(path, engine="pyarrow")
    if table.columns.nlevels > 1:
        return table
    # pandas also stores the index in the file, and the keys may be index levels.
    return table.reset_index([level for level in table.index.names if level is not None])


def _read_csv(path: Path, datetime: str | None, instrument: str | None) -> pd.DataFrame:
    head = pd.read_csv(path, header=None, nrows=3, dtype=str, keep_default_na=False).fillna("")
    if len(head) == 3 and (head.iloc[2, 1:] == "").all() and is_usual(head.iloc[2, 0], "datetime"):
        # yfinance's tables: two lines name fields and tickers, and the third names the dates.
        return pd.read_csv(path, header=[0, 1], index_col=0)
    columns = pd.Index(head.iloc[0])
    double = columns[columns.duplicated() & (columns != "")].unique()
    if len(double):
        # pandas would rename the second column to "close.1".
        raise ValueError(f"The file has more than one column {', '.join(map(repr, double))}.")
    date = find_column(columns, "datetime", datetime)
    key = find_column(columns, "instrument", instrument)
    table = pd.read_csv(path, dtype={} if date is None else {date: str})
    if key is None:
        return table
    codes = pd.read_csv(path, usecols=[key], dtype=str, keep_default_na=False)[key].str.strip()
    return table.assign(**{key: codes.where(codes != "")})
