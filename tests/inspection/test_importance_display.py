"""Importance beside attention: the tables behind the picture, and the picture."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from helpers import small_alstm, small_hist
from inspection.conftest import make_planted
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge

from skattn import make_model
from skattn.inspection import (
    FeatureImportanceDisplay,
    attention_weights,
    integrated_gradients,
    permutation_importance,
)
from skattn.metrics import newey_west_error


@pytest.fixture(scope="module")
def fitted(planted):
    return small_alstm(hidden_size=8, num_layers=1, lr=0.02, max_epochs=6).fit(*planted)


def test_both_methods(fitted, planted):
    X, y = planted
    display = FeatureImportanceDisplay.from_estimator(
        fitted, X, y, method="both", groups=3, random_state=0, max_samples=400
    )
    result = permutation_importance(fitted, X, y, groups=3, random_state=0, max_samples=400)
    pd.testing.assert_frame_equal(display.permutation, result.table)
    gradients = integrated_gradients(fitted, X, max_samples=400).importance
    assert display.gradients["importance"].idxmax() == "x1 2"
    assert_allclose(display.gradients.loc["x1 2", "importance"], gradients.loc["x1", 2])
    assert_allclose(display.gradients["importance"].sum(), gradients.to_numpy().sum())
    # Attention and importance by lag are shares over the share of lags.
    weights = attention_weights(fitted, X).time.mean()
    assert_allclose(display.attention, weights, rtol=1e-4)
    by_lag = display.by_lag
    assert by_lag.index.tolist() == ["3-5", "2", "0-1"]
    assert_allclose(by_lag.loc["3-5", "attention"], weights[[5, 4, 3]].sum() * 6 / 3, rtol=1e-4)
    per_lag = by_lag["integrated_gradients"] * [3, 1, 2]
    assert_allclose(per_lag.sum(), 6)
    # Heat maps, the profile, the quarters.
    permutation, gradient, profile, quarters = display.ax_
    (image,) = permutation.get_images()
    expected = result.table["importance"].to_numpy().reshape(3, 3)[:, ::-1]
    assert_allclose(image.get_array(), expected)
    assert [t.get_text() for t in permutation.get_xticklabels()] == ["3-5", "2", "0-1"]
    assert [t.get_text() for t in permutation.get_yticklabels()] == ["x0", "x1", "x2"]
    stars = [t.get_position() for t in permutation.texts]
    assert stars == [
        tuple(p[::-1])
        for p in np.argwhere((result.table["p_holm"] < 0.05).to_numpy().reshape(3, 3)[:, ::-1])
    ]
    assert (1, 1) in stars
    assert not gradient.texts
    assert_allclose(profile.get_lines()[0].get_ydata(), by_lag["attention"])
    assert "is not explanation" in profile.get_title()
    assert_allclose(quarters.get_lines()[0].get_ydata(), display.quarters["x1 2"]["mean"])


def make_table(importance, p) -> pd.DataFrame:
    runs = ["5", "4", "3", "2", "0-1"]
    index = pd.Index([f"a {run}" for run in runs], name="group")
    return pd.DataFrame({"field": "a", "lags": runs, "importance": importance, "p_holm": p}, index)


def test_agreement_and_where_both_disagree():
    table = make_table([0.1, 0.0, 0.05, -0.01, 0.0], [0.01, 0.5, 0.001, 0.9, 1.0])
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2024-01-01", periods=130)
    drops = 0.01 * rng.normal(size=(130, 5)) + table["importance"].to_numpy()
    daily = pd.DataFrame(drops, days, table.index)
    attention = pd.Series([0.05, 0.4, 0.3, 0.05, 0.1, 0.1], pd.RangeIndex(5, -1, -1))
    display = FeatureImportanceDisplay(
        permutation=table, daily=daily, attention=attention, overlap=0
    )
    by_lag = display.by_lag
    assert by_lag["disagrees"].tolist() == [
        "importance, no attention",
        "attention, no importance",
        "",
        "",
        "",
    ]
    per_lag = table["importance"] / [1, 1, 1, 1, 2]
    expected = spearmanr(per_lag, [0.05, 0.4, 0.3, 0.05, 0.1]).statistic
    assert_allclose(display.agreement["permutation"], expected)
    profile = display.plot("map").ax_[1]
    assert f"{expected:.2f}" in profile.get_title()
    assert [p.get_x() for p in profile.patches] == [0.5, -0.5]
    # All lags alike: nothing to correlate, nothing to disagree with.
    flat = FeatureImportanceDisplay(
        permutation=table, daily=daily, attention=attention * 0 + 1 / 6, overlap=0
    )
    assert np.isnan(flat.agreement["permutation"])
    assert (flat.by_lag["disagrees"] == "").all()
    assert flat.plot().ax_[1].get_title() == "Attention by lag is not explanation"


def test_days_that_were_not_scored_keep_their_place(fitted, planted):
    X, y = planted
    y = y.copy()
    y.attrs.update(horizon=3, reach=4)
    display = FeatureImportanceDisplay.from_estimator(
        fitted, X, y, groups="lags", random_state=0, max_samples=400
    )
    # A group is a run: both tables test the same series.
    result = permutation_importance(fitted, X, y, groups="lags", random_state=0, max_samples=400)
    assert result.table["p_holm"].notna().all()
    p_holm = result.table.set_index("lags")["p_holm"]
    assert_allclose(display.by_lag["p_holm"], p_holm[display.by_lag.index])
    # Quarters count the days alike.
    in_2024 = display.daily.index >= "2024"
    assert in_2024.sum() > result.daily.loc["2024":].shape[0]
    error = newey_west_error(display.daily["lag 2"][in_2024], lags=2)
    assert_allclose(display.quarters.loc["2024Q1", ("lag 2", "standard_error")], error)
    assert display.quarters.index.astype(str).tolist() == ["2023Q4", "2024Q1"]


def test_quarters_without_a_scored_day():
    table = make_table([0.1, 0.0, 0.05, -0.01, 0.0], 0.5)
    daily = pd.DataFrame(0.1, pd.bdate_range("2023-01-01", "2023-12-29"), table.index)
    daily.loc["2023-04":"2023-06"] = np.nan
    display = FeatureImportanceDisplay(permutation=table, daily=daily)
    assert display.quarters.index.astype(str).tolist() == ["2023Q1", "2023Q3", "2023Q4"]
    assert_allclose(display.quarters.xs("mean", axis=1, level=1), 0.1)
    empty = FeatureImportanceDisplay(permutation=table, daily=daily * np.nan)
    assert empty.quarters.empty
    empty.plot("time").figure_.canvas.draw()


def test_dollars_are_no_formulas(fitted, planted):
    X, y = planted
    name = "$x_y_z$"
    groups = {name: [("x0", 0)], "_b": [("x1", 0)]}
    for each in (groups, "lags"):
        display = FeatureImportanceDisplay.from_estimator(
            fitted, X, y, groups=each, random_state=0, max_samples=100
        )
        display.figure_.canvas.draw()
    # Fields as of qlib.
    table = make_table([0.1, 0.0, 0.05, -0.01, 0.0], 0.5).assign(field="$a_b_c, $d")
    ax = FeatureImportanceDisplay(permutation=table).plot().ax_[0]
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_yticklabels()] == [r"\$a_b_c, \$d"]


def test_wrong_arguments_are_found_before_the_permutation(fitted, planted, monkeypatch):
    X, y = planted
    monkeypatch.setattr("skattn.inspection._importance.display.permutation_importance", None)
    for params, error, message in (
        ({"ax": 3}, TypeError, "ax must be matplotlib Axes"),
        ({"method": "integrated_gradients", "kind": "time"}, ValueError, "kind='time' draws"),
        ({"method": "both", "n_steps": 0}, ValueError, "n_steps"),
        ({"method": "both", "baseline": "zero"}, ValueError, "baseline"),
        ({"groups": "columns"}, ValueError, "groups"),
    ):
        with pytest.raises(error, match=message):
            FeatureImportanceDisplay.from_estimator(fitted, X, y, **params)
    table = X[:, -1, :]
    with pytest.raises(TypeError, match="integrated_gradients needs as estimator a fitted skattn"):
        FeatureImportanceDisplay.from_estimator(Ridge().fit(table, y), table, y, method="both")
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match="captum"):
        FeatureImportanceDisplay.from_estimator(fitted, X, y, method="both")


def test_few_days_leave_importance_unknown():
    table = make_table([0.1, 0.0, 0.05, -0.01, 0.0], np.nan)
    daily = pd.DataFrame(0.1, pd.bdate_range("2024-01-01", periods=3), table.index)
    attention = pd.Series([0.05, 0.4, 0.3, 0.05, 0.1, 0.1], pd.RangeIndex(5, -1, -1))
    display = FeatureImportanceDisplay(
        permutation=table, daily=daily, attention=attention, overlap=4
    )
    assert display.by_lag["p_holm"].isna().all()
    assert (display.by_lag["disagrees"] == "").all()
    assert len(display.plot().ax_) == 3


@pytest.mark.parametrize("name", ["gru", "sfm", "hist"])
@pytest.mark.filterwarnings("ignore:.*belong to no concept:UserWarning")
def test_models_without_attention_over_lags(stock_days, name: str):
    X, y = stock_days
    small = {"gru": {"hidden_size": 4}, "sfm": {"hidden_size": 4, "freq_dim": 3}}
    model = small_hist() if name == "hist" else make_model(name, max_epochs=1, **small[name])
    display = FeatureImportanceDisplay.from_estimator(
        model.fit(X, y), X, y, random_state=0, kind="map"
    )
    assert display.attention is None
    assert display.agreement.empty
    assert len(display.ax_) == 1


def test_the_latest_query_of_a_transformer(planted):
    X, y = planted
    small = {"d_model": 8, "nhead": 2, "num_layers": 2, "dim_feedforward": 16}
    model = make_model("transformer", max_epochs=2, random_state=0, **small).fit(X, y)
    display = FeatureImportanceDisplay.from_estimator(model, X, y, random_state=0, max_samples=100)
    layers = attention_weights(model, X).layers
    expected = layers.values[:, :, :, -1].mean(axis=(0, 1, 2))
    assert_allclose(display.attention, expected, rtol=1e-4)
    assert display.attention.index.tolist() == [5, 4, 3, 2, 1, 0]


def test_tables_and_other_groups_are_bars(planted):
    X, y = planted
    table = pd.DataFrame(np.asarray(X)[:, -3], X.index, ["a", "b", "c"])
    display = FeatureImportanceDisplay.from_estimator(
        Ridge().fit(table, y), table, y, random_state=0
    )
    bars, _ = display.ax_
    assert bars.get_yticklabels()[0].get_text() == "b *"
    assert display.by_lag is None
    assert_allclose(bars.patches[0].get_width(), display.permutation["importance"].max())


def test_kinds_and_axes(fitted, planted, pyplot):
    X, y = planted
    figure, (left, right) = pyplot.subplots(1, 2, layout="constrained")
    display = FeatureImportanceDisplay.from_estimator(
        fitted, X, y, random_state=0, groups=3, max_samples=200, kind="time", ax=left
    )
    assert display.figure_ is figure
    assert len(display.ax_) == 1
    display.plot("map", ax=right)
    assert len(display.ax_) == 2
    assert pyplot.get_fignums() == [figure.number]
    alone = FeatureImportanceDisplay(gradients=display.permutation[["field", "lags", "importance"]])
    assert len(alone.plot().ax_) == 1
    with pytest.raises(ValueError, match="kind='time' draws permutation importance"):
        alone.plot("time")


@pytest.mark.parametrize("width", [5, 8, 12])
@pytest.mark.parametrize("kind", ["map", "time"])
def test_nothing_overlaps_or_is_cut(fitted, planted, pyplot, width: int, kind: str):
    X, y = planted
    display = FeatureImportanceDisplay.from_estimator(
        fitted, X, y, method="both", random_state=0, max_samples=400, kind="map"
    )
    figure, ax = pyplot.subplots(figsize=(width, 9 if kind == "map" else 4), layout="constrained")
    display.plot(kind, ax=ax)
    figure.canvas.draw()
    boxes = []
    for axes in figure.axes:
        if axes.axison or axes.get_legend():
            texts = [axes.title, axes.xaxis.label, axes.yaxis.label]
            for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
                low, high = sorted(limits)
                ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
                texts += [label for place, label in ticks if low <= place <= high]
            if legend := axes.get_legend():
                texts += legend.get_texts()
            boxes += [t.get_window_extent() for t in texts if t.get_text() and t.get_visible()]
    whole = figure.bbox
    for number, box in enumerate(boxes):
        assert whole.x0 - 1 <= box.x0 < box.x1 <= whole.x1 + 1, "cut"
        assert whole.y0 - 1 <= box.y0 < box.y1 <= whole.y1 + 1, "cut"
        assert not any(box.padded(-1).overlaps(other.padded(-1)) for other in boxes[:number])


def test_bad_input_leaves_no_figure(fitted, planted, pyplot):
    X, y = planted
    from_estimator = FeatureImportanceDisplay.from_estimator
    for argument, value in {
        "method": "shap",
        "kind": "pie",
        "scoring": "r2",
        "groups": "steps",
        "n_repeats": 0,
        "max_samples": 0,
    }.items():
        with pytest.raises(ValueError, match=f"{argument} must be"):
            from_estimator(fitted, X, y, **{argument: value})
    table = pd.DataFrame(np.asarray(X)[:, 0], X.index)
    ridge = Ridge().fit(table, y)
    with pytest.raises(TypeError, match=r"integrated_gradients needs.*Ridge"):
        from_estimator(ridge, table, y, method="both")
    with pytest.raises(TypeError, match="ax must be matplotlib Axes"):
        from_estimator(fitted, X, y, max_samples=100, ax="here")
    figure = pyplot.figure()
    ax = figure.add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match="axes of a grid of subplots"):
        from_estimator(fitted, X, y, max_samples=100, ax=ax)
    pyplot.close(figure)
    with pytest.raises(ValueError, match="permutation and gradients are both None"):
        FeatureImportanceDisplay().plot()
    with pytest.raises(
        ValueError, match="permutation must be a DataFrame with a row for each group"
    ):
        FeatureImportanceDisplay(permutation=pd.DataFrame({"a": [1]})).plot()
    assert pyplot.get_fignums() == []


def test_one_lag_and_few_days():
    X, y = make_planted(n_days=8, n_stocks=3, n_steps=4)
    small = {"hidden_size": 4, "num_layers": 1, "early_stopping": False}
    model = small_alstm(**small).fit(np.asarray(X)[:, -3:-2], y.to_numpy())
    asked = {"days": X.days, "instruments": X.instruments, "random_state": 0}
    display = FeatureImportanceDisplay.from_estimator(
        model, np.asarray(X)[:, -3:-2], y.to_numpy(), **asked
    )
    assert np.isnan(display.agreement["permutation"])
    assert display.quarters.index.astype(str).tolist() == ["2023Q4"]


@pytest.mark.parametrize("noise", [0.0, 1e-10, 0.05])
def test_shares_are_drawn_from_zero(noise):
    # Where lags are alike, there is no axis of rounding errors.
    table = make_table([0.1, 0.1, 0.1, 0.1, 0.2], 0.01)
    attention = pd.Series(1 / 6 + noise * np.array([1, -1, 1, -1, 1, -1]), index=range(5, -1, -1))
    display = FeatureImportanceDisplay(permutation=table, attention=attention)
    low, high = display.plot("map").ax_[-1].get_ylim()
    assert low == 0
    assert high > 1.1
