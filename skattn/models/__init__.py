"""Built-in models, one architecture per file, each imported at its first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skattn.models.alstm import ALSTM, ALSTMRegressor
    from skattn.models.gru import GRU, GRURegressor
    from skattn.models.hist import HIST, HISTRegressor
    from skattn.models.lstm import LSTM, LSTMRegressor
    from skattn.models.sfm import SFM, SFMRegressor
    from skattn.models.transformer import Transformer, TransformerRegressor

__all__ = [
    "ALSTM",
    "GRU",
    "HIST",
    "LSTM",
    "SFM",
    "ALSTMRegressor",
    "GRURegressor",
    "HISTRegressor",
    "LSTMRegressor",
    "SFMRegressor",
    "Transformer",
    "TransformerRegressor",
]

_HOMES = {name: name.removesuffix("Regressor").lower() for name in __all__}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"skattn.models.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'skattn.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
