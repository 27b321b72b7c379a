"""SequenceReshaper undoes what flat columns do to windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import QLIB_ORDER, assert_same_bits, columns_of_ones, ragged_prices
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pandas.testing import assert_index_equal

from skattn.panel import WindowArray
from skattn.preprocessing import Alpha360, SequenceReshaper


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.lists(st.sampled_from(QLIB_ORDER), min_size=1, unique=True),
    st.booleans(),
)
def test_reshaper_is_the_inverse_of_columns(seed, length, fields, shuffle):
    table = ragged_prices(seed=seed, n_days=5)
    columns = Alpha360(fields, length=length, vwap="typical", layout="columns").fit_transform(table)
    if shuffle:
        columns = columns.sample(frac=1, axis=1, random_state=seed)
    reshaper = SequenceReshaper()
    windows = reshaper.fit_transform(columns)
    in_order = tuple(field for field in QLIB_ORDER if field in fields)
    assert isinstance(windows, WindowArray)
    assert windows.fields == reshaper.fields_ == tuple(field.upper() for field in in_order)
    assert windows.shape == (len(table), length, len(fields))
    assert reshaper.n_steps_ == length
    assert reshaper.n_features_in_ == len(fields) * length
    assert_index_equal(windows.index, table.index)
    assert_same_bits(
        windows, Alpha360(in_order, length=length, vwap="typical").fit_transform(table)
    )
    assert_same_bits(windows[[2, 0]], np.asarray(windows)[[2, 0]])
    # By name in transform too.
    other = columns.sample(frac=1, axis=1, random_state=seed + 1)
    assert_same_bits(reshaper.transform(other), windows)


def test_reshaper_of_arrays_goes_by_position():
    flat = np.arange(24.0).reshape(2, 12)
    cube = SequenceReshaper(3).fit_transform(flat)
    assert cube.shape == (2, 4, 3)
    assert_array_equal(cube[0], np.arange(12).reshape(3, 4).T)
    assert_array_equal(cube[1] - cube[0], 12)
    assert_array_equal(SequenceReshaper().fit_transform(flat), flat[:, :, None])
    single = SequenceReshaper(12).fit_transform(flat.astype(np.float32))
    assert single.shape == (2, 1, 12)
    assert single.dtype == np.float32


def test_reshaper_of_names_without_lags_goes_by_position():
    flat = pd.DataFrame(np.arange(8.0).reshape(2, 4), columns=["d", "c", "b", "a"])
    cube = SequenceReshaper(2).fit_transform(flat)
    assert isinstance(cube, np.ndarray)
    assert_array_equal(cube[0], [[0, 2], [1, 3]])
    numbered = flat.set_axis(range(4), axis=1)
    assert_array_equal(SequenceReshaper(2).fit_transform(numbered), cube)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_reshaper_by_position_keeps_the_index():
    """Names with numbers that are no lags, as those of Alpha158."""
    table = ragged_prices(n_days=5).iloc[:, :4].set_axis(["MA5", "KLEN", "MA10", "CLOSE0"], axis=1)
    reshaper = SequenceReshaper(2, by="position")
    windows = reshaper.fit_transform(table)
    assert isinstance(windows, WindowArray)
    assert_index_equal(windows.index, table.index)
    assert windows.fields == reshaper.fields_ == ("x0", "x1")
    expected = SequenceReshaper(2).fit_transform(table.to_numpy())
    assert_same_bits(windows, expected)
    assert_same_bits(reshaper.fit(table).transform(table.to_numpy()), expected)
    # The columns still have the places that they had in fit.
    with pytest.raises(ValueError, match="same order"):
        reshaper.transform(table.iloc[:, ::-1])


def test_reshaper_orders_other_features_by_name():
    names = ["zeta1", "zeta0", "alpha0", "alpha1", "volume1", "volume0", "close01", "close00"]
    cube = SequenceReshaper(4).fit_transform(pd.DataFrame([np.arange(8.0)], columns=names))
    assert_array_equal(cube[0], [[6, 4, 3, 0], [7, 5, 2, 1]])


def test_reshaper_reads_the_last_level_of_qlibs_columns():
    names = [("feature", name) for name in ("OPEN0", "CLOSE0", "OPEN1", "CLOSE1")]
    table = pd.DataFrame(np.arange(8.0).reshape(2, 4), columns=pd.MultiIndex.from_tuples(names))
    reshaper = SequenceReshaper().fit(table)
    assert reshaper.fields_ == ("CLOSE", "OPEN")
    assert_array_equal(reshaper.transform(table)[0], [[3, 2], [1, 0]])
    assert_array_equal(reshaper.transform(table[names[::-1]])[0], [[3, 2], [1, 0]])
    renamed = table.rename(columns={"OPEN0": "LOW0", "OPEN1": "LOW1"}, level=1)
    with pytest.raises(ValueError, match=r"CLOSE, LOW.*CLOSE, OPEN"):
        reshaper.transform(renamed)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_reshaper_reads_arrays_in_the_fitted_order_of_columns():
    columns = Alpha360(["open", "close"], length=3, layout="columns").fit_transform(ragged_prices())
    reshaper = SequenceReshaper().fit(columns)
    assert_same_bits(reshaper.transform(columns.to_numpy()), reshaper.transform(columns))


def test_reshaper_refuses_names_of_which_some_have_lags():
    with pytest.raises(ValueError, match=r"label.*by='position'"):
        SequenceReshaper().fit(columns_of_ones("CLOSE1", "CLOSE0", "OPEN1", "OPEN0", "label"))


def test_reshaper_refuses_two_columns_of_one_step():
    with pytest.raises(ValueError, match=r"CLOSE1.*CLOSE01"):
        SequenceReshaper().fit(columns_of_ones("CLOSE1", "CLOSE0", "CLOSE01"))


def test_reshaper_takes_scikit_learns_default_names_by_position():
    table = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["x0", "x1", "x2"])
    assert_array_equal(SequenceReshaper().fit_transform(table)[0, :, 0], [1, 2, 3])
