"""Tables behind the pictures of attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skattn.inspection._attention.map import AttentionMap
from skattn.inspection._attention.rows import row_labels
from skattn.inspection._lags import STEPS, by_lag
from skattn.panel import days_of, instruments_of
from skattn.parameters import shown

# Axes whose places differ from day to day.
OF_A_DAY = ("stock", "concept")


def kinds_of(axes: tuple[str, ...]) -> tuple[str, ...]:
    """Give the kinds of plot that fit the axes of a map beyond its rows, the usual one first."""
    kinds: list[str] = []
    if {"query", "key"} <= set(axes):
        kinds.append("grid")
    if {"lag", "frequency"} <= set(axes):
        kinds.append("frequency")
    if axes[-1:] == ("concept",):
        kinds.append("concepts")
    if axes[-1:] == ("stock",):
        kinds += ["stocks", "graph"]
    else:
        kinds.append("rows")
    return tuple(kinds)


def by_day(weights: AttentionMap) -> AttentionMap:
    """Label rows by their days, where an index has times of days."""
    index = weights.labels[0]
    rows = pd.Series(index=index, dtype=float)
    days, instruments = days_of(None, rows, required=False), instruments_of(rows)
    return AttentionMap(
        weights.values, weights.axes, (row_labels(index, days, instruments), *weights.labels[1:])
    )


def select_labels(weights: AttentionMap, select: Any) -> AttentionMap:
    """Take labels of axes beside the rows."""
    if select is None:
        return weights
    if not isinstance(select, Mapping):
        raise TypeError(
            f'select must map axes to labels, such as {{"head": 0}}; got {shown(select)}.'
        )
    if "row" in select:
        raise ValueError("select takes labels of the axes beside the rows; for rows pass day=.")
    weights = weights.select(**select) if select else weights
    if len(weights.axes) < 2:
        raise ValueError(f"select must leave an axis; got {shown(select)}.")
    return weights


def maps_for(kind: str | None, axes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Name the maps of which a kind of plot can be drawn; all where there is no such map."""
    fitting = [name for name, of in axes.items() if kind is None or kind in kinds_of(of)]
    return tuple(fitting or axes)


def take(weights: AttentionMap, rows: np.ndarray) -> AttentionMap:
    """Take some of the rows of a map."""
    labels = (weights.labels[0][rows], *weights.labels[1:])
    return AttentionMap(weights.values[rows], weights.axes, labels)


def level(index: pd.Index, name: str) -> Any:
    """Give the level of an index, or None."""
    return index.get_level_values(name) if name in index.names else None


def arrange(weights: AttentionMap, *axes: str) -> AttentionMap:
    """Bring the named axes into this order, and average over all others."""
    others = [axis for axis in weights.axes if axis not in axes]
    weights = weights.mean(*others) if others else weights
    order = [weights.axes.index(axis) for axis in axes]
    labels = tuple(weights.labels[i] for i in order)
    return AttentionMap(weights.values.transpose(order), tuple(axes), labels)


def last_places(weights: AttentionMap) -> pd.DataFrame:
    """Reduce a map to a table of rows and the places of its last axis.

    Of a map of queries and keys, the latest query is taken, which the prediction reads.
    """
    axis = weights.axes[-1]
    if axis not in STEPS:
        return arrange(weights, "row", axis).to_frame()
    values = by_lag(weights.values, weights.axes[1:])
    return pd.DataFrame(values, weights.labels[0], weights.labels[-1].rename("lag"))


def times_uniform(weights: AttentionMap, sums: tuple[str, ...]) -> AttentionMap:
    """Multiply weights by the number of places among which they are divided.

    1 then means no preference. Of keys, stocks and concepts, a place that gets no weight from any
    row is not counted, such as a masked key and a concept without members; where places differ by
    day, from any row of the day. All lags and frequencies count, as all of them could get weight.
    """
    over = tuple(weights.axes.index(axis) for axis in sums)
    rows = weights.labels[0]
    always = not {*OF_A_DAY, "key"} & {*sums}
    by_day = bool({*OF_A_DAY} & {*sums}) and "datetime" in rows.names
    day = level(rows, "datetime") if by_day else np.zeros(len(rows))
    values = weights.values.astype(np.float64)
    for _, of_day in pd.Series(np.arange(len(rows))).groupby(np.asarray(day)):
        there = (values[of_day] > 0).any(axis=0, keepdims=True) | always
        values[of_day] *= there.sum(axis=over, keepdims=True)
    return AttentionMap(values, weights.axes, weights.labels)


def profile_of(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over the rows by place, and the quarter and three quarter quantiles."""
    low, high = table.quantile(0.25), table.quantile(0.75)
    return pd.DataFrame({"mean": table.mean(), "low": low, "high": high})


def binned(table: pd.DataFrame, key: np.ndarray, n_bins: int) -> pd.DataFrame:
    """Average the rows of a table in bins of neighbouring keys; a bin is named by its first key."""
    codes, keys = pd.factorize(key, sort=True)
    n_bins = min(n_bins, len(keys))
    bin_of_key = np.arange(len(keys)) * n_bins // len(keys)
    means = table.groupby(bin_of_key[codes]).mean()
    first = np.flatnonzero(np.diff(bin_of_key, prepend=-1))
    return means.set_axis(pd.Index(np.asarray(keys)[first]), axis=0)


def quantile_of_day(predicted: np.ndarray, index: pd.Index, most: int) -> np.ndarray:
    """Quantile of each row's prediction among those of its day, from 1 (lowest).

    There are as many quantiles as the largest day has rows, up to ``most``.
    """
    values = pd.Series(predicted)
    day = level(index, "datetime")
    by_day = values.groupby(np.zeros(len(values)) if day is None else np.asarray(day))
    # In whole numbers: twice the place. Equal predictions share their places.
    twice = (2 * by_day.rank()).to_numpy(dtype=np.int64)
    size = by_day.transform("size").to_numpy()
    n_quantiles = min(most, size.max())
    # The middle of a row's share of the day.
    return (twice - 1) * n_quantiles // (2 * size) + 1


def group_by_strongest(table: pd.DataFrame) -> pd.Series:
    """Name for each row the column with the largest weight."""
    values = table.to_numpy()
    best = np.where(np.isnan(values), -np.inf, values).argmax(axis=1)
    return pd.Series(table.columns.to_numpy()[best], index=table.index, name="group")


def in_groups(groups: pd.Series) -> pd.Series:
    """Sort by group, the largest group first, and by name within a group."""
    size = groups.groupby(groups).transform("size")
    keys: dict[str, Any] = {"size": -size, "group": groups.astype(str)}
    order = pd.DataFrame(keys).assign(name=groups.index.astype(str))
    return groups.loc[order.sort_values(["size", "group", "name"]).index]
