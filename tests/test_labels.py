"""Labels, the reach they tell, and what purge="auto" makes of it."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import KEYS, days_in, label_reaching
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing

from skattn.labels import holding_days, label_reach, make_label, resolve_purge
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.models import GRURegressor


def labels_by_hand(close, horizon=1, delay=1):
    """The definition, one row at a time."""
    days = sorted({day for day, _ in close.index})
    known = close.to_dict()
    labels = []
    for day, stock in close.index:
        at = days.index(day)
        late = [days[at + k] if at + k < len(days) else None for k in (delay, delay + horizon)]
        buy, sell = (known.get((d, stock), np.nan) for d in late)
        labels.append(sell / buy - 1)
    return np.array(labels)


def hourly(table):
    """Two bars of each stock and day."""
    later = table.rename(lambda day: day + pd.Timedelta(hours=1), level="datetime")
    return pd.concat([table, later])


# make_label -------------------------------------------------------------------------------------


@st.composite
def closes(draw):
    keys = draw(st.lists(st.tuples(st.integers(0, 8), st.sampled_from("ABC")), unique=True))
    prices = draw(st.lists(st.floats(1, 100), min_size=len(keys), max_size=len(keys)))
    days = pd.to_datetime("2024-01-01") + pd.to_timedelta([day for day, _ in keys], unit="D")
    index = pd.MultiIndex.from_arrays([days, [stock for _, stock in keys]], names=KEYS)
    return pd.Series(prices, index=index, dtype=float)


@settings(max_examples=25, deadline=None)
@given(closes(), st.integers(0, 2), st.integers(1, 3))
def test_label_is_its_definition_for_any_rows_in_any_order(close, delay, horizon):
    label = make_label(close, horizon, delay)
    expected = labels_by_hand(close, horizon, delay)
    np.testing.assert_allclose(label, expected, rtol=1e-12, atol=1e-15)
    assert label.index.equals(close.index)
    assert label.name == "label"
    assert label.attrs == {"horizon": horizon, "delay": delay, "reach": delay + horizon}


def test_label_takes_a_table_a_series_or_another_column(market):
    table = market.ohlcv.swaplevel()
    label = make_label(table)
    pd.testing.assert_series_equal(label, make_label(table["close"]))
    by_open = make_label(table, price="open")
    pd.testing.assert_series_equal(by_open, make_label(table["open"]))
    assert not np.allclose(by_open, label, equal_nan=True)
    np.testing.assert_array_equal(label.swaplevel(), market.label)


@pytest.mark.parametrize("missing", [0.0, np.nan])
def test_label_is_unknown_where_a_price_is(market, missing):
    close = market.ohlcv["close"].copy()
    close.iloc[500] = missing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        label = make_label(close)
    known = make_label(close.drop(close.index[500]))
    pd.testing.assert_series_equal(label.drop(close.index[500]), known)


def test_label_reads_nullable_and_integer_prices(market):
    close = (100 * market.ohlcv["close"]).round().astype("Int64")
    close.iloc[500] = pd.NA
    expected = make_label(close.astype(float))
    pd.testing.assert_series_equal(make_label(close), expected)


@pytest.mark.parametrize("given", [{"horizon": 0}, {"delay": -1}, {"horizon": 10**30}])
def test_label_rejects_days_out_of_range(market, given):
    ((name, value),) = given.items()
    with pytest.raises(ValueError, match=rf"{name}.*{value}\b"):
        make_label(market.ohlcv, **given)


@pytest.mark.parametrize("given", [{"horizon": 2.0}, {"horizon": "2"}, {"delay": True}])
def test_label_rejects_days_that_are_no_numbers(market, given):
    ((name, value),) = given.items()
    with pytest.raises(TypeError, match=rf"{name}.*{value!r}"):
        make_label(market.ohlcv, **given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.reset_index(), "ohlcv.*RangeIndex"),
        (lambda t: t["close"].unstack(), "ohlcv.*DatetimeIndex"),
        (lambda t: pd.concat([t, t.iloc[:1]]), r"ohlcv.*\(2010-01-04, 'S00'\)"),
        (lambda t: t[["open", "high"]], r"price='close'.*\b0\b"),
        (lambda t: t[["close", "close"]], r"price='close'.*\b2\b"),
        (lambda t: t.astype({"close": str}), r"ohlcv.*\bstr\b"),
        (lambda t: t.assign(close="n/a").astype(object), "ohlcv.*'n/a'"),
        (lambda t: t.assign(close=pd.Timestamp("2024-01-02")), "ohlcv.*datetime64"),
        (
            lambda t: t.assign(close=t.close.mask(t.index == t.index[3], np.inf)),
            r"infinity.*2010-01-04.*'S03'",
        ),
        (
            lambda t: t.set_axis(t.index.map(lambda key: (closing(*key), key[1]))),
            "2010-01-04.*15:00:00, 16:00:00",
        ),
        (hourly, "2010-01-04.*00:00:00, 01:00:00"),
        (lambda t: t.astype({"close": complex}), "ohlcv.*complex"),
        (
            lambda t: t.rename(lambda s: int(s[1:]) if s > "S05" else s, level="instrument"),
            "'instrument'.*int, str",
        ),
    ],
    ids=[
        "no index",
        "wide",
        "double",
        "no close",
        "two closes",
        "text",
        "objects",
        "dates",
        "inf",
        "two stamps",
        "hourly",
        "complex",
        "stocks of two types",
    ],
)
def test_label_says_what_is_wrong_with_the_prices(market, change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make_label(change(market.ohlcv.astype(float)))


def closing(day, stock):
    """An hour of the day that differs by stock."""
    return day.replace(hour=15 if stock < "S05" else 16)


def test_label_refuses_negative_prices(market):
    close = market.ohlcv["close"].copy()
    close.iloc[[7, 9]] *= -1
    with pytest.raises(ValueError, match=r"ohlcv.*\b2\b.*S07.*abs\(\)"):
        make_label(close)


def test_label_refuses_a_price_that_is_no_name(market):
    with pytest.raises(TypeError, match=r"price.*\['close'\]"):
        make_label(market.ohlcv, price=["close"])


def test_label_of_many_short_lived_stocks_takes_little_memory():
    n_stocks = 20_000
    stock = np.arange(n_stocks).repeat(3)
    days = pd.date_range("1950-01-01", periods=n_stocks + 2)[stock + np.tile([0, 1, 2], n_stocks)]
    index = pd.MultiIndex.from_arrays([days, stock], names=KEYS)
    tracemalloc.start()
    label = make_label(pd.Series(1.0, index))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e7
    assert label.notna().sum() == n_stocks


@pytest.mark.parametrize("horizon", [160, 10**9])
def test_a_horizon_beyond_the_calendar_knows_no_label(market, horizon):
    label = make_label(market.ohlcv, horizon, delay=0)
    assert label.isna().all()
    assert label.attrs["reach"] == horizon


def test_label_refuses_what_is_no_table(market):
    with pytest.raises(TypeError, match=r"ohlcv.*ndarray"):
        make_label(market.ohlcv["close"].to_numpy())


@pytest.mark.parametrize(
    "keep",
    [
        lambda y: y.iloc[10:50],
        lambda y: y.loc["2010-02-01":"2010-03-01"],
        lambda y: y[y > 0],
        lambda y: y.reindex(y.index[::-2]),
        lambda y: y.dropna(),
        lambda y: 100 * y - 1,
        lambda y: y.sort_index(level="instrument"),
        lambda y: y.sample(frac=0.5, random_state=0),
        lambda y: y.to_frame(),
        lambda y: y.to_frame()["label"],
        lambda y: pd.concat([y.iloc[:5], y.iloc[5:]]),
        lambda y: pickle.loads(pickle.dumps(y)),
        copy.deepcopy,
        lambda y: _safe_indexing(y, np.array([5, 3, 8])),
        lambda y: train_test_split(y, shuffle=False)[1],
    ],
    ids=[
        "iloc",
        "loc",
        "mask",
        "reindex",
        "dropna",
        "arithmetic",
        "sort",
        "sample",
        "to_frame",
        "column",
        "concat",
        "pickle",
        "deepcopy",
        "sklearn",
        "train_test_split",
    ],
)
def test_the_reach_survives(market, keep):
    kept = keep(make_label(market.ohlcv, horizon=6))
    assert label_reach(kept) == 7
    assert holding_days(kept) == 6


# Several horizons -------------------------------------------------------------------------------


@given(
    horizons=st.lists(st.integers(1, 30), min_size=1, max_size=4, unique=True),
    delay=st.integers(0, 3),
)
@settings(max_examples=20)
def test_a_table_of_horizons_holds_the_label_of_each(market, horizons, delay):
    labels = make_label(market.ohlcv, tuple(horizons), delay)
    assert list(labels.columns) == [f"{days}d" for days in horizons]
    assert label_reach(labels) == delay + max(horizons)
    assert resolve_purge("auto", labels) == delay + max(horizons)
    assert holding_days(labels) == (horizons[0] if len(horizons) == 1 else None)
    for name, days in zip(labels, horizons, strict=True):
        alone = make_label(market.ohlcv, days, delay)
        pd.testing.assert_series_equal(labels[name], alone, check_names=False)
        # A column that is taken out tells what it would tell alone.
        assert label_reach(labels[name]) == alone.attrs["reach"]
        assert holding_days(labels[name]) == days
        assert label_reach(labels[[name]]) == alone.attrs["reach"]


@pytest.mark.parametrize(
    ("change", "reach", "horizon"),
    [
        (lambda t: t["5d"].iloc[3:9], 6, 5),
        (lambda t: pickle.loads(pickle.dumps(t))["5d"], 6, 5),
        (lambda t: t[["5d", "1d"]], 6, None),
        (lambda t: t.drop(columns="20d"), 6, None),
        (lambda t: t["5d"].to_frame(), 6, 5),
        # What has another name may be anything: the longest is the safe side.
        (lambda t: t["5d"].rename("label"), 21, None),
        (lambda t: t["1d"] - t["5d"], 21, None),
        (lambda t: t.rename(columns={"1d": "near"}), 21, None),
        (lambda t: t.rename(columns={"1d": "near"})[["near"]], 21, None),
        (lambda t: t.iloc[:, :0], None, None),
    ],
    ids=[
        "rows",
        "pickle",
        "columns",
        "drop",
        "to_frame",
        "rename",
        "difference",
        "one renamed",
        "renamed",
        "none",
    ],
)
def test_parts_of_a_table_of_horizons(market, change, reach, horizon):
    part = change(make_label(market.ohlcv, horizon=(1, 5, 20)))
    if reach is None:
        assert label_reach(part) is None
        return
    assert label_reach(part) == reach
    assert holding_days(part) == horizon


@pytest.mark.parametrize(
    ("horizon", "message"),
    [
        ((), r"horizon.*different periods, at least one; got \(\)"),
        ((1, 5, 1), r"horizon.*different periods.*\(1, 5, 1\)"),
        ((1, 0), r"each period of horizon.*\b0\b"),
        ([1.5], r"each period of horizon.*1\.5"),
        (("1d",), r"each period of horizon.*'1d'"),
        ("15", r"horizon.*'15'"),
        ((True,), r"each period of horizon.*True"),
    ],
)
def test_horizons_that_cannot_be_are_named(market, horizon, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_label(market.ohlcv, horizon=horizon)


@pytest.mark.parametrize("told", [{}, {"a": -1}, {"a": 2.0}, {"a": None, "b": 1}, [1]])
def test_a_dict_of_reaches_that_is_nonsense_is_named(told):
    y = pd.DataFrame({"a": [1.0], "b": [2.0]})
    y.attrs["reach"] = told
    for part in (y, y["a"], y["b"]):
        with pytest.raises(ValueError, match=r'attrs\["reach"\]'):
            label_reach(part)


# label_reach and resolve_purge ------------------------------------------------------------------


def test_reach_is_what_a_label_tells_and_nothing_else():
    assert label_reach(label_reaching(5)) == 5
    assert label_reach(label_reaching(np.int64(5))) == 5
    assert type(label_reach(label_reaching(np.int64(5)))) is int
    assert label_reach(label_reaching(0)) == 0
    assert label_reach(label_reaching(5, pd.DataFrame({"a": [1.0]}))) == 5
    assert label_reach(label_reaching(5, pd.DataFrame({"a": [1.0], "b": [2.0]}))) == 5
    for silent in (None, [1.0], np.ones(3), pd.Series([1.0]), pd.DataFrame({"a": [1.0]})):
        assert label_reach(silent) is None


@pytest.mark.parametrize("reach", [-1, 2.0, "2", None, True])
@pytest.mark.parametrize("ask", [label_reach, lambda y: resolve_purge("auto", y)])
def test_a_reach_that_is_nonsense_is_named(reach, ask):
    with pytest.raises(ValueError, match=rf'attrs\["reach"\].*{reach!r}'):
        ask(label_reaching(reach))


def test_a_horizon_without_a_reach_is_refused():
    y = pd.Series([1.0])
    y.attrs["horizon"] = 5
    with pytest.raises(ValueError, match=r'horizon.*\b5\b.*attrs\["reach"\]'):
        resolve_purge("auto", y)


@pytest.mark.parametrize(("horizon", "reach"), [(0, 2), (3, 2), ("1", 2)])
def test_a_horizon_that_cannot_be_is_named(horizon, reach):
    y = pd.Series([1.0])
    y.attrs.update(horizon=horizon, reach=reach)
    with pytest.raises(ValueError, match=rf'attrs\["horizon"\].*{horizon!r}'):
        holding_days(y)


def test_auto_purges_the_reach_or_two_days():
    assert resolve_purge("auto", label_reaching(5)) == 5
    assert resolve_purge("auto", label_reaching(1)) == 1
    assert resolve_purge("auto", pd.Series([1.0])) == resolve_purge("auto", None) == 2


@pytest.mark.parametrize("y", [None, pd.Series([1.0]), [1.0]])
def test_a_reach_that_nobody_told_is_not_assumed_in_silence(y):
    with pytest.warns(UserWarning, match=r'"auto".*\b2 days.*attrs\["reach"\].*purge=') as caught:
        assert resolve_purge("auto", y) == 2
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve_purge("auto", label_reaching(2)) == resolve_purge(2, y) == 2


DROPPING = {
    "rank": lambda y: y.groupby(level="datetime").rank(pct=True),
    "transform": lambda y: y.groupby(level="datetime").transform("mean"),
    "array": lambda y: y.to_numpy(),
}


@pytest.mark.parametrize("kind", DROPPING)
def test_labels_that_lost_their_reach_are_reported(market, kind):
    """By a splitter and by early stopping, which would purge too little."""
    y = make_label(market.ohlcv, horizon=20)
    lost = DROPPING[kind](y)
    X = market.ohlcv[["close"]]
    with pytest.warns(UserWarning, match=r'"auto".*\b2 days'):
        list(DailyTimeSeriesSplit(2).split(X, lost))
    with pytest.warns(UserWarning, match=r'"auto".*\b2 days'):
        list(DailyTimeSeriesSplit(2).split(X, groups=days_in(X)))
    windows = np.ones((len(X), 2, 1), np.float32)
    model = GRURegressor(hidden_size=2, max_epochs=1)
    with pytest.warns(UserWarning, match=r'"auto".*\b2 days'):
        model.fit(windows, lost, days=days_in(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(DailyTimeSeriesSplit(2).split(X, y))
        list(DailyTimeSeriesSplit(2, purge=21).split(X, lost))
        model.fit(windows, y)
        model.set_params(early_stopping=False).fit(windows, lost, days=days_in(X))


@pytest.mark.parametrize("purge", [0, 5, np.int64(7)])
def test_a_number_is_taken_as_it_is(purge):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in (
            None,
            pd.Series([1.0]),
            label_reaching(0),
            *([label_reaching(5)] if purge >= 5 else []),
        ):
            assert resolve_purge(purge, y) == purge
            assert type(resolve_purge(purge, y)) is int


@pytest.mark.parametrize("purge", [0, 4])
def test_a_purge_shorter_than_the_reach_is_taken_with_a_warning(purge):
    with pytest.warns(UserWarning, match=rf"\b5\b.*purge={purge}") as caught:
        assert resolve_purge(purge, label_reaching(5)) == purge
    assert caught[0].filename == __file__


@pytest.mark.parametrize("purge", [-1, 1.5, "all", None, True])
def test_a_purge_that_is_nonsense_is_named(purge):
    with pytest.raises(ValueError, match=rf"purge.*{purge!r}"):
        resolve_purge(purge, None)
