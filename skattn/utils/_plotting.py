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
BLACK = "#000000"
COLORS = ("#0072b2", "#e69f00", BLACK, "#cc79a7", "#009e73")
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
# A character is about this much as wide as its font is high.
CHARACTER = 0.55
# Where a line of a title may end: at a space that may break, or as in "Name(".
CALL_OR_SPACE = re.compile(r"([ \n]+|(?<=\w\())")
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
    """Raise if ``ax`` is not a matplotlib Axes (TypeError) of a figure (ValueError)."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib Axes or None; got {reprlib.repr(ax)}.")
    if ax.get_figure() is None:
        raise ValueError("ax must be axes of a figure; got axes that were removed from theirs.")


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
    ValueError
        ``ax`` was removed from its figure.
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


def split_axes(
    ax: Axes, n_rows: int = 1, n_columns: int = 1, *, gap: float = 0.0, **ratios: Any
) -> np.ndarray:
    """Put a grid of axes in the place of one.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes of a grid of subplots. They are hidden.
    n_rows, n_columns : int, default=1
        Size of the grid.
    gap : float, default=0.0
        Points between rows in a figure without a layout that makes room for titles and labels.
        0: as matplotlib does.
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
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "ax must be axes of a grid of subplots, such as matplotlib.pyplot.subplots makes, "
            "because several plots take its place; got axes at a position of their own."
        )
    ax.set_axis_off()
    figure: Any = ax.get_figure()
    if gap and not isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        height = (size_in_points(ax)[1] - (n_rows - 1) * gap) / n_rows
        ratios["hspace"] = gap / max(height, gap / 4)
    grid = place.subgridspec(n_rows, n_columns, **ratios)
    axes = np.empty((n_rows, n_columns), dtype=object)
    for cell in np.ndindex(axes.shape):
        axes[cell] = figure.add_subplot(grid[cell])
    return axes


def line_style(number: int) -> dict[str, Any]:
    """Colour and dashes of the line of this number, which differ in grey print, too."""
    first, again = number % len(COLORS), number // len(COLORS)
    color = ink() if COLORS[first] == BLACK else COLORS[first]
    return {"color": color, "linestyle": DASHES[(first + again) % len(DASHES)]}


def ink() -> str:
    """Colour of text, for lines: black, or white where matplotlib's style is dark."""
    from matplotlib import colors, rcParams

    return colors.to_hex(rcParams["text.color"])


class Wrapper(textwrap.TextWrapper):
    """Breaks lines at spaces, and after the name of a call."""

    wordsep_simple_re = CALL_OR_SPACE


def shades(number: int) -> np.ndarray:
    """So many colours in order, without those that are too near to the background."""
    from matplotlib import colormaps, colors

    is_dark = np.mean(colors.to_rgb(ink())) > 0.5
    return colormaps[SEQUENTIAL](np.linspace(*((0.3, 1.0) if is_dark else (0.0, 0.9)), number))


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
    text, fontsize = _fit(text, size_in_points(ax)[0], fontsize)
    if above is None:
        # A label of the highest tick may stand above narrow axes.
        ax.set_title(text, fontsize=fontsize, pad=8)
        return
    # A title across several plots is kept out of the layout, which would make room for its width
    # beside the first plot. Empty lines in the titles below make room for its height.
    panels = np.atleast_2d(above)[0]
    lifted = 8.0 + max(0 if panel.get_title() == "" else 11 for panel in panels)
    for panel in panels:
        size = panel.title.get_fontsize()
        empty = "\n" * int(np.ceil((text.count("\n") + 1) * fontsize / size + 0.5))
        panel.set_title(empty + panel.get_title(), fontsize=size)
    panels[0].annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, lifted),
        textcoords="offset points",
        fontsize=fontsize,
        in_layout=False,
    )


def set_label(ax: Axes, which: str, text: str, *, fontsize: float = 10.0) -> None:
    """Label the axis "x" or "y", in as many lines as its length needs."""
    # Ticks, titles and legends will take a part of the height.
    room = size_in_points(ax)[0] if which == "x" else 0.8 * size_in_points(ax)[1]
    text, fontsize = _fit(text, room, fontsize)
    getattr(ax, f"set_{which}label")(text, fontsize=fontsize)


def _fit(text: str, room: float, fontsize: float) -> tuple[str, float]:
    """Break a text into lines; make letters smaller for long words and for a third line."""
    longest = max(map(len, CALL_OR_SPACE.split(text)))
    lines = [text]
    for size in np.arange(fontsize, min(fontsize, SMALLEST) - 0.1, -0.5):
        fontsize = float(size)
        characters = max(12, int(room / (CHARACTER * fontsize)))
        lines = Wrapper(characters, break_on_hyphens=False).wrap(text)
        if len(lines) <= 2 and longest <= characters:
            break
    # Lines of about the same length.
    for narrower in range(max(12, longest), characters):
        balanced = Wrapper(narrower, break_on_hyphens=False).wrap(text)
        if len(balanced) == len(lines):
            lines = balanced
            break
    return plain("\n".join(lines)), fontsize


def legend_below(
    ax: Axes, handles: Any, *, fontsize: float = 8.5, handlelength: float = 1.5, **kwargs: Any
) -> None:
    """Put a legend below axes and their label, in as many columns as their width allows.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes of a figure with a layout, such as ``layout="constrained"``, which makes the room.
    handles : list of matplotlib artists
        What the legend shows, with labels.
    fontsize : float, default=8.5
        Size of the letters in points.
    handlelength : float, default=1.5
        Width of what stands before a label, in letters. Dashes need about 2.5.
    **kwargs : dict
        Further arguments of ``Axes.legend``.
    """
    from matplotlib import rcParams
    from matplotlib.transforms import ScaledTranslation

    labels = [str(handle.get_label()) for handle in handles]
    # The letters of each label, of a handle, and of the gaps after handles and columns.
    widths = [fontsize * (handlelength + 0.5 + 1 + CHARACTER * len(label)) for label in labels]
    n_rows = 1
    while n_rows < len(labels):
        columns = [widths[first : first + n_rows] for first in range(0, len(widths), n_rows)]
        if sum(map(max, columns)) <= size_in_points(ax)[0]:
            break
        n_rows += 1
    figure: Any = ax.get_figure(root=True)
    # Below the ticks' labels and the lines of the axis' label.
    letters = 2 + 1.3 * (1 + ax.get_xlabel().count("\n"))
    down = ScaledTranslation(0, -letters * rcParams["font.size"] / 72, figure.dpi_scale_trans)
    ax.legend(
        handles,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=ax.transAxes + down,
        ncols=-(-len(labels) // n_rows) or 1,
        fontsize=fontsize,
        handlelength=handlelength,
        handletextpad=0.5,
        columnspacing=1.0,
        labelspacing=0.3,
        borderaxespad=0.2,
        frameon=False,
        **kwargs,
    )


def shorten(text: str, most: int) -> str:
    """Cut a text to a number of letters, in the middle: long names often differ at their ends."""
    if len(text) <= most:
        return text
    n_last = (most - 1) // 2
    return f"{text[: most - 1 - n_last]}…{text[len(text) - n_last :]}"


def plain(text: str) -> str:
    """Escape what matplotlib reads as a formula, or as a label that a legend leaves out."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Width and height of axes in points, as they are before a layout makes room for labels."""
    figure: Any = ax.get_figure(root=True)
    return ax.bbox.width / figure.dpi * 72, ax.bbox.height / figure.dpi * 72


def date_axis(ax: Axes, which: str = "x") -> None:
    """Label an axis of days with as many dates as fit, each as short as it can be."""
    from matplotlib import dates

    width = size_in_points(ax)[0]
    most = int(np.clip(width // 40, 4, 10)) if which == "x" else 6
    axis = getattr(ax, f"{which}axis")
    locator = dates.AutoDateLocator(minticks=2, maxticks=most)
    axis.set_major_locator(locator)
    axis.set_major_formatter(dates.ConciseDateFormatter(locator))
    if which == "x" and width < 150:
        axis.set_tick_params(labelsize=7)
