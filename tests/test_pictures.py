"""What holds for the pictures of all displays: odd names, styles, axes and input."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from helpers import KEYS, assert_texts_fit, small_alstm, small_hist, windows_of
from sklearn.model_selection import GridSearchCV

from skattn.inspection import (
    AttentionDisplay,
    AttentionMap,
    AttentionTimelineDisplay,
    FeatureImportanceDisplay,
    TrainingDisplay,
    attention_weights,
)
from skattn.metrics import SignalDisplay, rank_ic_scorer
from skattn.model_selection import PurgedDailyKFold
from skattn.models import ALSTMRegressor, TransformerRegressor
from skattn.utils import line_style, shorten

NAMES = ["$^$", "_x", "$A_B$", "C"]
N_STEPS = 4


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.fixture(scope="module")
def data():
    """Windows of stocks with names that matplotlib would read as formulas or leave out."""
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2024-01-01", periods=50)
    index = pd.MultiIndex.from_product([days, NAMES], names=KEYS)
    X = rng.normal(size=(len(index), N_STEPS, 2)).astype(np.float32)
    y = pd.Series(X[:, -1, 0] + rng.normal(size=len(index)), index, name="label")
    y.attrs.update(horizon=1, reach=2)
    return windows_of(X, index), y


@pytest.fixture(scope="module")
def model(data):
    return small_alstm(max_epochs=2, early_stopping=True).fit(*data)


@pytest.fixture(scope="module")
def hist(data):
    return small_hist(concepts={name: name for name in NAMES}, max_epochs=1).fit(*data)


def displays(model, data) -> dict[str, Callable]:
    """Draw the same fit in all displays."""
    X, y = data
    close = pd.Series(np.arange(1.0, len(y) + 1), y.index, name="$^$")
    return {
        "attention": lambda e=model, ax=None: AttentionDisplay.from_estimator(e, X, ax=ax),
        "timeline": lambda e=model, ax=None: AttentionTimelineDisplay.from_estimator(
            e, X, "$^$", ohlcv=close, ax=ax
        ),
        "importance": lambda e=model, ax=None: FeatureImportanceDisplay.from_estimator(
            e, X, y, groups=2, random_state=0, max_samples=100, ax=ax
        ),
        "training": lambda e=model, ax=None: TrainingDisplay.from_estimator(e, ax=ax),
        "signal": lambda e=model, ax=None: SignalDisplay.from_estimator(
            e, X, y, n_quantiles=2, ax=ax
        ),
        "folds": lambda e=model, ax=None: PurgedDailyKFold(3, purge=1).plot(X, y, ax=ax),
    }


ALL = ["attention", "timeline", "importance", "training", "signal", "folds"]


def literal(texts) -> list[str]:
    """The texts as they are drawn; raises where matplotlib reads a formula in them."""
    from matplotlib.cbook import is_math_text

    for text in texts:
        text.figure.canvas.draw()
        assert not is_math_text(text.get_text()), text.get_text()
    return [text.get_text().replace(r"\$", "$").strip() for text in texts]


@pytest.mark.parametrize("kind", ["concepts", "rows", "stocks", "graph"])
def test_attention_to_odd_names(hist, data, kind: str) -> None:
    by = {"sort": "stock"} if kind == "rows" else {}
    display = AttentionDisplay.from_estimator(hist, data[0], kind=kind, **by)
    ax = display.ax_[0]
    drawn = ax.texts if kind == "graph" else ax.get_yticklabels()
    assert {*NAMES} <= {*literal(drawn)}
    if kind in ("concepts", "stocks"):
        assert sorted(literal(ax.get_xticklabels())) == sorted(NAMES)


def test_groups_of_odd_names_are_in_the_legend(hist, data) -> None:
    groups = pd.Series(NAMES, NAMES, name="$^$")
    display = AttentionDisplay.from_estimator(hist, data[0], kind="graph", groups=groups)
    legend = display.ax_[0].get_legend()
    assert sorted(literal(legend.get_texts())) == sorted(NAMES)
    assert literal([legend.get_title()]) == ["$^$"]


def test_a_timeline_of_an_odd_name(model, data) -> None:
    display = displays(model, data)["timeline"]()
    assert literal([display.ax_[0].title])[0].startswith("$^$: attention of ALSTM")
    assert literal([display.ax_[0].yaxis.label]) == ["$^$"]


def test_importance_of_odd_names(model, data) -> None:
    groups = {"$^$": [("x0", 0)], "_a": [("x1", range(2))]}
    display = FeatureImportanceDisplay.from_estimator(
        model, *data, groups=groups, random_state=0, max_samples=100
    )
    bars, quarters = display.ax_
    assert sorted(name.rstrip(" *") for name in literal(bars.get_yticklabels())) == ["$^$", "_a"]
    assert sorted(literal(quarters.get_legend().get_texts())) == ["$^$", "_a"]


def test_fits_of_odd_names(model) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display = TrainingDisplay.from_estimators({"_a": model, "$^$": model}, name="$^$")
    legend = next(ax.get_legend() for ax in display.figure_.axes if ax.get_legend() is not None)
    assert literal(legend.get_texts())[:2] == ["_a", "$^$"]


def test_names_are_cut_in_the_middle() -> None:
    names = [f"a long name that ends in {number}" for number in range(100)]
    assert len({shorten(name, 18) for name in names}) == 100
    assert all(len(shorten(name, 18)) == 18 for name in names)
    assert shorten("short", 5) == "short"
    assert shorten("longer", 5) == "lo…er"


@pytest.mark.parametrize("name", ALL)
def test_lines_stand_out_from_a_dark_background(model, data, pyplot, name: str) -> None:
    from matplotlib.colors import to_rgb

    def lightness(color) -> float:
        return float(np.dot(to_rgb(color), (0.3, 0.59, 0.11)))

    with pyplot.style.context("dark_background"):
        display = displays(model, data)[name]()
        lines = [line for ax in display.figure_.axes for line in ax.get_lines()]
        assert all(lightness(line.get_color()) > 0.2 for line in lines)
    assert line_style(2)["color"] == "#000000"


@pytest.mark.parametrize("name", ["attention", "importance", "signal"])
def test_no_grid_over_heat_maps(model, data, pyplot, name: str) -> None:
    with pyplot.style.context("ggplot"):
        figure = displays(model, data)[name]().figure_
    maps = [ax for ax in figure.axes if ax.get_images()]
    assert maps
    assert not any(line.get_visible() for ax in maps for line in ax.get_xgridlines())


@pytest.mark.parametrize("name", ALL)
def test_axes_that_were_removed(model, data, pyplot, name: str) -> None:
    figure, ax = pyplot.subplots()
    ax.remove()
    with pytest.raises(ValueError, match=r"ax must be axes of a figure; got .* removed"):
        displays(model, data)[name](ax=ax)
    assert figure.axes == []


@pytest.mark.parametrize("name", ["importance", "signal"])
@pytest.mark.parametrize("layout", [None, "tight"])
def test_plots_keep_apart_without_a_layout(model, data, pyplot, name: str, layout) -> None:
    _, ax = pyplot.subplots(figsize=(9, 11), layout=layout)
    figure = displays(model, data)[name](ax=ax).figure_
    figure.canvas.draw()
    titles = [ax.title for ax in figure.axes if ax.get_title()]
    others = [ax.xaxis.label for ax in figure.axes] + [
        text for ax in figure.axes if ax.get_legend() for text in ax.get_legend().get_texts()
    ]
    for title in titles:
        box = title.get_window_extent()
        assert not any(box.overlaps(text.get_window_extent()) for text in others if text.get_text())


@pytest.mark.parametrize("name", ALL[:5])
def test_a_class_is_no_estimator(model, data, name: str) -> None:
    with pytest.raises(TypeError, match=r"estimator.*<class '.*ALSTMRegressor'>"):
        displays(model, data)[name](ALSTMRegressor)


@pytest.mark.parametrize("name", ALL[:4])
def test_a_search_without_a_best_estimator(model, data, name: str) -> None:
    search = GridSearchCV(
        small_alstm(max_epochs=1),
        {"lr": [0.01]},
        cv=PurgedDailyKFold(2, purge=1),
        scoring=rank_ic_scorer,
        refit=False,
    )
    search.fit(*data)
    with pytest.raises(ValueError, match=r"GridSearchCV was fitted with refit=False"):
        displays(search, data)[name]()


def test_lengths_and_groups(model, data) -> None:
    X, _ = data
    with pytest.raises(ValueError, match=r"X, days must have.*; they have 200, 1\."):
        AttentionDisplay.from_estimator(model, X, days=["2024-01-02"])
    with pytest.raises(TypeError, match=r"instruments must hold one value a row.*int"):
        AttentionDisplay.from_estimator(model, X, instruments=5)
    with pytest.raises(TypeError, match=r"groups must be a Series or mapping.*got 5"):
        AttentionDisplay.from_estimator(model, X, groups=5)


def test_a_kind_chooses_the_map(hist, data) -> None:
    X, y = data
    names = {
        kind: AttentionDisplay.from_estimator(hist, X, kind=kind).name
        for kind in ("concepts", "stocks", "graph")
    }
    assert names == {
        "concepts": "HISTRegressor: stock_to_concept",
        "stocks": "HISTRegressor: hidden_concept",
        "graph": "HISTRegressor: hidden_concept",
    }
    bare = small_hist(concepts=None, max_epochs=1).fit(X, y)
    assert AttentionDisplay.from_estimator(bare, X, kind="graph").groups_.size == len(NAMES)
    with pytest.raises(ValueError, match=r"HISTRegressor has no weights to draw as kind='rows'"):
        AttentionDisplay.from_estimator(bare, X, kind="rows")


def weights_of_a_day(values: np.ndarray) -> AttentionMap:
    names = [f"S{i}" for i in range(len(values))]
    index = pd.MultiIndex.from_product([pd.to_datetime(["2024-01-02"]), names], names=KEYS)
    return AttentionMap(values, ("row", "stock"), (index, pd.Index(names)))


def test_equal_weights_link_no_stocks() -> None:
    """Weights that differ by rounding would make a hub of whatever stock is largest."""
    rng = np.random.default_rng(0)
    equal = np.full((20, 20), 0.05) + 1e-6 * rng.random((20, 20))
    ax = AttentionDisplay(weights=weights_of_a_day(equal)).plot("graph").ax_[0]
    assert len(ax.get_lines()) == 0
    assert "no stock prefers another" in [text.get_text() for text in ax.texts]
    preferred = equal.copy()
    preferred[3, 7] = 0.2
    ax = AttentionDisplay(weights=weights_of_a_day(preferred)).plot("graph").ax_[0]
    (link,) = ax.get_lines()
    points = np.column_stack(link.get_data())[[0, -1]]
    angles = np.round(np.arctan2(*points.T[::-1]) / (2 * np.pi) * 20) % 20
    order = AttentionDisplay(weights=weights_of_a_day(preferred)).plot("graph").groups_.index
    assert [order[int(place)] for place in angles] == ["S3", "S7"]
    # All weight on one stock is a preference, too.
    one = np.zeros((20, 20))
    one[:, 4] = 1
    ax = AttentionDisplay(weights=weights_of_a_day(one)).plot("graph").ax_[0]
    assert len(ax.get_lines()) == 19


@pytest.mark.parametrize("width", [5, None])
def test_eight_layers_of_eight_heads(data, pyplot, width) -> None:
    big = TransformerRegressor(
        d_model=8, nhead=8, num_layers=8, dim_feedforward=4, max_epochs=1, random_state=0
    ).fit(*data)
    ax = width and pyplot.subplots(figsize=(width, width), layout="constrained")[1]
    display = AttentionDisplay.from_estimator(big, data[0], ax=ax)
    assert display.ax_.shape == (8, 8)
    assert_texts_fit(display.figure_)
    assert "query (lag)" in {line for a in display.ax_.flat for line in a.get_ylabel().split("\n")}


def test_few_days_left_out_of_many_years_can_be_seen() -> None:
    days = pd.bdate_range("2005-01-03", "2024-12-31")
    display = PurgedDailyKFold(4, purge=2).plot(days, groups=days)
    display.figure_.canvas.draw()
    pixels = np.asarray(display.figure_.canvas.buffer_rgba())[..., :3].astype(int)
    box = display.ax_.get_window_extent()
    height = len(pixels)
    inside = pixels[int(height - box.y1) : int(height - box.y0), int(box.x0) : int(box.x1)]
    red = (inside[..., 0] - inside[..., 2] > 80) & (inside[..., 1] < 90)
    # A line at both sides of the inner folds, and at one side of the others.
    assert red.any(axis=0).sum() >= 3
    assert red.sum() > 0.8 * 3 * box.height / 4


def test_quarters_without_standard_errors(model, data) -> None:
    X, y = data
    display = FeatureImportanceDisplay.from_estimator(
        model, X, y, groups="fields", random_state=0, max_samples=4, kind="time"
    )
    (ax,) = display.ax_
    assert display.quarters.xs("standard_error", axis=1, level=1).isna().all(axis=None)
    assert "too few days for standard errors" in ax.get_title().replace("\n", " ")
    full = FeatureImportanceDisplay.from_estimator(
        model, X, y, groups="fields", random_state=0, kind="time"
    )
    (ax,) = full.ax_
    bars = [container.lines[2][0].get_segments()[0] for container in ax.containers]
    top = full.daily.mean().nlargest(5).index
    for segment, group in zip(bars, top, strict=True):
        mean, error = full.quarters[group].iloc[0]
        np.testing.assert_allclose(segment[:, 1], [mean - 1.96 * error, mean + 1.96 * error])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2024Q1"]


def test_captum_is_missed_before_anything_is_computed() -> None:
    code = """
import sys
sys.modules["captum"] = sys.modules["captum.attr"] = None
from skattn.inspection import FeatureImportanceDisplay
try:
    FeatureImportanceDisplay.from_estimator(None, None, None, method="both")
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == (
        "FeatureImportanceDisplay needs captum, which is not installed: "
        'pip install "skattn[explain]".\n'
    )


def cell(table: pd.DataFrame, column: str, value) -> pd.DataFrame:
    return table.assign(**{column: value})


@pytest.mark.parametrize(
    ("name", "attribute", "change", "message"),
    [
        ("attention", "weights", lambda w: AttentionMap(w.values * 1j, w.axes, w.labels), "weight"),
        (
            "attention",
            "weights",
            lambda w: w.to_frame().astype(str) + "x",
            "weights must hold real",
        ),
        ("attention", "predicted", lambda p: p * np.nan, "predicted has 200 missing"),
        ("timeline", "spans", lambda t: cell(t, "start", pd.NaT), "spans must hold dates.*start"),
        ("timeline", "spans", lambda t: cell(t, "end", 1.0), "spans must hold dates.*end"),
        ("timeline", "market", lambda t: t.astype(str), "market must hold numbers.*inside.*str"),
        ("importance", "permutation", lambda t: cell(t, "importance", "a"), "importance.*got str"),
        ("importance", "permutation", lambda t: cell(t, "lags", "x"), "permutation.*lags.*got 'x'"),
        ("importance", "permutation", lambda t: cell(t, "p_holm", "a"), "permutation.*p_holm"),
        ("importance", "permutation", lambda t: cell(t, "standard_error", "a"), "standard_error"),
        ("importance", "daily", lambda t: t.astype(str), "daily must hold numbers.*got str"),
        ("importance", "daily", lambda t: t.iloc[:0], "daily must have days"),
        ("importance", "daily", lambda t: t + np.inf, "daily must have.*infinite"),
        ("importance", "attention", lambda t: t.astype(str), "attention must be a Series of"),
        ("training", "history", lambda t: cell(t, "lr", 1j), "history.*'lr'.*complex128"),
        ("training", "history", lambda t: cell(t, "fit", np.nan), "history must name the fit"),
        ("training", "history", lambda t: pd.concat([t, t[["lr"]]], axis=1), "history.*two 'lr'"),
        ("signal", "daily", lambda t: t.astype(str), "daily must hold numbers.*'ic'.*str"),
        ("signal", "quantile_returns", lambda t: t.astype(str), "quantile_returns.*1.*str"),
        ("signal", "quantile_returns", lambda t: t.iloc[:, :0], "quantile_returns must have col"),
        (
            "signal",
            "daily",
            lambda t: t.set_axis(pd.DatetimeIndex([pd.NaT] * len(t))),
            "daily must have .* a day in each row",
        ),
    ],
)
def test_tables_made_by_hand(model, data, pyplot, name, attribute, change, message) -> None:
    display = displays(model, data)[name]()
    setattr(display, attribute, change(getattr(display, attribute)))
    for cached in ("by_lag", "agreement", "quarters"):
        display.__dict__.pop(cached, None)
    pyplot.close("all")
    with pytest.raises((ValueError, TypeError), match=message):
        display.plot()
    assert not pyplot.get_fignums()


def test_negative_weights_are_seen(pyplot) -> None:
    values = np.array([[-0.5, 0.1], [-0.2, 0.3]])
    labels = (pd.RangeIndex(2), pd.RangeIndex(1, -1, -1))
    display = AttentionDisplay(weights=AttentionMap(values, ("row", "lag"), labels)).plot()
    (image,) = display.ax_[0].get_images()
    assert image.get_clim() == (-0.5, 0.3)
    assert display.ax_[1].get_ylim()[0] <= -0.425


@pytest.mark.parametrize("move", ["zone", "hour"])
def test_days_of_moments(hist, data, move: str) -> None:
    X, _ = data
    days = X.index.levels[0]
    moved = days.tz_localize("Asia/Shanghai") if move == "zone" else days + pd.Timedelta(hours=15)
    values = np.asarray(X)
    at = windows_of(values, X.index.set_levels(moved, level=0))
    for kind in ("stocks", "concepts", "rows"):
        plain, late = (
            AttentionDisplay.from_estimator(hist, each, kind=kind, day="2024-01-10")
            for each in (X, at)
        )
        np.testing.assert_array_equal(plain.table_, late.table_)
        assert plain.table_.index.equals(late.table_.index)
    # Stocks that trade at other hours of the day are of the same day.
    weights = attention_weights(hist, X).hidden_concept
    hours = pd.to_timedelta(np.arange(len(X)) % len(NAMES), unit="h")
    stamps = X.index.get_level_values(0) + hours
    index = pd.MultiIndex.from_arrays([stamps, X.index.get_level_values(1)], names=KEYS)
    late = AttentionDisplay(weights=weights.set_axis(index)).plot("stocks", against="uniform")
    plain = AttentionDisplay(weights=weights).plot("stocks", against="uniform")
    pd.testing.assert_frame_equal(plain.table_, late.table_)


@pytest.mark.parametrize("name", ALL)
def test_a_subfigure_is_the_figure(model, data, pyplot, name: str) -> None:
    subfigure = pyplot.figure(figsize=(14, 9), layout="constrained").subfigures(1, 2)[0]
    display = displays(model, data)[name](ax=subfigure.subplots())
    assert display.figure_ is subfigure
