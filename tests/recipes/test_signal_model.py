"""The model of the recipe: what it is made of, how it is tuned, kept and used live."""

from __future__ import annotations

import pickle
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_bits, days_in
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import VotingRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch.callbacks import EpochScoring, LRScheduler
from torch.optim.lr_scheduler import StepLR

from skattn import SequenceRegressor
from skattn.compose import LearntConcepts
from skattn.datasets import make_market
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import GRURegressor, HISTRegressor
from skattn.plugins import list_installed
from skattn.preprocessing import CorrelationClusters
from skattn.recipes import make_signal_model

# Models that train in a moment.
SMALL = {"hidden_size": 4, "num_layers": 1, "max_epochs": 1}


@pytest.fixture(scope="module")
def market():
    return make_market(12, 100, late_listings=0, missing_days=0.02, random_state=0)


@pytest.fixture(scope="module")
def label(market):
    """The label, of which a tenth is missing."""
    known = np.random.default_rng(0).random(len(market.label)) < 0.9
    return market.label.where(known)


def models_of(model) -> dict[str, SequenceRegressor]:
    """The regressors inside a model, by the name that set_params takes."""
    params = model.get_params()
    return {k: v for k, v in params.items() if isinstance(v, SequenceRegressor)}


def trained(model) -> list[SequenceRegressor]:
    """The trained regressors inside a fitted model."""
    if isinstance(model, SequenceRegressor):
        return [model]
    if isinstance(model, Pipeline):
        return trained(model[-1])
    inner = [model.regressor_] if hasattr(model, "regressor_") else model.estimators_
    return [each for one in inner for each in trained(one)]


# What the model is made of ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gru", "hist"])
def test_a_vote_is_the_mean_of_single_fits_to_the_bit(market, label, name):
    """Stocks without a label stay in the cross-section of HIST, in a vote as in a single fit."""
    params = {**SMALL, "views": "prices"}
    single = [
        make_signal_model(name, n_seeds=1, random_state=seed, **params)
        .fit(market.ohlcv, label)
        .predict(market.ohlcv)
        for seed in (5, 6)
    ]
    vote = make_signal_model(name, n_seeds=2, random_state=5, **params).fit(market.ohlcv, label)
    assert not np.array_equal(*single)
    assert_same_bits(vote.predict(market.ohlcv), np.mean(single, axis=0))


def test_views_vote(market, label):
    both, factors, prices = (
        make_signal_model(n_seeds=1, views=views, **SMALL)
        .fit(market.ohlcv, label)
        .predict(market.ohlcv)
        for views in (("factors", "prices"), "factors", ["prices"])
    )
    assert_same_bits(both, np.mean([factors, prices], axis=0))


def test_models_and_seeds_are_those_that_were_asked_for():
    found = models_of(make_signal_model(("gru", "hist"), n_seeds=2, random_state=3))
    assert Counter((type(each), each.random_state) for each in found.values()) == {
        (cls, seed): 2 for cls in (GRURegressor, HISTRegressor) for seed in (3, 4)
    }
    assert {each.early_stopping for each in found.values()} == {False}


def test_every_installed_model_can_be_taken():
    names = [each.name for each in list_installed()]
    assert isinstance(make_signal_model(names, n_seeds=1), VotingRegressor)
    for name in ("gru", "lstm", "alstm", "transformer", "hist", "sfm"):
        assert len(models_of(make_signal_model(name, n_seeds=1))) == 2


def test_a_parameter_goes_to_the_models_that_have_it():
    concepts = pd.Series({"S00": "a", "S01": "b"})
    found = models_of(
        make_signal_model(("gru", "hist"), concepts=concepts, hidden_size=7, n_seeds=1)
    )
    assert {each.hidden_size for each in found.values()} == {7}
    hist = [each for each in found.values() if isinstance(each, HISTRegressor)]
    assert len(hist) == 2
    assert all(each.concepts is concepts for each in hist)


def test_a_model_of_a_plugin_gets_what_it_has(monkeypatch, market, label):
    """A plugin's model need not have the training parameters of skattn."""

    class Latest(RegressorMixin, BaseEstimator):
        def __init__(self, lr=0.5, callbacks=None):
            self.lr, self.callbacks = lr, callbacks

        def fit(self, X, y):
            return self

        def predict(self, X):
            return np.asarray(X)[:, -1, 0] * self.lr

    monkeypatch.setattr("skattn.recipes._model.get_model", lambda name: Latest)
    monkeypatch.setattr("skattn.recipes._model.make_model", lambda name, **p: Latest(**p))
    model = make_signal_model("latest", views="prices", n_seeds=1)
    assert model[-1].regressor.get_params() == {"lr": 1e-3, "callbacks": None}
    assert np.isfinite(model.fit(market.ohlcv, label).predict(market.ohlcv)).all()


def test_without_volume_no_volume_is_read(market, label):
    model = make_signal_model(n_seeds=1, volume=False, **SMALL)
    prices = market.ohlcv.drop(columns="volume")
    one = model.fit(prices, label).predict(prices)
    other = prices.assign(volume=-1.0)
    assert_same_bits(one, clone(model).fit(other, label).predict(other))
    with pytest.raises(ValueError, match=r"X lacks the column \['volume'\]|lacks.*'volume'"):
        make_signal_model(n_seeds=1, **SMALL).fit(prices, label)


# The schedule -----------------------------------------------------------------------------------


def test_the_learning_rate_falls_until_the_last_epoch(market, label):
    model = make_signal_model(views="prices", n_seeds=1, **{**SMALL, "max_epochs": 4})
    lr = trained(model.fit(market.ohlcv, label))[0].history_["lr"]
    expected = 1e-3 * (1 + np.cos(np.pi * np.arange(4) / 4)) / 2
    np.testing.assert_allclose(lr, expected)
    # Whoever sets the number of epochs later, such as a search, sets the end of the schedule.
    later = make_signal_model(views="prices", n_seeds=1, **SMALL)
    later.set_params(crosssectionaltarget__regressor__max_epochs=4)
    assert_same_bits(
        later.fit(market.ohlcv, label).predict(market.ohlcv), model.predict(market.ohlcv)
    )


def test_callbacks_of_the_user_replace_the_schedule():
    mine = [LRScheduler(StepLR, step_size=1), EpochScoring("r2")]
    for each in models_of(make_signal_model(callbacks=mine)).values():
        assert each.callbacks is mine
    for each in models_of(make_signal_model(callbacks=[])).values():
        assert each.callbacks == []


def test_early_stopping_in_a_vote_asks_for_the_reach_of_the_label(market, label):
    """scikit-learn's vote hands on the values of the label alone."""
    params = {**SMALL, "views": "prices", "n_seeds": 2, "early_stopping": True}
    with pytest.warns(UserWarning, match="How many days ahead the label reaches is not known"):
        make_signal_model(**params).fit(market.ohlcv, label)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make_signal_model(**params, purge=2).fit(market.ohlcv, label)
    assert all("valid_loss" in each.history_ for each in trained(model))


# scikit-learn's tools ---------------------------------------------------------------------------


def test_a_search_over_a_nested_parameter(market, label):
    model = make_signal_model(views="prices", n_seeds=2, **SMALL)
    (first, _) = sorted(models_of(model))
    grid = {f"{first}__lr": [1e-3, 1e-2], f"{first}__max_epochs": [1, 2]}
    cv = DailyTimeSeriesSplit(n_splits=2)
    search = GridSearchCV(model, grid, cv=cv, scoring="r2", error_score="raise")
    known = label.notna()
    search.fit(market.ohlcv[known], label[known])
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 4
    best = trained(search.best_estimator_)[0]
    assert best.lr == search.best_params_[f"{first}__lr"]
    assert best.n_iter_ == search.best_params_[f"{first}__max_epochs"]


def test_a_clone_and_a_pickle_predict_the_same_bits(market, label):
    model = make_signal_model(n_seeds=2, **SMALL)
    copied = pickle.loads(pickle.dumps(clone(model).fit(market.ohlcv, label)))
    fitted = model.fit(market.ohlcv, label)
    assert_same_bits(copied.predict(market.ohlcv), fitted.predict(market.ohlcv))


def test_learnt_concepts_reach_every_hist(market, label):
    model = LearntConcepts(
        make_signal_model(("gru", "hist"), n_seeds=2, **SMALL),
        CorrelationClusters(3, min_days=20),
    ).fit(market.ohlcv, label)
    assert np.isfinite(model.predict(market.ohlcv)).all()
    hist = [each for each in trained(model) if isinstance(each, HISTRegressor)]
    assert len(hist) == 4
    assert {each.concepts.nunique() for each in hist} == {3}


@pytest.mark.slow
def test_the_signal_does_not_depend_on_the_number_of_processes(market, label):
    alone, together = (
        make_signal_model(n_seeds=2, n_jobs=n_jobs, **SMALL)
        .fit(market.ohlcv, label)
        .predict(market.ohlcv)
        for n_jobs in (None, 2)
    )
    assert_same_bits(alone, together)


# Live -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gru", "hist"])
@pytest.mark.parametrize("views", ["factors", "prices"])
def test_the_new_days_alone_get_the_signal_of_the_whole_table(market, label, name, views):
    days = days_in(market.ohlcv)
    last_fitted = days.unique()[-4]
    past = days <= last_fitted
    model = make_signal_model(name, views=views, n_seeds=2, **SMALL)
    model.fit(market.ohlcv[past], label[past])
    whole = model.predict(market.ohlcv)
    assert_same_bits(model.predict(market.ohlcv[~past]), whole[~past])
    today = days == days.unique()[-3]
    assert_same_bits(model.predict(market.ohlcv[today]), whole[today])


# Errors -----------------------------------------------------------------------------------------

WRONG = {
    "models": {
        5: "models must be a name or a list or tuple of names, such as 'gru' .*; got 5",
        (): r"models must have at least one name.*got \(\)",
        ("gru", "gru"): "each name once.*got",
        "grru": r"No model is named 'grru'; there are \[.*Did you mean 'gru'",
        ("gru", None): "models must be a name",
    },
    "views": {
        "volume": r"views must be of \['factors', 'prices'\]; got 'volume'",
        ("prices", "prices"): "views must have at least one name, and each name once",
        None: "views must be a name",
    },
    "n_seeds": {0: "n_seeds must be an int of at least 1", 1.5: "n_seeds must be an int"},
    "volume": {"yes": "volume must be a bool; got 'yes'", None: "volume must be a bool"},
    "random_state": {
        None: "random_state must be an int of at least 0",
        -1: "random_state must be an int of at least 0",
        2**32: "random_state must be an int",
    },
    "n_jobs": {0: "n_jobs must not be 0", "all": "n_jobs must be an int or None"},
    "n_seed": {3: "'n_seed' is no parameter of the recipe.*Did you mean 'n_seeds'"},
    "hidden": {3: "nor of the models .'gru'., which have .*Did you mean 'hidden_size'"},
    "concepts": {None: "'concepts' is no parameter .* nor of the models"},
}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [(name, value, text) for name, cases in WRONG.items() for value, text in cases.items()],
)
def test_an_error_names_the_parameter(name, value, text):
    with pytest.raises((TypeError, ValueError), match=text):
        make_signal_model(**{name: value})


def test_the_models_own_errors_come_from_fit(market, label):
    for name, value in {"batch_size": "a", "max_epochs": "a", "lr": -1}.items():
        model = make_signal_model(views="prices", n_seeds=1, **{name: value})
        with pytest.raises(ValueError, match=f"GRURegressor: {name} must be"):
            model.fit(market.ohlcv, label)
