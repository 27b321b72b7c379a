"""RollingWindow against the windows of qlib's TSDataSampler, for its three rules."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skattn.preprocessing import Alpha158, RollingWindow

pytestmark = pytest.mark.qlib


@pytest.mark.parametrize("fill", ["none", "ffill", "ffill+bfill"])
def test_windows(ohlcv, fill):
    dataset = pytest.importorskip("qlib.data.dataset")
    table = Alpha158((5,), columns=["KLEN", "ROC5", "STD5"]).fit_transform(ohlcv)
    windows = RollingWindow(20, fill_method=fill).fit_transform(table)
    days = table.index.get_level_values("datetime")
    sampler = dataset.TSDataSampler(
        table.copy(), days.min(), days.max(), step_len=20, fillna_type=fill
    )
    theirs = sampler[list(range(len(sampler)))]
    order = table.index.get_indexer(sampler.get_index())
    assert len(order) == len(table)
    assert_array_equal(np.asarray(windows)[order], theirs)
