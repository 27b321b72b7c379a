"""AttentionDisplay: the arrays behind the pictures, and pictures whose texts fit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import assert_texts_fit
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skattn import make_model
from skattn.compose import CrossSectionalTarget
from skattn.inspection import AttentionDisplay, AttentionMap, attention_weights
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import GRURegressor
from skattn.preprocessing import Alpha360, RobustZScore

T = 6
SMALL = {
    "alstm": {"hidden_size": 4, "num_layers": 1},
    "transformer": {"d_model": 8, "nhead": 2, "num_layers": 3, "dim_feedforward": 16},
    "hist": {"hidden_size": 4, "num_layers": 1},
    "sfm": {"hidden_size": 4, "freq_dim": 5, "output_dim": 3},
}
DRAWN = [
    ("alstm", "time", "rows"),
    ("transformer", "layers", "grid"),
    ("transformer", "layers", "rows"),
    ("sfm", "frequency", "frequency"),
    ("sfm", "frequency", "rows"),
    ("hist", "stock_to_concept", "concepts"),
    ("hist", "concept_to_stock", "concepts"),
    ("hist", "concept_to_stock", "rows"),
    ("hist", "hidden_concept", "stocks"),
    ("hist", "hidden_concept", "graph"),
]
draw = AttentionDisplay.from_estimator


@pytest.fixture(scope="module")
def fitted(market):
    def fit(name: str) -> Pipeline:
        params = {"max_epochs": 1, "random_state": 0, **SMALL[name]}
        if name == "hist":
            params["concepts"] = market.concepts
        steps = [("windows", Alpha360(length=T)), ("scale", RobustZScore())]
        model = CrossSectionalTarget(make_model(name, **params))
        return Pipeline([*steps, ("model", model)]).fit(market.ohlcv, market.label)

    return {name: fit(name) for name in SMALL}


@pytest.mark.parametrize(("model", "map", "kind"), DRAWN)
def test_texts_fit(fitted, market, pyplot, model: str, map: str, kind: str) -> None:
    for width in (None, 5, 12):
        ax = None
        if width is not None:
            ax = pyplot.subplots(figsize=(width, 6), layout="constrained")[1]
        display = draw(fitted[model], market.ohlcv, map=map, kind=kind, ax=ax, against=None)
        if kind != "graph":  # names around a circle are turned, so that their boxes overlap
            assert_texts_fit(display.figure_)
        assert display.ax_.flat[0].figure is display.figure_
        pyplot.close("all")


@pytest.mark.parametrize("model", ["alstm", "transformer", "sfm"])
def test_first_kind_fits_the_axes(fitted, market, model: str) -> None:
    kinds = {"alstm": 2, "transformer": 6, "sfm": 2}
    assert draw(fitted[model], market.ohlcv).ax_.size == kinds[model]


def test_profile_and_rows(fitted, market) -> None:
    weights = attention_weights(fitted["alstm"], market.ohlcv).time
    display = draw(fitted["alstm"], market.ohlcv, subsample=None)
    assert_allclose(display.profile_["mean"], weights.mean(), rtol=1e-5)
    assert_allclose(display.profile_["low"], weights.quantile(0.25), rtol=1e-5)
    assert_allclose(display.profile_["high"], weights.quantile(0.75), rtol=1e-5)
    assert display.table_.columns.equals(weights.columns)
    by_day = weights.groupby(level="datetime").mean()
    n_days = len(by_day)
    bins = np.arange(n_days) * 60 // n_days
    # As many days a bin as needed, a row weighing the same everywhere.
    expected = weights.groupby(bins[pd.factorize(weights.index.get_level_values(0))[0]]).mean()
    assert_allclose(display.table_, expected, rtol=1e-5)
    assert display.table_.index[0] == by_day.index[0]


def test_rows_by_stock_and_prediction(fitted, market) -> None:
    weights = attention_weights(fitted["alstm"], market.ohlcv).time
    display = draw(fitted["alstm"], market.ohlcv, sort="stock", subsample=None)
    assert_allclose(display.table_, weights.groupby(level="instrument").mean(), rtol=1e-5)
    display.plot(sort="prediction")
    predicted = pd.Series(fitted["alstm"].predict(market.ohlcv), market.ohlcv.index)
    by_day = predicted.groupby(level="datetime")
    place, size = by_day.rank(method="first").astype(int), by_day.transform("size")
    tenth = 1 + (2 * place - 1) * 10 // (2 * size)
    assert_allclose(display.table_, weights.groupby(tenth).mean(), rtol=1e-5)
    display.plot(sort="row")
    assert len(display.table_) == 60


def test_grid(fitted, market) -> None:
    layers = attention_weights(fitted["transformer"], market.ohlcv).layers
    display = draw(fitted["transformer"], market.ohlcv, subsample=None)
    assert display.ax_.shape == (3, 2)
    expected = layers.values.mean(axis=0, dtype=float)
    assert_allclose(display.table_, expected.reshape(-1, T), rtol=1e-4)
    assert display.table_.index.names == ["layer", "head", "query"]
    drawn = display.ax_[2, 1].get_images()[0].get_array()
    assert_allclose(drawn, expected[2, 1], rtol=1e-4)
    display.plot(select={"layer": 2, "head": 1})
    assert_allclose(display.table_, expected[2, 1], rtol=1e-4)
    display.plot("rows")  # the latest query, which the prediction reads
    assert_allclose(display.profile_["mean"], expected[:, :, -1].mean(axis=(0, 1)), rtol=1e-4)


def test_frequency(fitted, market) -> None:
    weights = attention_weights(fitted["sfm"], market.ohlcv).frequency
    display = draw(fitted["sfm"], market.ohlcv, subsample=None)
    assert_allclose(display.table_, weights.values.mean(axis=0, dtype=float).T, rtol=1e-4)
    assert_allclose(display.profile_["mean"], weights.values.mean(axis=(0, 1), dtype=float), 1e-4)


def test_stocks_of_a_day(fitted, market) -> None:
    day = market.ohlcv.index.get_level_values("datetime").unique()[40]
    weights = attention_weights(fitted["hist"], market.ohlcv).hidden_concept.loc[day]
    how = {"map": "hidden_concept", "groups": market.concepts, "day": day}
    display = draw(fitted["hist"], market.ohlcv, **how)
    assert display.groups_.index.tolist() == display.table_.index.tolist()
    assert_array_equal(display.groups_, market.concepts[display.groups_.index])
    assert (display.groups_ != display.groups_.shift()).sum() == display.groups_.nunique()
    order = display.table_.index
    assert set(order) == set(weights.index)
    assert_allclose(display.table_, weights.loc[order, order], rtol=1e-5)
    strongest = draw(fitted["hist"], market.ohlcv, map="hidden_concept", day=day).groups_
    assert_array_equal(strongest, weights.idxmax(axis=1)[strongest.index])
    # Without a day the last one.
    last = draw(fitted["hist"], market.ohlcv, map="hidden_concept")
    assert f"{market.ohlcv.index[-1][0]:%Y-%m-%d}" in last.ax_[0].get_title()


def test_no_preference_is_one(fitted, market) -> None:
    X = market.ohlcv
    time = draw(fitted["alstm"], X, against="uniform", subsample=None)
    weights = attention_weights(fitted["alstm"], X).time
    assert_allclose(time.profile_["mean"], weights.mean() * T, rtol=1e-5)
    assert_allclose(time.profile_["mean"].mean(), 1, rtol=1e-5)
    # Each stock divides its weight among the hidden concepts that the day has.
    hidden = draw(fitted["hist"], X, map="hidden_concept", against="uniform")
    there = hidden.table_.loc[:, hidden.table_.gt(0).any()]
    assert 1 < there.shape[1] < hidden.table_.shape[1]
    assert_allclose(there.mean(axis=1), 1, rtol=1e-5)
    frequency = draw(fitted["sfm"], X, against="uniform")
    assert_allclose(frequency.table_.mean(axis=0), 1, rtol=1e-4)


def test_lags_without_weight_count() -> None:
    weights = pd.DataFrame(np.tile([0.0, 0.0, 1.0, 0.0], (8, 1)), columns=pd.Index([3, 2, 1, 0]))
    weights.columns.name = "lag"
    display = AttentionDisplay(weights=weights).plot(against="uniform")
    assert display.profile_["mean"].tolist() == [0, 0, 4, 0]
    # Keys that are masked could not get any: each query sees itself and what comes before.
    values = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    lags = pd.RangeIndex(3, -1, -1)
    keys = AttentionMap(
        np.tile(values, (8, 1, 1)), ("row", "query", "key"), (pd.RangeIndex(8), lags, lags)
    )
    display = AttentionDisplay(weights=keys).plot(against="uniform")
    assert_allclose(display.table_, np.tril(np.ones((4, 4))))


def test_weights_near_uniform_look_flat() -> None:
    weights = np.full((20, 5), 0.2) + 1e-4 * np.arange(-2, 3)
    flat = AttentionDisplay(weights=pd.DataFrame(weights).rename_axis(columns="lag"))
    image = flat.plot(against="uniform").ax_[0].get_images()[0]
    colors = image.cmap(image.norm(image.get_array()))
    assert np.ptp(colors[..., :3]) < 0.1
    assert_allclose([image.norm.vmin, image.norm.vmax], [0.8, 1.25])


def test_whole_days_where_a_model_looks_across_stocks(fitted, market) -> None:
    full = attention_weights(fitted["hist"], market.ohlcv).concept_to_stock
    part = draw(fitted["hist"], market.ohlcv, map="concept_to_stock", kind="rows", subsample=100)
    of_stock = (
        {name: len(rows) for name, rows in part.weights.groupby(level="datetime")}
        if (isinstance(part.weights, pd.DataFrame))
        else pd.Series(1, part.weights.labels[0]).groupby(level="datetime").sum().to_dict()
    )
    sizes = market.ohlcv.groupby(level="datetime").size()
    assert 1 < len(of_stock) < 20
    assert all(sizes[day] == n for day, n in of_stock.items())
    taken = part.weights.labels[0]
    assert_allclose(part.weights.values, full.loc[taken], rtol=1e-5)
    rows = draw(fitted["alstm"], market.ohlcv, subsample=100).weights.labels[0]
    assert len(rows) == 100
    assert rows.unique("datetime").size > 30


def test_through_a_search(fitted, market) -> None:
    cv = DailyTimeSeriesSplit(2, purge=2)
    grid = {"model__regressor__hidden_size": [4]}
    search = GridSearchCV(fitted["alstm"], grid, cv=cv).fit(market.ohlcv, market.label)
    assert draw(search, market.ohlcv).name == "ALSTMRegressor: time"


def test_arrays_with_days() -> None:
    X = np.random.default_rng(0).normal(size=(40, 5, 2)).astype(np.float32)
    days = np.repeat(pd.bdate_range("2024-01-01", periods=10), 4)
    model = make_model("alstm", max_epochs=1, random_state=0, hidden_size=4).fit(
        X, X[:, -1, 0], days=days
    )
    assert draw(model, X).table_.shape == (40, 5)  # by row: no day is known
    assert draw(model, X, days=days).table_.shape == (10, 5)
    with pytest.raises(ValueError, match="sort='day' needs rows whose day is known"):
        draw(model, X, sort="day")
    with pytest.raises(ValueError, match=r"sort='stock'.*pass days= and instruments="):
        draw(model, X, days=days, sort="stock")


def rows_of(n_days: int = 8, n_stocks: int = 4, at: str = "0h") -> pd.MultiIndex:
    days = pd.bdate_range("2024-01-01", periods=n_days) + pd.Timedelta(at)
    names = ["datetime", "instrument"]
    return pd.MultiIndex.from_product([days, list("ABCDEFGH")[:n_stocks]], names=names)


def test_times_of_days() -> None:
    index = rows_of(at="16h")
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(32, T)), index)
    model = make_model("alstm", max_epochs=1, random_state=0, **SMALL["alstm"]).fit(X, X[0])
    display = draw(model, X, day="2024-01-03")
    expected = attention_weights(model, X).time.iloc[8:12].mean()
    assert_allclose(display.profile_["mean"], expected, rtol=1e-5)
    by_hand = AttentionDisplay(weights=attention_weights(model, X).time).plot(day="2024-01-03")
    assert_allclose(by_hand.profile_["mean"], expected, rtol=1e-5)
    # Days that are given come before the days of the index.
    later = rows_of().get_level_values("datetime") + pd.Timedelta(days=364)
    display = draw(model, X, days=later)
    assert display.table_.index.tolist() == later.unique().tolist()
    display = draw(model, X, days=later, day="2025-01-01")
    assert_allclose(display.profile_["mean"], expected, rtol=1e-5)
    renamed = [f"_{name}" for name in index.get_level_values("instrument")]
    display = draw(model, X, instruments=renamed, sort="stock")
    assert display.table_.index.tolist() == ["_A", "_B", "_C", "_D"]


def test_equal_predictions_share_a_quantile() -> None:
    index = rows_of()
    weights = pd.DataFrame(np.random.default_rng(0).random((32, 3)), index)
    predicted = np.tile([2.0, 1.0, 1.0, 3.0], 8)
    order = np.random.default_rng(1).permutation(32)
    table = AttentionDisplay(weights=weights, predicted=predicted).plot(sort="prediction").table_
    other = AttentionDisplay(weights=weights.iloc[order], predicted=predicted[order])
    pd.testing.assert_frame_equal(table, other.plot(sort="prediction").table_)
    # Of four places, the two in the middle of the lower half are shared.
    assert_allclose(table.iloc[0], weights[predicted == 1].mean())
    constant = AttentionDisplay(weights=weights, predicted=np.ones(32)).plot(sort="prediction")
    assert_allclose(constant.table_, weights.mean().to_frame().T)
    predicted[3] = np.nan
    with pytest.raises(ValueError, match="predicted has 1 missing values"):
        AttentionDisplay(weights=weights, predicted=predicted).plot(sort="prediction")


@pytest.mark.parametrize("sums", [None, ("key",)])
def test_a_key_against_no_preference(sums) -> None:
    rng = np.random.default_rng(0)
    values = rng.random((32, 2, T, T))
    values /= values.sum(axis=-1, keepdims=True)
    lags = pd.RangeIndex(T - 1, -1, -1)
    labels = (rows_of(), pd.RangeIndex(2), lags, lags)
    weights = AttentionMap(values, ("row", "head", "query", "key"), labels)
    display = AttentionDisplay(weights=weights, sums=sums).plot(
        select={"key": 0}, against="uniform"
    )
    assert_allclose(display.profile_["mean"], T * values[..., -1].mean(axis=(0, 1)))


def test_dollars_are_no_formulas() -> None:
    rng = np.random.default_rng(0)
    index = rows_of(2).set_levels([f"${name}_b_c$" for name in "ABCD"], level="instrument")
    stocks = index.get_level_values("instrument")[:4]
    groups = pd.Series(["$x_y_z$", "$x_y_z$", "a", "_b"], stocks, name="$s_e_c$")
    values = rng.random((8, 4))
    of_stocks = AttentionMap(values, ("row", "stock"), (index, stocks))
    of_concepts = pd.DataFrame(values, index, pd.Index(stocks, name="concept"))
    of_features = pd.DataFrame(values, index, pd.Index(stocks, name="$f_g_h$"))
    for weights, kinds in (
        (of_stocks, ("stocks", "graph")),
        (of_concepts, ("concepts", "rows")),
        (of_features, ("rows",)),
    ):
        display = AttentionDisplay(weights=weights, groups=groups, name="$n_a_m$")
        for kind in kinds:
            display.plot(kind).figure_.canvas.draw()
    assert display.plot(sort="stock").ax_[0].get_yticklabels()[0].get_text() == r"\$A_b_c\$"


@pytest.mark.parametrize("axis", ["concept", "stock"])
def test_a_stock_twice(axis: str) -> None:
    index = rows_of(1).append(rows_of(1)[:1])
    columns = pd.Index(list("ABCD"))
    weights = AttentionMap(np.ones((5, 4)), ("row", axis), (index, columns))
    with pytest.raises(ValueError, match="one row a stock; 'A' has several on 2024-01-01"):
        AttentionDisplay(weights=weights).plot()


def test_a_stock_without_a_group() -> None:
    index = rows_of(2)
    values = np.random.default_rng(0).random((8, 4))
    weights = AttentionMap(values, ("row", "stock"), (index, pd.Index(list("ABCD"))))
    for missing in (np.nan, None):
        groups = {"A": "x", "B": missing, "C": "y", "D": "x"}
        with pytest.raises(ValueError, match=r"one group; it has none for \['B'\]"):
            AttentionDisplay(weights=weights, groups=groups).plot("graph")


def test_smallest(pyplot) -> None:
    one = AttentionMap(np.ones((1, 1)), ("row", "lag"), (pd.RangeIndex(1), pd.RangeIndex(1)))
    for against in (None, "uniform"):
        display = AttentionDisplay(weights=one).plot(against=against)
        assert display.table_.to_numpy().tolist() == [[1.0]]
        assert_texts_fit(display.figure_)
    day = pd.MultiIndex.from_tuples([(pd.Timestamp("2024-01-02"), "A")])
    day.names = ["datetime", "instrument"]
    single = AttentionMap(np.ones((1, 1)), ("row", "stock"), (day, pd.Index(["A"])))
    for kind in ("stocks", "graph"):
        assert AttentionDisplay(weights=single).plot(kind).groups_.tolist() == ["A"]


@pytest.mark.parametrize("kind", ["stocks", "graph", "concepts"])
def test_many_stocks(kind: str) -> None:
    rng = np.random.default_rng(0)
    names = [f"STOCK{i:03d}.EXCHANGE" for i in range(300)]
    index = pd.MultiIndex.from_product(
        [pd.to_datetime(["2024-01-02"]), names], names=["datetime", "instrument"]
    )
    n_places = 40 if kind == "concepts" else 300
    places = pd.Index(names[:n_places])
    weights = rng.dirichlet(np.ones(n_places), 300)
    axis = "concept" if kind == "concepts" else "stock"
    groups = pd.Series(rng.integers(11, size=300), names, name="sector").map("sector {}".format)
    display = AttentionDisplay(
        weights=AttentionMap(weights, ("row", axis), (index, places)), groups=groups
    ).plot(kind)
    assert_texts_fit(display.figure_)
    assert_array_equal(display.groups_, groups[display.groups_.index])


def test_a_gap_of_the_day_is_grey() -> None:
    index = pd.MultiIndex.from_product(
        [pd.to_datetime(["2024-01-02"]), list("AB")], names=["datetime", "instrument"]
    )
    weights = AttentionMap(
        np.array([[0.5, np.nan, 0.5], [1.0, np.nan, 0.0]]),
        ("row", "stock"),
        (index, pd.Index(list("ACB"))),
    )
    assert AttentionDisplay(weights=weights).plot().table_.columns.tolist() == ["A", "B"]


# What cannot be drawn ---------------------------------------------------------------------------


def test_models_without_attention_name_those_with(market) -> None:
    X = np.zeros((8, 3, 1), np.float32)
    model = GRURegressor(hidden_size=2, max_epochs=1, early_stopping=False).fit(X, np.arange(8.0))
    state = torch.random.get_rng_state()
    with pytest.raises(ValueError, match=r"GRURegressor has no attention.*alstm.*hist.*sfm.*tran"):
        draw(model, X)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"map": "timee"}, r"map must be one of the maps of ALSTMRegressor, \['time'\]"),
        ({"kind": "grid"}, r"kind='grid' does not fit a map of \('lag',\); these do: rows"),
        ({"kind": "heat"}, "kind must be"),
        ({"sort": "sector"}, "sort must be"),
        ({"against": "all"}, "against must be"),
        ({"select": {"head": 0}}, r"axes must be some of \('row', 'lag'\).*head"),
        ({"select": {"lag": 7}}, "axis 'lag' has no label 7; it has"),
        ({"select": {"lag": 0}}, "select must leave an axis"),
        ({"select": {"row": 0}}, "for rows pass day="),
        ({"select": "head"}, "select must map axes to labels"),
        ({"day": "1990-01-01"}, r"day must be a day of the rows.*got 1990-01-01.*nearest"),
        ({"day": 3}, "day must hold dates"),
        ({"subsample": 0}, "subsample must be"),
        ({"name": 3}, "name must be"),
        ({"ax": 3}, "ax must be matplotlib Axes"),
    ],
)
def test_bad_input(fitted, market, pyplot, params, match: str) -> None:
    with pytest.raises((ValueError, TypeError), match=match):
        draw(fitted["alstm"], market.ohlcv, **params)
    assert not pyplot.get_fignums()


def test_bad_input_of_stocks(fitted, market, pyplot) -> None:
    X, how = market.ohlcv, {"map": "hidden_concept"}
    with pytest.raises(TypeError, match="groups must be a Series or mapping"):
        draw(fitted["hist"], X, groups=3, **how)
    with pytest.raises(ValueError, match=r"groups must give each stock one group; it has none for"):
        draw(fitted["hist"], X, groups=market.concepts.iloc[:3], **how)
    twice = pd.concat([market.concepts, market.concepts])
    with pytest.raises(ValueError, match="names a stock twice"):
        draw(fitted["hist"], X, groups=twice, **how)
    with pytest.raises(ValueError, match=r"weights that sum to 1 over an axis.*stock_to_concept"):
        draw(fitted["hist"], X, against="uniform")
    model = fitted["hist"][-1].regressor_
    windows = fitted["hist"][:-1].transform(X)
    with pytest.raises(ValueError, match=r"needs the days of the rows.*pass days="):
        draw(model, np.asarray(windows)[:20], instruments=windows.instruments[:20], **how)
    with pytest.raises(ValueError, match=r"There is nothing to draw"):
        AttentionDisplay(weights=pd.DataFrame(np.empty((3, 0)))).plot()
    assert not pyplot.get_fignums()


def test_bad_estimators(fitted, market, pyplot) -> None:
    with pytest.raises(NotFittedError):
        draw(make_model("alstm"), market.ohlcv)
    with pytest.raises(TypeError, match=r"AttentionDisplay needs as estimator.*got Ridge"):
        draw(Ridge().fit([[0], [1]], [0, 1]), market.ohlcv)
    with pytest.raises(TypeError, match=r"AttentionDisplay needs as estimator.*got 3"):
        draw(3, market.ohlcv)
    with pytest.raises(ValueError, match=r"X has no rows|0 sample"):
        draw(fitted["alstm"], market.ohlcv.iloc[:0])
    with pytest.raises(TypeError, match=r"weights must be an AttentionMap or a DataFrame"):
        AttentionDisplay(weights=np.ones((3, 3))).plot()
    table = pd.DataFrame(np.ones((3, 3)))
    with pytest.raises(ValueError, match="predicted has 2 values for 3 rows"):
        AttentionDisplay(weights=table, predicted=[1, 2]).plot(sort="prediction")
    with pytest.raises(ValueError, match="needs the predictions of the rows"):
        AttentionDisplay(weights=table).plot(sort="prediction")
    assert not pyplot.get_fignums()


def test_axes_out_of_a_grid(fitted, market, pyplot) -> None:
    alone = pyplot.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match="ax must be axes of a grid of subplots"):
        draw(fitted["alstm"], market.ohlcv, ax=alone)


def layers(*sizes: int) -> AttentionMap:
    axes = ("row", "block", "layer", "head", "query", "key")[-len(sizes) - 3 :]
    shape = (2, *sizes, 3, 3)
    names = ("row", *axes[1:])
    return AttentionMap(np.full(shape, 1 / 3), names, tuple(pd.RangeIndex(n) for n in shape))


def test_panels(pyplot) -> None:
    with pytest.raises(ValueError, match=r"17 x 16 heat maps are too many.*select=.*'layer': 0"):
        AttentionDisplay(weights=layers(17, 16)).plot()
    assert AttentionDisplay(weights=layers(17, 16)).plot(select={"layer": 3}).ax_.shape == (1, 16)
    blocks = AttentionDisplay(weights=layers(4, 2, 1))
    assert blocks.plot().ax_.shape == (2, 1)  # averaged over the blocks
    assert blocks.plot(select={"layer": 1}).ax_.shape == (4, 1)
    pyplot.close("all")
    for values, found in ((np.nan, "0 infinite and 0 finite"), (np.inf, "6 infinite and 0 finite")):
        with pytest.raises(ValueError, match=f"weights must be finite.*{found}"):
            AttentionDisplay(weights=pd.DataFrame(np.full((2, 3), values))).plot()
    assert not pyplot.get_fignums()


def test_needs_matplotlib() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from skattn.inspection import AttentionDisplay\n"
        "try: AttentionDisplay(weights=None).plot()\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "skattn[plot]"' in done.stdout


# AttentionMap ------------------------------------------------------------------------------------


def test_map_select_mean_and_frame(fitted, market) -> None:
    layers = attention_weights(fitted["transformer"], market.ohlcv).layers
    one = layers.select(layer=1, query=0)
    assert one.axes == ("row", "head", "key")
    assert_array_equal(one.values, layers.values[:, 1, :, -1])
    mean = layers.mean("row", "layer", "query")
    assert mean.axes == ("head", "key")
    assert_allclose(mean.values, layers.values.mean(axis=(0, 1, 3), dtype=float))
    assert mean.to_frame().columns.tolist() == [5, 4, 3, 2, 1, 0]
    table = one.to_frame()
    assert table.index.names == ["datetime", "instrument", "head"]
    assert_array_equal(table.to_numpy(), one.values.reshape(-1, T))
    key = (*market.ohlcv.index[7], 1)
    assert_array_equal(table.loc[key], one.values[7, 1])
    with pytest.raises(ValueError, match="axes must be some of"):
        layers.mean("row", "layer", "head", "query", "key")
    with pytest.raises(ValueError, match="has no label 9"):
        layers.select(head=9)


@pytest.mark.parametrize(("n_steps", "step"), [(6, 1), (20, 3), (60, 8)])
def test_lags_are_labelled_in_equal_steps_from_the_latest(n_steps: int, step: int) -> None:
    lags = range(n_steps - 1, -1, -1)
    weights = pd.DataFrame(np.full((3, n_steps), 1 / n_steps), columns=pd.Index(lags, name="lag"))
    below = AttentionDisplay(weights=weights).plot().ax_[1]
    labels = [int(text.get_text()) for text in below.get_xticklabels()]
    assert labels == [*range(0, n_steps, step)][::-1]
