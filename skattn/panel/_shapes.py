"""Bring tables of several shapes into the long form, with the keys in columns."""

from __future__ import annotations

from typing import Any

import pandas as pd

from skattn.panel._columns import find_column, is_field, is_usual


def join_tables(tables: dict[Any, pd.DataFrame], instrument: str | None) -> pd.DataFrame:
    """Join tables of one instrument each, and write the instruments into a column."""
    if not tables:
        raise ValueError("frame is an empty dict; it must hold a table for each instrument.")
    for name, table in tables.items():
        column = find_column(table.columns, "instrument", instrument)
        if column is not None:
            raise ValueError(
                f"The table of {name!r} has a column {column!r}, so the instrument is named twice. "
                f"To join such tables, pass pandas.concat([from_long(table).reset_index() for "
                f"table in frame.values()])."
            )
    name = instrument or "instrument"
    return pd.concat(
        [table.assign(**{name: key}) for key, table in tables.items()], ignore_index=True
    )


def to_long(frame: pd.DataFrame, datetime: str | None, instrument: str | None) -> pd.DataFrame:
    """Turn columns of two levels into rows, and index levels with keys into columns.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table whose keys are in columns or in the index. yfinance's tables have columns of two
        levels, the fields and the tickers.
    datetime, instrument : str or None
        Names of the keys, as for :func:`from_long`.

    Raises
    ------
    ValueError
        The levels of the columns are not fields and instruments.
    """
    if frame.columns.nlevels > 1:
        frame = _stack(frame)
    levels = []
    for what, given in (("datetime", datetime), ("instrument", instrument)):
        if find_column(frame.columns, what, given) is None:
            level = find_column(pd.Index(frame.index.names, dtype=object), what, given)
            if level is not None:
                levels.append(level)
            elif what == "datetime" and given is None and isinstance(frame.index, pd.DatetimeIndex):
                frame = frame.rename_axis("datetime")
                levels.append("datetime")
    return frame.reset_index(levels) if levels else frame


def _stack(frame: pd.DataFrame) -> pd.DataFrame:
    columns = frame.columns
    level = _instrument_level(columns) if columns.nlevels == 2 else None
    if level is None or not columns.is_unique:
        fault = "must differ" if level is not None else "must be fields and instruments"
        raise ValueError(
            f"The columns of the table have {columns.nlevels} levels, which {fault}, such as "
            f"('Close', 'AAPL'); got {list(columns[:3])}. Otherwise pass a table with one level."
        )
    # After reset_index the dates are in a column ("Date", "").
    dates = [c for c in columns if "" in c and any(is_usual(name, "datetime") for name in c)]
    if dates:
        frame = frame.set_index(dates[0]).rename_axis(index=next(filter(None, dates[0])))
    elif frame.index.nlevels == 1 and frame.index.name is None:
        frame = frame.rename_axis(index="datetime")
    name = columns.names[level]
    name = name if is_usual(name, "instrument") else "instrument"
    frame = frame.set_axis(frame.columns.set_names(name, level=level), axis=1)
    # A stock has no row on days on which it did not trade.
    return frame.stack(level, future_stack=True).dropna(how="all").rename_axis(columns=None)


def _instrument_level(columns: pd.MultiIndex) -> int | None:
    named = [i for i, name in enumerate(columns.names) if is_usual(name, "instrument")]
    if len(named) == 1:
        return named[0]
    fields = [i for i in (0, 1) if any(map(is_field, columns.levels[i]))]
    return 1 - fields[0] if len(fields) == 1 else None


def explain_missing(frame: pd.DataFrame, table: pd.DataFrame, date: str | None, source: str) -> str:
    """Say how a table can be read that has no column for the dates or the instruments.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table as it came.
    table : pandas.DataFrame
        The same table, after :func:`to_long`.
    date : str or None
        The column of ``table`` that holds the dates; None if there is no such column.
    source : str
        Code that stands for ``frame`` in the call that the text names.
    """
    if frame.index.nlevels == 2:
        kinds = [level.dtype for level in frame.index.levels]
        is_date = [pd.api.types.is_datetime64_any_dtype(kind) for kind in kinds]
        names = ["datetime" if found else "instrument" for found in is_date]
        if len(set(names)) == 2:
            return (
                f"If the index holds the keys, name its levels: "
                f"from_long({source}.rename_axis({names}))."
            )
    if date is None:
        return (
            f'If the index holds the dates, name it: from_long({source}.rename_axis("datetime")).'
        )
    values = table.columns.drop(date)
    if any(map(is_field, values)):
        return f'If the table holds one instrument, name it: from_long({{"AAPL": {source}}}).'
    if len(values) == 0 or not all(map(pd.api.types.is_numeric_dtype, table[values].dtypes)):
        return ""
    named = 'var_name="instrument", value_name="close"'
    if date in frame.columns:
        call = f"{source}.melt({date!r}, {named})"
    else:
        call = f'{source}.rename_axis("datetime").melt({named}, ignore_index=False)'
    return (
        f"If each column is an instrument, and the values are one field such as the close, pass "
        f'from_long({call}.dropna(subset="close")).'
    )
