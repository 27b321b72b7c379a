"""AttentionTimelineDisplay: dates, spans and the market of one instrument."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import KEYS, windows_of
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from skattn import SequenceRegressor, make_model
from skattn.base import CrossSectionalRegressor
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.inspection import AttentionTimelineDisplay, attention_weights
from skattn.metrics import rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.preprocessing import Alpha360, RobustZScore, RollingWindow

from_estimator = AttentionTimelineDisplay.from_estimator


# Models whose attention is known ------------------------------------------------------------------


class Largest(nn.Module):
    """Attention to the steps whose first feature is large."""

    attention_axes = {"time": ("lag",)}

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def weights(self, x):  # (B, T, F) -> (B, T)
        return (3 * x[..., 0]).softmax(-1)

    def forward(self, x):
        return self.scale * (self.weights(x) * x[..., 0]).sum(-1)

    def attend(self, x):
        return {"time": self.weights(x)}


class LargestRegressor(SequenceRegressor):
    def build_module(self, n_steps, n_features):
        return Largest()


class LargestOfDay(Largest):
    """The same, of a step less the mean of the day's stocks; and a map among the stocks."""

    cross_sectional = True
    attention_axes = {"peers": ("lag", "stock"), "time": ("head", "query", "key")}

    def weights(self, x, present):  # (D, S, T, F) -> (D, S, T)
        there = present[..., None]
        mean = (x[..., 0] * there).sum(1, keepdim=True) / there.sum(1, keepdim=True)
        return (3 * (x[..., 0] - mean)).softmax(-1)

    def forward(self, x, present):
        return self.scale * (self.weights(x, present) * x[..., 0]).sum(-1)

    def attend(self, x, present):
        weights = self.weights(x, present)
        n_steps, n_stocks = weights.shape[-1], present.shape[1]
        even = (present / present.sum(1, keepdim=True))[:, None, None]
        peers = even.expand(-1, n_stocks, n_steps, -1)
        # Two heads whose mean is the weights; earlier queries look at themselves.
        queries = torch.eye(n_steps).expand(*weights.shape[:2], 2, -1, -1).clone()
        queries[..., -1, :] = torch.stack((1.5 * weights, 0.5 * weights), 2)
        return {"peers": peers, "time": queries}


class LargestOfDayRegressor(CrossSectionalRegressor):
    def build_module(self, n_steps, n_features):
        return LargestOfDay()


class PairRegressor(SequenceRegressor):
    """Two maps that say the same."""

    def build_module(self, n_steps, n_features):
        module = Largest()
        module.attention_axes = {"a": ("lag",), "b": ("lag",)}
        module.attend = lambda x: dict.fromkeys("ab", module.weights(x))
        return module


def fit(cls, X, y, **params):
    return cls(max_epochs=1, early_stopping=False, random_state=0).fit(X, y, **params)


@pytest.fixture(scope="module")
def panel():
    """A ragged table of one feature, its windows of five days, and a label."""
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2023-01-02", periods=90)
    index = pd.MultiIndex.from_product([days, list("ABC")], names=KEYS)
    index = index[rng.permutation(len(index))[:220]]
    table = pd.DataFrame({"x": rng.normal(size=len(index))}, index)
    windows = make_pipeline(RollingWindow(5), RobustZScore(fill_value=0.0)).fit_transform(table)
    y = table["x"].rename("label")
    y.attrs["reach"] = 1
    return table, windows, y


def prices(index, seed=0):
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(0.1 * rng.normal(size=len(index)))
    return pd.DataFrame({"close": close, "volume": rng.integers(1, 99, len(index))}, index)


# Numbers ------------------------------------------------------------------------------------------


def by_hand(weights, calendar):
    """Attention by date of weights by window end and lag, on the days of a market."""
    place = pd.Series(np.arange(len(calendar)), calendar)
    pairs = [
        (lag, calendar[place[end] - lag], weight)
        for end, row in weights.iterrows()
        for lag, weight in row.items()
        if place[end] >= lag
    ]
    table = pd.DataFrame(pairs, columns=["lag", "date", "weight"])
    table = table[table["date"].isin(weights.index)]
    table["usual"] = table.groupby("lag")["weight"].transform("mean")
    sums = table.groupby("date")[["weight", "usual"]].sum()
    attention = sums["weight"] / sums["usual"]
    return attention.where(sums["usual"] >= sums["usual"].max() / 2)


@pytest.mark.parametrize("stock", list("ABC"))
@pytest.mark.parametrize("cls", [LargestRegressor, LargestOfDayRegressor])
def test_attention_by_hand_where_days_are_missing(panel, cls, stock):
    table, windows, y = panel
    model = fit(cls, windows, y)
    display = from_estimator(model, windows, stock, ohlcv=prices(table.index))
    maps = attention_weights(model, windows)
    own = windows.index.get_level_values("instrument") == stock
    if cls is LargestRegressor:
        weights = maps.time[own].droplevel("instrument").sort_index()
    else:
        values = maps.time.values[own][:, :, -1].mean(axis=1)
        days = windows.index.get_level_values("datetime")[own]
        weights = pd.DataFrame(values, days, range(4, -1, -1)).sort_index()
    assert_allclose(display.weights, weights, atol=1e-6)
    assert list(display.weights.columns) == [4, 3, 2, 1, 0]
    calendar = table.index.unique("datetime").sort_values()
    expected = by_hand(weights.astype(float), calendar)
    assert_allclose(display.attention, expected, atol=1e-5)
    assert display.attention.index.equals(weights.index)
    assert (display.attention.loc[display.spans["start"]] > display.attention.quantile(0.9)).all()
    assert (
        display.spans["days"].sum() == (display.attention > display.attention.quantile(0.9)).sum()
    )


def test_days_that_an_array_does_not_tell(panel):
    # Windows without a table of their own are taken to end on consecutive days, in any order.
    rng = np.random.default_rng(1)
    days = pd.bdate_range("2024-01-01", periods=40)
    series = rng.normal(size=44)
    X = np.lib.stride_tricks.sliding_window_view(series, 5)[:, :, None].astype(np.float32)
    order = rng.permutation(40)
    days_, X_ = days[order], X[order]
    model = fit(LargestRegressor, X_, X_[:, 0, 0])
    daily = pd.Series(np.arange(40.0), days)
    stocks = np.repeat("A", 40)
    display = from_estimator(model, X_, "A", ohlcv=daily, days=days_, instruments=stocks)
    weights = pd.DataFrame(model.attend(X)["time"].astype(float), days, range(4, -1, -1))
    assert_allclose(display.attention, by_hand(weights, days), atol=1e-5)
    apart = windows_of(X_, pd.MultiIndex.from_arrays([days_, stocks], names=KEYS))
    again = from_estimator(model, apart, "A", ohlcv=daily)
    pd.testing.assert_series_equal(again.attention, display.attention)
    flat = pd.DataFrame(X_[:, :, 0].astype(float), apart.index)
    model = fit(LargestRegressor, flat, X_[:, 0, 0])
    table = from_estimator(model, flat, "A", ohlcv=daily)
    assert_allclose(table.attention, display.attention, atol=1e-5)


@pytest.mark.parametrize("step", [4, 5, 6, 7])
def test_days_apart_of_a_market(step):
    # Windows of five steps that end on some days only do not overlap, and know their rows.
    market = make_market(4, 70, late_listings=0, random_state=0)
    windows = RollingWindow(5, fill_method="ffill+bfill").fit_transform(market.ohlcv[["close"]])
    model = fit(LargestRegressor, windows, market.ohlcv["close"])
    stock = windows.instruments[0]
    days = windows.days.unique().sort_values()[::step]
    apart = windows[windows.days.isin(days)]
    display = from_estimator(model, apart, stock, ohlcv=market.ohlcv)
    weights = display.weights
    # A date gets the weight of lag 0 of its own window, and of lag 4 where windows share a row.
    got, usual = weights[0].copy(), np.full(len(weights), weights[0].mean())
    if step == 4:
        got.iloc[:-1] += weights[4].to_numpy()[1:]
        usual[:-1] += weights[4].iloc[1:].mean()
    expected = (got / usual).where(usual >= usual.max() / 2)
    assert_allclose(display.attention, expected, rtol=1e-5)


def test_dollars_are_no_formulas():
    days = pd.bdate_range("2024-01-01", periods=30)
    X = np.random.default_rng(0).normal(size=(30, 5, 1)).astype(np.float32)
    index = pd.MultiIndex.from_product([days, ["$a_b_c$"]], names=KEYS)
    model = fit(LargestRegressor, X, X[:, 0, 0])
    series = pd.Series(np.arange(30.0), days, name="$x_y_z$")
    display = from_estimator(model, windows_of(X, index), "$a_b_c$", ohlcv=series)
    display.figure_.canvas.draw()
    assert display.ax_[0].get_title().startswith(r"\$a_b_c\$: attention")
    assert display.ax_[0].get_ylabel() == r"\$x_y_z\$"
    named = from_estimator(model, windows_of(X, index), "$a_b_c$", ohlcv=series, name="A to C")
    assert named.ax_[0].get_title() == "A to C"


@pytest.fixture(scope="module")
def volatile():
    """A year of four stocks, and windows of the size of their returns."""
    market = make_market(4, 250, late_listings=0, random_state=3)
    returns = market.ohlcv["close"].groupby("instrument").pct_change().fillna(0.0)
    table = (100 * returns.abs()).to_frame("size")
    windows = RollingWindow(10, fill_method="ffill+bfill").fit_transform(table)
    return market, returns, windows


def test_a_model_that_looks_at_volatile_days_is_found_out(volatile):
    market, returns, windows = volatile
    model = fit(LargestRegressor, windows, returns)
    for stock in market.ohlcv.index.unique("instrument"):
        display = from_estimator(model, windows, stock, ohlcv=market.ohlcv)
        row = display.market.loc["volatility"]
        assert row["inside"] > 1.5 * row["outside"]
        assert row["p_value"] < 0.05
        high = display.attention > display.attention.quantile(0.9)
        days = display.attention.index[high]
        change = market.ohlcv["close"].xs(stock, level="instrument").pct_change().abs()
        assert_allclose(row["inside"], change[days].mean())
        assert_allclose(row["difference"], row["inside"] - row["outside"])


def test_a_model_that_looks_at_other_stocks_noise_is_not(volatile):
    market, returns, windows = volatile
    rng = np.random.default_rng(0)
    noise = pd.DataFrame({"size": rng.normal(size=len(returns))}, returns.index)
    windows = RollingWindow(10, fill_method="ffill+bfill").fit_transform(noise)
    model = fit(LargestRegressor, windows, returns)
    stocks = market.ohlcv.index.unique("instrument")
    tables = [from_estimator(model, windows, s, ohlcv=market.ohlcv).market for s in stocks]
    found = pd.concat(tables)["p_value"] <= 0.05
    # Twelve p-values: more than three at most 0.05 come by chance in one of 400 cases.
    assert found.sum() <= 3


SMALL = {
    "alstm": {"hidden_size": 4},
    "transformer": {"d_model": 8, "nhead": 2, "num_layers": 2, "dim_feedforward": 16},
    "sfm": {"hidden_size": 4, "freq_dim": 5, "output_dim": 3},
}


def pipeline(name, **params):
    model = make_model(name, max_epochs=1, random_state=0, **SMALL.get(name, {}), **params)
    return make_pipeline(Alpha360(length=6), RobustZScore(), model)


@pytest.mark.parametrize("name", SMALL)
def test_built_in_models(market, name):
    model = pipeline(name).fit(market.ohlcv, market.label)
    stock = market.ohlcv.index[0][1]
    display = from_estimator(model, market.ohlcv, stock, ohlcv=market.ohlcv)
    maps = attention_weights(model, market.ohlcv)
    own = market.ohlcv.index.get_level_values("instrument") == stock
    expected = {
        "alstm": lambda: maps.time.to_numpy()[own],
        # What the latest step reads, over layers and heads.
        "transformer": lambda: maps.layers.values[own][:, :, :, -1].mean(axis=(1, 2)),
        # What is left beside frequency 0.
        "sfm": lambda: 1 - maps.frequency.values[own][:, :, 0],
    }[name]()
    order = market.ohlcv.index[own].get_level_values("datetime").argsort()
    assert_allclose(display.weights, expected[order], atol=1e-5)
    assert display.attention.std() > 0
    assert_allclose(display.attention.mean(), 1, atol=0.05)
    assert list(display.market.index) == ["return", "volatility", "volume"]
    assert np.isfinite(display.market.to_numpy()).all()


def test_what_estimators_end_in(market):
    stock = market.ohlcv.index[0][1]
    plain = pipeline("alstm").fit(market.ohlcv, market.label)
    display = from_estimator(plain, market.ohlcv, stock, ohlcv=market.ohlcv)
    target = CrossSectionalTarget(pipeline("alstm")).fit(market.ohlcv, market.label)
    grid, splits = {"alstmregressor__lr": [0.001]}, DailyTimeSeriesSplit(2)
    search = GridSearchCV(pipeline("alstm"), grid, cv=splits, scoring=rank_ic_scorer)
    search.fit(market.ohlcv, market.label)
    found = from_estimator(search, market.ohlcv, stock, ohlcv=market.ohlcv)
    assert found.attention.index.equals(display.attention.index)
    scaled = from_estimator(target, market.ohlcv, stock, ohlcv=market.ohlcv)
    assert not np.allclose(scaled.attention, display.attention, equal_nan=True, atol=1e-9)
    # Rows and levels in any order, and prices of the stock alone.
    own = market.ohlcv.xs(stock, level="instrument")
    shuffled = market.ohlcv.swaplevel().sample(frac=1, random_state=0)
    again = from_estimator(plain, shuffled, stock, ohlcv=own)
    assert_allclose(again.attention, display.attention, atol=1e-6)
    assert_allclose(again.market, display.market, atol=1e-6)


def test_other_series(market):
    stock = market.ohlcv.index[0][1]
    model = pipeline("alstm").fit(market.ohlcv, market.label)
    days = market.ohlcv.index.unique("datetime").sort_values()
    rate = pd.Series(np.linspace(-3, 3, len(days)), days.tz_localize("UTC"), name="rate")
    display = from_estimator(model, market.ohlcv, stock, ohlcv=rate)
    assert list(display.market.index) == ["level", "change"]
    assert display.ax_[0].get_ylabel() == "rate"
    assert_allclose(display.market.loc["change", ["inside", "outside"]], 6 / (len(days) - 1))
    inside = display.attention > display.attention.quantile(0.9)
    level = rate.tz_localize(None)[display.attention.index[inside]]
    assert_allclose(display.market.loc["level", "inside"], level.mean())
    assert_allclose(display.series, rate[: len(display.series)])


# The picture --------------------------------------------------------------------------------------


def test_picture(market, pyplot):
    stock = market.ohlcv.index[0][1]
    model = pipeline("alstm").fit(market.ohlcv, market.label)
    display = from_estimator(model, market.ohlcv, stock, ohlcv=market.ohlcv, quantile=0.8)
    above, below = display.ax_
    assert display.figure_ is above.figure
    assert_allclose(above.get_lines()[0].get_ydata(), display.series.dropna())
    line, usual = below.get_lines()
    assert_allclose(line.get_ydata(), display.attention)
    assert set(usual.get_ydata()) == {1}
    assert above.get_xlim() == below.get_xlim()
    for ax in display.ax_:
        assert len(ax.patches) == len(display.spans) > 3
    text = below.get_title().replace("\N{NO-BREAK SPACE}", " ")
    row = display.market.loc["volatility"]
    assert f"volatility {100 * row['inside']:.2f} %, else {100 * row['outside']:.2f} %" in text
    assert f"(p = {row['p_value']:.2g})" in text
    figure, axes = pyplot.subplots(2, 2, layout="constrained")
    assert display.plot(ax=axes[1, 0]) is display
    assert display.figure_ is figure
    assert not axes[1, 0].axison
    assert len(figure.axes) == 6


def texts_of(figure):
    """Titles and labels with their extents; ticks beyond the axes are not drawn."""
    figure.canvas.draw()
    texts = []
    for ax in figure.axes[1:]:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label, ax.xaxis.offsetText]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks()
            texts += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
    shown = [text for text in texts if text.get_visible() and text.get_text()]
    return [(text.get_text(), text.get_window_extent()) for text in shown]


@pytest.mark.parametrize("size", [(5, 4), (8, 5), (12, 6)])
@pytest.mark.parametrize("n_days", [60, 2500])
def test_nothing_overlaps_or_is_cut(pyplot, size, n_days):
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2014-01-01", periods=n_days)
    X = rng.normal(size=(n_days, 8, 1)).astype(np.float32)
    model = fit(LargestRegressor, X, X[:, 0, 0])
    close = 12_345 * np.exp(np.cumsum(0.01 * rng.normal(size=n_days)))
    ohlcv = pd.DataFrame({"close": close, "volume": 1 + rng.integers(9, size=n_days)}, days)
    figure, ax = pyplot.subplots(figsize=size, layout="constrained")
    name = "A_LONG_NAME.$X$"
    from_estimator(
        model, X, name, ohlcv=ohlcv, days=days, instruments=np.repeat(name, n_days), ax=ax
    )
    texts = texts_of(figure)
    assert len(texts) > 10
    whole = figure.bbox
    for text, box in texts:
        assert min(box.x0 - whole.x0, whole.x1 - box.x1) >= 0, text
        assert min(box.y0 - whole.y0, whole.y1 - box.y1) >= 0, text
    for (one, a), (two, b) in combinations(texts, 2):
        assert not a.padded(-1).overlaps(b.padded(-1)), (one, two)
    for ax in figure.axes[1:]:
        assert ax.bbox.height > 40


# Errors -------------------------------------------------------------------------------------------


def arguments(panel, cls=LargestRegressor, **changed):
    table, windows, y = panel
    model = fit(cls, windows, y)
    valid = {"estimator": model, "X": windows, "instrument": "A", "ohlcv": prices(table.index)}
    return {**valid, **{k: v(valid[k]) if callable(v) else v for k, v in changed.items()}}


def of_stock(table, stock="A"):
    return table[table.index.get_level_values("instrument") == stock]


WRONG = {
    "unknown instrument": (
        {"instrument": "AA"},
        r"'AA' is not among the instruments of X. Near it: A\.",
    ),
    "another kind": ({"instrument": 3}, r"3 is not among the instruments of X. They are \['"),
    "a list": ({"instrument": ["A"]}, r"\['A'\] is not among"),
    "not in ohlcv": (
        {"ohlcv": lambda t: of_stock(t, "B")},
        "'A' is not among the instruments of ohlcv",
    ),
    "no close": (
        {"ohlcv": lambda t: t.rename(columns={"close": "Close"})},
        r"column 'close'.*rename\(columns=str.lower\)",
    ),
    "close twice": (
        {"ohlcv": lambda t: pd.concat([t, t[["close"]]], axis=1)},
        "more than one column 'close'",
    ),
    "negative": ({"ohlcv": lambda t: -t}, "'close' of ohlcv must not be negative"),
    "infinite": ({"ohlcv": lambda t: t + np.inf}, "'close' of ohlcv contains infinity, first on"),
    "text": ({"ohlcv": lambda t: t.assign(close="a")}, "'close' of ohlcv must hold one number"),
    "other dates": (
        {"ohlcv": lambda t: of_stock(t).droplevel("instrument").shift(900, freq="D")["close"]},
        "no day of X of the instrument 'A': X has 2023-.* ohlcv has 2025",
    ),
    "no table": ({"ohlcv": None}, "ohlcv must be a DataFrame"),
    "rows by number": ({"ohlcv": lambda t: t.reset_index()}, "index of ohlcv must be a MultiIndex"),
    "day twice": (
        {"ohlcv": lambda t: pd.concat([of_stock(t)] * 2).droplevel("instrument")},
        "ohlcv has more than one row of 2023",
    ),
    "no index": ({"X": np.asarray}, "days and instruments of the rows.*days= and instruments="),
    "only days": (
        {"X": np.asarray, "days": pd.bdate_range("2024-01-01", periods=220)},
        "The instruments of the rows of X are not known.*pass instruments=",
    ),
    "one day": ({"X": lambda x: x[:2]}, "needs two days"),
    "twice": (
        {"X": lambda x: x[np.r_[0:220, 0:220]]},
        "days of X hold 2023-.* more than once for the instrument 'A'",
    ),
    "quantile": ({"quantile": 1.0}, "quantile must be a float above 0 and below 1; got 1.0"),
    "quantile 0": ({"quantile": 0}, "quantile must be"),
    "map": ({"map": "attention"}, r"got 'attention', it has the maps 'time' \(lag\)"),
    "no map": ({"map": 3}, "map must be a str or None"),
    "ax": ({"ax": "here"}, "ax must be matplotlib Axes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(panel, case, pyplot):
    changed, message = WRONG[case]
    with pytest.raises((ValueError, TypeError), match=message):
        from_estimator(**arguments(panel, **changed))
    assert pyplot.get_fignums() == []


def test_wrong_models(panel, pyplot):
    table, windows, y = panel
    rest = {"X": windows, "instrument": "A", "ohlcv": prices(table.index)}
    with pytest.raises(NotFittedError):
        from_estimator(LargestRegressor(), **rest)
    with pytest.raises(TypeError, match=r"AttentionTimelineDisplay needs as estimator.*Ridge"):
        from_estimator(Ridge().fit([[0.0]], [0.0]), **rest)
    gru = make_model("gru", hidden_size=2, max_epochs=1, early_stopping=False)
    with pytest.raises(ValueError, match=r"GRURegressor has no attention.*alstm"):
        from_estimator(gru.fit(windows, y), **rest)
    sectors = pd.Series(["a", "a", "b"], list("ABC"))
    hist = make_model("hist", hidden_size=2, max_epochs=1, early_stopping=False, concepts=sectors)
    with pytest.raises(
        ValueError, match=r"axis 'lag'.*HISTRegressor has none: it has.*'hidden_concept' \(stock\)"
    ):
        from_estimator(hist.fit(windows, y), **rest)
    with pytest.raises(ValueError, match=r"several maps.*map=, of 'a', 'b'"):
        from_estimator(fit(PairRegressor, windows, y), **rest)
    with pytest.raises(ValueError, match=r"'peers'.*\('lag', 'stock'\).*every lag the same"):
        from_estimator(fit(LargestOfDayRegressor, windows, y), **rest, map="peers")
    single = RollingWindow(1).fit_transform(table)
    with pytest.raises(ValueError, match="two steps or more"):
        from_estimator(fit(LargestRegressor, single, y), **{**rest, "X": single})
    assert pyplot.get_fignums() == []


def test_displays_of_other_data(panel, pyplot):
    made = from_estimator(**arguments(panel))
    data = {k: getattr(made, k) for k in ("attention", "weights", "series", "spans", "market")}
    pyplot.close("all")
    wrong = {"attention": [1.0], "series": made.weights, "spans": {}, "market": made.spans}
    text = {"market": made.market.astype(str), "spans": made.spans.astype(str)}
    for name, value in [*wrong.items(), *text.items(), ("name", 3)]:
        with pytest.raises((TypeError, ValueError), match=f"^{name} must "):
            AttentionTimelineDisplay(**{**data, name: value}).plot()
    figure = pyplot.figure()
    with pytest.raises(ValueError, match="grid of subplots"):
        made.plot(ax=figure.add_axes((0, 0, 1, 1)))
    assert pyplot.get_fignums() == [figure.number]


def test_without_matplotlib():
    code = """
import sys
sys.modules["matplotlib"] = None
from skattn.inspection import AttentionTimelineDisplay
try:
    AttentionTimelineDisplay.from_estimator(None, None, "A", ohlcv=None)
except ImportError as error:
    assert 'pip install "skattn[plot]"' in str(error), error
else:
    raise AssertionError("drawn")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
