"""Attention maps with labels, of every model that has them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skattn import make_model
from skattn.inspection import AttentionMap, attention_weights
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.preprocessing import Alpha360, RobustZScore

T = 6
SMALL = {
    "alstm": {"hidden_size": 4},
    "transformer": {"d_model": 8, "nhead": 2, "num_layers": 3, "dim_feedforward": 16},
    "hist": {"hidden_size": 4, "num_layers": 1},
    "sfm": {"hidden_size": 4, "freq_dim": 5, "output_dim": 3},
}


@pytest.fixture(scope="module")
def fitted(market):
    def fit(name: str) -> Pipeline:
        params = {"max_epochs": 1, "random_state": 0, **SMALL[name]}
        if name == "hist":
            params["concepts"] = market.concepts
        pipeline = Pipeline(
            [
                ("windows", Alpha360(length=T)),
                ("scale", RobustZScore()),
                ("model", make_model(name, **params)),
            ]
        )
        return pipeline.fit(market.ohlcv, market.label)

    return {name: fit(name) for name in SMALL}


def test_alstm(fitted, market):
    weights = attention_weights(fitted["alstm"], market.ohlcv).time
    assert weights.index.equals(market.ohlcv.index)
    assert weights.columns.tolist() == [5, 4, 3, 2, 1, 0]
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


def test_transformer(fitted, market):
    layers = attention_weights(fitted["transformer"], market.ohlcv).layers
    assert isinstance(layers, AttentionMap)
    assert layers.axes == ("row", "layer", "head", "query", "key")
    assert np.asarray(layers).shape == (len(market.ohlcv), 3, 2, T, T)
    assert layers.labels[-1].tolist() == [5, 4, 3, 2, 1, 0]
    assert repr(layers).endswith("layer: 3, head: 2, query: 6, key: 6)")
    np.testing.assert_allclose(layers.values.sum(axis=-1), 1, rtol=1e-5)
    assert np.ptp(layers.values[:, :, :, -1], axis=-1).min() > 1e-6


def test_sfm(fitted, market):
    frequency = attention_weights(fitted["sfm"], market.ohlcv).frequency
    assert frequency.axes == ("row", "lag", "frequency")
    np.testing.assert_allclose(frequency.labels[2], [0, 0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(frequency.values.sum(axis=-1), 1, rtol=1e-5)


def test_hist(fitted, market):
    shuffled = market.ohlcv.sample(frac=1, random_state=0)
    maps = attention_weights(fitted["hist"], shuffled)
    sectors = sorted(market.concepts.unique())
    for name in ("stock_to_concept", "concept_to_stock"):
        assert maps[name].index.equals(shuffled.index)
        assert maps[name].columns.tolist() == sectors
    # A stock enters its own sector and no other; it takes from all that have members.
    own = shuffled.index.get_level_values("instrument").map(market.concepts)
    enters = maps.stock_to_concept > 0
    np.testing.assert_array_equal(enters.to_numpy(), own.to_numpy()[:, None] == np.array(sectors))
    np.testing.assert_allclose(maps.concept_to_stock.sum(axis=1), 1, rtol=1e-5)
    # Over the stocks of the day: all of them, by their names.
    hidden = maps.hidden_concept.sort_index()
    day = hidden.index[-1][0]
    today = hidden.loc[day]
    assert set(today.columns[today.notna().any()]) == set(today.index)
    assert set(hidden.columns) == set(market.ohlcv.index.unique("instrument"))
    totals = hidden.sum(axis=1).to_numpy()
    assert (np.isclose(totals, 1, rtol=1e-5) | (totals == 0)).all()
    pd.testing.assert_frame_equal(
        attention_weights(fitted["hist"], market.ohlcv).hidden_concept.sort_index(),
        hidden,
        rtol=1e-4,
    )


def test_arrays_and_searches(windows):
    X, y = windows
    model = make_model("alstm", hidden_size=4, max_epochs=1, random_state=0)
    weights = attention_weights(model.fit(X, y), X).time
    assert weights.index.equals(pd.RangeIndex(len(X)))
    search = GridSearchCV(model, {"hidden_size": [4]}, cv=DailyTimeSeriesSplit(n_splits=2))
    by_search = attention_weights(search.fit(X, y), X).time
    pd.testing.assert_frame_equal(by_search, weights)


def test_errors(windows):
    X, y = windows
    with pytest.raises(NotFittedError):
        attention_weights(make_model("alstm"), X)
    with pytest.raises(ValueError, match="GRURegressor"):
        attention_weights(make_model("gru", hidden_size=2, max_epochs=1).fit(X, y), X)
    with pytest.raises(TypeError, match=r"attention_weights.*Ridge"):
        attention_weights(Ridge().fit(X[:, 0], y), X[:, 0])
