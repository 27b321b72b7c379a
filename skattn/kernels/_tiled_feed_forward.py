"""Feed-forward network in tiles, whose hidden layers stay in the processor's cache."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

# Number of steps in a tile on a CPU: a hidden layer of 256 x 2048 floats stays in the cache.
TILE_STEPS = 256
#: Narrower hidden layers gain nothing from tiles.
TILED_WIDTH = 64


def feed_forward(up: nn.Linear, down: nn.Linear, x: torch.Tensor, dropout: float) -> torch.Tensor:
    """Compute ``down(dropout(relu(up(x))))``.

    On a CPU and without dropout, wide hidden layers are computed in tiles. Forward and backward
    pass are the same up to rounding.

    Parameters
    ----------
    up, down : torch.nn.Linear
        The two layers, each with a bias.
    x : tensor of shape (B, T, D) or (B, D)
        Input.
    dropout : float
        Dropout rate of the hidden layer; 0 for no dropout.

    Returns
    -------
    y : tensor of the same shape as x
        Output.

    Examples
    --------
    >>> import torch
    >>> from skattn.kernels import feed_forward
    >>> up, down, x = torch.nn.Linear(4, 64), torch.nn.Linear(64, 4), torch.randn(5, 3, 4)
    >>> torch.allclose(feed_forward(up, down, x, 0.0), down(up(x).relu()), atol=1e-6)
    True
    """
    tiled = x.is_cpu and up.out_features >= TILED_WIDTH and not dropout
    if not tiled or torch.compiler.is_compiling():
        return down(F.dropout(F.relu(up(x)), dropout))
    tensors: tuple[torch.Tensor, ...] = (x, up.weight, up.bias, down.weight, down.bias)
    if torch.is_autocast_enabled("cpu"):
        # Here the weights are cast only once, and their gradients are summed in float32.
        tensors = tuple(t.to(torch.get_autocast_dtype("cpu")) for t in tensors)
    return _TiledFeedForward.apply(*tensors)


class _TiledFeedForward(torch.autograd.Function):
    """Linear, relu, linear in tiles, without storing the hidden layer for the backward pass.

    Computing the hidden layer a second time is faster than writing and reading the layer.
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
        # This is the gradient of the transpose of `up`, because that product is faster.
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

    The number of windows in a tile is a power of two. Power-of-two tiles divide the prediction
    blocks evenly, so all tiles have the same size. Products of different sizes would sum in
    different orders.
    """
    n_steps = 1 if x.ndim == 2 else x.shape[1]
    n_windows = 1 << max(0, (TILE_STEPS // n_steps).bit_length() - 1)
    return x.reshape(-1, x.shape[-1]).split(n_windows * n_steps)
