"""p-values of daily drops are what they say, on noise, and stars follow them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import KEYS
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.linear_model import LinearRegression
from statsmodels.stats.multitest import multipletests

from skattn.inspection import permutation_importance
from skattn.inspection._importance.significance import by_quarter, holm, mean_tests


def share_below(p: np.ndarray, level: float) -> tuple[float, float]:
    """Share of p-values below a level, and the largest share that chance allows."""
    return float((p < level).mean()), stats.binom.ppf(0.999, len(p), level) / len(p)


@pytest.mark.parametrize(("n_days", "horizon"), [(5, 1), (60, 1), (20, 5), (60, 5), (100, 10)])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_p_of_overlapping_noise(n_days: int, horizon: int, level: float):
    rng = np.random.default_rng(0)
    noise = rng.standard_t(4, size=(n_days + horizon - 1, 2000))
    overlapping = sum(noise[k : k + n_days] for k in range(horizon))
    tests = mean_tests(pd.DataFrame(overlapping), horizon - 1)
    found, allowed = share_below(tests["p"].to_numpy(), level)
    assert found <= allowed
    assert found > level / 4  # and not for want of any finding


def test_one_day_apart_is_the_t_test():
    values = np.random.default_rng(0).normal(0.3, 1, (40, 3))
    tests = mean_tests(pd.DataFrame(values), 0)
    assert_allclose(tests["p"], stats.ttest_1samp(values, 0).pvalue)
    # Days without a value keep their place and change nothing without lags.
    gaps = np.insert(values, [5, 5, 20], np.nan, axis=0)
    assert_allclose(mean_tests(pd.DataFrame(gaps), 0), tests)


def test_days_that_overlap_need_four_spans():
    daily = pd.DataFrame({"a": np.random.default_rng(0).normal(size=19)})
    few = mean_tests(daily, 4).loc["a"]
    assert np.isfinite(few["t"])
    assert np.isnan(few["p"])
    assert np.isnan(few["p_holm"])


def test_equal_and_too_few_days():
    daily = pd.DataFrame({"none": [0.0] * 5, "all": [0.25] * 5, "one": [0.1] + 4 * [np.nan]})
    # The mean of these differs from each of them by rounding.
    daily = daily.assign(third=[-1 / 3] * 5)
    tests = mean_tests(daily, 0)
    assert tests.loc["third", ["t", "p"]].tolist() == [-np.inf, 1 / 16]
    assert tests.loc["none", ["standard_error", "t", "p"]].tolist() == [0, 0, 1]
    assert tests.loc["all", ["t", "p"]].tolist() == [np.inf, 1 / 16]
    assert tests.loc["one"].isna().all()


def test_holm():
    p = np.random.default_rng(0).uniform(size=30) ** 3
    assert_allclose(holm(p), multipletests(p, method="holm")[1])
    with_gap = np.insert(p, 3, np.nan)
    assert np.isnan(holm(with_gap)[3])
    assert_allclose(np.delete(holm(with_gap), 3), holm(p))


def test_quarters():
    days = pd.bdate_range("2024-01-01", "2024-06-30")
    daily = pd.DataFrame(np.random.default_rng(0).normal(size=(len(days), 2)), days, ["a", "b"])
    quarters = by_quarter(daily, 0)
    assert quarters.index.astype(str).tolist() == ["2024Q1", "2024Q2"]
    second = daily.loc["2024-04":, "b"]
    assert_allclose(quarters.loc["2024Q2", ("b", "mean")], second.mean())
    expected = second.std(ddof=0) / np.sqrt(len(second))
    assert_allclose(quarters.loc["2024Q2", ("b", "standard_error")], expected)


def marks_on_noise(seed: int) -> tuple[np.ndarray, int]:
    """p-values of five groups of noise, and the number of stars."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2024-01-01", periods=30)
    index = pd.MultiIndex.from_product([days, range(8)], names=KEYS)
    X = pd.DataFrame(rng.normal(size=(len(index), 5)), index, list("abcde"))
    # Slow moving, as features are.
    X = X.groupby(level="instrument").cumsum()
    y = pd.Series(rng.normal(size=len(index)), index)
    y.attrs.update(horizon=1, reach=1)
    earlier = X + rng.normal(size=X.shape)
    model = LinearRegression().fit(earlier, rng.normal(size=len(X)))
    table = permutation_importance(model, X, y, random_state=seed).table
    return table["p"].to_numpy(), int((table["p_holm"] < 0.05).sum())


@pytest.mark.slow
def test_noise_is_marked_as_often_as_p_says():
    found = [marks_on_noise(seed) for seed in range(200)]
    # One group of each seed: groups of one seed share the baseline.
    for group in range(5):
        for level in (0.05, 0.2):
            share, allowed = share_below(np.array([p[group] for p, _ in found]), level)
            assert share <= allowed
    assert sum(stars > 0 for _, stars in found) <= stats.binom.ppf(0.999, 200, 0.05)
