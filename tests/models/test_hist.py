"""HIST: whole days and what a user may do with them."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    DUMMIES,
    SECTORS,
    make_stock_days,
    may_lack_concepts,
    small_hist,
    weights_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from skattn.datasets import make_market
from skattn.metrics import ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import GRURegressor
from skattn.models.hist import HIST, HISTRegressor
from skattn.preprocessing import Alpha360, RobustZScore


@may_lack_concepts
def test_learns_what_other_stocks_tell():
    X, y = make_stock_days([9] * 120)
    days = y.index.get_level_values("datetime")
    past = days < days.unique()[90]
    params = {"max_epochs": 25, "lr": 0.03, "early_stopping": False, "num_layers": 1}
    shared = HISTRegressor(concepts=SECTORS, days_per_batch=10, random_state=0, **params)
    alone = GRURegressor(batch_size=90, random_state=0, **params)
    scores = [
        model.set_params(hidden_size=8).fit(X[past], y[past]).score(X[~past], y[~past])
        for model in (shared, alone)
    ]
    assert scores[0] > max(0, scores[1]) + 0.05


# Days -------------------------------------------------------------------------------------------


def test_without_days_each_row_is_one(stock_days):
    X, y = stock_days
    X, y = np.asarray(X)[:30], y.to_numpy()[:30]
    params = {"concepts": None, "early_stopping": False, "days_per_batch": 4, "batch_size": 4}
    with pytest.warns(UserWarning, match=r"HISTRegressor.*days=") as w:
        model = small_hist(**params).fit(X, y)
    assert len(w) == 1
    one_a_day = pd.date_range("2024-01-01", periods=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(
            weights_of(small_hist(**params).fit(X, y, days=one_a_day)), weights_of(model)
        )
        # It was said at fit.
        alone = model.predict(X)
        assert_array_equal(model.predict(X, days=one_a_day), alone)
        assert_array_equal(np.concatenate([model.predict(row[None]) for row in X]), alone)
        together = model.predict(X, days=["2024-01-01"] * 30)
    assert not np.allclose(together, alone)
    with pytest.warns(UserWarning, match=r"HISTRegressor.*days=") as w:
        small_hist(**params).fit(X, y, days=one_a_day).predict(X)
    assert len(w) == 1


@may_lack_concepts
def test_days_and_instruments_as_arguments(stock_days, fitted):
    X, y = stock_days
    days, instruments = (y.index.get_level_values(level) for level in ("datetime", "instrument"))
    for given_days, given_instruments in (
        (days, instruments),
        (days.strftime("%Y-%m-%d").to_numpy(), instruments.to_numpy()),
        (list(days + pd.Timedelta(hours=16)), list(instruments)),
        (pd.Series(days), pd.Series(instruments, dtype="category")),
    ):
        given = {"days": given_days, "instruments": given_instruments}
        model = small_hist().fit(np.asarray(X), y.to_numpy(), **given)
        assert_array_equal(weights_of(model), weights_of(fitted))
        assert_array_equal(model.predict(np.asarray(X), **given), fitted.predict(X))
        attention = model.attend(np.asarray(X), **given)
        for name, values in fitted.attend(X).items():
            assert_array_equal(attention[name], values)
    # An index of y does for a fit.
    assert_array_equal(weights_of(small_hist().fit(np.asarray(X), y)), weights_of(fitted))
    # Arguments come first.
    renamed = pd.Index(["T" + name if name == "S8" else name for name in instruments])
    given = {"days": days, "instruments": renamed}
    assert_array_equal(fitted.predict(X, **given), fitted.predict(X))
    for bad in ({"days": days[:-1]}, {"instruments": instruments[:-1]}):
        with pytest.raises(ValueError, match=r"same number of rows; they have 155, .*154"):
            fitted.predict(X, **bad)
        with pytest.raises(ValueError, match=r"same number of rows; they have 155, .*154"):
            small_hist().fit(X, y, **bad)


@pytest.fixture(scope="module")
def large():
    """A model and days of up to 450 stocks: more than two blocks of rows."""
    X, y = make_stock_days([450, 1, 3, 201, 200, 7, 60, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = small_hist(max_epochs=1, early_stopping=False, rnn="gru").fit(X, y)
        return model, X, y.index.get_level_values("datetime"), model.predict(X)


@may_lack_concepts
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_day_does_not_depend_on_other_days(large, data):
    model, X, days, predicted = large
    chosen = data.draw(st.lists(st.sampled_from(list(days.unique())), min_size=1, unique=True))
    rows = np.concatenate([np.flatnonzero(days == day) for day in chosen])
    if data.draw(st.booleans()):
        # Rows of a day in their order, days interleaved.
        rows = np.sort(rows)
    n_threads, before = data.draw(st.sampled_from([1, 2])), torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        assert_array_equal(model.predict(X[rows]), predicted[rows])
    finally:
        torch.set_num_threads(before)


@may_lack_concepts
def test_predictions_are_the_modules(large):
    model, X, days, predicted = large
    dummies = DUMMIES.reindex(X.instruments).fillna(0).to_numpy(np.float32)
    for day in days.unique():
        rows = np.flatnonzero(days == day)
        x, concepts = torch.from_numpy(X.gather(rows)), torch.from_numpy(dummies[rows])
        with torch.no_grad():
            expected = model.module_(x[None], concepts=concepts[None])[0]
        assert_allclose(predicted[rows], expected, atol=1e-5)


# Attention and the module -----------------------------------------------------------------------


def test_attention(stock_days, fitted):
    X, y = stock_days
    predicted = fitted.predict(X)
    maps = fitted.attend(X)
    assert_array_equal(fitted.predict(X), predicted)
    assert set(maps) == set(HIST.attention_axes)
    days, instruments = (y.index.get_level_values(level) for level in ("datetime", "instrument"))
    dummies = DUMMIES.reindex(instruments).fillna(0).to_numpy()
    assert maps["stock_to_concept"].shape == maps["concept_to_stock"].shape == (len(y), 3)
    assert maps["hidden_concept"].shape == (len(y), 9)
    single = 0
    for rows in y.groupby(days).indices.values():
        enter, take, hidden = (maps[name][rows] for name in HIST.attention_axes)
        members, n = dummies[rows], len(rows)
        assert_allclose(enter, members / (members.sum(axis=0) * members + 1), rtol=1e-6)
        exists = members.any(axis=0)
        assert not take[:, ~exists].any()
        assert (take >= 0).all()
        assert_allclose(take.sum(axis=1), float(exists.any()), atol=1e-6)
        assert np.isnan(hidden[:, n:]).all()
        hidden = hidden[:, :n]
        total = hidden.sum(axis=1)
        assert_allclose(total, np.round(total), atol=1e-6)
        # A day has hidden concepts or has none: a single stock is like no other.
        assert total.round().min() == total.round().max() == (hidden > 0).any()
        single += n == 1
        assert n > 1 or not hidden.any()
    assert single == 1
    smaller = fitted.attend(X[days == days.unique()[1]])
    assert smaller["hidden_concept"].shape == (4, 4)


@pytest.mark.parametrize("rnn", ["gru", "lstm"])
@pytest.mark.parametrize("n_concepts", [0, 3])
def test_days_at_once_are_days_one_by_one(rnn, n_concepts):
    rng = torch.Generator().manual_seed(0)
    module, sizes = HIST(2, 5, 2, rnn), [4, 1, 7, 2]
    present = torch.arange(7) < torch.tensor(sizes)[:, None]
    # Rows that are not there hold anything.
    x = 10 * torch.randn(4, 7, 6, 2, generator=rng)
    concepts = (torch.rand(4, 7, n_concepts, generator=rng) * 4 - 1).clamp(min=0)
    labels = torch.randn(4, 7, generator=rng)

    module.zero_grad()
    at_once = module(x, present, concepts)
    ((at_once - labels)[present] ** 2).sum().backward()
    gradients = {name: p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    for day, n in enumerate(sizes):
        alone = module(x[day, None, :n], concepts=concepts[day, None, :n])
        assert_allclose(at_once[day, :n].detach(), alone[0].detach(), atol=1e-6)
        ((alone[0] - labels[day, :n]) ** 2).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad.isfinite().all()
        scale = max(1, float(parameter.grad.abs().max()))
        assert_allclose(gradients[name], parameter.grad, atol=1e-5 * scale, err_msg=name)

    maps = module.attend(x, present, concepts)
    assert not maps["stock_to_concept"][~present].any()
    there = present[:, :, None] & present[:, None]
    assert not maps["hidden_concept"][present[:, :, None] & ~there].any()


def test_stocks_that_are_equal_or_zero_have_finite_gradients():
    module = HIST(2, 5, 1)
    for x in (torch.zeros(1, 6, 4, 2), torch.ones(2, 6, 4, 2)):
        module.zero_grad()
        module(x, concepts=torch.ones(len(x), 6, 2)).sum().backward()
        assert all(p.grad.isfinite().all() for p in module.parameters())
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    module.zero_grad()
    predicted = module(torch.randn(1, 6, 4, 2), concepts=torch.ones(1, 6, 2))
    predicted.sum().backward()
    assert not predicted.any()
    assert all(p.grad.isfinite().all() for p in module.parameters())


# The rest of the library ------------------------------------------------------------------------


@may_lack_concepts
def test_partial_fit_and_warm_start_go_on(stock_days):
    X, y = stock_days
    whole = small_hist(early_stopping=False).fit(X, y)
    stepwise = small_hist()
    for _ in range(2):
        stepwise.partial_fit(X, y)
    assert_array_equal(weights_of(stepwise), weights_of(whole))
    by_name = small_hist()
    days, instruments = (y.index.get_level_values(level) for level in ("datetime", "instrument"))
    for _ in range(2):
        by_name.partial_fit(np.asarray(X), y.to_numpy(), days=days, instruments=instruments)
    assert_array_equal(weights_of(by_name), weights_of(whole))
    warm = clone(whole).set_params(warm_start=True).fit(X, y)
    assert warm.fit(X, y).n_iter_ == 4


@may_lack_concepts
def test_training_on_two_threads(stock_days):
    X, y = stock_days
    params = {"max_epochs": 1, "early_stopping": False}
    one, before = small_hist(**params).fit(X, y), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_allclose(weights_of(small_hist(**params).fit(X, y)), weights_of(one), atol=1e-5)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@may_lack_concepts
def test_bad_windows(stock_days, fitted):
    X, y = stock_days
    broken = np.asarray(X).copy()
    broken[17, 2, 1] = np.nan
    given = {"days": y.index.get_level_values(0), "instruments": y.index.get_level_values(1)}
    with pytest.raises(ValueError, match=r"X.*NaN.*\b17\b"):
        fitted.predict(broken, **given)
    with pytest.raises(ValueError, match=r"X.*NaN.*\b17\b"):
        small_hist().fit(broken, y)
    broken[17, 2, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        fitted.predict(broken, **given)
    with pytest.raises(ValueError, match=r"day.*\b0\b"):
        fitted.predict(X, days=[None, *given["days"][1:]], instruments=given["instruments"])
    with pytest.raises(ValueError, match=r"\b1 of 3\b.*\b2\b"):
        small_hist().fit(X[:20], y[:20])


def test_concepts_may_change_after_the_fit(stock_days):
    X, _ = stock_days
    table = SECTORS.copy()
    model = small_hist(concepts=table, max_epochs=1)
    with pytest.warns(UserWarning, match=r"\b1 of 9\b.*'S8'"):
        model.fit(*stock_days)
    before = model.predict(X)
    table[:] = "a"
    assert_array_equal(model.predict(X), before)


def test_search_over_a_pipeline():
    market = make_market(n_stocks=10, n_days=70, missing_days=0.05, random_state=2)
    pipeline = Pipeline(
        [
            ("alpha360", Alpha360(length=6, calendar=market.ohlcv.index.unique("datetime"))),
            ("scale", RobustZScore()),
            ("model", small_hist(concepts=market.concepts, max_epochs=2)),
        ]
    )
    grid = {"model__days_per_batch": [1, 5], "model__concepts": [market.concepts, None]}
    cv = DailyTimeSeriesSplit(n_splits=2)
    search = GridSearchCV(pipeline, grid, cv=cv, scoring=ic_scorer, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        search.fit(market.ohlcv, market.label)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) == 4
    predicted = search.predict(market.ohlcv)
    assert predicted.shape == market.label.shape
    # Today's predictions, from today's and earlier rows alone.
    days = market.ohlcv.index.get_level_values("datetime")
    past = days <= days.unique().sort_values()[60]
    assert_array_equal(search.predict(market.ohlcv[past]), predicted[past])


def test_no_lookahead_through_a_pipeline(market):
    days = market.ohlcv.index.get_level_values("datetime")
    day = days.unique().sort_values()[100]
    past = days <= day
    model = small_hist(concepts=market.concepts, max_epochs=1)
    pipeline = make_pipeline(Alpha360(length=6), RobustZScore(), model)
    pipeline.fit(market.ohlcv[past], market.label[past])
    other = market.ohlcv.astype(float)
    other[~past] *= 1.7
    assert_array_equal(pipeline.predict(other)[past], pipeline.predict(market.ohlcv)[past])


@may_lack_concepts
def test_bf16_is_near_float32():
    # Many stocks: which one is nearest must not be left to rounding.
    X, y = make_stock_days([200] * 6)
    params = {"early_stopping": False, "days_per_batch": 1}
    full = small_hist(**params).fit(X, y)
    held = {"pretrained": full.module_.state_dict(), "lr": 1e-12, "max_epochs": 1}
    same = small_hist(**params, precision="bf16").set_params(**held).fit(X, y)
    one, two = full.predict(X), same.predict(X)
    assert two.dtype == np.float32
    assert np.corrcoef(one, two)[0, 1] > 0.99
    assert not np.array_equal(one, two)
    half = small_hist(**params, precision="bf16").fit(X, y)
    assert np.corrcoef(one, half.predict(X))[0, 1] > 0.97
    assert all(p.dtype == torch.float32 for p in half.module_.parameters())
    assert all(values.dtype == np.float32 for values in half.attend(X).values())


@may_lack_concepts
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_compile(stock_days):
    X, y = stock_days[0][:60], stock_days[1][:60]
    params = {"days_per_batch": 2, "max_epochs": 1, "early_stopping": False}
    plain, compiled = small_hist(**params).fit(X, y), small_hist(**params, compile=True).fit(X, y)
    assert_allclose(compiled.predict(X), plain.predict(X), atol=1e-4)
    again = pickle.loads(pickle.dumps(compiled))
    assert_allclose(again.predict(X), plain.predict(X), atol=1e-4)
