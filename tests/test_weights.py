"""Weights of rows by recency and by day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import ragged_panel, ragged_windows

from skattn.weights import by_day, time_decay


def test_time_decay_by_the_calendar_and_by_trading_days() -> None:
    table = ragged_panel()
    days = table.index.get_level_values("datetime")
    weight = time_decay(table, half_life="10D")
    assert weight.index.equals(table.index)
    age = (days.max() - days).days.to_numpy()
    np.testing.assert_allclose(weight, 0.5 ** (age / 10))
    assert weight[days == days.max()].eq(1).all()
    number = pd.factorize(days, sort=True)[0]
    by_number = time_decay(table.index, half_life=10)
    np.testing.assert_allclose(by_number, 0.5 ** ((number.max() - number) / 10))
    assert time_decay(table["a"], pd.Timedelta("10D")).equals(weight)
    assert time_decay(ragged_windows(), "10D").equals(weight)


def test_each_day_has_the_same_total() -> None:
    table = ragged_panel()
    weight = by_day(table)
    totals = weight.groupby(level="datetime").sum()
    np.testing.assert_allclose(totals, totals.iloc[0])
    np.testing.assert_allclose(weight.mean(), 1)


@pytest.mark.parametrize("half_life", ["-3D", "0D", "soon", 0, -1, 1.5, True, None, "NaT", [3]])
def test_no_half_life(half_life) -> None:
    with pytest.raises((ValueError, TypeError), match="half_life must be"):
        time_decay(ragged_panel(), half_life=half_life)


@pytest.mark.parametrize("index", [None, 3, np.arange(3), pd.RangeIndex(3), pd.DatetimeIndex([])])
@pytest.mark.parametrize("weigh", [time_decay, by_day])
def test_no_days(weigh, index) -> None:
    with pytest.raises((ValueError, TypeError), match="index must be an Index with one level"):
        weigh(index)
