"""matplotlib, which is needed for pictures only."""

from __future__ import annotations

from typing import Any


def import_pyplot(what: str) -> Any:
    """Import ``matplotlib.pyplot``.

    Parameters
    ----------
    what : str
        What needs it, for the error's text.

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
    """Raise a TypeError where ``ax`` is no matplotlib Axes."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib Axes or None; got {ax!r}.")
