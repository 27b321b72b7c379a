"""Lazily gathered windows and their layout, against slow, independent implementations."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import CALENDAR, KEYS, index_of, ragged_panel, ragged_windows, scrambled
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pandas.testing import assert_index_equal
from sklearn.model_selection import TimeSeriesSplit, train_test_split
from sklearn.utils import _safe_indexing

import skattn
from skattn.panel import Clip, DivideByLatest, Fill, Scale, TakeFields, WindowArray, build_windows


def slow_windows(values, index, length, memory=None, days=()) -> np.ndarray:
    """Every stock reindexed to the calendar, then shifted: pandas alone."""
    table = pd.DataFrame(np.asarray(values, dtype=np.float64), index)
    if memory is not None:
        known = pd.DataFrame(np.asarray(memory[0], dtype=np.float64), memory[1])
        known = known.reorder_levels(index.names)
        table = pd.concat([known[~known.index.isin(index)], table])
    calendar = pd.DatetimeIndex(sorted({*table.index.get_level_values("datetime"), *days}))
    cube = np.full((len(index), length, table.shape[1]), np.nan)
    stocks = index.get_level_values("instrument")
    for stock in stocks.unique():
        of_stock = table.xs(stock, level="instrument").reindex(calendar)
        mine = np.flatnonzero(stocks == stock)
        days = index.get_level_values("datetime")[mine]
        for lag in range(length):
            cube[mine, length - 1 - lag] = of_stock.shift(lag).loc[days].to_numpy()
    return cube


# WindowArray ------------------------------------------------------------------------------------


def test_window_array_is_an_array_like():
    x = ragged_windows(length=4)
    dense = np.asarray(x)
    assert x.shape == dense.shape == (144, 4, 2)
    assert x.ndim == dense.ndim == 3
    assert x.dtype == dense.dtype == np.float32
    assert len(x) == 144
    assert x.fields == ("a", "b")
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert_array_equal(np.array(x), dense)
    assert_array_equal(x[...], dense)
    assert_array_equal(x[..., 0], dense[..., 0])
    assert_array_equal(np.stack(list(x)), dense)
    assert_array_equal(dense, slow_windows(ragged_panel().to_numpy(), ragged_panel().index, 4))
    assert "144 windows of 4 steps" in repr(x)
    with pytest.raises(ValueError, match="copy=False"):
        np.array(x, copy=False)
    assert skattn.WindowArray is WindowArray


def test_window_array_pads_before_its_rows_start():
    table = np.arange(5, dtype=np.float32)[:, None]
    x = WindowArray(table, np.array([1, 4, 3]), 3, starts=np.array([0, 0, 3]))
    nan = np.nan
    assert_array_equal(np.asarray(x)[:, :, 0], [[nan, 0, 1], [2, 3, 4], [nan, nan, 3]])
    assert x.index is None
    assert x.days is None
    assert x.instruments is None
    assert x[[0, 2]].index is None
    assert x.fields == ("x0",)


@pytest.mark.parametrize(
    ("ends", "length", "params", "message"),
    [
        ([1, 7], 2, {}, r"ends.*\b7\b"),
        ([-1, 2], 2, {}, "ends.*-1"),
        ([1.0], 2, {}, "ends.*float64"),
        ([[1, 2]], 2, {}, "integers of one dimension"),
        ([1], 2, {"starts": [0, 1]}, r"\(2,\) starts"),
        ([1], 2, {"index": CALENDAR}, r"index.*\b6\b.*\b1\b"),
        ([1], 0, {}, r"length.*\b0\b"),
        ([1], 2.0, {}, r"length.*\b2\.0\b"),
    ],
)
def test_window_array_checks_its_parts(ends, length, params, message):
    with pytest.raises(ValueError, match=message):
        WindowArray(np.ones((5, 2)), ends, length, **params)
    with pytest.raises(ValueError, match=r"table.*\(5,\)"):
        WindowArray(np.ones(5), [1], 2)


def test_window_array_of_more_windows_than_a_chunk():
    table = np.arange(20_000, dtype=np.float64)[:, None]
    x = WindowArray(table, np.arange(20_000), 2)
    dense = np.asarray(x)
    assert_array_equal(dense[:, 1, 0], np.arange(20_000))
    assert_array_equal(dense[1:, 0, 0], np.arange(19_999))
    assert np.isnan(dense[0, 0, 0])


N = len(ragged_panel())
ROWS = st.one_of(
    st.integers(-N, N - 1),
    st.slices(N),
    st.lists(st.integers(-N, N - 1), max_size=8),
    st.lists(st.integers(-N, N - 1), max_size=8).map(lambda rows: np.array(rows, dtype=np.int32)),
    st.lists(st.booleans(), min_size=N, max_size=N).map(np.array),
    st.lists(st.booleans(), min_size=N, max_size=N),
    st.integers(-N, N - 1).map(np.int64),
)
REST = st.sampled_from(
    [
        (),
        (...,),
        (slice(None),),
        (-1,),
        (-1, 0),
        (0, -1),
        (slice(None), 1),
        (slice(-2, None), slice(None, None, -1)),
        (slice(None), np.int64(-1)),
    ]
)


@settings(max_examples=80, deadline=None)
@given(ROWS, REST, st.booleans())
def test_indexing_equals_that_of_the_dense_array(rows, rest, as_tuple):
    x = ragged_windows()
    dense = np.asarray(x)
    key = (rows, *rest) if rest or as_tuple else rows
    safe = np.asarray(rows, dtype=int) if isinstance(rows, list) and not rows else rows
    expected = dense[(safe, *rest)]
    result = x[key]
    assert result.shape == expected.shape
    assert_array_equal(np.asarray(result), expected)
    if isinstance(rows, (int, np.integer)) or rest not in ((), (...,)):
        assert isinstance(result, (np.ndarray, np.generic))
    else:
        assert isinstance(result, WindowArray)
        assert_index_equal(result.index, x.index[safe])
        assert result.days.equals(x.days[safe])
        assert_index_equal(result.instruments, x.instruments[safe])
        assert_array_equal(np.asarray(result[::-1]), expected[::-1])


@pytest.mark.parametrize("key", [N, -N - 1, [0, N], np.ones(N - 1, dtype=bool)])
def test_indexing_out_of_bounds(key):
    with pytest.raises(IndexError):
        ragged_windows()[key]


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), ..., 0),
        (0, ..., 1),
        ([0, 1], [0, 1]),
        ([0, 1], slice(None), [1, 0]),
        (0, slice(None), [1, 0]),
        (slice(None), [1, 0]),
        (slice(None), None),
        np.array(2),
        np.array([[0, 1], [2, 3]]),
        None,
        "a",
        [0.5],
    ],
    ids=str,
)
def test_other_indexes_are_refused_not_misread(key):
    with pytest.raises(IndexError):
        ragged_windows()[key]


def test_selection_shares_the_table():
    x = ragged_windows()
    assert x[:5].nbytes < x.nbytes
    assert x[:5].nbytes >= ragged_panel().to_numpy().nbytes
    rows = x[:5]
    np.asarray(rows)[:] = 0.0
    x[0][:] = 0.0
    assert_array_equal(np.asarray(x), np.asarray(ragged_windows()))


@pytest.mark.parametrize("clone", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy])
def test_window_array_travels(clone):
    x = (
        ragged_windows()
        .with_transform(DivideByLatest(np.array([0, 0])))
        .with_transform(Fill(0.5))[10:50:3]
    )
    twin = clone(x)
    assert isinstance(twin, WindowArray)
    assert_array_equal(np.asarray(twin), np.asarray(x))
    assert_index_equal(twin.index, x.index)
    assert twin.fields == x.fields
    assert [type(step) for step in twin.transforms] == [DivideByLatest, Fill]


def test_scikit_learn_slices_it():
    x = ragged_windows()
    dense = np.asarray(x)
    rows = np.array([3, 1, 4, 1])
    mask = np.arange(len(x)) % 7 == 0
    for key in (rows, rows.tolist(), mask, slice(2, 5)):
        taken = _safe_indexing(x, key)
        assert isinstance(taken, WindowArray)
        assert_array_equal(np.asarray(taken), dense[key])
        assert_index_equal(taken.index, x.index[key])
    train, test, y_train, y_test = train_test_split(x, dense[:, -1, 0], shuffle=False)
    assert isinstance(train, WindowArray)
    assert_array_equal(np.concatenate([train, test]), dense)
    assert_array_equal(np.concatenate([y_train, y_test]), dense[:, -1, 0])
    assert_index_equal(train.index.append(test.index), x.index)
    for first, second in TimeSeriesSplit(3).split(x):
        assert_array_equal(np.asarray(x[second]), dense[second])
        assert first.max() < second.min()


def test_steps_are_recorded_and_applied_in_turn():
    x = ragged_windows()
    dense = np.asarray(x)
    stepped = (
        x.with_transform(DivideByLatest(np.array([0, 0])))
        .with_transform(TakeFields(np.array([1])), fields=("ratio",))
        .with_transform(Scale(np.array([[1.0], [2.0], [3.0], [4.0]]), np.full((4, 1), 0.5)))
        .with_transform(Clip(3.0))
        .with_transform(Fill(-9.0))
    )
    expected = (dense[:, :, 1:] / dense[:, -1:, :1] - np.array([[1], [2], [3], [4]])) / 0.5
    expected = np.clip(expected, -3, 3)
    expected[np.isnan(expected)] = -9
    assert stepped.shape == (144, 4, 1)
    assert stepped.fields == ("ratio",)
    np.testing.assert_allclose(np.asarray(stepped), expected, rtol=1e-5)
    assert_array_equal(np.asarray(x), dense)
    assert_array_equal(stepped[5], np.asarray(stepped)[5])
    for step in range(4):
        assert_array_equal(stepped.gather_step(step), np.asarray(stepped)[:, step])


def test_a_batch_does_not_depend_on_its_batch_mates():
    x = ragged_windows().with_transform(DivideByLatest(np.array([0, 1]))).with_transform(Clip(2.0))
    dense = np.asarray(x)
    for i in range(0, len(x), 17):
        assert_array_equal(x[i], dense[i])
        assert_array_equal(x.gather([i, 0])[0], dense[i])


def test_fields_may_be_an_index():
    table = ragged_panel()
    x = build_windows(table.to_numpy(), table.index, 2, fields=table.columns)
    assert x.fields == ("a", "b")


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_windows_of_integers_are_padded_with_nan():
    index = index_of([(0, 0), (2, 0)])
    memory = (np.array([[7]]), index_of([(1, 1)]))
    x = build_windows(np.array([[1], [2]]), index, 2, memory=memory)
    assert_array_equal(np.asarray(x)[:, :, 0], [[np.nan, 1], [np.nan, 2]])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ends": [5]}, r"ends.*\b5\b"),
        ({"ends": [-1]}, "ends.*-1"),
        ({"ends": [1.5]}, "ends.*float64"),
        ({"starts": np.zeros(2, int)}, r"\(2,\) starts"),
        ({"table": np.ones(5)}, r"table.*\(5,\)"),
        ({"index": pd.RangeIndex(3)}, r"index.*\b3\b.*\b1\b"),
        ({"length": 2.0}, r"length.*\b2\.0\b"),
    ],
)
def test_windows_must_fit_their_table(changed, message):
    right = {"table": np.ones((5, 2)), "ends": [2], "length": 2}
    WindowArray(**right)
    with pytest.raises(ValueError, match=message):
        WindowArray(**{**right, **changed})


# build_windows ----------------------------------------------------------------------------------


PAIRS = st.lists(
    st.tuples(st.integers(0, len(CALENDAR) - 1), st.integers(0, 2)), unique=True, min_size=1
)


@settings(max_examples=60, deadline=None)
@given(
    PAIRS,
    PAIRS | st.none(),
    st.sets(st.integers(0, len(CALENDAR) - 1)) | st.none(),
    st.integers(1, 8),
    st.booleans(),
    st.booleans(),
    st.integers(0, 5),
)
def test_build_windows_equals_reindex_and_shift(
    pairs, known, open_days, length, swap, swap_memory, seed
):
    index = index_of(pairs)
    values = np.arange(2.0 * len(pairs)).reshape(-1, 2)
    values[1::4, 1] = np.nan
    memory = None
    if known is not None:
        memory_index = index_of(known)
        memory_index = memory_index.swaplevel() if swap_memory else memory_index
        memory_index = scrambled(memory_index, seed) if seed else memory_index
        memory = (-1.0 - np.arange(2.0 * len(known)).reshape(-1, 2), memory_index)
    index = index.swaplevel() if swap else index
    index = scrambled(index, seed) if seed else index
    calendar = None if open_days is None else CALENDAR[sorted(open_days)]
    x = build_windows(values, index, length, memory=memory, calendar=calendar)
    assert x.index is index
    assert x.shape == (len(pairs), length, 2)
    expected = slow_windows(values, index, length, memory, () if calendar is None else calendar)
    assert_array_equal(np.asarray(x), expected)
    assert_array_equal(x[:, -1], values)


def test_days_of_the_calendar_that_no_row_has_are_nan():
    index = index_of([(0, 0), (2, 0)])
    x = build_windows(np.array([[1.0], [2.0]]), index, 3, calendar=CALENDAR[:5].as_unit("s"))
    assert_array_equal(np.asarray(x)[:, :, 0], [[np.nan, np.nan, 1], [1, np.nan, 2]])


def test_missing_days_are_nan_and_days_before_the_listing_too():
    index = index_of([(3, 0), (0, 0), (1, 1), (3, 1)])
    x = build_windows(np.array([[30.0], [0.0], [1.0], [31.0]]), index, 3)
    nan = np.nan
    assert_array_equal(
        np.asarray(x)[:, :, 0],
        [[0, nan, 30], [nan, nan, 0], [nan, nan, 1], [nan, 1, 31]],
        err_msg="S0 misses the day that only S1 has; no stock has the day number 2",
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_memory_may_have_another_resolution_of_time(unit):
    index = index_of([(1, 0), (2, 0)])
    memory_index = index_of([(0, 0)], CALENDAR.as_unit(unit))
    x = build_windows(np.array([[1.0], [2.0]]), index, 3, memory=(np.array([[0.0]]), memory_index))
    assert_array_equal(np.asarray(x)[1, :, 0], [0, 1, 2])


def test_values_count_where_memory_knows_the_same_key():
    index = index_of([(1, 0), (2, 0)])
    memory = (np.array([[10.0], [11.0], [12.0]]), index_of([(2, 0), (1, 0), (0, 0)]))
    x = build_windows(np.array([[np.nan], [2.0]]), index, 3, memory=memory)
    assert_array_equal(np.asarray(x)[1, :, 0], [12, np.nan, 2])


@settings(max_examples=40, deadline=None)
@given(PAIRS, PAIRS, st.integers(1, 8), st.integers(0, len(CALENDAR) - 1))
def test_windows_never_hold_later_values(pairs, known, length, today):
    index, memory_index = index_of(pairs), index_of(known)
    values, remembered = np.arange(1.0, len(pairs) + 1), np.arange(-1.0, -len(known) - 1, -1)
    past = index.get_level_values("datetime") <= CALENDAR[today]

    def at_most_today(values, remembered):
        x = build_windows(
            values[:, None], index, length, memory=(remembered[:, None], memory_index)
        )
        return np.asarray(x)[past]

    before = at_most_today(values, remembered)
    later = memory_index.get_level_values("datetime") > CALENDAR[today]
    after = at_most_today(np.where(past, values, np.nan), np.where(later, 1e9, remembered))
    assert_array_equal(before, after)


def test_a_million_rows_take_little_more_than_their_table():
    n_days, n_stocks, length = 1000, 1000, 60
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2020-01-01", periods=n_days), range(n_stocks)], names=KEYS
    )
    values = np.zeros((len(index), 6), dtype=np.float32)
    x = build_windows(values, index, length)
    assert x.shape == (1_000_000, 60, 6)
    positions = 2 * 8 * len(index)
    assert x.nbytes <= values.nbytes + positions
    assert x.nbytes < np.prod(x.shape) * 4 / 30
    assert x[::2].with_transform(Fill(0.0)).nbytes < x.nbytes
    assert len(pickle.dumps(x.transforms)) < 1000


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"starts": [-1]}, r"starts.*-1"),  # a negative row would wrap around to the table's end
        ({"starts": [3]}, r"starts.*\b3\b"),
        ({"starts": [0.5]}, r"starts.*float64"),
        ({"fields": "ab"}, r"fields.*'ab'"),
        ({"fields": ["a"]}, r"fields.*\b2 columns"),
        ({"transforms": [3.0]}, r"transforms.*callables.*3\.0"),
        ({"fill": 3}, r"fill.*FillRows.*\b3\b"),
        ({"index": [1]}, r"index.*pandas Index.*\[1\]"),
    ],
)
def test_window_array_refuses_parts_that_gathering_would_misread(params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        WindowArray(np.ones((5, 2)), [2], 2, **params)


def test_a_table_of_integers_has_room_for_missing_steps():
    x = WindowArray(np.arange(4)[:, None], [0, 3], 2)
    assert_array_equal(np.asarray(x)[:, :, 0], [[np.nan, 0], [2, 3]])


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda: Clip(True), "limit.*float.*True"),
        (lambda: Clip(-1.0), "limit.*-1"),
        (lambda: Fill("a"), "value.*'a'"),
        (lambda: Scale(np.zeros(2), np.ones(3)), r"center and scale.*\(2,\).*\(3,\)"),
        (lambda: TakeFields([0.5]), "fields.*float64"),
        (lambda: DivideByLatest([[0]]), r"by.*\(1, 1\)"),
    ],
)
def test_transforms_check_what_they_are_made_of(transform, message):
    with pytest.raises((ValueError, TypeError), match=message):
        transform()


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (Scale(np.zeros((3, 2)), np.ones((3, 2))), r"\(3, 2\).*\(2, 2\)"),
        (TakeFields([2]), r"fields.*2 fields.*\[2\]"),
        (DivideByLatest([0]), r"by.*2 fields"),
    ],
)
def test_transforms_that_do_not_fit_their_windows(transform, message):
    x = WindowArray(np.ones((5, 2)), [2, 4], 2).with_transform(transform)
    with pytest.raises(ValueError, match=message):
        x.gather()
