"""Integrated gradients against autograd by hand, and on planted windows."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import SECTORS, small_alstm, small_hist, windows_of
from inspection.test_permutation import SMALL
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skattn import make_model
from skattn.compose import CrossSectionalTarget
from skattn.inspection import integrated_gradients
from skattn.preprocessing import Alpha360, RobustZScore

pytest.importorskip("captum")
may_lack_concepts = pytest.mark.filterwarnings("ignore:.*belong to no concept:UserWarning")


@pytest.fixture(scope="module")
def fitted(planted):
    return small_alstm(hidden_size=8, num_layers=1, lr=0.02, max_epochs=6).fit(*planted)


def integrate(function, x: torch.Tensor, base: torch.Tensor, n_points: int = 400) -> np.ndarray:
    """Average the gradients on the line by the midpoint rule."""
    total = torch.zeros_like(x)
    for point in range(n_points):
        at = (base + (point + 0.5) / n_points * (x - base)).requires_grad_()
        (gradient,) = torch.autograd.grad(function(at).sum(), at)
        total += gradient / n_points
    return (total * (x - base)).numpy()


@pytest.mark.parametrize("name", SMALL)
def test_the_planted_cell_ranks_first(planted, name: str):
    X, y = planted
    model = make_model(name, max_epochs=8, lr=0.02, batch_size=100, random_state=0, **SMALL[name])
    result = integrated_gradients(model.fit(X, y), X, max_samples=200)
    assert result.importance.stack().idxmax() == ("x1", 2)
    assert result.importance.columns.tolist() == [5, 4, 3, 2, 1, 0]
    assert result.error < 0.05
    assert result.n_samples == 200


@pytest.mark.parametrize("name", ["alstm", "gru", "lstm", "sfm", "transformer"])
def test_rows_by_hand(windows, name: str):
    X, y = windows
    model = make_model(name, max_epochs=2, random_state=0, **SMALL[name]).fit(X, y.to_numpy())
    base = np.random.default_rng(1).normal(size=X.shape[1:]).astype(np.float32)
    found = integrated_gradients(model, X[:20], baseline=base, n_steps=300)
    x, zero = torch.from_numpy(X[:20]), torch.from_numpy(base)
    expected = integrate(model.module_, x, zero.expand_as(x))
    scale = np.abs(expected).max()
    assert_allclose(found.importance, np.abs(expected).mean(axis=0).T, atol=2e-3 * scale)
    assert_allclose(found.signed, expected.mean(axis=0).T, atol=2e-3 * scale)
    # Completeness, for the mean over the rows.
    ours = model.predict(X[:20]).mean() - model.predict(base[None]).item()
    assert_allclose(found.signed.to_numpy().sum(), ours, atol=1e-2 * scale)
    assert found.error < 0.02


@may_lack_concepts
def test_days_by_hand(stock_days):
    X, y = stock_days
    model = small_hist().fit(X, y)
    day = X.days == X.days[0]
    result = integrated_gradients(model, X[day], n_steps=300)
    x = torch.from_numpy(np.asarray(X[day]))[None]
    predicted = model.predict(X[day])
    sign = np.where(predicted > np.median(predicted), 1.0, -1.0)
    stocks = X[day].instruments
    dummies = pd.get_dummies(SECTORS, dtype=float).reindex(stocks).fillna(0).to_numpy()
    concepts = torch.tensor(dummies, dtype=torch.float32)[None]

    def spread(at):
        values = model.module_(at, torch.ones(1, len(stocks), dtype=torch.bool), concepts)
        return values @ torch.tensor(sign, dtype=torch.float32)

    expected = integrate(spread, x, torch.zeros_like(x))[0]
    assert_allclose(result.importance, np.abs(expected).mean(axis=0).T, rtol=0.05, atol=1e-4)
    signed = (expected * sign[:, None, None]).mean(axis=0).T
    assert_allclose(result.signed, signed, rtol=0.05, atol=1e-3)
    assert result.n_samples == len(stocks)


def test_linear_models_are_attributed_exactly(windows):
    X, y = windows
    model = small_alstm(hidden_size=2, num_layers=1).fit(X, y.to_numpy())

    class Weighted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            weights = torch.arange(24, dtype=torch.float32).reshape(8, 3)
            self.weights = torch.nn.Parameter(weights)

        def forward(self, x):
            return (x * self.weights).sum(dim=(1, 2))

    model.net_.__dict__["module_"] = Weighted()
    found = integrated_gradients(model, X, n_steps=1)
    expected = np.abs(X * np.arange(24).reshape(8, 3)).mean(axis=0).T
    assert_allclose(found.importance, expected, rtol=1e-4)
    mean = integrated_gradients(model, X, n_steps=1, baseline="mean")
    centred = X - X.mean(axis=0)
    assert_allclose(
        mean.importance, np.abs(centred * np.arange(24).reshape(8, 3)).mean(0).T, rtol=1e-3
    )
    assert_allclose(mean.signed, 0, atol=1e-5)


def test_an_ignored_field_and_the_fitted_model(fitted, planted):
    X, y = planted
    model = small_alstm(hidden_size=4, num_layers=1).fit(X, y)
    with torch.no_grad():
        model.module_.net.fc_in.weight[:, 2] = 0
    before = model.predict(X)
    gradients = [p.grad.clone() for p in model.module_.parameters()]
    result = integrated_gradients(model, X, max_samples=100)
    assert (result.importance.loc["x2"] == 0).all()
    assert (result.importance.loc["x1"] > 0).all()
    # The model is as it was.
    for parameter, gradient in zip(model.module_.parameters(), gradients, strict=True):
        assert parameter.requires_grad
        assert_array_equal(parameter.grad, gradient)
    assert_array_equal(model.predict(X), before)


def test_order_of_rows_and_numbers_at_once(fitted, planted):
    X, _ = planted
    shuffled = np.random.default_rng(1).permutation(len(X))
    whole = integrated_gradients(fitted, X, max_samples=300)
    other = integrated_gradients(fitted, X[shuffled], max_samples=0.25)
    pd.testing.assert_frame_equal(whole.importance, other.importance)
    with torch.inference_mode():
        inside = integrated_gradients(fitted, X, max_samples=300)
    pd.testing.assert_frame_equal(whole.importance, inside.importance)


def test_pipelines(market):
    steps = [Alpha360(["close", "volume"], length=5), RobustZScore()]
    model = make_pipeline(*steps, CrossSectionalTarget(small_alstm(max_epochs=1)))
    model.fit(market.ohlcv, market.label)
    result = integrated_gradients(model, market.ohlcv, max_samples=50)
    assert result.importance.index.tolist() == ["close", "volume"]
    assert result.importance.shape == (2, 5)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("n_steps", 0, "n_steps must be"),
        ("max_samples", 0, "max_samples must be"),
        ("max_samples", 1.5, "max_samples must be"),
        ("baseline", "zero", "baseline must be 'mean'"),
        ("baseline", np.zeros((3, 6)), r"shape \(6, 3\), steps by fields.*got shape \(3, 6\)"),
        ("baseline", np.full((6, 3), np.nan), "got NaN or infinity"),
    ],
)
def test_bad_parameters(fitted, planted, argument, value, message):
    with pytest.raises(ValueError, match=message):
        integrated_gradients(fitted, planted[0], **{argument: value})


def test_bad_input(fitted, planted):
    X, _ = planted
    with pytest.raises(TypeError, match=r"integrated_gradients needs.*Ridge"):
        integrated_gradients(Ridge().fit(np.ones((3, 2)), np.ones(3)), np.ones((3, 2)))
    broken = np.asarray(X).copy()
    broken[5, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN \(first at row 5, \(.*'S05'\)"):
        integrated_gradients(fitted, windows_of(broken, X.index))
    one = integrated_gradients(fitted, X[:1])
    assert one.n_samples == 1


def test_days_that_a_model_needs(stock_days):
    X, y = stock_days
    model = small_hist().fit(X, y)
    cube = np.asarray(X)
    known = {"days": X.days, "instruments": X.instruments}
    result = integrated_gradients(model, cube, n_steps=4, **known)
    assert_allclose(result.importance, integrated_gradients(model, X, n_steps=4).importance)
    with pytest.raises(ValueError, match="trading days of X are not known"):
        integrated_gradients(model, cube, instruments=X.instruments)


def test_without_captum():
    code = """
import sys
sys.modules["captum"] = sys.modules["captum.attr"] = None
import numpy as np
from skattn.inspection import integrated_gradients
try:
    integrated_gradients(None, np.ones((3, 2, 2)))
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        'integrated_gradients needs captum, which is not installed: pip install "skattn[explain]"'
        in ran.stdout
    )
