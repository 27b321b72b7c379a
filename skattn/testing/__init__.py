"""The kit that tells a sound model from a faulty one, for authors of models.

``check_model`` runs scikit-learn's checks and checks of what skattn promises its users. A check
that fails says what was found and what to change. ``parametrize_with_model_checks`` makes a test of
each check, and ``assert_same_as`` compares a module with another implementation of its
architecture.

The windows that models are checked on have 7 steps, the fields "x0", "x1" and "x2", and the stocks
"S0" to "S8". A class may name small parameters for its checks in ``parameters_for_checks``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skattn.testing._parity import assert_same_as
    from skattn.testing._runner import (
        check_model,
        model_checks,
        parametrize_with_model_checks,
    )

# The command line imports the kit, and needs torch for some commands only.
_HOMES = {
    "assert_same_as": "skattn.testing._parity",
    "check_model": "skattn.testing._runner",
    "model_checks": "skattn.testing._runner",
    "parametrize_with_model_checks": "skattn.testing._runner",
}

__all__ = ["assert_same_as", "check_model", "model_checks", "parametrize_with_model_checks"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'skattn.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
