"""Attention models of quantitative research as scikit-learn regressors.

``import skattn`` is cheap: models, and torch with them, are imported when one is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skattn.base import CrossSectionalRegressor, SequenceRegressor
    from skattn.labels import make_label
    from skattn.models import (
        ALSTMRegressor,
        GRURegressor,
        HISTRegressor,
        LSTMRegressor,
        SFMRegressor,
        TransformerRegressor,
    )
    from skattn.panel import WindowArray, from_long
    from skattn.parameters import parameter
    from skattn.plugins import ModelSpec, get_model, hookimpl, list_models, make_model

#: Version of skattn.
__version__ = "0.1.0"

_HOMES = {
    "ALSTMRegressor": "skattn.models",
    "CrossSectionalRegressor": "skattn.base",
    "GRURegressor": "skattn.models",
    "HISTRegressor": "skattn.models",
    "LSTMRegressor": "skattn.models",
    "ModelSpec": "skattn.plugins",
    "SFMRegressor": "skattn.models",
    "SequenceRegressor": "skattn.base",
    "TransformerRegressor": "skattn.models",
    "WindowArray": "skattn.panel",
    "from_long": "skattn.panel",
    "get_model": "skattn.plugins",
    "hookimpl": "skattn.plugins",
    "list_models": "skattn.plugins",
    "make_label": "skattn.labels",
    "make_model": "skattn.plugins",
    "parameter": "skattn.parameters",
}

__all__ = [
    "ALSTMRegressor",
    "CrossSectionalRegressor",
    "GRURegressor",
    "HISTRegressor",
    "LSTMRegressor",
    "ModelSpec",
    "SFMRegressor",
    "SequenceRegressor",
    "TransformerRegressor",
    "WindowArray",
    "__version__",
    "from_long",
    "get_model",
    "hookimpl",
    "list_models",
    "make_label",
    "make_model",
    "parameter",
]


# Packages that are found as attributes before anybody has imported them.
_PACKAGES = (
    *("base", "cluster", "compose", "datasets", "inspection", "kernels", "labels", "losses"),
    *("metrics", "model_selection", "models", "panel", "parameters", "preprocessing"),
    *("progress", "qlib", "recipes", "testing", "weights"),
)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return import_module(f"skattn.{name}")
    raise AttributeError(f"module 'skattn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_PACKAGES})
