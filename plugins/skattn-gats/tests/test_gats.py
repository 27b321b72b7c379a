"""GATs: days, attention, weights, and what the README shows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from skattn_gats import skattn_models
from skattn_gats.model import GATs, GATsRegressor

import skattn
from skattn.inspection import attention_weights, integrated_gradients, permutation_importance

HERE = Path(__file__).resolve().parent
CHECKPOINTS = HERE.parents[3] / "shared" / "data" / "qlib_checkpoints"
MODELS = {"gats": GATsRegressor}
RNNS = pytest.mark.parametrize("rnn", ["gru", "lstm"])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def all_there(*shape):
    return torch.ones(*shape, dtype=torch.bool)


def fit_days(sizes, **params):
    """Fit on days of several sizes, rows in any order; give the model and what it was fitted on."""
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(len(sizes)), sizes).astype("datetime64[D]")
    stocks = np.concatenate([rng.choice(9, n, replace=False) for n in sizes])
    names = np.array([f"S{stock}" for stock in stocks])
    order = rng.permutation(len(days))
    X = rng.normal(size=(len(days), 5, 2)).astype(np.float32)
    context = {"days": days[order], "instruments": names[order]}
    settings = {"hidden_size": 6, "max_epochs": 2, "early_stopping": False, "random_state": 0}
    model = GATsRegressor(**{**settings, **params})
    return model.fit(X, X[:, -1, 0], **context), X, context


def test_the_hook_names_the_class():
    spec = skattn_models()
    module, name = spec.target.split(":")
    assert (spec.name, module, name) == ("gats", GATsRegressor.__module__, GATsRegressor.__name__)
    assert set(spec.qlib_parameters.values()) <= set(GATsRegressor().get_params())


def test_scores_by_hand():
    # The first half of `a` meets the stock that is looked at, the second half the one that looks.
    module = GATs(3, hidden_size=4, num_layers=1)
    x = torch.randn(1, 5, 7, 3)
    with torch.no_grad():
        states = module.rnn(x[0].transpose(0, 1))[0][-1]
        # Scores on both sides of zero: of one sign, softmax cancels what the stock that looks adds.
        module.transformation.weight.normal_(0, 5)
        module.transformation.bias.copy_(-module.transformation.weight @ states.mean(0))
        mapped = module.transformation(states)
        key, query = module.a[:4, 0], module.a[4:, 0]
        scores = torch.tensor(
            [[float(key @ mapped[j] + query @ mapped[i]) for j in range(5)] for i in range(5)]
        )
        weights = torch.where(scores > 0, scores, 0.01 * scores).softmax(dim=1)
        assert_allclose(module.attend(x, all_there(1, 5))["peers"][0], weights, atol=1e-6)
        mixed = torch.nn.functional.leaky_relu(module.fc(weights @ states + states))
        expected = module.fc_out(mixed)[:, 0]
        assert_allclose(module(x, all_there(1, 5))[0], expected, atol=1e-6)
        assert weights.std(dim=1).min() > 0.01
        assert weights.std(dim=0).max() > 0.01


@RNNS
def test_padded_days_at_once_are_days_alone(rnn):
    sizes = (40, 1, 230, 7)
    module = GATs(3, hidden_size=10, rnn=rnn)
    x = torch.randn(4, 230, 6, 3)
    present = torch.arange(230) < torch.tensor(sizes)[:, None]
    y = torch.randn(4, 230)

    alone = [x[day : day + 1, :n].clone().requires_grad_() for day, n in enumerate(sizes)]
    predicted = [module(each, all_there(*each.shape[:2]))[0] for each in alone]
    parts = zip(predicted, y, sizes, strict=True)
    loss = sum(((p - labels[:n]) ** 2).sum() for p, labels, n in parts)
    expected = torch.autograd.grad(loss, [*module.parameters(), *alone])

    # Rows that are not there hold anything.
    x[~present] *= 30
    x.requires_grad_()
    together = module(x, present)
    loss = ((together - y)[present] ** 2).sum()
    *gradients, of_x = torch.autograd.grad(loss, [*module.parameters(), x])
    assert_allclose(together[present].detach(), torch.cat(predicted).detach(), atol=1e-5)
    for actual, wanted in zip(gradients, expected, strict=False):
        assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4)
    of_days = torch.cat([gradient[0] for gradient in expected[-4:]])
    assert_allclose(of_x[present], of_days, rtol=1e-4, atol=1e-5)
    assert not of_x[~present].any()
    peers = module.attend(x, present)["peers"].detach()
    assert not peers.masked_select(~present[:, None].expand_as(peers)).any()
    assert_allclose(peers.sum(-1), np.ones((4, 230)), atol=1e-5)


@RNNS
def test_attention_is_labelled_by_instrument(rnn):
    sizes = [4, 1, 9, 6, 3]
    model, X, context = fit_days(sizes, rnn=rnn)
    peers = attention_weights(model, X, **context).peers
    assert list(peers.columns) == sorted(set(context["instruments"]))
    assert peers.columns.name == "stock"
    assert_allclose(peers.sum(axis=1), np.ones(len(X)), atol=1e-5)
    for day in np.unique(context["days"]):
        rows = context["days"] == day
        there = peers.columns.isin(context["instruments"][rows])
        assert (peers.loc[rows].notna() == there).all(axis=None)


def test_importance_finds_the_planted_cell():
    # The label is the first field of the latest step.
    model, X, context = fit_days([9] * 24, max_epochs=6, lr=0.02, hidden_size=8)
    table = permutation_importance(model, X, X[:, -1, 0], random_state=0, **context).table
    assert table["importance"].idxmax() == "x0 0"
    assert table.loc["x0 0", "p_holm"] < 0.01
    result = integrated_gradients(model, X, **context)
    assert result.importance.stack().idxmax() == ("x0", 0)
    assert result.error < 0.05


@pytest.mark.parametrize("days_per_batch", [1, 3])
def test_a_day_of_one_stock_is_predicted(days_per_batch):
    model, X, context = fit_days([1, 5, 1, 8], days_per_batch=days_per_batch)
    predicted = model.predict(X, **context)
    first = context["days"] == context["days"].min()
    assert first.sum() == 1
    one = {name: values[first] for name, values in context.items()}
    assert model.predict(X[first], **one) == predicted[first]
    assert np.isfinite(predicted).all()


def test_several_days_a_step_train_as_one_long_step():
    # Without clipping, the gradient of two days is the mean over their rows.
    _, X, context = fit_days([4, 4])
    module = GATs(2, hidden_size=6)
    state = module.state_dict()
    shared = {"pretrained": state, "optimizer": "sgd", "lr": 0.1, "clip_value": None}
    model, *_ = fit_days([4, 4], max_epochs=1, days_per_batch=2, **shared)
    order = np.lexsort((context["instruments"], context["days"]))
    x = torch.from_numpy(X[order]).view(2, 4, 5, 2)
    loss = ((module(x, all_there(2, 4)) - x[:, :, -1, 0]) ** 2).mean()
    loss.backward()
    for name, parameter in module.named_parameters():
        expected = (parameter - 0.1 * parameter.grad).detach()
        assert_allclose(model.module_.get_parameter(name).detach(), expected, atol=1e-5)


@pytest.mark.realdata
@RNNS
def test_a_recurrence_that_qlib_publishes_loads(rnn):
    path = CHECKPOINTS / f"model_{rnn}_csi300.pkl"
    if not path.exists():
        pytest.skip(f"no weights at {path}")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 60, 6)).astype(np.float32)
    days = np.repeat(np.arange(2), 4).astype("datetime64[D]")
    model = GATsRegressor(
        rnn=rnn, pretrained=path, freeze=["rnn"], max_epochs=1, early_stopping=False, random_state=0
    ).fit(X, X[:, 0, 0], days=days)
    published = torch.load(path, weights_only=True, map_location="cpu")
    assert set(model.pretrained_report_.loaded) >= {n for n in published if n.startswith("rnn.")}
    assert all(n.startswith(("a", "fc", "trans")) for n in model.pretrained_report_.missing)
    for name, value in model.module_.rnn.state_dict().items():
        assert torch.equal(value, published[f"rnn.{name}"])


def test_the_readme_runs(monkeypatch):
    # As where the plugin is installed.
    monkeypatch.setattr(skattn, "make_model", lambda name, **params: MODELS[name](**params))
    (code,) = re.findall(r"```python\n(.*?)```", (HERE.parent / "README.md").read_text(), re.S)
    names: dict = {}
    exec(code, names)
    assert len(names["signal"]) == len(names["market"].ohlcv)
    assert_allclose(names["peers"].sum(axis=1), 1, atol=1e-5)
