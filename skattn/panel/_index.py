"""Check the index of a table, and read days and instruments from an index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.panel._dates import dates_of
from skattn.panel._read_dates import is_number, read_dates
from skattn.parameters import as_array, from_tensor, shown

LEVELS = ("datetime", "instrument")


def check_index(index: pd.Index, what: str = "X") -> pd.MultiIndex:
    """Check that an index is a unique (datetime, instrument) MultiIndex.

    Parameters
    ----------
    index : pandas.Index
        The index to check. Rows and levels may come in any order.
    what : str, default="X"
        Name of the table, used in error messages.

    Returns
    -------
    index : pandas.MultiIndex
        The same index.

    Raises
    ------
    ValueError
        A level is missing, the level datetime does not hold dates, a key is missing, or a (day,
        instrument) pair occurs twice. The message names the offending rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.panel import check_index
    >>> days = pd.to_datetime(["2024-01-02", "2024-01-02"])
    >>> index = pd.MultiIndex.from_arrays([days, ["A", "A"]], names=["datetime", "instrument"])
    >>> check_index(index)
    Traceback (most recent call last):
        ...
    ValueError: X has 1 duplicate (datetime, instrument) key: (2024-01-02, 'A'). ...
    """
    if not isinstance(index, pd.Index):
        raise TypeError(
            f"The index of {what} must be a pandas.MultiIndex with the levels 'datetime' and "
            f"'instrument'; got {shown(index)}."
        )
    if not isinstance(index, pd.MultiIndex) or set(index.names) != set(LEVELS):
        raise ValueError(
            f"The index of {what} must be a MultiIndex with the levels 'datetime' and "
            f"'instrument' and no others; got {_describe(index)}. skattn.from_long(frame, "
            f"datetime=..., instrument=...) builds this index from a long table."
        )
    dates = index.levels[index.names.index("datetime")]
    if not isinstance(dates, pd.DatetimeIndex):
        raise ValueError(
            f"The level 'datetime' of the index of {what} must hold dates; got dtype "
            f"{dates.dtype} (for example {_sample(dates)}). "
            f"skattn.from_long({what}.reset_index()) reads the dates."
        )
    for name in LEVELS:
        absent = index.codes[index.names.index(name)] < 0
        if absent.any():
            rows = np.flatnonzero(absent)
            raise ValueError(
                f"The level {name!r} of the index of {what} is missing in {_count(len(rows))}: "
                f"{_head(rows)}."
            )
    if not _is_unique(index):
        keys = index[index.duplicated()]
        first = ", ".join(f"({_day(d)}, {shown(i)})" for d, i in _pairs(keys[:3]))
        more = ", ..." if len(keys) > 3 else ""
        raise ValueError(
            f"{what} has {len(keys)} duplicate (datetime, instrument) "
            f"key{'s' if len(keys) > 1 else ''}: {first}{more}. "
            f"Keep one row for each stock and day."
        )
    return index


def days_of(
    days: Any, *carriers: Any, what: str = "X", required: bool = True
) -> pd.DatetimeIndex | None:
    """Return the trading day of each row, given explicitly or read from an index.

    Parameters
    ----------
    days : array-like of dates, shape (n_samples,), or None
        The days, if they are given explicitly.
    *carriers : object
        Objects that may have an ``index`` with a level ``datetime`` (DataFrame, Series,
        WindowArray). If ``days`` is None, the first object with this level gives the days.
    what : str, default="X"
        Name of the object that needs days, used in error messages.
    required : bool, default=True
        Whether to raise if the days are unknown.

    Returns
    -------
    days : pandas.DatetimeIndex of shape (n_samples,), or None
        Midnights without a time zone. Time stamps with a time zone give their local dates.

    Raises
    ------
    TypeError
        ``days`` are not dates.
    ValueError
        The days are unknown and ``required`` is true, a day is missing, or text such as
        "05/03/2025" can be read as two days.

    Examples
    --------
    >>> from skattn.panel import days_of
    >>> days_of(["2024-01-02 16:00", "2024-01-03 16:00"])
    DatetimeIndex(['2024-01-02', '2024-01-03'], dtype='datetime64[...]', freq=None)
    """
    if days is not None:
        if isinstance(days, pd.MultiIndex) and "datetime" in days.names:
            days = days.get_level_values("datetime")
        return _as_days(days)
    for carrier in carriers:
        index = getattr(carrier, "index", None)
        if isinstance(index, pd.Index) and _has_level(index, "datetime"):
            return _as_days(index.get_level_values("datetime"))
    if required:
        raise ValueError(
            f"The trading days of {what} are not known: add an index with a level 'datetime' "
            f"(for example with skattn.from_long), or pass the days explicitly."
        )
    return None


def instruments_of(source: Any) -> pd.Index | None:
    """Return the instrument of each row, or None if the index of the source has no instruments.

    Examples
    --------
    >>> from skattn.panel import instruments_of
    >>> instruments_of([[1.0, 2.0]]) is None
    True
    """
    index = getattr(source, "index", None)
    if isinstance(index, pd.Index) and _has_level(index, "instrument"):
        return index.get_level_values("instrument")
    return None


def index_of(*carriers: Any) -> pd.Index | None:
    """Return the index of the first carrier whose index has days, else the first index, or None."""
    found = (getattr(carrier, "index", None) for carrier in carriers)
    indexes = [index for index in found if isinstance(index, pd.Index)]
    with_days = [index for index in indexes if "datetime" in index.names]
    return next(iter(with_days + indexes), None)


def level_codes(index: pd.MultiIndex, level: str) -> tuple[np.ndarray, pd.Index]:
    """Return the code of each row and the sorted values of a level.

    This is faster than factorizing the values, because a MultiIndex already holds codes. Its levels
    may be unsorted and may include unused values, so the codes are renumbered.

    Raises
    ------
    TypeError
        The values cannot be sorted, for example 1 and "A".
    """
    number = index.names.index(level)
    codes, values = np.asarray(index.codes[number]), index.levels[number]
    used = np.flatnonzero(np.bincount(codes, minlength=len(values)))
    try:
        order = values[used].argsort()
    except TypeError as error:
        kinds = ", ".join(sorted({type(value).__name__ for value in values[used]}))
        raise TypeError(
            f"The values of the level {level!r} of the index must be of one type; got {kinds}. "
            f"Convert the values to text, for example with astype(str) before skattn.from_long."
        ) from error
    # 32 bits save memory: the index of a whole market is as large as its prices.
    rank = np.empty(len(values), dtype=np.int32)
    rank[used[order]] = np.arange(len(used))
    return rank[codes], values[used[order]]


def align_y(X: Any, y: Any, names: tuple[str, str] = ("X", "y")) -> None:
    """Raise if X and y both have a (datetime, instrument) index and their rows differ."""
    x_index, y_index = getattr(X, "index", None), getattr(y, "index", None)
    if not (isinstance(x_index, pd.MultiIndex) and isinstance(y_index, pd.MultiIndex)):
        return
    levels = {*x_index.names}
    repeat = len(levels) < x_index.nlevels or x_index.nlevels != y_index.nlevels
    if levels == {*y_index.names} != {None} and not repeat:
        y_index = y_index.reorder_levels(x_index.names)
    if x_index is y_index or len(x_index) != len(y_index) or x_index.equals(y_index):
        return
    row = int(np.flatnonzero(x_index.values != y_index.values)[0])
    raise ValueError(
        f"{names[0]} and {names[1]} have the same length but different rows: row {row} is "
        f"{x_index[row]} in {names[0]} and {y_index[row]} in {names[1]}. Align them first, for "
        f"example with {names[1]}.reindex({names[0]}.index)."
    )


def _has_level(index: pd.Index, level: str) -> bool:
    """Return whether an index has a level of this name, and raise if it has several."""
    if level not in index.names:
        return False
    if list(index.names).count(level) > 1:
        raise ValueError(
            f"The trading day and instrument of the rows of X or y are not clear: the index has "
            f"more than one level {level!r}, namely {list(index.names)}. Rename the levels with "
            f"rename_axis."
        )
    return True


def _as_days(values: Any) -> pd.DatetimeIndex:
    try:
        array = from_tensor(values)
    except ValueError as error:
        raise TypeError(f"days must be dates: {error}") from error
    if not hasattr(getattr(array, "dtype", None), "kind"):
        # Lists, and types of other libraries.
        array = as_array("days", array)
    if isinstance(array, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(array)
        array = np.asarray(array, dtype=object)
        array[hidden] = None
    if np.ndim(array) != 1:
        raise ValueError(f"days must hold one date per row; got {shown(values)}.")
    if len(array) == 0:
        return pd.DatetimeIndex([])
    if isinstance(array.dtype, pd.CategoricalDtype):
        array = np.asarray(array)
    if is_number(array):
        # pandas would read numbers as nanoseconds since 1970.
        raise TypeError(f"days must be dates; got numbers ({array.dtype}): {shown(array[:3])}.")
    try:
        days = read_dates(
            array,
            cure="Convert the days first, for example with pandas.to_datetime(days, "
            'format="{format}").',
        )
    except TypeError as error:
        raise TypeError(f"days must be dates; got {shown(array[:3])}: {error}") from error
    except ValueError as error:
        raise ValueError(f"days must be dates; got {shown(array[:3])}: {error}") from error
    if days.hasnans:
        rows = np.flatnonzero(days.isna())
        raise ValueError(f"The trading day is missing in {_count(len(rows))}: {_head(rows)}.")
    return dates_of(days)


def _is_unique(index: pd.MultiIndex) -> bool:
    """As ``index.is_unique``, which keeps a hash table of several times the index's memory."""
    size = len(index.levels[1])
    is_small = size * len(index.levels[0]) <= np.iinfo(np.int32).max
    keys: np.ndarray = np.asarray(index.codes[0]).astype(np.int32 if is_small else np.int64)
    np.multiply(keys, size, out=keys)
    np.add(keys, index.codes[1], out=keys)
    if np.greater(keys[1:], keys[:-1]).all():
        return True
    keys.sort()
    return bool(np.not_equal(keys[1:], keys[:-1]).all())


def _describe(index: pd.Index) -> str:
    names = [name for name in index.names if name is not None]
    return f"{type(index).__name__} with levels {names}" if names else f"{type(index).__name__}"


def _sample(values: pd.Index) -> str:
    return repr(values[0]) if len(values) else "nothing"


def _pairs(index: pd.MultiIndex) -> zip:
    return zip(*(index.get_level_values(name) for name in LEVELS), strict=True)


def _day(stamp: pd.Timestamp) -> str:
    return str(stamp.date() if stamp == stamp.normalize() else stamp)


def _count(n: int) -> str:
    return f"{n} row" if n == 1 else f"{n} rows"


def _head(rows: np.ndarray) -> str:
    return ", ".join(map(str, rows[:3])) + (", ..." if len(rows) > 3 else "")
