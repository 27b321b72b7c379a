"""The built-in models, one architecture a file, imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skattn.models.alstm import ALSTM, ALSTMRegressor

_HOMES = {"ALSTM": "alstm", "ALSTMRegressor": "alstm"}

__all__ = ["ALSTM", "ALSTMRegressor"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"skattn.models.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'skattn.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
