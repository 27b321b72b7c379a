"""Standard errors of daily means against statsmodels'."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.api import OLS

from skattn.metrics import newey_west_error, usual_lags


@pytest.mark.parametrize("lags", [0, 1, 4, 9])
def test_as_statsmodels(lags: int):
    values = np.random.default_rng(0).normal(size=60).cumsum()
    kernel = {"cov_type": "HAC", "cov_kwds": {"maxlags": lags, "use_correction": False}}
    expected = OLS(values, np.ones(60)).fit(**kernel).bse[0]
    assert_allclose(newey_west_error(values, lags), expected)
    assert_allclose(newey_west_error(list(values), lags), expected)


def test_days_without_a_value_keep_their_place():
    values = np.random.default_rng(0).normal(size=60)
    apart = np.full(120, np.nan)
    apart[::2] = values
    assert_allclose(newey_west_error(apart, 1), newey_west_error(values, 0))
    assert np.isnan(newey_west_error(values[:5], 2))


def test_bad_input():
    assert [usual_lags(days) for days in (0, 1, 100, 250)] == [0, 1, 4, 4]
    with pytest.raises(ValueError, match="values must be finite"):
        newey_west_error([1.0, np.inf], 0)
    with pytest.raises(ValueError, match="lags must be"):
        newey_west_error([1.0, 2.0], -1)
    with pytest.raises(ValueError, match="n_days must be"):
        usual_lags(-1)
