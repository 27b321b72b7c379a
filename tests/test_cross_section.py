"""Scaling within each day: features, and the label that a regressor is trained on."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.stats import median_abs_deviation, rankdata, zscore
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.callback import ProgressBar
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from skattn.inspection import attention_weights
from skattn.metrics import ic_scorer, rank_ic_score
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import ALSTMRegressor, GRURegressor
from skattn.preprocessing import (
    Alpha360,
    CrossSectionalScaler,
    CrossSectionalTarget,
    RobustZScore,
    SequenceReshaper,
)

METHODS = ("rank", "zscore", "robust")


def scale_by_hand(values: np.ndarray, method: str) -> np.ndarray:
    """One day by scipy, a value that is missing left out."""
    scaled = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    x = values[known].astype(float)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method == "rank":
            scaled[known] = (rankdata(x) / len(x) - 0.5) * 3.46
        elif method == "zscore":
            same = len(x) == 0 or np.ptp(x) == 0
            scaled[known] = np.nan if same else zscore(x, ddof=1)
        elif len(x):
            mad = 1.4826 * median_abs_deviation(x)
            scaled[known] = np.clip((x - np.median(x)) / mad, -3, 3)
    return scaled


def scale_days_by_hand(column: pd.Series, method: str) -> np.ndarray:
    days = column.index.get_level_values("datetime")
    scaled = np.empty(len(column))
    for day in days.unique():
        scaled[days == day] = scale_by_hand(column.to_numpy()[days == day], method)
    return scaled


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


@pytest.fixture
def known(market):
    """Features of the latest days, without NaN, and the labels of the same rows."""
    X = Alpha360(["close", "volume"], length=5, layout="columns").fit_transform(market.ohlcv)
    return RobustZScore().fit_transform(X), market.label


class Recorder(RegressorMixin, BaseEstimator):
    """Keeps what it is given."""

    def fit(self, X, y, instruments=None, X_val=None, y_val=None):
        self.given_ = X, y
        self.instruments_, self.val_ = instruments, (X_val, y_val)
        return self

    def predict(self, X, shift=0.0):
        check_is_fitted(self)
        return np.arange(len(X)) + shift

    def build_module(self):
        """Mark it as one that takes unlabelled rows, as skattn's regressors do."""


class Seer(Recorder):
    """One that looks at the days and stocks of the rows that it predicts."""

    seen: ClassVar[dict] = {}

    def fit(self, X, y, days=None):
        self.days_ = days
        return super().fit(X, y)

    def predict(self, X, days=None, instruments=None):
        self.seen.update(days=days, instruments=instruments)
        return super().predict(X)


class Strict(Recorder):
    """One that takes labelled rows only."""

    build_module = property()


class Bagging(Strict):
    """An ensemble, which has an estimator, and checks the labels itself."""

    def __init__(self, estimator):
        self.estimator = estimator


# CrossSectionalScaler ---------------------------------------------------------------------------


@parametrize_with_checks([CrossSectionalScaler(method) for method in METHODS])
def test_scikit_learn_checks_of_the_scaler(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", METHODS)
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
    st.sampled_from(METHODS),
)
def test_a_wide_panel_is_a_table_of_days_by_stocks(wide, method):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = CrossSectionalScaler(method).fit(wide).transform(wide)
    expected = np.array([scale_by_hand(row, method) for row in wide])
    assert_allclose(scaled, expected, rtol=1e-9, atol=1e-9)
    keys = pd.MultiIndex.from_product(
        [pd.date_range("2024-01-01", periods=len(wide)), range(wide.shape[1])],
        names=["datetime", "instrument"],
    )
    long = CrossSectionalScaler(method).fit_transform(pd.DataFrame({"x": wide.ravel()}, keys))
    assert_allclose(long["x"], scaled.ravel(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
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
    assert pipeline[1].by_day_


def test_tables_and_wide_panels_do_not_mix(features):
    with pytest.raises(ValueError, match=r"fitted on X with a .* got one without"):
        CrossSectionalScaler().fit(features).transform(features.to_numpy())
    with pytest.raises(ValueError, match=r"fitted on X without a .* got one with a"):
        CrossSectionalScaler().fit(features.reset_index(drop=True)).transform(features)


@pytest.mark.parametrize("as_array", [False, True])
def test_windows_are_refused(market, as_array):
    windows = Alpha360(length=3).fit_transform(market.ohlcv)
    windows = np.asarray(windows) if as_array else windows
    with pytest.raises(TypeError, match=r'not \(N, T, F\) windows.*layout="columns"'):
        CrossSectionalScaler().fit(windows)


@pytest.mark.parametrize(
    ("change", "params", "message"),
    [
        (lambda t: t, {"method": "minmax"}, r"\('rank', 'zscore', 'robust'\); got 'minmax'"),
        (lambda t: t, {"method": np.array(METHODS)}, r"'robust'\); got array\("),
        (lambda t: t[[]], {}, "X has no columns"),
        (lambda t: pd.concat([t, t[:1]]), {}, "duplicate"),
        (lambda t: t.rename_axis(["date", "ticker"]), {}, "'datetime' and 'instrument'"),
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
    with pytest.raises(TypeError, match=r"a table of type (polars|pyarrow).*from_long"):
        CrossSectionalScaler().fit(make({"a": [1.0, 2.0]}))


def test_objects_may_be_missing_in_any_way(features):
    table = features.astype(object)
    table.iloc[:3, 0] = [pd.NA, None, np.nan]
    expected = CrossSectionalScaler().fit_transform(table.fillna(np.nan).astype(float))
    assert_array_equal(CrossSectionalScaler().fit_transform(table), expected)


def test_a_fit_on_columns_forgets_the_steps_of_one_on_windows():
    scaler = RobustZScore().fit(np.arange(24.0).reshape(4, 3, 2))
    assert scaler.n_steps_in_ == 3
    assert not hasattr(scaler.fit(np.eye(3)), "n_steps_in_")


def test_two_stamps_on_a_day_are_refused(features):
    stamps = [(d.replace(hour=15 if s < "S05" else 16), s) for d, s in features.index]
    table = features.set_axis(pd.MultiIndex.from_tuples(stamps, names=features.index.names))
    with pytest.raises(ValueError, match="different time stamps on one day"):
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


# CrossSectionalTarget ---------------------------------------------------------------------------


# The checks know no days.
@pytest.mark.filterwarnings("ignore:The trading days of y are not known")
@parametrize_with_checks(
    [
        *(CrossSectionalTarget(Ridge(), method) for method in METHODS),
        CrossSectionalTarget(GRURegressor(hidden_size=8, lr=0.05, max_epochs=20, random_state=0)),
    ]
)
def test_scikit_learn_checks_of_the_target(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", METHODS)
def test_the_regressor_gets_the_label_scaled_by_day(known, method):
    X, y = known
    y.attrs["unit"] = "fraction"
    model = CrossSectionalTarget(Recorder(), method).fit(X, y)
    given_X, given_y = model.regressor_.given_
    assert given_X is X
    assert_allclose(given_y, scale_days_by_hand(y, method), rtol=1e-9, atol=1e-12)
    assert given_y.index.equals(y.index)
    assert given_y.name == "label"
    assert given_y.attrs == y.attrs == {"horizon": 2, "delay": 1, "unit": "fraction"}
    assert_array_equal(model.predict(X), np.arange(len(X)))
    assert_array_equal(model.predict(X, shift=0.5), np.arange(len(X)) + 0.5)


def test_days_come_from_the_argument_then_y_then_x(known):
    X, y = known
    days = y.index.get_level_values("datetime")
    expected = CrossSectionalTarget(Recorder()).fit(X, y).regressor_.given_[1]

    def fitted(X, y, **params):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return CrossSectionalTarget(Recorder()).fit(X, y, **params).regressor_.given_[1]

    array = y.to_numpy()
    for scaled in (
        fitted(X, array),
        fitted(X.to_numpy(), y),
        fitted(X.to_numpy(), array, days=days),
        fitted(X.to_numpy(), list(array), days=list(days)),
    ):
        assert_array_equal(scaled, expected)
    monthly = days.to_period("M").to_timestamp()
    by_month = fitted(X, y, days=monthly)
    assert_allclose(
        by_month,
        3.46 * (y.groupby(monthly.to_numpy()).rank(pct=True) - 0.5),
        rtol=1e-12,
        atol=1e-12,
    )
    assert not np.allclose(by_month, expected, equal_nan=True)


def test_unknown_days_are_one_cross_section_with_a_warning(known):
    X, y = (part.to_numpy() for part in known)
    with pytest.warns(UserWarning, match="days of y are not known.*pass days=") as caught:
        model = CrossSectionalTarget(Recorder()).fit(X, y)
    assert caught[0].filename == __file__
    assert_allclose(model.regressor_.given_[1], scale_by_hand(y, "rank"), rtol=1e-12, atol=1e-12)


def test_a_regressor_of_labelled_rows_gets_those(known):
    X, y = known
    rows = y.notna().to_numpy()
    assert 0 < (~rows).sum() < len(y) / 2
    names = np.asarray(y.index.get_level_values("instrument"))
    model = CrossSectionalTarget(Strict()).fit(X, y, instruments=names)
    given_X, given_y = model.regressor_.given_
    assert_frame_equal(given_X, X[rows])
    assert given_y.index.equals(y.index[rows])
    assert_allclose(given_y, scale_days_by_hand(y, "rank")[rows], rtol=1e-12, atol=1e-12)
    assert_array_equal(model.regressor_.instruments_, names[rows])
    assert model.predict(X).shape == y.shape

    ridge = CrossSectionalTarget(Ridge()).fit(X, y, sample_weight=np.ones(len(y)))
    by_hand = Ridge().fit(X[rows], scale_days_by_hand(y, "rank")[rows])
    assert_allclose(ridge.regressor_.coef_, by_hand.coef_, rtol=1e-9)
    assert list(ridge.feature_names_in_) == list(X.columns)


def test_only_searches_and_pipelines_pass_unlabelled_rows_on(known):
    X, y = known
    X = X.to_numpy()[:, :, None]
    rows = np.flatnonzero(y.notna())
    ensemble = CrossSectionalTarget(Bagging(GRURegressor())).fit(X, y)
    assert_array_equal(ensemble.regressor_.given_[0], X[rows])
    search = GridSearchCV(Recorder(), {}, cv=2, scoring=lambda *_: 0.0)
    assert CrossSectionalTarget(search).fit(X, y).regressor_.best_estimator_.given_[0] is X


def test_a_pipeline_inside_drops_the_rows_for_its_steps_too_and_says_so(known):
    X, y = known
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CrossSectionalTarget(make_pipeline(StandardScaler(), Ridge())).fit(X, y)
        CrossSectionalTarget(make_pipeline(RobustZScore(), Recorder())).fit(X, y)
    model = CrossSectionalTarget(make_pipeline(CrossSectionalScaler(), Ridge()))
    with pytest.warns(UserWarning, match=r"CrossSectionalScaler before it .* at the end"):
        model.fit(X, y)


def test_labels_of_validation_are_scaled_by_their_own_days(known):
    X, y = known
    X_val, y_val = X[-200:], y[-200:]
    model = CrossSectionalTarget(Recorder(), "zscore")
    expected = scale_days_by_hand(y_val, "zscore")
    for labels in (y_val, y_val.to_numpy()):
        model.fit(X[:-300], y[:-300], X_val=X_val, y_val=labels)
        given_X, given_y = model.regressor_.val_
        assert given_X is X_val
        assert_allclose(given_y, expected, rtol=1e-9, atol=1e-12)
    pipeline = CrossSectionalTarget(make_pipeline("passthrough", Recorder()), "zscore")
    pipeline.fit(X, y, recorder__X_val=X_val, recorder__y_val=y_val.to_numpy())
    assert pipeline.regressor_[-1].val_[0] is X_val
    assert_allclose(pipeline.regressor_[-1].val_[1], expected, rtol=1e-9, atol=1e-12)
    with pytest.warns(UserWarning, match="days of y_val are not known"):
        model.fit(X, y, X_val=X_val.to_numpy(), y_val=y_val.to_numpy())
    with pytest.raises(ValueError, match="X_val and y_val have the same length but different"):
        model.fit(X, y, X_val=X[-201:-1], y_val=y_val)


def test_validation_rows_are_not_cut_to_the_labelled_ones_of_x(known):
    X, y = known
    model = CrossSectionalTarget(Strict()).fit(X, y, X_val=X, y_val=y)
    assert len(model.regressor_.given_[0]) < len(X)
    assert model.regressor_.val_[0] is X
    assert_allclose(model.regressor_.val_[1], scale_days_by_hand(y, "rank"), atol=1e-12)


def test_a_fit_that_fails_leaves_the_last_one(known):
    X, y = known
    model = CrossSectionalTarget(Ridge())
    with pytest.raises(ValueError, match="'cholesky'"):
        model.set_params(regressor__solver="none").fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    expected = model.set_params(regressor__solver="auto").fit(X, y).predict(X)
    with pytest.raises(ValueError, match="'cholesky'"):
        model.set_params(regressor__solver="none").fit(X, y)
    assert_array_equal(model.predict(X), expected)


def small(**params):
    return GRURegressor(hidden_size=3, max_epochs=3, random_state=0, **params)


def test_skattn_models_train_as_on_a_label_scaled_by_hand(windows):
    X, y = windows
    y = y.copy()
    y.iloc[::9] = np.nan
    by_hand = pd.Series(scale_days_by_hand(y, "rank"), y.index)
    expected = small(purge=6).fit(X, by_hand).predict(X)
    y.attrs["horizon"] = 6
    model = CrossSectionalTarget(small()).fit(X, y)
    assert_array_equal(model.predict(X), expected)
    with pytest.warns(UserWarning, match="reaches 6 days ahead, but purge=1"):
        CrossSectionalTarget(small(purge=1)).fit(X, y)
    days = y.index.get_level_values("datetime")
    by_days = CrossSectionalTarget(small(purge=6)).fit(X, y.to_numpy(), days=days)
    assert_array_equal(by_days.predict(X), expected)


def test_metadata_routing(windows):
    X, y = windows
    days = y.index.get_level_values("datetime")
    expected = CrossSectionalTarget(small()).fit(X, y).predict(X)
    with sklearn.config_context(enable_metadata_routing=True):
        inner = small().set_fit_request(days=True).set_predict_request(days=True)
        model = CrossSectionalTarget(inner).set_fit_request(days=True)
        routed = make_pipeline(model).fit(X, y.to_numpy(), days=days)
        assert_array_equal(routed.predict(X, days=days), expected)
        with pytest.raises(ValueError, match=r"\[instruments\] are passed but .* for GRURegressor"):
            model.fit(X, y, instruments=days)


def test_score_is_the_mean_daily_rank_ic_with_the_label_as_it_is(known):
    X, y = known
    model = CrossSectionalTarget(Ridge()).fit(X, y)
    expected = rank_ic_score(y, model.predict(X))
    assert 0.02 < expected < 0.9
    days = y.index.get_level_values("datetime")
    assert model.score(X, y) == expected
    assert model.score(X, y.to_numpy()) == expected
    assert model.score(X, np.exp(y)) == pytest.approx(expected, abs=1e-12)
    by_days = CrossSectionalTarget(Recorder()).fit(X, y)
    assert by_days.score(X.to_numpy(), y.to_numpy(), days=days) == by_days.score(X, y)
    one = pd.Series(by_days.predict(X)).corr(y.reset_index(drop=True), method="spearman")
    assert by_days.score(X.to_numpy(), y.to_numpy()) == pytest.approx(one, abs=1e-12)


@pytest.mark.parametrize("inside", [False, True], ids=["model", "pipeline"])
@pytest.mark.parametrize("routing", [False, True])
def test_score_tells_the_regressor_the_days(known, inside, routing):
    X, y = known
    days, stocks = (y.index.get_level_values(name) for name in y.index.names)
    with sklearn.config_context(enable_metadata_routing=routing):
        seer = Seer()
        if routing:
            seer.set_fit_request(days=True).set_predict_request(days=True, instruments=True)
        model = CrossSectionalTarget(make_pipeline("passthrough", seer) if inside else seer)
        model = model.set_fit_request(days=True) if routing else model
        model.fit(X.to_numpy(), y.to_numpy(), days=days)
        fitted = model.regressor_[-1] if inside else model.regressor_
        assert_array_equal(fitted.days_, days)
        by_days = model.score(X.to_numpy(), y.to_numpy(), days=days)
        assert_array_equal(Seer.seen["days"], days)
        assert Seer.seen["instruments"] is None
        assert model.score(X.to_numpy(), y) == by_days
        assert_array_equal(Seer.seen["days"], days)
        assert_array_equal(Seer.seen["instruments"], stocks)


def test_score_takes_no_weights(known):
    X, y = known
    model = CrossSectionalTarget(Ridge()).fit(X, y)
    assert model.score(X, y, None) == model.score(X, y)
    with pytest.raises(ValueError, match="sample_weight must be None: a rank IC has no weights"):
        model.score(X, y, np.ones(len(y)))


def test_a_planted_common_move_is_left_out(known):
    """A move of the whole market, which the raw label is made of, teaches the target nothing."""
    X, y = known
    moved = y + 100 * y.groupby(level="datetime").transform("count")
    coefs = [CrossSectionalTarget(Ridge()).fit(X, label).regressor_.coef_ for label in (y, moved)]
    assert_allclose(*coefs, rtol=1e-6, atol=1e-9)


def test_pipeline_search_clone_and_pickle(market):
    pipeline = make_pipeline(
        Alpha360(["close"], length=5, calendar=market.ohlcv.index.unique("datetime")),
        RobustZScore(),
        CrossSectionalTarget(small()),
    )
    cv = DailyTimeSeriesSplit(n_splits=2)
    grid = {
        "crosssectionaltarget__regressor__hidden_size": [2, 3],
        "crosssectionaltarget__method": ["rank", "zscore"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GridSearchCV(pipeline, grid, cv=cv).fit(market.ohlcv, market.label)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    again = pickle.loads(pickle.dumps(best))
    assert_array_equal(again.predict(market.ohlcv), best.predict(market.ohlcv))
    with pytest.raises(NotFittedError):
        clone(best)[-1].predict(market.ohlcv)
    scores = cross_val_score(pipeline, market.ohlcv, market.label, cv=cv, scoring=ic_scorer)
    assert np.isfinite(scores).all()


def test_progress_bar_goes_through(windows, capsys):
    pytest.importorskip("rich")
    model = CrossSectionalTarget(small()).set_callbacks(ProgressBar(max_propagation_depth=None))
    model.fit(*windows)
    assert "GRURegressor" in capsys.readouterr().out


def test_attention_weights_see_through(windows):
    X, y = windows
    model = ALSTMRegressor(hidden_size=3, max_epochs=1, random_state=0)
    target = CrossSectionalTarget(make_pipeline(model)).fit(X, y)
    expected = attention_weights(target.regressor_[-1], X).time
    assert_frame_equal(attention_weights(target, X).time, expected)
    assert_frame_equal(attention_weights(make_pipeline(target), X).time, expected)
    with pytest.raises(TypeError, match="got DummyRegressor"):
        attention_weights(CrossSectionalTarget(DummyRegressor()).fit(X, y), X)


@pytest.mark.parametrize(
    ("params", "change", "error", "message"),
    [
        ({"method": "minmax"}, lambda y: y, ValueError, "'robust'.*; got 'minmax'"),
        ({"regressor": LogisticRegression()}, lambda y: y, TypeError, "got LogisticRegression"),
        ({"regressor": StandardScaler()}, lambda y: y, TypeError, "regressor must be .* got Stand"),
        ({"regressor": Ridge}, lambda y: y, TypeError, "regressor must be .* got <class"),
        ({"regressor": None}, lambda y: y, TypeError, "regressor must be .* got None"),
        ({"regressor": "ridge"}, lambda y: y, TypeError, "regressor must be .* got 'ridge'"),
        ({"method": np.array(["rank"])}, lambda y: y, ValueError, r"'robust'.*; got array\("),
        ({}, lambda y: pd.to_datetime(y), TypeError, r"y must hold numbers.* got datetime64\[ns\]"),
        ({}, lambda y: pd.to_timedelta(y), TypeError, r"y must hold numbers.* got timedelta64"),
        ({}, lambda y: None, ValueError, "requires y to be passed"),
        ({}, lambda y: y * np.nan, ValueError, "y has no label to train on: 200 are NaN"),
        ({"method": "zscore"}, lambda y: 0 * y + 0.1, ValueError, "no day .* labels that differ"),
        ({}, lambda y: y.replace(y.iloc[3], np.inf), ValueError, "y contains infinity"),
        ({}, lambda y: y[1:], ValueError, "inconsistent numbers of samples"),
        ({}, lambda y: y.to_frame().assign(b=1.0), ValueError, r"1d array.*\(200, 2\)"),
        ({}, lambda y: y[::-1], ValueError, "X and y have the same length but different rows"),
    ],
    ids=[
        "method",
        "classifier",
        "scaler",
        "class",
        "no regressor",
        "name",
        "array",
        "dates",
        "durations",
        "none",
        "nan",
        "constant",
        "infinity",
        "length",
        "two columns",
        "order",
    ],
)
def test_bad_input_of_the_target(windows, params, change, error, message):
    X, y = windows
    X = pd.DataFrame(X[:, 0], y.index)
    model = CrossSectionalTarget(**{"regressor": Ridge(), **params})
    with pytest.raises(error, match=message):
        model.fit(X, change(y))


def test_bad_days(known):
    X, y = known
    with pytest.raises(TypeError, match="days must be dates"):
        CrossSectionalTarget(Ridge()).fit(X, y, days=np.arange(len(y)))
    with pytest.raises(ValueError, match="inconsistent"):
        CrossSectionalTarget(Ridge()).fit(X, y, days=["2024-01-02"])


def test_a_label_of_one_column_is_taken_as_scikit_learn_does(known):
    X, y = known
    expected = CrossSectionalTarget(Recorder()).fit(X, y).regressor_.given_[1]
    with pytest.warns(DataConversionWarning):
        model = CrossSectionalTarget(Recorder()).fit(X, y.to_frame())
    assert_array_equal(model.regressor_.given_[1], expected)
    assert model.regressor_.given_[1].attrs["horizon"] == 2


def test_ridge_needs_no_torch():
    code = (
        "import sys, numpy as np, pandas as pd; from sklearn.linear_model import Ridge;"
        "from skattn.preprocessing import CrossSectionalTarget as T;"
        "X = np.random.default_rng(0).normal(size=(9, 2));"
        "T(Ridge()).fit(X, X[:, 0], days=['2024-01-02'] * 9).predict(X);"
        "print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
