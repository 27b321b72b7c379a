"""SignalDisplay of several signals, and what all of its pictures share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal
from sklearn.linear_model import LinearRegression, Ridge

from skattn.datasets import make_market
from skattn.metrics import SignalDisplay, daily_ic, quantile_returns, signal_report

KINDS = ("cumulative_ic", "monthly_ic", "quantile_returns", "cumulative_returns")
NAMES = ("ALSTM", "ridge", "Transformer with 8 heads of size 64", "_hidden $x", "HIST", "SFM")


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def named(label: pd.Series, n_signals: int) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(1).normal(size=(n_signals, len(label)))
    skill = np.linspace(3, -3, n_signals)[:, None] * label.fillna(0).to_numpy()
    return dict(zip(NAMES, noise + skill, strict=False))


@pytest.fixture(scope="module")
def label() -> pd.Series:
    return make_market(n_stocks=6, n_days=45, random_state=0).label


def test_the_tables_behind_the_pictures(label) -> None:
    signals = named(label, 3)
    display = SignalDisplay.from_predictions(label, signals, n_quantiles=3)
    assert_frame_equal(display.daily, signal_report(label, signals, by="day"))
    assert_frame_equal(display.quantile_returns, quantile_returns(label, signals, n_quantiles=3))


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_a_cumulative_ic_each(label, method: str) -> None:
    signals = named(label, 3)
    display = SignalDisplay.from_predictions(label, signals, kind="cumulative_ic", method=method)
    lines = display.ax_.get_lines()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert len(lines) == len(texts) == 3
    for line, text, (name, predicted) in zip(lines, texts, signals.items(), strict=True):
        ic = daily_ic(label, predicted, method=method)
        assert_allclose(line.get_ydata(), np.nancumsum(ic))
        assert text.startswith(name[:10])
        assert f"{ic.mean():.4f}" in text
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 3


def test_a_row_a_signal_and_a_column_a_month(label) -> None:
    signals = named(label, 2)
    display = SignalDisplay.from_predictions(label, signals, kind="monthly_ic")
    expected = [
        (ic := daily_ic(label, predicted)).groupby(ic.index.to_period("M")).mean()
        for predicted in signals.values()
    ]
    (image,) = display.ax_.get_images()
    assert_allclose(image.get_array(), expected)
    low, high = image.get_clim()
    assert low == -high == pytest.approx(-np.abs(expected).max())
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["ALSTM", "ridge"]
    numbers = [float(text.get_text()) for text in display.ax_.texts]
    assert_allclose(numbers, np.ravel(expected), atol=0.005)


def test_bars_of_quantiles_stand_side_by_side(label) -> None:
    signals = named(label, 4)
    display = SignalDisplay.from_predictions(label, signals, kind="quantile_returns", n_quantiles=3)
    bars = display.ax_.patches
    assert len(bars) == 12
    for number, predicted in enumerate(signals.values()):
        means = quantile_returns(label, predicted, n_quantiles=3).mean()
        own = bars[3 * number : 3 * number + 3]
        assert_allclose([bar.get_height() for bar in own], means)
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars)
    assert all(left[1] <= right[0] + 1e-9 for left, right in pairwise(edges))
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[:2] == ["ALSTM", "ridge"]
    # In the legend an underscore does not hide a signal, and a dollar begins no formula.
    assert texts[3] == r" _hidden \$x"


def test_top_minus_bottom_each(label) -> None:
    label = label.copy()
    label.attrs = {"horizon": 5, "reach": 6}
    signals = named(label, 3)
    display = SignalDisplay.from_predictions(label, signals, kind="cumulative_returns")
    lines = display.ax_.get_lines()
    for line, predicted in zip(lines, signals.values(), strict=True):
        returns = quantile_returns(label, predicted)
        expected = (returns[5] - returns[1]).fillna(0).cumsum() / 5
        assert_allclose(line.get_ydata(), expected)
    assert display.ax_.get_title().replace("\n", " ").startswith("Cumulative label, top minus")


def test_a_mapping_of_one_signal_is_drawn_as_that_signal(label) -> None:
    (predicted,) = named(label, 1).values()
    one = SignalDisplay.from_predictions(label, {"ALSTM": predicted})
    bare = SignalDisplay.from_predictions(label, predicted, name="ALSTM")
    for left, right in zip(one.ax_.flat, bare.ax_.flat, strict=True):
        assert left.get_title() == right.get_title()
        assert left.get_legend_handles_labels()[1] == right.get_legend_handles_labels()[1]
        for first, second in zip(left.get_lines(), right.get_lines(), strict=True):
            assert_allclose(first.get_ydata(), second.get_ydata())


def test_several_estimators(label) -> None:
    noise = pd.DataFrame({"x": np.random.default_rng(0).normal(size=len(label))}, label.index)
    noise["z"] = label.fillna(0)
    known = label.notna()
    models = {
        "line": LinearRegression().fit(noise[known], label[known]),
        "ridge": Ridge(1e5).fit(noise[known], label[known]),
    }
    display = SignalDisplay.from_estimator(models, noise, label, kind="cumulative_ic")
    expected = signal_report(label, {k: m.predict(noise) for k, m in models.items()}, by="day")
    assert_frame_equal(display.daily, expected)
    assert display.name is None
    with pytest.raises(ValueError, match="estimator is an empty mapping"):
        SignalDisplay.from_estimator({}, noise, label)
    with pytest.raises(TypeError, match=r"predict; got 5"):
        SignalDisplay.from_estimator({"line": models["line"], "five": 5}, noise, label)


# Axes


def texts_of(ax) -> list:
    legend = ax.get_legend()
    ticks = []
    for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        places = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        ticks += [text for at, text in places if min(low, high) <= at <= max(low, high)]
    return [
        text
        for text in (
            *(ax.title, ax.xaxis.label, ax.yaxis.label, ax.xaxis.get_offset_text()),
            *ax.texts,
            *ticks,
            *(legend.get_texts() if legend else ()),
        )
        if text.get_visible() and text.get_text().strip()
    ]


@pytest.mark.parametrize("n_signals", [1, 2, 6])
@pytest.mark.parametrize("size", [(5, 10), (8, 7), (12, 8.5)])
@pytest.mark.parametrize("n_days", [21, 250, 3000])
def test_nothing_overlaps_or_is_cut(pyplot, n_signals: int, size, n_days: int) -> None:
    days = pd.bdate_range("2012-01-02", periods=n_days)
    index = pd.MultiIndex.from_product([days, list("ABC")], names=["datetime", "instrument"])
    returns = np.random.default_rng(0).normal(size=len(index)) / 50
    label = pd.Series(returns, index)
    figure, place = pyplot.subplots(figsize=size, layout="constrained")
    display = SignalDisplay.from_predictions(
        label, named(label, n_signals), n_quantiles=3, ax=place, method="spearman"
    )
    figure.canvas.draw()
    texts = [text for ax in display.ax_.flat for text in texts_of(ax)]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for number, (text, box) in enumerate(boxes):
        inside = box.x0 > -1 and box.y0 > -1
        inside &= box.x1 < figure.bbox.width + 1 and box.y1 < figure.bbox.height + 1
        assert inside, text
        for other, place in boxes[:number]:
            width = min(box.x1, place.x1) - max(box.x0, place.x0)
            height = min(box.y1, place.y1) - max(box.y0, place.y0)
            assert min(width, height) <= 1, (text, other)


def test_the_place_of_one_axes(label, pyplot) -> None:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(20, 8), layout="constrained")
    display = SignalDisplay.from_predictions(label, named(label, 2), ax=right)
    assert display.figure_ is figure
    assert display.ax_.shape == (2, 2)
    assert not right.axison
    assert not left.has_data()
    # Below each other in narrow axes.
    _, narrow = pyplot.subplots(figsize=(5, 10), layout="constrained")
    assert display.plot(ax=narrow).ax_.shape == (4, 1)
    with pytest.raises(ValueError, match="grid of subplots"):
        display.plot(ax=figure.add_axes((0, 0, 1, 1)))
    with pytest.raises(TypeError, match=r"\bax\b.*\b5\b"):
        display.plot(ax=5)


def test_no_figure_is_left_where_drawing_fails(label, pyplot, monkeypatch) -> None:
    display = SignalDisplay.from_predictions(label, named(label, 2))
    before = pyplot.get_fignums(), display.ax_
    monkeypatch.setattr("skattn.metrics._draw.date_axis", None)
    for kind in ("all", "cumulative_ic"):
        with pytest.raises(TypeError):
            display.plot(kind)
    assert pyplot.get_fignums() == before[0]
    assert display.ax_ is before[1]


def test_no_figure_is_made_of_bad_input(label, pyplot) -> None:
    for wrong in ({}, {"a": [1.0]}, {"a": label, "b": label * np.nan}):
        with pytest.raises(ValueError, match="y_pred"):
            SignalDisplay.from_predictions(label, wrong)
    assert not pyplot.get_fignums()


def test_more_signals_than_can_be_told_apart(label) -> None:
    many = {f"s{k}": np.arange(float(len(label))) for k in range(7)}
    message = r"up to 6 signals.*got 7.*signal_report"
    with pytest.raises(ValueError, match=message):
        SignalDisplay.from_predictions(label, many)
    with pytest.raises(ValueError, match=message):
        SignalDisplay.from_estimator(dict.fromkeys(many, LinearRegression()), label, label)
    tables = signal_report(label, many, by="day"), quantile_returns(label, many)
    with pytest.raises(ValueError, match=message):
        SignalDisplay(daily=tables[0], quantile_returns=tables[1]).plot()


def test_tables_of_other_signals(label) -> None:
    signals = named(label, 2)
    daily = signal_report(label, signals, by="day")
    returns = quantile_returns(label, signals)
    SignalDisplay(daily=daily, quantile_returns=returns).plot("monthly_ic")
    for wrong, message in (
        (returns.loc["ridge"], r"same signals.*\['ALSTM', 'ridge'\] and \[None\]"),
        (returns.loc[["ridge", "ALSTM"]], r"same order.*\['ridge', 'ALSTM'\]"),
        (returns.swaplevel(), r"quantile_returns must be a DataFrame by day"),
    ):
        with pytest.raises(ValueError, match=message):
            SignalDisplay(daily=daily, quantile_returns=wrong).plot("monthly_ic")
    numbers = {"y_pred": 0, "more": 1}
    with pytest.raises(ValueError, match=r"names \(str\).*\[0, 1\]"):
        SignalDisplay(
            daily=daily.rename(index=dict(zip(signals, numbers.values(), strict=True)), level=0),
            quantile_returns=returns,
        ).plot()


def test_where_no_day_has_a_value(label) -> None:
    """Two stocks do not make five quantiles."""
    few = label[label.index.isin(label.index.unique("instrument")[:2], level="instrument")]
    display = SignalDisplay.from_predictions(few, named(few, 2))
    notes = [[text.get_text() for text in ax.texts] for ax in display.ax_.flat]
    assert notes[2] == notes[3] == ["no day has stocks in\neach of 5 quantiles"]
    assert not any(line.get_visible() for line in display.ax_.flat[3].get_lines())
    assert "no day has a value" not in notes[0] + notes[1]


def test_many_quantiles_have_a_short_legend(label) -> None:
    many = make_market(n_stocks=60, n_days=25, random_state=0).label
    display = SignalDisplay.from_predictions(
        many, named(many, 1)["ALSTM"], n_quantiles=30, kind="cumulative_returns"
    )
    assert len(display.ax_.get_lines()) == 30
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert (texts[0], texts[-1], len(texts)) == ("1", "30", 5)


def test_heat_maps_can_be_read_in_grey(label) -> None:
    (predicted,) = named(label, 1).values()
    display = SignalDisplay.from_predictions(label, predicted, kind="monthly_ic")
    (image,) = display.ax_.get_images()
    red, green, blue = image.cmap(np.linspace(0, 1, 11))[:, :3].T
    assert (np.diff(0.299 * red + 0.587 * green + 0.114 * blue) > 0).all()
