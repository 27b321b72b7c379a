"""Folds that go on from the weights of the fold before, and never learn from later days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skattn.model_selection._base import day_text
from skattn.model_selection._rows import RowFold
from skattn.panel import days_of
from skattn.utils import warm_start_parameter


def warm_parameter(estimator: Any) -> str:
    """Name the parameter with which the estimator's ``fit`` goes on; raise if there is none."""
    name = warm_start_parameter(estimator)
    if name is None:
        raise ValueError(
            f'refit="warm" goes on from the weights of the fold before, for which '
            f"{type(estimator).__name__} has no parameter warm_start that is heeded. Use a "
            f"regressor that has it, such as the models of skattn, alone, as the last step of a "
            f'Pipeline or in CrossSectionalTarget (searches train copies), or use refit="cold".'
        )
    return name


def order_in_time(
    folds: Sequence[RowFold], days: pd.DatetimeIndex | None, fit_params: Mapping[str, Any]
) -> list[int]:
    """Order folds by their first test day; raise if one would have learnt from later days.

    A fold learns from its training days, from those of the folds before it, and from the days of
    ``X_val``. Where every fold trains before it tests, the folds before it have done so, too: they
    test no later than it. Early stopping without ``X_val`` holds out training days.
    """
    if days is None:
        raise ValueError(
            'refit="warm" takes the folds in time order, and the trading days of X are not known: '
            "add an index with a level 'datetime' (for example with skattn.from_long), or pass "
            "groups or params={'days': ...}."
        )
    first = [days[fold.test].min() for fold in folds]
    for number, (train, _) in enumerate(folds):
        if (last := days[train].max()) >= first[number]:
            raise ValueError(
                f'refit="warm" needs folds that train before they test: fold {number} tests from '
                f"{day_text(first[number])} and trains until {day_text(last)}. Walk forward, for "
                f'example with cv=DailyTimeSeriesSplit(), or use refit="cold".'
            )
    _check_validation(fit_params, min(first))
    return sorted(range(len(folds)), key=first.__getitem__)


def _check_validation(fit_params: Mapping[str, Any], first: pd.Timestamp) -> None:
    """Raise if rows given for early stopping are not before the first test day."""
    for name, X_val in fit_params.items():
        prefix, _, last = name.rpartition("X_val")
        if last or X_val is None or not (prefix == "" or prefix.endswith("__")):
            continue
        days = days_of(None, X_val, fit_params.get(f"{prefix}y_val"), required=False)
        if days is None:
            found = "its days are not known"
        elif len(days) and np.max(days) >= first:
            found = f"it has rows until {day_text(days.max())}"
        else:
            continue
        raise ValueError(
            f"{name} must lie before {day_text(first)}, the first day that is tested, with "
            f'refit="warm"; {found}. Leave {name} out, so that each fit holds out the last of its '
            f"training days."
        )
