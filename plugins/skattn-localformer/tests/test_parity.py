"""Localformer against qlib's own module, from the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from skattn_localformer.model import Localformer, LocalformerRegressor

from skattn.testing import assert_same_as

pytestmark = [
    pytest.mark.qlib,
    # qlib's layers are not batch first, of which torch warns.
    pytest.mark.filterwarnings("ignore:enable_nested_tensor"),
    # And its GRU of one layer has a dropout.
    pytest.mark.filterwarnings("ignore:dropout option adds dropout"),
]

# What qlib's state dict has beside ours: a layer that it copies and does not use, and a table.
UNUSED = ("encoder_layer.", "pos_encoder.")
LAYERS = pytest.mark.parametrize("num_layers", [1, 2, 3])


@pytest.fixture(scope="module")
def pytorch_localformer():
    return pytest.importorskip("qlib.contrib.model.pytorch_localformer")


def used(tensors):
    return {name: value for name, value in tensors.items() if not name.startswith(UNUSED)}


def make_pair(pytorch_localformer, num_layers, n_features=3, d_model=8, nhead=2, dropout=0.0):
    torch.manual_seed(0)
    theirs = pytorch_localformer.Transformer(n_features, d_model, nhead, num_layers, dropout)
    # qlib's layers begin as copies of one; here each has weights of its own.
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "norm" not in name:
                parameter.normal_(0, 0.7 / parameter.shape[-1] ** 0.5)
    ours = Localformer(n_features, d_model, nhead, num_layers, dropout=dropout)
    ours.load_state_dict(used(theirs.state_dict()), strict=True)
    return ours, theirs


def flat(x):
    """Windows as qlib has them: (B, F * T), feature by feature."""
    return x.transpose(1, 2).flatten(1)


def outputs_and_gradients(module, predict, x, y):
    leaf = x.clone().requires_grad_()
    predicted = predict(leaf)
    torch.nn.functional.mse_loss(predicted, y).backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    return {"predicted": predicted.detach(), "x": leaf.grad, **gradients}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-11)])
@pytest.mark.parametrize(
    ("n_rows", "n_steps", "n_features", "d_model", "nhead"),
    [(1, 1, 1, 6, 1), (5, 60, 6, 8, 2), (11, 7, 2, 18, 3), (32, 60, 6, 64, 2)],
)
@LAYERS
def test_outputs_and_gradients(
    pytorch_localformer, num_layers, n_rows, n_steps, n_features, d_model, nhead, dtype, tolerance
):
    pair = make_pair(pytorch_localformer, num_layers, n_features, d_model, nhead)
    ours, theirs = (module.to(dtype) for module in pair)
    x, y = torch.randn(n_rows, n_steps, n_features, dtype=dtype), torch.randn(n_rows, dtype=dtype)
    # qlib's output of one row has no axis.
    expected = outputs_and_gradients(theirs, lambda x: theirs(flat(x)).reshape(-1), x, y)
    actual = outputs_and_gradients(ours, ours, x, y)
    assert set(actual) == set(used(expected))
    for name, value in actual.items():
        assert_allclose(value, expected[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("nhead", [1, 2])
@LAYERS
def test_maps_are_qlibs_weights(pytorch_localformer, num_layers, nhead):
    ours, theirs = make_pair(pytorch_localformer, num_layers, nhead=nhead, dropout=0.5)
    x = torch.randn(4, 15, 3)
    with torch.no_grad():
        encoder = theirs.eval().transformer_encoder
        steps = theirs.pos_encoder(theirs.feature_layer(x).transpose(0, 1))
        expected = []
        for layer, convolution in zip(encoder.layers, encoder.conv, strict=True):
            steps = steps + convolution(steps.permute(1, 2, 0)).permute(2, 0, 1)
            weights = layer.self_attn(steps, steps, steps, average_attn_weights=False)[1]
            expected.append(weights)
            steps = layer(steps)
        # In training too, without dropout.
        maps = ours.train().attend(x)["layers"]
    assert_allclose(maps, torch.stack(expected, dim=1), rtol=0, atol=1e-5)


@LAYERS
def test_a_checkpoint_of_qlibs_predicts_what_qlib_predicts(
    pytorch_localformer, num_layers, tmp_path
):
    _, theirs = make_pair(pytorch_localformer, num_layers, dropout=0.5)
    path = tmp_path / "localformer.pkl"
    torch.save(theirs.state_dict(), path)
    X = np.random.default_rng(0).normal(size=(24, 7, 3)).astype(np.float32)
    model = LocalformerRegressor(
        d_model=8, num_layers=num_layers, dropout=0.5, pretrained=path,
        max_epochs=1, lr=1e-30, early_stopping=False, random_state=0,
    ).fit(X, X[:, 0, 0])  # fmt: skip
    assert model.pretrained_report_.missing == []
    assert all(name.startswith(UNUSED) for name in model.pretrained_report_.unexpected)
    with torch.no_grad():
        expected = theirs.eval()(flat(torch.from_numpy(X)))
    assert_allclose(model.predict(X), expected, rtol=0, atol=1e-5)
    report = theirs.load_state_dict(model.module_.state_dict(), strict=False)
    assert report.unexpected_keys == []
    assert all(name.startswith(UNUSED) for name in report.missing_keys)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_dropout_in_training_has_qlibs_distribution(pytorch_localformer, num_layers):
    # The random numbers are others. Of many draws for one window, mean and spread are alike.
    ours, theirs = make_pair(pytorch_localformer, num_layers, dropout=0.3)
    n_draws = 2000
    x = torch.randn(1, 5, 3).expand(n_draws, -1, -1)
    with torch.no_grad():
        drawn, expected = ours.train()(x), theirs.train()(flat(x))
    std = expected.std()
    assert std > 0.01
    assert abs(drawn.mean() - expected.mean()) < 5 * std / np.sqrt(n_draws / 2)
    assert abs(drawn.std() / std - 1) < 0.1


def test_trains_as_qlib_does(pytorch_localformer):
    ours, theirs = make_pair(pytorch_localformer, num_layers=2)
    assert_same_as(
        ours,
        theirs,
        inputs=torch.randn(9, 7, 3),
        map_names=lambda name: None if name.startswith(UNUSED) else name,
        other_call=lambda module, x: module(flat(x)),
        lr=0.01,
    )
