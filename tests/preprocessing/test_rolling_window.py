"""RollingWindow against windows put together row by row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skattn.preprocessing import RollingWindow

FILLS = ("none", "ffill", "ffill+bfill")


def slow_windows(table: pd.DataFrame, length: int, fill: str) -> np.ndarray:
    """Take the days of each window from a dictionary, one after the other."""
    days = table.index.unique("datetime").sort_values()
    rows = dict(zip(table.index, table.to_numpy(), strict=True))
    windows = []
    for day, stock in table.index:
        last = days.get_loc(day)
        window = [rows.get((d, stock)) for d in days[max(last - length + 1, 0) : last + 1]]
        window = [None] * (length - len(window)) + window
        if fill != "none":
            for i in range(1, length):
                window[i] = window[i - 1] if window[i] is None else window[i]
        if fill == "ffill+bfill":
            for i in reversed(range(length - 1)):
                window[i] = window[i + 1] if window[i] is None else window[i]
        empty = np.full(table.shape[1], np.nan)
        windows.append([empty if row is None else row for row in window])
    return np.array(windows)


def sparse_table(seed: int, n_days: int, n_stocks: int, share: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=n_days)
    index = pd.MultiIndex.from_product(
        [days, [f"S{i}" for i in range(n_stocks)]], names=["datetime", "instrument"]
    )
    table = pd.DataFrame(rng.normal(size=(len(index), 2)), index, columns=["a", "b"])
    # Days on which a stock has a row of missing values are days that it has.
    table = table.mask(rng.random(table.shape) < 0.2)
    return table.sample(frac=share, random_state=seed)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n_days=st.integers(1, 12),
    share=st.sampled_from([0.3, 0.7, 1.0]),
    length=st.integers(1, 8),
    fill=st.sampled_from(FILLS),
)
def test_equals_windows_row_by_row(seed, n_days, share, length, fill):
    table = sparse_table(seed, n_days, 3, share)
    assume(len(table))
    windows = RollingWindow(length, fill_method=fill).fit_transform(table)
    assert windows.index is table.index
    assert windows.fields == ("a", "b")
    assert_array_equal(np.asarray(windows), slow_windows(table, length, fill))
    some = np.arange(len(table))[::2]
    assert_array_equal(np.asarray(windows[some]), np.asarray(windows)[some])
    assert_array_equal(windows.gather_step(0), np.asarray(windows)[:, 0])


@pytest.mark.parametrize(
    ("fill", "first"), [("none", np.nan), ("ffill", np.nan), ("ffill+bfill", 1)]
)
def test_arrays_are_series(fill, first):
    windows = RollingWindow(3, fill_method=fill).fit_transform([[1.0, 2.0]])
    assert_array_equal(windows, [[[first], [1], [2]]])
    cube = np.arange(24.0).reshape(2, 4, 3)
    assert_array_equal(RollingWindow(2, fill_method=fill).fit_transform(cube), cube[:, -2:])


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"length": 0}, ValueError, r"length.*\b0\b"),
        ({"length": 2.0}, TypeError, r"length.*\b2\.0\b"),
        ({"fill_method": "bfill"}, ValueError, "fill_method.*'bfill'"),
    ],
)
def test_what_is_wrong(parameters, error, message):
    with pytest.raises(error, match=message):
        RollingWindow(**parameters).fit(sparse_table(0, 3, 2, 1.0))


def test_tables_and_arrays_do_not_mix():
    table = sparse_table(0, 5, 2, 1.0)
    with pytest.raises(ValueError, match=r"\bwithout\b.*RollingWindow.*\bwith\b"):
        RollingWindow().fit(table).transform(table.to_numpy())
    with pytest.raises(ValueError, match=r"\bwith\b.*RollingWindow.*\bwithout\b"):
        RollingWindow().fit(table.to_numpy()).transform(table)


def test_windows_are_windows_already():
    windows = RollingWindow(3).fit_transform(sparse_table(0, 5, 2, 1.0))
    with pytest.raises(TypeError, match=r"X.*RollingWindow"):
        RollingWindow(2).fit(windows)


def test_a_step_before_that_lost_the_index_is_told():
    table = sparse_table(0, 12, 3, 1.0)
    with pytest.raises(ValueError, match=r'\bX\b.*transform="pandas"'):
        RollingWindow(3).fit(table.to_numpy(), table["a"])
