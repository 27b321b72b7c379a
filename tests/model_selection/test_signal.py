"""The signal of all test sets, against the loop over folds that it stands for."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import days_in, small_hist, weights_of, with_purge
from numpy.testing import assert_allclose
from pandas.testing import assert_index_equal, assert_series_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Lasso, Ridge
from sklearn.model_selection import GridSearchCV, KFold, RepeatedKFold, cross_validate
from sklearn.pipeline import make_pipeline

from skattn.compose import CrossSectionalTarget
from skattn.metrics import SignalDisplay, signal_report
from skattn.model_selection import (
    CombinatorialPurgedDailyKFold,
    DailyTimeSeriesSplit,
    DateSplit,
    PurgedDailyKFold,
    cross_val_signal,
)
from skattn.models import GRURegressor
from skattn.preprocessing import Alpha360, CrossSectionalScaler, RobustZScore

SPLITTERS = {
    "walk-forward": DailyTimeSeriesSplit(2, test_size=20),
    "k-fold": PurgedDailyKFold(3, embargo=1),
    "combinatorial": CombinatorialPurgedDailyKFold(3),
    "dates": DateSplit(("2010-02", "2010-05"), ("2010-06", "2010-06"), ("2010-07", None)),
}


def small_gru(**params) -> GRURegressor:
    defaults = {"hidden_size": 4, "num_layers": 1, "max_epochs": 2, "lr": 0.01, "random_state": 0}
    return GRURegressor(**{**defaults, **params})


@pytest.fixture(scope="module")
def prices(market):
    """Prices and labels in shuffled rows."""
    label = market.label.sample(frac=1, random_state=0)
    return market.ohlcv.loc[label.index], label


@pytest.fixture(scope="module")
def data(prices):
    """Windows and a pipeline that scales them, or prices and a pipeline that makes windows."""
    ohlcv, label = prices
    calendar = ohlcv.index.get_level_values("datetime").unique()
    windows = Alpha360(["close", "volume"], length=4, calendar=calendar)
    rest = RobustZScore(), CrossSectionalTarget(small_gru())
    return {
        "before": (make_pipeline(*rest), windows.fit_transform(ohlcv), label),
        "inside": (make_pipeline(windows, *rest), ohlcv, label),
    }


@pytest.fixture(scope="module")
def features(market):
    """A table that tells the label, with a label that reaches two days ahead."""
    y = market.label.dropna()
    X = pd.DataFrame({"signal": market.signal, "close": market.ohlcv["close"]}).loc[y.index]
    return (X - X.mean()) / X.std(), y


def rows_of(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def by_hand(model, X, y, folds) -> list[pd.Series]:
    """Fit a clone on each fold and predict its test rows."""
    parts = []
    for train, test in folds:
        fitted = clone(model).fit(rows_of(X, train), y.iloc[train])
        parts.append(pd.Series(fitted.predict(rows_of(X, test)), X.index[test], name="signal"))
    return parts


def in_order_of(X, parts: list[pd.Series]) -> pd.Series:
    signal = pd.concat(parts)
    return signal.loc[X.index[X.index.isin(signal.index)]]


# The signal -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["before", "inside"])
@pytest.mark.parametrize("name", SPLITTERS)
def test_equals_the_loop_over_folds(name, where, data) -> None:
    model, X, y = data[where]
    cv = SPLITTERS[name]
    parts = by_hand(model, X, y, cv.split(X, y))
    signal = cross_val_signal(model, X, y, cv=cv)
    if name == "combinatorial":
        assert list(signal.columns) == ["path 0", "path 1"]
        # Of three blocks, the splits test 0 and 1, 0 and 2, 1 and 2.
        blocks = np.array_split(np.unique(days_in(y)), 3)
        in_block = [days_in(y).isin(block) for block in blocks]
        for path, splits in enumerate([(0, 0, 1), (1, 2, 2)]):
            chosen = [parts[split] for split in splits]
            expected = [
                part[days_in(part).isin(blocks[block])] for block, part in enumerate(chosen)
            ]
            expected = pd.concat(expected).loc[X.index].to_numpy(float)
            assert signal[f"path {path}"].to_numpy().tobytes() == expected.tobytes()
        assert all(signal.loc[rows].notna().all(axis=None) for rows in in_block)
    else:
        assert_series_equal(signal, in_order_of(X, parts), check_exact=True)
        assert signal.dtype == np.float32


def test_is_the_same_in_parallel(data) -> None:
    model, X, y = data["before"]
    for cv in (SPLITTERS["walk-forward"], SPLITTERS["combinatorial"]):
        alone = cross_val_signal(model, X, y, cv=cv)
        parallel = cross_val_signal(model, X, y, cv=cv, n_jobs=2)
        assert alone.to_numpy().tobytes() == parallel.to_numpy().tobytes()
        assert_index_equal(alone.index, parallel.index)


def test_estimators_and_rows_are_those_of_cross_validate(features) -> None:
    X, y = features
    cv = SPLITTERS["walk-forward"]
    result = cross_val_signal(Ridge(), X, y, cv=cv, return_estimator=True)
    expected = cross_validate(Ridge(), X, y, cv=cv, return_estimator=True, return_indices=True)
    assert set(result) == {"signal", "estimator", "indices"}
    for ours, theirs in zip(result.estimator, expected["estimator"], strict=True):
        assert ours.coef_.tobytes() == theirs.coef_.tobytes()
    for side in ("train", "test"):
        for ours, theirs in zip(result.indices[side], expected["indices"][side], strict=True):
            assert ours.tolist() == theirs.tolist()
    again = [
        pd.Series(model.predict(X.iloc[test]), X.index[test], name="signal")
        for model, test in zip(result.estimator, result.indices["test"], strict=True)
    ]
    assert_series_equal(result.signal, pd.concat(again), check_exact=True)


def test_more_jobs_than_folds(features) -> None:
    alone = cross_val_signal(Ridge(), *features, cv=2)
    assert_series_equal(cross_val_signal(Ridge(), *features, cv=2, n_jobs=10**6), alone)


def test_an_int_walks_forward(features) -> None:
    X, y = features
    walk = cross_val_signal(Ridge(), X, y, cv=DailyTimeSeriesSplit(5))
    assert_series_equal(cross_val_signal(Ridge(), X, y), walk)
    assert_series_equal(cross_val_signal(Ridge(), X, y, cv=5), walk)
    three = cross_val_signal(Ridge(), X, y, cv=3)
    assert_series_equal(three, cross_val_signal(Ridge(), X, y, cv=DailyTimeSeriesSplit(3)))


def test_folds_of_other_kinds(features) -> None:
    X, y = features
    cv = DailyTimeSeriesSplit(3)
    expected = cross_val_signal(Ridge(), X, y, cv=cv)
    folds = list(cv.split(X, y))
    masks = [tuple(np.isin(np.arange(len(X)), rows) for rows in fold) for fold in folds]
    for given in (folds[::-1], masks, iter(folds)):
        assert_series_equal(cross_val_signal(Ridge(), X, y, cv=given), expected)
    whole = cross_val_signal(Ridge(), X, y, cv=KFold(3))
    assert_index_equal(whole.index, X.index)


class Odd(RegressorMixin, BaseEstimator):
    """Predicts the first column, or what ``answer`` makes of it."""

    def __init__(self, answer=None):
        self.answer = answer

    def fit(self, X, y=None):
        self.attrs_ = getattr(y, "attrs", None)
        return self

    def predict(self, X):
        return X.iloc[:, 0] if self.answer is None else self.answer(X)


def test_nan_stays_where_the_estimator_predicts_nan(features) -> None:
    X, y = features
    X = X.mask(X["signal"] > 1)
    cv = SPLITTERS["walk-forward"]
    signal = cross_val_signal(Odd(), X, y, cv=cv)
    assert_series_equal(signal, X["signal"].loc[signal.index])
    assert 0 < signal.isna().sum() < len(signal)
    paths = cross_val_signal(Odd(), X, y, cv=SPLITTERS["combinatorial"])
    assert (paths.isna().all(axis=1) == X["signal"].isna()).all()


def test_estimators_that_need_no_label(features) -> None:
    X, _ = features
    cv = DailyTimeSeriesSplit(2, purge=1)
    signal = cross_val_signal(Odd(), X, cv=cv)
    assert_series_equal(signal, X["signal"].loc[signal.index])
    assert cross_val_signal(KMeans(2, n_init=1), X, cv=cv).isin([0, 1]).all()


def test_the_label_tells_its_reach(features) -> None:
    X, y = features
    y = y.copy()
    y.attrs = {"reach": 7, "horizon": 5}
    for cv in SPLITTERS.values():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = cross_val_signal(Odd(), X, y, cv=cv, return_estimator=True)
        assert [model.attrs_ for model in result.estimator] == [y.attrs] * cv.get_n_splits()
        told = [train.tolist() for train, _ in with_purge(cv, 7).split(X, y)]
        assert [train.tolist() for train in result.indices["train"]] == told
        assert told != [train.tolist() for train, _ in with_purge(cv, 1).split(X)]


# What is known of the rows -----------------------------------------------------------------------


def test_arrays_with_days_and_instruments(stock_days) -> None:
    X, y = stock_days
    days, instruments = (X.index.get_level_values(name) for name in ("datetime", "instrument"))
    cv = DailyTimeSeriesSplit(2, purge=1)
    model = small_hist(early_stopping=False)
    expected = cross_val_signal(model, X, y, cv=cv)
    array = np.asarray(X)
    from_y = cross_val_signal(model, array, y, cv=cv)
    assert_series_equal(from_y, expected, check_exact=True)
    params = {"days": days, "instruments": instruments}
    from_params = cross_val_signal(model, array, y.to_numpy(), cv=cv, params=params)
    assert_series_equal(from_params, expected, check_exact=True)
    prefixed = {f"histregressor__{name}": values for name, values in params.items()}
    piped = make_pipeline(model)
    from_pipe = cross_val_signal(piped, array, y.to_numpy(), cv=cv, params=prefixed)
    assert_series_equal(from_pipe, expected, check_exact=True)
    target = CrossSectionalTarget(model, method=None)
    in_target = cross_val_signal(target, array, y.to_numpy(), cv=cv, params=params)
    assert_series_equal(in_target, expected, check_exact=True)
    with config_context(enable_metadata_routing=True):
        routed = clone(model).set_fit_request(days=True, instruments=True)
        routed.set_predict_request(days=True, instruments=True)
        splitter = clone(cv, safe=False).set_split_request(groups="days")
        found = cross_val_signal(routed, array, y.to_numpy(), cv=splitter, params=params)
        by_group = cross_val_signal(Ridge(), array[:, -1], y, cv=cv, params={"groups": days})
    assert_series_equal(found, expected, check_exact=True)
    assert_index_equal(by_group.index, expected.index)


def test_arrays_of_which_less_is_known(features) -> None:
    X, y = features
    days = days_in(X)
    cv = DailyTimeSeriesSplit(2, purge=1)
    expected = cross_val_signal(Ridge(), X, y, cv=cv)
    by_day = cross_val_signal(Ridge(), X.to_numpy(), y.to_numpy(), cv=cv, groups=days)
    assert by_day.index.name == "datetime"
    assert by_day.index.equals(days_in(expected))
    report = signal_report(y.loc[expected.index].to_numpy(), by_day, lags=0)
    assert_series_equal(report, signal_report(y.loc[expected.index], expected, lags=0))
    by_row = cross_val_signal(Ridge(), X.to_numpy(), y.to_numpy(), cv=cv.split(X))
    assert by_row.index.tolist() == np.flatnonzero(days >= days_in(expected).min()).tolist()
    numbered = X.reset_index(drop=True)
    kept = cross_val_signal(Ridge(), numbered, y.to_numpy(), cv=cv, groups=days)
    assert kept.index.equals(by_row.index)
    for found in (by_day, by_row, kept):
        assert_allclose(found.to_numpy(), expected.to_numpy())


def test_parameters_of_fit_are_cut_to_the_rows(features) -> None:
    X, y = features
    weight = pd.Series(np.random.default_rng(0).random(len(X)), X.index)
    cv = SPLITTERS["walk-forward"]
    signal = cross_val_signal(Ridge(), X, y, cv=cv, params={"sample_weight": weight})
    parts = []
    for train, test in cv.split(X, y):
        model = Ridge().fit(X.iloc[train], y.iloc[train], sample_weight=weight.iloc[train])
        parts.append(pd.Series(model.predict(X.iloc[test]), X.index[test], name="signal"))
    assert_series_equal(signal, pd.concat(parts), check_exact=True)
    with config_context(enable_metadata_routing=True):
        params = {"sample_weight": weight}
        routed = Ridge().set_fit_request(sample_weight=True)
        assert_series_equal(cross_val_signal(routed, X, y, cv=cv, params=params), signal)
        with pytest.raises(ValueError, match=r"sample_weight.*cross_val_signal\b"):
            cross_val_signal(Ridge(), X, y, cv=cv, params=params)


def test_validation_rows_are_not_cut(windows) -> None:
    X, y = windows
    index = y.index
    half = len(X) // 2
    model = small_gru(n_iter_no_change=1)
    train, test = np.arange(half - 20), np.arange(half, len(X))
    # As many rows as X has.
    params = {"X_val": np.tile(X[:100], (2, 1, 1)), "y_val": np.tile(y[:100], 2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signal = cross_val_signal(model, X, y, cv=[(train, test)], params=params)
        expected = clone(model).fit(X[train], y.iloc[train], **params).predict(X[test])
    assert_series_equal(signal, pd.Series(expected, index[test], name="signal"))


# Warm -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["before", "inside"])
@pytest.mark.parametrize("name", ["walk-forward", "dates"])
def test_warm_goes_on_from_fold_to_fold(name, where, data) -> None:
    pipeline, X, y = data[where]
    cv = SPLITTERS[name]
    warm = cross_val_signal(pipeline, X, y, cv=cv, refit="warm")
    *steps, target = (clone(step) for _, step in pipeline.steps)
    model, parts = target.regressor.set_params(warm_start=True), []
    for train, test in cv.split(X, y):
        train_X, test_X = rows_of(X, train), rows_of(X, test)
        for step in steps:
            train_X = step.fit(train_X).transform(train_X)
            test_X = step.transform(test_X)
        ranks = CrossSectionalScaler("rank").fit_transform(y.iloc[train].to_frame())["label"]
        ranks.attrs = y.attrs
        model.fit(train_X, ranks)
        parts.append(pd.Series(model.predict(test_X), X.index[test], name="signal"))
    assert_series_equal(warm, in_order_of(X, parts), check_exact=True)
    cold = cross_val_signal(pipeline, X, y, cv=cv)
    first = parts[0].index
    assert_series_equal(warm.loc[first], cold.loc[first], check_exact=True)
    if len(parts) > 1:
        assert not warm.equals(cold)


@pytest.mark.parametrize("where", ["before", "inside"])
def test_warm_never_learns_from_later_days(where, market) -> None:
    """Change prices and labels from a day on: the signal before it keeps every bit."""
    cv = DailyTimeSeriesSplit(4, test_size=15)
    windows = Alpha360(["close", "volume"], length=4, calendar=market.ohlcv.index.unique(0))
    rest = RobustZScore(), CrossSectionalTarget(small_gru(early_stopping=True))

    def signal_of(ohlcv, label) -> pd.Series:
        if where == "inside":
            return cross_val_signal(
                make_pipeline(windows, *rest), ohlcv, label, cv=cv, refit="warm"
            )
        X = windows.fit_transform(ohlcv)
        return cross_val_signal(make_pipeline(*rest), X, label, cv=cv, refit="warm")

    original = signal_of(market.ohlcv.astype(float), market.label)
    tested = np.unique(days_in(original))
    for day in tested[[15, 30, 37]]:
        later = days_in(market.ohlcv) >= day
        ohlcv, label = market.ohlcv.astype(float), market.label.copy()
        ohlcv[later] *= np.random.default_rng(0).uniform(0.5, 2, ohlcv[later].shape)
        label[later] = -3 * label[later]
        changed = signal_of(ohlcv, label)
        before = days_in(original) < day
        assert_series_equal(changed[before], original[before], check_exact=True)
        assert not np.array_equal(changed[~before], original[~before])


def test_warm_estimators_are_those_of_their_folds(data) -> None:
    model, X, y = data["before"]
    cv = DailyTimeSeriesSplit(3, test_size=20)
    result = cross_val_signal(model, X, y, cv=cv, refit="warm", return_estimator=True)
    for fitted, test in zip(result.estimator, result.indices["test"], strict=True):
        predicted = pd.Series(fitted.predict(X[test]), X.index[test], name="signal")
        assert_series_equal(result.signal.loc[predicted.index], predicted, check_exact=True)
    first, last = (weights_of(result.estimator[k][-1].regressor_) for k in (0, 2))
    assert not np.array_equal(first, last)
    assert_series_equal(cross_val_signal(model, X, y, cv=cv, refit="warm", n_jobs=2), result.signal)


def test_warm_takes_folds_in_the_order_of_their_days(data) -> None:
    model, X, y = data["before"]
    folds = list(DailyTimeSeriesSplit(3, test_size=20).split(X, y))
    expected = cross_val_signal(model, X, y, cv=folds, refit="warm")
    shuffled = [folds[k] for k in (2, 0, 1)]
    result = cross_val_signal(model, X, y, cv=shuffled, refit="warm", return_estimator=True)
    assert_series_equal(result.signal, expected, check_exact=True)
    n_rows = [m[-1].regressor_.fitted_on_.n_rows for m in result.estimator]
    assert n_rows[1] < n_rows[2] < n_rows[0]


def test_warm_of_other_regressors(features) -> None:
    X, y = features
    cv = DailyTimeSeriesSplit(3)
    lasso = Lasso(1e-4, max_iter=1, tol=1.0)
    warm = cross_val_signal(lasso, X, y, cv=cv, refit="warm")
    model, parts = clone(lasso).set_params(warm_start=True), []
    for train, test in cv.split(X, y):
        model.fit(X.iloc[train], y.iloc[train])
        parts.append(pd.Series(model.predict(X.iloc[test]), X.index[test], name="signal"))
    assert_series_equal(warm, pd.concat(parts), check_exact=True)
    assert not lasso.warm_start


@pytest.mark.parametrize("cv", [SPLITTERS["k-fold"], SPLITTERS["combinatorial"], KFold(3)], ids=str)
def test_warm_refuses_folds_that_learn_from_later_days(cv, features) -> None:
    with pytest.raises(ValueError, match=r'refit="warm".*fold \d tests from 20.*trains until 20'):
        cross_val_signal(Lasso(), *features, cv=cv, refit="warm")


def test_warm_refuses_a_day_on_both_sides(features) -> None:
    X, y = features
    folds = [(np.arange(100), np.arange(100, 150))]
    order = np.argsort(days_in(X), kind="stable")
    X, y = X.iloc[order], y.iloc[order]
    assert days_in(X)[99] == days_in(X)[100]
    assert len(cross_val_signal(Lasso(), X, y, cv=folds)) == 50
    with pytest.raises(ValueError, match="fold 0 tests from"):
        cross_val_signal(Lasso(), X, y, cv=folds, refit="warm")


def test_warm_refuses_validation_rows_that_are_later(windows) -> None:
    X, y = windows
    y.attrs["reach"] = 1
    model = make_pipeline(CrossSectionalTarget(small_gru()))
    cv = DateSplit((None, "2024-01-20"), test=("2024-01-31", None))
    name = "crosssectionaltarget__X_val"

    def signal_of(rows, index=True) -> pd.Series:
        y_val = y[rows] if index else y[rows].to_numpy()
        params = {name: X[rows], name.replace("X", "y"): y_val}
        return cross_val_signal(model, X, y, cv=cv, params=params, refit="warm")

    days = days_in(y)
    assert signal_of((days >= "2024-01-22") & (days < "2024-01-31")).notna().all()
    late = days >= "2024-01-29"
    with pytest.raises(ValueError, match=rf"{name} must lie before 2024-01-31.*until 2024-02-09"):
        signal_of(late)
    with pytest.raises(ValueError, match=rf"{name} must lie before.*days are not known"):
        signal_of(late, index=False)


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        make_pipeline(RobustZScore(), Ridge()),
        CrossSectionalTarget(Ridge()),
        GridSearchCV(Lasso(), {"alpha": [1.0]}),
        GridSearchCV(CrossSectionalTarget(Lasso()), {"method": ["rank"]}),
        TransformedTargetRegressor(Lasso()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_warm_needs_a_warm_start(estimator, features) -> None:
    with pytest.raises(
        ValueError, match=f'refit="warm".*{type(estimator).__name__} has no.*"cold"'
    ):
        cross_val_signal(estimator, *features, cv=DailyTimeSeriesSplit(2), refit="warm")


def test_warm_needs_days(features) -> None:
    X, y = (values.to_numpy() for values in features)
    folds = [(np.arange(50), np.arange(100, 150))]
    with pytest.raises(ValueError, match=r'refit="warm".*days of X are not known.*groups'):
        cross_val_signal(Lasso(), X, y, cv=folds, refit="warm")
    days = pd.date_range("2024-01-01", periods=len(X))
    signal = cross_val_signal(Lasso(), X, y, cv=DailyTimeSeriesSplit(2), groups=days, refit="warm")
    assert signal.index.equals(days[-len(signal) :])
    given = cross_val_signal(Lasso(), X, y, cv=folds, groups=days, refit="warm")
    assert given.index.equals(days[100:150])
    with pytest.raises(ValueError, match="days of X are not known"):
        cross_val_signal(Lasso(), X, y, cv=folds, groups=np.arange(len(X)), refit="warm")


# Progress ---------------------------------------------------------------------------------------


class Counter:
    """A callback for all levels that counts the tasks that end, by name."""

    max_propagation_depth = None

    def __init__(self):
        self.begun, self.ended, self.open = [], [], 0

    def setup(self, estimator, context):
        self.open += 1

    def teardown(self, estimator, context):
        self.open -= 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.estimator_name, context.source_task_name))

    def on_fit_task_end(self, estimator, context):
        self.ended.append((context.estimator_name, context.task_name, context.source_task_name))


@pytest.mark.parametrize("refit", ["cold", "warm"])
def test_callbacks_follow_every_fold(refit, data) -> None:
    model, X, y = data["inside"]
    counter = Counter()
    model = clone(model).set_callbacks(counter)
    cross_val_signal(model, X, y, cv=SPLITTERS["walk-forward"], refit=refit)
    assert counter.open == 0
    assert counter.begun.count(("Pipeline", "fold")) == 2
    assert counter.ended.count(("Pipeline", "fit", "fold")) == 2
    assert counter.ended.count(("GRURegressor", "fit", "fit-regressor")) == 2
    assert sum(name == "GRURegressor" for name, *_ in counter.ended) > 2
    assert counter.ended[-1] == ("CrossValSignal", "folds", None)


def test_callbacks_end_where_a_fold_fails(features) -> None:
    X, y = features
    counter = Counter()
    model = make_pipeline(Lasso()).set_callbacks(counter)
    with pytest.raises(ValueError, match="NaN") as caught:
        cross_val_signal(model, X, y.where(days_in(y) != days_in(y).min()), cv=3)
    assert caught.value.__notes__ == ["In fold 0 of cross_val_signal."]
    assert counter.open == 0


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_progress_bar_shows_every_fold(n_jobs, data, capsys) -> None:
    pytest.importorskip("rich")
    model, X, y = data["before"]
    model = clone(model).set_callbacks(ProgressBar(max_propagation_depth=None))
    cross_val_signal(model, X, y, cv=SPLITTERS["walk-forward"], n_jobs=n_jobs)
    out = capsys.readouterr().out
    for fold in (0, 1):
        assert f"fold | Pipeline - fit #{fold}" in out
    assert out.count("GRURegressor - fit") >= 2
    assert "CrossValSignal - folds" in out


def test_scores_are_monitored_by_fold(windows) -> None:
    X, y = windows
    y.attrs["reach"] = 1
    monitor = ScoringMonitor(scoring="r2")
    model = small_gru(early_stopping=False).set_callbacks(monitor)
    cross_val_signal(model, X, y, cv=3)
    logs = monitor.get_logs(select="all")
    assert len(logs) == 1
    assert len({row["task_id_path"][1] for row in logs[0].data}) == 3


# What the signal feeds ---------------------------------------------------------------------------


def test_feeds_report_and_display(data) -> None:
    pytest.importorskip("matplotlib")
    model, X, y = data["before"]
    signal = cross_val_signal(model, X, y, cv=SPLITTERS["walk-forward"])
    report = signal_report(y.loc[signal.index], signal)
    assert report["days"] == days_in(y[signal.index].dropna()).nunique()
    display = SignalDisplay.from_predictions(y.loc[signal.index], signal)
    assert display.figure_ is not None
    paths = cross_val_signal(model, X, y, cv=SPLITTERS["combinatorial"])
    assert signal_report(y, paths).index.tolist() == ["path 0", "path 1"]
    assert SignalDisplay.from_predictions(y, paths).figure_ is not None


def test_feeds_skfolio(market) -> None:
    """The signal as the expected returns of a portfolio, rebalanced on the first day of a fold."""
    skfolio = pytest.importorskip("skfolio")
    from skfolio.moments import BaseMu
    from skfolio.optimization import MeanRisk, ObjectiveFunction
    from skfolio.prior import EmpiricalPrior

    class Signal(BaseMu):
        def __init__(self, table):
            self.table = table

        def fit(self, X, y=None):
            self.mu_ = self.table.loc[X.index[-1], X.columns].to_numpy(float)
            return self

    label = market.label.dropna()
    X = pd.DataFrame({"signal": market.signal.loc[label.index]})
    cv = DailyTimeSeriesSplit(2, test_size=20)
    table = cross_val_signal(Ridge(), X, label, cv=cv).unstack("instrument").dropna(axis=1)
    assert len(table) == 40
    closes = market.ohlcv["close"].unstack("instrument")[table.columns]
    returns = skfolio.preprocessing.prices_to_returns(closes.ffill().bfill())
    day = table.index[0]
    past = returns[:day]
    portfolio = MeanRisk(
        ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_aversion=1e-6,
        prior_estimator=EmpiricalPrior(mu_estimator=Signal(table)),
    ).fit(past)
    assert table.columns[portfolio.weights_.argmax()] == table.loc[day].idxmax()
    held = portfolio.predict(returns[day:].iloc[1:])
    assert np.isfinite(held.annualized_mean)


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"refit": "hot"}, r"refit must be 'cold' or 'warm'; got 'hot'|refit.*cold.*warm.*hot"),
        ({"refit": True}, r"refit.*True"),
        ({"n_jobs": 0}, "n_jobs must not be 0"),
        ({"n_jobs": 1.5}, "n_jobs.*1.5"),
        ({"return_estimator": "yes"}, "return_estimator.*yes"),
        ({"params": ["days"]}, "params must be a dict"),
        ({"cv": 1}, "cv.*at least 2.*1"),
        ({"cv": DailyTimeSeriesSplit}, "cv must be.*DailyTimeSeriesSplit"),
        ({"cv": "days"}, "cv must be.*days"),
        ({"cv": []}, "cv must yield at least one fold"),
        ({"cv": [np.arange(3)]}, r"cv must yield pairs \(train, test\).*fold 0"),
        ({"cv": [(["a"], [1])]}, "cv must yield row positions.*training rows of fold 0"),
        ({"cv": [([0], [1]), ([0], [])]}, "test rows of fold 1 are none"),
        ({"cv": [([0], [-1])]}, "test rows of fold 0 go from -1"),
        ({"cv": [([0], [10**6])]}, "test rows of fold 0 go from 1000000 to 1000000"),
        ({"cv": [([0, 1, 2], [1, 2, 3])]}, "fold 0 trains on 2 of its 3 test rows"),
        ({"cv": [([0], [1, 2]), ([0], [2])]}, r"such as row 2 in the folds \[0, 1\]"),
        ({"cv": [([0], [1, 1])]}, r"such as row 1 in the folds \[0\]"),
        ({"cv": RepeatedKFold(n_splits=2)}, "more often.*CombinatorialPurgedDailyKFold"),
        ({"estimator": Ridge}, "estimator must be.*a class"),
        ({"estimator": RobustZScore()}, "estimator must be.*without predict"),
        ({"estimator": "ridge"}, "estimator must be.*'ridge'.*without fit"),
        ({"estimator": Odd(lambda X: X)}, "prediction of fold 0 must hold one number a row"),
        ({"estimator": Odd(lambda X: [1.0])}, "prediction of fold 0 has 1 values for"),
        (
            {"estimator": Odd(lambda X: X["close"].iloc[::-1])},
            "different rows.*prediction of fold 0",
        ),
        ({"params": {"colour": 1}}, "params must.*Ridge.fit takes X, y, sample_weight.*'colour'"),
        ({"params": {"days": pd.bdate_range("2024", periods=3)}}, "inconsistent"),
        ({"groups": np.arange(3)}, "days must be dates|inconsistent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input(change, message, features) -> None:
    X, y = features
    given = {"estimator": Ridge(), "cv": DailyTimeSeriesSplit(2), **change}
    with pytest.raises((TypeError, ValueError), match=message):
        cross_val_signal(given.pop("estimator"), X, y, **given)


def test_rows_that_do_not_fit_together(features) -> None:
    X, y = features
    with pytest.raises(ValueError, match="X and y have the same length but different rows"):
        cross_val_signal(Ridge(), X, y.iloc[::-1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cross_val_signal(Ridge(), X, y.iloc[1:])
    weight = pd.Series(1.0, y.index)[::-1]
    with pytest.raises(ValueError, match=r"X and params\['sample_weight'\].*different rows"):
        cross_val_signal(Ridge(), X, y, params={"sample_weight": weight})
    with pytest.raises(ValueError, match="trading days of X are not known"):
        cross_val_signal(Ridge(), X.to_numpy(), y.to_numpy())
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match="groups go into params"),
    ):
        cross_val_signal(Ridge(), X, y, groups=days_in(X))
