"""The plots of which FeatureImportanceDisplay is made."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skattn.inspection._importance.agreement import LEVEL, read_span
from skattn.utils import (
    SEQUENTIAL,
    date_axis,
    ink,
    legend_below,
    line_style,
    plain,
    set_title,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Fields and groups drawn at most, and labels of lags on an axis.
FIELDS, BARS, LABELS = 40, 20, 12
# Width of a handle that shows dashes, in letters.
DASHED = 2.5
# Quarters up to this number have points with bars, and a label each.
FEW_QUARTERS = 8
LABELS_OF = {
    "permutation": "importance (permutation)",
    "integrated_gradients": "importance (gradients)",
    "attention": "attention",
}
SHADES: dict[str, dict[str, Any]] = {
    "attention, no importance": {"facecolor": "#d0d0d0", "hatch": "...."},
    "importance, no attention": {"facecolor": "#f0e0b0", "hatch": "////"},
}


def as_grid(table: pd.DataFrame) -> pd.DataFrame | None:
    """Lay groups out as fields by runs of lags, oldest first; None where they form no grid."""
    fields, lags = table["field"].unique(), table["lags"].unique()
    is_grid = len(fields) * len(lags) == len(table) and len(lags) > 1
    if not is_grid or table.duplicated(["field", "lags"]).any():
        return None
    order = sorted(lags, key=lambda text: read_span(text).max(), reverse=True)
    numbers = pd.Series(np.arange(len(table)), [table["field"], table["lags"]])
    return numbers.unstack().loc[fields, order]


def height_of(table: pd.DataFrame) -> float:
    """Height of the plot of a table in inches."""
    is_grid = as_grid(table) is not None
    n_rows = min(table["field"].nunique(), FIELDS) if is_grid else min(len(table), BARS)
    return 1.3 + 0.26 * max(4, n_rows)


def draw_importance(ax: Axes, beside: Axes, *, table: pd.DataFrame, what: str) -> None:
    """Draw a heat map of fields by lags, or bars, with stars at what is significant."""
    grid = as_grid(table)
    method = "Permutation within the day" if "p_holm" in table else "Integrated gradients"
    is_marked = (table["p_holm"] < LEVEL).to_numpy() if "p_holm" in table else None
    note = "" if is_marked is None else "; * p < 0.05 (Holm)"
    if grid is None:
        beside.set_axis_off()
        shown = _draw_bars(ax, table, what, is_marked)
        many = f", the {shown} largest of {len(table)}" if shown < len(table) else ""
        set_title(ax, f"{method}: importance of the groups{many}{note}")
        return
    values = table["importance"].to_numpy()[grid]
    n_fields = len(grid)
    if n_fields > FIELDS:
        top = np.sort(np.argsort(-values.sum(axis=1), kind="stable")[:FIELDS])
        grid, values = grid.iloc[top], values[top]
    low, high = min(0.0, np.nanmin(values)), np.nanmax(values)
    ax.grid(visible=False)
    image = ax.imshow(values, cmap=SEQUENTIAL, vmin=low, vmax=max(high, low + 1e-12), aspect="auto")
    figure: Any = ax.get_figure(root=True)
    figure.colorbar(image, cax=beside, label=textwrap.fill(what, 20))
    if is_marked is not None:
        for row, column in np.argwhere(is_marked[grid]):
            is_dark = values[row, column] < (low + high) / 2
            color = "white" if is_dark else "black"
            ax.text(column, row, "*", ha="center", va="center", color=color, fontsize="large")
    ax.set_yticks(range(len(grid)), [_short(name) for name in grid.index])
    _label_lags(ax, list(grid.columns))
    many = f", {FIELDS} of {n_fields} fields" if n_fields > FIELDS else ""
    set_title(ax, f"{method}: importance by field and lag{many}{note}")


def _draw_bars(ax: Axes, table: pd.DataFrame, what: str, is_marked: np.ndarray | None) -> int:
    """Draw the largest groups, the largest on top, with 1.96 standard errors."""
    order = np.argsort(-table["importance"].to_numpy(), kind="stable")[:BARS]
    values = table["importance"].to_numpy()[order]
    errors = table["standard_error"].to_numpy()[order] if "standard_error" in table else None
    bounds = None if errors is None else 1.96 * errors
    ax.barh(range(len(order)), values, xerr=bounds, **_bar_style())
    ax.axvline(0, color=ink(), linewidth=0.8)
    names = [_short(table.index[place]) for place in order]
    if is_marked is not None:
        stars = np.where(is_marked[order], " *", "")
        names = [f"{name}{star}" for name, star in zip(names, stars, strict=True)]
    ax.set_yticks(range(len(order)), names)
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.set_xlabel(what)
    return len(order)


def _bar_style() -> dict[str, Any]:
    return {"color": line_style(0)["color"], "error_kw": {"elinewidth": 1, "ecolor": "#666666"}}


def draw_profile(ax: Axes, beside: Axes, *, table: pd.DataFrame, agreement: pd.Series) -> None:
    """Draw importance and attention by run of lags, and shade where both disagree."""
    from matplotlib.patches import Patch

    beside.set_axis_off()
    handles: list[Any] = []
    for name, style in SHADES.items():
        places = np.flatnonzero(table["disagrees"] == name)
        for place in places:
            ax.axvspan(place - 0.5, place + 0.5, edgecolor="white", linewidth=0, **style)
        if len(places):
            handles.append(Patch(label=name, edgecolor="white", **style))
    lines = [name for name in ("attention", "permutation", "integrated_gradients") if name in table]
    for number, name in enumerate(lines):
        style = {**line_style(number), "marker": "os^"[number]}
        handles += ax.plot(range(len(table)), table[name], label=LABELS_OF[name], **style)
    ax.axhline(1, color="grey", linewidth=0.8)
    # Shares begin at 0: where all are alike, an axis of their rounding errors would be drawn.
    ax.set_ylim(bottom=min(0, ax.get_ylim()[0]), top=max(1.2, ax.get_ylim()[1]))
    _label_lags(ax, list(table.index))
    ax.set_xlim(-0.5, len(table) - 0.5)
    ax.set_ylabel("share of a lag\n(1: all lags alike)")
    legend_below(ax, handles, handlelength=DASHED)
    numbers = [
        f"{rho:.2f}" if len(agreement) == 1 else f"{rho:.2f} ({name.replace('_', ' ')})"
        for name, rho in agreement.items()
        if not np.isnan(rho)
    ]
    found = f": rank correlation with importance {', '.join(numbers)}" if numbers else ""
    set_title(ax, f"Attention by lag is not explanation{found}")


def draw_quarters(
    ax: Axes, beside: Axes, *, quarters: pd.DataFrame, groups: list, what: str
) -> None:
    """Draw the mean drop by quarter with bands of 1.96 standard errors."""
    beside.set_axis_off()
    # The middle of the quarter.
    days = quarters.index.start_time + (quarters.index.end_time - quarters.index.start_time) / 2
    is_known = quarters[groups].xs("standard_error", axis=1, level=1).notna().any(axis=None)
    for number, group in enumerate(groups):
        mean = quarters[group]["mean"].to_numpy()
        band = 1.96 * quarters[group]["standard_error"].to_numpy()
        style = {**line_style(number), "marker": "os^Dv"[number], "markersize": 4}
        if len(days) <= FEW_QUARTERS:
            # Side by side: bands of few points would hide each other.
            places = np.arange(len(days)) + 0.08 * (number - (len(groups) - 1) / 2)
            ax.errorbar(places, mean, band, capsize=2, label=_short(group), **style)
        else:
            ax.plot(days, mean, label=_short(group), **style)
            ax.fill_between(days, mean - band, mean + band, color=style["color"], alpha=0.15)
    if len(days) <= FEW_QUARTERS:
        ax.set_xticks(range(len(days)), [str(quarter) for quarter in quarters.index])
        ax.set_xlim(-0.5, len(days) - 0.5)
        ax.set_xlabel("quarter")
    else:
        date_axis(ax)
        ax.set_xlabel("date (middle of the quarter)")
    ax.axhline(0, color="grey", linewidth=0.8)
    ax.set_ylabel(textwrap.fill(what, 20))
    legend_below(ax, ax.get_legend_handles_labels()[0], handlelength=DASHED)
    many = f"the {len(groups)} largest groups, " if len(groups) > 1 else ""
    errors = "±1.96 standard errors" if is_known else "too few days for standard errors"
    set_title(ax, f"Importance by quarter: {many}{errors}")


def _label_lags(ax: Axes, names: list[str]) -> None:
    """Label runs of lags, as many as fit."""
    step = -(-len(names) // LABELS)
    # The latest lag is labelled in any case.
    places = np.arange(len(names) - 1, -1, -step)[::-1]
    ax.set_xticks(places, [names[place] for place in places])
    ax.set_xlabel("lag (steps back; 0 is the latest)")


def _short(name: Any) -> str:
    return plain(shorten(str(name), 24))
