"""Concepts of HIST: their forms, what lacks them, and mistakes in them."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import DUMMIES, SECTORS, STOCKS, may_lack_concepts, small_hist, weights_of, windows_of
from numpy.testing import assert_allclose, assert_array_equal

without_days = pytest.mark.filterwarnings("ignore:HISTRegressor looks across:UserWarning")


@may_lack_concepts
def test_concepts_in_every_form(stock_days):
    X, y = stock_days
    params = {"max_epochs": 1, "early_stopping": False}
    expected = weights_of(small_hist(**params).fit(X, y))
    backwards = DUMMIES[::-1]
    forms = [
        SECTORS.to_dict(),
        {**SECTORS.to_dict(), "S8": None},
        pd.concat([SECTORS, pd.Series({"S8": np.nan, "T9": "a"})]),
        SECTORS.astype("category"),
        SECTORS.astype("string"),
        SECTORS.map({"a": 1, "b": 2, "c": 3}),
        SECTORS.sample(frac=1, random_state=0),
        SECTORS.set_axis(pd.CategoricalIndex(SECTORS.index)),
        DUMMIES,
        DUMMIES.astype(bool),
        DUMMIES.astype("float32"),
        DUMMIES.astype("Int64"),
        backwards,
    ]
    for concepts in forms:
        assert_array_equal(weights_of(small_hist(concepts=concepts, **params).fit(X, y)), expected)
    other = small_hist(concepts=DUMMIES * 3, **params).fit(X, y)
    assert not np.array_equal(weights_of(other), expected)
    with_empty = small_hist(concepts=DUMMIES.assign(nobody=0.0), **params).fit(X, y)
    assert_allclose(weights_of(with_empty), expected, atol=1e-5)


def test_no_concepts(stock_days):
    X, y = stock_days
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        without = small_hist(concepts=None).fit(X, y)
        without.predict(X)
        for concepts in ({}, pd.DataFrame(), pd.DataFrame(index=STOCKS), pd.Series(dtype=object)):
            assert_array_equal(
                weights_of(small_hist(concepts=concepts).fit(X, y)), weights_of(without)
            )
        # Then instruments need not be known.
        days = y.index.get_level_values("datetime")
        by_day = small_hist(concepts=None, purge=2)
        by_day.fit(np.asarray(X), y.to_numpy(), days=days)
        assert_array_equal(weights_of(by_day), weights_of(without))
        assert_array_equal(by_day.predict(np.asarray(X), days=days), without.predict(X))


def test_unknown_instruments_are_reported_once(stock_days):
    X, y = stock_days
    known = SECTORS.drop("S2")
    with pytest.warns(UserWarning, match=r"\b2 of 9\b.*\['S2', 'S8'\]") as w:
        model = small_hist(concepts=known).fit(X, y)
    assert len(w) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(X)
        model.attend(X[:20])
        model.partial_fit(X, y)
        pickle.loads(pickle.dumps(model)).predict(X)
    index = y.index[:9].set_levels([*STOCKS[:8], "new"], level="instrument")
    with pytest.warns(UserWarning, match=r"\b1 of 9\b.*\['new'\]") as w:
        model.predict(windows_of(np.asarray(X)[:9], index))
    assert len(w) == 1
    # Many are counted, and some are named.
    with pytest.warns(UserWarning, match=r"\b8 of 9\b.*\[('S\d', ){4}'S\d'\]"):
        small_hist(concepts={"S0": "a"}).fit(X, y)
    # A new fit reports anew; one that goes on, what is new to it.
    with pytest.warns(UserWarning, match=r"\b2 of 9\b"):
        model.fit(X, y)
    with pytest.warns(UserWarning, match=r"\b2 of 9\b.*'S8'\]"):
        small_hist(concepts=None, warm_start=True).fit(X, y).set_params(concepts=known).fit(X, y)


def test_an_unknown_instrument_is_in_no_concept(stock_days, fitted):
    X, y = stock_days
    index = y.index[:9].set_levels([*STOCKS[:8], "new"], level="instrument")
    with pytest.warns(UserWarning, match="'new'"):
        renamed = fitted.attend(windows_of(np.asarray(X)[:9], index))
    as_it_was = fitted.attend(X[:9])
    for name, values in as_it_was.items():
        assert_array_equal(renamed[name], values)
    assert not as_it_was["stock_to_concept"][8].any()
    assert as_it_was["stock_to_concept"][:8].any(axis=1).all()


@pytest.mark.parametrize(
    ("concepts", "error", "message"),
    [
        (
            pd.concat([SECTORS, SECTORS[:2]]),
            ValueError,
            r"concepts.*\['S0', 'S1'\]",
        ),
        (pd.concat([DUMMIES, DUMMIES[:1]]), ValueError, r"concepts.*\['S0'\]"),
        (pd.concat([DUMMIES, DUMMIES[["a"]]], axis=1), ValueError, r"concepts.*\['a'\]"),
        (
            DUMMIES.replace(1.0, -1.0),
            ValueError,
            r"concepts.*-1\.0.*'S0'",
        ),
        (DUMMIES.replace(1.0, np.nan), ValueError, r"concepts.*\bnan\b.*\b8\b"),
        (DUMMIES.replace(1.0, np.inf), ValueError, r"concepts.*\binf\b"),
        (SECTORS.to_frame(), TypeError, "concepts.*'a'"),
        ({"S0": ["a", "b"]}, TypeError, "concepts.*'list'"),
        ({"S0": {"a": 1.0}}, TypeError, "concepts.*'dict'"),
        ({("S0", "a"): 1}, ValueError, r"concepts.*\[None, None\]"),
        (DUMMIES.stack(), ValueError, r"concepts.*\[None, None\]"),
        (DUMMIES.set_index("a", append=True), ValueError, r"concepts.*\[None, 'a'\]"),
        ({"AAPL": "tech"}, ValueError, r"concepts.*\['AAPL'\]"),
        (SECTORS.reset_index(drop=True), ValueError, r"concepts.*\[0, 1, 2\]"),
        (DUMMIES.T, ValueError, r"concepts.*\['a', 'b', 'c'\]"),
        (DUMMIES.to_numpy(), ValueError, r"concepts.*array\("),
        ("sector", ValueError, "concepts.*'sector'"),
    ],
)
def test_bad_concepts(stock_days, monkeypatch, concepts, error, message):
    X, y = stock_days
    monkeypatch.setattr(
        "skattn.base._regressor.run_epochs", lambda *args, **kwargs: pytest.fail("it trains")
    )
    for method in ("fit", "partial_fit"):
        with pytest.raises(error, match=message):
            getattr(small_hist(concepts=concepts), method)(X, y)


@without_days
def test_concepts_without_instruments(stock_days, fitted, monkeypatch):
    X, y = stock_days
    arrays = np.asarray(X), y.to_numpy()
    days = y.index.get_level_values("datetime")
    with pytest.raises(ValueError, match=r"concepts.*instruments="):
        fitted.predict(arrays[0], days=days)
    monkeypatch.setattr(
        "skattn.base._regressor.run_epochs", lambda *args, **kwargs: pytest.fail("it trains")
    )
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=r"concepts.*instruments="):
            getattr(small_hist(), method)(*arrays, days=days)


def test_attention_without_concepts(stock_days):
    X, y = stock_days
    maps = small_hist(concepts=None, max_epochs=1).fit(X, y).attend(X)
    assert maps["stock_to_concept"].shape == maps["concept_to_stock"].shape == (len(y), 0)
    assert np.isfinite(maps["hidden_concept"][:9]).all()
