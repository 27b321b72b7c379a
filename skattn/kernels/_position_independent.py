"""Results that do not depend on the position of a row in a batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

# For narrow outputs (fewer than about 12 columns), matrix libraries sum products in one order in
# the middle of a matrix and in another order at its edge. Wider outputs have a single order.
WIDE = 16


class PositionIndependent(TorchFunctionMode):
    """Context in which narrow matrix products are computed with extra columns of zeros.

    Linear layers get the columns directly. GRUs and LSTMs get hidden units that stay zero. With
    batches of constant size, the result of each row is then the same in every bit for any position
    of the row in the batch.

    Examples
    --------
    >>> import torch
    >>> from skattn.kernels import PositionIndependent
    >>> layer, x = torch.nn.Linear(6, 4), torch.randn(512, 6)
    >>> with PositionIndependent():
    ...     bool((layer(x).flip(0) == layer(x.flip(0))).all())
    True
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Replace ``F.linear`` and the recurrences; call other functions unchanged."""
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
    # Packed sequences have the weights in another position; projections have states of two sizes.
    plain = isinstance(weights, (list, tuple)) and (is_gru or state[1].shape[-1] == hidden)
    if missing <= 0 or not plain:
        return func(x, state, weights, has_biases, *rest)
    n_directions = 2 if rest[3] else 1
    a_layer = (4 if has_biases else 2) * n_directions
    wide = []
    for i, weight in enumerate(weights):
        reads_x = i < a_layer and i % (a_layer // n_directions) == 0
        reads_states = i % (a_layer // n_directions) == 1
        # A later layer reads the states of both directions.
        halves = 0 if reads_x else 1 if reads_states else n_directions
        wide.append(_more_units(weight, gates, halves, missing))
    state = _pad(state, missing) if is_gru else tuple(_pad(s, missing) for s in state)
    output, *states = func(x, state, wide, has_biases, *rest)
    output = output.unflatten(-1, (n_directions, -1))[..., :hidden].flatten(-2)
    return tuple(part.contiguous() for part in (output, *(s[..., :hidden] for s in states)))


def _more_units(weight: torch.Tensor, gates: int, halves: int, units: int) -> torch.Tensor:
    """Append zeros for more units to each gate, and for the columns that read such units.

    ``halves`` is the number of equal parts of the columns that are states: 0 for an input.
    """
    if halves and weight.ndim == 2:
        weight = F.pad(weight.unflatten(1, (halves, -1)), (0, units)).flatten(1)
    by_gate = weight.unflatten(0, (gates, -1))
    padding = (0, units) if weight.ndim == 1 else (0, 0, 0, units)
    return F.pad(by_gate, padding).flatten(0, 1)


def _pad(state: torch.Tensor, units: int) -> torch.Tensor:
    return F.pad(state, (0, units))
