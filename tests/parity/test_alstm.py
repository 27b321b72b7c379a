"""ALSTM and its training against qlib's ALSTMModel, from the same weights."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    assert_tensors_close,
    assert_trained_weights_close,
    draw_weights,
    flat_windows,
    normal_tensor,
    outputs_and_gradients,
)
from numpy.testing import assert_allclose

from skattn.models import ALSTM, ALSTMRegressor
from skattn.training import Batches, Samples

pytestmark = pytest.mark.qlib

TOLERANCE = 1e-5
LR, CLIP = 1e-3, 3.0

SHAPES = pytest.mark.parametrize(
    ("n_rows", "n_steps", "n_features", "hidden_size"),
    [
        (1, 1, 1, 2),
        (1, 20, 6, 16),
        (5, 7, 1, 3),
        (17, 30, 5, 33),
        (32, 60, 6, 64),
        (3, 120, 2, 9),
    ],
)
LAYERS = pytest.mark.parametrize("num_layers", [1, 2])
RNNS = pytest.mark.parametrize("rnn", ["gru", "lstm"])


@pytest.fixture(scope="module")
def pytorch_alstm():
    return pytest.importorskip("qlib.contrib.model.pytorch_alstm")


def scale(name: str, value: torch.Tensor) -> tuple[float, float]:
    """Weights that are larger than a fresh module's, so that attention is far from even."""
    gain = 4.0 if name.startswith("att_net") else 1.5
    return 0.0, gain / np.sqrt(value.shape[-1]) if value.ndim > 1 else 0.3


random_weights = partial(draw_weights, scale=scale)


@SHAPES
@LAYERS
@RNNS
def test_outputs_and_gradients(
    pytorch_alstm, rnn, num_layers, n_rows, n_steps, n_features, hidden_size
):
    theirs = pytorch_alstm.ALSTMModel(n_features, hidden_size, num_layers, rnn_type=rnn.upper())
    ours = ALSTM(n_features, hidden_size, num_layers, rnn)
    weights = random_weights(theirs)
    theirs.load_state_dict(weights, strict=True)
    ours.load_state_dict(weights, strict=True)
    x, y = normal_tensor(n_rows, n_steps, n_features), normal_tensor(n_rows, seed=2)

    expected = outputs_and_gradients(theirs, lambda x: theirs(flat_windows(x)), x, y)
    assert_tensors_close(outputs_and_gradients(ours, ours, x, y), expected, TOLERANCE)


@LAYERS
@RNNS
def test_state_dicts_load_both_ways(pytorch_alstm, rnn, num_layers):
    ours = ALSTM(4, 7, num_layers, rnn)
    theirs = pytorch_alstm.ALSTMModel(4, 7, num_layers, rnn_type=rnn.upper())
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = normal_tensor(6, 11, 4)
    with torch.no_grad():
        assert_allclose(ours(x), theirs(flat_windows(x)), rtol=0, atol=TOLERANCE)
    assert list(ours.state_dict()) == list(theirs.state_dict())


@RNNS
def test_dropout_is_off_in_eval(pytorch_alstm, rnn):
    ours = ALSTM(4, 8, 2, rnn, dropout=0.5).eval()
    theirs = pytorch_alstm.ALSTMModel(4, 8, 2, dropout=0.5, rnn_type=rnn.upper()).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    rates = [
        [m.rnn.dropout, *(part.p for part in m.att_net if isinstance(part, torch.nn.Dropout))]
        for m in (ours, theirs)
    ]
    assert rates[0] == rates[1] == [0.5, 0.5]
    x = normal_tensor(6, 11, 4)
    with torch.no_grad():
        assert_allclose(ours(x), theirs(flat_windows(x)), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("rnn", "num_layers", "hidden_size", "weight_decay"),
    [("gru", 2, 8, 0.0), ("lstm", 1, 7, 0.1)],
)
def test_twenty_steps_of_training(
    assert_trains_alike, pytorch_alstm, rnn, num_layers, hidden_size, weight_decay
):
    n_rows, batch_size, epochs = 74, 16, 4
    x = normal_tensor(n_rows, 12, 3)
    # Large labels: some gradients are above the clip, some are not.
    y = 20 * x[:, -2, 0] + 10 * normal_tensor(n_rows, seed=2)
    theirs = pytorch_alstm.ALSTMModel(3, hidden_size, num_layers, rnn_type=rnn.upper())
    weights = random_weights(theirs)
    theirs.load_state_dict(weights)
    regressor = ALSTMRegressor(
        hidden_size=hidden_size,
        num_layers=num_layers,
        rnn=rnn,
        lr=LR,
        weight_decay=weight_decay,
        batch_size=batch_size,
        max_epochs=epochs,
        clip_value=CLIP,
        early_stopping=False,
        pretrained=weights,
        random_state=3,
        device="cpu",
    ).fit(x.numpy(), y.numpy())

    assert_trains_alike(regressor, theirs, weights, x, y)


def test_qlibs_own_training_loop(pytorch_alstm, monkeypatch):
    n_rows, batch_size, epochs = 80, 16, 3
    x, y = normal_tensor(n_rows, 12, 3), normal_tensor(n_rows, seed=2)
    model = pytorch_alstm.ALSTM(
        d_feat=3, hidden_size=8, num_layers=2, lr=LR, batch_size=batch_size, GPU=-1
    )
    weights = random_weights(model.ALSTM_model)
    model.ALSTM_model.load_state_dict(weights)
    regressor = ALSTMRegressor(
        hidden_size=8,
        lr=LR,
        batch_size=batch_size,
        max_epochs=epochs,
        early_stopping=False,
        pretrained=weights,
        random_state=3,
        device="cpu",
    ).fit(x.numpy(), y.numpy())

    # qlib shuffles with numpy's global generator: give it our order, and keep it from shuffling.
    monkeypatch.setattr(np.random, "shuffle", lambda rows: None)
    samples = Samples(np.arange(n_rows, dtype=np.float32)[:, None, None], y.numpy())
    batches = Batches(samples, n_rows, seed=regressor.net_.seed)
    for _ in range(epochs):
        ((order, _),) = batches
        order = order.ravel().long()
        model.train_epoch(
            pd.DataFrame(flat_windows(x)[order].numpy()), pd.DataFrame(y[order].numpy())
        )
    assert_trained_weights_close(regressor, model.ALSTM_model, weights, TOLERANCE)


@RNNS
def test_a_qlib_checkpoint_predicts_the_same(pytorch_alstm, tmp_path, rnn):
    x, y = normal_tensor(700, 10, 6), normal_tensor(700, seed=2)
    theirs = pytorch_alstm.ALSTMModel(6, 9, 2, rnn_type=rnn.upper())
    theirs.load_state_dict(random_weights(theirs))
    torch.save(theirs.state_dict(), tmp_path / "model.pt")
    # The weights are held, so that a fit loads them and trains none but the output's bias.
    regressor = ALSTMRegressor(
        hidden_size=9,
        rnn=rnn,
        dropout=0.5,
        pretrained=tmp_path / "model.pt",
        freeze=["net", "rnn", "att_net", "fc_out.weight"],
        max_epochs=1,
        early_stopping=False,
        device="cpu",
    ).fit(x[:5].numpy(), y[:5].numpy())
    assert regressor.pretrained_report_.missing == []
    assert regressor.pretrained_report_.unexpected == []
    assert regressor.pretrained_report_.loaded == sorted(theirs.state_dict())
    with torch.no_grad():
        shift = regressor.module_.fc_out.bias - theirs.fc_out.bias
        expected = theirs.eval()(flat_windows(x)) + shift
    # More rows than one block of prediction.
    assert_allclose(regressor.predict(x.numpy()), expected, rtol=0, atol=TOLERANCE)


@RNNS
def test_attention_weighs_qlibs_states(pytorch_alstm, rnn):
    theirs = pytorch_alstm.ALSTMModel(6, 9, 2, rnn_type=rnn.upper())
    theirs.load_state_dict(random_weights(theirs))
    ours = ALSTM(6, 9, 2, rnn)
    ours.load_state_dict(theirs.state_dict())
    x = normal_tensor(4, 15, 6)
    with torch.no_grad():
        states, _ = theirs.rnn(theirs.net(x))
        expected = theirs.att_net(states)[:, :, 0]
        weights = ours.attend(x)["time"]
    assert (weights.amax(1) > 2 * weights.amin(1)).all()
    assert_allclose(weights, expected, rtol=0, atol=TOLERANCE)
