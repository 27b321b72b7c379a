"""MASTER for skattn: the market-guided stock transformer, and the market's information for it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import skattn

_HOMES = {
    "MASTER": "skattn_master.model",
    "MASTERRegressor": "skattn_master.model",
    "MarketInformation": "skattn_master.market",
}

__all__ = ["MASTER", "MASTERRegressor", "MarketInformation"]


@skattn.hookimpl
def skattn_models() -> skattn.ModelSpec:
    """Name the model, without an import of torch."""
    return skattn.ModelSpec(
        name="master",
        target="skattn_master.model:MASTERRegressor",
        summary="Attention within and across stocks, features gated by the market (MASTER)",
        reference="Li et al. 2024, AAAI, arXiv 2312.15235",
    )


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'skattn_master' has no attribute {name!r}")
