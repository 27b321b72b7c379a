"""MASTER: attention within a stock and across stocks, over features that the market gates."""

from __future__ import annotations

import warnings
from typing import ClassVar

import torch
from torch import nn

from skattn.base import CrossSectionalRegressor, parameter
from skattn.kernels import sinusoids
from skattn.parameters import MAX_SIZE
from skattn_master.attention import Attention

Maps = dict[str, torch.Tensor]


class MASTER(nn.Module):
    """Gate of the features, attention over time, attention over stocks, mean over time.

    Weights are named as in the original code. ``shape`` is (T, F) of the windows, ``sizes`` is
    (d_model, heads over time, heads over stocks), ``dropouts`` the rates of both attentions.
    """

    cross_sectional = True
    attention_axes: ClassVar[dict] = {
        "gate": ("feature",),
        "time": ("head", "query", "key"),
        "stocks": ("head", "lag", "stock"),
        "aggregation": ("lag",),
    }
    attention_sums: ClassVar[dict] = {"gate": ()}  # to the number of features

    def __init__(
        self,
        shape: tuple[int, int],
        n_market: int,
        sizes: tuple[int, int, int],
        dropouts: tuple[float, float],
        beta: float,
    ) -> None:
        super().__init__()
        (n_steps, n_features), (size, *heads) = shape, sizes
        self.n_own, self.beta = n_features - n_market, beta
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, where there is no market column
            self.feature_gate = nn.ModuleDict({"trans": nn.Linear(n_market, self.n_own)})
        positions, mean = nn.Module(), nn.Linear(size, size, bias=False)
        positions.register_buffer("pe", sinusoids(max(n_steps, 100), size))  # as published
        over_time = Attention(size, heads[0], dropouts[0], scale=1.0)
        over_stocks = Attention(size, heads[1], dropouts[1], scale=(size / heads[1]) ** -0.5)
        layers = [nn.Linear(self.n_own, size), positions, over_time, over_stocks]
        self.layers = nn.ModuleList([*layers, nn.ModuleDict({"trans": mean}), nn.Linear(size, 1)])

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Predict (D, S) from windows (D, S, T, F)."""
        return self._forward(x, present)[0]

    def attend(self, x: torch.Tensor, present: torch.Tensor) -> Maps:
        """Give the gate, which sums to the number of features, and weights, which sum to 1."""
        return self._forward(x, present)[1]

    def _forward(self, x: torch.Tensor, present: torch.Tensor) -> tuple[torch.Tensor, Maps]:
        linear, positions, over_time, over_stocks, mean, out = self.layers
        x, market = x[..., : self.n_own], x[:, :, -1, self.n_own :]
        scores = self.feature_gate["trans"](market) / self.beta
        maps = {"gate": self.n_own * scores.softmax(-1)}
        x = linear(x * maps["gate"][:, :, None]) + positions.pe[: x.shape[2]]
        steps, maps["time"] = over_time(x)
        across, weights = over_stocks(steps.transpose(1, 2), present[:, None, None, None])
        maps["stocks"] = weights.permute(0, 3, 2, 1, 4)
        steps = across.transpose(1, 2)
        h = mean["trans"](steps)
        maps["aggregation"] = (h @ h[:, :, -1, :, None])[..., 0].softmax(-1)
        return out((maps["aggregation"][:, :, None] @ steps)[:, :, 0])[..., 0], maps


class MASTERRegressor(CrossSectionalRegressor):
    """MASTER, the market-guided stock transformer.

    References
    ----------
    Li et al. 2024, AAAI, arXiv 2312.15235; https://github.com/SJTU-Quant/MASTER.
    """

    parameters_for_checks = {"n_market": 0, "d_model": 8, "t_nhead": 2}

    n_market: int = parameter(
        21,
        at_least=0,
        doc="""
            Columns at the end of the windows that tell of the day's market, read at the last step:
            21 for each market of ``MarketInformation``, 63 in the original. 0: a constant gate.""",
    )
    d_model: int = parameter(256, at_least=1, at_most=MAX_SIZE, doc="Size of a step.")
    t_nhead: int = parameter(4, at_least=1, at_most=MAX_SIZE, doc="Heads over time.")
    s_nhead: int = parameter(2, at_least=1, at_most=MAX_SIZE, doc="Heads over stocks.")
    t_dropout: float = parameter(0.5, at_least=0, below=1, doc="Dropout rate, over time.")
    s_dropout: float = parameter(0.5, at_least=0, below=1, doc="Dropout rate, over stocks.")
    beta: float = parameter(5.0, above=0, doc="Temperature of the gate; low: few features count.")
    lr = 1e-4
    max_epochs = 40
    monitor = "valid_ic"

    def build_module(self, n_steps: int, n_features: int) -> MASTER:
        """Make the torch module for windows of this shape."""
        if n_features <= self.n_market:
            raise ValueError(
                f"MASTER reads the last n_market={self.n_market} columns of the windows as the "
                f"market's (MARKET_RETURN, MARKET_RETURN_MEAN5, ...) and those before them as the "
                f"stock's; the windows have only {n_features} feature(s). "
                f"skattn_master.MarketInformation appends 21 columns for each market."
            )
        for name, n_heads in (("t_nhead", self.t_nhead), ("s_nhead", self.s_nhead)):
            if self.d_model % n_heads:
                got = f"d_model={self.d_model} and {name}={n_heads}"
                raise ValueError(f"d_model must be a multiple of {name}; got {got}.")
        shape, sizes = (n_steps, n_features), (self.d_model, self.t_nhead, self.s_nhead)
        return MASTER(shape, self.n_market, sizes, (self.t_dropout, self.s_dropout), self.beta)
