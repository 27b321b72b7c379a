"""Transformer: an encoder over the steps of a window, with the output from the last step."""

from __future__ import annotations

import math
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import nn

from skattn.base import SequenceRegressor, parameter
from skattn.kernels import feed_forward
from skattn.models._limits import MAX_LAYERS, MAX_SIZE


class Transformer(nn.Module):
    """Linear map plus sinusoidal positions, encoder layers, a linear output of the last step.

    The output reads only the last step. The last layer therefore computes only the attention of
    the last step to all steps, and the feed-forward network of the last step.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    d_model : int, default=64
        Size of a step within the encoder, a multiple of ``nhead``.
    nhead : int, default=2
        Number of attention heads.
    num_layers : int, default=2
        Number of encoder layers.
    dim_feedforward : int, default=2048
        Hidden size of the feed-forward networks.
    dropout : float, default=0.0
        Dropout rate of the attention weights, within the feed-forward networks, and of the outputs
        of attention and feed-forward networks.

    Raises
    ------
    ValueError
        ``d_model`` is not a multiple of ``nhead``.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_transformer.py``, ``Transformer``: same mathematics and
    same weight names, without qlib's unused ``encoder_layer`` and qlib's table of positions.

    Examples
    --------
    >>> import torch
    >>> from skattn.models import Transformer
    >>> module = Transformer(n_features=6, d_model=8, dim_feedforward=16)
    >>> module(torch.zeros(5, 60, 6)).shape
    torch.Size([5])
    >>> module.attend(torch.zeros(5, 60, 6))["layers"].shape
    torch.Size([5, 2, 2, 60, 60])
    """

    attention_axes: ClassVar[dict] = {"layers": ("layer", "head", "query", "key")}
    # Number of rows at a time with the fastest training on CPU.
    block_rows: ClassVar[int] = 64

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
                f"d_model must be a multiple of nhead, because each head has d_model / nhead "
                f"columns; got d_model={d_model} and nhead={nhead}."
            )
        self.dropout = dropout
        self.feature_layer = nn.Linear(n_features, d_model)
        layer = nn.TransformerEncoderLayer(
            d_model, nhead, dim_feedforward, dropout, batch_first=True
        )
        self.transformer_encoder = nn.TransformerEncoder(
            layer, num_layers, enable_nested_tensor=False
        )
        self.decoder_layer = nn.Linear(d_model, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one value for each of the B windows.

        Parameters
        ----------
        x : tensor of shape (B, T, F)

        Returns
        -------
        predicted : tensor of shape (B,)
        """
        dropout = self.dropout if self.training else 0.0
        *_, steps = self._inputs(x, dropout)
        layer = self._layers[-1]
        last = steps[:, -1]
        last = _encode(layer, last, _attend_from_last(layer.self_attn, steps, dropout), dropout)
        return self.decoder_layer(last)[:, 0]

    def attend(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Attention maps, without dropout.

        Parameters
        ----------
        x : tensor of shape (B, T, F)

        Returns
        -------
        maps : dict
            ``layers`` of shape (B, L, H, T, T): for each layer and head, the weights of all steps
            (keys, the last axis) for each step (query). The weights sum to 1 over the keys. The
            output reads the last step only.
        """
        maps = []
        for layer, steps in zip(self._layers, self._inputs(x, dropout=0.0), strict=True):
            queries, keys, _ = _project(layer.self_attn, steps)
            scores = queries.contiguous() @ keys.contiguous().transpose(2, 3)
            scores = scores / math.sqrt(layer.self_attn.head_dim)
            maps.append(torch.softmax(scores, dim=-1))
        return {"layers": torch.stack(maps, dim=1)}

    @property
    def _layers(self) -> list[nn.TransformerEncoderLayer]:
        return cast(list, list(self.transformer_encoder.layers))

    def _inputs(self, x: torch.Tensor, dropout: float) -> list[torch.Tensor]:
        """Compute the input (B, T, D) of each encoder layer."""
        steps = self.feature_layer(x)
        inputs = [steps + _positions(steps.shape[1], steps.shape[2], x.device)]
        for layer in self._layers[:-1]:
            attended = _attend_to_all(layer.self_attn, inputs[-1], dropout)
            inputs.append(_encode(layer, inputs[-1], attended, dropout))
        return inputs


def _positions(n_steps: int, d_model: int, device: torch.device) -> torch.Tensor:
    """Sines and cosines of the step numbers, (T, D), in pairs of decreasing frequency."""
    frequencies = torch.exp(
        torch.arange(0, d_model, 2, device=device) * (-math.log(10000.0) / d_model)
    )
    angles = torch.arange(n_steps, device=device)[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :d_model]


def _encode(
    layer: nn.TransformerEncoderLayer, x: torch.Tensor, attended: torch.Tensor, dropout: float
) -> torch.Tensor:
    """Finish a layer, given x and the output of its attention, both (..., D)."""
    x = layer.norm1(x + F.dropout(attended, dropout))
    return layer.norm2(
        x + F.dropout(feed_forward(layer.linear1, layer.linear2, x, dropout), dropout)
    )


def _project(
    attention: nn.MultiheadAttention, steps: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute queries, keys and values of steps (B, T, D), each (B, H, T, aligned D / H)."""
    projected = F.linear(steps, attention.in_proj_weight, attention.in_proj_bias)
    by_head = projected.unflatten(-1, (3, attention.num_heads, attention.head_dim))
    queries, keys, values = _align(by_head).transpose(1, 3).unbind(2)
    return queries, keys, values


def _align(x: torch.Tensor) -> torch.Tensor:
    """Pad the last axis with zeros to whole cache lines.

    Batched matrix products sum in another order if a matrix starts within a cache line.
    """
    missing = -x.shape[-1] % 16
    return F.pad(x, (0, missing)) if missing else x


def _attend_to_all(
    attention: nn.MultiheadAttention, steps: torch.Tensor, dropout: float
) -> torch.Tensor:
    """Attention of all steps (B, T, D) to all steps."""
    size = attention.head_dim
    projected = _project(attention, steps)
    # CPUs take five times as long for the backward pass in bfloat16.
    queries, keys, values = (p.to(steps.dtype) for p in projected) if steps.is_cpu else projected
    with torch.autocast("cpu", enabled=False):
        heads = F.scaled_dot_product_attention(
            queries, keys, values, dropout_p=dropout, scale=size**-0.5
        )
    return attention.out_proj(heads[..., :size].transpose(1, 2).flatten(2))


def _attend_from_last(
    attention: nn.MultiheadAttention, steps: torch.Tensor, dropout: float
) -> torch.Tensor:
    """Attention of the last step to all steps (B, T, D): (B, D).

    Keys and values are never computed. With k_t = K x_t + b, the score q . k_t of step t is
    (K' q) . x_t + q . b. All steps share the term q . b, and softmax cancels this term. With
    v_t = V x_t + c, the sum of w_t v_t is V (sum of w_t x_t) + c (sum of w_t).
    """
    n_heads, size = attention.num_heads, attention.head_dim
    query_weight, key_weight, value_weight = attention.in_proj_weight.chunk(3)
    query_bias, _, value_bias = attention.in_proj_bias.chunk(3)
    queries = F.linear(steps[:, -1], query_weight, query_bias) / math.sqrt(size)
    # The vectors K' q, one per head.
    probes = [
        F.linear(query, weight.T)
        for query, weight in zip(queries.split(size, 1), key_weight.split(size), strict=True)
    ]
    aligned = _align(steps)
    scores = _align(torch.stack(probes, dim=1)) @ aligned.transpose(1, 2)
    weights = F.dropout(torch.softmax(scores, dim=-1), dropout)
    mixed = (weights @ aligned)[..., : steps.shape[-1]].unbind(1)
    heads = [
        F.linear(steps_of_head, weight)
        for steps_of_head, weight in zip(mixed, value_weight.split(size), strict=True)
    ]
    # With dropout, the weights do not sum to 1.
    bias = weights.sum(-1, keepdim=True) * value_bias.view(n_heads, size)
    return attention.out_proj(torch.cat(heads, dim=1) + bias.flatten(1))


class TransformerRegressor(SequenceRegressor):
    """Transformer encoder over the window.

    The network maps each step linearly and adds a sinusoidal position. Encoder layers follow, each
    with attention and a feed-forward network, whose outputs are added to their inputs and
    normalized. A linear output reads the last step.

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762. qlib,
    ``qlib/contrib/model/pytorch_transformer.py`` and
    ``examples/benchmarks/Transformer/workflow_config_transformer_Alpha360.yaml`` for the defaults,
    which differ from the other models in weight_decay, batch_size, max_epochs and
    n_iter_no_change. (The lr there is 0.0001, which needs more than the few hundred steps of small
    data.)

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import TransformerRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10, 2)).astype("float32")
    >>> y = X[:, -3, 0]
    >>> model = TransformerRegressor(
    ...     d_model=16, dim_feedforward=32, batch_size=50, max_epochs=60, lr=0.01, random_state=0
    ... ).fit(X, y)
    >>> model.predict(X[:2]).shape
    (2,)
    >>> bool(model.score(X, y) > 0.5)
    True
    """

    d_model: int = parameter(
        64,
        at_least=1,
        at_most=MAX_SIZE,
        doc="Size of a step within the encoder, a multiple of ``nhead``.",
    )
    nhead: int = parameter(2, at_least=1, at_most=MAX_SIZE, doc="Number of attention heads.")
    num_layers: int = parameter(2, at_least=1, at_most=MAX_LAYERS, doc="Number of encoder layers.")
    dim_feedforward: int = parameter(
        2048, at_least=1, at_most=1_048_576, doc="Hidden size of the feed-forward networks."
    )
    dropout: float = parameter(
        0.0,
        at_least=0,
        below=1,
        doc="""
            Dropout rate of the attention weights, within the feed-forward networks, and of the
            outputs of attention and feed-forward networks.""",
    )
    weight_decay: float = 1e-3
    batch_size: int = 2048
    max_epochs: int = 100
    n_iter_no_change: int = 5

    def build_module(self, n_steps: int, n_features: int) -> Transformer:
        """Make the torch module for windows of this shape."""
        return Transformer(
            n_features,
            self.d_model,
            self.nhead,
            self.num_layers,
            self.dim_feedforward,
            self.dropout,
        )
