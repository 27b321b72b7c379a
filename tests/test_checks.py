"""Every registered model passes scikit-learn's checks and skattn's: nothing is excused."""

from __future__ import annotations

import skattn
from skattn.testing import parametrize_with_model_checks

NAMES = [spec.name for spec in skattn.list_models()]


def test_every_model_is_here():
    assert {"alstm", "gru", "hist", "lstm", "sfm", "transformer"} <= set(NAMES)


@parametrize_with_model_checks(NAMES)
def test_model(estimator, check):
    check(estimator)


# With more than the checks' small defaults: concepts, the other unit, several layers.
VARIANTS = [
    skattn.make_model("hist", concepts={f"S{n}": "abc"[n % 3] for n in range(9)}, rnn="gru"),
    skattn.make_model("alstm", rnn="lstm"),
    skattn.make_model("transformer", num_layers=1, nhead=1),
]


@parametrize_with_model_checks(VARIANTS, scikit_learn=False)
def test_variant(estimator, check):
    check(estimator)
