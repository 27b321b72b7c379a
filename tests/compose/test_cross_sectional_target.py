"""The label that a regressor is trained on, scaled within each day."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import SCALING_METHODS, scale_by_hand, scale_days_by_hand
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.callback import ProgressBar
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from skattn.compose import CrossSectionalTarget
from skattn.inspection import attention_weights
from skattn.metrics import ic_scorer, rank_ic_score
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import ALSTMRegressor, GRURegressor
from skattn.preprocessing import Alpha360, CrossSectionalScaler, RobustZScore
from skattn.utils import PanelRegressorTags


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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags = PanelRegressorTags(takes_unlabelled=True)
        return tags


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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags = PanelRegressorTags()
        return tags


class Renamed(Strict):
    """One whose validation rows have LightGBM's names."""

    def fit(self, X, y, eval_X=None, eval_y=None):
        return super().fit(X, y, X_val=eval_X, y_val=eval_y)


class Bagging(Strict):
    """An ensemble, which has an estimator, and checks the labels itself."""

    def __init__(self, estimator):
        self.estimator = estimator


# The checks know no days.
@pytest.mark.filterwarnings("ignore:The trading days of y are not known")
@parametrize_with_checks([CrossSectionalTarget(Ridge())])
def test_scikit_learn_checks_of_the_target(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", SCALING_METHODS)
def test_the_regressor_gets_the_label_scaled_by_day(known, method):
    X, y = known
    y.attrs["unit"] = "fraction"
    model = CrossSectionalTarget(Recorder(), method).fit(X, y)
    given_X, given_y = model.regressor_.given_
    assert given_X is X
    assert_allclose(given_y, scale_days_by_hand(y, method), rtol=1e-9, atol=1e-12)
    assert given_y.index.equals(y.index)
    assert given_y.name == "label"
    assert given_y.attrs == y.attrs == {"horizon": 1, "delay": 1, "reach": 2, "unit": "fraction"}
    assert_array_equal(model.predict(X), np.arange(len(X)))
    assert_array_equal(model.predict(X, shift=0.5), np.arange(len(X)) + 0.5)


def test_days_come_from_the_argument_then_x_then_y(known):
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
    with pytest.warns(UserWarning, match=r"\by\b.*days=") as caught:
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
    with pytest.warns(UserWarning, match=r"Ridge.*CrossSectionalScaler"):
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
    with pytest.warns(UserWarning, match=r"y_val.*'datetime'"):
        model.fit(X, y, X_val=X_val.to_numpy(), y_val=y_val.to_numpy())
    with pytest.raises(ValueError, match=r"X_val.*y_val\.reindex"):
        model.fit(X, y, X_val=X[-201:-1], y_val=y_val)


def test_validation_rows_are_cut_to_their_own_labelled_ones(known):
    X, y = known
    # As many rows as X has, labelled in other rows.
    y_val = y.fillna(0.1).where(np.arange(len(y)) % 7 > 0)
    rows = y_val.notna()
    model = CrossSectionalTarget(Strict()).fit(X, y, X_val=X, y_val=y_val)
    assert_frame_equal(model.regressor_.given_[0], X[y.notna()])
    assert_frame_equal(model.regressor_.val_[0], X[rows])
    assert_allclose(model.regressor_.val_[1], scale_days_by_hand(y_val, "rank")[rows], atol=1e-12)
    inner = make_pipeline("passthrough", Strict())
    inner = CrossSectionalTarget(inner).fit(X, y, strict__X_val=X, strict__y_val=y_val)
    assert_frame_equal(inner.regressor_[-1].val_[0], X[rows])


def test_validation_rows_by_other_names_are_cut_too(known):
    X, y = known
    y_val = y.fillna(0.1).where(np.arange(len(y)) % 7 > 0)
    with sklearn.config_context(enable_metadata_routing=True):
        renamed = Renamed().set_fit_request(eval_X="X_val", eval_y="y_val")
        model = CrossSectionalTarget(renamed).fit(X, y, X_val=X, y_val=y_val)
    given_X, given_y = model.regressor_.val_
    assert_frame_equal(given_X, X[y_val.notna()])
    assert given_y.index.equals(given_X.index)


def test_the_label_as_it_is(known):
    """Without a method, rows without a label are all that the regressor is spared."""
    X, y = known
    rows = y.notna()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = CrossSectionalTarget(Strict(), None).fit(X.to_numpy(), y.to_numpy())
        takes_all = CrossSectionalTarget(Recorder(), None).fit(X, y, X_val=X, y_val=y)
    assert_array_equal(model.regressor_.given_[0], X[rows])
    assert_array_equal(model.regressor_.given_[1], y[rows])
    assert_array_equal(takes_all.regressor_.given_[1], y)
    assert takes_all.regressor_.given_[1].attrs == y.attrs
    assert takes_all.regressor_.val_[0] is X
    with pytest.raises(ValueError, match=r"y has no label to train on: 1811 are NaN"):
        model.fit(X, y * np.nan)


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


def small_gru(**params):
    return GRURegressor(hidden_size=3, max_epochs=3, random_state=0, **params)


def test_skattn_models_train_as_on_a_label_scaled_by_hand(windows):
    X, y = windows
    y = y.copy()
    y.iloc[::9] = np.nan
    by_hand = pd.Series(scale_days_by_hand(y, "rank"), y.index)
    expected = small_gru(purge=6).fit(X, by_hand).predict(X)
    y.attrs["reach"] = 6
    model = CrossSectionalTarget(small_gru()).fit(X, y)
    assert_array_equal(model.predict(X), expected)
    with pytest.warns(UserWarning, match=r"\b6\b.*purge=1"):
        CrossSectionalTarget(small_gru(purge=1)).fit(X, y)
    days = y.index.get_level_values("datetime")
    by_days = CrossSectionalTarget(small_gru(purge=6)).fit(X, y.to_numpy(), days=days)
    assert_array_equal(by_days.predict(X), expected)


def test_metadata_routing(windows):
    X, y = windows
    days = y.index.get_level_values("datetime")
    expected = CrossSectionalTarget(small_gru()).fit(X, y).predict(X)
    with sklearn.config_context(enable_metadata_routing=True):
        inner = small_gru().set_fit_request(days=True).set_predict_request(days=True)
        model = CrossSectionalTarget(inner).set_fit_request(days=True)
        routed = make_pipeline(model).fit(X, y.to_numpy(), days=days)
        assert_array_equal(routed.predict(X, days=days), expected)
        with pytest.raises(ValueError, match=r"\[instruments\].*GRURegressor"):
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
    with pytest.raises(ValueError, match="sample_weight"):
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
        CrossSectionalTarget(small_gru()),
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


def halves(windows):
    X, y = windows
    y.attrs["reach"] = 1
    return (X[:100], y[:100]), (X[100:], y[100:])


def ranked(X, y):
    ranks = CrossSectionalScaler("rank").fit_transform(y.to_frame())["label"]
    ranks.attrs = y.attrs
    return X, ranks


@pytest.mark.parametrize("wrap", [lambda model: model, make_pipeline, CrossSectionalTarget])
def test_warm_start_goes_on(wrap, windows):
    first, second = halves(windows)
    target = CrossSectionalTarget(wrap(small_gru(warm_start=True))).fit(*first).fit(*second)
    if wrap is CrossSectionalTarget:
        # Ranks of ranks are ranks.
        plain = small_gru(warm_start=True).fit(*ranked(*ranked(*first)))
        plain.fit(*ranked(*ranked(*second)))
    else:
        plain = small_gru(warm_start=True).fit(*ranked(*first)).fit(*ranked(*second))
    assert_array_equal(target.predict(second[0]), plain.predict(second[0]))
    anew = CrossSectionalTarget(wrap(small_gru())).fit(*first).fit(*second)
    assert_array_equal(
        anew.predict(second[0]),
        CrossSectionalTarget(wrap(small_gru())).fit(*second).predict(second[0]),
    )
    assert not np.array_equal(anew.predict(second[0]), target.predict(second[0]))


def test_warm_start_takes_new_parameters(windows):
    first, second = halves(windows)
    target = CrossSectionalTarget(small_gru(warm_start=True)).fit(*first)
    target.set_params(regressor__lr=0.05, method="zscore").fit(*second)
    assert target.regressor_.lr == 0.05
    other = CrossSectionalTarget(small_gru(warm_start=True)).fit(*first)
    other.set_params(method="zscore").fit(*second)
    assert not np.array_equal(other.predict(second[0]), target.predict(second[0]))
    # Another regressor, or warm_start=False, begins anew.
    for regressor in (ALSTMRegressor(hidden_size=2, max_epochs=1, warm_start=True), small_gru()):
        regressor.set_params(random_state=0)
        target.set_params(regressor=regressor).fit(*second)
        anew = clone(target).fit(*second)
        assert_array_equal(target.predict(second[0]), anew.predict(second[0]))


def test_a_warm_start_that_fails_leaves_the_last_fit_whole(windows):
    (X, y), second = halves(windows)
    for regressor in (
        small_gru(warm_start=True),
        MLPRegressor(hidden_layer_sizes=2, max_iter=2, warm_start=True),
    ):
        flat = X if isinstance(regressor, GRURegressor) else X[:, -1]
        later = second[0] if isinstance(regressor, GRURegressor) else second[0][:, -1]
        target = CrossSectionalTarget(regressor).fit(flat, y)
        before = target.predict(flat)
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            target.fit(np.where(later > 1, np.inf, later), second[1])
        assert_array_equal(target.predict(flat), before)


def test_instruments_as_an_index_with_unlabelled_rows(market):
    """scikit-learn's _safe_indexing cannot take rows of an Index of texts."""
    y = market.label
    X = pd.DataFrame({"signal": market.signal}).fillna(0.0).to_numpy()
    names = y.index.get_level_values("instrument")

    class Names(Ridge):
        def fit(self, X, y, instruments=None):
            self.instruments_ = instruments
            return super().fit(X, y)

    target = CrossSectionalTarget(Names()).fit(X, y, instruments=names)
    assert list(target.regressor_.instruments_) == list(names[y.notna()])


def test_progress_bar_goes_through(windows, capsys):
    pytest.importorskip("rich")
    model = CrossSectionalTarget(small_gru()).set_callbacks(ProgressBar(max_propagation_depth=None))
    model.fit(*windows)
    assert "GRURegressor" in capsys.readouterr().out


def test_attention_weights_see_through(windows):
    X, y = windows
    model = ALSTMRegressor(hidden_size=3, max_epochs=1, random_state=0)
    target = CrossSectionalTarget(make_pipeline(model)).fit(X, y)
    expected = attention_weights(target.regressor_[-1], X).time
    assert_frame_equal(attention_weights(target, X).time, expected)
    assert_frame_equal(attention_weights(make_pipeline(target), X).time, expected)
    with pytest.raises(TypeError, match=r"attention_weights.*DummyRegressor"):
        attention_weights(CrossSectionalTarget(DummyRegressor()).fit(X, y), X)


@pytest.mark.parametrize(
    ("params", "change", "error", "message"),
    [
        ({"method": "minmax"}, lambda y: y, ValueError, "method.*'minmax'"),
        (
            {"regressor": LogisticRegression()},
            lambda y: y,
            TypeError,
            "regressor.*LogisticRegression",
        ),
        ({"regressor": StandardScaler()}, lambda y: y, TypeError, "regressor.*StandardScaler"),
        ({"regressor": Ridge}, lambda y: y, TypeError, "regressor.*<class"),
        ({"regressor": None}, lambda y: y, TypeError, "regressor.*None"),
        ({"regressor": "ridge"}, lambda y: y, TypeError, "regressor.*'ridge'"),
        ({"method": np.array(["rank"])}, lambda y: y, ValueError, r"method.*array\("),
        ({}, lambda y: pd.to_datetime(y), TypeError, r"y.*datetime64\[ns\]"),
        ({}, lambda y: pd.to_timedelta(y), TypeError, "y.*timedelta64"),
        ({}, lambda y: None, ValueError, r"\by\b.*None"),
        ({}, lambda y: y * np.nan, ValueError, r"y.*\b200 are NaN"),
        ({"method": "zscore"}, lambda y: 0 * y + 0.1, ValueError, r"y.*\b0 are NaN"),
        ({}, lambda y: y.replace(y.iloc[3], np.inf), ValueError, "y.*infinity"),
        ({}, lambda y: y[1:], ValueError, r"X, y must have.*200, 199\."),
        ({}, lambda y: np.ones((200, 2, 2)), ValueError, "y.*dim 3"),
        (
            {"method": "zscore"},
            lambda y: y.to_frame("a").assign(b=1.0),
            ValueError,
            r"y.*column 'b': 0 are NaN",
        ),
        ({}, lambda y: y[::-1], ValueError, r"X.*y\.reindex"),
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
        "three dimensions",
        "a constant column",
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
    with pytest.raises(TypeError, match=r"days.*int64"):
        CrossSectionalTarget(Ridge()).fit(X, y, days=np.arange(len(y)))
    with pytest.raises(ValueError, match=r"X, y, days must have.*1811, 1811, 1\."):
        CrossSectionalTarget(Ridge()).fit(X, y, days=["2024-01-02"])


def test_a_label_of_one_column_is_taken_as_scikit_learn_does(known):
    X, y = known
    expected = CrossSectionalTarget(Recorder()).fit(X, y).regressor_.given_[1]
    with pytest.warns(DataConversionWarning):
        model = CrossSectionalTarget(Recorder()).fit(X, y.to_frame())
    assert_array_equal(model.regressor_.given_[1], expected)
    assert model.regressor_.given_[1].attrs["reach"] == 2


def test_several_labels(known):
    X, y = known
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": y, "b": -y.cumsum(), "c": rng.normal(size=len(y))}, y.index)
    table = table.mask(rng.random(table.shape) < 0.1)
    table.attrs["reach"] = {"a": 2, "b": 6, "c": 3}
    trained = CrossSectionalTarget(Recorder()).fit(X, table).regressor_.given_[1]
    assert trained.index.equals(table.index)
    assert list(trained.columns) == ["a", "b", "c"]
    assert trained.attrs == table.attrs
    for name, column in table.items():
        alone = CrossSectionalTarget(Recorder()).fit(X, column).regressor_.given_[1]
        assert_array_equal(trained[name], alone)

    class NeedsLabels(Recorder):
        def __sklearn_tags__(self):
            return RegressorMixin.__sklearn_tags__(self)

    given_X, given = CrossSectionalTarget(NeedsLabels()).fit(X, table).regressor_.given_
    complete = table.notna().all(axis=1).to_numpy()
    assert_frame_equal(given, trained[complete])
    assert_frame_equal(given_X, X[complete])
    by_array = CrossSectionalTarget(Recorder()).fit(X, table.to_numpy()).regressor_.given_[1]
    assert_array_equal(by_array, trained)


def test_several_labels_are_scored_by_the_mean_rank_ic(known):
    X, y = known
    table = pd.DataFrame({"a": y, "b": -y}).mask(np.random.default_rng(0).random((len(y), 2)) < 0.1)
    model = CrossSectionalTarget(Ridge()).fit(X, table)
    predicted = model.predict(X)
    assert predicted.shape == table.shape
    expected = np.mean([rank_ic_score(table[c], predicted[:, k]) for k, c in enumerate(table)])
    assert model.score(X, table) == pytest.approx(expected)
    assert get_tags(model).target_tags.multi_output
    assert not get_tags(CrossSectionalTarget(GradientBoostingRegressor())).target_tags.multi_output
    weight = np.ones(len(y))
    weight[::3] = 0
    without = CrossSectionalTarget(Ridge()).fit(X[weight > 0], table[weight > 0])
    weighted = CrossSectionalTarget(Ridge()).fit(X, table, sample_weight=weight)
    np.testing.assert_allclose(weighted.predict(X), without.predict(X), rtol=1e-6)


def test_labels_that_are_never_there_together_are_refused(known):
    X, y = known
    even = np.arange(len(y)) % 2 == 0
    table = pd.DataFrame({"a": y.where(even), "b": y.where(~even)})
    with pytest.raises(ValueError, match=r"No row has all its labels.*Ridge"):
        CrossSectionalTarget(Ridge()).fit(X, table)


def test_ridge_needs_no_torch():
    code = (
        "import sys, numpy as np, pandas as pd; from sklearn.linear_model import Ridge;"
        "from skattn.compose import CrossSectionalTarget as T;"
        "X = np.random.default_rng(0).normal(size=(9, 2));"
        "T(Ridge()).fit(X, X[:, 0], days=['2024-01-02'] * 9).predict(X);"
        "print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
