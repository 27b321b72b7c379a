"""Pipelines, searches, callbacks and metadata routing."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.callback import ProgressBar
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.metrics import ic_scorer, rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit, PurgedDailyKFold
from skattn.models import ALSTMRegressor
from skattn.preprocessing import Alpha158, Alpha360, RobustZScore


def pipeline(**params) -> Pipeline:
    model = ALSTMRegressor(hidden_size=4, max_epochs=2, random_state=0, **params)
    return Pipeline(
        [("alpha360", Alpha360(length=10)), ("scale", RobustZScore()), ("model", model)]
    )


class Recorder:
    """Collects the path of every task; stops epochs after the second."""

    max_propagation_depth = None

    def __init__(self):
        self.ended: list[tuple[str, ...]] = []
        self.predicted: list[int] = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        path, node = [], context
        while node is not None:
            path.append(f"{node.estimator_name}.{node.task_name}")
            node = node.parent
        self.ended.append(tuple(reversed(path)))
        if context.task_name == "epoch":
            self.predicted.append(len(fitted_estimator.predict(X[:5])))
            return context.task_id == 1
        return None


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_search_over_prices_and_over_windows(market, n_jobs):
    cv = DailyTimeSeriesSplit(n_splits=2)
    grid = {"alpha360__length": [5, 10], "model__hidden_size": [4, 6]}
    search = GridSearchCV(pipeline(), grid, cv=cv, scoring=rank_ic_scorer, n_jobs=n_jobs)
    search.fit(market.ohlcv, market.label)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    # Alpha360 alone is taken out: it learns nothing. The scaler stays inside.
    windows = pipeline()[:1].fit_transform(market.ohlcv)
    on_windows = GridSearchCV(
        pipeline()[1:],
        {"model__hidden_size": [4, 6]},
        cv=cv,
        scoring=rank_ic_scorer,
        n_jobs=n_jobs,
    ).fit(windows, market.label)
    assert np.isfinite(on_windows.cv_results_["mean_test_score"]).all()
    assert search.predict(market.ohlcv).shape == on_windows.predict(windows).shape


def test_bit_equal_across_jobs(market):
    cv = DailyTimeSeriesSplit(n_splits=3)
    scores = [
        cross_val_score(
            pipeline(dropout=0.2),
            market.ohlcv,
            market.label,
            cv=cv,
            scoring=ic_scorer,
            n_jobs=n_jobs,
        )
        for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*scores)


def test_days_survive_where_y_is_an_array(market):
    windows = pipeline()[:1].fit_transform(market.ohlcv)
    cv, model = DailyTimeSeriesSplit(n_splits=2), pipeline()[1:]
    by_series = cross_val_score(model, windows, market.label, cv=cv, scoring=ic_scorer)
    by_array = cross_val_score(model, windows, market.label.to_numpy(), cv=cv, scoring=ic_scorer)
    np.testing.assert_array_equal(by_series, by_array)


def test_callbacks_see_search_fold_and_epoch(market):
    recorder = Recorder()
    search = GridSearchCV(
        pipeline().set_params(model__max_epochs=5),
        {"model__hidden_size": [4]},
        cv=DailyTimeSeriesSplit(n_splits=2),
        scoring=ic_scorer,
    )
    search.set_callbacks(recorder).fit(market.ohlcv, market.label)
    epochs = [path for path in recorder.ended if path[-1] == "ALSTMRegressor.epoch"]
    assert len(epochs) == 3 * 2  # two folds and the refit, each stopped after its second epoch
    assert epochs[0][0] == "GridSearchCV.fit"
    assert "ALSTMRegressor.fit" in epochs[0]
    assert recorder.predicted == [5] * 6
    assert search.best_estimator_[-1].n_iter_ == 2


def test_the_epoch_that_stops_early_is_closed(windows):
    recorder = Recorder()
    model = ALSTMRegressor(hidden_size=4, max_epochs=50, n_iter_no_change=1, lr=0.5, random_state=0)
    recorder.on_fit_task_end = lambda estimator, context: recorder.ended.append(context.task_name)
    model.set_callbacks(recorder).fit(*windows)
    assert model.n_iter_ < 50
    assert recorder.ended.count("epoch") == model.n_iter_


def test_epoch_callbacks_see_the_history_so_far(windows):
    epochs = []

    class Keeps(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "epoch":
                epochs.append(fitted_estimator)

    model = ALSTMRegressor(hidden_size=4, max_epochs=3, purge=2, random_state=0)
    model.set_callbacks(Keeps()).fit(*windows)
    assert [fitted.n_iter_ for fitted in epochs] == [1, 2, 3]
    assert [len(fitted.net_.history) for fitted in epochs] == [1, 2, 3]
    for fitted in epochs:
        pd.testing.assert_frame_equal(fitted.history_, model.history_[: fitted.n_iter_])


# Labels that are missing, in regressors that refuse them ------------------------------------------


def test_unlabelled_rows_and_regressors_of_scikit_learn(market):
    """The ways that the documentation of make_label names."""
    X, y = market.ohlcv, market.label
    assert y.isna().any()
    features = make_pipeline(Alpha158((5,), columns=["ROC5", "STD5"]), RobustZScore())
    with pytest.raises(ValueError, match="Input y contains NaN"):
        make_pipeline(features, Ridge()).fit(X, y)
    wrapped = make_pipeline(features, CrossSectionalTarget(Ridge())).fit(X, y).predict(X)
    known = y.notna().to_numpy()
    table = features.fit_transform(X)
    by_hand = CrossSectionalTarget(Ridge()).fit(table[known], y[known]).predict(table)
    np.testing.assert_allclose(wrapped, by_hand)
    cv = PurgedDailyKFold(3)
    stack = StackingRegressor([("one", pipeline())], cv=cv)
    assert np.isfinite(CrossSectionalTarget(stack).fit(X, y).predict(X)).all()
    windows = Alpha360(length=10).fit_transform(X)
    both = MultiOutputRegressor(pipeline()[1:])
    predicted = both.fit(windows[known], np.c_[y, -y][known]).predict(windows)
    assert predicted.shape == (len(X), 2)


def test_the_default_score_says_what_fits_a_signal(market):
    cv = DailyTimeSeriesSplit(n_splits=2, purge=2)
    ranks = market.label.groupby(level="datetime").rank()
    with pytest.warns(UserWarning, match=r"R².*-\d.*rank_ic_scorer"):
        scores = cross_val_score(pipeline(purge=2), market.ohlcv, ranks, cv=cv)
    assert (scores < 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_val_score(pipeline(purge=2), market.ohlcv, ranks, cv=cv, scoring=rank_ic_scorer)


def test_progress_bar(market, capsys):
    pytest.importorskip("rich")
    search = GridSearchCV(
        pipeline(), {"model__hidden_size": [4]}, cv=DailyTimeSeriesSplit(2), scoring=ic_scorer
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    search.fit(market.ohlcv, market.label)
    shown = capsys.readouterr().out
    assert "GridSearchCV" in shown
    assert "ALSTMRegressor" in shown


def test_metadata_routing_of_days(windows):
    X, y = windows
    days = y.index.get_level_values("datetime")
    with sklearn.config_context(enable_metadata_routing=True):
        model = ALSTMRegressor(hidden_size=4, max_epochs=2, random_state=0)
        routed = make_pipeline(model.set_fit_request(days=True))
        routed.fit(X, y.to_numpy(), days=days)
    np.testing.assert_array_equal(routed.predict(X), model.fit(X, y).predict(X))


def test_models_from_the_registry_are_the_same_class():
    assert type(skattn.make_model("alstm")) is ALSTMRegressor
