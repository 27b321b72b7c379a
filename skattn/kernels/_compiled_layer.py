"""Recurrent layers as compiled code: when they can be, and how torch sees them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from skattn.kernels._compiled import SWITCH, compiled_recurrences, single_thread

# Rows at the edges of a product may be summed in another order than the rows between. A prediction
# has rows of zeros there, and as many rows as fill the processor's vectors.
EDGE, VECTOR = 8, 16


def can_compile(rnn: Any, x: Any) -> bool:
    """Check whether compiled code can run the layers of an rnn: float32 on a CPU, in plain torch.

    Parameters
    ----------
    rnn : torch.nn.GRU or torch.nn.LSTM
        The layers, with ``unit``, the name of the recurrent unit.
    x : tensor of shape (T, B, F)
        The input.

    Returns
    -------
    can : bool
        False where numba is not there, too, and where torch traces, compiles or exports.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    if rnn.bidirectional or rnn.proj_size or rnn.batch_first or not rnn.bias:
        return False
    if type(x) not in (torch.Tensor, nn.Parameter) or x.ndim != 3 or not x.numel():
        return False
    tensors = (x, *(weight for layer in rnn.all_weights for weight in layer))
    if any(tensor.dtype != torch.float32 or tensor.device.type != "cpu" for tensor in tensors):
        return False
    if torch.is_autocast_enabled("cpu") or torch._C._are_functorch_transforms_active():
        return False
    if x.shape[2] != rnn.input_size or rnn.unit not in compiled_recurrences().modules:
        return False
    if torch.is_grad_enabled():
        return True
    n_gates, n_rows = len(rnn.all_weights[0][0]), _padded(x.shape[1])
    widths = {rnn.input_size, rnn.hidden_size}
    return all(_rows_are_alike(n_gates, width, n_rows) for width in widths)


def run_layers(rnn: Any, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Run the layers of an rnn as compiled code.

    Parameters
    ----------
    rnn : torch.nn.GRU or torch.nn.LSTM
        As in :func:`can_compile`.
    x : tensor of shape (T, B, F)
        The input.

    Returns
    -------
    states : tensor of shape (T, B, H)
        States of the last layer.
    last : pair of tensors of shape (L, B, H)
        Last state and, of a GRU again the state, of an LSTM the cell of each layer.
    """
    n_rows = x.shape[1]
    states = x.transpose(1, 2)
    rows = slice(None)
    if not torch.is_grad_enabled():
        padded = x.new_zeros(x.shape[0], x.shape[2], _padded(n_rows))
        rows = slice(EDGE, EDGE + n_rows)
        padded[..., rows] = states
        states = padded
    last_states, last_cells = [], []
    for layer, weights in enumerate(rnn.all_weights):
        if layer and rnn.dropout:
            states = nn.functional.dropout(states, rnn.dropout, rnn.training)
        states, last_cell = _run_layer(rnn.unit, states, *weights)
        last_states.append(states[-1])
        last_cells.append(last_cell)
    states, *last = (
        part[..., rows].transpose(1, 2)
        for part in (states, torch.stack(last_states), torch.stack(last_cells))
    )
    return states, tuple(last)


def _run_layer(
    unit: str, x: torch.Tensor, *weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a layer: states (T, H, B), and the last state or cell (H, B), of x (T, F, B)."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *weights)):
        return _Layer.apply(unit, x, *weights)
    states, last, *_ = _forward(unit, False, x, *weights)
    return torch.from_numpy(states), torch.from_numpy(last)


def _forward(unit: str, keep: bool, *tensors: torch.Tensor) -> tuple[np.ndarray, ...]:
    module = compiled_recurrences().modules[unit]
    arrays = [_to_numpy(tensor) for tensor in tensors]
    with single_thread():
        return module.forward(*arrays, keep)


class _Layer(torch.autograd.Function):
    """A recurrent layer as compiled code, forward and backward."""

    @staticmethod
    def forward(ctx: Any, unit: str, x: torch.Tensor, *weights: torch.Tensor) -> Any:  # type: ignore[override]
        states, last, *kept = map(torch.from_numpy, _forward(unit, True, x, *weights))
        ctx.unit = unit
        ctx.save_for_backward(x, *weights[:2], states, *kept)
        return states, last

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, grad_last: torch.Tensor) -> tuple:  # type: ignore[override]
        if torch.is_grad_enabled():
            raise RuntimeError(
                "Compiled recurrent layers have no second derivatives (create_graph=True). Set the "
                f"environment variable {SWITCH}=0, and torch's own layers run."
            )
        module = compiled_recurrences().modules[ctx.unit]
        arrays = [_to_numpy(tensor) for tensor in (*ctx.saved_tensors, grad, grad_last)]
        wanted = ctx.needs_input_grad[1:]
        with single_thread():
            gradients = module.backward(*arrays, wanted[0])
        return None, *(
            torch.from_numpy(gradient) if is_wanted else None
            for gradient, is_wanted in zip(gradients, wanted, strict=True)
        )


def _padded(n_rows: int) -> int:
    """Number of rows with the rows of zeros at both edges."""
    return -(-(n_rows + 2 * EDGE) // VECTOR) * VECTOR


@lru_cache(maxsize=4096)
def _rows_are_alike(n_gates: int, width: int, n_rows: int) -> bool:
    """Measure that rows between the edges have the same bits wherever they lie.

    The library of matrix products is another one on each machine. Where it sums such rows in
    different orders, predictions are left to torch.
    """
    multiply = compiled_recurrences().modules["gru"].multiply
    generator = np.random.default_rng(0)
    out = np.empty((n_gates, n_rows), np.float32)
    for _ in range(4):
        weights = generator.normal(size=(n_gates, width)).astype(np.float32)
        rows = np.repeat(generator.normal(size=(width, 1)).astype(np.float32), n_rows, axis=1)
        with single_thread():
            multiply(weights, rows, out)
        between = out[:, EDGE:-EDGE]
        if (between != between[:, :1]).any():
            return False
    return True


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()
