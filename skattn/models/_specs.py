"""Plugin that registers the built-in models."""

from __future__ import annotations

from skattn.plugins import ModelSpec, hookimpl


@hookimpl
def skattn_models() -> list[ModelSpec]:
    """Describe the built-in models."""
    return [
        ModelSpec(
            name="alstm",
            target="skattn.models.alstm:ALSTMRegressor",
            summary="Recurrent network (GRU or LSTM) with attention over time",
            reference="Qin et al. 2017, arXiv 1704.02971; qlib pytorch_alstm.py",
        ),
        ModelSpec(
            name="gru",
            target="skattn.models.gru:GRURegressor",
            summary="Last state of gated recurrent units",
            reference="Cho et al. 2014, arXiv 1406.1078; qlib pytorch_gru.py",
        ),
        ModelSpec(
            name="hist",
            target="skattn.models.hist:HISTRegressor",
            summary="Shared information of predefined and hidden concepts over a GRU or LSTM",
            reference="Xu et al. 2021, arXiv 2110.13716; qlib pytorch_hist.py",
        ),
        ModelSpec(
            name="lstm",
            target="skattn.models.lstm:LSTMRegressor",
            summary="Last state of long short-term memory",
            reference="Hochreiter and Schmidhuber 1997; qlib pytorch_lstm.py",
        ),
        ModelSpec(
            name="sfm",
            target="skattn.models.sfm:SFMRegressor",
            summary="State-frequency memory: a recurrent network that decomposes its memory",
            reference="Zhang, Aggarwal, Qi 2017; qlib pytorch_sfm.py",
        ),
        ModelSpec(
            name="transformer",
            target="skattn.models.transformer:TransformerRegressor",
            summary="Transformer encoder, last step",
            reference="Vaswani et al. 2017, arXiv 1706.03762; qlib pytorch_transformer.py",
        ),
    ]
