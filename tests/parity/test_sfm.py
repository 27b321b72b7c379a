"""SFM and its training against qlib's SFM_Model, from the same weights."""

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
from torch.func import functional_call
from torch.nn.functional import hardsigmoid

from skattn.kernels import PositionIndependent
from skattn.models.sfm import SFM, SFMRegressor

pytestmark = pytest.mark.qlib

TOLERANCE = 1e-5
LR, CLIP = 1e-3, 3.0

SIZES = ("n_rows", "n_steps", "n_features", "hidden_size", "freq_dim", "output_dim")
SHAPES = pytest.mark.parametrize(
    SIZES,
    [
        (1, 1, 1, 3, 1, 1),
        (1, 60, 6, 16, 10, 3),
        (5, 7, 1, 3, 7, 1),
        (32, 1, 5, 64, 25, 10),
        (5, 60, 5, 16, 7, 32),
        (32, 60, 6, 64, 10, 10),
        (32, 60, 6, 64, 25, 32),
        (32, 7, 6, 1, 25, 2),
        (5, 120, 5, 16, 1, 3),
    ],
)


@pytest.fixture(scope="module")
def pytorch_sfm():
    return pytest.importorskip("qlib.contrib.model.pytorch_sfm")


def scale(name: str, value: torch.Tensor) -> tuple[float, float]:
    """Weights that are no smaller than a fresh module's, and none that is zero."""
    std = 1 / np.sqrt(len(value)) if value.ndim > 1 else 0.3
    return 1.0 if name in ("b_ste", "b_fre") else 0.0, std


random_weights = partial(draw_weights, scale=scale)


def pair(pytorch_sfm, n_features=6, hidden_size=9, freq_dim=7, output_dim=4):
    theirs = pytorch_sfm.SFM_Model(n_features, output_dim, freq_dim, hidden_size)
    ours = SFM(n_features, hidden_size, freq_dim, output_dim)
    weights = random_weights(theirs)
    theirs.load_state_dict(weights, strict=True)
    ours.load_state_dict(weights, strict=True)
    return ours, theirs


def plain(module, x, x_mask=1.0, h_mask=1.0):
    """Predictions and each step's amplitudes (B, H, K), written as the paper's formulas are."""
    w = dict(module.named_parameters())
    n_rows, n_steps, _ = x.shape
    n_hidden, n_freq = len(module.b_a), len(module.U_a)
    h = x.new_zeros(n_rows, n_hidden)
    S = torch.zeros(n_rows, n_hidden, n_freq, dtype=torch.complex128)
    amplitudes = []
    for t in range(n_steps):
        z = {
            gate: (x[:, t] * x_mask) @ w[f"W_{gate}"]
            + (h * h_mask) @ w[f"U_{gate}"]
            + w[f"b_{gate}"]
            for gate in ("i", "ste", "fre", "c", "o")
        }
        i, ste, fre, o = (hardsigmoid(z[gate]) for gate in ("i", "ste", "fre", "o"))
        # 2 pi t as qlib rounds it
        turns = (torch.tensor(2 * np.pi) * (t + 1)).double()
        angle = turns * torch.arange(n_freq, dtype=torch.float64) / n_freq
        wave = torch.polar(torch.ones_like(angle), angle)
        S = ste[:, :, None] * fre[:, None, :] * S + (i * z["c"].tanh())[:, :, None] * wave
        A = S.abs().square()
        amplitudes.append(A)
        h = o * torch.tanh(h_mask * (A @ w["U_a"].to(A))[:, :, 0] + w["b_a"])
        h = h.to(x.dtype)
    return module.fc_out(h @ w["W_p"] + w["b_p"])[:, 0], torch.stack(amplitudes, dim=1)


@SHAPES
def test_outputs_and_gradients(
    pytorch_sfm, n_rows, n_steps, n_features, hidden_size, freq_dim, output_dim
):
    ours, theirs = pair(pytorch_sfm, n_features, hidden_size, freq_dim, output_dim)
    x, y = normal_tensor(n_rows, n_steps, n_features), normal_tensor(n_rows, seed=2)
    # qlib squeezes the axis of rows away where there is one.
    expected = outputs_and_gradients(theirs, lambda x: theirs(flat_windows(x)).reshape(-1), x, y)
    actual = outputs_and_gradients(ours, ours, x, y)
    assert actual["predicted"].dtype == expected["predicted"].dtype == torch.float32
    assert list(actual) == list(expected)
    assert_tensors_close(actual, expected, TOLERANCE)
    with torch.inference_mode():
        assert_allclose(ours(x), expected["predicted"], rtol=0, atol=TOLERANCE)


def test_state_dicts_load_both_ways(pytorch_sfm):
    ours, theirs = SFM(4, 7, 5, 3), pytorch_sfm.SFM_Model(4, 3, 5, 7)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = normal_tensor(6, 11, 4)
    with torch.no_grad():
        assert_allclose(ours(x), theirs(flat_windows(x)), rtol=0, atol=TOLERANCE)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_a_seed_draws_qlibs_weights(pytorch_sfm):
    torch.manual_seed(3)
    theirs = pytorch_sfm.SFM_Model(6, 10, 25, 16).state_dict()
    torch.manual_seed(3)
    ours = SFM(6, 16, 25, 10).state_dict()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


@pytest.mark.parametrize(("block_rows", "weight_decay"), [(128, 0.0), (5, 0.1)])
def test_twenty_steps_of_training(
    assert_trains_alike, pytorch_sfm, monkeypatch, block_rows, weight_decay
):
    monkeypatch.setattr(SFM, "block_rows", block_rows)
    n_rows, batch_size, epochs = 74, 16, 4
    x = normal_tensor(n_rows, 12, 3)
    # Large labels: some gradients are above the clip, some are not.
    y = 20 * x[:, -2, 0] + 10 * normal_tensor(n_rows, seed=2)
    theirs = pytorch_sfm.SFM_Model(3, 4, 7, 8)
    weights = random_weights(theirs)
    theirs.load_state_dict(weights)
    regressor = SFMRegressor(
        hidden_size=8,
        freq_dim=7,
        output_dim=4,
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


def test_sizes_are_those_of_qlibs_workflow(pytorch_sfm):
    model = SFMRegressor()
    assert (model.hidden_size, model.freq_dim, model.output_dim) == (64, 25, 32)
    assert (model.batch_size, model.lr) == (1600, 1e-3)


@pytest.mark.parametrize("n_steps", [1, 2, 5, 10])
@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.4, 0.4)])
def test_gradients_are_those_of_finite_differences(n_steps, rates):
    torch.manual_seed(0)
    module = SFM(2, 3, 4, 2, *rates).double()
    module.load_state_dict(random_weights(module))
    parameters = dict(module.named_parameters())
    x = normal_tensor(3, n_steps, 2).double().requires_grad_()

    def predict(x, *values):
        torch.manual_seed(5)  # the same masks each time
        return functional_call(module, dict(zip(parameters, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(predict, (x, *parameters.values()))


def test_gates_that_are_shut_or_wide_open():
    module = SFM(2, 3, 4, 2).double()
    module.load_state_dict({k: 8 * v for k, v in random_weights(module).items()})
    x = normal_tensor(20, 9, 2).double()
    seen = []
    for function in (module, lambda x: plain(module, x)[0]):
        leaf = x.clone().requires_grad_()
        module.zero_grad()
        function(leaf).square().mean().backward()
        seen.append([leaf.grad, *(p.grad for p in module.parameters())])
    for ours, expected in zip(*seen, strict=True):
        # The slope of torch's hard sigmoid, 1/6, is that of float32.
        assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_parameters_that_are_held():
    module, x = SFM(2, 3, 4, 2), normal_tensor(3, 9, 2)
    module(x).sum().backward()
    expected = {name: p.grad for name, p in module.named_parameters()}
    for held in (["U_i", "W_c", "U_a"], ["U_a", "b_a"], [k for k in expected if k != "b_a"]):
        module.zero_grad()
        for name, p in module.named_parameters():
            p.requires_grad_(name not in held)
        module(x).sum().backward()
        for name, p in module.named_parameters():
            assert p.grad is None if name in held else torch.equal(p.grad, expected[name])


def test_dropouts_masks_stay_over_the_steps(monkeypatch):
    module = SFM(3, 5, 4, 2, dropout_W=0.5, dropout_U=0.25)
    module.load_state_dict(random_weights(module))
    x = normal_tensor(40, 9, 3)
    masks = []
    draw = SFM._mask
    monkeypatch.setattr(SFM, "_mask", lambda *args: masks.append(draw(*args)) or masks[-1])
    leaf = x.clone().requires_grad_()
    predicted = module(leaf)
    predicted.sum().backward()
    gradients = [leaf.grad, *(p.grad for p in module.parameters())]
    x_mask, h_mask = masks
    assert x_mask.shape == (40, 3)
    assert h_mask.shape == (40, 5)
    assert set(x_mask.unique().tolist()) == {0.0, 2.0}
    assert_allclose(h_mask.unique(), [0, 4 / 3], rtol=1e-6)

    module.zero_grad()
    leaf = x.clone().requires_grad_()
    expected, _ = plain(module, leaf, x_mask, h_mask)
    expected.sum().backward()
    assert_allclose(predicted.detach(), expected.detach(), rtol=0, atol=TOLERANCE)
    expected = [leaf.grad, *(p.grad for p in module.parameters())]
    for ours, theirs in zip(gradients, expected, strict=True):
        assert_allclose(ours, theirs, rtol=1e-4, atol=TOLERANCE)
    # Without gradients the masks are as many and as large.
    torch.manual_seed(1)
    trained = module(x)
    torch.manual_seed(1)
    with torch.no_grad():
        assert_allclose(module(x), trained.detach(), rtol=0, atol=1e-6)


def test_dropout_keeps_means_and_is_off_in_eval(pytorch_sfm):
    dropping = SFM(6, 9, 7, 4, dropout_W=0.3, dropout_U=0.3)
    ones = normal_tensor(20_000, 1).new_ones(20_000, 9)
    assert_allclose(dropping._mask(ones, 9, 0.3).mean(), 1, atol=0.01)
    # One window many times: the mean of its predictions is near the one without dropout.
    torch.manual_seed(0)
    weights = {k: 0.3 * v for k, v in random_weights(dropping).items()}
    dropping.load_state_dict(weights)
    x = normal_tensor(1, 12, 6).expand(4000, -1, -1)
    with torch.no_grad():
        dropped = dropping(x)
        assert dropped.std() > 1e-4
        whole = dropping.eval()(x[:1])
        assert abs(dropped.mean() - whole) < 0.2 * dropped.std()
        theirs = pytorch_sfm.SFM_Model(6, 4, 7, 9, 0.3, 0.3)
        theirs.load_state_dict(weights)
        x = normal_tensor(5, 12, 6)
        assert_allclose(dropping(x), theirs(flat_windows(x)), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("hidden_size", [1, 2, 3, 8, 64])
def test_a_rows_place_does_not_matter(hidden_size):
    x, order = (
        normal_tensor(512, 4, 5),
        torch.randperm(512, generator=torch.Generator().manual_seed(0)),
    )
    for freq_dim in (1, 2, 7, 10, 25):
        for output_dim in (1, 3, 32):
            module = SFM(5, hidden_size, freq_dim, output_dim).eval()
            module.load_state_dict(random_weights(module))
            with torch.inference_mode(), PositionIndependent():
                for n_rows in (SFM.block_rows, 512):
                    moved = order[order < n_rows]
                    assert torch.equal(module(x[:n_rows])[moved], module(x[moved]))
                    maps = [module.attend(v)["frequency"] for v in (x[:n_rows], x[moved])]
                    assert torch.equal(maps[0][moved], maps[1])


def test_attention_is_each_frequencys_share_of_the_state():
    module, x = SFM(3, 5, 4, 2), normal_tensor(6, 9, 3)
    module.load_state_dict(random_weights(module))
    with torch.no_grad():
        before = module(x)
        weights = module.attend(x)["frequency"]
        assert torch.equal(module(x), before)
        _, amplitudes = plain(module, x)
        shares = (amplitudes * module.U_a[:, 0].abs()).mean(dim=2)
    assert weights.shape == (6, 9, 4)
    assert_allclose(weights, shares / shares.sum(dim=2, keepdim=True), rtol=0, atol=TOLERANCE)
    # An empty memory.
    with torch.no_grad():
        module.U_a.zero_()
    assert (module.attend(x)["frequency"] == 0.25).all()


def test_autocast():
    module, x = SFM(3, 16, 4, 2), normal_tensor(6, 9, 3)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = module(x)
        weights = module.attend(x)["frequency"]
    predicted.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in module.parameters())
    assert_allclose(predicted.detach().float(), module(x).detach(), rtol=0.02, atol=0.02)
    assert_allclose(weights.sum(dim=2), 1, rtol=1e-5)
