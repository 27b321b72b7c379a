"""RobustZScore and SequenceReshaper against qlib's processors on Alpha360 columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import flat_windows
from numpy.testing import assert_allclose, assert_array_equal

from skattn.panel import WindowArray
from skattn.preprocessing import Alpha360, RobustZScore, SequenceReshaper

pytestmark = pytest.mark.qlib

TOLERANCE = 1e-5
LENGTH = 60
FILLS = pytest.mark.parametrize("fill_value", [None, 0.0])


@pytest.fixture(scope="module")
def processor():
    return pytest.importorskip("qlib.data.dataset.processor")


@pytest.fixture(scope="module")
def table(ohlcv):
    return Alpha360(vwap="typical", layout="columns").fit_transform(ohlcv)


@pytest.fixture(scope="module")
def windows(ohlcv):
    return Alpha360(vwap="typical").fit_transform(ohlcv)


@pytest.fixture(scope="module")
def fit_range(table):
    """From when to when, both included, qlib's processor and RobustZScore are fitted."""
    calendar = table.index.get_level_values("datetime").unique().sort_values()
    return calendar[5], calendar[99]


@pytest.fixture(scope="module")
def train(table, fit_range):
    days = table.index.get_level_values("datetime")
    return np.asarray((days >= fit_range[0]) & (days <= fit_range[1]))


@pytest.fixture(scope="module")
def by_qlib(processor, table, fit_range):
    """What qlib's handler makes of the table, and its fitted scaler."""

    def run(table=table, *, clip=True, fill_value=None):
        label = pd.DataFrame({"LABEL0": 1000.0}, table.index)
        frame = pd.concat({"feature": table, "label": label}, axis=1)
        scaler = processor.RobustZScoreNorm(*fit_range, fields_group="feature", clip_outlier=clip)
        scaler.fit(frame)
        frame = scaler(frame)
        if fill_value is not None:
            frame = processor.Fillna(fields_group="feature", fill_value=fill_value)(frame)
        assert (frame["label"] == 1000).all(axis=None)
        return frame["feature"], scaler

    return run


def check_cells(expected: pd.DataFrame, fill_value) -> None:
    """See to it that the comparison has clipped cells, others, and NaN or what fills them."""
    values = expected.to_numpy()
    assert 0.001 < (np.abs(values) == 3).mean() < 0.1
    assert (np.isnan(values).mean() > 0.1) == (fill_value is None)


@FILLS
def test_tables(by_qlib, table, train, fill_value):
    expected, fitted = by_qlib(fill_value=fill_value)
    check_cells(expected, fill_value)
    scaler = RobustZScore(clip=3.0, fill_value=fill_value).fit(table[train])
    assert_allclose(scaler.center_, fitted.mean_train, rtol=0, atol=TOLERANCE)
    assert_allclose(scaler.scale_, fitted.std_train, rtol=TOLERANCE, atol=0)
    ours = scaler.transform(table)
    assert ours.columns.equals(expected.columns)
    assert ours.index.equals(expected.index)
    assert_allclose(ours, expected, rtol=0, atol=TOLERANCE)


@FILLS
def test_arrays_of_windows(by_qlib, windows, train, fill_value):
    expected, fitted = by_qlib(fill_value=fill_value)
    cube = np.asarray(windows)
    scaler = RobustZScore(clip=3.0, fill_value=fill_value).fit(cube[train])
    assert_allclose(
        flat_windows(scaler.center_[None])[0], fitted.mean_train, rtol=0, atol=TOLERANCE
    )
    ours = scaler.transform(cube)
    assert isinstance(ours, np.ndarray)
    assert_allclose(flat_windows(ours), expected, rtol=0, atol=TOLERANCE)


@FILLS
def test_lazy_windows(by_qlib, table, windows, train, fill_value):
    expected, fitted = by_qlib(fill_value=fill_value)
    scaler = RobustZScore(clip=3.0, fill_value=fill_value).fit(windows[train])
    assert_allclose(
        flat_windows(scaler.center_[None])[0], fitted.mean_train, rtol=0, atol=TOLERANCE
    )
    ours = scaler.transform(windows)
    assert isinstance(ours, WindowArray)
    assert ours.index.equals(expected.index)
    assert_allclose(flat_windows(ours), expected, rtol=0, atol=TOLERANCE)
    rows = np.random.default_rng(0).permutation(len(windows))[:50]
    assert_allclose(flat_windows(ours.gather(rows)), expected.iloc[rows], rtol=0, atol=TOLERANCE)
    flat = RobustZScore(clip=3.0, fill_value=fill_value).fit(table[train]).transform(table)
    assert_array_equal(flat_windows(ours), flat)


def test_without_clipping(by_qlib, table, train):
    expected, _ = by_qlib(clip=False)
    assert expected.abs().max(axis=None) > 10
    ours = RobustZScore(clip=None, fill_value=None).fit(table[train]).transform(table)
    assert_allclose(ours, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_double_precision(by_qlib, table, train):
    table = table.astype(np.float64)
    expected, _ = by_qlib(table, fill_value=0.0)
    ours = RobustZScore().fit(table[train]).transform(table)
    assert_allclose(ours, expected, rtol=0, atol=1e-12)


def test_a_constant_column(by_qlib, table, train):
    table = table.copy()
    table["OPEN7"] = np.where(train, 2.0, 2.5)
    expected, _ = by_qlib(table)
    ours = RobustZScore(fill_value=None).fit(table[train]).transform(table)
    assert set(expected["OPEN7"]) == {0, 3}
    assert_array_equal(ours["OPEN7"], expected["OPEN7"])
    assert set(ours["CLOSE0"]) == {0}  # every price is divided by it


@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_a_column_without_a_training_value(by_qlib, table, train):
    table = table.copy()
    table["OPEN7"] = np.where(train, np.nan, 2.5)
    expected, _ = by_qlib(table)
    assert expected["OPEN7"].isna().all()
    ours = RobustZScore(fill_value=None).fit(table[train]).transform(table)
    assert_allclose(ours, expected, rtol=0, atol=TOLERANCE)


def test_what_qlib_loads_itself(processor, qlib_table, fit_range):
    """The whole way on qlib's own frame, the days that stocks miss included."""
    frame = pd.concat({"feature": qlib_table}, axis=1)
    scaler = processor.RobustZScoreNorm(*fit_range, fields_group="feature")
    scaler.fit(frame)
    expected = processor.Fillna(fields_group="feature")(scaler(frame))["feature"]
    days = qlib_table.index.get_level_values("datetime")
    train = (days >= fit_range[0]) & (days <= fit_range[1])
    ours = RobustZScore().fit(qlib_table[train]).transform(qlib_table)
    assert_allclose(ours, expected, rtol=0, atol=TOLERANCE)


def test_reshaper_makes_windows_of_qlibs_columns(ohlcv, qlib_table, windows):
    reshaped = SequenceReshaper().fit_transform(qlib_table.loc[ohlcv.index])
    assert reshaped.shape == windows.shape
    assert reshaped.fields == tuple(field.upper() for field in windows.fields)
    assert reshaped.index.equals(windows.index)
    assert_allclose(np.asarray(reshaped), np.asarray(windows), rtol=1e-6, atol=0)


def test_reshaper_reads_names_where_qlib_reads_positions(qlib_table):
    # As in ALSTMModel.forward: view(B, F, T), permute.
    expected = qlib_table.to_numpy().reshape(len(qlib_table), 6, LENGTH).transpose(0, 2, 1)
    shuffled = qlib_table[np.random.default_rng(0).permutation(qlib_table.columns)]
    assert_array_equal(np.asarray(SequenceReshaper().fit_transform(shuffled)), expected)
    by_position = SequenceReshaper(n_features=6).fit_transform(qlib_table.to_numpy())
    assert_array_equal(by_position, expected)


def test_reshaper_takes_qlibs_two_column_levels(qlib_table, windows):
    frame = pd.concat({"feature": qlib_table}, axis=1)
    one, two = (SequenceReshaper().fit_transform(table) for table in (qlib_table, frame))
    assert_array_equal(np.asarray(one), np.asarray(two))
