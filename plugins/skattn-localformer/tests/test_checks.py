"""skattn's checks of models."""

from __future__ import annotations

import pytest
from skattn_localformer.model import LocalformerRegressor

testing = pytest.importorskip("skattn.testing")


@testing.parametrize_with_model_checks([LocalformerRegressor()])
def test_localformer(estimator, check):
    """Each check by its name."""
    check(estimator)
