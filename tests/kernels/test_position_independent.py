"""A row's prediction is the same to the bit whatever rows are predicted with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import small_alstm
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

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
