"""What is wrong with a parameter or a table is named, in fit and in transform."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import OHLCV, columns_of_ones, ragged_prices, with_value
from numpy import nan
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    CrossSectionalScaler,
    RobustZScore,
    RollingWindow,
    SequenceReshaper,
)

PRICES = ragged_prices(missing=0.0)


@pytest.mark.parametrize(
    ("transformer", "X", "message"),
    [
        (Alpha360(), PRICES.drop(columns="open"), r"\['open'\].*\['high'"),
        (Alpha360(), PRICES[["close", "high"]], r"X.*\['open', 'low', 'volume'\]"),
        (
            Alpha360(),
            PRICES[["close", "volume"]],
            r"Alpha360\(\['close', 'volume'\]\) makes windows",
        ),
        (Alpha360(["vwap"]), PRICES, r"\['vwap'\].*vwap=\"typical\""),
        (
            Alpha360(vwap="typical"),
            PRICES.drop(columns="high"),
            r"X.*\['high'\]",
        ),
        (
            Alpha360(),
            PRICES.assign(open="a", low=pd.Categorical(["x"] * len(PRICES))),
            r"'open'.*'low' \(category\)",
        ),
        (Alpha360(), PRICES.assign(low=pd.Timestamp(0)), r"'low' \(datetime64"),
        (
            Alpha360(),
            with_value(PRICES.astype(object), 3, "high", "n/a"),
            "'high'.*'n/a'",
        ),
        (
            Alpha360(),
            with_value(PRICES, 7, "low", -np.inf),
            r"\['low'\].*" + re.escape(repr(PRICES.index[7][1])),
        ),
        (
            Alpha360(),
            with_value(with_value(PRICES, 9, "open", np.inf), 7, "volume", np.inf),
            r"\['open', 'volume'\].*" + re.escape(str(PRICES.index[9][0])),
        ),
        (Alpha360(), PRICES.reset_index(drop=True), "X.*RangeIndex"),
        (Alpha360(), pd.concat([PRICES, PRICES[:1]]), r"X.*\(2024-01-16, 'S1'\)"),
        (Alpha360(), PRICES[:0], r"0 sample\(s\)"),
        (Alpha360(layout="wide"), PRICES, "layout.*'wide'"),
        (Alpha360(vwap="close"), PRICES, "vwap.*'close'"),
        (Alpha360("close"), PRICES, r"fields.*'close'\.$"),
        (Alpha360(["close", "adj"]), PRICES, r"fields.*\['close', 'adj'\]"),
        (Alpha360([]), PRICES, r"fields.*\[\]"),
        (Alpha360(["low", "low"]), PRICES, r"fields.*\['low', 'low'\]"),
        (Alpha360(length=0), PRICES, r"length.*\b0\b"),
        (Alpha360(), np.ones((3, 4, 4)), r"\b4\b.*'volume'"),
        (Alpha360(["open", "high"]), np.ones((3, 4, 2)), r"\('open', 'high'\).*\bclose\b"),
        (Alpha360(["close", "open"]), np.ones((3, 4)), r"\b1\b.*\('close', 'open'\)"),
        (RobustZScore(0), PRICES, r"clip.*\b0\b"),
        (RobustZScore(nan), PRICES, r"clip.*\bnan\b"),
        (RobustZScore(), with_value(PRICES, 7, "low", np.inf), "infinity"),
        (RobustZScore(), np.full((2, 3, 4), np.inf), "infinity"),
        (RobustZScore(), PRICES.assign(open="a"), r"X.*'open' \("),
        (RobustZScore(), pd.concat([PRICES, PRICES[:1]]), r"X.*\(2024-01-16, 'S1'\)"),
        (RobustZScore(), np.ones((2, 2, 2, 2)), r"X.*\b4\b"),
        (RobustZScore(), np.ones(3), "Expected 2D array"),
        (RobustZScore(), np.empty((0, 3, 4)), r"0 sample\(s\)"),
        (RobustZScore(), Alpha360().fit_transform(PRICES)[:0], r"0 sample\(s\)"),
        (RobustZScore(), np.ones((2, 0, 4)), r"\(2, 0, 4\)"),
        (SequenceReshaper(), columns_of_ones("CLOSE1", "CLOSE0", "OPEN0"), r"\b1\b.*OPEN1"),
        (
            SequenceReshaper(),
            columns_of_ones("CLOSE7", "CLOSE0"),
            r"\b6\b.*CLOSE6, CLOSE5, CLOSE4, CLOSE3, CLOSE2, \.\.\.",
        ),
        (
            SequenceReshaper(),
            columns_of_ones("CLOSE1", "CLOSE0", "CLOSE0"),
            "CLOSE0.*CLOSE0",
        ),
        (SequenceReshaper(2), columns_of_ones("CLOSE1", "CLOSE0"), r"n_features=2.*\b1\b"),
        (SequenceReshaper(by="lag"), np.ones((2, 4)), "by.*'lag'"),
        (SequenceReshaper(3), np.ones((2, 4)), r"\b4\b.*n_features=3"),
        (SequenceReshaper(0), np.ones((2, 4)), r"n_features.*\b0\b"),
        (SequenceReshaper(2.0), np.ones((2, 4)), r"n_features.*\b2\.0\b"),
        (SequenceReshaper(), np.ones((2, 4, 2)), r"X.*\(2, 4, 2\)"),
        (SequenceReshaper(), np.array([[1.0, np.inf]]), "infinity"),
        (SequenceReshaper(), PRICES.assign(open="a"), r"X.*'open' \("),
    ],
)
def test_fit_says_what_is_wrong(transformer, X, message):
    with pytest.raises(ValueError, match=message):
        transformer.fit(X)


@pytest.mark.parametrize(
    ("transformer", "fitted", "X", "message"),
    [
        (Alpha360(), PRICES, PRICES.drop(columns="open"), r"X.*\['open'\]"),
        (Alpha360(), PRICES, with_value(PRICES, 2, "open", np.inf), r"infinity.*\['open'\]"),
        (Alpha360(), PRICES, PRICES.reset_index(drop=True), "X.*RangeIndex"),
        (Alpha360(), PRICES, PRICES[:0], r"0 sample\(s\)"),
        (Alpha360(), np.ones((3, 4, 5)), PRICES, "X.*table.*Alpha360.*3 dimensions"),
        (Alpha360(), np.ones((3, 4, 5)), np.ones((3, 3, 5)), r"\b3 steps.*\b4 steps"),
        (
            Alpha360(),
            np.ones((3, 4, 5)),
            np.ones((3, 4, 6)),
            r"\b6 features.*\b5 features",
        ),
        (Alpha360(), np.ones((3, 4)), np.ones((3, 5)), r"X.*\b5\b.*\b4\b"),
        (Alpha360(), np.ones((3, 4)), np.ones((3, 4, 1)), r"X.*\b3\b.*\b2\b"),
        (RobustZScore(), np.ones((3, 4)), np.ones((3, 5)), r"X.*\b5\b.*\b4\b"),
        (RobustZScore(), np.ones((3, 4)), np.ones((3, 4, 1)), r"X.*\b3\b.*\b2\b"),
        (RobustZScore(), np.ones((3, 4, 1)), np.ones((3, 4)), r"X.*\b2\b.*\b3\b"),
        (
            RobustZScore(),
            Alpha360(length=3).fit_transform(PRICES),
            Alpha360(length=4).fit_transform(PRICES),
            r"\b4 steps.*\b3 steps",
        ),
        (
            RobustZScore(),
            Alpha360(length=3).fit_transform(PRICES),
            np.ones((2, 3, 6)),
            r"\b6 features.*\b5 features",
        ),
        (
            RobustZScore(),
            Alpha360(["close", "open"], length=3).fit_transform(PRICES),
            Alpha360(["open", "close"], length=3).fit_transform(PRICES),
            "X.*open, close.*close, open",
        ),
        (RobustZScore(), np.ones((4, 3, 2)), np.ones((3, 2)), r"X.*x\[None\]"),
        (RobustZScore(), PRICES, PRICES[OHLCV[::-1]], "must be in the same order"),
        (
            SequenceReshaper(),
            columns_of_ones("CLOSE1", "CLOSE0"),
            columns_of_ones("CLOSE1", "OPEN0"),
            r"\b2\b.*CLOSE0, OPEN1",
        ),
        (
            SequenceReshaper(),
            columns_of_ones("CLOSE1", "CLOSE0"),
            columns_of_ones("CLOSE1"),
            r"\b1\b.*CLOSE0",
        ),
        (
            SequenceReshaper(),
            columns_of_ones("CLOSE1", "CLOSE0"),
            columns_of_ones("CLOSE2", "CLOSE1", "CLOSE0"),
            "unseen at fit time:\n- CLOSE2",
        ),
        (SequenceReshaper(2), np.ones((3, 4)), np.ones((3, 6)), r"X.*\b6\b.*\b4\b"),
    ],
)
def test_transform_says_what_is_wrong(transformer, fitted, X, message):
    transformer = clone(transformer).fit(fitted)
    with pytest.raises(ValueError, match=message):
        transformer.transform(X)


@pytest.mark.parametrize("field", ["close", "open", "high", "low", "volume"])
@pytest.mark.parametrize("transformer", [Alpha360(length=3), Alpha158((5,))])
def test_negative_prices_and_volume_are_refused(transformer, field):
    table = ragged_prices(missing=0.0)
    table[field] = table[field].where(np.arange(len(table)) != 4, -5.0)
    with pytest.raises(ValueError, match=rf"'{field}'.*\b1\b.*-5\.0"):
        clone(transformer).fit(table)


@pytest.mark.parametrize("transformer", [Alpha360(length=3), Alpha158((5,))])
def test_a_high_below_the_low_is_reported(transformer):
    table = ragged_prices(missing=0.0)
    table["high"] = np.maximum(table["high"], table["low"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(transformer).fit(table)
    table.iloc[[2, 5], table.columns.get_loc("high")] = 1e-6
    with pytest.warns(UserWarning, match=rf"high.*low.*\b2 of {len(table)}\b"):
        clone(transformer).fit(table)


@pytest.mark.parametrize("cls", [Alpha360, RollingWindow])
def test_small_integers_of_numpy_do_not_overflow(cls, market):
    X = market.ohlcv
    kept = {"vwap": "typical"} if cls is Alpha360 else {}
    earlier, later = X[:900], X[900:]
    small, plain = (cls(length=length, **kept).fit(earlier) for length in (np.uint8(200), 200))
    assert_array_equal(np.asarray(small.transform(later)), np.asarray(plain.transform(later)))


def table_of(change):
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2024-01-01", periods=4), ["A", "B"]], names=["datetime", "instrument"]
    )
    values = np.random.default_rng(0).normal(size=(8, 2))
    values[1, 0] = np.nan
    return change(pd.DataFrame(values, index, ["a", "b"]))


@pytest.mark.parametrize("step", [RobustZScore(), CrossSectionalScaler(), RollingWindow(2)])
@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.astype(pd.SparseDtype("float64", np.nan)),
        lambda f: f.astype(pd.SparseDtype("float64", 0.0)),
        lambda f: f.assign(a=f.a.astype(pd.SparseDtype("float64", np.nan))),
        lambda f: f.astype(object).where(f.notna(), pd.NA),
        lambda f: f.astype(object).where(f.notna(), None),
        lambda f: f.astype("Float64"),
    ],
    ids=["sparse", "sparse zeros", "one sparse", "NA", "None", "Float64"],
)
def test_columns_of_other_kinds_are_read_as_floats(step, change):
    plain = np.asarray(step.fit_transform(table_of(lambda f: f)))
    assert_array_equal(np.asarray(step.fit_transform(table_of(change))), plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.set_axis(["a", "a"], axis=1), "X has more than one column 'a'"),
        (lambda f: pd.concat([f, f[["b"]]], axis=1), "X has more than one column 'b'"),
        (lambda f: f.astype(object).where(f.notna(), "x"), "column 'a' of X.*'x'"),
        (lambda f: f.astype(object).where(f.notna(), 10**400), "column 'a' of X.*too large"),
        (lambda f: torch.ones(2, 2, requires_grad=True), "X cannot be read.*requires grad"),
        (lambda f: torch.ones(2, 2, device="meta"), "X cannot be read.*meta"),
        (lambda f: [[1.0], [1.0, 2.0]], "X cannot be read as an array"),
    ],
)
def test_tables_and_tensors_that_cannot_be_read(change, message):
    for step in (RobustZScore(), CrossSectionalScaler(), RollingWindow(2)):
        with pytest.raises((ValueError, TypeError), match=message):
            step.fit(table_of(change))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_jobs": 0}, "n_jobs must not be 0"),
        ({"n_jobs": [2]}, r"n_jobs must be an int.*\[2\]"),
        ({"n_jobs": 2**31 - 1}, "n_jobs.*1,024"),
        ({"lengths": iter([5])}, "lengths must be a sequence"),
        ({"lengths": [10**30]}, "lengths must be an int.*100,000"),
        ({"include": [["ROC"]]}, r"include must hold names.*\[\['ROC'\]\]"),
        ({"calendar": [20240102]}, "calendar must hold.*20240102"),
        ({"calendar": [[1]]}, "calendar must hold"),
    ],
)
def test_parameters_that_joblib_and_pandas_would_stumble_over(params, message, market):
    with pytest.raises((ValueError, TypeError), match=message):
        Alpha158(vwap="typical", **params).fit_transform(market.ohlcv)
