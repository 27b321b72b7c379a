"""Transformer: an encoder over the steps of a window, of which the last is read."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval
from torch import nn
from torch.autograd.function import once_differentiable

from skattn.base import SequenceRegressor, estimator

# Steps whose hidden layer is computed at a time on CPU: 256 x 2048 floats stay in cache.
TILE_STEPS = 256
# Hidden layers narrower than this gain nothing by it.
TILED_WIDTH = 64


class Transformer(nn.Module):
    """Linear map plus sinusoidal positions, encoder layers, a linear output of the last step.

    Of the last layer only what the output reads is computed: attention of the last step to all,
    and that step's feed-forward network.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    d_model : int, default=64
        Size of a step within the encoder, a multiple of ``nhead``.
    nhead : int, default=2
        Attention heads.
    num_layers : int, default=2
        Encoder layers.
    dim_feedforward : int, default=2048
        Hidden size of the feed-forward networks.
    dropout : float, default=0.0
        Of the attention weights, in the feed-forward networks, and of what either adds.

    Raises
    ------
    ValueError
        ``d_model`` cannot be divided among the heads.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_transformer.py``, ``Transformer``: same mathematics, same
    names of weights, but for its unused ``encoder_layer`` and its table of positions.

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
    # Rows at a time in which training is fastest on CPU.
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
                f"d_model must be a multiple of nhead, as each head has d_model / nhead of its "
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
            ``layers`` of shape (B, L, H, T, T), of each layer and head: the weights of all steps
            (keys, the last axis, summing to one) in each step (query). The output reads the last
            step's.
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
        """Compute the steps as each encoder layer gets them, (B, T, D)."""
        steps = self.feature_layer(x)
        inputs = [steps + _positions(steps.shape[1], steps.shape[2], x.device)]
        for layer in self._layers[:-1]:
            attended = _attend_to_all(layer.self_attn, inputs[-1], dropout)
            inputs.append(_encode(layer, inputs[-1], attended, dropout))
        return inputs


def _positions(n_steps: int, d_model: int, device: torch.device) -> torch.Tensor:
    """Sines and cosines of the steps' numbers, (T, D), in pairs of ever lower frequency."""
    frequencies = torch.exp(
        torch.arange(0, d_model, 2, device=device) * (-math.log(10000.0) / d_model)
    )
    angles = torch.arange(n_steps, device=device)[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :d_model]


def _encode(
    layer: nn.TransformerEncoderLayer, x: torch.Tensor, attended: torch.Tensor, dropout: float
) -> torch.Tensor:
    """Finish a layer, given what its attention adds to x, both (..., D)."""
    x = layer.norm1(x + F.dropout(attended, dropout))
    return layer.norm2(x + F.dropout(_feed_forward(layer, x, dropout), dropout))


def _project(
    attention: nn.MultiheadAttention, steps: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute queries, keys and values of (B, T, D) steps, each (B, H, T, aligned D / H)."""
    projected = F.linear(steps, attention.in_proj_weight, attention.in_proj_bias)
    by_head = projected.unflatten(-1, (3, attention.num_heads, attention.head_dim))
    queries, keys, values = _align(by_head).transpose(1, 3).unbind(2)
    return queries, keys, values


def _align(x: torch.Tensor) -> torch.Tensor:
    """Fill the last axis up with zeros to whole cache lines.

    Products of batches of matrices sum in another order where a matrix starts within a line.
    """
    missing = -x.shape[-1] % 16
    return F.pad(x, (0, missing)) if missing else x


def _attend_to_all(
    attention: nn.MultiheadAttention, steps: torch.Tensor, dropout: float
) -> torch.Tensor:
    """Attention of all (B, T, D) steps to all."""
    size = attention.head_dim
    projected = _project(attention, steps)
    # In bfloat16, CPUs take five times as long for the backward pass.
    queries, keys, values = (p.to(steps.dtype) for p in projected) if steps.is_cpu else projected
    with torch.autocast("cpu", enabled=False):
        heads = F.scaled_dot_product_attention(
            queries, keys, values, dropout_p=dropout, scale=size**-0.5
        )
    return attention.out_proj(heads[..., :size].transpose(1, 2).flatten(2))


def _attend_from_last(
    attention: nn.MultiheadAttention, steps: torch.Tensor, dropout: float
) -> torch.Tensor:
    """Attention of the last step to all (B, T, D) steps: (B, D).

    No step's key or value is computed. With k_t = K x_t + b, the score q . k_t of step t is
    (K' q) . x_t, plus q . b that all steps share and softmax cancels. The sum of w_t v_t, where
    v_t = V x_t + c, is V (sum of w_t x_t) + c (sum of w_t).
    """
    n_heads, size = attention.num_heads, attention.head_dim
    query_weight, key_weight, value_weight = attention.in_proj_weight.chunk(3)
    query_bias, _, value_bias = attention.in_proj_bias.chunk(3)
    queries = F.linear(steps[:, -1], query_weight, query_bias) / math.sqrt(size)
    # K' q of each head.
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
    # Dropout makes the sum of the weights other than one.
    bias = weights.sum(-1, keepdim=True) * value_bias.view(n_heads, size)
    return attention.out_proj(torch.cat(heads, dim=1) + bias.flatten(1))


def _feed_forward(
    layer: nn.TransformerEncoderLayer, x: torch.Tensor, dropout: float
) -> torch.Tensor:
    up, down = layer.linear1, layer.linear2
    tiled = x.is_cpu and up.out_features >= TILED_WIDTH and not dropout
    if not tiled or torch.compiler.is_compiling():
        return down(F.dropout(F.relu(up(x)), dropout))
    tensors: tuple[torch.Tensor, ...] = (x, up.weight, up.bias, down.weight, down.bias)
    if torch.is_autocast_enabled("cpu"):
        # Here, so that the weights are cast once and their gradients are summed in float32.
        tensors = tuple(t.to(torch.get_autocast_dtype("cpu")) for t in tensors)
    return _TiledFeedForward.apply(*tensors)


class _TiledFeedForward(torch.autograd.Function):
    """Linear, relu, linear, by tiles whose hidden layer is in cache and not kept for backward.

    To compute the hidden layer a second time takes less than to write it out and read it back.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        up: torch.Tensor,
        up_bias: torch.Tensor,
        down: torch.Tensor,
        down_bias: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, up, up_bias, down)
        tiles, parts = _tiles(x), []
        buffer = x.new_empty((len(tiles[0]), len(up)))
        for tile in tiles:
            hidden = torch.addmm(up_bias, tile, up.T, out=buffer[: len(tile)]).relu_()
            parts.append(F.linear(hidden, down, down_bias))
        return torch.cat(parts).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, up, up_bias, down = ctx.saved_tensors
        tiles, grad_x = _tiles(x), []
        dtype = torch.promote_types(x.dtype, torch.float32)
        # Of up's transpose: the product is faster that way round.
        grad_up = x.new_zeros(up.T.shape, dtype=dtype)
        grad_up_bias = x.new_zeros((1, len(up)), dtype=dtype)
        grad_down = x.new_zeros(down.shape, dtype=dtype)
        buffers = x.new_empty((2, len(tiles[0]), len(up)))
        for tile, grad_tile in zip(tiles, _tiles(grad), strict=True):
            hidden, grad_hidden = buffers[:, : len(tile)]
            torch.addmm(up_bias, tile, up.T, out=hidden).relu_()
            grad_down += grad_tile.T @ hidden
            torch.mm(grad_tile, down, out=grad_hidden)
            torch.ops.aten.threshold_backward.grad_input(
                grad_hidden, hidden, 0, grad_input=grad_hidden
            )
            grad_up += tile.T @ grad_hidden
            grad_up_bias += grad_hidden.new_ones((1, len(tile))) @ grad_hidden
            grad_x.append(grad_hidden @ up)
        return (
            torch.cat(grad_x).view(x.shape),
            grad_up.T,
            grad_up_bias[0],
            grad_down,
            grad.flatten(0, -2).sum(0),
        )


def _tiles(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Split (B, T, D) or (B, D) into matrices of at most TILE_STEPS rows, or of one window.

    They hold a power of two of windows, so that blocks which do, as those that are predicted, have
    tiles of one size: products of different sizes sum in different order.
    """
    n_steps = 1 if x.ndim == 2 else x.shape[1]
    n_windows = 1 << max(0, (TILE_STEPS // n_steps).bit_length() - 1)
    return x.reshape(-1, x.shape[-1]).split(n_windows * n_steps)


@estimator
class TransformerRegressor(SequenceRegressor):
    """Transformer encoder over the window.

    A linear map of each step plus its sinusoidal position, encoder layers (attention and a
    feed-forward network, each added to its input and normalized), and a linear output of the last
    step.

    Parameters
    ----------
    d_model : int, default=64
        Size of a step within the encoder, a multiple of ``nhead``.
    nhead : int, default=2
        Attention heads.
    num_layers : int, default=2
        Encoder layers.
    dim_feedforward : int, default=2048
        Hidden size of the feed-forward networks.
    dropout : float, default=0.0
        Of the attention weights, in the feed-forward networks, and of what either adds, in
        [0, 1).
    {training_parameters}

    Attributes
    ----------
    {training_attributes}

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762. qlib,
    ``qlib/contrib/model/pytorch_transformer.py`` and
    ``examples/benchmarks/Transformer/workflow_config_transformer_Alpha360.yaml`` for the defaults,
    which differ from the other models' in weight_decay, batch_size, max_epochs and
    n_iter_no_change. (Its lr is 0.0001, which a few hundred steps of small data are too few for.)

    Examples
    --------
    >>> import numpy as np
    >>> from skattn.models import TransformerRegressor
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

    d_model: int = 64
    nhead: int = 2
    num_layers: int = 2
    dim_feedforward: int = 2048
    dropout: float = 0.0
    weight_decay: float = 1e-3
    batch_size: int = 2048
    max_epochs: int = 100
    n_iter_no_change: int = 5

    _parameter_constraints: ClassVar[dict] = {
        **SequenceRegressor._parameter_constraints,
        "d_model": [Interval(Integral, 1, None, closed="left")],
        "nhead": [Interval(Integral, 1, None, closed="left")],
        "num_layers": [Interval(Integral, 1, None, closed="left")],
        "dim_feedforward": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

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
