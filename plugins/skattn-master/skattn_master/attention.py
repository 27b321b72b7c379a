"""Attention among steps, or among stocks, with the feed-forward network behind it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Norm, attention among the second last axis, norm and feed-forward, each with a residual."""

    def __init__(self, d_model: int, n_heads: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.n_heads, self.dropout, self.scale = n_heads, dropout, scale
        self.qtrans = nn.Linear(d_model, d_model, bias=False)
        self.ktrans = nn.Linear(d_model, d_model, bias=False)
        self.vtrans = nn.Linear(d_model, d_model, bias=False)
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        first, second = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.ffn = nn.Sequential(first, nn.ReLU(), nn.Dropout(dropout), second, nn.Dropout(dropout))

    def forward(
        self, x: torch.Tensor, seen: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take (..., L, C) to (..., L, C) and weights (..., heads, L, L); ``seen`` masks keys."""
        x = self.norm1(x)
        q, k, v = (
            trans(x).unflatten(-1, (self.n_heads, -1)).transpose(-3, -2)
            for trans in (self.qtrans, self.ktrans, self.vtrans)
        )
        scores = q @ k.mT * self.scale
        if seen is not None:
            scores = scores.masked_fill(~seen, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        attended = F.dropout(weights, self.dropout, self.training) @ v
        x = self.norm2(x + attended.transpose(-3, -2).flatten(-2))
        return x + self.ffn(x), weights
