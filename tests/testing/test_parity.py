"""Modules that compute the same, and those that do not: the first difference is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from skattn.testing import assert_same_as


class Original(nn.Module):
    """What someone else has published: features before steps, and names of its own."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(3, 4, batch_first=True)
        self.head = nn.Linear(4, 1)
        self.unused = nn.Linear(2, 2)

    def forward(self, flat):  # (B, F * T)
        states, _ = self.encoder(flat.reshape(len(flat), 3, -1).transpose(1, 2))
        return self.head(states[:, -1])


class Mine(nn.Module):
    """The same, and what a subclass makes of it."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.out = nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])[:, 0]


def renamed(name: str) -> str | None:
    if name.startswith("unused"):
        return None
    return name.replace("encoder", "rnn").replace("head", "out")


def flat(module, x):
    return module(x.transpose(1, 2).flatten(1))[:, 0]


def compare(mine=Mine, **changes):
    torch.manual_seed(0)
    settings = {"inputs": torch.randn(6, 5, 3), "map_names": renamed, "other_call": flat}
    assert_same_as(mine(), Original(), **{**settings, **changes})


def test_the_same_under_other_names_and_shapes():
    compare()
    names = {name: renamed(name) for name in Original().state_dict()}
    compare(map_names=names)
    compare(rtol=0, atol=0, n_steps=1)


def test_neither_module_changes():
    torch.manual_seed(0)
    module, other = Mine().train(), Original().train()
    before = [{k: v.clone() for k, v in each.state_dict().items()} for each in (module, other)]
    x = torch.randn(6, 5, 3)
    state = torch.get_rng_state()
    assert_same_as(module, other, inputs=x, map_names=renamed, other_call=flat)
    for each, weights in zip((module, other), before, strict=True):
        assert each.training
        for name, value in each.state_dict().items():
            assert torch.equal(value, weights[name])
            assert not each.get_parameter(name).grad
    assert x.grad is None
    assert torch.equal(torch.get_rng_state(), state)


class OtherOutput(Mine):
    def forward(self, x):
        return super().forward(x) + 1e-3


class OtherShape(Mine):
    def forward(self, x):
        return super().forward(x)[:, None]


class Detached(Mine):
    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1].detach())[:, 0]


class DetachedInput(Mine):
    def forward(self, x):
        return super().forward(x.detach())


class Moves(Mine):
    """Equal at first; its gradients are not what moves the weights after the first steps."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        predicted = super().forward(x)
        return predicted if self.calls == 1 else 1.1 * predicted


class Wider(Mine):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(5, 1)


class OneMore(Mine):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("mine", "message"),
    [
        (OtherOutput, r"the output differs by up to 0\.001, at \(\d,\): .*; allowed are 1e-05"),
        (OtherShape, r"outputs have other shapes: \(6, 1\) of OtherShape, and \(6,\) of Original"),
        (Detached, r"the gradient of input 0 differs by"),
        (DetachedInput, r"the gradient of input 0 differs by"),
        (Moves, r"the weight 'rnn\.weight_ih_l0' after 10 steps differs by"),
        (Wider, r"the weight 'out\.weight' has the shape \(1, 5\) in Wider, and \(1, 4\) in"),
        (OneMore, r"OneMore has \['gate\.weight', 'gate\.bias'\] that Original has not.*map_names"),
    ],
)
def test_the_first_difference_is_named(mine, message):
    with pytest.raises(AssertionError, match=message):
        compare(mine)


def test_the_gradient_of_a_parameter_is_named():
    class HalfTheGradient(Mine):
        def forward(self, x):
            predicted = self.out.weight * 0.5 + (self.out.weight * 0.5).detach()
            states = self.rnn(x)[0][:, -1]
            return (states * predicted).sum(1) + self.out.bias

    with pytest.raises(AssertionError, match=r"the gradient of 'out\.weight' differs by"):
        compare(HalfTheGradient)


@pytest.mark.parametrize(
    ("map_names", "message"),
    [
        (None, r"Mine has \['rnn\.weight_ih_l0'.*that Original has not"),
        ({"hed.weight": "out.weight"}, r"map_names has \['hed\.weight'\], which are no weights"),
        (lambda name: "out.bias" if "bias" in name else None, r"several weights .*'out\.bias'"),
    ],
)
def test_names_that_do_not_fit(map_names, message):
    with pytest.raises(AssertionError, match=message):
        compare(map_names=map_names)


def test_whole_days_and_what_is_no_float():
    class Across(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(3, 1)

        def forward(self, x, present):
            own = self.out(x[:, :, -1])[..., 0] * present
            return own - own.sum(1, keepdim=True) / present.sum(1, keepdim=True)

    class OneDay(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(3, 1)

        def forward(self, x):
            own = self.out(x[:, -1])[..., 0]
            return own - own.mean()

    def one_by_one(module, x, present):
        found = [
            nn.functional.pad(module(day[there]), (0, int((~there).sum())))
            for day, there in zip(x, present, strict=True)
        ]
        return torch.stack(found)

    def masked(module, x, present):
        return module(x, present) * present

    x = torch.randn(3, 4, 5, 3)
    present = torch.arange(4) < torch.tensor([[4], [2], [3]])
    assert_same_as(Across(), OneDay(), inputs=(x, present), call=masked, other_call=one_by_one)
