"""Alpha360 against qlib's expressions, computed by qlib out of a provider folder.

Both divide in float32, which is exact to half a unit in the last place (6e-8 relative). Hence 1e-6
relative.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import flat_windows
from numpy.testing import assert_allclose, assert_array_equal

from skattn.preprocessing import Alpha360

pytestmark = pytest.mark.qlib

RTOL = 1e-6


def assert_tables_close(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Same rows and columns by name, the same NaN, values within RTOL."""
    pd.testing.assert_frame_equal(
        ours, theirs, check_exact=False, rtol=RTOL, atol=0, check_dtype=False
    )


def test_the_market_has_what_can_go_wrong(ohlcv):
    calendar = ohlcv.index.get_level_values("datetime").unique().sort_values()
    days = ohlcv.reset_index().groupby("instrument")["datetime"]
    first, last = (calendar.get_indexer(d) for d in (days.min(), days.max()))
    inside = last - first + 1 - days.size()
    assert len(calendar) > 60
    assert (first > 5).sum() >= 2  # listed late
    assert (last < len(calendar) - 20).any()  # delisted
    assert (inside > 9).any()  # suspended
    assert (inside > 0).sum() > 4  # missing days


def test_columns(ohlcv, qlib_table):
    ours = Alpha360(vwap="typical", layout="columns").fit_transform(ohlcv)
    assert ours.shape == (len(ohlcv), 360)
    assert ours.columns.tolist() == qlib_table.columns.tolist()
    theirs = qlib_table.loc[ohlcv.index]
    missing = theirs.isna().to_numpy()
    assert_array_equal(ours.isna(), missing)
    assert 0.1 < missing.mean() < 0.5
    assert_tables_close(ours, theirs)


def test_qlibs_other_rows_are_the_days_that_stocks_miss(ohlcv, qlib_table):
    assert ohlcv.index.isin(qlib_table.index).all()
    others = qlib_table.loc[~qlib_table.index.isin(ohlcv.index)]
    assert len(others) > 10
    assert others.isna().all(axis=None)


def test_windows(ohlcv, qlib_table):
    windows = Alpha360(vwap="typical").fit_transform(ohlcv)
    assert windows.shape == (len(ohlcv), 60, 6)
    theirs = qlib_table.loc[ohlcv.index]
    assert windows.index.equals(theirs.index)
    assert [f"{field.upper()}0" for field in windows.fields] == theirs.columns[59::60].tolist()
    assert_allclose(flat_windows(windows), theirs, rtol=RTOL, atol=0)
    rows = np.random.default_rng(0).permutation(len(windows))[:50]
    assert_allclose(flat_windows(windows[rows]), theirs.iloc[rows], rtol=RTOL, atol=0)


def test_later_days_look_back_into_the_fitted_ones(ohlcv, qlib_table):
    days = ohlcv.index.get_level_values("datetime")
    cut = days.unique().sort_values()[75]
    alpha = Alpha360(vwap="typical", layout="columns").fit(ohlcv[days < cut])
    later = alpha.transform(ohlcv[days >= cut])
    assert_tables_close(later, qlib_table.loc[ohlcv.index[days >= cut]])


def test_shuffled_rows_and_swapped_levels(ohlcv, qlib_table):
    shuffled = ohlcv.sample(frac=1, random_state=0).swaplevel()
    ours = Alpha360(vwap="typical", layout="columns").fit_transform(shuffled)
    assert_tables_close(ours, qlib_table.swaplevel().loc[shuffled.index])


def test_some_fields_and_another_length(ohlcv, qlib_table):
    alpha = Alpha360(["volume", "vwap"], length=7, vwap="typical", layout="columns")
    ours = alpha.fit_transform(ohlcv)
    assert ours.columns.tolist() == [
        f"{field}{lag}" for field in ("VOLUME", "VWAP") for lag in range(6, -1, -1)
    ]
    assert_tables_close(ours, qlib_table.loc[ohlcv.index, ours.columns])


def test_zero_volume_differs(ohlcv, qlib_features):
    """qlib divides by ($volume + 1e-12); skattn takes zero volume for a missing value.

    qlib's windows that end on such a day hold 0 and about 1e18, its later ones a 0; skattn's
    hold NaN in these cells. All other cells are the same.
    """
    stock = ohlcv.groupby("instrument").size().idxmax()
    day = ohlcv.xs(stock, level="instrument").index[80]
    ohlcv = ohlcv.copy()
    ohlcv.loc[(day, stock), "volume"] = 0
    theirs = qlib_features(ohlcv, "Alpha360DL").loc[ohlcv.index]
    ours = Alpha360(vwap="typical", layout="columns").fit_transform(ohlcv)

    volume = [f"VOLUME{lag}" for lag in range(59, -1, -1)]
    on_the_day = theirs.loc[(day, stock), volume]
    assert on_the_day["VOLUME0"] == 0
    earlier = on_the_day.drop("VOLUME0").dropna()
    assert len(earlier) > 40
    assert (earlier > 1e15).all()
    assert ours.loc[(day, stock), volume].isna().all()

    differs = ours.isna() & theirs.notna()
    expected = pd.DataFrame(False, ours.index, ours.columns)
    expected.loc[(day, stock), on_the_day.dropna().index] = True
    calendar = ohlcv.index.get_level_values("datetime").unique().sort_values()
    place = calendar.get_loc(day)
    for lag in range(1, 60):
        if place + lag < len(calendar) and (key := (calendar[place + lag], stock)) in ours.index:
            expected.loc[key, f"VOLUME{lag}"] = True
            assert theirs.loc[key, f"VOLUME{lag}"] == 0
    assert_array_equal(differs, expected)
    assert_tables_close(ours, theirs.mask(expected))


@pytest.mark.parametrize("field", ["close", "volume"])
def test_a_zero_is_what_qlib_makes_of_a_missing_value(ohlcv, qlib_features, field):
    keys = ohlcv.index[np.random.default_rng(0).permutation(len(ohlcv))[:5]]
    zeros, missing = ohlcv.copy(), ohlcv.astype(float)
    zeros.loc[keys, field] = 0
    missing.loc[keys, field] = np.nan
    ours = Alpha360(vwap="typical", layout="columns").fit_transform(zeros)
    assert ours.loc[keys, f"{field.upper()}0"].isna().all()
    assert_tables_close(ours, qlib_features(missing, "Alpha360DL").loc[ours.index])


@pytest.mark.realdata
def test_real_prices(real_ohlcv, qlib_features):
    assert len(real_ohlcv) > 200_000
    ours = Alpha360(vwap="typical", layout="columns").fit_transform(real_ohlcv)
    assert_tables_close(ours, qlib_features(real_ohlcv, "Alpha360DL").loc[ours.index])
