"""Alpha158 against qlib's expressions, computed by qlib out of a provider folder.

Missing values are NaN in the provider: skattn reads zero prices and zero volume as missing, and
qlib does not (see the tests of Alpha360). Everything else is the same, column by column: NaN where
qlib has NaN, infinite where it is infinite, and within 1e-5 relative where it is finite. Relative
is to the value, or to the column's usual size where values cancel to nearly nothing (RESI, CNTD).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from skattn.preprocessing import Alpha158

pytestmark = pytest.mark.qlib

RTOL = 1e-5


def assert_columns_close(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Same rows and columns by name, values within RTOL of themselves or of the column's usual."""
    assert ours.columns.tolist() == theirs.columns.tolist()
    assert ours.index.equals(theirs.index)
    for name in ours:
        usual = np.nanmedian(np.abs(theirs[name]))
        # Compares NaN and infinities by place.
        assert_allclose(ours[name], theirs[name], RTOL, RTOL * usual, err_msg=name)


def test_simulated_prices(ohlcv, qlib_features):
    assert_columns_close(
        Alpha158(vwap="typical").fit_transform(ohlcv),
        qlib_features(ohlcv, "Alpha158DL").loc[ohlcv.index],
    )


def test_values_missing_here_and_there(ohlcv, qlib_features):
    rng = np.random.default_rng(0)
    holed = ohlcv.mask(rng.random(ohlcv.shape) < 0.03)
    theirs = qlib_features(holed, "Alpha158DL").loc[holed.index]
    assert 0.02 < theirs.isna().to_numpy().mean() < 0.3
    assert_columns_close(Alpha158(vwap="typical").fit_transform(holed), theirs)


@pytest.mark.realdata
def test_real_prices(real_ohlcv, qlib_features):
    assert len(real_ohlcv) > 200_000
    ours = Alpha158(vwap="typical").fit_transform(real_ohlcv)
    assert_columns_close(ours, qlib_features(real_ohlcv, "Alpha158DL").loc[ours.index])
