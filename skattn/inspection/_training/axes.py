"""Axes one below the other, with lines by epoch."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skattn.inspection._training.history import LOSSES, MARK
from skattn.utils import ink, line_style, plain, set_title, shorten, split_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMED = 10
FEWEST_FOR_MEAN = 3
# Values whose largest is so many times the smallest get a logarithmic axis.
WIDE_RANGE, WIDE_RANGE_OF_RATES = 20, 5
# Below so many epochs each is a point, too: a lone epoch has no line.
FEW_EPOCHS = 40
PLOT_INCHES, LINE_INCHES, LABEL_INCHES, FONT = 1.4, 0.2, 0.45, 8.0
# Width of a character of that font, and of a legend's handle, in inches.
CHARACTER_INCHES, HANDLE_INCHES = 0.55 * FONT / 72, 0.55
WORDS = {
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "valid_ic": "validation IC",
    "valid_rank_ic": "validation rank IC",
    "lr": "learning rate",
}
OTHERS: dict[str, Any] = {"color": "0.65", "linestyle": "-", "zorder": 1.5}
MEAN: dict[str, Any] = {"linestyle": "-", "linewidth": 2.5, "zorder": 4}
BEST: dict[str, Any] = {
    "color": "black",
    "marker": "o",
    "markersize": 5,
    "markerfacecolor": "white",
}


def height_of(history: pd.DataFrame, values: list[str]) -> float:
    """Height in inches of a figure for these columns."""
    n_fits = history["fit"].nunique()
    n_lines = 1 if n_fits == 1 else min(n_fits, MOST_NAMED) / 2 + 1
    return 0.8 + PLOT_INCHES * len(_panels(values, n_fits)) + LINE_INCHES * n_lines


def draw_fits(
    ax: Axes, history: pd.DataFrame, values: list[str], *, loss: str | None, title: str | None
) -> np.ndarray:
    """Draw the columns of a history in the place of an axes.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes of a grid of subplots.
    history : DataFrame
        As for TrainingDisplay.
    values : list of str
        Columns to draw.
    loss, title : str, default=None
        Unit of the losses; title of the picture.

    Returns
    -------
    axes : ndarray of Axes, from top to bottom
    """
    from matplotlib.ticker import MaxNLocator

    fits = {str(name): fit.set_index("epoch") for name, fit in history.groupby("fit", sort=False)}
    panels = _panels(values, len(fits))
    figure: Any = ax.get_figure(root=True)
    width, height = ax.bbox.width / figure.dpi, ax.bbox.height / figure.dpi
    entries = _entries(fits, panels)
    n_columns, labels = _fit_labels([label for label, _ in entries], width)
    legend = LINE_INCHES * (-(-len(entries) // n_columns) + 0.5)
    if figure.get_layout_engine() is None:
        legend += LABEL_INCHES
    legend = min(legend, height / 2)
    plot = (height - legend) / len(panels)
    ratios = [*[plot] * len(panels), legend]
    cells = split_axes(ax, len(ratios), height_ratios=ratios)[:, 0]
    axes, below = cells[:-1], cells[-1]
    losses = [name for name in LOSSES if name in values]
    for panel, each in zip(panels, axes, strict=True):
        if each is not axes[-1]:
            each.sharex(axes[-1])
        if each is not axes[0] and panel[0] in LOSSES:
            each.sharey(axes[0])
        for column in panel:
            _draw_column(each, fits, column)
        drawn = losses if panel[0] in LOSSES else panel
        _scale(each, history[drawn].to_numpy(dtype=float), is_rate=panel == ["lr"])
        _label(each, panel, loss, plot)
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[-1].set_xlabel("epoch")
    for each in axes[:-1]:
        each.tick_params(labelbottom=False)
    figure.align_ylabels(list(axes))
    below.set_axis_off()
    handles = [_handle(style) for _, style in entries]
    if handles:
        below.legend(
            handles, labels, ncols=n_columns, loc="lower center", fontsize=FONT, frameon=False
        )
    if title:
        set_title(axes[0], title)
    return axes


def _panels(values: list[str], n_fits: int) -> list[list[str]]:
    """Group the columns into axes: the losses of one fit lie over each other."""
    losses = [name for name in LOSSES if name in values]
    rest = [[name] for name in values if name not in losses]
    return ([losses] if n_fits == 1 else [[name] for name in losses]) + rest if losses else rest


def _styles(fits: dict[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    named = {name: line_style(i) for i, name in enumerate(list(fits)[:MOST_NAMED])}
    return {name: {"linewidth": 1.0, **named.get(name, OTHERS)} for name in fits}


def _style_of_column(column: str) -> dict[str, Any]:
    if column == "lr":
        return {"linewidth": 1.5, "color": ink()}
    return {"linewidth": 1.5, **line_style(0 if column == "train_loss" else 1)}


def _draw_column(ax: Axes, fits: dict[str, pd.DataFrame], column: str) -> None:
    styles = _styles(fits)
    longest = max(len(fit) for fit in fits.values())
    marker: dict[str, Any] = {"marker": ".", "markersize": 4} if longest <= FEW_EPOCHS else {}
    for name, fit in fits.items():
        line = fit[column].astype(float).where(np.isfinite)
        style = _style_of_column(column) if len(fits) == 1 else styles[name]
        ax.plot(line.index, line, **marker, **style)
        best = fit.index[fit[MARK].astype(bool)]
        if len(fits) == 1:
            for epoch in best:
                ax.axvline(epoch, color="0.5", linestyle=":", linewidth=1, zorder=0)
        if column not in ("train_loss", "lr"):
            dot = {**BEST, "color": style["color"]}
            ax.plot(best, line.loc[best], **{**dot, "linestyle": "none", "zorder": 5})
    known = [fit[column] for fit in fits.values() if fit[column].notna().any()]
    if len(known) >= FEWEST_FOR_MEAN and column != "lr":
        mean = pd.concat(known, axis=1).mean(axis=1, skipna=False)
        ax.plot(mean.index, mean, color=ink(), **MEAN)


def _entries(
    fits: dict[str, pd.DataFrame], panels: list[list[str]]
) -> list[tuple[str, dict[str, Any]]]:
    """List the labels and styles of the legend."""
    entries: list[tuple[str, dict[str, Any]]]
    best = [int(epoch) for fit in fits.values() for epoch in fit.index[fit[MARK].astype(bool)]]
    dot = {**BEST, "linestyle": "none"}
    if len(fits) == 1:
        words = {"train_loss": "training", "valid_loss": "validation"}
        columns = [column for column in panels[0] if column in words]
        entries = [(words[column], _style_of_column(column)) for column in columns]
        return [*entries, *((f"best epoch: {epoch}", dot) for epoch in best)]
    entries = list(_styles(fits).items())[:MOST_NAMED]
    if len(fits) > MOST_NAMED:
        entries.append((f"and {len(fits) - MOST_NAMED} more", {"linewidth": 1.0, **OTHERS}))
    if len(fits) >= FEWEST_FOR_MEAN:
        entries.append((f"mean of {len(fits)}", {"color": ink(), **MEAN}))
    return [*entries, *([("best epoch", dot)] if best else [])]


def _fit_labels(labels: list[str], width: float) -> tuple[int, list[str]]:
    """Choose the number of columns of a legend, and cut labels that are wider than it."""
    most = max(8, int((width - HANDLE_INCHES) / CHARACTER_INCHES))
    labels = [shorten(label, most) for label in labels]
    widest = max(map(len, labels), default=0) * CHARACTER_INCHES + HANDLE_INCHES
    return max(1, min(len(labels), int(width / widest))), [plain(label) for label in labels]


def _handle(style: dict[str, Any]) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], **style)


def _scale(ax: Axes, values: np.ndarray, *, is_rate: bool) -> None:
    known = values[np.isfinite(values)]
    wide = WIDE_RANGE_OF_RATES if is_rate else WIDE_RANGE
    if known.min() > 0 and known.max() / known.min() > wide:
        ax.set_yscale("log")
    elif known.min() == known.max():
        # A constant: matplotlib would choose ticks around the constant that differ in no digit.
        ax.set_yticks([known[0]], [f"{known[0]:.4g}"])


def _label(ax: Axes, panel: list[str], loss: str | None, inches: float) -> None:
    text = "loss" if len(panel) > 1 else WORDS.get(panel[0], panel[0])
    if panel[0] in LOSSES and loss is not None:
        text = f"{text} ({loss})"
    characters = max(8, int(0.95 * inches / CHARACTER_INCHES))
    ax.set_ylabel(plain("\n".join(textwrap.wrap(text, characters))), fontsize=FONT)
