"""Pictures of attention, drawn from views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skattn.inspection._attention.views import View
from skattn.utils import (
    CHARACTER,
    COLORS,
    SEQUENTIAL,
    evenly,
    ink,
    line_style,
    plain,
    shorten,
    size_in_points,
    split_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "os^Dv"
# Weights that differ from no preference by less than this factor look flat; larger differences
# than the greatest factor look alike.
FLAT, GREATEST = 1.25, 100.0
# So many places have a label each; so many groups have lines between them, and a legend.
MOST_LABELS, MOST_LINES, MOST_NAMED = 30, 20, 12
# Sizes of letters, and of cells that have room for the name of their axis, in points.
SMALLEST, SMALL, ROOM_FOR_NAME = 5.0, 8.0, 60.0
AXIS_NAMES = {"lag": "lag (steps back)"}
ORDERED = ("lag", "key", "query", "frequency")


@dataclass(frozen=True)
class Scale:
    """How weights become colours.

    Parameters
    ----------
    unit : str
        What a weight is measured in.
    against : str or None
        What weights are held against.
    uniform : float or None
        The weight of no preference, where there is one for all places.
    """

    unit: str
    against: str | None
    uniform: float | None


def draw_rows(ax: Axes, view: View, scale: Scale) -> np.ndarray:
    """Heat map of rows over the mean profile of all rows."""
    table, profile = view.table, view.profile
    assert profile is not None
    axes = split_axes(ax, 2, 1, height_ratios=[3, 2])
    heat, below = axes.flat
    image = draw_heat(heat, table, scale)
    set_ticks(heat, "y", table.index, 8)
    heat.set(ylabel=view.rows_are, xticks=[])
    places, color = np.arange(len(profile)), COLORS[0]
    low, high = profile["low"], profile["high"]
    band = {"color": color, "alpha": 0.25, "label": "middle half"}
    if table.columns.name in ORDERED and len(profile) > 1:
        below.fill_between(places, low, high, linewidth=0, **band)
        below.plot(places, profile["mean"], color=color, label="mean")
    else:
        below.bar(places, high - low, 0.6, low, **band)
        size = 6 if len(profile) <= MOST_LABELS else 2
        below.plot(places, profile["mean"], "o", color=color, label="mean", markersize=size)
    if scale.uniform is not None:
        below.axhline(scale.uniform, color=ink(), linestyle="--", label="no preference")
    lowest, highest = np.nanmin(profile.to_numpy()), np.nanmax(profile.to_numpy())
    bottom, top = min(lowest, 0.0), max(highest, scale.uniform or 0) or 1.0
    if scale.against is not None:
        bottom, top = min(lowest, 1 / FLAT), max(highest, FLAT)
    # With room for the legend.
    below.set(xlim=(-0.5, len(profile) - 0.5), ylim=(bottom, top + 0.35 * (top - bottom)))
    below.set_ylabel(scale.unit, fontsize="small")
    set_ticks(below, "x", profile.index, 8 if is_number(profile.index) else MOST_LABELS)
    axis = str(table.columns.name)
    below.set_xlabel(AXIS_NAMES.get(axis, short(axis)))
    spacing: Any = {"columnspacing": 1, "handlelength": 1.5, "handletextpad": 0.4}
    below.legend(loc="upper center", fontsize="x-small", ncols=3, **spacing)
    add_colorbar(axes, image, scale)
    return axes


def draw_grid(ax: Axes, view: View, scale: Scale) -> np.ndarray:
    """Heat maps of query and key, a row a layer and a column a head."""
    n_rows, n_columns = len(view.panels), len(view.panels[0])
    # Labels take a part of the size, and the colour bar a part of the width.
    width, height = np.multiply(size_in_points(ax), (0.75 / n_columns, 0.85 / n_rows))
    axes = split_axes(ax, n_rows, n_columns)
    every = view.table.to_numpy()
    image = None
    for row, column in np.ndindex(axes.shape):
        cell: Any = axes[row, column]
        names, table = view.panels[row][column]
        image = draw_heat(cell, table, scale, limits=(np.nanmin(every), np.nanmax(every)))
        lowest, leftmost = row == n_rows - 1, column == 0
        title = short(names[-1]) if names and row == 0 else ""
        cell.set_title(title, fontsize=_small(title, width))
        set_ticks(cell, "x", table.columns if lowest else table.columns[:0], 3)
        set_ticks(cell, "y", table.index if leftmost else table.index[:0], 3)
        # Small cells share the name of the axis.
        if lowest and (width >= ROOM_FOR_NAME or column == n_columns // 2):
            cell.set_xlabel("key (lag)", fontsize="small")
        if leftmost:
            of_row = [short(name) for name in names[:-1]]
            if height >= ROOM_FOR_NAME or row == n_rows // 2:
                of_row.insert(0, "query (lag)")
            cell.set_ylabel("\n".join(of_row), fontsize=_small(of_row[-1], height) if of_row else 8)
    add_colorbar(axes, image, scale)
    return axes


def _small(text: str, room: float) -> float:
    """Size of small letters, smaller where a text needs more points than there are."""
    return float(np.clip(room / (CHARACTER * max(len(text), 1)), SMALLEST, SMALL))


def draw_frequency(ax: Axes, view: View, scale: Scale) -> np.ndarray:
    """Heat map of frequency and lag, with the mean of each frequency beside it."""
    table, profile = view.table, view.profile
    assert profile is not None
    axes = split_axes(ax, 1, 2, width_ratios=[3, 1.6])
    heat, beside = axes.flat
    image = draw_heat(heat, table, scale)
    set_ticks(heat, "x", table.columns, 8)
    # At whole steps, f and 1 - f cycles per step are the same cycle.
    seen = np.minimum(table.index, 1 - table.index)
    periods = [
        f"{each:.3g} ({1 / slow:.3g})" if slow else f"{each:.3g}"
        for each, slow in zip(table.index, seen, strict=True)
    ]
    set_ticks(heat, "y", pd.Index(periods), 12)
    heat.set(xlabel=AXIS_NAMES["lag"], ylabel="cycles per step (steps per cycle)")
    places, color = np.arange(len(profile)), COLORS[0]
    beside.barh(
        places, profile["high"] - profile["low"], 0.6, profile["low"], color=color, alpha=0.25
    )
    beside.plot(profile["mean"], places, "o", color=color)
    if scale.uniform is not None:
        beside.axvline(scale.uniform, color=ink(), linestyle="--")
    beside.set(ylim=heat.get_ylim(), yticks=[], xlim=(0, None))
    beside.set_xlabel("mean (bar: middle half,\ndashed: no preference)", fontsize="small")
    add_colorbar(axes, image, scale)
    return axes


def draw_matrix(ax: Axes, view: View, scale: Scale) -> np.ndarray:
    """Heat map of the stocks of a day, with lines between groups of stocks."""
    table, groups = view.table, view.groups
    assert groups is not None
    # A column without any weight, such as a stock that is no hidden concept's centre, is left out.
    image = draw_heat(ax, table.where(np.tile((table > 0).any(), (len(table), 1))), scale)
    set_ticks(ax, "x", table.columns, MOST_LABELS)
    set_ticks(ax, "y", table.index, MOST_LABELS)
    edges = np.flatnonzero(groups.to_numpy()[1:] != groups.to_numpy()[:-1]) + 0.5
    if len(edges) <= MOST_LINES:
        for color, width in (("white", 2.0), ("black", 0.7)):
            style: Any = {"color": color, "linewidth": width}
            ax.hlines(edges, -0.5, table.shape[1] - 0.5, **style)
            if table.index.equals(table.columns):
                ax.vlines(edges, -0.5, table.shape[0] - 0.5, **style)
    ax.set(xlabel=table.columns.name, ylabel=f"stock, by {short(groups.name)}")
    axes = np.array([ax], dtype=object)
    add_colorbar(axes, image, scale)
    return axes


def draw_graph(ax: Axes, view: View, scale: Scale) -> np.ndarray:
    """Stocks on a circle by group, each linked to the other stock to which it gives most weight."""
    table, groups = view.table, view.groups
    assert groups is not None
    n_stocks = len(table)
    angles = np.arange(n_stocks) / n_stocks * 2 * np.pi
    points = np.column_stack([np.cos(angles), np.sin(angles)])
    others = table.to_numpy(dtype=float, copy=True)
    np.fill_diagonal(others, np.nan)
    highest, n_links = np.nanmax(others, initial=0.0), 0
    for start, weights in zip(points, others, strict=True):
        best = np.argmax(np.nan_to_num(weights, nan=-1.0))
        given = weights[weights > 0]
        # Of weights that are about equal, none is the strongest.
        if not len(given) or (len(given) > 1 and weights[best] < FLAT * given.mean()):
            continue
        n_links += 1
        strength, end = weights[best] / highest, points[best]
        link = curve(start, (start + end) * 0.3, end)
        ax.plot(*link.T, color="grey", alpha=0.2 + 0.6 * strength, linewidth=0.5 + strength)
    if not n_links and n_stocks > 1:
        ax.text(0, 0, "no stock prefers another", ha="center", va="center")
    kinds = groups.unique()
    few_groups, few_stocks = len(kinds) <= MOST_NAMED, n_stocks <= 60
    for number, group in enumerate(kinds):
        of_group = points[(groups == group).to_numpy()]
        x, y = of_group.T
        marker = MARKERS[(number + number // len(COLORS)) % len(MARKERS)]
        label = short(group) if few_groups else None
        style = {"color": line_style(number)["color"], "marker": marker, "label": label}
        ax.scatter(x, y, 40 if few_stocks else 12, zorder=3, **style)
    if few_stocks:
        for name, angle, (x, y) in zip(table.index, np.degrees(angles), points, strict=True):
            left = 90 < angle < 270
            turned = angle + 180 * left
            ax.text(
                x * 1.08,
                y * 1.08,
                short(name),
                fontsize=7,
                rotation=turned,
                rotation_mode="anchor",
                va="center",
                ha="right" if left else "left",
            )
    reach = 1.55 if few_stocks else 1.1
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    ax.set_frame_on(False)
    if few_groups:
        place: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "ncols": 4}
        ax.legend(fontsize="small", title=short(groups.name), **place)
    return np.array([ax], dtype=object)


def draw_heat(
    ax: Axes, table: pd.DataFrame, scale: Scale, limits: tuple[float, float] | None = None
) -> Any:
    """Draw a table of weights; cells without a weight are light grey."""
    import matplotlib
    from matplotlib.colors import LogNorm, Normalize

    values = table.to_numpy(dtype=float)
    lowest, highest = limits or (np.nanmin(values), np.nanmax(values))
    norm: Normalize = Normalize(min(lowest, 0), max(highest, 1e-12))
    if scale.against is not None:
        factor = float(np.clip(max(highest, 1 / max(lowest, 1e-3)), FLAT, GREATEST))
        norm = LogNorm(1 / factor, factor)
        values = np.clip(values, 1 / factor, factor)
    colors = matplotlib.colormaps[SEQUENTIAL].with_extremes(bad="#dddddd")
    ax.grid(visible=False)
    return ax.imshow(values, aspect="auto", cmap=colors, norm=norm, interpolation="nearest")


def add_colorbar(axes: np.ndarray, image: Any, scale: Scale) -> None:
    """Say what the colours of a heat map mean."""
    bar = axes.flat[0].figure.colorbar(image, ax=axes, label=scale.unit)
    if scale.against is not None:
        factor = image.norm.vmax
        ticks = [1 / factor, factor**-0.5, 1, factor**0.5, factor]
        bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
        bar.minorticks_off()


def set_ticks(ax: Axes, axis: str, labels: pd.Index, most: int) -> None:
    """Label an axis of places, as many places as fit."""
    n_places = len(labels)
    if is_number(labels):
        # In equal steps, as a reader expects of numbers, back from the latest lag.
        places = np.arange(n_places - 1, -1, -max(1, -(-n_places // most)))[::-1]
    else:
        places = evenly(n_places, most)
    texts = [short(labels[i]) for i in places]
    turned = axis == "x" and not is_number(labels)
    size = "small" if len(texts) <= 15 else "x-small"
    rotation = 90 if turned else 0
    getattr(ax, f"set_{axis}ticks")(places, texts, fontsize=size, rotation=rotation)


def is_number(labels: pd.Index) -> bool:
    """Whether labels are numbers."""
    return pd.api.types.is_numeric_dtype(labels)


def short(label: Any) -> str:
    """Write a label in a few characters."""
    if isinstance(label, pd.Timestamp):
        return f"{label:%Y-%m-%d}"
    text = f"{label:.3g}" if isinstance(label, float) else str(label)
    return plain(shorten(text, 18))


def curve(start: np.ndarray, middle: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Points of the quadratic Bézier curve from start to end."""
    t = np.linspace(0, 1, 20)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end


DRAWINGS: dict[str, Callable[[Axes, View, Scale], np.ndarray]] = {
    "rows": draw_rows,
    "grid": draw_grid,
    "frequency": draw_frequency,
    "concepts": draw_matrix,
    "stocks": draw_matrix,
    "graph": draw_graph,
}
