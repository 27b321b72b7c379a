"""Attention models of quantitative research as scikit-learn regressors.

``import skattn`` is cheap: models, and torch with them, are imported when one is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skattn.panel import WindowArray, from_long
    from skattn.plugins import ModelSpec, get_model, hookimpl, list_models, make_model

__version__ = "0.1.0"

_HOMES = {
    "ModelSpec": "skattn.plugins",
    "WindowArray": "skattn.panel",
    "from_long": "skattn.panel",
    "get_model": "skattn.plugins",
    "hookimpl": "skattn.plugins",
    "list_models": "skattn.plugins",
    "make_model": "skattn.plugins",
}

__all__ = [
    "ModelSpec",
    "WindowArray",
    "__version__",
    "from_long",
    "get_model",
    "hookimpl",
    "list_models",
    "make_model",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'skattn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
