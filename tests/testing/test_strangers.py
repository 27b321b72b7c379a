"""Sound models of the kinds that strangers write: the kit raises no false alarm."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skattn import SequenceRegressor, parameter
from skattn.base import CrossSectionalRegressor
from skattn.testing import check_model


class Perceptron(nn.Module):
    def __init__(self, n_steps, n_features, size):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(n_steps * n_features, size), nn.ReLU(), nn.Linear(size, 1)
        )

    def forward(self, x):
        return self.layers(x)[..., 0]


class Convolution(nn.Module):
    def __init__(self, n_steps, n_features, size):
        super().__init__()
        self.inner = nn.Conv1d(n_features, size, 3, padding=1)
        self.outer = nn.Conv1d(size, size, 3, padding=1)
        self.out = nn.Linear(size, 1)

    def forward(self, x):
        states = F.gelu(self.outer(F.relu(self.inner(x.transpose(1, 2)))))
        return self.out(states.mean(-1))[..., 0]


class TorchEncoder(nn.Module):
    def __init__(self, n_steps, n_features, size):
        super().__init__()
        self.inside = nn.Linear(n_features, size)
        self.places = nn.Parameter(0.1 * torch.randn(n_steps, size))
        layer = nn.TransformerEncoderLayer(size, 2, 32, 0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.out = nn.Linear(size, 1)

    def forward(self, x):
        return self.out(self.encoder(self.inside(x) + self.places)[:, -1])[..., 0]


class ByEinsum(nn.Module):
    attention_axes = {"steps": ("query", "key")}

    def __init__(self, n_steps, n_features, size):
        super().__init__()
        self.query, self.key = nn.Linear(n_features, size), nn.Linear(n_features, size)
        self.out = nn.Linear(n_features, 1)

    def weights(self, x):
        return torch.einsum("bth,bsh->bts", self.query(x), self.key(x)).softmax(-1)

    def forward(self, x):
        mixed = torch.einsum("bts,bsf->btf", self.weights(x), x)
        return self.out(mixed.sum(1) + x[:, -1])[..., 0]

    def attend(self, x):
        return {"steps": self.weights(x)}


class WithinTheWindow(nn.Module):
    def __init__(self, n_steps, n_features, size):
        super().__init__()
        self.rnn = nn.LSTM(n_features, size, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * size, 1)

    def forward(self, x):
        spread = x.std(1, keepdim=True, unbiased=False) + 1e-5
        return self.out(self.rnn((x - x.mean(1, keepdim=True)) / spread)[0].mean(1))[..., 0]


class Heads(nn.Module):
    cross_sectional = True
    attention_axes = {"peers": ("head", "stock")}

    def __init__(self, n_steps, n_features, size):
        super().__init__()
        self.rnn = nn.GRU(n_features, size, batch_first=True)
        self.attention = nn.MultiheadAttention(size, 2, batch_first=True)
        self.out = nn.Linear(size, 1)

    def mix(self, x, present):
        states = self.rnn(x.flatten(0, 1))[0][:, -1].unflatten(0, x.shape[:2])
        shared, weights = self.attention(
            states, states, states, key_padding_mask=~present, average_attn_weights=False
        )
        return states + shared, weights

    def forward(self, x, present):
        return self.out(self.mix(x, present)[0])[..., 0]

    def attend(self, x, present):
        return {"peers": self.mix(x, present)[1].transpose(1, 2)}


class BesideTheMarket(nn.Module):
    cross_sectional = True

    def __init__(self, n_steps, n_features, size):
        super().__init__()
        self.inside = nn.Linear(n_steps * n_features, size)
        self.out = nn.Linear(size, 1)

    def forward(self, x, present):
        own = self.out(torch.tanh(self.inside(x.flatten(2))))[..., 0] * present
        return own - own.sum(1, keepdim=True) / present.sum(1, keepdim=True)


class Sized(SequenceRegressor):
    """A model of one size."""

    size: int = parameter(8, at_least=2, doc="Size of the states.")

    def build_module(self, n_steps, n_features):
        return self.module(n_steps, n_features, self.size)


class SizedOfDays(CrossSectionalRegressor):
    """A model of whole days, of one size."""

    size: int = parameter(8, at_least=2, doc="Size of the states.")

    def build_module(self, n_steps, n_features):
        return self.module(n_steps, n_features, self.size)


MODULES = (
    Perceptron,
    Convolution,
    TorchEncoder,
    ByEinsum,
    WithinTheWindow,
    Heads,
    BesideTheMarket,
)
MODELS = {
    module.__name__: type(
        f"{module.__name__}Regressor",
        (SizedOfDays if hasattr(module, "cross_sectional") else Sized,),
        {"module": module, "__module__": __name__},
    )
    for module in MODULES
}
globals().update({model.__name__: model for model in MODELS.values()})  # for pickle

PROCESSES = ["check_loads_in_a_fresh_process", "check_two_jobs_give_the_scores_of_one"]


@pytest.mark.parametrize("name", MODELS)
def test_sound_models_pass(name):
    check_model(MODELS[name], scikit_learn=False, exclude=PROCESSES)


def test_a_model_that_compares_stocks_passes_scikit_learns_checks():
    results = check_model(MODELS["BesideTheMarket"], exclude=PROCESSES)
    assert "check_regressors_train" in {each["check_name"] for each in results}
