"""A table that lost its index: a warning, or an error where y has the index."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import ragged_prices
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor, VotingRegressor
from sklearn.linear_model import Ridge
from sklearn.multioutput import RegressorChain
from sklearn.pipeline import make_pipeline

from skattn.metrics import rank_ic_score
from skattn.models import GRURegressor
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    CrossSectionalScaler,
    RobustZScore,
    RollingWindow,
    SequenceReshaper,
)

PRICES = ragged_prices(n_days=60, n_stocks=8, share=1.0, missing=0.0).sort_index()
PRICES["high"] = PRICES[["open", "high", "low", "close"]].max(axis=1)
# Today's move against yesterday: what a window tells and a single row does not.
LABEL = PRICES["close"].groupby(level="instrument").pct_change().fillna(0)
# Numbers of columns that may be fields or steps.
TRANSFORMERS = {
    "alpha360": (Alpha360(length=3), "steps"),
    "alpha158": (Alpha158((5,), columns=["ROC5"]), "steps"),
    "rolling window": (RollingWindow(5), "steps"),
    "scaler": (CrossSectionalScaler(), "wide panel"),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_an_array_that_may_have_been_a_table_is_reported(name):
    transformer, word = TRANSFORMERS[name]
    with pytest.warns(UserWarning, match=rf"\bindex\b.*{word}.*BaggingRegressor") as caught:
        transformer.fit(PRICES.to_numpy())
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.raises(ValueError, match=r"\by\b.*\bindex\b.*\bX\b.*set_output"):
        transformer.fit(PRICES.to_numpy(), LABEL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer.fit(PRICES, LABEL)


def test_arrays_that_are_what_they_seem_pass_without_a_word():
    series = np.random.default_rng(0).lognormal(size=(20, 70))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Alpha360().fit(series)
        Alpha158().fit(series)
        RollingWindow(5).fit(series[:, :, None])
        CrossSectionalScaler().fit(pd.DataFrame(series))


def short_gru():
    return GRURegressor(hidden_size=8, max_epochs=30, lr=0.02, random_state=0, purge=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda inner: BaggingRegressor(inner, n_estimators=1, bootstrap=False),
        lambda inner: AdaBoostRegressor(inner, n_estimators=1),
        lambda inner: RegressorChain(inner),
    ],
    ids=["bagging", "adaboost", "chain"],
)
@pytest.mark.parametrize(
    "steps",
    [
        lambda: [Alpha360(length=3), RobustZScore(), short_gru()],
        lambda: [CrossSectionalScaler(), Ridge()],
    ],
    ids=["windows", "cross-section"],
)
def test_meta_estimators_that_drop_the_index(make, steps):
    y = np.c_[LABEL, LABEL] if "Chain" in repr(make(Ridge())) else LABEL
    with pytest.warns(UserWarning, match=r"\bindex\b.*BaggingRegressor"):
        make(make_pipeline(*steps())).fit(PRICES, y)


def test_the_ways_that_the_warning_names_give_the_right_numbers():
    plain = make_pipeline(Alpha360(length=3), RobustZScore(), short_gru())
    expected = rank_ic_score(LABEL, plain.fit(PRICES, LABEL).predict(PRICES))
    assert expected > 0.7
    vote = VotingRegressor([("one", plain)]).fit(PRICES, LABEL)
    assert rank_ic_score(LABEL, vote.predict(PRICES)) == pytest.approx(expected)
    inner = make_pipeline(SequenceReshaper(5), short_gru())
    bagging = make_pipeline(
        Alpha360(length=3, layout="columns"),
        RobustZScore(),
        BaggingRegressor(inner, n_estimators=2, random_state=0),
    ).fit(PRICES, LABEL)
    assert rank_ic_score(LABEL, bagging.predict(PRICES)) > 0.7
