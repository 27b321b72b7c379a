"""How many days ahead labels look, as ``attrs`` tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from skattn.parameters import InvalidParameterError, check_value, shown


def label_reach(y: Any) -> int | None:
    """Read how many days ahead the prices lie that a label is made of.

    Parameters
    ----------
    y : object
        Labels. A Series or a DataFrame may tell the reach in ``attrs["reach"]``, as
        :func:`make_label` writes it: days, or a dict of days by column. A column that is taken out
        of the table keeps the dict, and is found in it by name.

    Returns
    -------
    reach : int or None
        Days, of several columns those of the longest; None where y does not tell. For a column that
        the dict does not name, the longest of all counts.

    Raises
    ------
    ValueError
        ``attrs["reach"]`` is not an int of at least 0, nor a dict of them, or ``attrs`` tells a
        horizon and no reach.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.labels import label_reach
    >>> y = pd.Series([0.01, -0.02])
    >>> y.attrs["reach"] = 5
    >>> label_reach(y)
    5
    """
    if not isinstance(y, (pd.Series, pd.DataFrame)):
        return None
    if "reach" not in y.attrs:
        if "horizon" in y.attrs:
            raise ValueError(
                f"y.attrs tells a horizon of {shown(y.attrs['horizon'])} and no reach. Set "
                f'y.attrs["reach"] to the days ahead of the last price that the label is made of: '
                f"delay + horizon."
            )
        return None
    by_column, names = _by_column(y, "reach", 0), _names(y)
    known = all(name in by_column for name in names)
    return max((by_column[name] for name in (names if known else by_column)), default=None)


def holding_days(y: Any) -> int | None:
    """Read from labels over how many days their return is earned.

    Parameters
    ----------
    y : object
        Labels. :func:`make_label` tells the days in ``attrs["horizon"]``, of several columns as a
        dict by column.

    Returns
    -------
    days : int or None
        None where y does not tell, or has columns of several horizons.

    Raises
    ------
    ValueError
        ``attrs`` tells a horizon that is not an int of at least 1 or exceeds the reach.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.labels import holding_days
    >>> y = pd.Series([0.01, -0.02])
    >>> y.attrs.update(reach=6, horizon=5)
    >>> holding_days(y)
    5
    """
    reach = label_reach(y)
    if reach is None or "horizon" not in y.attrs:
        return None
    by_column = _by_column(y, "horizon", 1)
    named = {by_column.get(name) for name in _names(y)}
    horizon = named.pop() if len(named) == 1 else None
    if horizon is not None and horizon > reach:
        raise ValueError(
            f'y.attrs["horizon"] must be at most y.attrs["reach"], which is {reach}; got {horizon}.'
        )
    return horizon


def _names(y: Any) -> list:
    return [y.name] if isinstance(y, pd.Series) else list(y.columns)


def _by_column(y: Any, name: str, least: int) -> Mapping[Any, int]:
    """Read the days of each column; where one number is told, it is that of y's own columns."""
    told, called = y.attrs[name], f'y.attrs["{name}"]'
    if isinstance(told, Mapping) and not told:
        raise ValueError(f"{called} must be days, or a dict of days by column; got an empty dict.")
    days = told if isinstance(told, Mapping) else dict.fromkeys(_names(y), told)
    try:
        return {
            column: check_value(
                f"{called}[{column!r}]" if days is told else called, value, "int", at_least=least
            )
            for column, value in days.items()
        }
    except InvalidParameterError as error:
        raise ValueError(str(error)) from None
