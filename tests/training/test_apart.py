"""Rows that see each other are refused; rows whose place is seen in their bits are told of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from skattn import SequenceRegressor

X = np.random.default_rng(0).normal(size=(300, 6, 5)).astype(np.float32)
y = X[:, -1, 0]


class Part(nn.Module):
    """A linear output of what a function makes of the last step."""

    def __init__(self, function, part=None):
        super().__init__()
        self.part, self.out = part, nn.Linear(5, 1)
        self.function = function

    def forward(self, x):
        return self.out(self.function(self, x[:, -1]))[:, 0]


def fit(function, make_part=lambda: None, **params):
    class PartRegressor(SequenceRegressor):
        def build_module(self, n_steps, n_features):
            return Part(function, make_part())

    params = {"max_epochs": 1, "random_state": 0, **params}
    return PartRegressor(**params).fit(X, y)


@pytest.mark.parametrize(
    ("function", "make_part"),
    [
        (lambda module, x: x - x.mean(0), lambda: None),
        (lambda module, x: (x @ x.T).softmax(-1) @ x, lambda: None),
        (lambda module, x: x.argsort(0).argsort(0).float(), lambda: None),
        (
            lambda module, x: module.part(x),
            lambda: nn.BatchNorm1d(5, track_running_stats=False),
        ),
        (  # a batch that is taken for a sequence
            lambda module, x: module.part(x)[0],
            lambda: nn.RNN(5, 5),
        ),
    ],
    ids=["mean", "attention", "ranks", "batch norm", "sequence"],
)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_mixed_rows_are_refused_before_training(function, make_part, precision):
    with pytest.raises(ValueError, match=r"Part\.forward lets rows see each.*cross_sectional"):
        fit(function, make_part, precision=precision, max_epochs=50)


@pytest.mark.parametrize(
    ("function", "make_part"),
    [
        (lambda module, x: x - x.mean(1, keepdim=True), lambda: None),
        (lambda module, x: module.part(x), lambda: nn.BatchNorm1d(5)),
        (lambda module, x: x * 0, lambda: None),
        (lambda module, x: module.part(x), lambda: nn.Dropout(0.5)),
    ],
    ids=["own mean", "batch norm", "constant", "dropout"],
)
@pytest.mark.parametrize("n_rows", [1, 3, 300])
def test_rows_that_are_apart_pass_without_a_word(function, make_part, n_rows):
    class PartRegressor(SequenceRegressor):
        def build_module(self, n_steps, n_features):
            return Part(function, make_part())

    many = np.tile(X[:n_rows], (2, 1, 1)), np.tile(y[:n_rows], 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PartRegressor(max_epochs=1).fit(*many)
        assert model.row_bits_differ_ is False
        assert PartRegressor().partial_fit(*many).row_bits_differ_ is False


class ByPlace:
    """A layer whose result depends on a row's place, as torch's own may on other processors."""

    def __init__(self, share):
        self.share = share

    def __call__(self, module, x):
        is_told = (torch.arange(len(x))[:, None] % 4 == 1) * (len(x) > 100)
        return x * (1 + self.share * is_told)


@pytest.mark.parametrize(
    ("share", "why"), [(1e-6, "as rounding does"), (0.01, "more than rounding: rows see")]
)
def test_bits_that_depend_on_the_place_are_told(share, why):
    with pytest.warns(UserWarning, match=rf"Part: a row's prediction depends .*{why}"):
        model = fit(ByPlace(share))
    assert model.row_bits_differ_ is True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(X, y)  # once is enough


def test_a_module_that_draws_in_prediction_is_told_and_changes_no_generator():
    state = torch.get_rng_state()
    with pytest.warns(UserWarning, match="forward draws random numbers"):
        assert fit(lambda module, x: nn.functional.dropout(x, 0.5)).row_bits_differ_ is True
    assert torch.equal(torch.get_rng_state(), state)


def test_forward_that_draws_numbers_of_its_own_is_refused():
    class Draws(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(3, 1)

        def forward(self, x):
            return self.out(x[:, -1])[:, 0] * float(np.random.default_rng().uniform(0.9, 1.1))

    class DrawsRegressor(SequenceRegressor):
        def build_module(self, n_steps, n_features):
            return Draws()

    X = np.random.default_rng(0).normal(size=(50, 4, 3)).astype(np.float32)
    with pytest.raises(ValueError, match=r"Draws\.forward.*called again.*nn\.Dropout"):
        DrawsRegressor(max_epochs=1).fit(X, X[:, -1, 0])
