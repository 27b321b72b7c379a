"""Localformer: encoder layers that each begin with a convolution, read out by a GRU."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from skattn import SequenceRegressor, parameter
from skattn.kernels import encoder_attention, encoder_layer, make_rnn, sinusoids, time_major
from skattn.parameters import MAX_LAYERS, MAX_SIZE, MAX_WIDTH


class Localformer(nn.Module):
    """Encoder layers over the steps of a window, each after a convolution, and a GRU over the end.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    d_model, nhead, num_layers, dim_feedforward, dropout
        As for ``LocalformerRegressor``.

    Examples
    --------
    >>> import torch
    >>> from skattn_localformer.model import Localformer
    >>> Localformer(n_features=6, d_model=8, dim_feedforward=16)(torch.zeros(5, 60, 6)).shape
    torch.Size([5])
    """

    attention_axes: ClassVar[dict] = {"layers": ("layer", "head", "query", "key")}
    block_rows: ClassVar[int] = 128

    def __init__(
        self,
        n_features: int,
        d_model: int = 64,
        nhead: int = 2,
        num_layers: int = 2,
        dim_feedforward: int = 2048,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if d_model % nhead:
            raise ValueError(
                f"d_model must be a multiple of nhead; got d_model={d_model} and nhead={nhead}."
            )
        self.dropout = dropout
        self.feature_layer = nn.Linear(n_features, d_model)
        layers = [
            nn.TransformerEncoderLayer(d_model, nhead, dim_feedforward, dropout, batch_first=True)
            for _ in range(num_layers)
        ]
        convolutions = [nn.Conv1d(d_model, d_model, 3, padding=1) for _ in range(num_layers)]
        parts = {"layers": nn.ModuleList(layers), "conv": nn.ModuleList(convolutions)}
        self.transformer_encoder = nn.ModuleDict(parts)
        self.rnn = make_rnn("gru", d_model, d_model, num_layers, dropout)
        self.decoder_layer = nn.Linear(d_model, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict each window: (B, T, F) to (B,)."""
        *_, encoded = self._encode(x, self.dropout if self.training else 0.0)
        states, _ = self.rnn(time_major(encoded))
        return self.decoder_layer(states[-1])[:, 0]

    def attend(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Attention maps, without dropout: ``layers`` (B, L, H, T, T), sums to 1 over the keys."""
        layers = self.transformer_encoder["layers"]
        inputs = self._encode(x, dropout=0.0)[:-1]
        maps = [encoder_attention(*each) for each in zip(layers, inputs, strict=True)]
        return {"layers": torch.stack(maps, dim=1)}

    def _encode(self, x: torch.Tensor, dropout: float) -> list[torch.Tensor]:
        """Compute the input (B, T, D) of each encoder layer, and last that of the GRU."""
        steps = self.feature_layer(x)
        steps = steps + sinusoids(steps.shape[1], steps.shape[2], x.device)
        inputs = []
        for layer, convolution in zip(*self.transformer_encoder.values(), strict=True):
            local = convolution(steps.transpose(1, 2)).transpose(1, 2)
            inputs.append(steps + local)
            steps = encoder_layer(layer, inputs[-1], dropout)
        # The last convolution comes in a second time, as in qlib.
        return [*inputs, steps + local]


class LocalformerRegressor(SequenceRegressor):
    """Transformer with local convolutions and a recurrent read-out.

    The network maps each step linearly and adds a sinusoidal position. Before each encoder layer, a
    convolution over neighbouring steps is added. A GRU reads the steps, and a linear output its
    last state.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_localformer.py``: same mathematics, weight names (without
    qlib's unused ``encoder_layer`` and its table of positions) and defaults. The lr is meant for
    thousands of steps; small data need a larger one.
    """

    d_model: int = parameter(64, at_least=1, at_most=MAX_SIZE, doc="Size of a step.")
    nhead: int = parameter(2, at_least=1, at_most=MAX_SIZE, doc="Number of attention heads.")
    num_layers: int = parameter(2, at_least=1, at_most=MAX_LAYERS, doc="Encoder and GRU layers.")
    dim_feedforward: int = parameter(
        2048, at_least=1, at_most=MAX_WIDTH, doc="Hidden size of the feed-forward networks."
    )
    dropout: float = parameter(0.0, at_least=0, below=1, doc="Dropout rate within the layers.")
    lr: float = 1e-4
    weight_decay: float = 1e-3
    batch_size: int = 2048
    max_epochs: int = 100
    n_iter_no_change: int = 5
    parameters_for_checks = {"d_model": 8, "dim_feedforward": 16}

    def build_module(self, n_steps: int, n_features: int) -> Localformer:
        """Make the torch module for windows of this shape."""
        sizes = (self.d_model, self.nhead, self.num_layers, self.dim_feedforward)
        return Localformer(n_features, *sizes, self.dropout)
