"""Losses of a cross-section: their definitions, gradients and invariances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import pearsonr

from skattn.losses import ccc, ic, listnet

LOSSES = {"ic": ic, "ccc": ccc, "listnet": listnet}


def moments(values, weight):
    mean = np.average(values, weights=weight)
    return mean, np.average((values - mean) ** 2, weights=weight)


def of_one_day(name: str, p: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """A loss as its docstring defines it, of one day."""
    (mean_p, var_p), (mean_y, var_y) = moments(p, w), moments(y, w)
    covariance = np.average((p - mean_p) * (y - mean_y), weights=w)
    if name == "ic":
        return 1 - covariance / np.sqrt(var_p * var_y)
    if name == "ccc":
        return 1 - 2 * covariance / (var_p + var_y + (mean_p - mean_y) ** 2)
    z = (y - mean_y) / np.sqrt(var_y)
    chance = w * np.exp(z) / np.sum(w * np.exp(z))
    return -np.sum(chance * (p - logsumexp(p, b=w / w.mean())))


def by_hand(name: str, p, y, day, w) -> float:
    losses, sizes = [], []
    for number in np.unique(day):
        rows = day == number
        if len(np.unique(y[rows])) > 1:
            losses.append(of_one_day(name, p[rows], y[rows], w[rows]))
            sizes.append(w[rows].mean())
    return float(np.dot(losses, sizes) / len(losses))


def panel(seed: int, n_days: int = 5, largest: int = 7):
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(n_days), rng.integers(1, largest, n_days))
    p, y = rng.normal(size=(2, len(day)))
    y[day == 1] = 0.5  # a day of equal labels
    return rng, p, y, day


def tensors(*arrays):
    return [torch.tensor(each) for each in arrays]


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), weighted=st.booleans())
def test_equals_a_loop_over_days(name: str, seed: int, weighted: bool) -> None:
    rng, p, y, day = panel(seed)
    day[:2] = 0  # a day of two stocks or more
    y[:2] = 0.1, 0.7
    w = rng.uniform(0.2, 3, len(day)) if weighted else np.ones(len(day))
    P, Y, D, W = tensors(p, y, day, w)
    loss = LOSSES[name](P, Y, day=D, weight=W if weighted else None)
    np.testing.assert_allclose(loss.item(), by_hand(name, p, y, day, w), rtol=1e-10)
    # Rows in any order, and numbers of days that are no 0, 1, 2.
    order = torch.tensor(rng.permutation(len(day)))
    turned = LOSSES[name](
        P[order], Y[order], day=(D * 7 + 3)[order], weight=W[order] if weighted else None
    )
    np.testing.assert_allclose(turned.item(), loss.item(), rtol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_equal_finite_differences(name: str, weighted: bool) -> None:
    rng, p, y, day = panel(3)
    P, Y, D, W = tensors(p, y, day, rng.uniform(0.2, 3, len(day)))
    P.requires_grad_()
    weight = W if weighted else None
    assert torch.autograd.gradcheck(lambda p: LOSSES[name](p, Y, day=D, weight=weight), (P,))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_float32_equal_the_definition(name: str) -> None:
    _, p, y, day = panel(4)
    definition = {
        "ic": lambda p, y: 1 - torch.corrcoef(torch.stack([p, y]))[0, 1],
        "ccc": lambda p, y: (
            1
            - 2 * torch.cov(torch.stack([p, y]), correction=0)[0, 1]
            / (p.var(correction=0) + y.var(correction=0) + (p.mean() - y.mean()) ** 2)
        ),
        "listnet": lambda p, y: torch.nn.functional.cross_entropy(
            p, ((y - y.mean()) / y.std(correction=0)).softmax(0)
        ),
    }[name]  # fmt: skip
    P, Y, D = tensors(p, y, day)
    P.requires_grad_()
    days = [D == number for number in D.unique() if len(Y[number == D].unique()) > 1]
    torch.stack([definition(P[rows], Y[rows]) for rows in days]).mean().backward()
    single = P.detach().float().requires_grad_()
    LOSSES[name](single, Y.float(), day=D).backward()
    torch.testing.assert_close(single.grad, P.grad.float(), rtol=1e-4, atol=1e-6)


def test_ic_is_the_mean_correlation() -> None:
    _, p, y, day = panel(5)
    known = [pearsonr(p[day == d], y[day == d])[0] for d in (0, 2, 3, 4) if (day == d).sum() > 1]
    loss = ic(*tensors(p, y), day=torch.tensor(day))
    np.testing.assert_allclose(1 - loss.item(), np.mean(known), rtol=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_other_days_do_not_touch_a_day(name: str) -> None:
    _, p, y, day = panel(6)
    P, Y, D = tensors(p, y, day)
    P.requires_grad_()

    def gradient(change: float) -> torch.Tensor:
        P.grad = None
        values = torch.where(D == 0, P, P + change * Y)
        LOSSES[name](values, Y, day=D).backward()
        return P.grad[D == 0].clone()

    torch.testing.assert_close(gradient(0.0), gradient(5.0), rtol=1e-12, atol=1e-15)


def test_scale_and_level() -> None:
    _, p, y, day = panel(7)
    P, Y, D = tensors(p, y, day)
    level = D * 100.0
    moved = ic(3 * P + level, 0.01 * Y - level, day=D)
    torch.testing.assert_close(moved, ic(P, Y, day=D), rtol=1e-8, atol=0)
    moved = listnet(P + level, 0.01 * Y - level, day=D)
    torch.testing.assert_close(moved, listnet(P, Y, day=D), rtol=1e-8, atol=0)
    moved = ccc(2 * P + level, 2 * Y + level, day=D)  # both in the same way
    torch.testing.assert_close(moved, ccc(P, Y, day=D), rtol=1e-8, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_whole_weights_equal_repeated_rows_of_all_days_alike(name: str) -> None:
    # Each day's rows have the same weights: the day's own weight is then the same for all.
    p, y = np.random.default_rng(8).normal(size=(2, 12))
    day, w = np.repeat([0, 1, 2], 4), np.tile([1, 2, 3, 1], 3)
    P, Y, D = tensors(p, y, day)
    P.requires_grad_()
    again = torch.tensor(np.repeat(np.arange(12), w))
    loss = LOSSES[name](P, Y, day=D, weight=torch.tensor(w / w.mean()))
    repeated = LOSSES[name](P[again], Y[again], day=D[again])
    torch.testing.assert_close(*(torch.autograd.grad(each, P)[0] for each in (loss, repeated)))
    if name != "listnet":  # there, three stocks are less likely than two to be the first
        torch.testing.assert_close(loss, repeated, rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_to_rank(name: str) -> None:
    p = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for y, day in (([1.0, 1.0, 1.0], [0, 0, 0]), ([1.0, 2.0, 3.0], [0, 1, 2])):
        loss = LOSSES[name](p, torch.tensor(y), day=torch.tensor(day))
        assert loss.item() == 0
        (gradient,) = torch.autograd.grad(loss, p)
        assert not gradient.any()
    # Equal predictions: no correlation, and no infinite gradient.
    equal = torch.ones(3, requires_grad=True)
    loss = LOSSES[name](equal, torch.tensor([1.0, 2.0, 3.0]), day=torch.zeros(3, dtype=torch.long))
    loss.backward()
    assert equal.grad.isfinite().all()
    if name == "ic":
        assert loss.item() == 1
        assert not equal.grad.any()
