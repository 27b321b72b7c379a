"""The simulated market, checked against computations made anew here."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from skattn.datasets import _simulation, make_market

OFF = {"momentum": 0.0, "reversal": 0.0, "sector": 0.0}


def wide(series):
    return series.unstack()


def seen_returns(close):
    """Returns (days by stocks) that an observer of the table sees, relative to the market's."""
    close = wide(close)
    returns = close.ffill().pct_change(fill_method=None).where(close.notna())
    return returns.sub(returns.mean(axis=1), axis=0)


def standardized(score, present):
    score = score.sub(score.where(present).mean(axis=1), axis=0)
    return score.div(score.where(present).std(axis=1, ddof=0), axis=0).clip(-4, 4)


def daily_corr(a, b):
    a, b = (x if isinstance(x, pd.DataFrame) else wide(x) for x in (a, b))
    return a.corrwith(b, axis=1).mean()


# --- the label -----------------------------------------------------------------------------


def test_market_label_is_the_return_from_tomorrow_to_the_day_after():
    market = make_market(6, 60, missing_days=0.1, late_listings=0.4, random_state=0)
    close = wide(market.ohlcv["close"])
    expected = (close.shift(-2) / close.shift(-1) - 1).stack().reindex(market.ohlcv.index)
    pd.testing.assert_series_equal(market.label, expected, check_names=False, rtol=1e-12)
    assert expected[:-12].isna().any(), "no gap was met"
    assert market.label.name == "label"
    assert market.label.attrs == {"horizon": 1, "delay": 1, "reach": 2}


# --- the planted signal --------------------------------------------------------------------

COMPONENTS = {
    "momentum": ({"momentum_lookback": 8, "reversal_lookback": 3}, range(3, 8), 1),
    "reversal": ({"reversal_lookback": 4}, range(4), -1),
    "sector": ({"sector_lookback": 2, "n_sectors": 6}, range(2), 1),
    "periodic": ({"periods": (4, 7)}, (2, 6, 5, 12), 1),
    "lagged": ({"lag": 6}, (6,), 1),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_signal_is_the_stated_function_of_the_closes_in_the_table(name):
    settings, lags, sign = COMPONENTS[name]
    given = OFF | {name: 0.1} | settings
    market = make_market(30, 120, random_state=1, missing_days=0.05, late_listings=0.3, **given)
    close = market.ohlcv["close"]
    present = wide(close).notna()
    returns = seen_returns(close).fillna(0)
    score = sum(returns.shift(lag, fill_value=0) for lag in lags)
    if name == "sector":
        # A stock counts from the day after its first close on: then it has a return.
        counts = present.cummax().shift(1, fill_value=False).astype(float)
        by_sector = [frame.T.groupby(market.concepts) for frame in (score, counts)]
        total, size = (groups.transform("sum").T for groups in by_sector)
        score = (total - score) / (size - counts).clip(lower=1)
    expected = sign * standardized(score, present)
    signal = wide(market.signal)
    # What is left is one constant: the strength times the noise's standard deviation.
    active = present & (expected.abs() > 1e-6)
    constant = (signal / expected).to_numpy()[active]
    assert len(constant) > 0.8 * len(market.signal)
    np.testing.assert_allclose(constant, np.median(constant), rtol=1e-6)
    assert 0.1 * 0.01 < np.median(constant) < 0.1 * 0.03
    assert (signal.to_numpy()[present & expected.isna()] == 0).all()


@pytest.mark.parametrize("late_listings", [0.0, 0.3])
def test_a_longer_market_begins_like_the_shorter_one(late_listings):
    given = {"n_stocks": 10, "late_listings": late_listings, "periodic": 0.1, "random_state": 3}
    short, long = make_market(n_days=500, **given), make_market(n_days=510, **given)
    n = len(short.ohlcv)
    pd.testing.assert_frame_equal(short.ohlcv, long.ohlcv.iloc[:n])
    np.testing.assert_array_equal(short.signal, long.signal.iloc[:n])
    assert len(long.ohlcv) > n + 80


@pytest.mark.parametrize("strength", [0.1, 0.3])
@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_alone_has_an_ic_near_its_strength(name, strength):
    market = make_market(150, 500, random_state=0, **(OFF | {name: strength}))
    expected = strength / np.sqrt(1 + strength**2)
    # 500 days of 150 stocks: the mean IC has a standard error of 0.004.
    assert market.ic_ceiling == pytest.approx(expected, abs=0.015)
    assert market.ic_ceiling == pytest.approx(daily_corr(market.signal, market.label), abs=1e-10)


def test_the_label_varies_one_to_one_with_the_signal():
    market = make_market(200, 600, random_state=0, periodic=0.1, lagged=0.1)
    table = pd.DataFrame({"x": market.signal, "y": market.label}).dropna()
    table -= table.groupby(level="datetime").transform("mean")
    slope = (table.x * table.y).sum() / (table.x**2).sum()
    assert slope == pytest.approx(1, abs=0.06)


def test_default_market_can_be_learned_to_about_a_tenth():
    assert make_market(200, 500, random_state=0).ic_ceiling == pytest.approx(0.1, abs=0.015)


def test_without_components_there_is_nothing_to_find():
    market = make_market(20, 100, random_state=0, **OFF)
    assert (market.signal == 0).all()
    assert market.ic_ceiling == 0.0
    assert market.label.std() > 0.01


def test_the_sector_signal_is_in_the_sector_and_not_in_the_stock():
    market = make_market(150, 500, random_state=2, **(OFF | {"sector": 0.2}))
    own = seen_returns(market.ohlcv["close"]).fillna(0)
    sector = own.T.groupby(market.concepts).transform("mean").T
    others = sector - own / 10
    assert daily_corr(others, market.label) > 0.17
    # The stock's own returns up to the day, over any of these spans, say (almost) nothing.
    for span in (1, 5, 20):
        assert abs(daily_corr(own.rolling(span).sum(), market.label)) < 0.05


def test_the_planted_lag_stands_out():
    market = make_market(100, 400, random_state=0, lag=7, **(OFF | {"lagged": 0.3}))
    returns = seen_returns(market.ohlcv["close"])
    ic = [daily_corr(returns.shift(k), market.label) for k in range(15)]
    assert np.argmax(ic) == 7
    assert max(ic) > 5 * max(ic[:7] + ic[8:])


# --- the prices ----------------------------------------------------------------------------


def test_table_is_a_sorted_panel_of_business_days():
    market = make_market(12, 80, start="2015-08-01", random_state=0)
    assert market.ohlcv.columns.tolist() == ["open", "high", "low", "close", "volume"]
    assert market.ohlcv.dtypes.astype(str).tolist() == ["float64"] * 4 + ["int64"]
    assert market.ohlcv.index.names == ["datetime", "instrument"]
    assert market.ohlcv.index.is_monotonic_increasing
    assert market.ohlcv.index.is_unique
    days = market.ohlcv.index.unique("datetime")
    assert days[0] == pd.Timestamp("2015-08-03"), "the first business day"
    assert days.equals(pd.bdate_range("2015-08-03", periods=80, name="datetime"))
    assert "80 business days" in market.DESCR
    assert f"{market.ic_ceiling:.4f}" in market.DESCR


def test_prices_of_a_day_are_consistent():
    o, h, lo, c, v = (column for _, column in make_market(50, 300, random_state=0).ohlcv.items())
    assert (lo > 0).all()
    assert (lo <= np.minimum(o, c)).all()
    assert (h >= np.maximum(o, c)).all()
    assert (v > 0).all()
    # Neither degenerate nor out of proportion.
    assert ((h / lo - 1).groupby("instrument").median().between(0.005, 0.1)).all()
    assert (o != c).mean() > 0.95


def test_returns_look_like_stock_returns():
    market = make_market(100, 600, random_state=0, late_listings=0, missing_days=0, **OFF)
    returns = wide(market.ohlcv["close"]).pct_change().iloc[1:]
    own = returns.sub(returns.mean(axis=1), axis=0)
    assert own.std().between(0.006, 0.045).all()
    assert own.std().max() > 2 * own.std().min()
    assert own.kurt().median() > 1.5, "fat tails"
    size = own.abs()
    clustering = np.mean([size[s].autocorr(5) for s in size])
    assert clustering > 0.05, "calm and stormy times"
    volume = np.log(wide(market.ohlcv["volume"]))
    assert np.mean([volume[s].autocorr(1) for s in volume]) > 0.4
    assert volume.iloc[1:].corrwith(size).mean() > 0.2
    assert returns.mean(axis=1).std() == pytest.approx(0.01, rel=0.3)


@pytest.mark.parametrize("name", [*COMPONENTS, "all"])
def test_prices_stay_in_range_at_full_strength(name):
    on = dict.fromkeys(COMPONENTS, 1.0) if name == "all" else OFF | {name: 1.0}
    market = make_market(20, 1500, late_listings=0.5, random_state=0, **on)
    close = market.ohlcv["close"]
    growth = close / close.groupby(level="instrument").transform("first")
    assert growth.between(1e-4, 1e4).all()
    # Nor does anything pull at a price before the stock lists.
    assert close.groupby(level="instrument").first().between(0.5, 1000).all()
    assert market.label.abs().max() < 1
    assert market.ic_ceiling > 0.6


def test_no_return_can_reach_minus_one():
    shocks = _simulation._shocks(np.random.default_rng(0), np.zeros(1000), 1.0, 0.3)
    assert np.abs(shocks).max() == 0.3
    signal = len(COMPONENTS) * _simulation.SCORE_LIMIT * _simulation.VOLATILITY[1]
    assert signal + _simulation.STOCK_LIMIT + _simulation.MARKET_LIMIT < 1


def test_late_listings_and_missing_days():
    whole = make_market(40, 600, late_listings=0, missing_days=0, random_state=0).ohlcv
    assert len(whole) == 40 * 600

    late = make_market(40, 600, late_listings=0.3, missing_days=0, random_state=0).ohlcv
    days = late.index.unique("datetime")
    first = late.reset_index("datetime").groupby("instrument")["datetime"].min()
    assert (first > days[0]).sum() == 12
    assert first.max() <= days[250]
    assert first.nunique() > 6
    rows = late.groupby("instrument").size()
    assert (rows == 600 - days.get_indexer(first)).all(), "no gap after the listing"

    gaps = make_market(40, 600, late_listings=0, missing_days=0.05, random_state=0).ohlcv
    assert 1 - len(gaps) / len(whole) == pytest.approx(0.05, abs=0.01)


def test_every_stock_lists_and_every_day_trades_in_the_smallest_markets():
    for seed in range(20):
        market = make_market(
            2, 4, late_listings=0.9, missing_days=0.6, random_state=seed, **OFF
        ).ohlcv
        assert market.index.unique("datetime").size == 4
    market = make_market(20, 40, late_listings=0.9, missing_days=0, random_state=0).ohlcv
    assert market.index.unique("instrument").size == 20


def test_concepts_name_one_sector_of_equal_size_for_each_stock():
    market = make_market(50, 60, n_sectors=12, random_state=0)
    assert market.concepts.name == "sector"
    assert market.concepts.index.name == "instrument"
    assert market.concepts.index.equals(market.ohlcv.index.levels[1])
    assert set(market.concepts.value_counts()) == {4, 5}
    assert market.concepts.nunique() == 12
    assert make_market(47, 60, random_state=0).concepts.nunique() == 4


# --- seeds and arguments -------------------------------------------------------------------


def are_same_market(a, b):
    return a.ohlcv.equals(b.ohlcv) and a.signal.equals(b.signal) and a.label.equals(b.label)


@pytest.mark.parametrize("make", [int, np.random.RandomState, np.random.default_rng])
def test_same_seed_same_market(make):
    first, again, other = (make_market(10, 50, random_state=make(seed)) for seed in (5, 5, 6))
    assert are_same_market(first, again)
    assert not are_same_market(first, other)


def test_a_generator_moves_on_from_call_to_call():
    rng = np.random.default_rng(5)
    first, second = (make_market(10, 50, random_state=rng) for _ in range(2))
    assert not are_same_market(first, second)
    assert are_same_market(first, make_market(10, 50, random_state=5))


def test_global_numpy_state_is_neither_used_nor_changed():
    before = np.random.get_state()  # noqa: NPY002
    first = make_market(10, 50)
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert not are_same_market(first, make_market(10, 50))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_stocks": 1}, r"n_stocks\b.*\b2\b.*\b1\b"),
        ({"n_days": 2.5}, r"n_days\b.*\b2\.5\b"),
        ({"n_days": 22}, r"n_days\b.*\b23\b.*'momentum'.*\b22\b"),
        ({"n_days": 50, "lagged": 0.1, "lag": 47}, r"n_days\b.*\b51\b.*'lagged'.*\b50\b"),
        ({"n_stocks": 9, "n_sectors": 5}, r"n_stocks\b.*n_sectors = 10\b.*\b9\b"),
        ({"n_sectors": 1}, r"n_sectors\b.*\b2\b.*\b1\b"),
        *(({n: -0.1}, rf"{n}\b.*\b0\b.*\b1\b.*-0\.1\b") for n in COMPONENTS),
        ({"sector": float("nan")}, r"sector\b.*\bnan\b"),
        ({"late_listings": 1.0}, r"late_listings\b.*\b0\b.*\b1\b.*\b1\.0\b"),
        ({"missing_days": -0.5}, r"missing_days\b.*\b0\b.*\b1\b.*-0\.5\b"),
        ({"reversal_lookback": 0}, r"reversal_lookback\b.*\b1\b.*\b0\b"),
        ({"momentum_lookback": 5}, r"momentum_lookback\b.*\breversal_lookback\b"),
        ({"lag": -1}, r"lag\b.*\b0\b.*-1\b"),
        ({"periods": (5, 1)}, r"periods\b.*\b1\b.*\(5, 1\)"),
        ({"periods": (5, 7.5)}, r"periods\b.*\(5, 7\.5\)"),
        ({"periods": 5}, r"periods\b.*\b5\b"),
        ({"periods": (), "periodic": 0.1}, r"^periods\b.*\bnone\b"),
        ({"start": "soon"}, r"\bstart\b.*'soon'"),
        ({"start": None}, r"\bstart\b.*\bNone\b"),
        ({"start": 20100104}, r"\bstart\b.*\b20100104\b"),
        ({"random_state": "x"}, r"random_state\b.*'x'"),
    ],
)
def test_bad_arguments_are_named_with_what_is_allowed(given, message):
    with pytest.raises(ValueError, match=message):
        make_market(**given)


def test_look_back_of_a_component_that_is_off_does_not_matter():
    market = make_market(3, 10, momentum_lookback=100, lag=100, **(OFF | {"reversal": 0.1}))
    assert market.ohlcv.index.unique("datetime").size == 10


def test_datasets_do_not_import_torch_or_skfolio():
    code = "import sys, skattn.datasets; print({'torch', 'skfolio'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_stocks": 2**31 - 1}, "n_stocks.*100,000,000"),
        ({"n_days": 10**30}, "n_days.*150,000"),
        ({"n_stocks": 10_000, "n_days": 20_000}, r"n_stocks \* n_days.*100,000,000"),
        ({"momentum_lookback": 2**31 - 1}, "momentum_lookback.*150,000"),
        ({"start": True}, "start must hold dates.*True"),
        ({"start": 20240102}, "start must hold dates.*20240102"),
    ],
)
def test_sizes_and_dates_that_are_slips(params, message):
    with pytest.raises(ValueError, match=message):
        make_market(**params)
