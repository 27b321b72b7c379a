"""Gradients are clipped by value and by norm."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from helpers import assert_tensors_close, small_alstm, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st
from skorch.callbacks import Callback
from stored_fits import four_epochs, trained
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import skattn


class Records(Callback):
    """Keeps the batches, the weights before them, and the clipped gradients."""

    def on_train_begin(self, net, **kwargs):
        self.start_ = copy.deepcopy(net.module_)
        self.batches_, self.norms_, self.largest_ = [], [], []

    def on_batch_begin(self, net, batch, training, **kwargs):
        if training:
            self.batches_.append(batch)

    def on_grad_computed(self, net, named_parameters, **kwargs):
        gradients = torch.cat([p.grad.flatten() for _, p in named_parameters if p.grad is not None])
        self.norms_.append(gradients.norm().item())
        self.largest_.append(gradients.abs().max().item())


def unstopped(**params):
    return small_alstm(**{"early_stopping": False, "max_epochs": 3, **params})


@pytest.mark.parametrize(
    ("value", "norm"), [(None, 0.4), (0.05, None), (0.05, 0.08), (None, None), (3.0, 0.4)]
)
@pytest.mark.parametrize("freeze", [(), ("rnn",)])
def test_it_is_torchs_in_a_loop_by_hand(windows, value, norm, freeze):
    X, y = windows
    records = Records()
    params = {"clip_value": value, "clip_norm": norm, "freeze": freeze, "optimizer": "sgd"}
    model = unstopped(**params, lr=0.2, callbacks=[records]).fit(X, y)
    module = records.start_.train()
    sgd = torch.optim.SGD((p for p in module.parameters() if p.requires_grad), lr=0.2)
    clipped = []
    for (inputs, label), expected in zip(records.batches_, records.norms_, strict=True):
        sgd.zero_grad()
        torch.nn.functional.mse_loss(module(inputs), label).backward()
        if value is not None:
            clip_grad_value_(module.parameters(), value)
        if norm is not None:
            before = clip_grad_norm_(module.parameters(), norm)
            clipped.append(before.item() > norm)
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        np.testing.assert_allclose(
            torch.cat([g.flatten() for g in gradients]).norm().item(), expected, rtol=1e-4
        )
        sgd.step()
    assert_tensors_close(model.module_.state_dict(), module.state_dict(), 1e-5)
    assert norm is None or any(clipped)
    # With the default value both cases are put to the test.
    assert value != 3.0 or not all(clipped)


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-4, 10.0), st.none() | st.floats(1e-4, 1.0))
def test_neither_bound_is_passed(norm, value):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4, 2)).astype(np.float32)
    records = Records()
    unstopped(clip_norm=norm, clip_value=value, max_epochs=1, callbacks=[records]).fit(
        X, 9 * X[:, -1, 0]
    )
    assert max(records.norms_) <= norm * (1 + 1e-5)
    assert value is None or max(records.largest_) <= value * (1 + 1e-6)


def test_by_norm_keeps_the_direction(windows):
    X, y = windows
    free, bound = (
        unstopped(optimizer="sgd", clip_value=None, clip_norm=norm, batch_size=999, max_epochs=1)
        for norm in (None, 1e-2)
    )
    start = weights_of(unstopped(optimizer="sgd", lr=1e-12, max_epochs=1).fit(X, y))
    steps = [weights_of(model.fit(X, y)) - start for model in (free, bound)]
    np.testing.assert_allclose(np.linalg.norm(steps[1]), 0.01 * 1e-2, rtol=1e-2)
    np.testing.assert_allclose(
        steps[1] / np.linalg.norm(steps[1]), steps[0] / np.linalg.norm(steps[0]), atol=2e-3
    )


def test_a_norm_that_is_never_reached_changes_no_bit(windows):
    expected = weights_of(unstopped().fit(*windows))
    np.testing.assert_array_equal(weights_of(unstopped(clip_norm=1e6).fit(*windows)), expected)
    assert (weights_of(unstopped(clip_norm=1e-2).fit(*windows)) != expected).any()


@pytest.mark.parametrize("bad", [0, -1, -1e-9, np.nan, np.inf, -np.inf, "1", True, [1.0]])
def test_bad_norms(windows, bad):
    model = unstopped(clip_norm=bad)
    with pytest.raises((TypeError, ValueError), match=r"clip_norm must be a float above 0.*None"):
        model.fit(*windows)
    with pytest.raises((TypeError, ValueError), match="clip_norm"):
        model.partial_fit(*windows)
    assert not hasattr(model, "net_")


def test_every_model_has_it_beside_clip_value():
    for spec in skattn.list_models():
        params = list(skattn.make_model(spec.name, clip_norm=1.0).get_params())
        assert {"clip_norm", "clip_value"} <= set(params)


def test_a_stored_fit_of_another_norm_is_another_fit(windows, tmp_path):
    first = four_epochs(checkpoint=tmp_path, clip_norm=0.5, max_epochs=1, purge=2)
    assert trained(first, windows) == 1
    assert trained(first.set_params(clip_norm=0.25), windows) == 1
    assert trained(first.set_params(clip_norm=None), windows) == 1
    assert trained(first.set_params(clip_norm=np.float64(0.5)), windows) == 0
    assert len(list(tmp_path.iterdir())) == 3
