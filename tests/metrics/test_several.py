"""Reports of several signals: each has the report of its own, and differences are paired."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal, assert_series_equal

from skattn.labels import make_label
from skattn.metrics import daily_ic, quantile_returns, signal_report

DIFFERENCES = ["ic_diff", "ic_diff_t", "rank_ic_diff", "rank_ic_diff_t"]


@pytest.fixture
def signals(signal) -> dict[str, pd.Series]:
    """Signals of which one is constant on a day, and one on two other days."""
    label, good = signal
    days = label.index.get_level_values("datetime").unique().sort_values()
    noise = pd.Series(np.random.default_rng(7).normal(size=len(label)), label.index)
    good = good.copy()
    good[days[20]] = 1.0
    noise[days[30]] = noise[days[31]] = 0.0
    return {"good": good, "noise": noise, "inverse": -good}


def views(label: pd.Series) -> dict[str, object]:
    return {"none": None, "month": "month", "year": "year", "array": np.arange(len(label)) % 2}


@pytest.mark.parametrize("view", ["none", "month", "year", "array"])
def test_each_signal_has_the_report_of_its_own(signal, signals, view: str) -> None:
    label, by = signal[0], views(signal[0])[view]
    report = signal_report(label, signals, by=by, lags=2)
    assert list(report.index.unique("signal")) == list(signals)
    for name, predicted in signals.items():
        alone = signal_report(label, predicted, by=by, lags=2)
        found = report.loc[name]
        if by is None:
            assert_series_equal(
                found.drop(DIFFERENCES),
                alone.drop(DIFFERENCES),
                check_exact=True,
                check_names=False,
            )
            assert alone[DIFFERENCES].isna().all()
        else:
            assert_frame_equal(
                found.drop(columns=DIFFERENCES), alone.drop(columns=DIFFERENCES), check_exact=True
            )
            assert alone[DIFFERENCES].isna().all(axis=None)
    assert report.loc["good", DIFFERENCES].isna().all(axis=None)
    assert report.loc["noise", DIFFERENCES].notna().any(axis=None)


def test_one_schema_whatever_the_view(signal, signals) -> None:
    label, predicted = signal
    columns = list(signal_report(label, predicted).index)
    assert columns[-4:] == DIFFERENCES
    one = {"good": signals["good"]}
    for view, by in views(label).items():
        for given_signals in (predicted, one, signals):
            report = signal_report(label, given_signals, by=by, lags=1)
            several = isinstance(given_signals, dict)
            if isinstance(report, pd.Series):
                assert (view, several) == ("none", False)
                assert list(report.index) == columns
                assert report.dtype == float
                continue
            assert list(report.columns) == columns
            assert set(report.dtypes) == {np.dtype(float)}
            group = {"none": [], "array": ["group"]}.get(view, [view])
            assert list(report.index.names) == ["signal"] * several + group
    daily = signal_report(label, signals, by="day")
    alone = signal_report(label, predicted, by="day")
    assert_series_equal(daily.dtypes, alone.dtypes)
    assert daily.index.names == ["signal", "datetime"]


def test_tables_by_day_of_several(signal, signals) -> None:
    label = signal[0]
    daily = signal_report(label, signals, by="day")
    returns = quantile_returns(label, signals, n_quantiles=3)
    assert returns.index.names == ["signal", "datetime"]
    for name, predicted in signals.items():
        assert_frame_equal(
            daily.loc[name], signal_report(label, predicted, by="day"), check_freq=False
        )
        expected = quantile_returns(label, predicted, n_quantiles=3)
        assert_frame_equal(returns.loc[name], expected, check_freq=False)


@pytest.mark.parametrize("lags", [0, 1, 5, 30])
@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_paired_t_is_that_of_statsmodels(signal, lags: int, method: str) -> None:
    models = pytest.importorskip("statsmodels.api")
    label, good = signal
    noise = np.random.default_rng(3).normal(size=len(label))
    other, first = (daily_ic(label, p, method=method).dropna() for p in (noise, good))
    difference = other - first
    assert len(difference) > 100
    options = {"maxlags": lags, "use_correction": False}
    ols = models.OLS(difference, np.ones(len(difference)))
    expected = ols.fit(cov_type="HAC", cov_kwds=options)
    report = signal_report(label, {"good": good, "noise": noise}, lags=lags).loc["noise"]
    name = {"pearson": "ic", "spearman": "rank_ic"}[method]
    assert report[f"{name}_diff"] == pytest.approx(expected.params.iloc[0], rel=1e-10)
    assert report[f"{name}_diff_t"] == pytest.approx(expected.tvalues.iloc[0], rel=1e-10)


def test_differences_are_of_the_days_that_both_have(signal, signals) -> None:
    label = signal[0]
    report = signal_report(label, signals, lags=0)
    assert report["days"].tolist() == [157, 156, 157]
    difference = (daily_ic(label, signals["noise"]) - daily_ic(label, signals["good"])).dropna()
    assert len(difference) == 155
    assert report.loc["noise", "ic_diff"] == pytest.approx(difference.mean())
    t = difference.mean() / difference.std(ddof=0) * np.sqrt(len(difference))
    assert report.loc["noise", "ic_diff_t"] == pytest.approx(t)
    assert report.loc["inverse", "ic_diff"] == pytest.approx(-2 * report.loc["good", "ic"])
    assert report.loc["inverse", "ic_diff_t"] == pytest.approx(-report.loc["good", "ic_t"])


def test_lags_of_differences_follow_the_same_rule(market) -> None:
    label = make_label(market.ohlcv, horizon=5, delay=1)
    rng = np.random.default_rng(0)
    two = {"one": rng.normal(size=len(label)), "two": rng.normal(size=len(label))}
    assert_frame_equal(signal_report(label, two), signal_report(label, two, lags=4))
    label.attrs = {}
    with pytest.warns(UserWarning, match=r'lags="auto"') as caught:
        unknown = signal_report(label, two)
    assert len(caught) == 1
    assert_frame_equal(unknown, signal_report(label, two, lags=4))


@settings(max_examples=20, deadline=None)
@given(
    scale=st.sampled_from([0.1, 3.0, 1e6]),
    shift=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 9),
)
def test_the_same_ranking_in_another_unit_is_no_difference(scale, shift, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, predicted = rng.normal(size=(2, 200))
    days = pd.bdate_range("2024-01-01", periods=20).repeat(10)
    two = {"one": predicted, "two": scale * predicted + shift}
    other = signal_report(label, two, days=days, lags=0).loc["two"]
    assert other[["ic_diff", "rank_ic_diff"]].tolist() == [0, 0]
    assert other[["ic_diff_t", "rank_ic_diff_t"]].isna().all()


def test_the_t_value_of_noise_is_as_often_large_as_it_says() -> None:
    """Of two signals without skill, one in twenty differences is beyond 1.96."""
    days = pd.bdate_range("2024-01-01", periods=60).repeat(8)
    label, *noise = np.random.default_rng(0).normal(size=(201, len(days)))
    named = {f"n{k}": values for k, values in enumerate(noise)}
    t = signal_report(label, named, days=days, lags=0)["ic_diff_t"].dropna()
    assert len(t) == 199
    # All differences share the first signal, so they are not independent of each other.
    assert (t.abs() > 1.96).mean() < 0.15
    skilled = {"noise": noise[0], "skill": label + noise[1]}
    assert signal_report(label, skilled, days=days, lags=0).loc["skill", "ic_diff_t"] > 5


def test_containers_of_several_signals(signal, signals) -> None:
    label = signal[0]
    expected = signal_report(label, signals)
    frame = pd.DataFrame(signals)
    for same in (frame, pl.DataFrame(frame.reset_index(drop=True)), frame.to_dict("series")):
        assert_frame_equal(signal_report(label, same), expected)
    # The days, and the order of rows, may come from any of the signals.
    mixed = {name: values.to_numpy() for name, values in signals.items()}
    mixed["noise"] = signals["noise"]
    for by in (None, "day"):
        found = signal_report(label.to_numpy(), mixed, lags=0, by=by)
        assert_frame_equal(found, signal_report(label, signals, lags=0, by=by))
    # A table of one column is one signal, as it always was.
    assert_series_equal(
        signal_report(label, frame[["good"]]), signal_report(label, signals["good"])
    )


def test_a_row_may_be_predicted_once_in_each_group(signal) -> None:
    label, predicted = signal
    twice = pd.concat([label, label])
    two = {"one": pd.concat([predicted, predicted]), "two": pd.concat([predicted, -predicted])}
    fold = np.repeat([0, 1], len(label))
    report = signal_report(twice, two, by=fold, lags=0)
    assert report.index.tolist() == [("one", 0), ("one", 1), ("two", 0), ("two", 1)]
    assert report.loc[("two", 0), "ic_diff"] == 0
    assert report.loc[("two", 1), "ic_diff"] == pytest.approx(-2 * report.loc[("one", 0), "ic"])
    with pytest.raises(ValueError, match=r"y_true.*\bby=<number"):
        signal_report(twice, two)


def test_no_rows_of_several_signals(recwarn) -> None:
    nothing = {"days": pd.DatetimeIndex([])}
    two = {"one": [], "two": []}
    report = signal_report([], two, **nothing)
    assert report["days"].tolist() == [0, 0]
    assert report["ic_diff"].isna().all()
    for by in ("day", "year", []):
        assert len(signal_report([], two, by=by, **nothing)) == 0
    assert quantile_returns([], two, **nothing).shape == (0, 5)
    assert not recwarn.list


# Bad input


def with_nan(values: pd.Series) -> pd.Series:
    return values.where(np.arange(len(values)) != 3)


WRONG = {
    "no signal": (lambda s: {}, r"y_pred is an empty mapping.*\{\"ALSTM\""),
    "numbers as names": (lambda s: {0: s, 1: s}, r"y_pred.*name \(str\).*; got 0\."),
    "no name": (lambda s: {"": s}, r"y_pred.*name \(str\).*; got ''"),
    "columns of paths": (
        lambda s: pd.DataFrame({0: s, 1: s}),
        r"y_pred, a table.*; got 0\. .*add_prefix",
    ),
    "a prediction a row": (lambda s: s.to_dict(), r"y_pred.*'S\d+'.*pandas\.Series\(y_pred\)"),
    "floats": (lambda s: {"a": 1.0, "b": 2.0}, r"y_pred\['a'\].*one value a row.*\bfloat\b"),
    "equal names": (
        lambda s: pd.concat([s, s], axis=1, keys=["a", "a"]),
        r"y_pred repeats \['a'\]",
    ),
    "other length": (
        lambda s: {"a": s, "b": s.iloc[:-3]},
        r"y_true has \d+ rows and y_pred\['b'\] has \d+.*y_true\.loc\[y_pred\['b'\]\.index\]",
    ),
    "other length of an array": (
        lambda s: {"a": s, "b": s.to_numpy()[:-3]},
        r"y_true, y_pred\['b'\] must have the same number",
    ),
    "other rows": (lambda s: {"a": s, "b": s[::-1]}, r"y_true and y_pred\['b'\].*different rows"),
    "NaN": (lambda s: {"a": s, "b": with_nan(s)}, r"y_pred\['b'\] has 1 NaN"),
    "infinity": (lambda s: {"a": s, "b": s / 0.0}, r"y_pred\['b'\] has \d+ infinite"),
    "texts": (lambda s: {"a": s, "b": ["x"] * len(s)}, r"y_pred\['b'\] must hold one number"),
    "a table": (
        lambda s: {"a": s, "b": pd.concat([s, s], axis=1)},
        r"y_pred\['b'\] must hold one number a row.*2\)",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("metric", [signal_report, quantile_returns])
def test_errors_name_the_signal(signal, metric, wrong: str) -> None:
    label, predicted = signal
    make, message = WRONG[wrong]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((TypeError, ValueError), match=message):
            metric(label, make(predicted))


def test_signals_of_different_rows(signal) -> None:
    label, predicted = signal
    two = {"a": predicted, "b": predicted[::-1]}
    with pytest.raises(ValueError, match=r"y_pred\['a'\] and y_pred\['b'\].*different rows"):
        signal_report(label.to_numpy(), two)


def test_days_that_no_signal_has(signal) -> None:
    label, predicted = (values.to_numpy() for values in signal)
    with pytest.raises(ValueError, match=r"\bdays\b"):
        signal_report(label, {"a": predicted})
    days = signal[0].index.get_level_values("datetime")
    assert_allclose(
        signal_report(label, {"a": predicted}, days=days, lags=0).loc["a", "ic"],
        signal_report(*signal, lags=0)["ic"],
    )


def test_levels_of_equal_names(signal) -> None:
    label, predicted = (values.rename_axis(["datetime", "datetime"]) for values in signal)
    for metric in (signal_report, quantile_returns, daily_ic):
        with pytest.raises(ValueError, match=r"more than one level 'datetime'.*rename_axis"):
            metric(label, predicted)
    with pytest.raises(ValueError, match=r"more than one level 'datetime'.*rename_axis"):
        signal_report(signal[0].to_numpy(), {"a": predicted, "b": predicted})
