"""quantile_returns against the means of each day's quantiles, stock by stock."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skattn.metrics import daily_ic, quantile_returns

DAYS = pd.bdate_range("2024-01-01", periods=4)


@pytest.mark.parametrize("n_quantiles", [2, 3, 5, 12])
def test_quantiles_partition_each_day(signal, n_quantiles: int) -> None:
    label, predicted = signal
    means = quantile_returns(label, predicted, n_quantiles=n_quantiles)
    assert means.columns.tolist() == list(range(1, n_quantiles + 1))
    table = pd.DataFrame({"label": label, "predicted": predicted}).dropna()
    for day, rows in table.groupby("datetime"):
        if len(rows) < n_quantiles:
            assert means.loc[day].isna().all()
            continue
        ranked = rows.sort_values("predicted")["label"].to_numpy()
        # The quantile that holds the middle of each stock's share of the day.
        middle = [Fraction(2 * i + 1, 2 * len(rows)) for i in range(len(rows))]
        group = np.array([floor(share * n_quantiles) for share in middle])
        expected = [ranked[group == k].mean() for k in range(n_quantiles)]
        assert_allclose(means.loc[day], expected)
    assert means.loc[table.index.unique("datetime")].notna().any(axis=None)
    assert means.index.equals(daily_ic(label, predicted).index)


def test_quantiles_of_sizes_that_differ_by_one() -> None:
    means = quantile_returns(np.arange(7), np.arange(7), days=[DAYS[0]] * 7)
    assert means.iloc[0].tolist() == [0, 1.5, 3, 4.5, 6]


def test_quantiles_of_days_without_a_value() -> None:
    days = DAYS[[0, 0, 1, 1, 2, 2, 3, 3]]
    label = [1, 2, 1, np.nan, 1, 2, 5, 5]
    means = quantile_returns(label, [1, 2, 1, 2, 7, 7, 1, 2], days=days, n_quantiles=2)
    assert_array_equal(means, [[1, 2]] + [[np.nan] * 2] * 3)


@pytest.mark.parametrize("n_quantiles", [1, 2.0, "5"])
def test_bad_number_of_quantiles(n_quantiles) -> None:
    with pytest.raises(ValueError, match=rf"n_quantiles.*{n_quantiles}"):
        quantile_returns([1, 2], [1, 2], days=DAYS[[0, 0]], n_quantiles=n_quantiles)
