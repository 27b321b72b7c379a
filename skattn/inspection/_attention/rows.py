"""Which rows a picture is made of, and their labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.inspection._sampling import spread
from skattn.panel.internal import read_day
from skattn.training import Samples
from skattn.utils import evenly


def rows_of_day(days: pd.DatetimeIndex | None, day: Any) -> np.ndarray:
    """Find the rows of a day; None: of the last day."""
    if days is None:
        raise ValueError(
            "A picture of a day needs the days of the rows: give X an index with the levels "
            "'datetime' and 'instrument', or pass days=."
        )
    wanted = days.max() if day is None else read_day("day", day, last=False)
    rows = np.flatnonzero(days == wanted)
    if not len(rows):
        near = days.unique().sort_values()
        near = near[max(near.searchsorted(wanted) - 1, 0) :][:2]
        texts = " and ".join(f"{each:%Y-%m-%d}" for each in near)
        raise ValueError(
            f"day must be a day of the rows, which begin on {days.min():%Y-%m-%d} and end on "
            f"{days.max():%Y-%m-%d}; got {wanted:%Y-%m-%d}. The nearest: {texts}."
        )
    return rows


def rows_to_draw(samples: Samples, most: int | None, *, whole_days: bool) -> np.ndarray:
    """Choose rows that are evenly spaced over days and stocks, or whole days."""
    if most is None or most >= len(samples):
        return np.arange(len(samples))
    by_day = samples.rows_by_day()
    if not whole_days:
        order = np.concatenate(by_day)
        return np.sort(order[evenly(len(order), most)])
    return np.sort(np.concatenate(spread(by_day, most)))


def row_labels(
    index: pd.Index, days: pd.DatetimeIndex | None, instruments: pd.Index | None
) -> pd.Index:
    """Label rows by day and stock, as far as they are known; else as they are labelled."""
    if days is None:
        return index
    if instruments is None:
        return pd.Index(days, name="datetime")
    return pd.MultiIndex.from_arrays([days, instruments], names=["datetime", "instrument"])
