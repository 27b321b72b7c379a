"""skattn's checks of models."""

from __future__ import annotations

from skattn_gats.model import GATsRegressor

from skattn.testing import parametrize_with_model_checks


@parametrize_with_model_checks([GATsRegressor(), GATsRegressor(rnn="lstm")])
def test_gats(estimator, check):
    """Each check by its name."""
    check(estimator)
