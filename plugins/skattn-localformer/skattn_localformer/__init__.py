"""Localformer for skattn: a transformer with local convolutions and a recurrent read-out."""

from __future__ import annotations

import skattn


@skattn.hookimpl
def skattn_models() -> skattn.ModelSpec:
    """Describe the model."""
    return skattn.ModelSpec(
        name="localformer",
        target="skattn_localformer.model:LocalformerRegressor",
        summary="Transformer with local convolutions and a recurrent read-out",
        reference="qlib pytorch_localformer.py",
        qlib=(
            "qlib.contrib.model.pytorch_localformer:LocalformerModel",
            "qlib.contrib.model.pytorch_localformer_ts:LocalformerModel",
        ),
    )
