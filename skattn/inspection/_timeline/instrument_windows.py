"""Attention by lag of the windows of one instrument, and the date of each of their steps."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing

from skattn.base import SequenceRegressor
from skattn.inspection._fitted import no_attention
from skattn.inspection._lags import STEPS, by_lag
from skattn.panel import WindowArray
from skattn.parameters import shown
from skattn.training import Samples

# Rows whose maps are in memory at a time: of a Transformer on 60 days about 0.1 MB a row.
CHUNK = 512


def pick_map(model: SequenceRegressor, name: str | None) -> str:
    """Find the map that weighs the lags, and raise where there is none or several.

    Of several, the map whose last axis are lags is taken, and of these the one with the fewest
    other axes.
    """
    contract = model.net_.contract
    if not contract.attends:
        raise no_attention(model)
    axes = contract.attention_axes
    has = "; ".join(f"{key!r} ({', '.join(of)})" for key, of in axes.items())
    has = f"it has the maps {has}" if has else "it names no axes of its maps (attention_axes)"
    if name is not None and name not in axes:
        raise ValueError(f"map must be a map of {type(model).__name__}; got {shown(name)}, {has}.")
    found = {key: of for key, of in axes.items() if set(of) & set(STEPS) and name in (None, key)}
    if not found:
        raise ValueError(
            f"A timeline needs a map of attention to lags, with the axis 'lag' or the axes 'query' "
            f"and 'key'; {'the map' if name else type(model).__name__} has none: {has}."
        )
    rank = {key: (of[-1] not in STEPS, len(of)) for key, of in found.items()}
    best = [key for key in rank if rank[key] == min(rank.values())]
    if len(best) > 1:
        raise ValueError(
            f"{type(model).__name__} has several maps of attention to lags: choose one with map=, "
            f"of {', '.join(map(repr, best))}."
        )
    return best[0]


def keys_of(samples: Samples) -> tuple[pd.DatetimeIndex, pd.Index]:
    """Give the day and the instrument of each row, and raise where they are not known."""
    days, instruments = samples.days, samples.instruments
    if days is None or instruments is None:
        missing = [n for n, v in (("days", days), ("instruments", instruments)) if v is None]
        raise ValueError(
            f"The {' and '.join(missing)} of the rows of X are not known: give X a (datetime, "
            f"instrument) index, or pass {' and '.join(f'{name}=' for name in missing)}."
        )
    return days, instruments


def rows_of(samples: Samples, instrument: Any) -> tuple[np.ndarray, pd.DatetimeIndex]:
    """Find the rows of an instrument in the order of their days, and the days."""
    days, instruments = keys_of(samples)
    codes, names = pd.factorize(instruments)
    rows = np.flatnonzero(codes == code_of(names, instrument, "X"))
    rows = rows[days[rows].argsort(kind="stable")]
    own = days[rows]
    if own.has_duplicates:
        twice = own[own.duplicated()][0]
        raise ValueError(
            f"The days of X hold {twice.date()} more than once for the instrument "
            f"{shown(instrument)}: keep one row for each stock and day."
        )
    if len(rows) < 2:
        raise ValueError(
            f"A timeline needs two days of an instrument or more; X has a single row of the "
            f"instrument {shown(instrument)}, of {own[0].date()}."
        )
    return rows, own


def code_of(names: pd.Index, instrument: Any, where: str) -> int:
    """Give the place of an instrument among unique names, and raise where it is unknown."""
    try:
        place = names.get_loc(instrument)
    except (KeyError, TypeError, ValueError, pd.errors.InvalidIndexError):
        place = None
    if isinstance(place, int):
        return place
    texts = [str(name) for name in names]
    near = difflib.get_close_matches(instrument, texts) if isinstance(instrument, str) else []
    hint = f"Near it: {', '.join(near)}" if near else f"They are {shown(texts)}"
    raise ValueError(
        f"The instrument {shown(instrument)} is not among the instruments of {where}. {hint}."
    )


def weights_by_lag(
    model: SequenceRegressor, X: Any, samples: Samples, rows: np.ndarray, name: str
) -> pd.DataFrame:
    """Compute a map of some rows, and reduce it to one weight a lag.

    Parameters
    ----------
    model : SequenceRegressor
        The fitted model.
    X : input of the model's ``predict``
        All the rows.
    samples : Samples
        The same rows, checked.
    rows : ndarray of int, shape (N,)
        Rows of one instrument, in the order of their days.
    name : str
        Name of the map.

    Returns
    -------
    weights : DataFrame of shape (N, T)
        Index: the days; columns: the lags, T - 1 to 0.

    Raises
    ------
    ValueError
        Windows have a single step, or the map of more axes gives all lags the same weight.
    """
    axes = model.net_.contract.attention_axes[name]
    n_steps = samples.X.shape[1]
    if n_steps < 2:
        raise ValueError(
            f"A timeline needs windows of two steps or more: all the attention of "
            f"{type(model).__name__} lies on the {n_steps} step of X."
        )
    values = np.empty((len(rows), n_steps))
    days, instruments = keys_of(samples)
    by_day = model.net_.contract.cross_sectional
    for own, needed in _parts_of_days(rows, days) if by_day else _parts(rows):
        part = _safe_indexing(X, needed)
        maps = model.attend(part, days=days[needed], instruments=instruments[needed])
        values[own] = by_lag(maps[name][np.isin(needed, rows[own])], axes)
    spread = values.max(axis=1) - values.min(axis=1)
    if len(axes) > 1 and (spread <= 1e-6 * np.abs(values).max(axis=1)).all():
        raise ValueError(
            f"The map {name!r} of {type(model).__name__} has the axes {axes}; averaged over all "
            f"but the lags, it gives every lag the same weight, and tells no date from another. "
            f"Choose another map with map=."
        )
    lags = pd.RangeIndex(n_steps - 1, -1, -1, name="lag")
    return pd.DataFrame(values, index=days[rows].rename("datetime"), columns=lags)


def _parts(rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Cut rows into parts; with each come the rows of which its maps are computed, here itself."""
    for first in range(0, len(rows), CHUNK):
        own = slice(first, first + CHUNK)
        yield own, rows[own]


def _parts_of_days(rows: np.ndarray, days: pd.DatetimeIndex) -> Iterator[tuple[slice, np.ndarray]]:
    """Cut rows into parts, for a model that looks across stocks: it needs all rows of a day."""
    order = days.argsort(kind="stable")
    starts, stops = (days[order].searchsorted(days[rows], side) for side in ("left", "right"))
    first, n_rows = 0, 0
    for last, size in enumerate(stops - starts):
        n_rows += size
        if n_rows >= CHUNK or last == len(rows) - 1:
            own = slice(first, last + 1)
            pieces = [order[a:b] for a, b in zip(starts[own], stops[own], strict=True)]
            yield own, np.concatenate(pieces)
            first, n_rows = last + 1, 0


def dates_of_steps(X: WindowArray | np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Find the date of each step of an instrument's windows.

    Parameters
    ----------
    X : WindowArray or ndarray of shape (N, T, F)
        Windows.
    rows : ndarray of int, shape (n,)
        Rows of the instrument in X, in the order of their days.

    Returns
    -------
    dates : ndarray of int, shape (n, T)
        Place in ``rows`` of the window that ends on the step's date; -1 where there is none, such
        as before the first day. Windows that share a table know the row of each step. Other
        windows are taken to end on consecutive days.
    """
    n_steps = X.shape[1]
    lags = np.arange(n_steps - 1, -1, -1)
    if isinstance(X, WindowArray):
        parts = X.parts()
        ends, starts = parts["ends"][rows].astype(np.int64), parts["starts"][rows]
        if (np.diff(ends) > 0).all() and not _have_own_rows(parts, rows):
            at = ends[:, None] - lags
            places = np.searchsorted(ends, at).clip(max=len(ends) - 1)
            return np.where((ends[places] == at) & (at >= starts[:, None]), places, -1)
    return (np.arange(len(rows))[:, None] - lags).clip(min=-1)


def _have_own_rows(parts: dict[str, Any], rows: np.ndarray) -> bool:
    """Whether each window has rows of its own in the table, as the windows of an array have.

    Windows that do not overlap may as well share a table: those of every fifth day, five steps
    long. They then begin where the history of their stock begins, and not where the last one ends.
    """
    ends, starts = parts["ends"], parts["starts"]
    own = ends[rows]
    if np.diff(own).min() < parts["length"]:
        return False
    side_by_side = not starts.any() and ((ends + 1) % parts["length"] == 0).all()
    return bool(side_by_side or (starts[rows][1:] > own[:-1]).all())
