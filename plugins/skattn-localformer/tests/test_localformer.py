"""Localformer: rows, attention, sizes, and what the README shows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from skattn_localformer import skattn_models
from skattn_localformer.model import Localformer, LocalformerRegressor

import skattn
from skattn.inspection import FeatureImportanceDisplay, attention_weights

HERE = Path(__file__).resolve().parent
MODELS = {"localformer": LocalformerRegressor}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def small(**params):
    settings = {"d_model": 6, "dim_feedforward": 8, "max_epochs": 2, "random_state": 0}
    return LocalformerRegressor(**{**settings, **params})


def test_the_hook_names_the_class():
    spec = skattn_models()
    assert spec.name == "localformer"
    assert spec.target == f"{LocalformerRegressor.__module__}:{LocalformerRegressor.__name__}"


def test_torch_computes_the_same():
    # The layers in torch's own code, and the last convolution a second time.
    module = Localformer(3, d_model=8, nhead=2, num_layers=2, dim_feedforward=64).eval()
    x = torch.randn(5, 9, 3)
    with torch.no_grad():
        position, column = torch.arange(9.0)[:, None], torch.arange(8)
        angles = position / 10_000 ** ((column - column % 2) / 8)
        steps = module.feature_layer(x) + torch.where(column % 2 == 0, angles.sin(), angles.cos())
        encoder = module.transformer_encoder
        for layer, convolution in zip(encoder["layers"], encoder["conv"], strict=True):
            padded = torch.nn.functional.pad(steps, (0, 0, 1, 1))
            local = convolution.bias + sum(
                padded[:, tap : tap + 9] @ convolution.weight[:, :, tap].T for tap in range(3)
            )
            steps = layer(steps + local)
        states = module.rnn((steps + local).transpose(0, 1))[0]
        expected = module.decoder_layer(states[-1])[:, 0]
        assert_allclose(module(x), expected, atol=1e-5)


def test_a_step_is_seen_by_its_neighbours_before_attention():
    # Attention is cut: only the convolutions, one step a layer, and the GRU carry anything on.
    module = Localformer(2, d_model=4, nhead=1, num_layers=1, dim_feedforward=4).eval()
    torch.nn.init.zeros_(module.transformer_encoder["layers"][0].self_attn.in_proj_weight)
    x = torch.randn(1, 9, 2)
    other = x.clone()
    other[0, 4] += 1
    with torch.no_grad():
        before, after = (module._encode(each, 0.0)[0] for each in (x, other))
    changed = (before != after).any(dim=-1)[0]
    assert changed.tolist() == [False] * 3 + [True] * 3 + [False] * 3


def test_attention_is_labelled_and_sums_to_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 7, 2)).astype(np.float32)
    model = small(nhead=2, num_layers=3, dropout=0.5, early_stopping=False).fit(X, X[:, 2, 0])
    layers = attention_weights(model, X).layers
    assert layers.axes == ("row", "layer", "head", "query", "key")
    assert layers.values.shape == (40, 3, 2, 7, 7)
    assert list(layers.labels[-1]) == [6, 5, 4, 3, 2, 1, 0]
    assert_allclose(layers.values.sum(-1), np.ones((40, 3, 2, 7)), atol=1e-5)
    assert_allclose(attention_weights(model, X[:3]).layers.values, layers.values[:3], atol=0)


@pytest.mark.parametrize(("n_steps", "d_model", "nhead"), [(1, 6, 2), (1100, 5, 1), (60, 64, 2)])
def test_rows_are_apart_to_the_last_bit(n_steps, d_model, nhead):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, n_steps, 2)).astype(np.float32)
    few = X[:20]
    model = small(d_model=d_model, nhead=nhead, max_epochs=1, early_stopping=False)
    model.fit(few, few[:, -1, 0])
    predicted = model.predict(X[:150])
    order = rng.permutation(150)
    assert (model.predict(X[order]) == predicted[order]).all()
    assert (model.predict(X[7:8]) == predicted[7]).all()


def test_heads_that_do_not_fit_are_named():
    X = np.zeros((8, 5, 2), np.float32)
    with pytest.raises(ValueError, match="d_model=6 and nhead=4"):
        small(nhead=4, early_stopping=False).fit(X, X[:, 0, 0])


def test_the_readme_runs(monkeypatch):
    # As where the plugin is installed.
    monkeypatch.setattr(skattn, "make_model", lambda name, **params: MODELS[name](**params))
    (code,) = re.findall(r"```python\n(.*?)```", (HERE.parent / "README.md").read_text(), re.S)
    names: dict = {}
    exec(code, names)
    assert len(names["signal"]) == len(names["market"].ohlcv)
    assert_allclose(names["layers"].values.sum(-1), 1, atol=1e-5)


def test_importance_beside_attention():
    pytest.importorskip("matplotlib").use("agg")
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(40).astype("datetime64[D]"), 10)
    names = np.tile([f"S{i}" for i in range(10)], 40)
    X = rng.normal(size=(400, 5, 2)).astype(np.float32)
    y = X[:, -2, 1]
    model = small(max_epochs=15, lr=0.01, early_stopping=False).fit(X, y, days=days)
    display = FeatureImportanceDisplay.from_estimator(
        model, X, y, days=days, instruments=names, method="both", random_state=0
    )
    assert display.permutation["importance"].idxmax() == "x1 1"
    assert display.gradients["importance"].idxmax() == "x1 1"
    assert_allclose(display.attention.sum(), 1, atol=1e-5)
    assert display.agreement.between(-1, 1).all()
