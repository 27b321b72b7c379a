"""signal_report and quantile_returns against definitions spelled out row by row."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from helpers import days_in
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal

from skattn.labels import make_label
from skattn.metrics import daily_ic, quantile_returns, signal_report

DAYS = pd.bdate_range("2024-01-01", periods=60)
SERIES = ("ic", "rank_ic", "long_short")


def two_stocks(values) -> tuple[pd.Series, pd.Series]:
    """Labels and predictions of which each day's long-short return is the value, NaN where NaN."""
    index = pd.MultiIndex.from_product(
        [DAYS[: len(values)], ["A", "B"]], names=["datetime", "instrument"]
    )
    values = np.asarray(values, dtype=float)
    label = np.stack([np.zeros_like(values), values], axis=1)
    label[np.isnan(values)] = np.nan
    return pd.Series(label.ravel(), index), pd.Series(np.tile([0.0, 1.0], len(values)), index)


def t_by_pairs(values, lags: int) -> float:
    """The variance of the mean as a sum over all pairs of days, weighted by their distance."""
    values = np.asarray(values, dtype=float)
    known = np.flatnonzero(~np.isnan(values))
    mean = values[known].mean()
    variance = sum(
        max(0.0, 1 - abs(s - t) / (lags + 1)) * (values[s] - mean) * (values[t] - mean)
        for s in known
        for t in known
    )
    return mean / np.sqrt(variance) * len(known)


# t-values


@pytest.mark.parametrize("lags", [0, 1, 5, 30])
def test_t_values_are_those_of_statsmodels(signal, lags: int) -> None:
    models = pytest.importorskip("statsmodels.api")
    daily = signal_report(*signal, by="day")
    # The last days have no label, at the edge where a day without a value makes no difference.
    values = daily.loc[daily["left_out"].isna(), list(SERIES)]
    assert values.notna().all(axis=None)
    assert len(values) > 100
    report = signal_report(*signal, lags=lags)
    for name in SERIES:
        ols = models.OLS(values[name], np.ones(len(values)))
        options = {"maxlags": lags, "use_correction": False}
        expected = ols.fit(cov_type="HAC", cov_kwds=options).tvalues.iloc[0]
        assert report[f"{name}_t"] == pytest.approx(expected, rel=1e-10)


# On a grid, so that no variance is a matter of rounding.
returns = st.integers(-40, 40).filter(bool).map(lambda n: n / 1000)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.none() | returns, min_size=2, max_size=40), lags=st.integers(0, 12))
@example(values=[0.01, None, None, 0.03, 0.02, None, -0.01], lags=1)
def test_days_without_a_value_keep_their_place(values: list, lags: int) -> None:
    values = np.array(values, dtype=float)
    known = values[~np.isnan(values)]
    t = signal_report(*two_stocks(values), quantile=0.5, lags=lags)["long_short_t"]
    if len(known) < 2 * (lags + 1):
        assert np.isnan(t)
    elif np.ptp(known) > 0:
        assert t == pytest.approx(t_by_pairs(values, lags), rel=1e-6)


@pytest.mark.parametrize(("lags", "is_known"), [(0, True), (2, True), (3, False), (10**9, False)])
def test_lags_need_twice_as_many_days(lags: int, is_known: bool) -> None:
    # Six days; the days of the others have no label.
    values = [0.01, 0.02, np.nan, 0.04, -0.03, 0.02, 0.01, np.nan]
    label, predicted = two_stocks(values)
    for by in (None, "month"):
        report = signal_report(label, predicted, by=by, quantile=0.5, lags=lags)
        t = np.atleast_2d(report[[f"{name}_t" for name in SERIES]])
        assert np.isfinite(t).all() if is_known else np.isnan(t).all()


def test_a_day_that_only_unlabelled_rows_have_counts_for_lags() -> None:
    values = [0.01, 0.02, 0.04, 0.03, 0.01]
    apart = [0.01, np.nan, 0.02, np.nan, 0.04, np.nan, 0.03, np.nan, 0.01]
    near, far = (
        signal_report(*two_stocks(series), quantile=0.5, lags=1)["long_short_t"]
        for series in (values, apart)
    )
    none = signal_report(*two_stocks(values), quantile=0.5, lags=0)["long_short_t"]
    assert far == pytest.approx(none)
    assert near != pytest.approx(none, rel=0.02)


@pytest.mark.parametrize(("horizon", "delay", "lags"), [(1, 1, 0), (5, 1, 4), (5, 0, 4)])
def test_lags_are_the_overlap_of_labels(market, horizon: int, delay: int, lags: int) -> None:
    label = make_label(market.ohlcv, horizon=horizon, delay=delay)
    predicted = np.random.default_rng(0).normal(size=len(label))
    report = signal_report(label, predicted)
    assert report["lags"] == lags
    assert_series_equal(report, signal_report(label, predicted, lags=lags))
    assert report["ic_t"] != signal_report(label, predicted, lags=lags + 1)["ic_t"]


@pytest.mark.parametrize("attrs", [{}, {"reach": 6}, {"delay": 1}])
def test_lags_where_the_overlap_is_not_known(signal, attrs: dict) -> None:
    label, predicted = signal
    label = label.copy()
    label.attrs = attrs
    with pytest.warns(UserWarning, match=r'lags="auto".*attrs\["horizon"\].*lags='):
        signal_report(label, predicted)
    report = signal_report(label, predicted)
    assert report["days"] == 158
    assert report["lags"] == np.floor(4 * 1.58 ** (2 / 9)) == 4
    # Of each group it is the number of the group's own days.
    assert signal_report(label, predicted, by="month")["lags"].iloc[0] == 2
    assert signal_report(label, predicted, lags=7)["lags"] == 7
    # Where the exponent is a quarter, as some have it, this is 1.
    assert signal_report(*two_stocks([1, 2, 3, 4, 5]))["lags"] == 2


def test_overlapping_labels_are_less_sure_than_they_look(market) -> None:
    label = make_label(market.ohlcv, horizon=10, delay=1)
    # A prediction that stays: its IC of neighbouring days have nine of ten returns in common.
    stocks = pd.factorize(label.index.get_level_values("instrument"), sort=True)[0]
    naive, robust = (abs(signal_report(label, stocks, lags=n)["ic_t"]) for n in (0, "auto"))
    assert robust < 0.7 * naive


# The long-short return


def slow_tails(label, predicted, quantile: float) -> tuple[float, float]:
    """Mean of the best and of the worst, over every order in which equal ones may come."""
    n = int(len(label) * quantile)
    tails = []
    for order in permutations(range(len(label))):
        ranked = sorted(order, key=lambda i: predicted[i])
        tails.append([np.mean([label[i] for i in end]) for end in (ranked[-n:], ranked[:n])])
    return tuple(np.mean(tails, axis=0))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 2)), min_size=2, max_size=6),
    quantile=st.sampled_from([0.2, 0.35, 0.5]),
)
@example(rows=[(1, 0), (2, 0), (4, 0), (8, 0), (-3, 1)], quantile=0.5)
def test_equal_predictions_share_their_places(rows: list, quantile: float) -> None:
    label, predicted = zip(*rows, strict=True)
    (day,) = signal_report(
        label, predicted, days=[DAYS[0]] * len(rows), quantile=quantile, by="day"
    ).itertuples()
    if min(len(set(label)), len(set(predicted))) == 1 or int(len(rows) * quantile) == 0:
        assert np.isnan(day.long_short)
    else:
        long, short = slow_tails(label, predicted, quantile)
        assert_allclose(
            [day.long, day.short, day.long_short], [long, short, long - short], atol=1e-9
        )


def test_equal_predictions_of_two_days_share_nothing() -> None:
    days = DAYS[[0, 0, 1, 1]]
    daily = signal_report([0, 1, 5, 6], [0, 1, 1, 2], days=days, quantile=0.5, by="day")
    assert daily[["short", "long"]].to_numpy().tolist() == [[0, 1], [5, 6]]


@pytest.mark.parametrize("quantile", [0.1, 0.2, 0.5])
def test_long_short_by_day(signal, quantile: float) -> None:
    label, predicted = signal
    daily = signal_report(label, predicted, quantile=quantile, by="day")
    table = pd.DataFrame({"label": label, "predicted": predicted}).dropna()
    for day, rows in table.groupby("datetime"):
        n = int(len(rows) * quantile)
        ranked = rows.sort_values("predicted")["label"]
        expected = ranked.iloc[-n:].mean() - ranked.iloc[:n].mean() if n else np.nan
        assert_allclose(daily.loc[day, "long_short"], expected)
        assert_allclose(daily.loc[day, "average"], rows["label"].mean())


@pytest.mark.parametrize(("horizon", "holding"), [(1, 1), (5, 5)])
def test_annual_figures(market, horizon: int, holding: int) -> None:
    label = make_label(market.ohlcv, horizon=horizon, delay=1)
    predicted = label.fillna(0) + 0.1 * np.random.default_rng(0).normal(size=len(label))
    daily = signal_report(label, predicted, by="day").dropna(subset=["ic"])
    report = signal_report(label, predicted, days_per_year=240)
    assert_allclose(report["long_short"], np.mean(daily["long_short"]))
    for name in ("long_short", "average"):
        mean, std = np.mean(daily[name]), np.std(daily[name], ddof=1)
        assert_allclose(report[f"{name}_annual"], mean * 240 / holding)
        assert_allclose(report[f"{name}_sharpe"], mean / std * np.sqrt(240 / holding))


@pytest.mark.parametrize(("n_stocks", "quantile", "n"), [(180, 0.35, 63), (100, 0.29, 29)])
def test_quantiles_of_a_whole_number_of_stocks(n_stocks: int, quantile: float, n: int) -> None:
    # The product is a trifle less in floating point.
    assert int(n_stocks * quantile) == n - 1
    label = np.arange(float(n_stocks))
    daily = signal_report(label, label, days=[DAYS[0]] * n_stocks, quantile=quantile, by="day")
    assert daily[["long", "short"]].iloc[0].tolist() == [label[-n:].mean(), label[:n].mean()]


def test_days_with_too_few_stocks_for_the_quantiles() -> None:
    days = DAYS[[0] * 4 + [1] * 5]
    label, predicted = np.arange(9.0), np.arange(9.0)
    report = signal_report(label, predicted, days=days)
    assert report[["days", "days_long_short", "long_short"]].tolist() == [2, 1, 4]
    daily = signal_report(label, predicted, days=days, by="day")
    assert daily["ic"].notna().all()
    assert_array_equal(daily["long_short"], [np.nan, 4])
    assert daily["left_out"].isna().all()


# Views


def test_by_day_tells_why_days_are_left_out() -> None:
    days = DAYS[[0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]]
    label = [1, 2, 4, 1, np.nan, 1, 2, 5, 5, 3, 3, np.nan]
    predicted = [1, 2, 3, 1, 2, 7, 7, 1, 2, 4, 4, 1]
    daily = signal_report(label, predicted, days=days, by="day", quantile=0.5)
    expected = [
        "counts",
        "too few labelled stocks",
        "constant predictions",
        "constant labels",
        "constant labels",
        "too few labelled stocks",
    ]
    assert daily["left_out"].astype(object).fillna("counts").tolist() == expected
    assert daily["stocks"].tolist() == [3, 1, 2, 2, 2, 0]
    values = daily.drop(columns=["stocks", "left_out"])
    assert values.iloc[0].notna().all()
    assert values.iloc[1:].isna().all(axis=None)
    report = signal_report(label, predicted, days=days)
    counts = report[report.index.str.startswith("days")].drop("days_long_short")
    assert counts.to_dict() == {
        "days": 1,
        "days_too_few": 2,
        "days_constant": 3,
        "days_constant_labels": 2,
        "days_constant_predictions": 1,
    }


def test_by_day_has_the_daily_ic(signal) -> None:
    daily = signal_report(*signal, by="day")
    assert daily.index.name == "datetime"
    assert_series_equal(daily["ic"], daily_ic(*signal))
    assert_series_equal(daily["rank_ic"], daily_ic(*signal, method="spearman"))


@pytest.mark.parametrize("by", ["month", "year", "fold", "sector"])
def test_each_group_has_the_report_of_its_rows(signal, by: str) -> None:
    label, predicted = signal
    days = days_in(label)
    keys = {
        "month": days.to_period("M"),
        "year": days.year,
        "fold": pd.Index((days > days.unique().sort_values()[70]).astype(int)),
        "sector": pd.Index(pd.factorize(label.index.get_level_values("instrument"))[0] % 2),
    }[by]
    report = signal_report(label, predicted, by=by if by in ("month", "year") else keys, lags=3)
    assert report.index.tolist() == sorted(set(keys))
    assert report.index.name == (by if by in ("month", "year") else "group")
    for key, row in report.iterrows():
        rows = keys == key
        expected = signal_report(label[rows], predicted[rows], lags=3)
        assert_series_equal(row, expected, check_names=False, rtol=1e-10)


def test_months_and_years_of_two_years() -> None:
    days = pd.to_datetime(["2023-12-29"] * 3 + ["2024-01-02"] * 3 + ["2024-12-02"] * 3)
    label, predicted = [1, 2, 3] * 3, [1, 2, 3, 3, 2, 1, 1, 3, 2]
    by_year = signal_report(label, predicted, days=days, by="year")
    assert by_year["ic"].to_dict() == pytest.approx({2023: 1.0, 2024: -0.25})
    by_month = signal_report(label, predicted, days=days, by="month")
    assert by_month.loc["2024-12", "ic"] == pytest.approx(0.5)
    assert len(by_month) == 3


def test_groups_may_be_named_and_of_any_kind(signal) -> None:
    label, predicted = signal
    half = np.arange(len(label)) < 900
    expected = signal_report(label[half], predicted[half])
    for by in (
        pd.Series(np.where(half, "a", "b"), label.index, name="fold"),
        pd.Series(pd.Categorical(np.where(half, "a", "b"), ["a", "b", "c"]), label.index),
        np.where(half, "a", "b"),
        list(np.where(half, "a", "b")),
    ):
        report = signal_report(label, predicted, by=by)
        assert report.index.tolist() == ["a", "b"]
        assert report.index.name == (getattr(by, "name", None) or "group")
        assert_series_equal(report.loc["a"], expected, check_names=False)


def test_a_day_may_be_in_several_groups(signal) -> None:
    """As in combinatorial cross-validation, where a row is predicted more than once."""
    label, predicted = signal
    twice = pd.concat([label, label]), pd.concat([predicted, -predicted])
    report = signal_report(*twice, by=np.repeat([0, 1], len(label)))
    for k, values in enumerate((predicted, -predicted)):
        assert_series_equal(report.loc[k], signal_report(label, values), check_names=False)


def folds_as_level(label, predicted, fold):
    index = label.index.to_frame().assign(fold=fold)
    index = pd.MultiIndex.from_frame(index)
    return label.set_axis(index), predicted.set_axis(index)


@pytest.mark.parametrize(
    "make",
    [
        lambda label, predicted, _: (label, predicted),
        lambda label, predicted, _: (label.to_numpy(), predicted),
        folds_as_level,
    ],
    ids=["both", "y_pred", "level"],
)
def test_a_stock_has_one_row_a_day(signal, make) -> None:
    twice = [pd.concat([series, series]) for series in signal]
    fold = np.repeat([0, 1], len(signal[0]))
    y = make(*twice, fold)
    message = (
        rf"y_(true|pred).*\b{len(signal[0])}\b.*{{}}\(20..-..-.., 'S00'\), .*"
        r"\bby=.*CombinatorialPurgedDailyKFold.reconstruct_paths"
    )
    for score in (daily_ic, signal_report, quantile_returns):
        with pytest.raises(ValueError, match=message.format("")):
            score(*y)
    with pytest.raises(ValueError, match=message.format(r"\bby\b.*")):
        signal_report(*y, by="year")
    assert len(signal_report(*y, by=fold)) == 2
    # One of many.
    fold[0] = 1
    with pytest.raises(ValueError, match=r"\b1\b.*\bby\b.*\(\S+, '\w+'\)\."):
        signal_report(*y, by=fold)


def test_days_between_those_of_a_group_count_for_lags() -> None:
    values = np.array([1, 2, 4, 3, 1, 7, 2, 5, 3, 6, 2, 8]) / 100
    label, predicted = two_stocks(values)
    odd = np.repeat(np.arange(len(values)) % 2, 2)
    report = signal_report(label, predicted, by=odd, quantile=0.5, lags=2)
    for k in (0, 1):
        alone = np.where(np.arange(len(values)) % 2 == k, values, np.nan)
        assert report.loc[k, "long_short_t"] == pytest.approx(t_by_pairs(alone, 2))


# Properties

panels = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.integers(-3, 3), st.integers(-3, 3)),
    min_size=1,
    max_size=40,
)


def columns(panel: list) -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    day, label, predicted = (np.array(column, float) for column in zip(*panel, strict=True))
    return label, predicted, DAYS[day.astype(int)]


@settings(max_examples=25, deadline=None)
@given(panel=panels, seed=st.integers(0, 9))
def test_the_order_of_rows_does_not_matter(panel: list, seed: int) -> None:
    label, predicted, days = columns(panel)
    order = np.random.default_rng(seed).permutation(len(label))
    rows = label[order], predicted[order]
    assert_frame_equal(
        signal_report(*rows, days=days[order], by="day"),
        signal_report(label, predicted, days=days, by="day"),
        atol=1e-12,
        check_freq=False,
    )
    assert_frame_equal(
        quantile_returns(*rows, days=days[order], n_quantiles=3),
        quantile_returns(label, predicted, days=days, n_quantiles=3),
        atol=1e-12,
        check_freq=False,
    )


@settings(max_examples=25, deadline=None)
@given(panel=panels)
def test_only_the_ic_knows_more_than_ranks(panel: list) -> None:
    label, predicted, days = columns(panel)
    plain, bent = (
        signal_report(label, values, days=days, by="day")
        for values in (predicted, np.exp(predicted) - 5)
    )
    assert_frame_equal(plain.drop(columns="ic"), bent.drop(columns="ic"))
    assert_frame_equal(
        quantile_returns(label, predicted, days=days, n_quantiles=2),
        quantile_returns(label, np.exp(predicted) - 5, days=days, n_quantiles=2),
    )


@settings(max_examples=25, deadline=None)
@given(panel=panels)
def test_minus_the_predictions_is_minus_the_signal(panel: list) -> None:
    label, predicted, days = columns(panel)
    plain, turned = (
        signal_report(label, values, days=days, by="day") for values in (predicted, -predicted)
    )
    signs = list(SERIES)
    assert_allclose(turned[signs], -plain[signs], atol=1e-12)
    assert_allclose(turned[["long", "short"]], plain[["short", "long"]], atol=1e-12)
    assert_frame_equal(
        turned[["average", "stocks", "left_out"]], plain[["average", "stocks", "left_out"]]
    )
    there, back = (
        quantile_returns(label, values, days=days, n_quantiles=3)
        for values in (predicted, -predicted)
    )
    # Symmetric, too, where stocks do not divide into the quantiles.
    assert_allclose(back, there.iloc[:, ::-1], atol=1e-12)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantile": 0.0}, r"\bquantile\b.*\b0\.0\b\D*$"),
        ({"quantile": 0.6}, r"\bquantile\b.*\b0\.6\b"),
        ({"lags": -1}, r"\blags\b.*-1\b"),
        ({"lags": "all"}, r"\blags\b.*'all'"),
        ({"lags": 1.5}, r"\blags\b.*\b1\.5\b"),
        ({"days_per_year": 0}, r"\bdays_per_year\b.*\b0\b\D*$"),
        ({"by": "fold"}, r"\bby\b.*'fold'"),
        ({"by": [0, 1, None, 2]}, r"\bby\b.*\b1\b.*\b4\b"),
        ({"by": [0, 1]}, r"\b4, 2\b"),
        ({"by": np.zeros((4, 2))}, r"\bby\b.*\b2\b"),
        ({"by": 3}, r"\bby\b.*\b0\b"),
    ],
)
def test_bad_parameters(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        signal_report([1, 2, 1, 2], [1, 2, 2, 1], days=DAYS[[0, 0, 1, 1]], **arguments)


def test_groups_of_other_rows(signal) -> None:
    label, predicted = signal
    by = pd.Series(0, index=label.index)[::-1]
    with pytest.raises(ValueError, match=r"y_true and by\b.*by\.reindex"):
        signal_report(label, predicted, by=by)


@pytest.mark.parametrize("horizon", [3, -1, 0, 0.5, True, None])
def test_labels_that_tell_a_horizon_that_cannot_be(signal, horizon) -> None:
    label, predicted = signal
    label = label.copy()
    label.attrs = {"reach": 2, "horizon": horizon}
    with pytest.raises(ValueError, match=rf'attrs\["horizon"\].*{horizon}\b'):
        signal_report(label, predicted)


def test_no_rows_make_an_empty_report(recwarn) -> None:
    nothing = {"days": pd.DatetimeIndex([])}
    report = signal_report([], [], **nothing)
    assert report["days"] == 0
    assert report[["ic", "ic_t", "long_short", "stocks"]].isna().all()
    for by in ("day", "year", []):
        assert len(signal_report([], [], by=by, **nothing)) == 0
    assert quantile_returns([], [], **nothing).shape == (0, 5)
    assert not recwarn.list
