"""What each kind of picture of attention shows: tables and texts, without matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from skattn.inspection._attention import tables
from skattn.inspection._attention.map import AttentionMap
from skattn.inspection._attention.rows import rows_of_day
from skattn.parameters import check_value, shown

# Bins of rows, and quantiles, that a heat map can show; panels that a page can hold.
MOST_BINS, MOST_QUANTILES, MOST_PANELS = 60, 10, 256
LEVELS = {"day": "datetime", "stock": "instrument"}
NAMELESS = (
    "give X an index with the levels 'datetime' and 'instrument', or pass days= and instruments="
)


@dataclass
class View:
    """What a picture shows.

    Parameters
    ----------
    table : DataFrame
        What the heat map shows.
    what : str
        Which rows are drawn, for the title.
    profile : DataFrame, default=None
        Mean by place, with the quarter and three quarter quantiles.
    groups : Series, default=None
        Group of each stock.
    rows_are : str, default=""
        What the rows of the heat map are.
    panels : list of list of (tuple of str, DataFrame), default=[]
        The heat maps of a grid, with the names of their row and column, as far as there are any.
    """

    table: pd.DataFrame
    what: str
    profile: pd.DataFrame | None = None
    groups: pd.Series | None = None
    rows_are: str = ""
    panels: list[list[tuple[tuple[str, ...], pd.DataFrame]]] = field(default_factory=list)


def view_rows(weights: AttentionMap, *, sort: Any, predicted: np.ndarray | None, **_: Any) -> View:
    """Average rows in bins, by day, stock or prediction."""
    table = tables.last_places(weights)
    known = [by for by, name in LEVELS.items() if name in table.index.names]
    by = check_value("sort", sort, "str | None", one_of=("day", "stock", "prediction", "row"))
    by = by or (known[0] if known else "row")
    profile, what = tables.profile_of(table), _count(weights)
    if by == "prediction":
        if predicted is None:
            raise ValueError(
                'sort="prediction" needs the predictions of the rows: pass predicted=, of a model '
                "of several outputs one column, or make the display with from_estimator, of a "
                "model of one output."
            )
        quantile = tables.quantile_of_day(predicted, table.index, MOST_QUANTILES)
        rows_are = "quantile of prediction (1: lowest)"
        return View(tables.binned(table, quantile, len(table)), what, profile, rows_are=rows_are)
    if by == "row":
        key = np.arange(len(table))
    elif by in known:
        key = np.asarray(tables.level(table.index, LEVELS[by]))
    else:
        raise ValueError(f"sort={by!r} needs rows whose {by} is known: {NAMELESS}.")
    return View(tables.binned(table, key, MOST_BINS), what, profile, rows_are=by)


def view_grid(weights: AttentionMap, **_: Any) -> View:
    """Average over the rows, with a heat map a layer and head."""
    panels = [axis for axis in weights.axes[1:] if axis not in ("query", "key")][-2:]
    mean = tables.arrange(weights, *panels, "query", "key")
    sizes = (1, 1, *mean.values.shape[:-2])[-2:]
    if np.prod(sizes) > MOST_PANELS:
        raise ValueError(
            f"{sizes[0]} x {sizes[1]} heat maps are too many for a page ({MOST_PANELS}). Take a "
            f"label of an axis with select=, such as {{{panels[0]!r}: 0}}."
        )
    cells = mean.values.reshape(-1, *mean.values.shape[-2:])
    places = np.ndindex(mean.values.shape[:-2])
    titles = [
        tuple(f"{axis} {mean.labels[i][at[i]]}" for i, axis in enumerate(panels)) for at in places
    ]
    frames = [pd.DataFrame(cell, mean.labels[-2], mean.labels[-1]) for cell in cells]
    named = list(zip(titles, frames, strict=True))
    grid = [named[first : first + sizes[1]] for first in range(0, len(named), sizes[1])]
    return View(mean.to_frame(), _count(weights), panels=grid)


def view_frequency(weights: AttentionMap, **_: Any) -> View:
    """Average over the rows by frequency and lag."""
    mean = tables.arrange(weights, "frequency", "lag").to_frame()
    profile = tables.profile_of(tables.arrange(weights, "row", "frequency").to_frame())
    return View(mean, _count(weights), profile)


def view_concepts(weights: AttentionMap, *, groups: Any, **_: Any) -> View:
    """Take the last day, with a row a stock and a column a concept."""
    table, what = _of_last_day(weights, "concept")
    sorted_groups = tables.in_groups(_groups(groups, table))
    return View(table.loc[sorted_groups.index], what, groups=sorted_groups)


def view_stocks(weights: AttentionMap, *, groups: Any, **_: Any) -> View:
    """Take the last day, with a row and a column a stock."""
    table, what = _of_last_day(weights, "stock")
    missing = table.index.difference(table.columns)
    if len(missing):
        raise ValueError(
            f"Weights of stocks need a column for each stock of the day; there is none for "
            f"{shown(list(missing))}: {NAMELESS}."
        )
    sorted_groups = tables.in_groups(_groups(groups, table))
    order = sorted_groups.index
    table = table.loc[order, order].rename_axis(columns="stock that gets the weight")
    return View(table, what, groups=sorted_groups)


def _of_last_day(weights: AttentionMap, axis: str) -> tuple[pd.DataFrame, str]:
    """Take the weights of the last day, with a row a stock."""
    index = weights.labels[0]
    days, stocks = (tables.level(index, name) for name in LEVELS.values())
    if days is None or stocks is None:
        raise ValueError(f"A plot of stocks needs their days and names: {NAMELESS}.")
    rows = rows_of_day(days, None)
    twice = stocks[rows][stocks[rows].duplicated()]
    if len(twice):
        raise ValueError(
            f"A plot of stocks needs one row a stock; {shown(twice[0])} has several on "
            f"{days[rows[0]]:%Y-%m-%d}."
        )
    table = tables.arrange(tables.take(weights, rows), "row", axis).to_frame()
    count = f"{len(rows):,} stocks" if len(rows) > 1 else "1 stock"
    what = f"{count} on {days[rows[0]]:%Y-%m-%d}"
    return table.set_axis(pd.Index(stocks[rows], name="stock")), what


def check_groups(groups: Any) -> None:
    """Raise if groups are no Series and no mapping."""
    if groups is not None and not isinstance(groups, (Mapping, pd.Series)):
        raise TypeError(
            f"groups must be a Series or mapping with the group of each stock; got {shown(groups)}."
        )


def _groups(groups: Any, table: pd.DataFrame) -> pd.Series:
    """Group of each stock: as given, or its strongest column."""
    if groups is None:
        return tables.group_by_strongest(table)
    groups = pd.Series(groups)
    groups = groups.dropna()
    missing = [stock for stock in table.index if stock not in groups.index]
    if missing or not groups.index.is_unique:
        wrong = f"has none for {shown(missing)}" if missing else "names a stock twice"
        raise ValueError(f"groups must give each stock one group; it {wrong}.")
    return groups.loc[table.index].rename(groups.name or "group")


def _count(weights: AttentionMap) -> str:
    n_rows = len(weights.labels[0])
    return f"mean of {n_rows:,} rows" if n_rows > 1 else "1 row"


VIEWS: dict[str, Callable[..., View]] = {
    "rows": view_rows,
    "grid": view_grid,
    "frequency": view_frequency,
    "concepts": view_concepts,
    "stocks": view_stocks,
    "graph": view_stocks,
}
