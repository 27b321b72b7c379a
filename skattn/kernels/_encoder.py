"""Encoder layers: torch's weights, computed in tiles and without work that nothing reads.

The functions take a ``torch.nn.TransformerEncoderLayer`` for its weights, and compute what it
computes up to rounding: attention, a residual, a norm, a feed-forward network, a residual, a norm.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from skattn.kernels._tiled_feed_forward import feed_forward


def sinusoids(n_steps: int, d_model: int, device: torch.device | None = None) -> torch.Tensor:
    """Give the positions of steps as sines and cosines.

    Parameters
    ----------
    n_steps : int
        Number of steps T.
    d_model : int
        Number of columns D, in pairs of a sine and a cosine of decreasing frequency.
    device : torch.device, default=None
        Where the tensor lies. None: on the CPU.

    Returns
    -------
    positions : tensor of shape (T, D)

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762.

    Examples
    --------
    >>> from skattn.kernels import sinusoids
    >>> sinusoids(3, 2)[:, 1].cos().shape
    torch.Size([3])
    """
    frequencies = torch.exp(
        torch.arange(0, d_model, 2, device=device) * (-math.log(10000.0) / d_model)
    )
    angles = torch.arange(n_steps, device=device)[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :d_model]


def encoder_layer(
    layer: nn.TransformerEncoderLayer, steps: torch.Tensor, dropout: float = 0.0
) -> torch.Tensor:
    """Compute an encoder layer for all steps.

    Parameters
    ----------
    layer : torch.nn.TransformerEncoderLayer
        Its weights are read; it has relu and its norms last, as torch makes it by default.
    steps : tensor of shape (B, T, D)
        Input.
    dropout : float, default=0.0
        Dropout rate of the attention weights, within the feed-forward network, and of the outputs
        of both; 0 outside training.

    Returns
    -------
    steps : tensor of shape (B, T, D)

    Examples
    --------
    >>> import torch
    >>> from skattn.kernels import encoder_layer
    >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 64, 0.0, batch_first=True)
    >>> steps = torch.randn(5, 10, 8)
    >>> torch.allclose(encoder_layer(layer, steps), layer(steps), atol=1e-5)
    True
    """
    return _encode(layer, steps, _attend_to_all(layer.self_attn, steps, dropout), dropout)


def encode_last_step(
    layer: nn.TransformerEncoderLayer, steps: torch.Tensor, dropout: float = 0.0
) -> torch.Tensor:
    """Compute an encoder layer for the last step alone, which attends to all steps.

    Parameters
    ----------
    layer, steps, dropout
        As for ``encoder_layer``.

    Returns
    -------
    last : tensor of shape (B, D)

    Examples
    --------
    >>> import torch
    >>> from skattn.kernels import encode_last_step, encoder_layer
    >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 64, 0.0, batch_first=True)
    >>> steps = torch.randn(5, 10, 8)
    >>> last = encoder_layer(layer, steps)[:, -1]
    >>> torch.allclose(encode_last_step(layer, steps), last, atol=1e-5)
    True
    """
    attended = _attend_from_last(layer.self_attn, steps, dropout)
    return _encode(layer, steps[:, -1], attended, dropout)


def encoder_attention(layer: nn.TransformerEncoderLayer, steps: torch.Tensor) -> torch.Tensor:
    """Give the attention weights of an encoder layer, without dropout.

    Parameters
    ----------
    layer, steps
        As for ``encoder_layer``.

    Returns
    -------
    weights : tensor of shape (B, H, T, T)
        For each of H heads, the weights of all steps (keys, the last axis) for each step (query);
        they sum to 1 over the keys.

    Examples
    --------
    >>> import torch
    >>> from skattn.kernels import encoder_attention
    >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 64, 0.0, batch_first=True)
    >>> encoder_attention(layer, torch.randn(5, 10, 8)).sum(dim=-1).allclose(torch.ones(()))
    True
    """
    queries, keys, _ = _project(layer.self_attn, steps)
    scores = queries.contiguous() @ keys.contiguous().transpose(2, 3)
    return torch.softmax(scores / math.sqrt(layer.self_attn.head_dim), dim=-1)


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
