"""Nothing that a day could not know is in the recipe's signal of the day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import assert_same_bits, days_in
from pandas.testing import assert_series_equal

from skattn import make_label
from skattn.datasets import make_market
from skattn.metrics import signal_report
from skattn.recipes import make_signal_model, walk_forward_signal

SMALL = {"hidden_size": 4, "num_layers": 1, "max_epochs": 1, "n_seeds": 1}
few_stocks = pytest.mark.filterwarnings("ignore:ohlcv has .* stocks:UserWarning")


@pytest.fixture(scope="module")
def market():
    return make_market(12, 130, late_listings=0, missing_days=0.02, random_state=0)


def with_another_future(ohlcv: pd.DataFrame, day: pd.Timestamp, seed: int = 0) -> pd.DataFrame:
    """The table with other prices and other rows after a day."""
    rng = np.random.default_rng(seed)
    table = ohlcv.astype(float)
    later = days_in(table) > day
    table[later] *= rng.lognormal(sigma=0.5, size=(later.sum(), 1))
    return table[~later | (rng.random(len(table)) < 0.8)]


def upto(table, day):
    return table[days_in(table) <= day]


@pytest.mark.parametrize("name", ["gru", "hist"])
@pytest.mark.parametrize("seed", range(2))
def test_prices_after_the_fit_change_no_bit_of_the_past(market, name, seed):
    day = days_in(market.ohlcv).unique()[90 + 10 * seed]
    past = upto(market.ohlcv, day)
    model = make_signal_model(name, **SMALL).fit(past, make_label(past))
    other = with_another_future(market.ohlcv, day, seed)
    one, two = (
        upto(pd.Series(model.predict(each), each.index), day) for each in (market.ohlcv, other)
    )
    assert len(one) > 1000
    assert_same_bits(one, two)


@few_stocks
@pytest.mark.parametrize("n_days_in", [0, 7])
def test_prices_after_a_day_change_no_bit_of_the_walk_forward_signal(market, n_days_in):
    """Neither those after a fold's training days nor those after some of its test days."""
    days = days_in(market.ohlcv).unique()
    first, n_tested = len(days) - 2 * 20, 20
    day = days[first + n_tested - 1 + n_days_in]
    one, two = (
        walk_forward_signal(each, n_splits=2, test_size=n_tested, **SMALL)
        for each in (market.ohlcv.astype(float), with_another_future(market.ohlcv, day))
    )
    assert days_in(one).min() == days[first]
    assert days_in(upto(one, day)).nunique() == n_tested + n_days_in
    assert_series_equal(upto(one, day), upto(two, day), check_exact=True)
    assert not one[days_in(one) > day].reindex(two.index).equals(two[days_in(two) > day])


@pytest.mark.parametrize("views", ["factors", "prices"])
def test_shuffled_labels_teach_nothing_and_true_ones_teach_the_planted_signal(views):
    market = make_market(
        60, 160, reversal=0.3, momentum=0, sector=0, late_listings=0, random_state=0
    )
    rng = np.random.default_rng(0)
    by_day = market.label.groupby(level="datetime")
    shuffled = by_day.transform(lambda label: rng.permutation(label.to_numpy()))
    shuffled.attrs.update(market.label.attrs)
    params = {**SMALL, "hidden_size": 8, "max_epochs": 10, "views": views}
    reports = {}
    for name, label in {"true": market.label, "shuffled": shuffled}.items():
        signal = walk_forward_signal(market.ohlcv, label=label, n_splits=2, test_size=40, **params)
        reports[name] = signal_report(label.loc[signal.index], signal)
    assert reports["true"]["rank_ic"] > 0.1
    assert reports["true"]["rank_ic_t"] > 5
    assert abs(reports["shuffled"]["rank_ic_t"]) < 2
