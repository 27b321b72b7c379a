"""The plugin through which the built-in models come in."""

from __future__ import annotations

from skattn.plugins import ModelSpec, hookimpl


@hookimpl
def skattn_models() -> list[ModelSpec]:
    """Name the built-in models."""
    return [
        ModelSpec(
            name="alstm",
            target="skattn.models.alstm:ALSTMRegressor",
            summary="Recurrent network (GRU or LSTM) with attention over time",
            reference="Qin et al. 2017, arXiv 1704.02971; qlib pytorch_alstm.py",
        ),
    ]
