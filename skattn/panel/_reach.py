"""How many days ahead a label reaches, and what that asks of a split."""

from __future__ import annotations

from typing import Any

import pandas as pd

from skattn._params import is_count
from skattn._warn import warn_user

# The reach of qlib's label, Ref($close, -2) / Ref($close, -1) - 1.
USUAL_REACH = 2


def label_reach(y: Any) -> int | None:
    """Read how many days ahead the prices lie that a label is made of.

    Parameters
    ----------
    y : object
        Labels. A Series or a DataFrame of one column may tell it in ``attrs["horizon"]``, as
        ``skattn.preprocessing.make_label`` writes it.

    Returns
    -------
    reach : int or None
        Days; None where y does not tell.

    Raises
    ------
    ValueError
        ``attrs["horizon"]`` is not an int of at least 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.panel import label_reach
    >>> y = pd.Series([0.01, -0.02])
    >>> y.attrs["horizon"] = 5
    >>> label_reach(y)
    5
    """
    is_label = isinstance(y, pd.Series) or (isinstance(y, pd.DataFrame) and y.shape[1] == 1)
    if not is_label or "horizon" not in y.attrs:
        return None
    horizon = y.attrs["horizon"]
    if not is_count(horizon):
        raise ValueError(
            f'y.attrs["horizon"] must be the days ahead that the label reaches, an int of at '
            f"least 0; got {horizon!r}."
        )
    return int(horizon)


def resolve_purge(purge: int | str, y: Any) -> int:
    """Decide how many days to drop between training days and the days that follow them.

    Warns where y reaches further ahead than a purge that is given as a number: the labels of the
    last training days would then be made of prices of the days that follow.

    Parameters
    ----------
    purge : int or "auto"
        A number is taken as it is. "auto" is the reach that y tells, else 2 days.
    y : object
        The labels, or None.

    Returns
    -------
    days : int

    Raises
    ------
    ValueError
        ``purge`` is neither "auto" nor an int of at least 0, or ``y.attrs["horizon"]`` is
        nonsense.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.panel import resolve_purge
    >>> y = pd.Series([0.01, -0.02])
    >>> y.attrs["horizon"] = 5
    >>> resolve_purge("auto", y), resolve_purge("auto", None), resolve_purge(7, y)
    (5, 2, 7)
    """
    reach = label_reach(y)
    if isinstance(purge, str) and purge == "auto":
        return USUAL_REACH if reach is None else reach
    if not is_count(purge):
        raise ValueError(f'purge must be "auto" or an int of at least 0; got {purge!r}.')
    days = int(purge)
    if reach is not None and reach > days:
        warn_user(
            f"The label reaches {reach} days ahead, but purge={days}: labels of the last training "
            f'days are made of prices of the days that follow. Use purge="auto" or purge={reach}.'
        )
    return days
