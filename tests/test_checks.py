"""scikit-learn's own checks of every model as it comes: nothing fails, nothing is excused."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import skattn

BUILT_IN = ("alstm", "gru", "hist", "lstm", "sfm", "transformer")


def test_every_model_is_here():
    assert set(BUILT_IN) <= {spec.name for spec in skattn.list_models()}


# The checks know no days, which HIST says.
@pytest.mark.filterwarnings("ignore:HISTRegressor looks across the stocks of a day")
@parametrize_with_checks([skattn.make_model(name) for name in BUILT_IN])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
