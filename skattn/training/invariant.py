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
    """Within this context, narrow linear layers are computed with columns of zeros beside theirs.

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
        """Replace ``F.linear``, let the rest pass."""
        if func is F.linear:
            return _linear(*args, **(kwargs or {}))
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
