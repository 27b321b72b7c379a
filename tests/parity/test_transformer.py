"""The Transformer and its training against qlib's Transformer, from the same weights."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from helpers import (
    assert_tensors_close,
    draw_weights,
    flat_windows,
    normal_tensor,
    outputs_and_gradients,
)
from numpy.testing import assert_allclose

from skattn.kernels import TILED_WIDTH, PositionIndependent
from skattn.models.transformer import Transformer, TransformerRegressor

pytestmark = [
    pytest.mark.qlib,
    # qlib's layers are not batch first, of which torch warns.
    pytest.mark.filterwarnings("ignore:enable_nested_tensor"),
]

TOLERANCE = 1e-5
LR, CLIP = 1e-3, 3.0

# What qlib's state dict has beside ours: a layer that it copies and does not use, and a table.
UNUSED = ("encoder_layer.", "pos_encoder.")

SHAPES = pytest.mark.parametrize(
    ("n_rows", "n_steps", "n_features", "d_model", "nhead"),
    [
        (1, 1, 1, 6, 1),
        (1, 60, 6, 8, 2),
        (5, 7, 1, 18, 3),
        (5, 60, 5, 6, 3),
        # Tiles of four windows and of three.
        (11, 60, 2, 10, 1),
        (32, 7, 6, 64, 1),
        (32, 60, 6, 64, 2),
    ],
)
LAYERS = pytest.mark.parametrize("num_layers", [1, 2, 3])


@pytest.fixture(scope="module")
def pytorch_transformer():
    return pytest.importorskip("qlib.contrib.model.pytorch_transformer")


def scale(name: str, value: torch.Tensor) -> tuple[float, float] | None:
    """Weights that are larger than a fresh module's, so that attention is far from even."""
    if name == "pos_encoder.pe":
        return None
    gain = 1.5 if "in_proj" in name else 0.7
    std = gain / np.sqrt(value.shape[-1]) if value.ndim > 1 else 0.3
    return 1.0 if "norm" in name and name.endswith("weight") else 0.0, std


random_weights = partial(draw_weights, scale=scale)


def used(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out what qlib's module has and does not use."""
    return {name: value for name, value in state.items() if not name.startswith(UNUSED)}


def make_pair(pytorch_transformer, n_features, d_model, nhead, num_layers, dropout=0.0, seed=0):
    """Our module and qlib's, with the same weights."""
    theirs = pytorch_transformer.Transformer(n_features, d_model, nhead, num_layers, dropout)
    theirs.load_state_dict(random_weights(theirs, seed=seed), strict=False)
    ours = Transformer(n_features, d_model, nhead, num_layers, dropout=dropout)
    ours.load_state_dict(used(theirs.state_dict()), strict=True)
    return ours, theirs


@SHAPES
@LAYERS
@pytest.mark.parametrize(
    ("training", "dtype", "tolerance"),
    [
        (True, torch.float32, TOLERANCE),
        (False, torch.float32, TOLERANCE),
        # The same function: in float32 only rounding is between the two.
        (True, torch.float64, 1e-11),
    ],
)
def test_outputs_and_gradients(
    pytorch_transformer,
    training,
    dtype,
    tolerance,
    num_layers,
    n_rows,
    n_steps,
    n_features,
    d_model,
    nhead,
):
    pair = make_pair(pytorch_transformer, n_features, d_model, nhead, num_layers)
    ours, theirs = (module.to(dtype).train(training) for module in pair)
    x = normal_tensor(n_rows, n_steps, n_features).to(dtype)
    y = normal_tensor(n_rows, seed=2).to(dtype)
    # qlib's output of one row has no axis.
    expected = outputs_and_gradients(theirs, lambda x: theirs(flat_windows(x)).reshape(-1), x, y)
    assert_tensors_close(outputs_and_gradients(ours, ours, x, y), used(expected), tolerance)


@LAYERS
def test_state_dicts_load_both_ways(pytorch_transformer, num_layers):
    ours = Transformer(4, 6, 2, num_layers)
    theirs = pytorch_transformer.Transformer(4, 6, 2, num_layers, 0.0)
    report = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert report.unexpected_keys == []
    assert all(name.startswith(UNUSED) for name in report.missing_keys)
    assert list(ours.state_dict()) == list(used(theirs.state_dict()))
    x = normal_tensor(6, 11, 4)
    with torch.no_grad():
        assert_allclose(ours(x), theirs(flat_windows(x)), rtol=0, atol=TOLERANCE)


def test_dropout_is_off_in_eval(pytorch_transformer):
    ours, theirs = make_pair(pytorch_transformer, 4, 8, 2, 2, dropout=0.5)
    x = normal_tensor(6, 11, 4)
    with torch.no_grad():
        assert_allclose(ours.eval()(x), theirs.eval()(flat_windows(x)), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_dropout_in_training_has_qlibs_distribution(pytorch_transformer, num_layers):
    # The random numbers are others. Of many draws for one window, mean and spread are alike.
    ours, theirs = make_pair(pytorch_transformer, 3, 6, 2, num_layers, dropout=0.3)
    n_draws = 2000
    x = normal_tensor(1, 5, 3).expand(n_draws, -1, -1)
    torch.manual_seed(0)
    with torch.no_grad():
        drawn, expected = ours.train()(x), theirs.train()(flat_windows(x))
    std = expected.std()
    assert std > 0.1
    assert abs(drawn.mean() - expected.mean()) < 5 * std / np.sqrt(n_draws / 2)
    assert abs(drawn.std() / std - 1) < 0.1
    quantiles = torch.linspace(0.05, 0.95, 7)
    assert_allclose(drawn.quantile(quantiles), expected.quantile(quantiles), atol=0.2 * std)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_twenty_steps_of_training(assert_trains_alike, pytorch_transformer, num_layers):
    # Adam divides gradients by their size, so that one of rounding errors alone moves a weight as
    # far as any. Such are those of the keys' biases, which softmax cancels: weight decay gives
    # them a gradient. Hidden units that no row switches on have none at all, in either module.
    n_rows, batch_size, epochs, weight_decay = 74, 16, 4, 1e-2
    x = normal_tensor(n_rows, 12, 3)
    # Large labels: some gradients are above the clip, some are not.
    y = 20 * x[:, -2, 0] + 10 * normal_tensor(n_rows, seed=2)
    theirs = pytorch_transformer.Transformer(3, 6, 2, num_layers, 0.0)
    weights = random_weights(theirs)
    theirs.load_state_dict(weights, strict=False)
    regressor = TransformerRegressor(
        d_model=6,
        num_layers=num_layers,
        lr=LR,
        weight_decay=weight_decay,
        batch_size=batch_size,
        max_epochs=epochs,
        clip_value=CLIP,
        early_stopping=False,
        pretrained=theirs.state_dict(),
        random_state=3,
        device="cpu",
    ).fit(x.numpy(), y.numpy())
    assert regressor.pretrained_report_.missing == []
    assert all(name.startswith(UNUSED) for name in regressor.pretrained_report_.unexpected)
    assert set(regressor.module_.state_dict()) == set(used(theirs.state_dict()))

    assert_trains_alike(regressor, theirs, weights, x, y)


@pytest.mark.parametrize("nhead", [1, 2, 3])
@LAYERS
def test_maps_are_qlibs_weights(pytorch_transformer, num_layers, nhead):
    ours, theirs = make_pair(pytorch_transformer, 6, 6, nhead, num_layers, dropout=0.5)
    x = normal_tensor(4, 15, 6)
    with torch.no_grad():
        steps = theirs.pos_encoder(theirs.feature_layer(x).transpose(0, 1))
        expected = []
        for layer in theirs.eval().transformer_encoder.layers:
            attention = layer.self_attn(steps, steps, steps, average_attn_weights=False)
            expected.append(attention[1])
            steps = layer(steps)
        before = ours.eval()(x)
        # In training too, without dropout.
        maps = ours.train().attend(x)["layers"]
        assert torch.equal(before, ours.eval()(x))
    assert maps.shape == (4, num_layers, nhead, 15, 15)
    assert_allclose(maps.sum(-1), np.ones((4, num_layers, nhead, 15)), atol=TOLERANCE)
    assert (maps.amax(-1) / maps.amin(-1)).median() > 4
    assert_allclose(maps, torch.stack(expected, dim=1), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("n_steps", "d_model"), [(1000, 6), (1, 2)])
def test_positions(pytorch_transformer, n_steps, d_model):
    table = pytorch_transformer.PositionalEncoding(d_model).pe[:n_steps, 0]
    ours = Transformer(1, d_model, 1, 1, 4)
    torch.nn.init.zeros_(ours.feature_layer.weight)
    torch.nn.init.zeros_(ours.feature_layer.bias)
    (positions,) = ours._inputs(torch.zeros(1, n_steps, 1), dropout=0.0)
    assert_allclose(positions[0].detach(), table, rtol=0, atol=TOLERANCE)


def test_sizes_that_qlib_does_not_take():
    # More steps than its table has; an odd size, of which the last column is a sine.
    module = Transformer(2, 5, 1, 2, TILED_WIDTH).eval()
    x = normal_tensor(3, 1100, 2)
    predicted = module(x)
    predicted.sum().backward()
    assert predicted.isfinite().all()
    assert all(p.grad.isfinite().all() for p in module.parameters())
    assert module.attend(x[:1, :9])["layers"].shape == (1, 2, 1, 9, 9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("d_model", [2, 4, 6, 8, 18, 64])
@pytest.mark.parametrize("nhead", [1, 2])
@pytest.mark.parametrize("dim_feedforward", [3, 16, TILED_WIDTH, 2048])
@pytest.mark.parametrize("n_steps", [1, 7, 60])
def test_rows_do_not_depend_on_their_place(n_steps, dim_feedforward, nhead, d_model, dtype):
    n_rows = 512 if dim_feedforward * n_steps < 10_000 else 128
    module = Transformer(6, d_model, nhead, 2, dim_feedforward).eval()
    module.load_state_dict(random_weights(module))
    x, order = normal_tensor(n_rows, n_steps, 6), torch.randperm(n_rows)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16)
    with torch.inference_mode(), PositionIndependent(), autocast:
        assert torch.equal(module(x)[order], module(x[order]))
        maps, shuffled = (module.attend(v[:32])["layers"] for v in (x, x.flip(0)[-32:]))
        assert torch.equal(maps, shuffled.flip(0))


@pytest.mark.parametrize("dim_feedforward", [16, 100])
def test_bfloat16_is_close_to_float32(dim_feedforward):
    module = Transformer(6, 16, 2, 2, dim_feedforward)
    x = normal_tensor(40, 60, 6)
    parameters = list(module.parameters())
    expected = module(x)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = module(x)
    assert_allclose(predicted.detach().float(), expected.detach(), rtol=0, atol=0.05)
    pairs = zip(
        torch.autograd.grad(predicted.float().sum(), parameters),
        torch.autograd.grad(expected.sum(), parameters),
        strict=True,
    )
    for rough, exact in pairs:
        assert rough.dtype == torch.float32
        assert (rough - exact).norm() <= 0.05 * exact.norm() + 0.05


def test_heads_must_divide_the_model():
    X, y = normal_tensor(30, 4, 2).numpy(), normal_tensor(30).numpy()
    with pytest.raises(ValueError, match=r"d_model\D+8\b.*nhead\D+3\b"):
        TransformerRegressor(d_model=8, nhead=3).fit(X, y)


def test_defaults_are_those_of_qlibs_workflow():
    parameters = TransformerRegressor().get_params()
    expected = {
        "d_model": 64,
        "nhead": 2,
        "num_layers": 2,
        "dim_feedforward": 2048,
        "dropout": 0.0,
        "weight_decay": 1e-3,
        "batch_size": 2048,
        "max_epochs": 100,
        "n_iter_no_change": 5,
    }
    assert {name: parameters[name] for name in expected} == expected
