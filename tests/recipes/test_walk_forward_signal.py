"""From prices to a signal: what the recipe needs, does with less, and refuses."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import KEYS, assert_same_bits, days_in
from pandas.testing import assert_series_equal

from skattn import from_long, make_label, models
from skattn.datasets import make_market
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.recipes import make_signal_model, walk_forward_signal

SMALL = {
    "views": "prices",
    "n_seeds": 1,
    "hidden_size": 4,
    "num_layers": 1,
    "max_epochs": 1,
    "n_splits": 2,
    "test_size": 10,
}


@pytest.fixture(scope="module")
def ohlcv():
    return make_market(32, 100, missing_days=0.02, late_listings=0, random_state=0).ohlcv


@pytest.fixture(autouse=True)
def _no_warning():
    """Nothing warns but what a test expects."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_the_signal_is_that_of_the_model_by_walking_forward(ohlcv):
    signal = walk_forward_signal(ohlcv, ("gru", "lstm"), **SMALL)
    params = {k: v for k, v in SMALL.items() if k not in ("n_splits", "test_size")}
    expected = cross_val_signal(
        make_signal_model(("gru", "lstm"), **params),
        ohlcv,
        make_label(ohlcv),
        cv=DailyTimeSeriesSplit(2, test_size=10),
    )
    assert_series_equal(signal, expected, check_exact=True)
    assert signal.name == "signal"
    assert days_in(signal).nunique() == 20


def test_a_label_of_the_users_own(ohlcv):
    later = make_label(ohlcv, horizon=5)
    one, two = walk_forward_signal(ohlcv, **SMALL), walk_forward_signal(ohlcv, label=later, **SMALL)
    assert one.index.equals(two.index)
    assert not one.equals(two)


@pytest.mark.slow
def test_the_signal_does_not_depend_on_the_number_of_processes(ohlcv):
    one, two = (walk_forward_signal(ohlcv, n_jobs=n, **SMALL) for n in (None, 2))
    assert_series_equal(one, two, check_exact=True)


# Less than all prices ---------------------------------------------------------------------------


@pytest.mark.parametrize("volume", [None, np.nan, 0, 0.0, pd.NA])
@pytest.mark.parametrize("views", ["factors", "prices"])
def test_without_volume_the_recipe_warns_and_leaves_it_out(ohlcv, volume, views):
    prices = ohlcv.drop(columns="volume")
    given = prices if volume is None else prices.assign(volume=volume)
    params = {**SMALL, "views": views}
    with pytest.warns(UserWarning, match="ohlcv has no volume: the recipe leaves out the 40 feat"):
        signal = walk_forward_signal(given, **params)
    # The same without a warning, where it is said.
    assert_series_equal(signal, walk_forward_signal(given, volume=False, **params))
    assert_series_equal(signal, walk_forward_signal(ohlcv, volume=False, **params))
    with pytest.raises(ValueError, match="volume=True needs the column 'volume' with values"):
        walk_forward_signal(given, volume=True, **params)


def test_volume_that_is_there_is_used(ohlcv):
    with_volume = walk_forward_signal(ohlcv, **SMALL)
    assert not with_volume.equals(walk_forward_signal(ohlcv, volume=False, **SMALL))
    assert_series_equal(with_volume, walk_forward_signal(ohlcv, volume=True, **SMALL))


@pytest.mark.parametrize("views", ["factors", "prices"])
def test_vwap_and_other_columns_are_left_out(ohlcv, views):
    """The typical price stands for vwap, so that markets with and without vwap compare."""
    params = {**SMALL, "views": views}
    more = ohlcv.assign(vwap=7.0, sector="a")
    assert_series_equal(walk_forward_signal(ohlcv, **params), walk_forward_signal(more, **params))


def test_another_market(ohlcv):
    """Names, columns and calendar of a vendor elsewhere: Sunday to Thursday, in time zones."""
    sundays = pd.date_range("2020-01-05", periods=200, tz="Asia/Riyadh")
    sundays = sundays[~sundays.day_of_week.isin([4, 5])]
    days = days_in(ohlcv).unique()
    table = ohlcv.reset_index().rename(columns={"datetime": "Date", "instrument": "Ticker"})
    table["Date"] = table["Date"].map(dict(zip(days, sundays, strict=False)))
    table["Ticker"] = table["Ticker"].map(lambda name: f"BRK.{name}")
    there = from_long(table.sample(frac=1, random_state=0), datetime="Date", instrument="Ticker")
    signal = walk_forward_signal(there, **SMALL)
    assert_same_bits(signal, walk_forward_signal(ohlcv, **SMALL))


def test_rows_in_any_order_have_the_same_signal(ohlcv):
    mixed = ohlcv.sample(frac=1, random_state=0).reorder_levels(["instrument", "datetime"])
    signal = walk_forward_signal(mixed, **SMALL)
    assert signal.index.names == ["instrument", "datetime"]
    assert days_in(signal).nunique() == 20


def test_ten_stocks_work_with_a_warning(ohlcv):
    few = ohlcv[ohlcv.index.get_level_values("instrument").isin([f"S{i:02d}" for i in range(10)])]
    with pytest.warns(UserWarning, match="ohlcv has 10 stocks: with fewer than 30, ranks"):
        signal = walk_forward_signal(few, **SMALL)
    assert np.isfinite(signal).all()


# How long to train ------------------------------------------------------------------------------


def epochs_of(monkeypatch, ohlcv, names="gru", **params) -> dict[str, int]:
    """The epochs that the recipe chooses, by class of model."""
    chosen = {}

    def record(model, *args, **kwargs):
        for each in model.get_params().values():
            if hasattr(each, "max_epochs"):
                chosen[type(each).__name__] = each.max_epochs
        return model

    monkeypatch.setattr("skattn.recipes._walk_forward.cross_val_signal", record)
    walk_forward_signal(ohlcv, names, **params)
    return chosen


def big(n_days: int, n_stocks: int) -> pd.DataFrame:
    """Prices of ones, for what looks at the size alone."""
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2020-01-01", periods=n_days), range(n_stocks)],
        names=["datetime", "instrument"],
    )
    return pd.DataFrame(1.0, index, ["open", "high", "low", "close", "volume"])


@pytest.mark.parametrize(
    ("n_days", "n_stocks", "params", "expected"),
    [
        # 300 stocks for two years in a fold: as the recipe was tuned.
        (960, 300, {}, 3),
        # 2400 rows in a fold on average are 3 batches of 800.
        (480, 100, {}, 17),
        (480, 30, {}, 50),
        (480, 100, {"batch_size": 80}, 3),
        (480, 100, {"batch_size": 2**31 - 1}, 50),
        # By days, the number of stocks does not count.
        (480, 100, {"batch": "days"}, 3),
        (480, 100, {"batch": "days", "days_per_batch": 10}, 21),
        (480, 100, {"max_epochs": 2}, 2),
    ],
)
def test_small_markets_are_trained_for_more_epochs(monkeypatch, n_days, n_stocks, params, expected):
    assert epochs_of(monkeypatch, big(n_days, n_stocks), **params) == {"GRURegressor": expected}


def test_each_model_is_trained_by_its_own_batches(monkeypatch):
    """A step of HIST is a day, whatever the number of stocks."""
    chosen = epochs_of(monkeypatch, big(200, 100), ("gru", "hist"), n_splits=2, test_size=40)
    assert chosen == {"GRURegressor": 40, "HISTRegressor": 5}
    assert models.HISTRegressor().days_per_batch == 1


# Errors -----------------------------------------------------------------------------------------


def test_columns_that_are_absent_are_named(ohlcv):
    with pytest.raises(ValueError, match=r"ohlcv lacks the columns \['open', 'high'\]; it has"):
        walk_forward_signal(ohlcv[["low", "close", "volume"]])
    with pytest.raises(
        ValueError, match=r"lacks the column \['close'\].*needs open, high, low, cl"
    ):
        walk_forward_signal(ohlcv.drop(columns="close"))
    hint = r"lacks the columns .*ohlcv\.rename\(columns=str\.lower\) renames them"
    with pytest.raises(ValueError, match=hint):
        walk_forward_signal(ohlcv.rename(columns=str.capitalize))
    volume = ohlcv.rename(columns={"volume": "Volume"})
    with pytest.warns(UserWarning, match=r"no volume: .*ohlcv\.rename\(columns=str\.lower\)"):
        walk_forward_signal(volume, **SMALL)
    double = pd.concat([ohlcv, ohlcv[["close"]]], axis=1)
    with pytest.raises(ValueError, match=r"ohlcv has more than one column \['close'\]"):
        walk_forward_signal(double)


def test_a_volume_of_text_is_refused(ohlcv):
    with pytest.raises(ValueError, match="volume"):
        walk_forward_signal(ohlcv.assign(volume="many"), **SMALL)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {},
            "ohlcv has 90 days, of which 15 come before the first test day with n_splits=5 and "
            "test_size=None. The recipe needs 70 there: .* Pass 420 days or more, fewer n_splits, "
            "or a smaller test_size.",
        ),
        ({"n_splits": 2}, "of which 30 come .* Pass 210 days or more"),
        ({"n_splits": 3, "test_size": 7}, "of which 69 come .* Pass 91 days or more"),
        ({"test_size": 50}, "of which 0 come .* Pass 320 days or more"),
    ],
)
def test_ninety_days_are_refused_with_the_number_that_is_needed(monkeypatch, params, text):
    with pytest.raises(ValueError, match=text):
        walk_forward_signal(big(90, 30), **params)
    needed = int(text.partition("Pass ")[2].partition(" ")[0])
    assert epochs_of(monkeypatch, big(needed, 30), **params)
    if "test_size" in params:
        with pytest.raises(ValueError, match=f"ohlcv has {needed - 1} days"):
            walk_forward_signal(big(needed - 1, 30), **params)


def test_the_days_that_are_needed_suffice(ohlcv):
    """Every feature is known somewhere in the first fit: no library warns of empty columns."""
    days = days_in(ohlcv).unique()
    table = ohlcv[days_in(ohlcv) <= days[89]]
    params = {**SMALL, "views": "factors"}
    assert days_in(walk_forward_signal(table, **params)).nunique() == 20


def test_tables_that_are_no_prices(ohlcv):
    for wrong in (None, ohlcv.to_numpy(), ohlcv["close"], "prices.parquet"):
        with pytest.raises(TypeError, match=r"ohlcv must be a DataFrame with a .*from_long"):
            walk_forward_signal(wrong)
    with pytest.raises(ValueError, match=r"The index of ohlcv must be a MultiIndex"):
        walk_forward_signal(ohlcv.reset_index())
    twice = pd.concat([ohlcv, ohlcv.iloc[[5]]])
    with pytest.raises(ValueError, match=r"ohlcv has 1 duplicate \(datetime, instrument\) key"):
        walk_forward_signal(twice)


def test_prices_that_give_no_label(ohlcv):
    text = "ohlcv gives no label: none of its 3[0-9]{3} rows is followed by two days"
    with pytest.raises(ValueError, match=text):
        walk_forward_signal(ohlcv.assign(close=np.nan), **SMALL)
    names = [f"{day:%m%d}-{stock}" for day, stock in ohlcv.index]
    by_day = ohlcv.set_axis(pd.MultiIndex.from_arrays([days_in(ohlcv), names], names=KEYS))
    with pytest.raises(ValueError, match=text):
        walk_forward_signal(by_day, **SMALL)


def test_labels_of_other_rows_or_without_a_value(ohlcv):
    label = make_label(ohlcv)
    with pytest.raises(ValueError, match="label has no label at all: it is NaN in all"):
        walk_forward_signal(ohlcv, label=label * np.nan, **SMALL)
    with pytest.raises(ValueError, match="ohlcv and label have the same length but different rows"):
        walk_forward_signal(ohlcv, label=label.iloc[::-1], **SMALL)
    with pytest.raises(ValueError, match=r"ohlcv.*label"):
        walk_forward_signal(ohlcv, label=label.iloc[1:], **SMALL)
    with pytest.raises(ValueError, match="The index of label must be a MultiIndex"):
        walk_forward_signal(ohlcv, label=label.reset_index(drop=True), **SMALL)
    for wrong in (label.to_numpy(), label.to_frame(), "close"):
        with pytest.raises(TypeError, match="label must be a Series with the index of ohlcv"):
            walk_forward_signal(ohlcv, label=wrong, **SMALL)
    with pytest.raises(ValueError, match="label"):
        walk_forward_signal(ohlcv, label=label.gt(0).map({True: "up", False: "down"}), **SMALL)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"models": 5}, "models must be a name or a list or tuple of names"),
        ({"models": "xgboost"}, "No model is named 'xgboost'; there are"),
        ({"views": "volume"}, r"views must be of \['factors', 'prices'\]; got 'volume'"),
        ({"n_splits": 1}, "n_splits must be an int of at least 2"),
        ({"n_splits": "a"}, "n_splits must be an int of at least 2"),
        ({"test_size": 0}, "test_size must be an int of at least 1"),
        ({"volume": "yes"}, "volume must be a bool or None; got 'yes'"),
        ({"batch_size": "a"}, "batch_size must be an int of at least 1; got 'a'"),
        ({"batch_size": 0}, "batch_size must be an int of at least 1; got 0"),
        ({"batch_size": None}, "batch_size must be an int of at least 1; got None"),
        ({"batch": "days", "days_per_batch": 0}, "days_per_batch must be an int of at least 1"),
        ({"batch": "weeks"}, "GRURegressor: batch must be one of 'rows', 'days'; got 'weeks'"),
        ({"n_split": 3}, "'n_split' is no parameter of the recipe"),
        ({"n_jobs": 0}, "n_jobs must not be 0"),
    ],
)
def test_an_error_names_the_parameter(ohlcv, params, text):
    given = {k: v for k, v in SMALL.items() if k != "max_epochs"} | params
    with pytest.raises((TypeError, ValueError), match=text):
        walk_forward_signal(ohlcv, **given)
