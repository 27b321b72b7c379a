"""skattn's checks of models."""

from __future__ import annotations

from skattn_localformer.model import LocalformerRegressor

from skattn.testing import parametrize_with_model_checks


@parametrize_with_model_checks([LocalformerRegressor()])
def test_localformer(estimator, check):
    """Each check by its name."""
    check(estimator)
