"""Fitted on history, asked for today: to the bit what the full table gives for today."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import days_in
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import skattn
from skattn.labels import make_label
from skattn.preprocessing import Alpha158, Alpha360, RobustZScore, RollingWindow

LOOKING_BACK = {
    "alpha360": Alpha360(length=12),
    "alpha158": Alpha158((5, 20)),
    "rolling": RollingWindow(12),
    "rolling, filled": RollingWindow(12, fill_method="ffill+bfill"),
}


@pytest.mark.parametrize("kind", LOOKING_BACK)
def test_each_day_alone_is_that_day_of_the_full_table(ragged_ohlcv, kind):
    transformer = LOOKING_BACK[kind]
    calendar = days_in(ragged_ohlcv).unique().sort_values()
    full = np.asarray(transformer.fit_transform(ragged_ohlcv))
    for position in (30, 70, 71, 100, len(calendar) - 1):
        day = calendar[position]
        transformer.fit(ragged_ohlcv[days_in(ragged_ohlcv) < day])
        today = days_in(ragged_ohlcv) == day
        assert_array_equal(np.asarray(transformer.transform(ragged_ohlcv[today])), full[today])
        # One stock of the day, too.
        one = np.flatnonzero(today)[-1:]
        assert_array_equal(np.asarray(transformer.transform(ragged_ohlcv.iloc[one])), full[one])


@pytest.mark.parametrize("kind", LOOKING_BACK)
def test_a_calendar_tells_of_days_that_nobody_passed(ragged_ohlcv, kind):
    """Two purged days are missing in the windows after them."""
    calendar = days_in(ragged_ohlcv).unique().sort_values()
    train = days_in(ragged_ohlcv) < calendar[80]
    purged = (days_in(ragged_ohlcv) >= calendar[80]) & (days_in(ragged_ohlcv) < calendar[82])
    test = days_in(ragged_ohlcv) >= calendar[82]
    transformer = clone(LOOKING_BACK[kind]).set_params(calendar=calendar)
    emptied = ragged_ohlcv[~purged]
    expected = np.asarray(transformer.fit_transform(emptied))[days_in(emptied) >= calendar[82]]
    got = np.asarray(transformer.fit(ragged_ohlcv[train]).transform(ragged_ohlcv[test]))
    assert_array_equal(got, expected)
    # Without a calendar: the index of a slice still knows the days that were dropped.
    transformer.set_params(calendar=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        known = np.asarray(transformer.fit(ragged_ohlcv[train]).transform(ragged_ohlcv[test]))
    assert_array_equal(known, expected)


@pytest.mark.parametrize("kind", LOOKING_BACK)
def test_days_that_nobody_knows_are_no_days(ragged_ohlcv, kind):
    """Days that have rows are neighbours then, with a warning where the pause is a long one."""
    calendar = days_in(ragged_ohlcv).unique().sort_values()
    days = days_in(ragged_ohlcv)
    train, test = (
        forget(ragged_ohlcv[mask]) for mask in (days < calendar[80], days >= calendar[82])
    )
    transformer = clone(LOOKING_BACK[kind])
    joined = np.asarray(transformer.fit_transform(pd.concat([train, test])))[len(train) :]
    with pytest.warns(UserWarning, match=r"\b2 weekdays.*calendar=") as caught:
        assert_array_equal(np.asarray(transformer.fit(train).transform(test)), joined)
    assert caught[0].filename == __file__
    # In a market that is closed for two days now and then, they may be holidays.
    closed = days_in(train).isin(calendar[[20, 21, 40, 41, 60, 61]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer.fit(forget(train[~closed])).transform(test)


@pytest.mark.parametrize("kind", LOOKING_BACK)
def test_equal_tables_have_equal_windows(ragged_ohlcv, kind):
    """A table that was cut out of a larger one still knows the days of other markets."""
    days = days_in(ragged_ohlcv)
    other_market = ragged_ohlcv[days.day % 5 != 0]
    transformer = clone(LOOKING_BACK[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = np.asarray(transformer.fit_transform(forget(other_market)))
        assert_array_equal(np.asarray(transformer.fit_transform(other_market)), expected)
        assert_array_equal(
            np.asarray(transformer.fit(forget(other_market)).transform(other_market)), expected
        )


def forget(table: pd.DataFrame) -> pd.DataFrame:
    """The same table, whose index knows the days of its rows and no others."""
    return table.set_axis(table.index.remove_unused_levels())


@pytest.mark.parametrize("kind", LOOKING_BACK)
def test_a_calendar_ends_and_the_market_goes_on(ragged_ohlcv, kind):
    calendar = days_in(ragged_ohlcv).unique().sort_values()
    history = ragged_ohlcv[days_in(ragged_ohlcv) < calendar[100]]
    later = ragged_ohlcv[days_in(ragged_ohlcv) >= calendar[100]]
    transformer = clone(LOOKING_BACK[kind])
    expected = np.asarray(transformer.fit(history).transform(later))
    transformer.set_params(calendar=calendar[:100])
    assert_array_equal(np.asarray(transformer.fit(history).transform(later)), expected)


@pytest.mark.parametrize("kind", LOOKING_BACK)
def test_long_pauses(ragged_ohlcv, kind):
    """After the fitted days they are padded; amid them, as k-fold splitters make them, reported."""
    calendar = days_in(ragged_ohlcv).unique().sort_values()
    hole = (days_in(ragged_ohlcv) >= calendar[60]) & (days_in(ragged_ohlcv) < calendar[80])
    rest = ragged_ohlcv[~hole]
    after = days_in(rest) >= calendar[80]
    transformer = clone(LOOKING_BACK[kind]).set_params(calendar=calendar)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = np.asarray(transformer.fit_transform(rest))
        transformer.set_params(calendar=None)
        later = transformer.fit(rest[~after]).transform(rest[after])
    assert_array_equal(np.asarray(later), expected[after])
    with pytest.warns(UserWarning, match=r"\b20 weekdays.*calendar=") as caught:
        joined = np.asarray(transformer.fit_transform(rest))
    assert caught[0].filename == __file__
    assert_array_equal(joined[~after], expected[~after])
    assert not np.array_equal(joined[after], expected[after], equal_nan=True)


@pytest.mark.parametrize("kind", LOOKING_BACK)
def test_a_calendar_may_tell_of_days_to_come(ragged_ohlcv, kind):
    calendar = days_in(ragged_ohlcv).unique().sort_values()
    early = ragged_ohlcv[days_in(ragged_ohlcv) < calendar[60]]
    expected = np.asarray(clone(LOOKING_BACK[kind]).fit_transform(early))
    transformer = clone(LOOKING_BACK[kind]).set_params(calendar=calendar)
    assert_array_equal(np.asarray(transformer.fit_transform(early)), expected)


@pytest.mark.parametrize("kind", LOOKING_BACK)
def test_a_fit_that_fails_leaves_the_last_one(ragged_ohlcv, kind):
    transformer = clone(LOOKING_BACK[kind]).fit(ragged_ohlcv)
    expected = np.asarray(transformer.transform(ragged_ohlcv[-20:]))
    with pytest.raises(ValueError, match="infinity"):
        transformer.fit(ragged_ohlcv.assign(close=np.inf))
    assert_array_equal(np.asarray(transformer.transform(ragged_ohlcv[-20:])), expected)


def test_parameters_that_changed_after_the_fit(ragged_ohlcv):
    windows = RollingWindow(3).fit(ragged_ohlcv).set_params(length=30)
    with pytest.raises(ValueError, match=r"\b2\b.*\b29\b"):
        windows.transform(ragged_ohlcv)
    features = Alpha158((5,)).fit(ragged_ohlcv)
    expected = features.transform(ragged_ohlcv)
    assert_frame_equal(features.set_params(lengths=(20,)).transform(ragged_ohlcv), expected)


def test_instruments_that_nobody_knows(ragged_ohlcv):
    other = ragged_ohlcv.rename(str.lower, level="instrument")
    with pytest.warns(UserWarning, match=r"X.*'s0'.*'S0'"):
        RollingWindow(3).fit(ragged_ohlcv).transform(other)


def test_clocks_that_skip_midnight():
    """In Iran, 2021-03-22 began at one o'clock."""
    days = pd.bdate_range("2021-03-01", periods=30) + pd.Timedelta(hours=15)
    index = pd.MultiIndex.from_product(
        [days.tz_localize("Asia/Tehran"), ["A"]], names=["datetime", "instrument"]
    )
    table = pd.DataFrame({"a": np.arange(30.0)}, index)
    windows = RollingWindow(3, calendar=days).fit(table[:5]).transform(table[25:])
    assert_array_equal(np.asarray(windows)[0, :, 0], [np.nan, np.nan, 25])


@pytest.mark.parametrize(
    "features",
    [
        [Alpha360(length=10), RobustZScore()],
        [
            Alpha158((5, 20), columns=["RESI5", "KLEN", "STD20", "CORR5"]),
            RobustZScore(),
            RollingWindow(8, fill_method="ffill+bfill"),
        ],
    ],
    ids=["alpha360", "alpha158"],
)
@pytest.mark.parametrize("model", ["alstm", "gru", "lstm", "transformer", "hist", "sfm"])
def test_predictions(ragged_ohlcv, model, features):
    parameters = {"d_model": 8, "nhead": 2, "dim_feedforward": 8} if model == "transformer" else {}
    if model != "transformer":
        parameters["hidden_size"] = 4
    if model == "hist":
        stocks = ragged_ohlcv.index.unique("instrument")
        parameters["concepts"] = pd.Series(np.arange(len(stocks)) % 3, stocks)
    regressor = skattn.make_model(model, max_epochs=1, random_state=0, **parameters)
    calendar = days_in(ragged_ohlcv).unique().sort_values()
    history = days_in(ragged_ohlcv) < calendar[-1]
    pipeline = make_pipeline(*features, regressor)
    pipeline.fit(ragged_ohlcv[history], make_label(ragged_ohlcv[history]))
    today = pipeline.predict(ragged_ohlcv[~history])
    assert len(today) > 5
    assert_array_equal(today, pipeline.predict(ragged_ohlcv)[~history])
