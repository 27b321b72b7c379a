"""CrossSectionalScaler against days that scipy scales one by one."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import SCALING_METHODS, scale_by_hand, scale_days_by_hand
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skattn.models import GRURegressor
from skattn.preprocessing import (
    Alpha360,
    CrossSectionalScaler,
    RobustZScore,
    SequenceReshaper,
    scale_within_days,
)


@pytest.fixture(scope="module")
def features(market):
    """Columns of a shuffled market with ties, gaps, and days without any spread or value."""
    table = market.ohlcv[["close", "volume"]].astype(float)
    table["tied"] = table["close"].round(-1)
    days = table.index.get_level_values("datetime")
    rng = np.random.default_rng(0)
    table = table.mask(rng.random(table.shape) < 0.05)
    table.loc[days == days[0], "close"] = 0.1
    table.loc[days == days[-1], "close"] = np.nan
    return table.sample(frac=1, random_state=0)


@pytest.mark.parametrize("method", SCALING_METHODS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_each_day_of_a_table_is_scaled_by_itself(features, method, dtype):
    table = features.astype(dtype)
    before = table.copy()
    scaled = CrossSectionalScaler(method).fit_transform(table)
    for name, column in table.items():
        expected = scale_days_by_hand(column, method)
        assert_allclose(scaled[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
    assert (scaled.dtypes == dtype).all()
    assert scaled.index.equals(table.index)
    assert_frame_equal(table, before)
    levels_swapped = CrossSectionalScaler(method).fit_transform(table.swaplevel())
    assert_array_equal(levels_swapped, scaled)


@settings(max_examples=25, deadline=None)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 7)),
        elements=st.sampled_from([-2.0, 0.1, 0.3, 5.0, 1e9, np.nan]),
    ),
    st.sampled_from(SCALING_METHODS),
)
def test_a_wide_panel_is_a_table_of_days_by_stocks(wide, method):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = pd.DataFrame(wide)
        scaled = CrossSectionalScaler(method).fit(table).transform(table).to_numpy()
    expected = np.array([scale_by_hand(row, method) for row in wide])
    assert_allclose(scaled, expected, rtol=1e-9, atol=1e-9)
    keys = pd.MultiIndex.from_product(
        [pd.date_range("2024-01-01", periods=len(wide)), range(wide.shape[1])],
        names=["datetime", "instrument"],
    )
    long = CrossSectionalScaler(method).fit_transform(pd.DataFrame({"x": wide.ravel()}, keys))
    assert_allclose(long["x"], scaled.ravel(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", SCALING_METHODS)
def test_other_days_have_no_say(features, method):
    scaler = CrossSectionalScaler(method).fit(features)
    days = features.index.get_level_values("datetime")
    some = features[days > days.max() - pd.Timedelta(days=30)]
    assert_frame_equal(scaler.transform(some), scaler.transform(features).loc[some.index])


def test_a_step_before_that_loses_the_index_is_noticed(features, market):
    pipeline = make_pipeline(StandardScaler(), CrossSectionalScaler(), Ridge())
    y = market.label.reindex(features.index).fillna(0)
    with pytest.raises(ValueError, match=r'set_output\(transform="pandas"\)'):
        pipeline.fit(features.fillna(0), y)
    pipeline.set_output(transform="pandas").fit(features.fillna(0), y)
    assert pipeline[1].input_kind_ == "table"


def test_tables_and_wide_panels_do_not_mix(features):
    with pytest.raises(ValueError, match=r"\bwithout\b.*CrossSectionalScaler.*\bwith\b"):
        CrossSectionalScaler().fit(features).transform(features.to_numpy())
    with pytest.raises(ValueError, match=r"\bwith\b.*CrossSectionalScaler.*\bwithout\b"):
        CrossSectionalScaler().fit(features.reset_index(drop=True)).transform(features)


@pytest.mark.parametrize("as_array", [False, True])
def test_windows_are_refused(market, as_array):
    windows = Alpha360(length=3).fit_transform(market.ohlcv)
    windows = np.asarray(windows) if as_array else windows
    with pytest.raises(TypeError, match=r'\(N, T, F\).*layout="columns"'):
        CrossSectionalScaler().fit(windows)


@pytest.mark.parametrize(
    ("change", "params", "message"),
    [
        (lambda t: t, {"method": "minmax"}, "method.*'minmax'"),
        (lambda t: t, {"method": np.array(SCALING_METHODS)}, r"method.*array\("),
        (lambda t: t[[]], {}, r"X.*\b0 feature"),
        (lambda t: pd.concat([t, t[:1]]), {}, r"X.*\(2010-05-06, 'S08'\)"),
        (lambda t: t.rename_axis(["date", "ticker"]), {}, "'datetime'.*'date', 'ticker'"),
        (lambda t: t.assign(name="x"), {}, "'name'"),
        (lambda t: t.assign(tied=np.inf), {}, "infinity"),
        (lambda t: t[:0], {}, "0 sample"),
    ],
    ids=["method", "array", "no columns", "double", "levels", "text", "infinity", "empty"],
)
def test_bad_input_of_the_scaler(features, change, params, message):
    with pytest.raises(ValueError, match=message):
        CrossSectionalScaler(**params).fit(change(features))


@pytest.mark.parametrize("make", [pl.DataFrame, pl.LazyFrame, pa.table])
def test_tables_of_other_libraries_are_pointed_to_from_long(make):
    with pytest.raises(TypeError, match=r"X.*(polars|pyarrow).*from_long"):
        CrossSectionalScaler().fit(make({"a": [1.0, 2.0]}))


def test_objects_may_be_missing_in_any_way(features):
    table = features.astype(object)
    table.iloc[:3, 0] = [pd.NA, None, np.nan]
    expected = CrossSectionalScaler().fit_transform(table.fillna(np.nan).astype(float))
    assert_array_equal(CrossSectionalScaler().fit_transform(table), expected)


def test_two_stamps_on_a_day_are_refused(features):
    stamps = [(d.replace(hour=15 if s < "S05" else 16), s) for d, s in features.index]
    table = features.set_axis(pd.MultiIndex.from_tuples(stamps, names=features.index.names))
    with pytest.raises(ValueError, match=r"2010-05-06.*16:00"):
        CrossSectionalScaler().fit_transform(table)


def test_scaler_before_windows(market):
    pipeline = make_pipeline(
        Alpha360(length=5, layout="columns"),
        CrossSectionalScaler("robust"),
        RobustZScore(fill_value=0.0),
        SequenceReshaper(),
        GRURegressor(hidden_size=2, max_epochs=1, random_state=0),
    )
    assert np.isfinite(pipeline.fit(market.ohlcv, market.label).predict(market.ohlcv)).all()
    names = pipeline[:2].get_feature_names_out()
    assert names[:2].tolist() == ["CLOSE4", "CLOSE3"]


# No bit of a day depends on anything else ---------------------------------------------------------


@st.composite
def days_of_numbers(draw):
    """Values on a few days, of any size, with NaN, and their day."""
    scale = draw(st.sampled_from([1e-300, 1e-200, 1.0, 1e9, 1e300]))
    numbers = st.floats(-1, 1, allow_subnormal=False) | st.just(float("nan"))
    values = np.array(draw(st.lists(numbers, min_size=4, max_size=60))) * scale
    level = draw(st.sampled_from([0.0, 1.0])) * scale
    return values + level, np.array([draw(st.integers(0, 3)) for _ in values])


@settings(max_examples=100, deadline=None)
@given(days_of_numbers(), st.sampled_from(SCALING_METHODS), st.randoms(use_true_random=False))
def test_a_day_is_scaled_by_itself_to_the_bit(numbers, method, random):
    values, day = numbers
    scaled = scale_within_days(values, day, method)
    for each in np.unique(day):
        rows = np.flatnonzero(day == each)
        alone = scale_within_days(values[rows], day[rows] * 0, method)
        assert_array_equal(scaled[rows], alone)
    order = np.array(random.sample(range(len(values)), len(values)))
    assert_array_equal(scale_within_days(values[order], day[order], method), scaled[order])


@pytest.mark.parametrize("method", SCALING_METHODS)
@pytest.mark.parametrize("unit", [1e-307, 1e-200, 1.0, 1e300, 1e307])
def test_the_unit_does_not_matter(method, unit):
    values = np.random.default_rng(0).normal(size=50)
    day = np.arange(50) % 3
    expected = scale_within_days(values, day, method)
    scaled = scale_within_days(values * unit, day, method)
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["zscore", "robust"])
def test_a_missing_value_changes_no_other_day(method):
    """The case that was found: a NaN in the last row changed values of earlier days."""
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(21), 7)
    values = rng.normal(size=147) * 1e3 + 1e9
    before = scale_within_days(values, day, method)
    values[-1] = np.nan
    assert_array_equal(scale_within_days(values, day, method)[:-7], before[:-7])
