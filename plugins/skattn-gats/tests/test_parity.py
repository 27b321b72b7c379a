"""GATs against qlib's own module, from the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from skattn_gats.model import GATs, GATsRegressor

from skattn.testing import assert_same_as

pytestmark = pytest.mark.qlib

RNNS = pytest.mark.parametrize("rnn", ["gru", "lstm"])
DTYPES = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)]
)


@pytest.fixture(scope="module")
def pytorch_gats():
    return pytest.importorskip("qlib.contrib.model.pytorch_gats")


def make_pair(pytorch_gats, rnn, n_features=3, hidden_size=8, num_layers=2, dropout=0.0):
    torch.manual_seed(0)
    theirs = pytorch_gats.GATModel(n_features, hidden_size, num_layers, dropout, rnn.upper())
    # Larger weights than a fresh module's: attention is far from even.
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0, 0.5)
        # Scores on both sides of zero: of one sign, softmax cancels what the stock that looks adds.
        mean = theirs.rnn(torch.randn(50, 7, n_features))[0][:, -1].mean(0)
        theirs.transformation.bias.copy_(-theirs.transformation.weight @ mean)
        theirs.a.normal_(0, 2.0)
    ours = GATs(n_features, hidden_size, num_layers, rnn, dropout)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


def flat(x):
    """Windows as qlib has them: (B, F * T), feature by feature."""
    return x.transpose(1, 2).flatten(1)


def call(ours, x):
    return ours(x[None], torch.ones(1, len(x), dtype=torch.bool))[0]


def outputs_and_gradients(module, predict, x, y):
    leaf = x.clone().requires_grad_()
    predicted = predict(leaf)
    loss = torch.nn.functional.mse_loss(predicted, y)
    gradients = torch.autograd.grad(loss, [leaf, *module.parameters()])
    names = ["x", *(name for name, _ in module.named_parameters())]
    return {"predicted": predicted.detach(), **dict(zip(names, gradients, strict=True))}


@DTYPES
@RNNS
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("n_stocks", [1, 2, 9, 250])
def test_outputs_and_gradients(pytorch_gats, rnn, num_layers, n_stocks, dtype, tolerance):
    pair = make_pair(pytorch_gats, rnn, num_layers=num_layers)
    ours, theirs = (module.to(dtype) for module in pair)
    x, y = torch.randn(n_stocks, 7, 3, dtype=dtype), torch.randn(n_stocks, dtype=dtype)
    # qlib squeezes away the axis of a day of one stock.
    expected = outputs_and_gradients(theirs, lambda x: theirs(flat(x)).reshape(-1), x, y)
    actual = outputs_and_gradients(ours, lambda x: call(ours, x), x, y)
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert_allclose(actual[name], value, rtol=0, atol=tolerance, err_msg=name)


@RNNS
def test_maps_are_qlibs_weights(pytorch_gats, rnn):
    ours, theirs = make_pair(pytorch_gats, rnn)
    x = torch.randn(12, 7, 3)
    with torch.no_grad():
        states = theirs.rnn(x)[0][:, -1]
        expected = theirs.cal_attention(states, states)
        maps = ours.attend(x[None], torch.ones(1, 12, dtype=torch.bool))["peers"][0]
    # Uneven, and other weights for other stocks.
    assert (expected.amax(-1) / expected.amin(-1)).median() > 1.5
    assert expected.std(dim=0).max() > 0.01
    assert_allclose(maps, expected, rtol=0, atol=1e-5)


@RNNS
def test_a_checkpoint_of_qlibs_predicts_what_qlib_predicts(pytorch_gats, rnn, tmp_path):
    _, theirs = make_pair(pytorch_gats, rnn, dropout=0.5)
    torch.save(theirs.state_dict(), tmp_path / "gats.pkl")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 7, 3)).astype(np.float32)
    days = np.repeat(np.arange(3), 8).astype("datetime64[D]")
    model = GATsRegressor(
        hidden_size=8, rnn=rnn, dropout=0.5, pretrained=tmp_path / "gats.pkl",
        max_epochs=1, lr=1e-30, early_stopping=False, random_state=0,
    ).fit(X, X[:, 0, 0], days=days)  # fmt: skip
    assert model.pretrained_report_.missing == model.pretrained_report_.unexpected == []
    with torch.no_grad():
        expected = [
            theirs.eval()(flat(torch.from_numpy(X[days == day]))) for day in np.unique(days)
        ]
    assert_allclose(model.predict(X, days=days), torch.cat(expected), rtol=0, atol=1e-5)
    theirs.load_state_dict(model.module_.state_dict(), strict=True)


@RNNS
def test_trains_as_qlib_does(pytorch_gats, rnn):
    ours, theirs = make_pair(pytorch_gats, rnn)
    assert_same_as(
        ours,
        theirs,
        inputs=torch.randn(9, 7, 3),
        call=call,
        other_call=lambda module, x: module(flat(x)),
        lr=0.01,
    )
