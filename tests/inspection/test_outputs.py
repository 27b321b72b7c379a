"""Inspection of a model of several outputs: attention works, importance asks for one of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skattn import ALSTMRegressor
from skattn.inspection import (
    AttentionDisplay,
    FeatureImportanceDisplay,
    attention_weights,
    integrated_gradients,
    permutation_importance,
)


@pytest.fixture
def fitted(windows):
    X, y = windows
    table = pd.DataFrame({"near": y, "far": -y})
    days = y.index
    model = ALSTMRegressor(hidden_size=4, max_epochs=1, purge=2, random_state=0)
    return model.fit(X, table, days=days), X, table


def test_attention_is_what_the_module_gives(fitted):
    model, X, _ = fitted
    weights = attention_weights(model, X).time
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(weights, model.attend(X)["time"])


def test_attention_is_drawn_and_not_sorted_by_a_prediction(fitted):
    pytest.importorskip("matplotlib")
    model, X, table = fitted
    display = AttentionDisplay.from_estimator(model, X, days=table.index)
    assert display.predicted is None
    with pytest.raises(ValueError, match=r"needs the predictions.*one column"):
        display.plot("rows", sort="prediction")


def test_importance_is_that_of_one_output(fitted):
    pytest.importorskip("captum")
    pytest.importorskip("matplotlib")
    model, X, table = fitted
    y, message = table["near"], r"one output.*ALSTMRegressor.*2 labels a row.*one column"
    with pytest.raises(ValueError, match=message):
        permutation_importance(model, X, y)
    with pytest.raises(ValueError, match=message):
        integrated_gradients(model, X)
    with pytest.raises(ValueError, match=message):
        FeatureImportanceDisplay.from_estimator(model, X, y)
    with pytest.raises(ValueError, match="y must hold one number a row"):
        permutation_importance(model, X, table)
