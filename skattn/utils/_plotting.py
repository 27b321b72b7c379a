"""What all plots share: access to matplotlib, axes, colours, titles and axes of days."""

from __future__ import annotations

import reprlib
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Lightness grows steadily along the map, so that it can be read in grey and without red and green.
SEQUENTIAL = "cividis"
# Five colours of Okabe and Ito that differ in lightness, too; dashes differ beside them.
COLORS = ("#0072b2", "#e69f00", "#000000", "#cc79a7", "#009e73")
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
# A character is about this much as wide as its font is high.
CHARACTER = 0.55


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


@contextmanager
def axes_to_draw(
    what: str, ax: Any = None, *, figsize: tuple[float, float] | None = None
) -> Iterator[Any]:
    """Give axes to draw on; a new figure is closed again where drawing fails.

    Parameters
    ----------
    what : str
        Name of the caller, for the error message.
    ax : matplotlib Axes, default=None
        The axes that the user gave. None: axes of a new figure.
    figsize : (float, float), default=None
        Width and height of a new figure in inches.

    Yields
    ------
    ax : matplotlib Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        ``ax`` is not an Axes.
    """
    pyplot = import_pyplot(what)
    if ax is not None:
        check_axes(ax)
        yield ax
        return
    figure, ax = pyplot.subplots(figsize=figsize, layout="constrained")
    try:
        yield ax
    except BaseException:
        pyplot.close(figure)
        raise


def split_axes(ax: Axes, n_rows: int = 1, n_columns: int = 1, **ratios: Any) -> np.ndarray:
    """Put a grid of axes in the place of one.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes of a grid of subplots. They are hidden.
    n_rows, n_columns : int, default=1
        Size of the grid.
    **ratios : dict
        ``height_ratios``, ``width_ratios``, ``hspace`` and ``wspace`` of the grid.

    Returns
    -------
    axes : ndarray of Axes, shape (n_rows, n_columns)

    Raises
    ------
    ValueError
        The axes are not in a grid of subplots.
    """
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "ax must be axes of a grid of subplots, such as matplotlib.pyplot.subplots makes, "
            "because several plots take its place; got axes at a position of their own."
        )
    ax.set_axis_off()
    grid = place.subgridspec(n_rows, n_columns, **ratios)
    figure: Any = ax.get_figure()
    axes = np.empty((n_rows, n_columns), dtype=object)
    for cell in np.ndindex(axes.shape):
        axes[cell] = figure.add_subplot(grid[cell])
    return axes


def line_style(number: int) -> dict[str, Any]:
    """Colour and dashes of the line of this number, which differ in grey print, too."""
    first, again = number % len(COLORS), number // len(COLORS)
    return {"color": COLORS[first], "linestyle": DASHES[(first + again) % len(DASHES)]}


def set_title(
    ax: Axes, text: str, *, fontsize: float = 10.0, above: np.ndarray | None = None
) -> None:
    """Set a title, in as many lines as the width of the axes needs.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes whose width the title fills.
    text : str
        The title.
    fontsize : float, default=10.0
        Height of the font in points.
    above : ndarray of Axes, default=None
        The plots that took the place of ``ax``. The title comes above them all, and leaves a line
        to the title of the first.
    """
    figure: Any = ax.get_figure(root=True)
    width = ax.bbox.width / figure.dpi * 72
    lines = textwrap.wrap(text, max(12, int(width / (CHARACTER * fontsize))))
    if above is None:
        ax.set_title("\n".join(lines), fontsize=fontsize)
        return
    # A title across several plots is kept out of the layout, which would make room for its width
    # beside the first plot. Empty lines in the titles below make room for its height.
    panels = np.atleast_2d(above)[0]
    lifted = 8.0 + max(0 if panel.get_title() == "" else 11 for panel in panels)
    for panel in panels:
        size = panel.title.get_fontsize()
        empty = "\n" * int(np.ceil(len(lines) * fontsize / size + 0.5))
        panel.set_title(empty + panel.get_title(), fontsize=size)
    panels[0].annotate(
        "\n".join(lines),
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, lifted),
        textcoords="offset points",
        fontsize=fontsize,
        in_layout=False,
    )


def date_axis(ax: Axes, which: str = "x") -> None:
    """Label an axis of days with as many dates as fit, each as short as it can be."""
    from matplotlib import dates

    axis = getattr(ax, f"{which}axis")
    locator = dates.AutoDateLocator(minticks=2, maxticks=6)
    axis.set_major_locator(locator)
    axis.set_major_formatter(dates.ConciseDateFormatter(locator))
