"""Spans of attention, and the test of what a market did in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binom

from skattn.inspection._timeline.market_spans import (
    attention_by_date,
    compare_days,
    compare_market,
    is_high,
    market_of,
    spans_of,
)

DAYS = pd.bdate_range("2024-01-01", periods=300)


def by_shifts(inside, values):
    """The test in a loop."""
    known = ~np.isnan(values)
    inside, values = inside[known], values[known]

    def difference(marks):
        return values[marks].mean() - values[~marks].mean()

    shifted = [difference(np.roll(inside, shift)) for shift in range(1, len(values))]
    large = np.abs(shifted) >= abs(difference(inside)) * (1 - 1e-9)
    return (1 + large.sum()) / (1 + len(shifted))


@given(st.integers(20, 60), st.integers(0, 10_000), st.integers(1, 19))
def test_p_values_are_those_of_every_shift(n_days, seed, n_inside):
    rng = np.random.default_rng(seed)
    inside = rng.permutation(n_days + 5) < n_inside
    values = rng.normal(size=n_days + 5)
    values[rng.permutation(n_days + 5)[:5]] = np.nan
    if not inside[~np.isnan(values)].any():
        inside[np.flatnonzero(~np.isnan(values))[0]] = True
    means = np.nanmean(values[inside]), np.nanmean(values[~inside])
    compared = compare_days(inside, values)
    assert_allclose(compared[:3], [*means, means[0] - means[1]])
    assert_allclose(compared[3], by_shifts(inside, values))


def test_shifts_onto_the_same_days_count():
    # Every fourth day is marked: each fourth shift is no shift at all.
    inside = np.arange(40) % 4 == 0
    values = np.random.default_rng(0).normal(size=40) + inside
    assert compare_days(inside, values)[3] == 10 / 40
    assert compare_days(inside, np.full(40, 0.1))[3] == 1


@pytest.mark.parametrize(
    ("inside", "expected"), [(np.arange(19) < 3, [1, 10.5]), (np.zeros(30, bool), [np.nan, 14.5])]
)
def test_too_few_days_have_no_p_value(inside, expected):
    compared = compare_days(inside, np.arange(len(inside), dtype=float))
    assert_allclose(compared, [*expected, expected[0] - expected[1], np.nan])


def clustered(rng, n_days, memory):
    """A series whose neighbours are alike."""
    values = rng.standard_normal(n_days)
    for day in range(1, n_days):
        values[day] = memory * values[day - 1] + np.sqrt(1 - memory**2) * values[day]
    return values


@pytest.mark.parametrize("memory", [0.0, 0.9, 0.97])
@pytest.mark.parametrize("n_days", [60, 250])
def test_noise_is_significant_as_often_as_p_says(memory, n_days):
    found = {"return": 0, "volatility": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        attention = pd.Series(clustered(rng, n_days, memory), DAYS[:n_days])
        # Volatility as in the simulated market.
        volatility = 0.01 * np.exp(0.3 * clustered(rng, n_days, 0.97))
        returns = volatility * rng.standard_normal(n_days)
        close = pd.DataFrame({"close": 100 * np.exp(np.cumsum(returns))}, attention.index)
        table = compare_market(is_high(attention, 0.9), market_of(close))
        for what in found:
            found[what] += table.loc[what, "p_value"] <= 0.05
    assert max(found.values()) <= binom.ppf(0.999, 200, 0.05)


def test_what_goes_together_is_found():
    rng = np.random.default_rng(0)
    level = clustered(rng, 250, 0.97)
    attention = pd.Series(level + 0.3 * rng.standard_normal(250), DAYS[:250])
    values = np.exp(level) * np.abs(rng.standard_normal(250))
    inside, outside, _, p_value = compare_days(is_high(attention, 0.9).to_numpy(), values)
    assert inside > 2 * outside
    assert p_value < 0.02


def test_attention_by_hand():
    rng = np.random.default_rng(0)
    n_days, n_steps = 12, 4
    weights = pd.DataFrame(
        rng.random((n_days, n_steps)), DAYS[:n_days], pd.RangeIndex(n_steps - 1, -1, -1)
    )
    date_of_step = (np.arange(n_days)[:, None] - np.arange(n_steps)[::-1]).clip(min=-1)
    attention = attention_by_date(weights, date_of_step)
    for date in range(n_days):
        lags = range(min(n_steps, n_days - date))
        got = sum(weights[lag].iloc[date + lag] for lag in lags)
        # The first windows have no date at the lags that lie before the first day.
        usual = sum(weights[lag].iloc[lag:].mean() for lag in lags)
        full = sum(weights[lag].iloc[lag:].mean() for lag in range(n_steps))
        expected = got / usual if usual >= full / 2 else np.nan
        assert_allclose(attention.iloc[date], expected)
    assert attention.isna().any()


@pytest.mark.parametrize("profile", [[0.1, 0.2, 0.3, 0.4], [0.25] * 4, [0.0, 0.0, 0.0, 1.0]])
def test_a_preference_for_lags_is_none_for_dates(profile):
    weights = pd.DataFrame(np.tile(profile, (40, 1)), DAYS[:40], [3, 2, 1, 0])
    date_of_step = (np.arange(40)[:, None] - np.arange(4)[::-1]).clip(min=-1)
    attention = attention_by_date(weights, date_of_step)
    assert_allclose(attention.dropna(), 1)
    high = is_high(attention, 0.9)
    assert not high.any()
    assert spans_of(attention, high).empty
    compared = compare_market(high, pd.DataFrame({"level": np.arange(40.0)}, DAYS[:40]))
    assert compared.loc["level", ["inside", "difference", "p_value"]].isna().all()


def test_spans():
    attention = pd.Series([5, 1, 1, 4, 3, np.nan, 6, 1, 1, 7.0], DAYS[:10])
    high = is_high(attention, 0.4)
    spans = spans_of(attention, high)
    # The date without attention is left out, and its neighbours follow each other.
    expected = {
        "start": DAYS[[0, 3, 9]],
        "end": DAYS[[0, 6, 9]],
        "days": [1, 3, 1],
        "attention": [5.0, 13 / 3, 7.0],
    }
    pd.testing.assert_frame_equal(spans, pd.DataFrame(expected))


def test_market_of_prices_and_of_other_series():
    close = pd.Series([100, 110, 99, np.nan, 99], DAYS[:5], dtype=float)
    volume = pd.Series(np.r_[[2.0] * 5], DAYS[:5])
    market = market_of(pd.DataFrame({"close": close, "volume": volume}))
    assert_allclose(market["return"], [np.nan, 0.1, -0.1, np.nan, np.nan])
    assert_allclose(market["volatility"], [np.nan, 0.1, 0.1, np.nan, np.nan])
    assert market["volume"].isna().all()
    doubled = pd.DataFrame({"close": 1.0, "volume": [2.0] * 30 + [4.0]}, DAYS[:31])
    assert_allclose(market_of(doubled)["volume"].iloc[[5, 30]], [0, np.log(2)])
    rate = market_of(pd.DataFrame({"rate": [3.0, 2.5, 2.5]}, DAYS[:3]))
    assert_allclose(rate, [[3, np.nan], [2.5, -0.5], [2.5, 0]])
