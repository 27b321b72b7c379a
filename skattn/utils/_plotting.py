"""Access to matplotlib, which only plots need."""

from __future__ import annotations

import reprlib
from typing import Any


def import_pyplot(what: str) -> Any:
    """Import ``matplotlib.pyplot``.

    Parameters
    ----------
    what : str
        Name of the caller, for the error message.

    Returns
    -------
    pyplot : module

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f'{what} needs matplotlib, which is not installed: pip install "skattn[plot]".'
        ) from error
    return pyplot


def check_axes(ax: Any) -> None:
    """Raise a TypeError if ``ax`` is not a matplotlib Axes."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib Axes or None; got {reprlib.repr(ax)}.")
