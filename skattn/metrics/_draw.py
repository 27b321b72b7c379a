"""The four pictures of one signal or of several signals, each on axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skattn.utils import (
    CHARACTER,
    SEQUENTIAL,
    date_axis,
    legend_below,
    line_style,
    plain,
    set_label,
    set_title,
    shades,
    shorten,
    size_in_points,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A table of each signal, by its name; None where one signal has no name.
Tables = dict[str | None, pd.DataFrame]

# Width of a handle that shows dashes, in letters.
DASHED = 2.5
# Axes of fewer points have short labels, and numbers of fewer points are left out.
NARROW = 200
SMALLEST_NUMBER = 4.5
LONGEST_NAME = 24
MOST_QUANTILES = 10
# Lines of a legend are told apart by colour and dashes, and bars by colour and hatch.
HATCHES = ("", "", "", "...", "xxx", "///")


def draw_cumulative_ic(ax: Axes, tables: Tables, column: str, ic_name: str) -> None:
    """Draw the sum of the daily IC up to each day, beside what the axes already show."""
    drawn = len(ax.get_lines())
    narrow = size_in_points(ax)[0] < NARROW
    for number, (name, daily) in enumerate(tables.items()):
        ic = daily[column]
        mean = f"{ic.mean():.4f}" if narrow and name else f"mean {ic_name} {ic.mean():.4f}"
        mean = mean if ic.notna().any() else f"no {ic_name}"
        label = f"{_short(name, _letters(ax) - len(mean) - 3)} ({mean})" if name else mean
        _plot_sums(ax, ic, label=label, **line_style(drawn + number))
    _note_where_empty(ax, [daily[column] for daily in tables.values()])
    set_title(ax, f"Cumulative {ic_name}")
    set_label(ax, "y", f"sum of daily {ic_name}")
    date_axis(ax)
    title = f"mean {ic_name} in brackets" if narrow else None
    legend_below(ax, ax.get_lines(), handlelength=DASHED, title=title, title_fontsize=8.5)


def draw_months_of_years(ax: Axes, ic: pd.Series, ic_name: str, title: str) -> None:
    """Draw the mean IC of one signal with a row for each year and a column for each month."""
    table = ic.groupby([ic.index.year, ic.index.month]).mean().unstack()
    years = range(table.index.min(), table.index.max() + 1)
    table = table.reindex(index=years, columns=range(1, 13))
    narrow = size_in_points(ax)[0] < NARROW
    _heat_map(ax, table.to_numpy(), np.arange(13) - 0.5, f"mean {ic_name}")
    ax.set_xticks(range(12), [m if m % 4 == 1 or not narrow else "" for m in table.columns])
    step = -(-len(table) // max(1, int(size_in_points(ax)[1] // 16)))
    ax.set_yticks(range(0, len(table), step), table.index[::step])
    set_title(ax, title)
    set_label(ax, "x", "month")
    set_label(ax, "y", "year")


def draw_months_of_signals(ax: Axes, tables: Tables, column: str, ic_name: str, title: str) -> None:
    """Draw the mean IC of several signals with a row for each signal and a column a month."""
    from matplotlib import dates

    ics = pd.DataFrame({name: daily[column] for name, daily in tables.items()})
    months = pd.period_range(ics.index.min(), ics.index.max(), freq="M")
    means = ics.groupby(ics.index.to_period("M")).mean().reindex(months).T
    edges = dates.date2num([*months.to_timestamp(), months[-1].end_time])
    _heat_map(ax, means.to_numpy(), edges, f"mean {ic_name}")
    size = float(np.clip(0.6 * size_in_points(ax)[1] / len(means), 6.5, 10))
    names = [_short(name, _letters(ax) // 3) for name in means.index]
    ax.set_yticks(range(len(means)), names, fontsize=size)
    set_title(ax, title)
    date_axis(ax)


def draw_quantile_returns(ax: Axes, tables: Tables, title: str) -> None:
    """Draw the mean label of each quantile as bars, side by side where there are signals."""
    width = 0.8 / len(tables)
    bars = []
    for number, (name, returns) in enumerate(tables.items()):
        means = returns.mean()
        shift = (number - (len(tables) - 1) / 2) * width
        style = {"color": line_style(number)["color"], "hatch": HATCHES[number]}
        style |= {"edgecolor": "white", "linewidth": 0.5} if len(tables) > 1 else {}
        bars.append(
            ax.bar(means.index + shift, means, width, label=_short(name, _letters(ax)), **style)
        )
    quantiles = next(iter(tables.values())).columns
    _note_no_quantiles(ax, tables)
    ax.axhline(0, color="grey", linewidth=0.8)
    step = -(-len(quantiles) // MOST_QUANTILES)
    ax.set_xticks(quantiles[::step])
    ax.set_xlim(quantiles[0] - 0.6, quantiles[-1] + 0.6)
    set_title(ax, title)
    set_label(ax, "x", "quantile (1 has the lowest predictions)")
    set_label(ax, "y", "mean label (unit of label)")
    if len(tables) > 1:
        legend_below(ax, bars)


def draw_cumulative_returns(ax: Axes, tables: Tables, holding_days: int, title: str) -> None:
    """Draw the sums of daily mean labels: by quantile, or top minus bottom of each signal."""
    if len(tables) == 1:
        (returns,) = tables.values()
        lines = [
            _plot_sums(ax, means / holding_days, color=color, label=str(quantile))
            for (quantile, means), color in zip(
                returns.items(), shades(len(returns.T)), strict=True
            )
        ]
        if len(lines) > MOST_QUANTILES:
            shown = np.linspace(0, len(lines) - 1, 5).round().astype(int)
            lines = [lines[number] for number in shown]
        legend: dict[str, Any] = {"title": "quantile, 1 the lowest", "title_fontsize": 8.5}
    else:
        lines, legend = [], {"handlelength": DASHED}
        for number, (name, returns) in enumerate(tables.items()):
            spread = returns.iloc[:, -1] - returns.iloc[:, 0]
            label = _short(name, _letters(ax))
            lines.append(_plot_sums(ax, spread / holding_days, label=label, **line_style(number)))
    _note_no_quantiles(ax, tables)
    set_title(ax, title)
    set_label(ax, "y", "sum of mean labels (unit of label)")
    date_axis(ax)
    legend_below(ax, lines, **legend)


def _heat_map(ax: Axes, values: np.ndarray, edges: np.ndarray, name: str) -> None:
    """Draw a heat map centred at 0, with the values in cells that have room for a number."""
    limit = np.nanmax(np.abs(values), initial=0.0) or 1.0
    n_rows, n_columns = values.shape
    bounds = (edges[0], edges[-1], n_rows - 0.5, -0.5)
    # The columns are months, which are equally wide but for a few days.
    ax.grid(visible=False)
    image = ax.imshow(
        values,
        cmap=SEQUENTIAL,
        vmin=-limit,
        vmax=limit,
        aspect="auto",
        extent=bounds,
        interpolation="nearest",
    )
    # Where there is no room for the label, the title says the same.
    label = name if size_in_points(ax)[0] >= NARROW else ""
    ax.figure.colorbar(image, ax=ax, label=label)
    width, height = size_in_points(ax)
    # A number has up to five letters. The colour bar has taken its part of the width.
    size = min(8.5, 0.9 * width / n_columns / (5 * CHARACTER), height / n_rows / 1.5)
    if size >= SMALLEST_NUMBER:
        middles = edges[0] + (np.arange(n_columns) + 0.5) * (edges[-1] - edges[0]) / n_columns
        for row, column in np.argwhere(~np.isnan(values)):
            value = values[row, column]
            # The colours of positive values are light.
            color = "black" if value > 0 else "white"
            text = f"{value:.2f}".replace("-0.00", "0.00")
            place = middles[column], row
            ax.text(*place, text, ha="center", va="center", color=color, fontsize=size)
    if np.isnan(values).all():
        _note_where_empty(ax, [values])


def _plot_sums(ax: Axes, values: pd.Series, **style: Any) -> Any:
    """Draw the sum up to each day; a line at zero would look like a result where there is none."""
    sums = values.fillna(0).cumsum()
    return ax.plot(sums.index, sums, visible=bool(values.notna().any()), **style)[0]


def _note_where_empty(ax: Axes, values: list, text: str = "no day has a value") -> None:
    """Say so where there is nothing to see."""
    if all(np.isnan(np.asarray(each, dtype=float)).all() for each in values):
        ax.text(0.5, 0.6, text, ha="center", transform=ax.transAxes)


def _note_no_quantiles(ax: Axes, tables: Tables) -> None:
    n_quantiles = next(iter(tables.values())).shape[1]
    text = f"no day has stocks in\neach of {n_quantiles} quantiles"
    _note_where_empty(ax, list(tables.values()), text)


def _letters(ax: Axes) -> int:
    """Count the letters of a legend's label that have room beside a line."""
    return int(size_in_points(ax)[0] / (8.5 * CHARACTER)) - 8


def _short(name: str | None, most: int = LONGEST_NAME) -> str:
    """Name of a signal in a legend, cut to a number of letters."""
    name, most = name or "", int(np.clip(most, 5, LONGEST_NAME))
    return plain(shorten(name, most))
