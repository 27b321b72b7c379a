"""Splitters in scikit-learn's cross-validations and searches."""

from __future__ import annotations

import pandas as pd
import pytest
from helpers import with_purge
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)

from skattn.metrics import ic_scorer
from skattn.model_selection import (
    CombinatorialPurgedDailyKFold,
    DailyTimeSeriesSplit,
    DateSplit,
    PurgedDailyKFold,
)

SPLITTERS = {
    "walk-forward": DailyTimeSeriesSplit(3),
    "k-fold": PurgedDailyKFold(3, embargo=1),
    "combinatorial": CombinatorialPurgedDailyKFold(4),
    "dates": DateSplit((None, "2010-05"), ("2010-06", None)),
}
RIDGE = Ridge(), {"alpha": [0.1, 1e6]}
BOOSTING = GradientBoostingRegressor(max_depth=1, random_state=0), {"learning_rate": [0.1, 1.0]}


@pytest.fixture(params=SPLITTERS)
def cv(request):
    return SPLITTERS[request.param]


@pytest.fixture(scope="module")
def data(market) -> tuple[pd.DataFrame, pd.Series]:
    """Two features and labels that reach 7 days ahead, in shuffled rows."""
    y = market.label.dropna().sample(frac=1, random_state=0)
    X = pd.DataFrame({"signal": market.signal, "close": market.ohlcv["close"]}).reindex(y.index)
    # In units of 1, so that the penalty counts.
    X, y = (X - X.mean()) / X.std(), y / y.std()
    y.attrs["reach"] = 7
    return X, y


def grid_search(cv):
    return GridSearchCV(*RIDGE, cv=cv)


def halving_of_rows(cv):
    return HalvingRandomSearchCV(*RIDGE, n_candidates=2, cv=cv, random_state=0, min_resources=200)


def halving_of_trees(cv):
    resources = {"resource": "n_estimators", "min_resources": 2, "max_resources": 4, "factor": 2}
    return HalvingRandomSearchCV(*BOOSTING, n_candidates=2, cv=cv, random_state=0, **resources)


def scores_of(search) -> list[list[float]]:
    results = search.cv_results_
    return [results[f"split{i}_test_score"].tolist() for i in range(search.n_splits_)]


@pytest.mark.parametrize("make_search", [grid_search, halving_of_rows, halving_of_trees])
def test_searches_show_the_reach_of_labels(make_search, cv, data) -> None:
    X, y = data
    auto = scores_of(make_search(cv).fit(X, y))
    assert len(auto) == cv.get_n_splits()
    assert auto == scores_of(make_search(with_purge(cv, 7)).fit(X, y))
    assert auto != scores_of(make_search(cv).fit(X, y.to_numpy()))


def test_nested_searches_show_the_reach_of_labels(data) -> None:
    X, y = data
    inner, outer = PurgedDailyKFold(3), DailyTimeSeriesSplit(2)

    def nested(inner, y) -> list[list[list[float]]]:
        result = cross_validate(grid_search(inner), X, y, cv=outer, return_estimator=True)
        return [scores_of(search) for search in result["estimator"]]

    assert nested(inner, y) == nested(with_purge(inner, 7), y)
    y_of_two = y.copy()
    y_of_two.attrs["reach"] = 2
    assert nested(inner, y) != nested(inner, y_of_two)


def test_searches_warn_of_a_short_purge(cv, data) -> None:
    with pytest.warns(UserWarning, match=r"\b7\b.*purge=1\b") as caught:
        grid_search(with_purge(cv, 1)).fit(*data)
    assert [warning.filename for warning in caught] == [__file__]


def test_cross_validate_uses_the_folds(cv, data) -> None:
    X, y = data
    result = cross_validate(Ridge(), X, y, cv=cv, scoring=ic_scorer, return_indices=True)
    assert (result["test_score"] > 0).all()
    folds = list(cv.split(X, y))
    for side, rows in (("train", 0), ("test", 1)):
        for fold, used in zip(folds, result["indices"][side], strict=True):
            assert_array_equal(fold[rows], used)


def test_in_parallel(data) -> None:
    X, y = data
    cv = CombinatorialPurgedDailyKFold(4)
    parallel = cross_val_score(Ridge(), X, y, cv=cv, n_jobs=2)
    assert_allclose(parallel, cross_val_score(Ridge(), X, y, cv=cv))


def test_cross_val_predict_over_blocks(data) -> None:
    X, y = data
    cv = PurgedDailyKFold(4)
    predicted = cross_val_predict(Ridge(), X, y, cv=cv)
    for train, test in cv.split(X, y):
        model = Ridge().fit(X.iloc[train], y.iloc[train])
        assert_allclose(predicted[test], model.predict(X.iloc[test]))


def test_groups_are_routed(cv, data) -> None:
    X, y = data
    days = X.index.get_level_values("datetime")
    expected = cross_val_score(Ridge(), X, y.to_numpy(), cv=cv)
    plain = (X.to_numpy(), y.to_numpy())
    assert_allclose(cross_val_score(Ridge(), *plain, cv=cv, groups=days), expected)
    with config_context(enable_metadata_routing=True):
        routed = cross_val_score(Ridge(), *plain, cv=cv, params={"groups": days})
        assert_allclose(routed, expected)
        renamed = clone(cv, safe=False).set_split_request(groups="when")
        routed = cross_val_score(Ridge(), *plain, cv=renamed, params={"when": days})
        assert_allclose(routed, expected)
        search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=cv).fit(*plain, groups=days)
        assert search.best_score_ == pytest.approx(expected.mean())
