"""Find the columns that hold the dates and the instruments of a table."""

from __future__ import annotations

from typing import Any

import pandas as pd

# Column names used by data vendors, in lower case.
USUAL_NAMES = {
    "datetime": ("datetime", "date", "timestamp", "time", "day", "trade_date", "tradedate"),
    "instrument": ("instrument", "ticker", "symbol", "stock", "code", "asset", "permno", "sid"),
}
# Fields that no stock has as its ticker, as OPEN and LOW are.
FIELDS = ("close", "adj close", "adj_close", "price", "volume", "vwap")


def find_column(names: pd.Index, what: str, given: Any) -> Any:
    """Return the name of the column that holds the dates or the instruments, or None.

    Parameters
    ----------
    names : Index
        Names of the columns.
    what : {"datetime", "instrument"}
        What the column holds.
    given : str or None
        Name given by the user.

    Raises
    ------
    ValueError
        Several columns have a usual name.
    """
    if given is not None:
        return given if given in names else None
    if what in names:
        return what
    found = [name for name in names.unique() if is_usual(name, what)]
    if len(found) > 1:
        raise ValueError(
            f"Several columns may hold the {what}: {', '.join(map(repr, found))}. Choose a column "
            f"with {what}=..."
        )
    return found[0] if found else None


def is_usual(name: Any, what: str) -> bool:
    """Return whether vendors give this name to dates or instruments, in upper or lower case."""
    return str(name).strip().lower() in USUAL_NAMES[what]


def is_field(name: Any) -> bool:
    """Return whether vendors give this name to a price or the volume, in upper or lower case."""
    return str(name).strip().lower() in FIELDS
