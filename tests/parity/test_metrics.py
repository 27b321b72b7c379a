"""The daily IC family and the long-short return against qlib's signal analysis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skattn.metrics import (
    daily_ic,
    ic_score,
    icir_score,
    rank_ic_score,
    rank_icir_score,
    signal_report,
)

pytestmark = pytest.mark.qlib

TOLERANCE = 1e-12
DAYS = pd.bdate_range("2024-01-01", periods=40)
SEEDS = pytest.mark.parametrize("seed", range(4))


@pytest.fixture(scope="module")
def alpha():
    return pytest.importorskip("qlib.contrib.eva.alpha")


@pytest.fixture(scope="module")
def calc_ic(alpha):
    return alpha.calc_ic


def panel(seed: int) -> tuple[pd.Series, pd.Series]:
    """Labels (some NaN) and predictions of a ragged, shuffled panel, with ties in some seeds."""
    rng = np.random.default_rng(seed)
    stocks = [f"S{i}" for i in range(15)]
    index = pd.MultiIndex.from_product([DAYS, stocks], names=["datetime", "instrument"])
    index = index[rng.permutation(len(index))[: int(0.8 * len(index))]]
    label = pd.Series(rng.standard_t(3, len(index)) * 0.02, index)
    score = label + 0.05 * rng.standard_normal(len(index))
    if seed % 2:
        label, score = label.round(2), score.round(2)
    label[rng.random(len(index)) < 0.15] = np.nan
    return label, score


@SEEDS
def test_each_day(calc_ic, seed):
    label, score = panel(seed)
    expected = calc_ic(score, label)
    for ours, theirs in zip(
        (daily_ic(label, score), daily_ic(label, score, method="spearman")), expected, strict=True
    ):
        assert theirs.notna().all()
        assert ours.index.equals(theirs.index)
        assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
    # Pearson and Spearman are told apart.
    assert (expected[0] - expected[1]).abs().max() > 0.1


@pytest.mark.filterwarnings("ignore:An input array is constant")
@SEEDS
def test_days_without_a_value(calc_ic, seed):
    label, score = panel(seed)
    day = label.index.get_level_values("datetime")
    label[day == DAYS[3]] = np.nan
    label.iloc[np.flatnonzero(day == DAYS[5])[1:]] = np.nan
    score[day == DAYS[8]] = 0.5
    label[day == DAYS[9]] = 0.25
    for method, theirs in zip(("pearson", "spearman"), calc_ic(score, label), strict=True):
        ours = daily_ic(label, score, method=method)
        assert_array_equal(np.flatnonzero(theirs.isna()), [3, 5, 8, 9])
        assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


@SEEDS
def test_means_and_information_ratios(calc_ic, seed):
    label, score = panel(seed)
    label[label.index.get_level_values("datetime") == DAYS[3]] = np.nan
    ic, rank_ic = calc_ic(score, label)
    assert ic.isna().sum() == 1
    # As SigAnaRecord in qlib/workflow/record_temp.py.
    expected = {
        "ic": ic.mean(),
        "icir": ic.mean() / ic.std(),
        "rank_ic": rank_ic.mean(),
        "rank_icir": rank_ic.mean() / rank_ic.std(),
    }
    scores = (ic_score, icir_score, rank_ic_score, rank_icir_score)
    ours = [score_of(label, score) for score_of in scores]
    assert_allclose(ours, list(expected.values()), rtol=0, atol=TOLERANCE)
    report = signal_report(label, score)
    assert_allclose(report[list(expected)], list(expected.values()), rtol=0, atol=TOLERANCE)
    assert report["days"] == ic.notna().sum()


@pytest.mark.parametrize("quantile", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 2])
def test_long_short_return(alpha, seed, quantile):
    label, score = panel(seed)
    # Unlabelled stocks are no part of a quantile: qlib's dropna=True.
    half, average = alpha.calc_long_short_return(score, label, quantile=quantile, dropna=True)
    daily = signal_report(label, score, quantile=quantile, by="day")
    assert half.notna().sum() > 20
    # qlib's capital covers both sides.
    assert_allclose(daily["long_short"] / 2, half, rtol=0, atol=TOLERANCE)
    assert_allclose(daily["average"], average, rtol=0, atol=TOLERANCE)
    # As SigAnaRecord in qlib/workflow/record_temp.py, ann_scaler=252.
    expected = {
        "long_short_annual": 2 * half.mean() * 252,
        "long_short_sharpe": half.mean() / half.std() * 252**0.5,
        "average_annual": average.mean() * 252,
        "average_sharpe": average.mean() / average.std() * 252**0.5,
    }
    report = signal_report(label, score, quantile=quantile)
    assert_allclose(report[list(expected)], list(expected.values()), rtol=1e-9)


def test_equal_predictions_lie_between_what_qlib_makes_of_their_orders(alpha):
    """A stock at the edge of qlib's quantile is in or out by where its row stands."""
    label, score = panel(0)
    label, score = label.dropna(), score[label.notna()].round(1)
    orders = [np.random.default_rng(k).permutation(len(label)) for k in range(40)]
    theirs = pd.concat(
        [
            2 * alpha.calc_long_short_return(score.iloc[rows], label.iloc[rows])[0]
            for rows in orders
        ],
        axis=1,
    )
    ours = signal_report(label, score, by="day")["long_short"]
    assert (theirs.std(axis=1) > 0).mean() > 0.5
    assert (ours >= theirs.min(axis=1) - TOLERANCE).all()
    assert (ours <= theirs.max(axis=1) + TOLERANCE).all()
    error = theirs.std(axis=1) / 40**0.5
    assert ((ours - theirs.mean(axis=1)).abs() <= 5 * error + TOLERANCE).all()
