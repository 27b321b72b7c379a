"""Importance by permutation within the day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import KEYS, make_stock_days, small_alstm, small_hist, windows_of
from inspection.conftest import make_planted
from lightgbm import LGBMRegressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skattn import make_model
from skattn.compose import CrossSectionalTarget
from skattn.inspection import permutation_importance
from skattn.inspection._importance.groups import lag_runs, span
from skattn.metrics import daily_ic, newey_west_error
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.preprocessing import Alpha360, RobustZScore

SMALL = {
    "alstm": {"hidden_size": 8, "num_layers": 1},
    "gru": {"hidden_size": 8, "num_layers": 1},
    "lstm": {"hidden_size": 8, "num_layers": 1},
    "sfm": {"hidden_size": 8, "freq_dim": 3, "output_dim": 4},
    "transformer": {"d_model": 8, "nhead": 1, "num_layers": 1, "dim_feedforward": 16},
    "hist": {
        "hidden_size": 8,
        "num_layers": 1,
        "concepts": {f"S{i:02}": "ab"[i % 2] for i in range(20)},
    },
}


@pytest.fixture(scope="module")
def fitted(planted):
    return small_alstm(hidden_size=8, num_layers=1, lr=0.02, max_epochs=6).fit(*planted)


@pytest.mark.parametrize("name", SMALL)
def test_the_planted_cell_ranks_first(planted, name: str):
    X, y = planted
    model = make_model(name, max_epochs=8, lr=0.02, batch_size=100, random_state=0, **SMALL[name])
    model.fit(X, y)
    result = permutation_importance(model, X, y, random_state=0, max_samples=500)
    assert result.table["importance"].idxmax() == "x1 2"
    assert result.table.loc["x1 2", "p_holm"] < 1e-6
    assert result.table.loc["x1 2", ["field", "lags"]].tolist() == ["x1", "2"]


def test_all_cells_are_the_predictions(fitted, planted):
    X, y = planted
    result = permutation_importance(
        fitted, X, y, groups={"all": [(f"x{i}", slice(None)) for i in range(3)]}, random_state=3
    )
    # The same order of each day's rows, found by a model that reads a row's number only.
    numbers = pd.DataFrame({"row": np.arange(len(X), dtype=float)}, X.index)
    seen = []

    class Spy:
        def predict(self, table):
            seen.append(table["row"].to_numpy())
            return table["row"].to_numpy()

    permutation_importance(Spy(), numbers, y, random_state=3)
    _, moved = seen
    days = X.index.get_level_values("datetime")
    assert_array_equal(days[moved.astype(int)], days)
    assert sorted(moved) == numbers["row"].tolist()
    predicted = fitted.predict(X)
    expected = daily_ic(y, predicted, method="spearman")
    assert_allclose(result.baseline, expected)
    moved_ic = daily_ic(y, predicted[moved.astype(int)], method="spearman")
    assert_allclose(result.daily["all"], expected - moved_ic)


def test_the_order_of_rows_makes_no_difference(fitted, planted):
    X, y = planted
    shuffled = np.random.default_rng(1).permutation(len(X))
    whole = permutation_importance(fitted, X, y, random_state=0, n_repeats=2)
    other = permutation_importance(
        fitted, X[shuffled], y.iloc[shuffled], random_state=0, n_repeats=2
    )
    pd.testing.assert_frame_equal(whole.table, other.table)
    assert_array_equal(whole.importances, other.importances)
    # Nor do the other groups, and the chunks in which days are gathered.
    one = permutation_importance(
        fitted, X, y, groups={"x1 2": [("x1", 2)]}, random_state=0, n_repeats=2
    )
    assert_array_equal(one.daily["x1 2"], whole.daily["x1 2"])


def test_chunks_of_days(fitted, planted, monkeypatch):
    X, y = planted
    whole = permutation_importance(fitted, X, y, random_state=0)
    monkeypatch.setattr("skattn.inspection._importance.rows.CELLS", 300 * 18)
    pd.testing.assert_frame_equal(
        permutation_importance(fitted, X, y, random_state=0).daily, whole.daily
    )


def test_what_the_bunch_holds(fitted, planted):
    X, y = planted
    result = permutation_importance(fitted, X, y, random_state=0, n_repeats=3, groups="fields")
    assert result.importances.shape == (3, 3)
    assert_allclose(result.importances_mean, result.importances.mean(axis=1))
    assert_allclose(result.importances_std, result.importances.std(axis=1))
    assert_allclose(result.table["importance"], result.importances_mean)
    assert_allclose(result.daily.mean(), result.importances_mean)
    error = newey_west_error(result.daily["x1"], lags=0)
    assert_allclose(result.table.loc["x1", "standard_error"], error)
    assert_allclose(result.table.loc["x1", "t"], result.daily["x1"].mean() / error)
    pearson = permutation_importance(fitted, X, y, random_state=0, scoring="ic")
    assert_allclose(pearson.baseline, daily_ic(y, fitted.predict(X)))


def test_an_ignored_field_is_worth_nothing(planted):
    X, y = planted
    model = small_alstm(hidden_size=4, num_layers=1).fit(X, y)
    with torch.no_grad():
        model.module_.net.fc_in.weight[:, 2] = 0
    table = permutation_importance(model, X, y, random_state=0).table
    assert (table.loc[table["field"] == "x2", "importance"] == 0).all()
    assert (table.loc[table["field"] == "x2", "p"] == 1).all()
    assert (table.loc[table["field"] == "x1", "importance"] != 0).any()


def test_the_input_is_left_as_it_was(fitted, planted):
    X, y = planted
    cube = np.asarray(X)
    kept = cube.copy()
    days, stocks = (X.index.get_level_values(level) for level in KEYS)
    lazy = permutation_importance(fitted, X, y, random_state=0)
    result = permutation_importance(
        fitted, cube, y.to_numpy(), random_state=0, days=days, instruments=stocks
    )
    assert_array_equal(cube, kept)
    assert_array_equal(result.daily, lazy.daily)


def test_arrays_of_any_layout(fitted, planted):
    X, y = planted
    cube = np.asarray(X)
    days, stocks = (X.index.get_level_values(level) for level in KEYS)
    transposed = np.ascontiguousarray(cube.transpose(0, 2, 1)).transpose(0, 2, 1)
    lazy = permutation_importance(fitted, X, y, random_state=0, groups="fields")
    assert lazy.table.loc["x1", "importance"] > 0.1
    for other in (transposed, np.asfortranarray(cube)):
        result = permutation_importance(
            fitted, other, y, random_state=0, groups="fields", days=days, instruments=stocks
        )
        assert_array_equal(result.daily, lazy.daily)
    table = np.asfortranarray(cube[:, -3])
    ridge = Ridge().fit(table, y)
    result = permutation_importance(ridge, table, y, random_state=0)
    assert result.table["importance"].idxmax() == "x1"


@pytest.mark.parametrize("name", ["days", "instruments"])
def test_days_of_other_rows(fitted, planted, name: str):
    X, y = planted
    level = KEYS[["days", "instruments"].index(name)]
    values = pd.Series(X.index.get_level_values(level), X.index)
    shuffled = values.sample(frac=1, random_state=0)
    whole = permutation_importance(fitted, X, y, random_state=0, **{name: values})
    assert_array_equal(whole.daily, permutation_importance(fitted, X, y, random_state=0).daily)
    with pytest.raises(ValueError, match=f"X and {name} have the same length but different rows"):
        permutation_importance(fitted, X, y, **{name: shuffled})


def test_a_share_is_of_the_rows_that_can_be_scored(fitted, planted):
    X, y = planted
    y = y.where(np.arange(len(y)) % 2 == 0)
    half = permutation_importance(fitted, X, y, random_state=0, max_samples=0.5)
    assert len(half.daily) == 30


def test_unlabelled_rows(planted):
    X, y = planted
    y = y.copy()
    y[np.random.default_rng(0).random(len(y)) < 0.3] = np.nan
    y.attrs.update(horizon=1, reach=2)
    model = small_alstm().fit(X, y)
    labelled = np.flatnonzero(y.notna())
    result = permutation_importance(model, X, y, random_state=0)
    alone = permutation_importance(model, X[labelled], y.iloc[labelled], random_state=0)
    pd.testing.assert_frame_equal(result.daily, alone.daily)


@pytest.mark.filterwarnings("ignore:.*belong to no concept:UserWarning")
def test_unlabelled_rows_are_context_of_cross_sections(stock_days):
    X, y = stock_days
    model = small_hist().fit(X, y)
    y = y.copy()
    y.iloc[::3] = np.nan
    result = permutation_importance(model, X, y, random_state=0, groups="fields")
    scored = daily_ic(y, model.predict(X), method="spearman")[result.baseline.index]
    assert_allclose(result.baseline, scored)
    # Days of a single stock are not scored.
    counts = y.groupby(level="datetime").count()
    assert set(counts.index[counts < 2]).isdisjoint(result.daily.index)
    assert len(result.daily) < len(counts)


def test_whole_days_evenly_spaced(fitted, planted):
    X, y = planted
    calendar = X.days.unique()
    result = permutation_importance(fitted, X, y, random_state=0, max_samples=400)
    assert len(result.daily) == 20
    places = calendar.get_indexer(result.daily.index)
    assert set(np.diff(places)) <= {3, 4}
    assert (places[0], places[-1]) == (0, 59)
    whole = permutation_importance(fitted, X, y, random_state=0)
    pd.testing.assert_frame_equal(result.daily, whole.daily.loc[result.daily.index])
    share = permutation_importance(fitted, X, y, random_state=0, max_samples=400 / 1200)
    pd.testing.assert_frame_equal(share.daily, result.daily)
    one = permutation_importance(fitted, X, y, random_state=0, max_samples=1)
    assert len(one.daily) == 1
    assert np.isnan(one.table.loc["x1 2", "t"])


def test_overlapping_labels_count_neighbouring_days(fitted, planted):
    X, y = planted
    y = y.copy()
    y.attrs.update(horizon=5, reach=6)
    result = permutation_importance(fitted, X, y, random_state=0, groups="fields")
    error = newey_west_error(result.daily["x1"], lags=4)
    assert_allclose(result.table.loc["x1", "standard_error"], error)


@pytest.mark.parametrize(("n_steps", "expected"), [(60, 36), (8, 36), (4, 24), (1, 6)])
def test_runs_of_lags(n_steps: int, expected: int):
    n_runs = min(6, n_steps)
    runs = lag_runs(n_steps, n_runs)
    assert np.concatenate(runs).tolist() == list(range(n_steps))
    lengths = [len(run) for run in runs]
    assert lengths == sorted(lengths)
    assert 6 * len(runs) == expected


@pytest.mark.parametrize("n_steps", range(1, 80))
def test_every_number_of_runs(n_steps: int):
    for n_runs in range(1, n_steps + 1):
        runs = lag_runs(n_steps, n_runs)
        assert len(runs) == n_runs
        assert min(map(len, runs)) > 0


def test_groups(fitted, planted):
    X, y = planted

    def names(groups):
        table = permutation_importance(fitted, X, y, groups=groups, max_samples=100).table
        return list(table[["field", "lags"]].itertuples(name=None))

    assert names("fields") == [(f"x{i}", f"x{i}", "0-5") for i in range(3)]
    assert names("lags")[:2] == [("lag 0", "x0, x1, x2", "0"), ("lag 1", "x0, x1, x2", "1")]
    assert names(2)[:2] == [("x0 0-1", "x0", "0-1"), ("x0 2-5", "x0", "2-5")]
    mapping = {
        "late": [("x0", range(2)), ("x2", 0)],
        "odd": [("x1", [1, 3]), ("x1", slice(4, None))],
    }
    assert names(mapping) == [("late", "x0, x2", "0-1"), ("odd", "x1", "1,3-5")]
    assert span(np.array([3, 1, 2, 7])) == "1-3,7"


def test_pipelines_searches_and_targets(market):
    steps = [Alpha360(["close", "volume"], length=5), RobustZScore()]
    model = make_pipeline(*steps, CrossSectionalTarget(small_alstm(max_epochs=1)))
    model.fit(market.ohlcv, market.label)
    asked = {"groups": 2, "random_state": 0, "max_samples": 300}
    table = permutation_importance(model, market.ohlcv, market.label, **asked).table
    assert table["field"].unique().tolist() == ["close", "volume"]
    search = GridSearchCV(model, {"robustzscore__clip": [3.0]}, cv=DailyTimeSeriesSplit(2))
    search.fit(market.ohlcv, market.label)
    found = permutation_importance(search, market.ohlcv, market.label, **asked).table
    pd.testing.assert_frame_equal(found, table)


@pytest.mark.parametrize(
    "regressor", [Ridge(), LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1)]
)
def test_tables_have_columns(market, regressor):
    steps = [Alpha360(["close", "volume"], length=3, layout="columns"), RobustZScore()]
    model = make_pipeline(*steps, CrossSectionalTarget(regressor))
    model.fit(market.ohlcv, market.label)
    result = permutation_importance(model, market.ohlcv, market.label, random_state=0)
    names = ["CLOSE2", "CLOSE1", "CLOSE0", "VOLUME2", "VOLUME1", "VOLUME0"]
    assert result.table["field"].tolist() == names
    # The latest values are 1 in all windows.
    assert result.table.loc[["CLOSE0", "VOLUME0"], "importance"].tolist() == [0, 0]
    grouped = permutation_importance(
        model, market.ohlcv, market.label, groups={"price": names[:3]}, random_state=0
    )
    assert grouped.table["field"].tolist() == ["CLOSE2, CLOSE1, CLOSE0"]
    with pytest.raises(ValueError, match=r"groups.*columns have no lags.*'lags'"):
        permutation_importance(model, market.ohlcv, market.label, groups="lags")
    with pytest.raises(ValueError, match=r"no column 'OPEN0'"):
        permutation_importance(model, market.ohlcv, market.label, groups={"a": ["OPEN0"]})


def test_series_of_one_field(windows):
    X, y = windows
    model = small_alstm().fit(X[:, :, 0], y.to_numpy())
    days = y.index.get_level_values("datetime")
    table = permutation_importance(model, X[:, :, 0], y.to_numpy(), days=days).table
    assert table["field"].unique().tolist() == ["x0"]
    assert len(table) == 6


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "groups is empty"),
        ({"a": []}, r"groups\['a'\] is empty"),
        ({"a": "x0"}, "must be a list"),
        ({"a": ["x0"]}, r"pairs \(field, lags\), such as \(\"x0\", 0\)"),
        ({"a": [("close", 0)]}, r"no field 'close'\. The fields are x0, x1, x2"),
        ({"a": [("x0", 6)]}, r"0 \(the latest\) to 5; got 6"),
        ({"a": [("x0", -1)]}, "got -1"),
        ({"a": [("x0", 0.5)]}, "an int, a range, a slice or a list"),
        ({"a": [("x0", [])]}, "at least one"),
        ({"a": [("x0", slice(9, 12))]}, "at least one"),
        ({1: [("x0", 0)]}, "names to lists"),
        (7, "7 runs of lags are more than the 6 lags"),
        (0, "groups must be"),
        ("steps", "groups must be"),
    ],
)
def test_bad_groups(fitted, planted, groups, message):
    with pytest.raises(ValueError, match=message):
        permutation_importance(fitted, *planted, groups=groups)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("max_samples", 0),
        ("max_samples", 1.5),
        ("max_samples", True),
        ("n_repeats", 0),
        ("scoring", "r2"),
        ("random_state", -1),
    ],
)
def test_parameters_out_of_range(fitted, planted, argument, value):
    with pytest.raises(ValueError, match=f"{argument} must be"):
        permutation_importance(fitted, *planted, **{argument: value})


def test_bad_rows(fitted, planted):
    X, y = planted
    with pytest.raises(ValueError, match="trading days of X are not known"):
        permutation_importance(fitted, np.asarray(X), y.to_numpy())
    with pytest.raises(ValueError, match="X and y have the same length but different rows"):
        permutation_importance(fitted, X, y.iloc[::-1])
    with pytest.raises(ValueError, match="X has 1200 rows, and y has 1100"):
        permutation_importance(fitted, X, y.iloc[:1100])
    with pytest.raises(ValueError, match="No day has two labelled stocks"):
        permutation_importance(fitted, X[:1], y.iloc[:1])
    one_stock = X.index.get_level_values("instrument") == "S00"
    with pytest.raises(ValueError, match="No day has two labelled stocks"):
        permutation_importance(fitted, X[one_stock], y[one_stock])
    with pytest.raises(NotFittedError):
        permutation_importance(small_alstm(), X, y)
    with pytest.raises(TypeError, match="estimator must be a fitted regressor"):
        permutation_importance("model", X, y)


@pytest.mark.parametrize("lazy", [True, False])
def test_a_missing_value_is_named_by_its_row(fitted, planted, lazy, monkeypatch):
    X, y = planted
    monkeypatch.setattr("skattn.inspection._importance.rows.CELLS", 300 * 18)
    broken = np.asarray(X).copy()
    broken[1105, 0, 0] = np.nan
    where = r"row 1105, \(Timestamp\(.*'S05'\)" if lazy else "row 1105; 1 of"
    asked = {"days": X.days, "instruments": X.instruments}
    given = windows_of(broken, X.index) if lazy else broken
    with pytest.raises(ValueError, match=rf"Input X contains NaN \(first at {where}"):
        permutation_importance(fitted, given, y, **asked)


def test_a_model_that_predicts_one_number(planted):
    X, y = planted
    model = small_alstm().fit(X, y)
    with torch.no_grad():
        model.module_.fc_out.weight.zero_()
    with pytest.raises(ValueError, match="predicts the same for all stocks of every day"):
        permutation_importance(model, X, y)


def test_one_lag():
    X, y = make_planted(n_days=20, n_stocks=6, n_steps=4)
    X, y = windows_of(np.asarray(X)[:, -3:-2], X.index), y
    model = small_alstm(lr=0.05, max_epochs=10).fit(X, y)
    table = permutation_importance(model, X, y, random_state=0).table
    assert table["lags"].tolist() == ["0", "0", "0"]
    assert table["importance"].idxmax() == "x1 0"


def test_a_million_rows_are_not_laid_out(fitted):
    """Gathering them would take 72 GB: a table of few rows stands for them all."""
    from skattn.panel import WindowArray

    rng = np.random.default_rng(0)
    n_stocks, n_days = 4000, 250
    days = pd.bdate_range("2020-01-01", periods=n_days)
    index = pd.MultiIndex.from_product([days, range(n_stocks)], names=KEYS)
    table = rng.normal(size=(5000, 3)).astype(np.float32)
    X = WindowArray(table, rng.integers(10, 5000, len(index)), 6, index=index)
    seen = []
    gather = WindowArray.gather

    def spy(self, rows):
        seen.append(len(rows))
        return gather(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WindowArray, "gather", spy)
        y = pd.Series(rng.normal(size=len(index)), index)
        result = permutation_importance(fitted, X, y, groups={"a": [("x0", 0)]}, random_state=0)
    assert sum(seen) == 2 * n_stocks
    assert len(result.daily) == 2


def test_days_of_few_stocks():
    X, y = make_stock_days([1, 2, 3, 1, 2] * 6)
    model = small_alstm().fit(X, y)
    result = permutation_importance(model, X, y, random_state=0, groups="fields", n_repeats=4)
    assert len(result.daily) == 18
    assert np.isfinite(result.daily.to_numpy()).all()
