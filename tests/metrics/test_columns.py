"""Scores and scorers of several labels a row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_validate

import skattn
from skattn.metrics import (
    ic_score,
    icir_score,
    rank_ic_score,
    rank_ic_scorer,
    rank_icir_score,
    signal_report,
)
from skattn.model_selection import DailyTimeSeriesSplit

SCORES = (ic_score, icir_score, rank_ic_score, rank_icir_score)


@pytest.fixture(scope="module")
def tables(market) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels of two horizons, and predictions of both."""
    labels = skattn.make_label(market.ohlcv, horizon=(1, 5))
    noise = np.random.default_rng(0).normal(size=labels.shape)
    return labels, labels.fillna(0.0) + 0.05 * noise


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "kind",
    [
        lambda table: table,
        lambda table: table.to_numpy(),
        lambda table: table.to_numpy().tolist(),
        lambda table: torch.tensor(table.to_numpy(), requires_grad=True),
    ],
    ids=["table", "array", "list", "tensor"],
)
def test_a_score_is_the_mean_over_columns(tables, score, kind):
    y, p = tables
    days = y.index.get_level_values("datetime")
    expected = np.mean([score(y[name], p[name]) for name in y])
    assert score(kind(y), kind(p), days=days) == pytest.approx(expected, rel=1e-12)
    assert score(y, p.to_numpy()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.iloc[:, 0], "same number of columns; they have 2 and 1"),
        (lambda p: p.assign(c=0.0), "same number of columns; they have 2 and 3"),
        (lambda p: p[["5d", "1d"]], r"same columns in the same order.*'1d', '5d'.*'5d', '1d'"),
        (lambda p: p.iloc[1:], "rows"),
    ],
    ids=["one", "three", "order", "rows"],
)
@pytest.mark.parametrize("score", SCORES)
def test_predictions_of_other_columns_are_refused(tables, score, change, message):
    y, p = tables
    with pytest.raises(ValueError, match=message):
        score(y, change(p))


def test_scorers_by_column(tables, market):
    y, _ = tables
    X = market.ohlcv[["close", "volume"]].groupby("instrument").rank()
    known = y.notna().all(axis=1).to_numpy()
    X, y = X[known], y[known]
    scoring = {name: rank_ic_scorer.of_column(name) for name in y} | {"mean": rank_ic_scorer}
    cv = DailyTimeSeriesSplit(n_splits=2)
    found = cross_validate(LinearRegression(), X, y, cv=cv, scoring=scoring, return_estimator=True)
    for fold, (_, test) in enumerate(cv.split(X, y)):
        predicted = found["estimator"][fold].predict(X.iloc[test])
        by_column = [rank_ic_score(y.iloc[test, place], predicted[:, place]) for place in range(2)]
        assert [found[f"test_{name}"][fold] for name in y] == by_column
        assert found["test_mean"][fold] == pytest.approx(np.mean(by_column))
        assert by_column[0] != by_column[1]
    days = X.index.get_level_values("datetime")
    model = LinearRegression().fit(X, y)
    by_number = rank_ic_scorer.of_column(1)(model, X.to_numpy(), y.to_numpy(), days=days)
    assert by_number == rank_ic_scorer.of_column("5d")(model, X, y)
    search = GridSearchCV(
        LinearRegression(), {"fit_intercept": [True, False]}, cv=cv, scoring=scoring, refit="5d"
    )
    assert search.fit(X, y).best_score_ == max(search.cv_results_["mean_test_5d"])


def test_scorers_of_columns_share_one_prediction(tables):
    y, p = tables
    calls = []

    class Stored(LinearRegression):
        def predict(self, X):
            calls.append(len(X))
            return p.loc[X.index].to_numpy()

    X = y.fillna(0.0)
    scoring = {name: rank_ic_scorer.of_column(name) for name in y}
    known = y.notna().all(axis=1).to_numpy()
    cross_validate(Stored(), X[known], y[known], cv=DailyTimeSeriesSplit(2), scoring=scoring)
    assert len(calls) == 2


def test_numbers_that_are_names_are_names(tables):
    y, p = tables
    y = y.set_axis([1, 0], axis=1)
    model = LinearRegression().fit(y.fillna(0.0), p)
    model.predict = lambda X: p.to_numpy()
    found = rank_ic_scorer.of_column(1)(model, y, y)
    assert found == rank_ic_score(y[1], p.iloc[:, 0])
    assert repr(rank_ic_scorer.of_column(1)) == "DailyScorer(rank_ic_score, column=1)"
    assert repr(rank_ic_scorer) == "DailyScorer(rank_ic_score)"


@pytest.mark.parametrize("column", ["20d", 2])
def test_a_column_that_is_not_there_is_named(tables, column):
    y, p = tables
    model = LinearRegression().fit(y.fillna(0.0), p)
    with pytest.raises(ValueError, match=rf"column.*{column!r}.*'1d', '5d'"):
        rank_ic_scorer.of_column(column)(model, y.fillna(0.0), y)
    with pytest.raises(ValueError, match=rf"column.*{column!r}.*2 columns without names"):
        rank_ic_scorer.of_column(column)(model, y.fillna(0.0), y.to_numpy(), days=y.index)


@pytest.mark.parametrize("column", [-1, None, 1.0, True, ["1d"]])
def test_a_column_is_a_name_or_a_number(column):
    with pytest.raises((TypeError, ValueError), match="column"):
        rank_ic_scorer.of_column(column)


def test_a_report_is_of_one_label(tables):
    y, p = tables
    with pytest.raises(ValueError, match=r"y_true must hold one number a row"):
        signal_report(y, p)
    # A column that is taken out tells its own horizon.
    assert signal_report(y["5d"], p["5d"])["lags"] == 4
    assert signal_report(y["1d"], p["1d"])["lags"] == 0
    with pytest.warns(UserWarning, match="not known"):
        signal_report(y["5d"].rename("label"), p["5d"])
