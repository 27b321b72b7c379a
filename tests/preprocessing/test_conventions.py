"""scikit-learn's conventions, and its own checks of every transformer as it comes."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import QLIB_ORDER, assert_same_bits, days_in, heavy_tailed, ragged_prices
from pandas.testing import assert_frame_equal, assert_index_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skattn.panel import WindowArray
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    CrossSectionalScaler,
    RobustZScore,
    RollingWindow,
    SequenceReshaper,
)

TRANSFORMERS = [
    Alpha158(),
    Alpha360(),
    CrossSectionalScaler(),
    RobustZScore(),
    RollingWindow(),
    SequenceReshaper(),
]


@parametrize_with_checks(TRANSFORMERS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_scikit_learn_checks_are_not_skipped(transformer):
    results = check_estimator(transformer, on_skip=None, on_fail=None)
    others = {r["check_name"]: r["status"] for r in results if r["status"] != "passed"}
    assert others in ({}, {"check_array_api_input": "skipped"})
    assert len(results) > 40


@pytest.mark.parametrize(
    ("transformer", "params"),
    [
        (
            Alpha360(("close",), length=3, vwap="typical", layout="columns"),
            {
                "fields": ("close",),
                "length": 3,
                "vwap": "typical",
                "layout": "columns",
                "calendar": None,
            },
        ),
        (RobustZScore(2.5, fill_value=None), {"clip": 2.5, "fill_value": None, "subsample": None}),
        (SequenceReshaper(6), {"n_features": 6, "by": "name"}),
        (SequenceReshaper(by="position"), {"n_features": None, "by": "position"}),
        (
            Alpha360(),
            {"fields": None, "length": 60, "vwap": None, "layout": "windows", "calendar": None},
        ),
        (RobustZScore(), {"clip": 3.0, "fill_value": 0.0, "subsample": None}),
    ],
)
def test_parameters(transformer, params):
    assert transformer.get_params() == params
    assert clone(transformer).get_params() == params
    assert type(transformer)().set_params(**params).get_params() == params


@pytest.mark.parametrize("transformer", [Alpha360(), RobustZScore(), SequenceReshaper()], ids=str)
def test_transform_before_fit(transformer):
    with pytest.raises(NotFittedError):
        transformer.transform(ragged_prices())


def test_set_output():
    values = heavy_tailed((6, 2))
    scaler = RobustZScore().set_output(transform="pandas").fit(values)
    assert isinstance(scaler.transform(values), pd.DataFrame)
    assert scaler.transform(values).columns.tolist() == ["x0", "x1"]
    columns = Alpha360(length=2, layout="columns").set_output(transform="polars")
    table = ragged_prices()
    result = columns.fit_transform(table)
    assert type(result).__module__.startswith("polars")
    assert (
        result.columns == Alpha360(length=2, layout="columns").fit_transform(table).columns.tolist()
    )
    # Windows are no tables, so there is nothing to set.
    assert not hasattr(Alpha360(), "get_feature_names_out")
    assert not hasattr(Alpha360(), "set_output")
    with config_context(transform_output="pandas"):
        assert isinstance(Alpha360(length=2).fit_transform(table), WindowArray)
        columns = Alpha360(length=2, layout="columns").fit_transform(table)
        scaled = RobustZScore().fit_transform(columns)
        assert_index_equal(scaled.index, table.index)
        assert isinstance(SequenceReshaper().fit_transform(scaled), WindowArray)


@pytest.mark.parametrize("make", [lambda x: x, np.asarray], ids=["windows", "array"])
def test_windows_stay_windows_whatever_output_is_configured(make):
    windows = make(Alpha360(length=2).fit_transform(ragged_prices()))
    with config_context(transform_output="pandas"):
        scaled = RobustZScore().fit_transform(windows)
    assert_same_bits(scaled, RobustZScore().fit_transform(windows))


def test_pipeline_of_windows():
    table = ragged_prices(n_days=20)
    pipeline = make_pipeline(Alpha360(vwap="typical", length=6), RobustZScore())
    scaled = pipeline.fit_transform(table)
    assert isinstance(scaled, WindowArray)
    assert scaled.shape == (len(table), 6, 6)
    assert scaled.fields == QLIB_ORDER
    assert_index_equal(scaled.index, table.index)
    dense = np.asarray(scaled)
    assert np.isfinite(dense).all()
    assert np.abs(dense).max() <= 3
    assert_same_bits(clone(pipeline).fit(table).transform(table), dense)
    assert_same_bits(pickle.loads(pickle.dumps(pipeline)).transform(table), dense)


def test_refitting_forgets():
    table, cube = ragged_prices(), heavy_tailed((6, 4, 5))
    scaler = RobustZScore().fit(table)
    assert_same_bits(scaler.fit(cube).transform(cube), RobustZScore().fit_transform(cube))
    assert not hasattr(scaler, "feature_names_in_")
    assert scaler.center_.shape == (4, 5)
    assert_frame_equal(scaler.fit(table).transform(table), RobustZScore().fit_transform(table))
    later = ragged_prices(n_days=30, seed=9)
    later = later[days_in(later) > days_in(table).max()]
    transformer = Alpha360(length=3).fit(ragged_prices(n_days=25, seed=7)).fit(table)
    assert_same_bits(transformer.transform(later), Alpha360(length=3).fit(table).transform(later))
