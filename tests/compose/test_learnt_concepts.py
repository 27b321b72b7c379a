"""Concepts that are learnt from the training rows of each fit."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import assert_same_bits, days_in
from numpy.testing import assert_array_equal
from pandas.testing import assert_series_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.callback import ProgressBar
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from skattn.compose import CrossSectionalTarget, LearntConcepts
from skattn.datasets import make_market
from skattn.inspection import attention_weights
from skattn.metrics import ic_scorer, rank_ic_score
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.models import GRURegressor, HISTRegressor
from skattn.preprocessing import Alpha360, CorrelationClusters, RobustZScore
from skattn.utils import takes_unlabelled

CLUSTERS = CorrelationClusters(3, min_days=20)


@pytest.fixture(scope="module")
def market():
    return make_market(12, 100, late_listings=0, missing_days=0.02, random_state=0)


def hist(**params) -> HISTRegressor:
    defaults = {"hidden_size": 4, "num_layers": 1, "max_epochs": 2, "random_state": 0}
    return HISTRegressor(**{**defaults, **params})


def pipeline(**params) -> Pipeline:
    return make_pipeline(Alpha360(length=3), RobustZScore(), CrossSectionalTarget(hist(**params)))


def upto(table, day):
    return table[days_in(table) <= day]


class Recorder(RegressorMixin, BaseEstimator):
    """Keeps what it is given."""

    def __init__(self, concepts=None, others=None):
        self.concepts, self.others = concepts, others

    def fit(self, X, y, sample_weight=None, stage=None):
        self.given_ = X, y, sample_weight, stage
        return self

    def predict(self, X, shift=0.0):
        return np.zeros(len(X)) + shift

    def score(self, X, y, sample_weight=None):
        return 7.0 if sample_weight is None else 8.0


def test_the_regressor_gets_concepts_of_its_own_rows(market):
    past = upto(market.ohlcv, pd.Timestamp("2010-04-01"))
    label = market.label.loc[past.index]
    given = pipeline()
    model = LearntConcepts(given, CLUSTERS).fit(past, label)
    expected = clone(CLUSTERS).fit(past).concepts_
    assert_series_equal(model.clusters_.concepts_, expected)
    assert model.regressor_[-1].regressor_.concepts is not None
    by_hand = pipeline().set_params(crosssectionaltarget__regressor__concepts=expected)
    assert_same_bits(model.predict(market.ohlcv), by_hand.fit(past, label).predict(market.ohlcv))
    # What was given stays as it was.
    assert given[-1].regressor.concepts is None
    assert not hasattr(CLUSTERS, "concepts_")
    assert model.n_features_in_ == past.shape[1]
    assert model.feature_names_in_.tolist() == past.columns.tolist()
    # Other concepts make other predictions.
    other = LearntConcepts(given, CorrelationClusters(2, min_days=20)).fit(past, label)
    assert not np.array_equal(other.predict(market.ohlcv), model.predict(market.ohlcv))


@pytest.mark.parametrize("seed", range(3))
def test_the_future_changes_no_bit(market, seed):
    """Neither the concepts nor the predictions of days up to today know the prices after it."""
    rng = np.random.default_rng(seed)
    table = market.ohlcv.astype(float)
    today = days_in(table).unique().sort_values()[rng.integers(60, 95)]
    later = days_in(table) > today
    other = table.copy()
    other[later] *= rng.lognormal(sigma=1, size=(later.sum(), 1))
    other = other[~later | (rng.random(len(other)) < 0.7)]
    label = market.label.where(days_in(table) < today - pd.Timedelta(5, "D"))
    models = [
        LearntConcepts(pipeline(), CLUSTERS).fit(upto(each, today), upto(label, today))
        for each in (table, other)
    ]
    assert_series_equal(*(model.clusters_.concepts_ for model in models))
    one, two = (
        upto(pd.Series(model.predict(each), each.index), today)
        for model, each in zip(models, (table, other), strict=True)
    )
    assert_same_bits(one, two)


@pytest.mark.filterwarnings("ignore:1 of 12 instruments belong to no concept")
def test_every_fold_learns_its_own_concepts(market):
    cv = DailyTimeSeriesSplit(n_splits=3)
    model = LearntConcepts(pipeline(), CLUSTERS)
    result = cross_val_signal(model, market.ohlcv, market.label, cv=cv, return_estimator=True)
    for fitted, train in zip(result.estimator, result.indices["train"], strict=True):
        expected = clone(CLUSTERS).fit(market.ohlcv.iloc[train]).concepts_
        assert_series_equal(fitted.clusters_.concepts_, expected)
    # Prices after the first fold's test days change nothing in the signal of these days.
    last = days_in(market.ohlcv)[result.indices["test"][0]].max()
    other = market.ohlcv.astype(float)
    later = days_in(other) > last
    other[later] *= np.random.default_rng(0).lognormal(size=(later.sum(), 1))
    changed = cross_val_signal(model, other, market.label, cv=cv)
    assert_series_equal(upto(result.signal, last), upto(changed, last))


def test_searches_reach_clusters_and_regressor(market):
    grid = {
        "clusters__n_clusters": [2, 3],
        "regressor__crosssectionaltarget__regressor__hidden_size": [3, 4],
    }
    model = LearntConcepts(pipeline(max_epochs=1), CLUSTERS)
    cv = DailyTimeSeriesSplit(n_splits=2)
    search = GridSearchCV(model, grid, cv=cv).fit(market.ohlcv, market.label)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert best.clusters_.concepts_.nunique() == search.best_params_["clusters__n_clusters"]
    # Its score is that of the regressor: of a CrossSectionalTarget the rank IC.
    expected = rank_ic_score(market.label, best.predict(market.ohlcv))
    assert best.score(market.ohlcv, market.label) == expected
    assert ic_scorer(best, market.ohlcv, market.label) != expected


def test_parameters_of_fit_predict_and_score_are_passed_on(market):
    X, y = market.ohlcv, market.label
    weight = np.arange(len(y))
    model = LearntConcepts(Recorder(), CLUSTERS).fit(X, y, sample_weight=weight, stage="late")
    assert model.regressor_.given_[0] is X
    assert model.regressor_.given_[1] is y
    assert model.regressor_.given_[2] is weight
    assert model.regressor_.given_[3] == "late"
    assert model.predict(X, shift=2.0)[0] == 2.0
    assert model.score(X, y) == 7.0
    assert model.score(X, y, sample_weight=weight) == 8.0
    with sklearn.config_context(enable_metadata_routing=True):
        inner = Recorder().set_fit_request(sample_weight=True, stage="step")
        inner.set_predict_request(shift=True).set_score_request(sample_weight=True)
        model = LearntConcepts(inner, CLUSTERS).fit(X, y, sample_weight=weight, step="early")
        assert model.regressor_.given_[2] is weight
        assert model.regressor_.given_[3] == "early"
        assert model.predict(X, shift=2.0)[0] == 2.0
        assert model.score(X, y, sample_weight=weight) == 8.0


def test_every_parameter_of_this_name_that_is_not_given_is_set(market):
    X, y = market.ohlcv, market.label
    mine = {"S00": "mine"}
    model = LearntConcepts(Recorder(others=Recorder(mine)), CLUSTERS).fit(X, y)
    assert_series_equal(model.regressor_.concepts, model.clusters_.concepts_)
    assert model.regressor_.others.concepts == mine
    model = LearntConcepts(Recorder(mine, Recorder()), CLUSTERS).fit(X, y)
    assert model.regressor_.concepts == mine
    assert_series_equal(model.regressor_.others.concepts, model.clusters_.concepts_)


def test_clusters_of_the_users_own(market):
    class ByName(BaseEstimator):
        def fit(self, X, y):
            names = X.index.unique("instrument")
            self.concepts_ = pd.get_dummies(pd.Series(names.str[-1], names), dtype=float)
            assert y is market.label
            return self

    model = LearntConcepts(pipeline(max_epochs=1), ByName()).fit(market.ohlcv, market.label)
    inner = model.regressor_[-1].regressor_
    assert inner.make_side_inputs().concepts.tolist() == list("0123456789")


def test_default_clusters(market):
    with pytest.warns(UserWarning, match="CorrelationClusters takes n_clusters=6"):
        model = LearntConcepts(Recorder()).fit(market.ohlcv, market.label)
    assert model.clusters_.get_params() == CorrelationClusters().get_params()
    assert model.regressor_.concepts.nunique() == 6


def test_a_stock_listed_later_is_reported(market):
    day = pd.Timestamp("2010-04-01")
    is_new = market.ohlcv.index.get_level_values("instrument") == "S03"
    past = upto(market.ohlcv[~is_new], day)
    model = LearntConcepts(pipeline(), CLUSTERS).fit(past, market.label.loc[past.index])
    with pytest.warns(UserWarning, match=r"1 of 12 instruments belong to no concept: \['S03'\]"):
        predicted = model.predict(market.ohlcv)
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize("wrap", [lambda r: r, CrossSectionalTarget])
def test_warm_start_goes_on_with_new_concepts(market, wrap):
    cut = pd.Timestamp("2010-03-20")
    halves = [(t := market.ohlcv[m], market.label.loc[t.index]) for m in _halves(market, cut)]
    steps = [Alpha360(length=3), RobustZScore()]
    warm = LearntConcepts(make_pipeline(*steps, wrap(hist(warm_start=True))), CLUSTERS)
    by_hand = make_pipeline(*map(clone, steps), wrap(hist(warm_start=True)))
    (name,) = (each for each in by_hand.get_params() if each.endswith("__concepts"))
    for X, y in halves:
        warm.fit(X, y)
        concepts = clone(CLUSTERS).fit(X).concepts_
        by_hand.set_params(**{name: concepts}).fit(X, y)
        assert_series_equal(warm.clusters_.concepts_, concepts)
    assert_array_equal(warm.predict(X), by_hand.predict(X))
    anew = LearntConcepts(make_pipeline(*steps, wrap(hist())), CLUSTERS).fit(X, y)
    assert not np.array_equal(anew.predict(X), warm.predict(X))
    cv = DailyTimeSeriesSplit(n_splits=2)
    model = LearntConcepts(pipeline(), CLUSTERS)
    signals = [
        cross_val_signal(model, market.ohlcv, market.label, cv=cv, refit=refit)
        for refit in ("cold", "warm")
    ]
    assert not np.array_equal(*signals)


def _halves(market, cut):
    days = days_in(market.ohlcv)
    return days <= cut, days > cut


def test_conventions(market):
    model = LearntConcepts(pipeline(), CorrelationClusters(3))
    assert takes_unlabelled(model)
    assert not takes_unlabelled(LearntConcepts(Ridge()))
    assert takes_unlabelled(CrossSectionalTarget(LearntConcepts(Recorder())))
    assert clone(model).get_params()["clusters__n_clusters"] == 3
    assert "clusters=CorrelationClusters(n_clusters=3)" in " ".join(repr(model).split())
    fitted = LearntConcepts(pipeline(), CLUSTERS).fit(market.ohlcv, market.label)
    copied = pickle.loads(pickle.dumps(fitted))
    assert_same_bits(copied.predict(market.ohlcv), fitted.predict(market.ohlcv))
    page = fitted._repr_mimebundle_()["text/html"]
    assert "regressor_: Pipeline" in page
    assert "skattn-summary" in page


def test_a_target_may_stand_outside(market):
    """CrossSectionalTarget(LearntConcepts(...)) scales the same labels."""
    steps = make_pipeline(Alpha360(length=3), RobustZScore(), hist())
    inside = LearntConcepts(pipeline(), CLUSTERS).fit(market.ohlcv, market.label)
    outside = CrossSectionalTarget(LearntConcepts(steps, CLUSTERS))
    outside.fit(market.ohlcv, market.label)
    assert_same_bits(outside.predict(market.ohlcv), inside.predict(market.ohlcv))


def test_attention_weights_and_progress_see_through(market, capsys):
    pytest.importorskip("rich")
    model = LearntConcepts(pipeline(), CLUSTERS)
    model.set_callbacks(ProgressBar(max_propagation_depth=None))
    model.fit(market.ohlcv, market.label)
    assert "HISTRegressor" in capsys.readouterr().out
    maps = attention_weights(model, market.ohlcv)
    expected = attention_weights(model.regressor_, market.ohlcv)
    assert_array_equal(maps.concept_to_stock, expected.concept_to_stock)
    assert "cluster 0" in str(maps.concept_to_stock)


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"regressor": GRURegressor()}, ValueError, r"concepts that is None.*without such a para"),
        (
            {"regressor": pipeline(concepts={"S00": "a"})},
            ValueError,
            r"whose crosssectionaltarget__regressor__concepts is given.*without LearntConcepts",
        ),
        ({"regressor": HISTRegressor}, TypeError, "regressor must be a scikit-learn regressor"),
        ({"regressor": None}, TypeError, "regressor must be a scikit-learn regressor; got None"),
        ({"clusters": CorrelationClusters}, TypeError, "clusters must be an estimator"),
        ({"clusters": {"S00": "a"}}, TypeError, "clusters must be an estimator.*got {'S00': 'a'}"),
        ({"clusters": RobustZScore()}, TypeError, "whose fit learns concepts_.*RobustZScore"),
        ({"clusters": CorrelationClusters(1)}, ValueError, "n_clusters must be"),
        ({"clusters": CorrelationClusters(3, min_days=200)}, ValueError, "got 0 of 12 stocks on"),
    ],
)
def test_bad_parameters(market, params, error, match):
    model = LearntConcepts(**{"regressor": pipeline(), "clusters": CLUSTERS, **params})
    with pytest.raises(error, match=match):
        model.fit(market.ohlcv, market.label)
    assert not hasattr(model, "clusters_")
    assert not hasattr(model, "regressor_")


def test_bad_rows(market):
    windows = Alpha360(length=3).fit_transform(market.ohlcv)
    model = LearntConcepts(hist(), CLUSTERS)
    for X in (windows, np.asarray(windows), market.ohlcv.to_numpy(), None):
        with pytest.raises(TypeError, match=r"X must be a table of prices.*around the whole Pipe"):
            model.fit(X, market.label)
    with pytest.raises(ValueError, match="price='close'"):
        model.fit(market.ohlcv[["open"]], market.label)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        model.predict(market.ohlcv)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        model.score(market.ohlcv, market.label)
