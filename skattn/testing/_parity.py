"""Whether a module computes what another implementation of its architecture computes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import mse_loss

from skattn.parameters import check_value, shown

Call = Callable[..., torch.Tensor]
Names = Mapping[str, str | None] | Callable[[str], str | None]


def assert_same_as(
    module: nn.Module,
    other: nn.Module,
    *,
    inputs: torch.Tensor | Sequence[torch.Tensor],
    map_names: Names | None = None,
    call: Call | None = None,
    other_call: Call | None = None,
    n_steps: int = 10,
    lr: float = 0.05,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> None:
    """Assert that a module computes what another one computes.

    Both are copied, and the copy of the module gets the weights of the other one. Compared are, in
    evaluation mode, the outputs, the gradients of a squared error for every parameter and input,
    and the weights after some steps of gradient descent.

    Parameters
    ----------
    module : torch.nn.Module
        The module that is checked.
    other : torch.nn.Module
        The original.
    inputs : tensor or sequence of tensors
        Arguments of both, such as windows (B, T, F), or (D, S, T, F) and ``present``.
    map_names : dict or callable, default=None
        The module's name for each name in the other's state dict; None for weights that the module
        does not have. Names that a dict lacks are the same in both. None: all are the same.
    call, other_call : callable, default=None
        How a module is called: takes it and the inputs to a tensor. By default
        ``module(*inputs)``. It is the place to reshape inputs and outputs.
    n_steps : int, default=10
        Number of training steps.
    lr : float, default=0.05
        Learning rate of these steps.
    rtol, atol : float, default=1e-5
        Largest difference, relative and absolute.

    Raises
    ------
    TypeError, ValueError
        An argument is of another kind or out of range.
    AssertionError
        They differ. The text names the first weight, output or gradient that does, and by how much.

    Examples
    --------
    >>> import torch
    >>> from skattn.testing import assert_same_as
    >>> module, other = torch.nn.Linear(3, 1), torch.nn.Sequential(torch.nn.Linear(3, 1))
    >>> assert_same_as(
    ...     module, other, inputs=torch.randn(8, 3), map_names=lambda name: name.removeprefix("0.")
    ... )
    """
    _check_arguments(module=module, other=other, call=call, other_call=other_call)
    given = [inputs] if isinstance(inputs, torch.Tensor) else inputs
    if not isinstance(given, (list, tuple)) or not given or not all(map(torch.is_tensor, given)):
        raise TypeError(f"inputs must be a tensor or a list of tensors; got {shown(inputs)}.")
    if not (map_names is None or isinstance(map_names, Mapping) or callable(map_names)):
        raise TypeError(f"map_names must be a dict, a function or None; got {shown(map_names)}.")
    n_steps = check_value("n_steps", n_steps, "int", at_least=0, at_most=10_000)
    lr = check_value("lr", lr, "float", above=0)
    rtol = check_value("rtol", rtol, "float", at_least=0)
    atol = check_value("atol", atol, "float", at_least=0)
    left, right = copy.deepcopy(module).eval(), copy.deepcopy(other).eval()
    renamed = _load(left, right, map_names)
    calls = (call or _call, other_call or _call)
    outputs, gradients = [], []
    for each, caller in zip((left, right), calls, strict=True):
        leaves = [
            values.detach().clone().requires_grad_() if values.is_floating_point() else values
            for values in given
        ]
        output = caller(each, *leaves)
        outputs.append(output.detach())
        if output.shape != outputs[0].shape:
            break
        mse_loss(output, _target(output)).backward()
        gradients.append(_gradients(each, leaves))
    if len(gradients) < 2:
        raise AssertionError(
            f"the outputs have other shapes: {tuple(outputs[0].shape)} of {_name(module)}, and "
            f"{tuple(outputs[1].shape)} of {_name(other)}. Shape them alike by call and other_call."
        )
    _compare({"the output": outputs[0]}, {"the output": outputs[1]}, rtol, atol)
    _compare(gradients[0], _rename(gradients[1], renamed), rtol, atol)
    for each, caller in zip((left, right), calls, strict=True):
        _train(each, caller, given, n_steps, lr)
    after, expected = (
        {f"the weight {name!r} after {n_steps} steps": value for name, value in found.items()}
        for found in (left.state_dict(), _mapped(right.state_dict(), renamed))
    )
    _compare(after, expected, rtol, atol)


def _check_arguments(**arguments: Any) -> None:
    for name, value in arguments.items():
        if "call" in name and value is not None and not callable(value):
            raise TypeError(f"{name} must be a function or None; got {shown(value)}.")
        if "call" not in name and not isinstance(value, nn.Module):
            raise TypeError(f"{name} must be a torch.nn.Module; got {shown(value)}.")


def _call(module: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    return module(*inputs)


def _name(module: nn.Module) -> str:
    return type(module).__name__


def _target(output: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(output.shape, generator=generator).to(output)


def _load(module: nn.Module, other: nn.Module, map_names: Names | None) -> dict[str, str | None]:
    """Copy the weights of the other; give the module's name for each of its names."""
    own, weights = module.state_dict(), other.state_dict()
    if isinstance(map_names, Mapping):
        unknown = sorted(set(map_names) - set(weights))
        if unknown:
            raise AssertionError(
                f"map_names has {unknown}, which are no weights of {_name(other)}; it has "
                f"{list(weights)}."
            )
        renamed = {name: map_names.get(name, name) for name in weights}
    else:
        renamed = {name: name if map_names is None else map_names(name) for name in weights}
    taken = [name for name in renamed.values() if name is not None]
    twice = sorted({name for name in taken if taken.count(name) > 1})
    if twice:
        raise AssertionError(f"map_names gives several weights the name {twice[0]!r}.")
    missing = [name for name in own if name not in taken]
    extra = [old for old, name in renamed.items() if name is not None and name not in own]
    if missing or extra:
        raise AssertionError(
            f"the weights have other names: {_name(module)} has {missing or 'none'} that "
            f"{_name(other)} has not, which has {extra or 'none'} besides. map_names gives the "
            f"module's name for each name of the other, or None for weights that it does not have."
        )
    for old, name in renamed.items():
        if name is not None and weights[old].shape != own[name].shape:
            raise AssertionError(
                f"the weight {name!r} has the shape {tuple(own[name].shape)} in {_name(module)}, "
                f"and {tuple(weights[old].shape)} in {_name(other)}."
            )
    module.load_state_dict(_mapped(weights, renamed))
    return renamed


def _mapped(
    weights: Mapping[str, torch.Tensor], renamed: Mapping[str, str | None]
) -> dict[str, torch.Tensor]:
    return {str(renamed[old]): value for old, value in weights.items() if renamed[old] is not None}


def _gradients(module: nn.Module, inputs: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Gradients by name: zeros where nothing depends on a parameter or an input."""
    wanted = {f"the gradient of input {n}": each for n, each in enumerate(inputs)}
    wanted |= {f"the gradient of {name!r}": each for name, each in module.named_parameters()}
    return {
        name: torch.zeros_like(each) if each.grad is None else each.grad
        for name, each in wanted.items()
        if each.is_floating_point()
    }


def _rename(
    gradients: Mapping[str, torch.Tensor], renamed: Mapping[str, str | None]
) -> dict[str, torch.Tensor]:
    names = {f"the gradient of {old!r}": name for old, name in renamed.items()}
    found = {}
    for name, value in gradients.items():
        new = names.get(name, name)
        if new is not None:
            found[name if name not in names else f"the gradient of {new!r}"] = value
    return found


def _train(
    module: nn.Module, call: Call, inputs: Sequence[torch.Tensor], n_steps: int, lr: float
) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=lr)
    for _ in range(n_steps):
        output = call(module, *inputs)
        optimizer.zero_grad()
        mse_loss(output, _target(output)).backward()
        optimizer.step()


def _compare(
    actual: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    rtol: float,
    atol: float,
) -> None:
    for name, value in actual.items():
        if name not in expected:
            raise AssertionError(f"{name} is known of one of the modules only.")
        if not torch.allclose(value, expected[name].to(value), rtol=rtol, atol=atol):
            difference = (value - expected[name]).abs().double()
            place = tuple(int(i) for i in (difference == difference.max()).nonzero()[0])
            raise AssertionError(
                f"{name} differs by up to {float(difference.max()):.3g}, at {place}: "
                f"{float(value[place]):.6g} and {float(expected[name][place]):.6g}; allowed are "
                f"{atol:g} + {rtol:g} of the size."
            )
