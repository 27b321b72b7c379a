"""How many days ahead labels look, as ``attrs`` tell it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from skattn.parameters import InvalidParameterError, check_value, shown


def label_reach(y: Any) -> int | None:
    """Read how many days ahead the prices lie that a label is made of.

    Parameters
    ----------
    y : object
        Labels. A Series or a DataFrame of one column may tell the reach in ``attrs["reach"]``, as
        :func:`make_label` writes it.

    Returns
    -------
    reach : int or None
        Days; None where y does not tell.

    Raises
    ------
    ValueError
        ``attrs["reach"]`` is not an int of at least 0, or ``attrs`` tells a horizon and no reach.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.labels import label_reach
    >>> y = pd.Series([0.01, -0.02])
    >>> y.attrs["reach"] = 5
    >>> label_reach(y)
    5
    """
    is_label = isinstance(y, pd.Series) or (isinstance(y, pd.DataFrame) and y.shape[1] == 1)
    if not is_label:
        return None
    if "reach" not in y.attrs:
        if "horizon" in y.attrs:
            raise ValueError(
                f"y.attrs tells a horizon of {shown(y.attrs['horizon'])} and no reach. Set "
                f'y.attrs["reach"] to the days ahead of the last price that the label is made of: '
                f"delay + horizon."
            )
        return None
    return _read_days(y, "reach", 0)


def holding_days(y: Any) -> int | None:
    """Read from labels over how many days their return is earned.

    Parameters
    ----------
    y : object
        Labels. :func:`make_label` tells the days in ``attrs["horizon"]``.

    Returns
    -------
    days : int or None
        None where y does not tell.

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
    horizon = _read_days(y, "horizon", 1)
    if horizon > reach:
        raise ValueError(
            f'y.attrs["horizon"] must be at most y.attrs["reach"], which is {reach}; got {horizon}.'
        )
    return horizon


def _read_days(y: Any, name: str, least: int) -> int:
    try:
        return check_value(f'y.attrs["{name}"]', y.attrs[name], "int", at_least=least)
    except InvalidParameterError as error:
        raise ValueError(str(error)) from None
