"""A row's prediction is the same to the bit whatever rows are predicted with it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import small_alstm
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skattn import SequenceRegressor, parameter
from skattn.kernels import PositionIndependent


@pytest.fixture(scope="module", params=["gru", "lstm"])
def fitted(request):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 12, 5)).astype(np.float32)
    return small_alstm(rnn=request.param, max_epochs=1).fit(X, X[:, -1, 0]), X


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_prediction_does_not_depend_on_batch_mates(fitted, data):
    model, X = fitted
    rows = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=700))
    np.testing.assert_array_equal(model.predict(X[rows]), model.predict(X)[rows])


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("hidden_size", [1, 3, 20])
def test_recurrences_of_every_form(kind, bias, num_layers, bidirectional, hidden_size):
    torch.manual_seed(0)
    form = {"bias": bias, "num_layers": num_layers, "bidirectional": bidirectional}
    layer, x = kind(5, hidden_size, batch_first=True, **form), torch.randn(64, 7, 5)
    with torch.inference_mode():
        expected, last = layer(x)
        with PositionIndependent():
            output, states = layer(x)
            flipped, _ = layer(x.flip(0))
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(states, last)
    assert torch.equal(output.flip(0), flipped)


def test_a_recurrence_with_a_projection_passes_as_it_is():
    layer, x = nn.LSTM(5, 4, proj_size=2), torch.randn(7, 64, 5)
    with torch.inference_mode():
        expected, _ = layer(x)
        with PositionIndependent():
            torch.testing.assert_close(layer(x)[0], expected)


def _loop(cell, x):
    state = None
    for step in x.unbind(1):
        state = cell(step, state)
    return state[0] if isinstance(state, tuple) else state


def _cell(kind):
    return lambda d: (kind(d, d), _loop)


def _by_itself(function):
    return lambda d: (nn.Linear(d, d), lambda layer, x: function(x, layer.weight))


# Each makes a layer of a width, and what takes the layer and (B, T, D) to something with rows.
LAYERS: dict[str, Callable] = {
    "encoder": lambda d: (
        nn.TransformerEncoderLayer(d, 1 + (d % 2 == 0), 32, 0.0, batch_first=True),
        lambda layer, x: layer(x),
    ),
    "decoder": lambda d: (
        nn.TransformerDecoderLayer(d, 1, 32, 0.0, batch_first=True),
        lambda layer, x: layer(x, x),
    ),
    "attention": lambda d: (
        nn.MultiheadAttention(d, 1, batch_first=True),
        lambda layer, x: layer(x, x, x)[0],
    ),
    "attention without weights": lambda d: (
        nn.MultiheadAttention(d, 1),
        lambda layer, x: layer(*3 * (x.transpose(0, 1),), need_weights=False)[0].transpose(0, 1),
    ),
    "convolution": lambda d: (
        nn.Conv1d(d, d, 3, padding=1),
        lambda layer, x: layer(x.transpose(1, 2)),
    ),
    "bilinear": lambda d: (nn.Bilinear(d, d, d), lambda layer, x: layer(x[:, 0], x[:, 1])),
    "norm": lambda d: (nn.LayerNorm(d), lambda layer, x: layer(x)),
    "RNN": lambda d: (nn.RNN(d, d, batch_first=True), lambda layer, x: layer(x)[0]),
    "relu RNN": lambda d: (
        nn.RNN(d, d, 2, "relu", batch_first=True, bidirectional=True),
        lambda layer, x: layer(x)[0],
    ),
    "projected LSTM": lambda d: (
        nn.LSTM(d, d + 1, proj_size=d, batch_first=True),
        lambda layer, x: layer(x)[0],
    ),
    "RNN cell": _cell(nn.RNNCell),
    "GRU cell": _cell(nn.GRUCell),
    "LSTM cell": _cell(nn.LSTMCell),
    "matmul": _by_itself(lambda x, w: x @ w),
    "matmul from the left": _by_itself(lambda x, w: w @ x.mT),
    "mm": _by_itself(lambda x, w: x[:, -1].mm(w)),
    "mm of a long axis": _by_itself(lambda x, w: x.flatten(1).mm(w.repeat(x.shape[1], 1))),
    "addmm": _by_itself(lambda x, w: torch.addmm(w[0], x[:, -1], w, beta=2, alpha=0.5)),
    "bmm": _by_itself(lambda x, w: x.bmm(x.mT).softmax(-1).bmm(x)),
    "bmm of one matrix": _by_itself(lambda x, w: torch.bmm(x[None, :, -1], w[None])[0]),
    "baddbmm": _by_itself(lambda x, w: torch.baddbmm(x, x @ x.mT, x, alpha=0.5)),
    "einsum": _by_itself(lambda x, w: torch.einsum("bts,bsd->btd", (x @ x.mT).softmax(-1), x)),
    "einsum of heads": _by_itself(
        lambda x, w: torch.einsum("bf,hfo->bho", x[:, -1], torch.stack([w, w.T, -w]))
    ),
    "tensordot": _by_itself(lambda x, w: torch.tensordot(x, w, dims=([2], [0]))),
    "heads": _by_itself(
        lambda x, w: F.scaled_dot_product_attention(*3 * (x[:, None],), is_causal=True)[:, 0]
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_all_widths(name):
    for width in range(1, 21):
        torch.manual_seed(width)
        layer, call = LAYERS[name](width)
        layer.eval()
        x = torch.randn(512, 7, width)
        order = torch.randperm(512)
        with torch.inference_mode():
            expected = call(layer, x)
            with PositionIndependent():
                result, moved = call(layer, x), call(layer, x[order])
        torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-3)
        assert torch.equal(result[order], moved), width


class Encoder(nn.Module):
    def __init__(self, n_features, width, heads):
        super().__init__()
        self.up = nn.Linear(n_features, width)
        self.layer = nn.TransformerEncoderLayer(width, heads, 32, 0.0, batch_first=True)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(self.layer(self.up(x))[:, -1])[..., 0]


class EncoderRegressor(SequenceRegressor):
    width: int = parameter(10)

    def build_module(self, n_steps, n_features):
        return Encoder(n_features, self.width, 1 + (self.width % 2 == 0))


@pytest.mark.parametrize("width", [8, 10, 13])
def test_a_module_of_torchs_attention(width):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 12, 5)).astype(np.float32)
    model = EncoderRegressor(width=width, max_epochs=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, X[:, -1, 0])
    order = rng.permutation(1500)
    np.testing.assert_array_equal(model.predict(X[order]), model.predict(X)[order])
    np.testing.assert_array_equal(model.predict(X[1234:1237]), model.predict(X)[1234:1237])
    assert model.row_bits_differ_ is False


@pytest.mark.parametrize("equation", ["bts,bsf->btf", "bts,bsf->bf"])
def test_products_under_autocast_are_of_one_dtype(equation):
    # softmax gives float32 there, and linear layers bfloat16.
    a, b = torch.randn(64, 5, 7).softmax(-1), torch.randn(64, 7, 3).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = torch.einsum(equation, a, b)
        with PositionIndependent():
            found = torch.einsum(equation, a, b)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
