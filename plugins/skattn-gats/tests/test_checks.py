"""skattn's checks of models."""

from __future__ import annotations

import pytest
from skattn_gats.model import GATsRegressor

testing = pytest.importorskip("skattn.testing")


@testing.parametrize_with_model_checks([GATsRegressor(), GATsRegressor(rnn="lstm")])
def test_gats(estimator, check):
    """Each check by its name."""
    check(estimator)
