"""Early stopping holds out the last whole days, and purges the days before them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import label_reaching, may_lack_concepts, small_alstm, small_hist, weights_of
from numpy.testing import assert_array_equal
from sklearn.exceptions import DataConversionWarning

from skattn.metrics import ic_score, rank_ic_score
from skattn.models import GRURegressor
from skattn.training import chronological_holdout


def test_early_stopping_holds_out_the_last_whole_days(windows):
    X, y = windows
    day = y.index.get_level_values("datetime")
    last, purged = day >= day.unique()[-4], np.isin(day, day.unique()[-6:-4])
    held_out = small_alstm().fit(X, y)
    explicit = small_alstm().fit(
        X[~last & ~purged], y[~last & ~purged], X_val=X[last], y_val=y[last]
    )
    np.testing.assert_array_equal(weights_of(held_out), weights_of(explicit))


def test_the_same_days_are_held_out_whatever_the_order_of_rows(windows):
    _, y = windows
    day = y.index.get_level_values("datetime")
    last, purged = day >= day.unique()[-4], np.isin(day, day.unique()[-6:-4])
    shuffled = np.random.default_rng(0).permutation(len(y))
    train, valid = chronological_holdout(day[shuffled], np.ones(len(y), bool), 0.1, 2)
    np.testing.assert_array_equal(np.sort(shuffled[valid]), np.flatnonzero(last))
    np.testing.assert_array_equal(np.sort(shuffled[train]), np.flatnonzero(~last & ~purged))


@may_lack_concepts
@pytest.mark.parametrize("monitor", ["valid_ic", "valid_rank_ic", "valid_loss"])
@pytest.mark.parametrize("days_per_batch", [1, 2])
def test_early_stopping_holds_out_whole_days(stock_days, monitor, days_per_batch):
    X, y = stock_days
    order = np.random.default_rng(1).permutation(len(y))
    X, y = X[order], y.iloc[order].copy()
    days = y.index.get_level_values("datetime")
    calendar = days.unique().sort_values()
    last, purged = days >= calendar[-3], days.isin(calendar[-5:-3])
    # One row of a held-out day, and one of the others, is context.
    y.iloc[[np.flatnonzero(last)[0], np.flatnonzero(~last & ~purged)[0]]] = np.nan
    params = {"monitor": monitor, "days_per_batch": days_per_batch, "max_epochs": 6, "lr": 0.03}
    model = small_hist(**params).fit(X, y)
    kept = ~last & ~purged
    explicit = small_hist(**params).fit(X[kept], y[kept], X_val=X[last], y_val=y[last])
    assert_array_equal(weights_of(model), weights_of(explicit))

    predicted = pd.Series(model.predict(X[last]), index=y.index[last])
    recorded = model.history_[monitor]
    if monitor == "valid_loss":
        by_day = ((predicted - y[last]) ** 2).groupby(days[last]).mean()
        if days_per_batch == 1:
            assert recorded.min() == pytest.approx(by_day.mean(), rel=1e-4)
    else:
        score = {"valid_ic": ic_score, "valid_rank_ic": rank_ic_score}[monitor]
        assert recorded.max() == pytest.approx(score(y[last], predicted), abs=1e-5)
        assert recorded.max() > recorded.min()


# The purge between training and validation days -------------------------------------------------


def fitted(X, y, **params):
    model = GRURegressor(hidden_size=2, max_epochs=2, random_state=0, **params).fit(X, y)
    return model.predict(X)


@pytest.mark.parametrize("as_table", [False, True])
def test_the_holdout_purges_what_the_label_tells(windows, as_table):
    X, y = windows
    long = label_reaching(9, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataConversionWarning)
        by_auto = fitted(X, long.to_frame() if as_table else long)
    np.testing.assert_array_equal(by_auto, fitted(X, y, purge=9))
    assert not np.array_equal(by_auto, fitted(X, y))
    np.testing.assert_array_equal(fitted(X, y), fitted(X, y, purge=2))
    np.testing.assert_array_equal(fitted(X, y.to_numpy()), fitted(X, y.to_numpy(), purge=2))


def test_the_holdout_warns_of_a_purge_that_is_too_short(windows):
    X, y = windows
    with pytest.warns(UserWarning, match=r"\b9\b.*purge=2") as caught:
        by_number = fitted(X, label_reaching(9, y), purge=2)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(by_number, fitted(X, y, purge=2))


def test_without_a_holdout_nothing_is_purged_and_nothing_warned_of(windows):
    X, y = windows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = fitted(X, y, early_stopping=False)
        long = fitted(X, label_reaching(9, y), early_stopping=False, purge=0)
        fitted(X, label_reaching(9, y).to_numpy(), purge=0)
    np.testing.assert_array_equal(plain, long)


def test_a_label_that_reaches_too_far_is_an_error_that_counts(windows):
    X, y = windows
    with pytest.raises(ValueError, match=r"\b4 of 40\b.*\b36\b"):
        fitted(X, label_reaching(36, y))
