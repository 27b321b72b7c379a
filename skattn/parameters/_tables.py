"""Checks of tables that a user may have made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from skattn.parameters._allowed import InvalidParameterError, shown


def check_number_columns(
    name: str, table: pd.DataFrame, columns: Iterable[Any] | None = None
) -> None:
    """Raise if a table has several columns of a name, or other values than real numbers.

    Parameters
    ----------
    name : str
        What the table is called.
    table : DataFrame
        The table.
    columns : iterable, default=None
        Columns that must hold numbers. None: all.

    Raises
    ------
    InvalidParameterError
        A name is not unique, or a column holds something else.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.parameters import check_number_columns
    >>> check_number_columns("daily", pd.DataFrame({"ic": ["0.1"]}))
    Traceback (most recent call last):
        ...
    skattn...InvalidParameterError: daily must hold numbers in the column 'ic'; got str.
    """
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise InvalidParameterError(f"{name} must have one column of each name; got two {twice!r}.")
    for column in table.columns if columns is None else columns:
        if table[column].dtype.kind not in "biuf":
            raise InvalidParameterError(
                f"{name} must hold numbers in the column {shown(column)}; got "
                f"{table[column].dtype}."
            )
