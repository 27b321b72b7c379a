"""The daily IC family against slow, independent implementations, and inside scikit-learn."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_series_equal
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_validate

from skattn.metrics import (
    daily_ic,
    ic_score,
    ic_scorer,
    icir_score,
    icir_scorer,
    rank_ic_score,
    rank_ic_scorer,
    rank_icir_score,
    rank_icir_scorer,
    signal_report,
)
from skattn.panel import build_windows

METHODS = ("pearson", "spearman")
SCORES = (ic_score, icir_score, rank_ic_score, rank_icir_score)
SCORERS = (ic_scorer, icir_scorer, rank_ic_scorer, rank_icir_scorer)
DAYS = pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08"])


def market(n_days: int = 30, n_stocks: int = 12, seed: int = 0) -> tuple[pd.Series, pd.Series]:
    """Labels and predictions of a ragged, shuffled panel; one label in ten is missing."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=n_days)
    stocks = [f"S{i}" for i in range(n_stocks)]
    index = pd.MultiIndex.from_product([days, stocks], names=["datetime", "instrument"])
    index = index[rng.permutation(len(index))[: int(0.8 * len(index))]]
    y_true = pd.Series(rng.standard_normal(len(index)), index=index)
    y_pred = y_true + 2 * rng.standard_normal(len(index))
    y_true[rng.random(len(index)) < 0.1] = np.nan
    return y_true, y_pred


def slow_ic(y_true, y_pred, days, method: str) -> pd.Series:
    """One day after the other, with scipy."""
    correlate = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}[method]
    y_true, y_pred, days = np.asarray(y_true, float), np.asarray(y_pred, float), np.asarray(days)
    values = {}
    for day in np.unique(days):
        rows = (days == day) & ~np.isnan(y_true)
        t, p = y_true[rows], y_pred[rows]
        has_value = len(t) >= 2 and len(set(t)) > 1 and len(set(p)) > 1
        values[day] = correlate(t, p)[0] if has_value else np.nan
    return pd.Series(values)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("decimals", [8, 0], ids=["distinct", "ties"])
def test_scipy_parity(method: str, decimals: int) -> None:
    y_true, y_pred = (series.round(decimals) for series in market())
    expected = slow_ic(y_true, y_pred, y_true.index.get_level_values("datetime"), method)
    actual = daily_ic(y_true, y_pred, method=method)
    assert expected.notna().all()
    assert actual.index.equals(expected.index)
    assert_allclose(actual, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_qlib_parity(method: str) -> None:
    # The lines of calc_ic in qlib/contrib/eva/alpha.py.
    label, pred = market(seed=1)
    table = pd.DataFrame({"pred": pred, "label": label})
    expected = table.groupby("datetime").apply(lambda df: df["pred"].corr(df["label"], method))
    name = {"pearson": "ic", "spearman": "rank_ic"}[method]
    assert_series_equal(
        daily_ic(label, pred, method=method), expected.rename(name), check_freq=False, atol=1e-14
    )


# Few distinct values: ties, constant days and constant predictions are frequent.
small = st.integers(-2, 2)
rows = st.lists(st.tuples(st.integers(0, 2), st.none() | small, small), min_size=1, max_size=40)


@settings(max_examples=120, deadline=None)
@given(rows=rows, method=st.sampled_from(METHODS), seed=st.integers(0, 9))
def test_any_panel(rows: list, method: str, seed: int) -> None:
    day, y_true, y_pred = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    days = DAYS[day.astype(int)]
    actual = daily_ic(y_true, y_pred, days=days, method=method)
    expected = slow_ic(y_true, y_pred, days, method)
    assert_array_equal(actual.index, expected.index)
    assert_allclose(actual, expected, rtol=0, atol=1e-12)
    assert (actual.abs().dropna() <= 1).all()

    order = np.random.default_rng(seed).permutation(len(day))
    shuffled = daily_ic(y_true[order], y_pred[order], days=days[order], method=method)
    assert_series_equal(shuffled, actual, atol=1e-12, check_freq=False)

    # Unlabelled rows do not matter, whatever is predicted there.
    labelled = ~np.isnan(y_true)
    other = np.where(labelled, y_pred, 1e6)
    assert_array_equal(actual, daily_ic(y_true, other, days=days, method=method))

    report = signal_report(y_true, y_pred, days=days)
    n_labelled = pd.Series(labelled).groupby(days).sum().to_numpy()
    assert report["days_too_few"] == (n_labelled < 2).sum()
    assert report[["days", "days_too_few", "days_constant"]].sum() == len(actual)
    assert report["days"] == actual.count()


@settings(max_examples=50, deadline=None)
@given(
    scale=st.sampled_from([1e-250, 1e-12, 1.0, 1e12, 1e250]),
    offset=st.sampled_from([0.0, 1.0, -1e6]),
    seed=st.integers(0, 99),
)
def test_scale_and_offset_do_not_matter(scale: float, offset: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.standard_normal((2, 20))
    days = [DAYS[0]] * 20
    moved = (y_pred + offset) * scale
    expected = stats.pearsonr(y_true, y_pred)[0]
    assert_allclose(daily_ic(y_true, moved, days=days).iloc[0], expected, atol=1e-8)


def test_nearly_constant_predictions_count() -> None:
    # One unit in the last place apart, where the mean is no longer exact.
    y_pred = np.full(3, 0.1)
    y_pred[2] = np.nextafter(0.1, 1)
    ic = daily_ic([0.0, 0.0, 1.0], y_pred, days=[DAYS[0]] * 3)
    assert ic.iloc[0] == pytest.approx(1.0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.1, -1e-17, 123456.789])
def test_constant_predictions_have_no_ic(method: str, value: float) -> None:
    y_true = np.random.default_rng(0).standard_normal(997)
    days = [DAYS[0]] * 997
    assert np.isnan(daily_ic(y_true, np.full(997, value), days=days, method=method).iloc[0])
    assert np.isnan(daily_ic(np.full(997, value), y_true, days=days, method=method).iloc[0])


@pytest.mark.parametrize("method", METHODS)
def test_perfect_is_not_more_than_one(method: str) -> None:
    for seed in range(50):
        y = np.random.default_rng(seed).standard_normal(37)
        ic = daily_ic(np.concatenate([y, y]), np.concatenate([3 * y, -y]), method=method,
                      days=[DAYS[0]] * 37 + [DAYS[1]] * 37)  # fmt: skip
        assert (ic.abs() <= 1).all()
        assert_allclose(ic, [1, -1])


def test_no_warnings(recwarn) -> None:
    signal_report([np.nan, 1.0, 1.0, 2.0], [1.0, 2.0, 3.0, 3.0], days=DAYS[[0, 1, 2, 2]], lags=0)
    # Two days of the same IC: the ratio is infinite.
    signal_report([1.0, 2.0, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0], days=DAYS[[0, 0, 1, 1]], lags=0)
    assert not recwarn.list


def test_result_is_labelled() -> None:
    y_true, y_pred = market()
    for method, name in (("pearson", "ic"), ("spearman", "rank_ic")):
        ic = daily_ic(y_true, y_pred, method=method)
        assert (ic.name, ic.index.name, ic.dtype) == (name, "datetime", float)
        assert ic.index.is_monotonic_increasing


def test_days_come_from_days_then_y_true_then_y_pred() -> None:
    y_true, y_pred = market()
    own = y_true.index.get_level_values("datetime")
    expected = daily_ic(y_true, y_pred)
    assert_series_equal(daily_ic(y_true, y_pred.to_numpy()), expected)
    assert_series_equal(daily_ic(y_true.to_numpy(), y_pred), expected)
    for days in (own, own.strftime("%Y-%m-%d").to_list(), own + pd.Timedelta("16h")):
        by_days = daily_ic(y_true.to_numpy(), y_pred.to_numpy(), days=days)
        assert_allclose(by_days, expected, rtol=0)
    later = y_pred.set_axis((own + pd.Timedelta("365D")).rename("datetime"))
    assert_series_equal(daily_ic(y_true, later), expected)
    explicit = daily_ic(y_true, y_pred, days=[DAYS[0]] * len(own))
    assert explicit.index.tolist() == [DAYS[0]]


def test_accepts_column_vectors_and_nullable_floats() -> None:
    y_true, y_pred = market()
    expected = daily_ic(y_true, y_pred)
    assert_series_equal(daily_ic(y_true.to_frame(), y_pred.to_frame()), expected)
    assert_series_equal(daily_ic(y_true.astype("Float64"), y_pred), expected)


def test_scores_are_moments_of_the_daily_ic() -> None:
    y_true, y_pred = market()
    # A day without a value must count in neither the mean nor the standard deviation.
    y_pred[y_pred.index.get_level_values("datetime") == "2024-01-03"] = 7.0
    ic, rank_ic = (daily_ic(y_true, y_pred, method=method).dropna() for method in METHODS)
    assert len(ic) == 29
    assert ic_score(y_true, y_pred) == pytest.approx(np.mean(ic))
    assert icir_score(y_true, y_pred) == pytest.approx(np.mean(ic) / np.std(ic, ddof=1))
    assert rank_ic_score(y_true, y_pred) == pytest.approx(np.mean(rank_ic))
    assert rank_icir_score(y_true, y_pred) == pytest.approx(
        np.mean(rank_ic) / np.std(rank_ic, ddof=1)
    )
    assert all(type(score(y_true, y_pred)) is float for score in SCORES)


def test_scores_without_enough_days() -> None:
    one_day = {"days": [DAYS[0]] * 3}
    assert ic_score([1, 2, 3], [1, 2, 4], **one_day) == pytest.approx(0.9819805)
    for score in (icir_score, rank_icir_score):
        assert np.isnan(score([1, 2, 3], [1, 2, 4], **one_day))
    for score in SCORES:
        assert np.isnan(score([1, 2, 3], [1, 1, 1], **one_day))
        assert np.isnan(score([np.nan] * 3, [1, 2, 3], **one_day))
    two_days = {"days": DAYS[[0, 0, 1, 1]]}
    assert icir_score([1, 2, 1, 2], [1, 2, 3, 4], **two_days) == np.inf


def test_report() -> None:
    y_true, y_pred = market()
    report = signal_report(y_true, y_pred)
    expected = [score(y_true, y_pred) for score in SCORES]
    assert_array_equal(report[["ic", "icir", "rank_ic", "rank_icir"]], expected)

    days = DAYS[[0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4]]
    y_true = [1, 2, 3, 1, np.nan, 1, 2, 5, 5, 1, 2, 3, 4, np.nan]
    y_pred = [1, 2, 3, 1, 2, 7, 7, 1, 2, 1, 2, 4, 3, 9]
    report = signal_report(y_true, y_pred, days=days)
    counts = report[["days", "days_too_few", "days_constant", "stocks"]]
    assert counts.to_dict() == {"days": 2, "days_too_few": 1, "days_constant": 2, "stocks": 3.5}


def test_report_without_any_value() -> None:
    report = signal_report([1.0, np.nan], [1.0, 2.0], days=DAYS[:2])
    assert report["days_too_few"] == 2
    assert report[["ic", "icir", "rank_ic", "rank_icir", "stocks"]].isna().all()


@pytest.mark.parametrize("score", [daily_ic, signal_report, *SCORES])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "days", "message"),
    [
        ([1.0, 2.0], [np.nan, 2.0], DAYS[:2], r"y_pred.*\b1\b.*NaN"),
        ([np.nan, 2.0], [np.nan, 2.0], DAYS[:2], r"y_pred.*\b1\b.*NaN"),
        ([1.0, 2.0], [np.inf, 2.0], DAYS[:2], r"y_pred.*\b1\b.*inf"),
        ([-np.inf, np.inf], [1.0, 2.0], DAYS[:2], r"y_true.*inf.*\b0\b"),
        ([1.0, 2.0], [1.0], DAYS[:2], r"\b2, 1, 2\b"),
        ([1.0, 2.0], [1.0, 2.0], DAYS[:1], r"\b2, 2, 1\b"),
        ([1.0, 2.0], [1.0, 2.0], [DAYS[0], pd.NaT], r"day.*\b1\b.*\b1\b"),
        ([1.0, 2.0], [1.0, 2.0], None, r"\by_true\b.*datetime.*\bdays\b"),
        ([1.0, 2.0], np.ones((2, 2)), DAYS[:2], r"y_pred.*\(2, 2\)"),
    ],
)
def test_bad_input(score, y_true, y_pred, days, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(y_true, y_pred, days=days)


@pytest.mark.parametrize(
    ("days", "first"), [([1, 2], 1), (np.array([20240102, 20240103]), 20240102)]
)
def test_days_that_are_no_dates(days, first: int) -> None:
    y_true, y_pred = (series.iloc[:2] for series in market())
    with pytest.raises(TypeError, match=rf"days.*\b{first}\b"):
        daily_ic(y_true, y_pred, days=days)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (DAYS[:2], "datetime64"),
        (DAYS[:2].tz_localize("UTC"), "datetime64.*UTC"),
        (DAYS[:2] - DAYS[0], "timedelta64"),
        (list(DAYS[:2]), "Timestamp|datetime64"),
        ([{}, {}], "dict"),
    ],
    ids=["dates", "time zone", "durations", "Timestamps", "objects"],
)
def test_values_that_are_no_numbers(values, kind: str) -> None:
    for wrapped in (values, pd.Series(values)):
        with pytest.raises(TypeError, match=rf"y_true\b.*({kind})"):
            daily_ic(wrapped, [1.0, 2.0], days=DAYS[:2])
        with pytest.raises(TypeError, match=rf"y_pred\b.*({kind})"):
            signal_report([1.0, 2.0], wrapped, days=DAYS[:2])


@pytest.mark.parametrize("method", ["kendall", ["pearson"], None])
def test_unknown_method(method) -> None:
    with pytest.raises(ValueError, match=rf"method.*{re.escape(repr(method))}"):
        daily_ic([1, 2], [1, 2], days=DAYS[:2], method=method)


def test_different_rows() -> None:
    y_true, y_pred = market()
    with pytest.raises(ValueError, match=r"y_true and y_pred.*\b0\b.*y_pred\.reindex"):
        daily_ic(y_true, y_pred.sort_index())
    assert daily_ic(y_true, y_pred.sort_index().reindex(y_true.index)).equals(
        daily_ic(y_true, y_pred)
    )


class Weight(RegressorMixin, BaseEstimator):
    """Predicts one column, or nothing of use: no fitting, so that scores are known."""

    n_predictions = 0

    def __init__(self, column: int = 0) -> None:
        self.column = column

    def fit(self, X, y):
        self.is_fitted_ = True
        return self

    def predict(self, X):
        type(self).n_predictions += 1
        values = np.asarray(X)
        return values[:, self.column] if values.ndim == 2 else values[:, -1, self.column]


class NeedsDays(Weight):
    """Predicts from plain rows only where it is told their days, as a model of whole days."""

    def predict(self, X, *, days=None):
        if days is None:
            raise ValueError("no days")
        return super().predict(X) * (-1.0) ** pd.to_datetime(days).day


@pytest.fixture
def panel() -> tuple[pd.DataFrame, pd.Series]:
    y, signal = market()
    noise = np.random.default_rng(5).standard_normal(len(y))
    return pd.DataFrame({"noise": noise, "signal": signal}), y


@pytest.mark.parametrize(("scorer", "score"), list(zip(SCORERS, SCORES, strict=True)))
def test_scorer_finds_the_days(scorer, score, panel) -> None:
    X, y = panel
    estimator = Weight(1)
    days = y.index.get_level_values("datetime")
    windows = build_windows(X.to_numpy(), X.index, 2)
    expected = score(y, X["signal"])
    assert scorer(estimator, X, y) == expected
    assert scorer(estimator, X, y.to_numpy()) == expected
    assert scorer(estimator, X.to_numpy(), y) == expected
    assert scorer(estimator, windows, y.to_numpy()) == expected
    assert scorer(estimator, X.to_numpy(), y.to_numpy(), days=days) == expected
    # Explicit days win over the index of X, which wins over that of y.
    others = np.where(days < "2024-01-20", "2024-01-01", "2024-01-02")
    y_of_others = y.set_axis(pd.DatetimeIndex(others, name="datetime"))
    assert scorer(estimator, X, y_of_others) == expected
    assert scorer(estimator, X.to_numpy(), y_of_others) == score(y, X["signal"], days=others)
    assert scorer(estimator, X, y, days=others) == score(y, X["signal"], days=others) != expected
    with pytest.raises(ValueError, match=r"\bX\b.*datetime.*\bdays\b"):
        scorer(estimator, X.to_numpy(), y.to_numpy())


def test_scorer_refuses_other_rows(panel) -> None:
    X, y = panel
    with pytest.raises(ValueError, match=r"\bX and y\b.*y\.reindex"):
        ic_scorer(Weight(), X, y.sort_index())


def test_scorers_print_and_pickle(panel) -> None:
    X, y = panel
    assert repr(rank_icir_scorer) == "DailyScorer(rank_icir_score)"
    for scorer in SCORERS:
        again = pickle.loads(pickle.dumps(scorer))
        assert repr(again) == repr(scorer)
        assert again(Weight(1), X, y) == scorer(Weight(1), X, y)


def test_cross_validate_with_several_metrics(panel) -> None:
    X, y = panel
    cv = KFold(3)
    scoring = {"ic": ic_scorer, "rank_icir": rank_icir_scorer}
    for labels in (y, y.to_numpy()):
        Weight.n_predictions = 0
        result = cross_validate(Weight(1), X, labels, cv=cv, scoring=scoring)
        # The scorers of one fold share one prediction.
        assert Weight.n_predictions == 3
        for k, (_, test) in enumerate(cv.split(X)):
            fold = y.iloc[test], X["signal"].iloc[test]
            assert result["test_ic"][k] == ic_score(*fold)
            assert result["test_rank_icir"][k] == rank_icir_score(*fold)


def test_grid_search_finds_the_signal(panel) -> None:
    X, y = panel
    for scoring, refit in ((rank_ic_scorer, True), ({"a": ic_scorer, "b": icir_scorer}, "b")):
        search = GridSearchCV(
            Weight(), {"column": [0, 1]}, scoring=scoring, refit=refit, cv=KFold(3)
        )
        search.fit(X, y)
        assert search.best_params_ == {"column": 1}
        assert search.best_score_ > 0.2


def test_parallel(panel) -> None:
    X, y = panel
    X, y = X[y.notna()], y[y.notna()]
    arguments = {"scoring": {"ic": ic_scorer, "icir": icir_scorer}, "cv": KFold(2)}
    serial = cross_validate(LinearRegression(), X, y.to_numpy(), **arguments)
    parallel = cross_validate(LinearRegression(), X, y.to_numpy(), n_jobs=2, **arguments)
    assert np.isfinite(serial["test_ic"]).all()
    for name in ("test_ic", "test_icir"):
        assert_allclose(serial[name], parallel[name])


def test_days_are_routed(panel) -> None:
    X, y = panel
    X, y = X[y.notna()], y[y.notna()]
    days = y.index.get_level_values("datetime")
    plain = {"X": X.to_numpy(), "y": y.to_numpy()}
    cv = KFold(3)
    expected = cross_validate(Ridge(), X, y, cv=cv, scoring=ic_scorer)["test_score"]
    with config_context(enable_metadata_routing=True):
        by_index = cross_validate(Ridge(), X, y, cv=cv, scoring=ic_scorer)
        assert_allclose(by_index["test_score"], expected)
        for scorer in (ic_scorer, ic_scorer.set_score_request(days=True)):
            for given in (days, days.to_numpy(), list(days.strftime("%Y-%m-%d"))):
                routed = cross_validate(
                    Ridge(), **plain, cv=cv, scoring=scorer, params={"days": given}
                )
                assert_allclose(routed["test_score"], expected)

        renamed = ic_scorer.set_score_request(days="when")
        scoring = {"renamed": renamed, "plain": rank_ic_scorer}
        params = {"when": days, "days": days}
        routed = cross_validate(Ridge(), **plain, cv=cv, scoring=scoring, params=params)
        assert_allclose(routed["test_renamed"], expected)

        search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=cv, scoring=ic_scorer)
        search.fit(**plain, days=days)
        assert search.best_score_ == pytest.approx(expected.mean())


def test_predict_gets_the_days(panel) -> None:
    X, y = panel
    days = y.index.get_level_values("datetime")
    plain = X.to_numpy(), y.to_numpy()
    cv = KFold(3)
    scoring = {"ic": ic_scorer, "rank_ic": rank_ic_scorer}
    expected = icir_score(y, X["signal"] * (-1.0) ** days.day)
    assert expected != icir_score(y, X["signal"])
    assert icir_scorer(NeedsDays(1), *plain, days=days) == expected
    with pytest.raises(ValueError, match="no days"):
        icir_scorer(NeedsDays(1), X, y)
    with config_context(enable_metadata_routing=True):
        NeedsDays.n_predictions = 0
        routed = cross_validate(NeedsDays(1), *plain, cv=cv, scoring=scoring, params={"days": days})
        # Still shared by the scorers of a fold.
        assert NeedsDays.n_predictions == 3
    for k, (_, test) in enumerate(cv.split(X)):
        fold = y.iloc[test], X["signal"].iloc[test] * (-1.0) ** days[test].day
        assert routed["test_ic"][k] == ic_score(*fold)
        assert routed["test_rank_ic"][k] == rank_ic_score(*fold)


def test_requests_do_not_change_the_shared_scorer() -> None:
    with config_context(enable_metadata_routing=True):
        changed = ic_scorer.set_score_request(days=False)
        assert changed.get_metadata_routing().score.requests == {"days": False}
        requests = ic_scorer.get_metadata_routing().score.requests
    assert requests == {"days": True, "sample_weight": None}


# Weights -----------------------------------------------------------------------------------------


def test_weights_within_the_day(signal) -> None:
    label, predicted = signal
    weight = pd.Series(np.random.default_rng(0).uniform(0, 2, len(label)), label.index)
    weight[::7] = 0.0
    ic = daily_ic(label, predicted, sample_weight=weight)
    known = label.notna() & (weight > 0)
    for day, rows in label[known].groupby(level="datetime"):
        covariance = np.cov(rows, predicted[rows.index], aweights=weight[rows.index])
        expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert_allclose(ic[day], expected, rtol=1e-9)
    assert_allclose(ic_score(label, predicted, sample_weight=weight), ic.mean())
    assert_allclose(icir_score(label, predicted, sample_weight=weight), ic.mean() / ic.std())
    same = daily_ic(label, predicted, sample_weight=np.full(len(label), 3.0))
    assert_allclose(same, daily_ic(label, predicted), rtol=1e-9)
    without = daily_ic(label.where(weight > 0), predicted)
    zero = daily_ic(label, predicted, sample_weight=(weight > 0).astype(float))
    assert_allclose(zero, without, rtol=1e-9)


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (lambda y: -np.ones(len(y)), "finite and at least 0; got -1.0 in row 0"),
        (lambda y: np.full(len(y), np.nan), "finite and at least 0; got nan"),
        (lambda y: np.ones(3), "sample_weight"),
        (lambda y: pd.Series(1.0, y.index[::-1]), "different rows"),
    ],
)
def test_bad_weights(signal, weight, match: str) -> None:
    label, predicted = signal
    with pytest.raises((ValueError, TypeError), match=match):
        ic_score(label, predicted, sample_weight=weight(label))


def test_scorers_take_weights() -> None:
    days = pd.to_datetime(["2024-01-02"] * 4 + ["2024-01-03"] * 4)
    index = pd.MultiIndex.from_arrays([days, [*"ABCD"] * 2], names=["datetime", "instrument"])
    X = pd.DataFrame({"x": [1.0, 2, 4, 3, 2, 1, 3, 5]}, index=index)
    y = pd.Series([1.0, 3, 2, 4, 1, 2, 4, 3], index)
    weight = np.arange(1.0, 9.0)
    model = LinearRegression().fit(X, y)
    expected = ic_score(y, model.predict(X), sample_weight=weight)
    assert ic_scorer(model, X, y, sample_weight=weight) == expected
    assert expected != ic_scorer(model, X, y)
    with pytest.raises(ValueError, match=r"rank_ic_score\): a rank correlation has no weights"):
        rank_ic_scorer(model, X, y, sample_weight=weight)


def test_ranks_have_no_weights(signal) -> None:
    with pytest.raises(ValueError, match="a rank correlation has no weights"):
        daily_ic(*signal, method="spearman", sample_weight=np.ones(len(signal[0])))
