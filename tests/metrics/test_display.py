"""SignalDisplay draws what signal_report and quantile_returns say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

from skattn.labels import make_label
from skattn.metrics import SignalDisplay, daily_ic, quantile_returns, signal_report

KINDS = ("cumulative_ic", "monthly_ic", "quantile_returns", "cumulative_returns")


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_cumulative_ic(signal, method: str) -> None:
    label, predicted = signal
    predicted = predicted.copy()
    # A day without a value adds nothing.
    day = label.index.get_level_values("datetime").unique().sort_values()[20]
    predicted[day] = 1.0
    display = SignalDisplay.from_predictions(label, predicted, kind="cumulative_ic", method=method)
    ic = daily_ic(label, predicted, method=method)
    assert np.isnan(ic[day])
    (line,) = display.ax_.get_lines()
    assert_allclose(line.get_ydata(), np.nancumsum(ic))
    assert f"{ic.mean():.4f}" in line.get_label()
    assert display.figure_ is display.ax_.figure
    assert {"pearson": "IC", "spearman": "rank IC"}[method] in display.ax_.get_title()


def test_months_are_where_they_belong() -> None:
    days = pd.to_datetime(["2022-11-01", "2022-11-02", "2024-02-01"]).repeat(3)
    display = SignalDisplay.from_predictions(
        [1, 2, 3] * 3, [1, 2, 3, 1, 3, 2, 3, 2, 1], days=days, kind="monthly_ic"
    )
    expected = np.full((3, 12), np.nan)
    expected[0, 10], expected[2, 1] = 0.75, -1.0
    (image,) = display.ax_.get_images()
    assert_allclose(image.get_array().filled(np.nan), expected)
    assert image.get_clim() == (-1, 1)
    assert [text.get_text() for text in display.ax_.texts] == ["0.75", "-1.00"]
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["2022", "2023", "2024"]


def test_quantile_returns(signal) -> None:
    display = SignalDisplay.from_predictions(*signal, kind="quantile_returns", n_quantiles=3)
    expected = quantile_returns(*signal, n_quantiles=3).mean()
    assert_allclose([bar.get_height() for bar in display.ax_.patches], expected)


@pytest.mark.parametrize(("horizon", "holding"), [(1, 1), (5, 5)])
def test_cumulative_returns(market, signal, horizon: int, holding: int) -> None:
    label = make_label(market.ohlcv, horizon=horizon, delay=1)
    display = SignalDisplay.from_predictions(label, signal[1], kind="cumulative_returns")
    expected = quantile_returns(label, signal[1]).fillna(0).cumsum() / holding
    lines = display.ax_.get_lines()
    assert [line.get_label() for line in lines] == ["1", "2", "3", "4", "5"]
    assert_allclose(np.column_stack([line.get_ydata() for line in lines]), expected)


def test_all_of_them(signal, pyplot) -> None:
    display = SignalDisplay.from_predictions(*signal, name="mine")
    assert display.ax_.shape == (2, 2)
    cumulative, monthly, bars, returns = display.ax_.flat
    assert "mine" in cumulative.get_legend_handles_labels()[1][0]
    assert len(monthly.get_images()) == 1
    assert len(bars.patches) == len(returns.get_lines()) == 5
    for ax in (monthly, bars, returns):
        assert ax.get_title().startswith("mine: ")
    figure, axes = pyplot.subplots(1, 4)
    again = display.plot(ax=axes)
    assert again is display
    assert display.figure_ is figure
    assert display.ax_.tolist() == axes.tolist()
    with pytest.raises(ValueError, match=r"kind='all'.*\b4\b.*\b3\b"):
        display.plot(ax=axes[:3])
    with pytest.raises(TypeError, match=r"\bax\b.*\b5\b"):
        display.plot(ax=[*axes[:3], 5])
    assert display.ax_.tolist() == axes.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_draws_where_it_is_told_to(signal, pyplot, kind: str) -> None:
    figure, (left, right) = pyplot.subplots(1, 2)
    display = SignalDisplay.from_predictions(*signal, kind=kind, ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    assert right.has_data()
    assert not left.has_data()


def test_two_signals_in_one_picture(signal) -> None:
    label, predicted = signal
    one = SignalDisplay.from_predictions(label, predicted, kind="cumulative_ic", name="one")
    SignalDisplay.from_predictions(label, -predicted, kind="cumulative_ic", name="two", ax=one.ax_)
    first, second = one.ax_.get_lines()
    assert_allclose(first.get_ydata(), -second.get_ydata())
    assert [text.get_text()[:3] for text in one.ax_.get_legend().get_texts()] == ["one", "two"]


def test_from_estimator(signal) -> None:
    label, predicted = signal
    X = predicted.to_frame("x")
    model = LinearRegression().fit(X[label.notna()], label.dropna())
    expected = signal_report(label, model.predict(X), by="day")["ic"]
    days = label.index.get_level_values("datetime")
    for arguments in (
        {"X": X, "y": label},
        {"X": X, "y": label.to_numpy()},
        {"X": X.to_numpy(), "y": label.to_numpy(), "days": days},
    ):
        plain = LinearRegression().fit(np.asarray(X)[label.notna()], label.dropna())
        estimator = model if isinstance(arguments["X"], pd.DataFrame) else plain
        display = SignalDisplay.from_estimator(estimator, **arguments, kind="cumulative_ic")
        assert_allclose(display.daily["ic"], expected)
        assert display.name == "LinearRegression"
    named = SignalDisplay.from_estimator(model, X, label, name="line", kind="quantile_returns")
    assert named.ax_.get_title().startswith("line: ")
    with pytest.raises(ValueError, match=r"\bX and y\b.*y\.reindex"):
        SignalDisplay.from_estimator(model, X, label[::-1])
    with pytest.raises(ValueError, match=r"\bX\b.*datetime.*\bdays\b"):
        SignalDisplay.from_estimator(plain, X.to_numpy(), label.to_numpy())
    with pytest.raises(TypeError, match=r"estimator.*predict.*None"):
        SignalDisplay.from_estimator(None, X, label)


def test_predict_gets_the_days(signal) -> None:
    label, predicted = signal
    days = label.index.get_level_values("datetime")

    class NeedsDays:
        def predict(self, X, *, days):
            assert days is given
            return X[:, 0]

    given = list(days)
    display = SignalDisplay.from_estimator(
        NeedsDays(), predicted.to_frame().to_numpy(), label.to_numpy(), days=given
    )
    assert display.daily.equals(signal_report(label, predicted, by="day"))


def test_no_day_has_a_value(recwarn) -> None:
    days = pd.to_datetime(["2024-01-02", "2024-01-03"])
    display = SignalDisplay.from_predictions([np.nan, 1.0], [1.0, 2.0], days=days)
    display.figure_.canvas.draw()
    assert not recwarn.list
    with pytest.raises(ValueError, match=r"\bno row\b"):
        SignalDisplay.from_predictions([], [], days=days[:0])


def test_bad_parameters(signal) -> None:
    display = SignalDisplay.from_predictions(*signal, kind="quantile_returns")
    with pytest.raises(ValueError, match=r"kind.*cumulative_ic.*'pie'"):
        display.plot("pie")
    with pytest.raises(ValueError, match=r"method.*'kendall'"):
        display.plot("quantile_returns", method="kendall")
    with pytest.raises(ValueError, match=r"method.*\['pearson'\]"):
        display.plot(method=["pearson"])
    with pytest.raises(TypeError, match=r"\bax\b.*\b5\b"):
        display.plot("monthly_ic", ax=5)
    with pytest.raises(ValueError, match=r"n_quantiles.*\b1\b"):
        SignalDisplay.from_predictions(*signal, n_quantiles=1)
    with pytest.raises(ValueError, match=r"y_pred.*\b1\b.*NaN"):
        SignalDisplay.from_predictions([1.0], [np.nan], days=["2024-01-02"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"daily": None}, r"daily.*'ic', 'rank_ic'.*NoneType"),
        ({"daily": "quantile_returns"}, r"daily.*\[1, 2, 3, 4, 5\]"),
        ({"quantile_returns": [1]}, r"quantile_returns.*\blist\b"),
        ({"holding_days": 0}, r"holding_days.*\b0\b"),
        ({"holding_days": True}, r"holding_days.*\bTrue\b"),
    ],
)
def test_made_of_something_else(signal, wrong: dict, message: str) -> None:
    frames = {
        "daily": signal_report(*signal, by="day"),
        "quantile_returns": quantile_returns(*signal),
    }
    SignalDisplay(**frames).plot("monthly_ic")
    wrong = {
        name: frames[value] if isinstance(value, str) else value for name, value in wrong.items()
    }
    with pytest.raises(ValueError, match=message):
        SignalDisplay(**{**frames, **wrong}).plot("monthly_ic")
    if "holding_days" not in wrong:
        frame = frames[name := next(iter(wrong))]
        with pytest.raises(ValueError, match=rf"{name}.*\bDataFrame\W*$"):
            SignalDisplay(**{**frames, name: frame.reset_index(drop=True)}).plot()


def test_without_matplotlib(signal, monkeypatch) -> None:
    display = SignalDisplay.from_predictions(*signal)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    advice = r'pip install "skattn\[plot\]"'
    with pytest.raises(ImportError, match=advice):
        display.plot()
    with pytest.raises(ImportError, match=advice):
        SignalDisplay.from_predictions(*signal)


def test_metrics_import_no_matplotlib() -> None:
    code = "import sys, skattn.metrics; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
