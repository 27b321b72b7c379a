"""The rows of folds, and the index of what is predicted for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.utils.validation import _num_samples, check_consistent_length

from skattn.model_selection._base import DailySplitter
from skattn.panel import align_y, days_of, instruments_of
from skattn.panel.internal import index_of
from skattn.parameters import as_array, shown


class RowFold(NamedTuple):
    """Row positions of a training set and of a test set."""

    train: np.ndarray
    test: np.ndarray


def read_folds(folds: Iterable[Any], n_rows: int) -> list[RowFold]:
    """Read what a cross-validator yields, and check that each fold can give a signal."""
    read = []
    for number, fold in enumerate(folds):
        train, test = pair_of(fold, number)
        rows = RowFold(
            _positions(train, n_rows, f"the training rows of fold {number}"),
            _positions(test, n_rows, f"the test rows of fold {number}"),
        )
        if shared := len(np.intersect1d(*rows)):
            raise ValueError(
                f"cv must not train on rows that it tests; fold {number} trains on {shared} of its "
                f"{len(rows.test)} test rows, so its predictions would not be out of sample."
            )
        read.append(rows)
    if not read:
        raise ValueError("cv must yield at least one fold; it yields none.")
    return read


def pair_of(fold: Any, number: int) -> tuple[Any, Any]:
    """Take a fold apart."""
    try:
        train, test = fold
    except (TypeError, ValueError):
        raise ValueError(
            f"cv must yield pairs (train, test) of row positions; fold {number} is {shown(fold)}."
        ) from None
    return train, test


def check_tested_once(folds: list[RowFold], n_rows: int) -> None:
    """Raise if a row is tested more than once: a signal has one value a row."""
    times = np.bincount(np.concatenate([fold.test for fold in folds]), minlength=n_rows)
    if (repeated := np.flatnonzero(times > 1)).size:
        of_row = [k for k, fold in enumerate(folds) if repeated[0] in fold.test]
        raise ValueError(
            f"cv must test each row at most once, for a signal of one value a row; it tests "
            f"{len(repeated)} rows more often, such as row {repeated[0]} in the folds {of_row}. "
            f"CombinatorialPurgedDailyKFold gives several backtest paths."
        )


class KnownRows(NamedTuple):
    """What is known of the rows of X."""

    index: pd.Index
    days: pd.DatetimeIndex | None
    # For the splitter.
    groups: Any
    # For the fits, by name.
    params: dict[str, Any]
    # Days and instruments for a ``predict`` that cannot read them off X.
    for_predict: dict[str, Any]


def find_rows(X: Any, y: Any, groups: Any, params: dict[str, Any], cv: Any) -> KnownRows:
    """Find days and instruments of the rows: given, else from the index of X, else of y."""
    routing = get_config()["enable_metadata_routing"]
    if routing and groups is not None:
        raise ValueError(
            "groups go into params where scikit-learn's metadata routing is enabled: "
            'cross_val_signal(..., params={"groups": groups}).'
        )
    align_y(X, y)
    for name, values in params.items():
        # X_val and y_val hold other rows.
        if not name.endswith(("X_val", "y_val")):
            align_y(X, values, names=("X", f"params[{name!r}]"))
    given_days, instruments = (_given(params, name) for name in ("days", "instruments"))
    if groups is None and isinstance(cv, DailySplitter) and not routing:
        groups = given_days
    if given_days is None:
        given_days = _days_in(params.get("groups") if routing else groups, cv)
    check_consistent_length(X, given_days, instruments)
    days = days_of(given_days, X, y, required=False)
    for_predict = {"days": days, "instruments": instruments}
    if instruments is None:
        of_X, of_y = instruments_of(X), instruments_of(y)
        for_predict["instruments"] = of_y if of_X is None else None
        instruments = of_y if of_X is None else of_X
    if given_days is None and days_of(None, X, required=False) is not None:
        for_predict["days"] = None
    for_predict = {k: np.asarray(v) for k, v in for_predict.items() if v is not None}
    index = _row_index(X, y, days, instruments)
    return KnownRows(index, days, groups, params, for_predict)


def _days_in(groups: Any, cv: Any) -> Any:
    """Give groups if they are days: with our splitters always, with others if they are dates."""
    if groups is None or isinstance(cv, DailySplitter):
        return groups
    try:
        return days_of(groups)
    except (TypeError, ValueError):
        return None


def _row_index(X: Any, y: Any, days: pd.DatetimeIndex | None, instruments: Any) -> pd.Index:
    """Give the index of the rows, or make an index of what is known of them."""
    index = index_of(X, y)
    if index is not None and ("datetime" in index.names or days is None or instruments is None):
        return index
    if days is None:
        return pd.RangeIndex(_num_samples(X))
    if instruments is None:
        return days.rename("datetime")
    return pd.MultiIndex.from_arrays([days, instruments], names=["datetime", "instrument"])


def _given(params: dict[str, Any], name: str) -> Any:
    """Find a parameter, which may have the prefix of a Pipeline's step."""
    found = (value for key, value in params.items() if key.rpartition("__")[2] == name)
    return next((value for value in found if value is not None), None)


def _positions(rows: Any, n_rows: int, what: str) -> np.ndarray:
    array = as_array(f"cv, {what},", rows)
    if array.dtype.kind == "b" and array.shape == (n_rows,):
        array = np.flatnonzero(array)
    if array.shape == (0,):
        raise ValueError(f"cv must leave rows to train on and to test; {what} are none.")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"cv must yield row positions, integers of one dimension; {what} are {array.dtype} of "
            f"shape {array.shape}."
        )
    if array.min() < 0 or array.max() >= n_rows:
        raise ValueError(
            f"cv must yield positions of the {n_rows} rows of X, from 0 to {n_rows - 1}; {what} go "
            f"from {array.min()} to {array.max()}."
        )
    return array
