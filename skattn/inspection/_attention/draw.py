"""Pictures of attention, drawn from views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skattn.inspection._attention.views import View
from skattn.utils import COLORS, SEQUENTIAL, line_style, plain, split_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "os^Dv"
# Weights that differ from no preference by less than this factor look flat; larger differences
# than the greatest factor look alike.
FLAT, GREATEST = 1.25, 100.0
# So many places have a label each; so many groups have lines between them, and a legend.
MOST_LABELS, MOST_LINES, MOST_NAMED = 30, 20, 12
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
        below.plot(places, profile["mean"], "o", color=color, label="mean")
    if scale.uniform is not None:
        below.axhline(scale.uniform, color="black", linestyle="--", label="no preference")
    lowest, highest = np.nanmin(profile.to_numpy()), np.nanmax(profile.to_numpy())
    bottom, top = 0.0, max(highest, scale.uniform or 0) or 1.0
    if scale.against is not None:
        bottom, top = min(lowest, 1 / FLAT), max(highest, FLAT)
    # With room for the legend.
    below.set(xlim=(-0.5, len(profile) - 0.5), ylim=(bottom, top + 0.35 * (top - bottom)))
    below.set_ylabel(scale.unit, fontsize="small")
    set_ticks(below, "x", profile.index, 8 if is_number(profile.index) else MOST_LABELS)
    below.set_xlabel(AXIS_NAMES.get(str(table.columns.name), plain(str(table.columns.name))))
    spacing: Any = {"columnspacing": 1, "handlelength": 1.5, "handletextpad": 0.4}
    below.legend(loc="upper center", fontsize="x-small", ncols=3, **spacing)
    add_colorbar(axes, image, scale)
    return axes


def draw_grid(ax: Axes, view: View, scale: Scale) -> np.ndarray:
    """Heat maps of query and key, a row a layer and a column a head."""
    n_rows, n_columns = len(view.panels), len(view.panels[0])
    axes = split_axes(ax, n_rows, n_columns)
    every = view.table.to_numpy()
    image = None
    for row, column in np.ndindex(axes.shape):
        cell: Any = axes[row, column]
        names, table = view.panels[row][column]
        image = draw_heat(cell, table, scale, limits=(np.nanmin(every), np.nanmax(every)))
        lowest, leftmost = row == n_rows - 1, column == 0
        cell.set_title(plain(names[-1]) if names and row == 0 else "", fontsize="small")
        set_ticks(cell, "x", table.columns if lowest else table.columns[:0], 3)
        set_ticks(cell, "y", table.index if leftmost else table.index[:0], 3)
        cell.set_xlabel("key (lag)" if lowest else "", fontsize="small")
        of_row = "".join(f"{plain(name)}\n" for name in names[:-1])
        cell.set_ylabel(f"{of_row}query (lag)" if leftmost else "", fontsize="small")
    add_colorbar(axes, image, scale)
    return axes


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
        beside.axvline(scale.uniform, color="black", linestyle="--")
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
    ax.set(xlabel=plain(str(table.columns.name)), ylabel=f"stock, by {plain(str(groups.name))}")
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
    highest = np.nanmax(others, initial=0.0)
    for start, weights in zip(points, others, strict=True):
        best = np.argmax(np.nan_to_num(weights, nan=-1.0))
        if not weights[best] > 0:
            continue
        strength, end = weights[best] / highest, points[best]
        link = curve(start, (start + end) * 0.3, end)
        ax.plot(*link.T, color="grey", alpha=0.2 + 0.6 * strength, linewidth=0.5 + strength)
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
        ax.legend(fontsize="small", title=plain(str(groups.name)), **place)
    return np.array([ax], dtype=object)


def draw_heat(
    ax: Axes, table: pd.DataFrame, scale: Scale, limits: tuple[float, float] | None = None
) -> Any:
    """Draw a table of weights; cells without a weight are light grey."""
    import matplotlib
    from matplotlib.colors import LogNorm, Normalize

    values = table.to_numpy(dtype=float)
    lowest, highest = limits or (np.nanmin(values), np.nanmax(values))
    norm: Normalize = Normalize(0, max(highest, 1e-12))
    if scale.against is not None:
        factor = float(np.clip(max(highest, 1 / max(lowest, 1e-3)), FLAT, GREATEST))
        norm = LogNorm(1 / factor, factor)
        values = np.clip(values, 1 / factor, factor)
    colors = matplotlib.colormaps[SEQUENTIAL].with_extremes(bad="#dddddd")
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
    places = np.unique(np.linspace(0, n_places - 1, min(most, n_places)).round().astype(int))
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
    return plain(text if len(text) <= 18 else f"{text[:17]}…")


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
