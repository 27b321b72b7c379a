"""Columns of labels and predictions, where a row has several labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.parameters import check_numbers, count_columns, shown


def paired_columns(y_true: Any, y_pred: Any) -> list[tuple[Any, Any]]:
    """Give each column of the labels with that of the predictions; one pair where y_true is one.

    Raises
    ------
    ValueError
        Labels and predictions have other numbers of columns, or tables of both other names.
    """
    n_columns = count_columns(y_true)
    if n_columns < 2:
        return [(y_true, y_pred)]
    check_columns(y_true, y_pred)
    return [
        (_column(y_true, place, "y_true"), _column(y_pred, place, "y_pred"))
        for place in range(n_columns)
    ]


def chosen_column(y_true: Any, y_pred: Any, column: Any) -> tuple[Any, Any]:
    """Give one column of the labels, by name or number, with that of the predictions.

    Raises
    ------
    ValueError
        There is no such column, or predictions have another number of columns.
    """
    place = place_of(y_true, column)
    check_columns(y_true, y_pred)
    return _column(y_true, place, "y_true"), _column(y_pred, place, "y_pred")


def place_of(y_true: Any, column: Any) -> int:
    """Find a column of the labels: by name in a table, else by its number."""
    n_columns = count_columns(y_true)
    names = list(y_true.columns) if isinstance(y_true, pd.DataFrame) else []
    if column in names:
        return names.index(column)
    if isinstance(column, int) and 0 <= column < n_columns:
        return column
    has = f"the columns {shown(names)}" if names else f"{n_columns} columns without names"
    raise ValueError(
        f"column must be the name of a column of y, or a number below {n_columns}; got "
        f"{shown(column)}, and y has {has}."
    )


def check_columns(y_true: Any, y_pred: Any) -> None:
    """Raise where predictions have other columns than labels."""
    of_labels, of_predictions = count_columns(y_true), count_columns(y_pred)
    if of_labels != of_predictions:
        raise ValueError(
            f"y_true and y_pred must have the same number of columns; they have {of_labels} and "
            f"{of_predictions}. Score one column with its own predictions, such as y_true.iloc[:, "
            f"0] and y_pred[:, 0]."
        )
    names = [list(each.columns) for each in (y_true, y_pred) if isinstance(each, pd.DataFrame)]
    if len(names) == 2 and names[0] != names[1]:
        raise ValueError(
            f"y_true and y_pred must have the same columns in the same order; they have "
            f"{shown(names[0])} and {shown(names[1])}."
        )


def _column(values: Any, place: int, name: str) -> Any:
    """Take a column, with the index where there is one."""
    if isinstance(values, pd.DataFrame):
        return values.iloc[:, place]
    array = check_numbers(name, values, several=True)
    return array if array.ndim == 1 else np.ascontiguousarray(array[:, place])
