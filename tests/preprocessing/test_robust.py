"""RobustZScore against medians of one column after the other."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from helpers import KEYS, OHLCV, assert_same_bits, heavy_tailed, ragged_prices
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import nan
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_index_equal
from sklearn.base import clone

from skattn.panel import WindowArray
from skattn.preprocessing import Alpha360, RobustZScore, RollingWindow


def slow_robust(values, clip=3.0, fill_value=0.0) -> np.ndarray:
    """One column after the other of a 2-D array."""
    out = np.array(values, dtype=np.float64)
    for column in range(out.shape[1]):
        known = out[~np.isnan(out[:, column]), column]
        if len(known):
            center = np.median(known)
            scale = 1.4826 * (np.median(np.abs(known - center)) + 1e-12)
            out[:, column] = (out[:, column] - center) / scale
        else:
            out[:, column] = nan
    if clip is not None:
        out = np.where(out > clip, clip, np.where(out < -clip, -clip, out))
    if fill_value is not None:
        out[np.isnan(out)] = fill_value
    return out


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.sampled_from([3.0, 0.5, 10, None]),
    st.sampled_from([0.0, -1.5, None]),
)
def test_robust_z_score_equals_medians_by_column(seed, n_rows, clip, fill_value):
    values = heavy_tailed((n_rows, 4), seed)
    values[:, 3] = nan
    scaler = RobustZScore(clip, fill_value=fill_value)
    before = values.copy()
    result = scaler.fit_transform(values)
    assert_array_equal(values, before)
    assert_allclose(result, slow_robust(values, clip, fill_value), rtol=1e-9, atol=1e-12)
    assert scaler.center_.shape == scaler.scale_.shape == (4,)
    assert np.isnan([scaler.center_[3], scaler.scale_[3]]).all()


def test_robust_z_score_scales_rows_that_it_was_not_fitted_on():
    train, test = heavy_tailed((30, 3)), heavy_tailed((10, 3), seed=1)
    scaler = RobustZScore(clip=None, fill_value=None).fit(train)
    center = np.array([np.median(c[~np.isnan(c)]) for c in train.T])
    deviation = [
        np.median(np.abs(c[~np.isnan(c)] - m)) for c, m in zip(train.T, center, strict=True)
    ]
    assert_allclose(scaler.center_, center)
    assert_allclose(scaler.scale_, 1.4826 * np.array(deviation), rtol=1e-9)
    assert_allclose(scaler.transform(test), (test - center) / (1.4826 * np.array(deviation)))


@pytest.mark.parametrize(("clip", "fill_value"), [(3.0, 0.0), (None, None), (1.0, -7.0)])
def test_tables_cubes_and_windows_agree(clip, fill_value):
    table = ragged_prices(n_days=25, seed=3)
    windows = Alpha360(length=5).fit_transform(table)
    dense = np.asarray(windows)
    flat = pd.DataFrame(dense.reshape(len(table), -1), table.index)
    scaler = RobustZScore(clip, fill_value=fill_value)
    lazy, of_cube, of_table = (clone(scaler).fit(X) for X in (windows, dense, flat))
    for fitted in (lazy, of_cube):
        assert fitted.center_.shape == fitted.scale_.shape == (5, 5)
        assert (fitted.n_steps_in_, fitted.n_features_in_) == (5, 5)
        assert_array_equal(fitted.center_.ravel(), of_table.center_)
        assert_array_equal(fitted.scale_.ravel(), of_table.scale_)
    assert lazy.feature_names_in_.tolist() == list(windows.fields)
    assert not hasattr(of_cube, "feature_names_in_")
    assert_same_bits(lazy.transform(dense), lazy.transform(windows))
    scaled = lazy.transform(windows)
    assert isinstance(scaled, WindowArray)
    assert_index_equal(scaled.index, table.index)
    assert scaled.fields == windows.fields
    assert_same_bits(scaled, of_cube.transform(dense))
    assert_same_bits(scaled, of_table.transform(flat).to_numpy().reshape(dense.shape))
    assert_same_bits(scaled, of_cube.transform(windows))
    assert_same_bits(windows, dense)
    expected = slow_robust(flat, clip, fill_value).reshape(dense.shape)
    assert_allclose(np.asarray(scaled)[:, :, 1:], expected[:, :, 1:], rtol=2e-4, atol=2e-5)
    # Rows taken after scaling are the rows taken before it.
    assert_same_bits(scaled[3:9], np.asarray(scaled)[3:9])


def test_robust_z_score_of_cells_without_spread_or_value():
    values = np.array([[nan, 5.0, 1.0], [nan, 5.0, 1.0], [nan, 5.0, 1.0], [nan, nan, 2.0]])
    scaler = RobustZScore().fit(values)
    assert_allclose(scaler.center_, [nan, 5, 1])
    assert_allclose(scaler.scale_, [nan, 1.4826e-12, 1.4826e-12])
    assert_array_equal(scaler.transform(values)[3], [0, 0, 3])
    # A cell without any value in training is missing ever after.
    later = np.array([[2.0, 4.9, 1.0]])
    assert_array_equal(scaler.transform(later), [[0, -3, 0]])
    unfilled = RobustZScore(fill_value=None).fit(values)
    assert_array_equal(unfilled.transform(later), [[nan, -3, 0]])
    cube = np.stack([values, values], axis=1).astype(np.float32)
    assert_array_equal(RobustZScore().fit_transform(cube)[3], [[0, 0, 3], [0, 0, 3]])
    assert_array_equal(RobustZScore(fill_value=None).fit_transform(cube)[3, 0], [nan, nan, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_robust_z_score_keeps_the_dtype(dtype):
    assert RobustZScore().fit_transform(heavy_tailed((9, 2), dtype=dtype)).dtype == dtype
    assert RobustZScore().fit_transform(heavy_tailed((9, 3, 2), dtype=dtype)).dtype == dtype
    assert RobustZScore().fit_transform(np.arange(6).reshape(3, 2)).dtype == np.float64


def test_robust_z_score_of_tables():
    table = ragged_prices()
    scaler = RobustZScore().fit(table)
    scaled = scaler.transform(table)
    assert isinstance(scaled, pd.DataFrame)
    assert_index_equal(scaled.index, table.index)
    assert_index_equal(scaled.columns, table.columns)
    assert_allclose(scaled, slow_robust(table), rtol=1e-9, atol=1e-12)
    assert scaler.get_feature_names_out().tolist() == OHLCV
    assert scaler.feature_names_in_.tolist() == OHLCV
    plain = table.reset_index(drop=True)
    assert_frame_equal(RobustZScore().fit_transform(plain), scaled.reset_index(drop=True))


@pytest.mark.parametrize("windows", [False, True])
def test_a_subsample_is_drawn_from_all_stocks(windows):
    """Every third row of a regular panel would always be of the same stocks."""
    n_days, n_stocks = 200, 30
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2020-01-01", periods=n_days), range(n_stocks)], names=KEYS
    )
    noise = np.random.default_rng(0).normal(size=len(index))
    table = pd.DataFrame({"a": np.tile(np.arange(n_stocks), n_days) + noise}, index)
    X = RollingWindow(2).fit_transform(table) if windows else table
    exact, part = RobustZScore().fit(X), RobustZScore(subsample=len(X) // 3).fit(X)
    assert_allclose(part.center_, exact.center_, atol=0.5)
    assert_allclose(part.scale_, exact.scale_, rtol=0.1)
    assert_array_equal(RobustZScore(subsample=len(X) // 3).fit(X).center_, part.center_)
    assert_array_equal(RobustZScore(subsample=len(X)).fit(X).center_, exact.center_)
    with pytest.raises(ValueError, match=r"subsample.*\b0\b"):
        RobustZScore(subsample=0).fit(X)


def test_a_fit_on_columns_forgets_the_steps_of_one_on_windows():
    scaler = RobustZScore().fit(np.arange(24.0).reshape(4, 3, 2))
    assert scaler.n_steps_in_ == 3
    assert not hasattr(scaler.fit(np.eye(3)), "n_steps_in_")


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clip", "fill_value"])
@pytest.mark.parametrize("value", ["3", True, [3.0]])
def test_limits_are_numbers(name, value):
    with pytest.raises(TypeError, match=rf"{name}.*{re.escape(repr(value))}"):
        RobustZScore().set_params(**{name: value}).fit(ragged_prices(missing=0.0))


def test_dates_are_no_numbers():
    with pytest.raises(TypeError, match=r"X.*datetime64"):
        RobustZScore().fit(np.array([["2024-01-02"]], dtype="datetime64[D]"))


@pytest.mark.parametrize("params", [{"clip": "3"}, {"fill_value": "a"}, {"clip": True}])
def test_robust_z_score_parameters(params):
    ((name, value),) = params.items()
    with pytest.raises(TypeError, match=rf"{name}.*{value!r}"):
        RobustZScore(**params).fit(np.ones((3, 2)))
