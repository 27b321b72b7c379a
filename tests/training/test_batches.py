"""Samples of windows, and batches of whole days."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import may_lack_concepts, small_alstm, small_hist, weights_of, windows_of
from numpy.testing import assert_allclose, assert_array_equal

from skattn.panel import WindowArray


def test_lazy_windows_equal_dense_ones(windows):
    X, y = windows
    lazy = WindowArray(X.reshape(-1, 3), np.arange(len(X)) * 8 + 7, 8, index=y.index)
    np.testing.assert_array_equal(np.asarray(lazy), X)
    dense_model, lazy_model = small_alstm().fit(X, y), small_alstm().fit(lazy, y.to_numpy())
    np.testing.assert_array_equal(weights_of(dense_model), weights_of(lazy_model))
    np.testing.assert_array_equal(dense_model.predict(X), lazy_model.predict(lazy))


@may_lack_concepts
@pytest.mark.parametrize("days_per_batch", [1, 4, 100])
def test_order_of_rows(stock_days, days_per_batch):
    X, y = stock_days
    order = np.random.default_rng(3).permutation(len(y))
    one = small_hist(days_per_batch=days_per_batch).fit(X, y)
    two = small_hist(days_per_batch=days_per_batch).fit(X[order], y.iloc[order])
    assert_allclose(weights_of(two), weights_of(one), atol=1e-5)
    assert_allclose(two.predict(X), one.predict(X), atol=1e-5)
    assert_array_equal(one.predict(X[order]), one.predict(X)[order])
    assert_allclose(two.history_["valid_ic"], one.history_["valid_ic"], atol=1e-4)
    n_train = 24 - 3 - 2
    expected = len(range(0, n_train, days_per_batch))
    assert (one.history_["train_batch_count"] == expected).all()


@may_lack_concepts
def test_rows_without_a_label_are_context(stock_days):
    X, y = stock_days
    days = y.index.get_level_values("datetime")
    row = 2  # of the first day, of sector a
    partly = y.copy()
    partly.iloc[row] = np.nan
    changed = np.asarray(X).copy()
    changed[row] += 2
    changed = windows_of(changed, y.index)
    model = small_hist(early_stopping=False).fit(X, partly)
    assert np.isfinite(model.history_["train_loss"]).all()
    # Its features count in training, its label does not, its absence does.
    assert not np.array_equal(
        weights_of(small_hist(early_stopping=False).fit(changed, partly)), weights_of(model)
    )
    other_label = small_hist(early_stopping=False).fit(X, y)
    assert not np.array_equal(weights_of(other_label), weights_of(model))
    without = np.delete(np.arange(len(y)), row)
    absent = small_hist(early_stopping=False).fit(X[without], y.iloc[without])
    assert not np.array_equal(weights_of(absent), weights_of(model))
    # And in prediction: of its day alone.
    one, two = model.predict(X), model.predict(changed)
    first = days == days[0]
    assert_array_equal(one[~first], two[~first])
    assert (one[first] != two[first]).all()


@may_lack_concepts
def test_days_without_a_label_are_left_out(stock_days):
    X, y = stock_days
    days = y.index.get_level_values("datetime")
    gone = days.isin(days.unique()[[0, 7, 23]])
    model = small_hist(days_per_batch=1).fit(X, y.mask(gone))
    without = small_hist(days_per_batch=1).fit(X[~gone], y[~gone])
    assert_array_equal(weights_of(model), weights_of(without))
    assert model.history_["train_batch_count"].iloc[0] == 21 - 3 - 2
    assert np.isfinite(model.predict(X)).all()
