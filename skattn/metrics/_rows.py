"""Rows that a metric counts, by day, and days that a metric leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from skattn.labels import check_labels
from skattn.panel import align_y, days_of
from skattn.parameters import check_lengths, check_numbers, check_weights

KEYS = ["datetime", "instrument"]

# Reasons why a day has no value. If several apply, the first counts.
REASONS = ("too few labelled stocks", "constant labels", "constant predictions")


@dataclass(frozen=True)
class LabelledRows:
    """Labelled rows, with their days as positions in the calendar of all rows.

    If rows are in groups, the calendar holds (group, day) pairs, and "a day" means such a pair.
    """

    y_true: np.ndarray
    y_pred: np.ndarray
    day: np.ndarray
    calendar: pd.Index
    weight: np.ndarray | None = None

    @property
    def stocks(self) -> np.ndarray:
        """Number of labelled stocks of each day of the calendar."""
        return np.bincount(self.day, minlength=len(self.calendar))


def labelled_rows(
    y_true: Any,
    y_pred: Any,
    days: Any,
    groups: pd.Index | None = None,
    name: str = "y_pred",
    sample_weight: Any = None,
) -> LabelledRows:
    """Check the input of a metric, and keep the rows that have a label.

    ``groups`` names the group of each row, without missing values. ``name`` is what messages call
    the predictions.
    """
    row_days = read_days(y_true, y_pred, days, name)
    labels = check_labels(y_true, "y_true", required=False)
    predictions = check_numbers(name, y_pred)
    if infinite := np.isinf(predictions).sum():
        raise ValueError(f"{name} has {infinite} infinite values among {len(predictions)}.")
    if missing := np.isnan(predictions).sum():
        raise ValueError(
            f"{name} has {missing} NaN among {len(predictions)} predictions. Only labels may be "
            f"missing: predict these rows, or drop them from y_true and y_pred."
        )
    _check_keys(groups, **{"y_true": y_true, name: y_pred})
    day, calendar = pd.factorize(row_days, sort=True)
    calendar = calendar.rename("datetime")
    if groups is not None:
        group, names = pd.factorize(groups, sort=True)
        day, pairs = pd.factorize(group * len(calendar) + day, sort=True)
        of_group, of_day = np.divmod(pairs, len(calendar))
        calendar = pd.MultiIndex.from_arrays(
            [names[of_group], calendar[of_day]], names=[groups.name, "datetime"]
        )
    keep = ~np.isnan(labels)
    weight = None
    if sample_weight is not None:
        check_lengths({"y_true": y_true, "sample_weight": sample_weight})
        align_y(y_true, sample_weight, names=("y_true", "sample_weight"))
        weight = check_weights("sample_weight", sample_weight)
        keep &= weight > 0
        weight = weight[keep]
    return LabelledRows(labels[keep], predictions[keep], day[keep], calendar, weight)


def read_days(
    y_true: Any, y_pred: Any, days: Any, name: str = "y_pred", *others: Any
) -> pd.DatetimeIndex:
    """Check that labels, predictions and days are of the same rows, and give the day of each.

    Messages call the predictions by ``name``. ``others`` may have the days, too.
    """
    if _is_indexed(y_true) and _is_indexed(y_pred) and len(y_true) != len(y_pred):
        raise ValueError(
            f"y_true has {len(y_true)} rows and {name} has {len(y_pred)}. Score the rows that both "
            f"have, for example y_true.loc[{name}.index]."
        )
    check_lengths({"y_true": y_true, name: y_pred}, days=days)
    align_y(y_true, y_pred, names=("y_true", name))
    for argument, values in (("y_true", y_true), (name, y_pred)):
        align_y(values, days, names=(argument, "days"))
    known = days_of(days, y_true, y_pred, *others, what="y_true")
    assert known is not None
    return known


def _is_indexed(values: Any) -> bool:
    return isinstance(getattr(values, "index", None), pd.MultiIndex)


def _check_keys(groups: pd.Index | None, **carriers: Any) -> None:
    """Raise if a stock has two rows on a day; with groups, two rows in the same group."""
    for name, carrier in carriers.items():
        index = getattr(carrier, "index", None)
        if not isinstance(index, pd.MultiIndex) or not {*KEYS} <= {*index.names}:
            continue
        index = index.droplevel([level for level in index.names if level not in KEYS])
        if index.is_unique:
            continue
        keys = index.to_frame(index=False)
        repeated = keys.assign(by=groups).duplicated()
        if not repeated.any():
            continue
        pairs = keys.loc[repeated, KEYS].itertuples(index=False)
        shown = [f"({str(day)[:10]}, {stock!r})" for day, stock in islice(pairs, 3)]
        where = "" if groups is None else " within a group of by"
        raise ValueError(
            f"{name} has {repeated.sum()} rows whose (datetime, instrument) key has occurred "
            f"before{where}: {', '.join(shown)}{', ...' if repeated.sum() > 3 else ''}. Keep one "
            f"row for each stock and day. To score predictions of several models, such as "
            f"combinatorial splits, use signal_report(..., by=<number of the split of each row>), "
            f"or make one column per backtest with "
            f"CombinatorialPurgedDailyKFold.reconstruct_paths."
        )


def left_out(rows: LabelledRows) -> pd.Categorical:
    """Give the reason why each day has no value; missing if the day has a value."""
    n_days = len(rows.calendar)
    constant_labels, constant_predictions = (
        np.equal(*range_of_days(values, rows.day, n_days)) for values in (rows.y_true, rows.y_pred)
    )
    code = np.select([rows.stocks < 2, constant_labels, constant_predictions], [0, 1, 2], -1)
    return pd.Categorical.from_codes(code, categories=list(REASONS))


def range_of_days(
    values: np.ndarray, day: np.ndarray, n_days: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of each day; infinity and minus infinity on a day without rows."""
    low, high = np.full(n_days, np.inf), np.full(n_days, -np.inf)
    np.minimum.at(low, day, values)
    np.maximum.at(high, day, values)
    return low, high
