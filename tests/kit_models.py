"""Healthy models for skattn.testing, and those whose faults show in other processes only."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from skattn import SequenceRegressor, parameter
from skattn.base import CrossSectionalRegressor


class Rows(nn.Module):
    """A weighed mean over the states of a window's steps."""

    attention_axes = {"time": ("lag",)}

    def __init__(self, n_features, size, dropout):
        super().__init__()
        self.inside = nn.Linear(n_features, size)
        self.rnn = nn.GRU(size, size, batch_first=True)
        self.score = nn.Linear(size, 1)
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(size, 1)

    def states(self, x):  # (B, T, F) -> (B, T, H)
        return self.rnn(torch.tanh(self.inside(x)))[0]

    def weights(self, states):  # (B, T, H) -> (B, T)
        return self.score(states)[..., 0].softmax(-1)

    def forward(self, x):
        states = self.states(x)
        mean = (states * self.weights(states)[..., None]).sum(1)
        return self.out(self.drop(mean + states[:, -1]))[..., 0]

    def attend(self, x):
        return {"time": self.weights(self.states(x))}


class RowsRegressor(SequenceRegressor):
    """A weighed mean over the states of a window's steps."""

    size: int = parameter(16, at_least=1, doc="Size of the states.")
    dropout: float = parameter(0.0, at_least=0, below=1, doc="Dropout rate of the output.")

    def build_module(self, n_steps, n_features):
        return Rows(n_features, self.size, self.dropout)


class Days(nn.Module):
    """A stock's state beside the states of the day's stocks that are like it."""

    cross_sectional = True
    attention_axes = {"peers": ("stock",)}

    def __init__(self, n_features, size):
        super().__init__()
        self.rnn = nn.GRU(n_features, size, batch_first=True)
        self.out = nn.Linear(2 * size, 1)

    def states(self, x):  # (D, S, T, F) -> (D, S, H)
        return self.rnn(x.flatten(0, 1))[0][:, -1].unflatten(0, x.shape[:2])

    def weights(self, states, present):  # -> (D, S, S)
        scores = states @ states.mT
        scores = scores.masked_fill(~present[:, None], torch.finfo(scores.dtype).min)
        return scores.softmax(-1)

    def forward(self, x, present):
        states = self.states(x)
        shared = self.weights(states, present) @ states
        return self.out(torch.cat((states, shared), -1))[..., 0]

    def attend(self, x, present):
        return {"peers": self.weights(self.states(x), present)}


class DaysRegressor(CrossSectionalRegressor):
    """A stock's state beside the states of the day's stocks that are like it."""

    size: int = parameter(16, at_least=1, doc="Size of the states.")

    def build_module(self, n_steps, n_features):
        return Days(n_features, self.size)


# Faults that another process shows ----------------------------------------------------------------

SCALES: dict[str, float] = {}
BUILT = itertools.count(1)


class Registered(Rows):
    """A module that reads what only the process that has built it knows."""

    def forward(self, x):
        return super().forward(x) * SCALES["output"]


class RegisteredRegressor(RowsRegressor):
    """A model that needs what its own process has registered."""

    def build_module(self, n_steps, n_features):
        SCALES["output"] = 1.0
        return Registered(n_features, self.size, self.dropout)


class CountedRegressor(RowsRegressor):
    """A model whose weights depend on how many its process has built before."""

    def build_module(self, n_steps, n_features):
        module = super().build_module(n_steps, n_features)
        module.out.bias.data += next(BUILT)
        module.score.weight.data *= next(BUILT)
        return module
