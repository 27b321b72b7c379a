"""Predictions that do not depend on where in a batch a row stands."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

# Matrix libraries sum the products of narrow outputs (fewer than about 12 columns) in one order
# in the middle of a matrix and in another at its edge. Wider ones they do not.
WIDE = 16


class WideLinear(TorchFunctionMode):
    """Within this context, narrow products are computed with columns of zeros beside theirs.

    These are linear layers, and GRUs and LSTMs, whose states get units that stay zero.

    Together with batches of constant size it makes the result of each row independent, in every
    bit, of its place in the batch.

    Examples
    --------
    >>> import torch
    >>> from skattn.training.invariant import WideLinear
    >>> layer, x = torch.nn.Linear(6, 4), torch.randn(512, 6)
    >>> with WideLinear():
    ...     bool((layer(x).flip(0) == layer(x.flip(0))).all())
    True
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Replace ``F.linear`` and the recurrences, let the rest pass."""
        if func is F.linear:
            return _linear(*args, **(kwargs or {}))
        if func in (torch.gru, torch.lstm):
            return _recurrence(func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _linear(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    n_out = len(weight)
    missing = WIDE - n_out
    if missing <= 0:
        return F.linear(input, weight, bias)
    weight = F.pad(weight, (0, 0, 0, missing))
    bias = None if bias is None else F.pad(bias, (0, missing))
    return F.linear(input, weight, bias)[..., :n_out].contiguous()


def _recurrence(
    func: Any, x: torch.Tensor, state: Any, weights: Any, has_biases: Any, *rest: Any
) -> tuple[torch.Tensor, ...]:
    is_gru = func is torch.gru
    hidden = (state if is_gru else state[0]).shape[-1]
    gates = 3 if is_gru else 4
    missing = -(-WIDE // gates) - hidden
    # With packed sequences the weights come second to last; they pass as they are.
    if missing <= 0 or not isinstance(weights, (list, tuple)):
        return func(x, state, weights, has_biases, *rest)
    a_layer = 4 if has_biases else 2
    wide = [
        # The first layer reads x, whose fields are as they were.
        _more_units(w, gates, missing if i >= a_layer or i % a_layer == 1 else 0, missing)
        for i, w in enumerate(weights)
    ]
    state = _pad(state, missing) if is_gru else tuple(_pad(s, missing) for s in state)
    results = func(x, state, wide, has_biases, *rest)
    return tuple(result[..., :hidden].contiguous() for result in results)


def _more_units(weight: torch.Tensor, gates: int, columns: int, units: int) -> torch.Tensor:
    """Zeros for more units behind those of each gate, and for the columns that read them."""
    by_gate = weight.unflatten(0, (gates, -1))
    padding = (0, units) if weight.ndim == 1 else (0, columns, 0, units)
    return F.pad(by_gate, padding).flatten(0, 1)


def _pad(state: torch.Tensor, units: int) -> torch.Tensor:
    return F.pad(state, (0, units))
