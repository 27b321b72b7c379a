"""GATs for skattn: graph attention across the stocks of a day."""

from __future__ import annotations

import skattn


@skattn.hookimpl
def skattn_models() -> skattn.ModelSpec:
    """Describe the model."""
    return skattn.ModelSpec(
        name="gats",
        target="skattn_gats.model:GATsRegressor",
        summary="Graph attention across the stocks of a day, over a GRU or LSTM",
        reference="Velickovic et al. 2018, arXiv 1710.10903; qlib pytorch_gats.py",
        qlib=(
            "qlib.contrib.model.pytorch_gats:GATs",
            "qlib.contrib.model.pytorch_gats_ts:GATs",
        ),
        qlib_parameters={"base_model": "rnn"},
    )
