"""What all plots share: access to matplotlib, axes, colours, titles and axes of days."""

from __future__ import annotations

import re
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
# Where a line of a title may end: at a space, or as in "Name(".
CALL_OR_SPACE = re.compile(r"(\s+|(?<=\w\())")
# The smallest letters that can be read, in points.
SMALLEST = 6.5


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


class Wrapper(textwrap.TextWrapper):
    """Breaks lines at spaces, and after the name of a call."""

    wordsep_simple_re = CALL_OR_SPACE


def set_title(
    ax: Axes, text: str, *, fontsize: float = 10.0, above: np.ndarray | None = None
) -> None:
    """Set a title, in as many lines as the width of the axes needs.

    Letters are smaller where a long word or more than two lines need it. The text is taken as it
    is: a dollar sign does not begin a formula.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes whose width the title fills.
    text : str
        The title.
    fontsize : float, default=10.0
        Height of the letters in points, at most.
    above : ndarray of Axes, default=None
        The plots that took the place of ``ax``. The title comes above them all.
    """
    longest = max(map(len, CALL_OR_SPACE.split(text)))
    lines = [text]
    for size in np.arange(fontsize, SMALLEST - 0.1, -0.5):
        characters = max(12, int(_width(ax) / (CHARACTER * size)))
        lines = Wrapper(characters, break_on_hyphens=False).wrap(text)
        fontsize = float(size)
        if len(lines) <= 2 and longest <= characters:
            break
    title = plain("\n".join(lines))
    if above is None:
        ax.set_title(title, fontsize=fontsize)
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
        title,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, lifted),
        textcoords="offset points",
        fontsize=fontsize,
        in_layout=False,
    )


def legend_below(ax: Axes, handles: Any, *, fontsize: float = 8.5, **kwargs: Any) -> None:
    """Put a legend below axes and their label, in as many columns as their width allows.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes of a figure with a layout, such as ``layout="constrained"``, which makes the room.
    handles : list of matplotlib artists
        What the legend shows, with labels.
    fontsize : float, default=8.5
        Size of the letters in points.
    **kwargs : dict
        Further arguments of ``Axes.legend``.
    """
    from matplotlib import rcParams
    from matplotlib.transforms import ScaledTranslation

    labels = [plain(str(handle.get_label())) for handle in handles]
    # The letters of each label, of a handle, and of the gaps after handles and columns.
    widths = [fontsize * (1.5 + 0.5 + 1 + CHARACTER * len(label)) for label in labels]
    n_rows = 1
    while n_rows < len(labels):
        columns = [widths[first : first + n_rows] for first in range(0, len(widths), n_rows)]
        if sum(map(max, columns)) <= _width(ax):
            break
        n_rows += 1
    figure: Any = ax.get_figure(root=True)
    # Below the ticks' labels and the axis' label.
    down = ScaledTranslation(0, -3.3 * rcParams["font.size"] / 72, figure.dpi_scale_trans)
    ax.legend(
        handles,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=ax.transAxes + down,
        ncols=-(-len(labels) // n_rows) or 1,
        fontsize=fontsize,
        handlelength=1.5,
        handletextpad=0.5,
        columnspacing=1.0,
        labelspacing=0.3,
        borderaxespad=0.2,
        frameon=False,
        **kwargs,
    )


def plain(text: str) -> str:
    """Escape what matplotlib reads as a formula, or as a label to hide."""
    text = text.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text


def _width(ax: Axes) -> float:
    """Width of axes in points."""
    figure: Any = ax.get_figure(root=True)
    return ax.bbox.width / figure.dpi * 72


def date_axis(ax: Axes, which: str = "x") -> None:
    """Label an axis of days with as many dates as fit, each as short as it can be."""
    from matplotlib import dates

    most = int(np.clip(_width(ax) // 40, 5, 10)) if which == "x" else 6

    axis = getattr(ax, f"{which}axis")
    locator = dates.AutoDateLocator(minticks=2, maxticks=most)
    axis.set_major_locator(locator)
    axis.set_major_formatter(dates.ConciseDateFormatter(locator))
