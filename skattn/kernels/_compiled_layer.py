"""Recurrent layers as compiled code: when they can be, and how torch sees them."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from skattn.kernels._compiled import SWITCH, compiled_recurrences

Arrays = Sequence[np.ndarray]


def can_compile(rnn: Any, x: Any) -> bool:
    """Check whether compiled code can run the layers of an rnn: float32 on a CPU, in plain torch.

    Under autocast to bf16 a GRU stays in float32, which is faster than torch's GRU in bf16.

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
    lower = torch.is_autocast_enabled("cpu")
    weights = [weight for layer in rnn.all_weights for weight in layer]
    if x.dtype != torch.float32 and not (lower and x.dtype == torch.bfloat16):
        return False
    if any(weight.dtype != torch.float32 for weight in weights):
        return False
    if any(tensor.device.type != "cpu" for tensor in (x, *weights)):
        return False
    if torch._C._are_functorch_transforms_active():
        return False
    if isinstance(rnn, nn.LSTM) and (lower or not torch.is_grad_enabled()):
        return False  # torch then runs oneDNN's LSTM, which is faster
    return x.shape[2] == rnn.input_size and rnn.unit in compiled_recurrences().modules


def run_layers(rnn: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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
    last : tensor of shape (L, B, H)
        Last state of each layer.
    cells : tensor of shape (L, B, H)
        Last cell of each layer; of a GRU the state again.
    """
    weights = [weight for layer in rnn.all_weights for weight in layer]
    masks: list[torch.Tensor] = []
    if rnn.training and rnn.dropout:
        shape = _tile_shape(x.shape[0], x.shape[1], rnn.hidden_size)
        masks = [nn.functional.dropout(torch.ones(shape), rnn.dropout) for _ in rnn.all_weights[1:]]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *weights)):
        return _Layers.apply(rnn.unit, masks, x, *weights)
    (states, last, cells), _ = _forward(rnn.unit, False, masks, x, weights)
    return states, last, cells


class _Layers(torch.autograd.Function):
    """Recurrent layers as compiled code, forward and backward."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, unit: str, masks: list[torch.Tensor], x: torch.Tensor, *weights: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        results, kept = _forward(unit, True, masks, x, weights)
        ctx.unit, ctx.shape, ctx.n_masks = unit, x.shape, len(masks)
        ctx.save_for_backward(*weights, *masks, *kept)
        return results

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "Compiled recurrent layers have no second derivatives (create_graph=True). Set the "
                f"environment variable {SWITCH}=0, and torch's own layers run."
            )
        wanted = ctx.needs_input_grad[2:]
        n_weights = len(wanted) - 1
        saved = [_to_numpy(tensor) for tensor in ctx.saved_tensors]
        weights, saved = saved[:n_weights], saved[n_weights:]
        masks, kept = saved[: ctx.n_masks], saved[ctx.n_masks :]
        gradients = _backward(ctx, wanted[0], weights, masks, kept, [_to_numpy(g) for g in grads])
        return (
            None,
            None,
            *(
                torch.from_numpy(gradient) if is_wanted else None
                for gradient, is_wanted in zip(gradients, wanted, strict=True)
            ),
        )


def _forward(
    unit: str,
    keep: bool,
    masks: Sequence[torch.Tensor],
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
) -> tuple[tuple[torch.Tensor, ...], list[torch.Tensor]]:
    """Give states, last states and last cells, and the arrays that the backward pass needs."""
    module, (n_steps, n_rows, _) = compiled_recurrences().modules[unit], x.shape
    size = weights[1].shape[1]
    inputs = _to_tiles(_to_numpy(x))
    kept, last, cells = [inputs], [], []
    for layer in range(len(weights) // 4):
        if layer and masks:
            inputs = inputs * _to_numpy(masks[layer - 1])
            kept.append(inputs)
        of_layer = _fill_up(module, [_to_numpy(w) for w in weights[4 * layer : 4 * layer + 4]])
        inputs, cell, *beside = module.forward(inputs, *of_layer, size, keep)
        kept += [inputs, *beside]
        last.append(_rows_of(inputs[:, -1], n_rows, size))
        cells.append(_rows_of(cell, n_rows, size))
    states = np.empty((n_steps, n_rows, size), np.float32)
    _tiles().from_tiles(inputs, states)
    results = (states, np.stack(last), np.stack(cells))
    return tuple(map(torch.from_numpy, results)), list(map(torch.from_numpy, kept))


def _backward(
    ctx: Any, of_inputs: bool, weights: Arrays, masks: Arrays, kept: list, grads: Arrays
) -> list[np.ndarray]:
    """Gradients of x, which is empty without of_inputs, and of the weights."""
    module, (_, n_rows, n_in) = compiled_recurrences().modules[ctx.unit], ctx.shape
    grad, grad_last, grad_cells = _to_tiles(grads[0]), *grads[1:]
    gradients: list[np.ndarray] = []
    for layer in reversed(range(len(weights) // 4)):
        states, gates, beside = kept[-3:]
        del kept[-3:]
        inputs = kept.pop() if masks or not layer else kept[-3]
        of_layer = weights[4 * layer : 4 * layer + 4]
        w_ih, w_hh, *_ = _fill_up(module, of_layer)
        given = [_tile_of(grad_last[layer])]
        if module.GATES == 4:
            given.append(_tile_of(grad_cells[layer]))
        arrays = (inputs, w_ih, w_hh, states, gates, beside, grad, *given)
        size, is_wanted = of_layer[1].shape[1], bool(layer) or of_inputs
        grad, *of_weights = module.backward(*arrays, size, is_wanted)
        gradients[:0] = [
            _cut(module, gradient, weight)
            for gradient, weight in zip(of_weights, of_layer, strict=True)
        ]
        if layer and masks:
            grad *= masks[layer - 1]
    d_x = np.empty((grad.shape[1], n_rows, n_in), np.float32)
    if of_inputs:
        _tiles().from_tiles(grad, d_x)
    return [d_x, *gradients]


def _fill_up(module: ModuleType, weights: Arrays) -> list[np.ndarray]:
    """Fill the units of each gate, and the inputs, up with zeros."""
    filled = []
    for weight in weights:
        by_gate = weight.reshape(module.GATES, -1, *weight.shape[1:])
        shape = (module.GATES, *map(_filled_up, by_gate.shape[1:]))
        if shape != by_gate.shape:
            more = np.zeros(shape, np.float32)
            more[tuple(map(slice, by_gate.shape))] = by_gate
            weight = more.reshape(-1, *shape[2:])
        filled.append(weight)
    return filled


def _cut(module: ModuleType, gradient: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Cut what a weight was filled up with off its gradient."""
    if gradient.shape == weight.shape:
        return gradient
    by_gate = gradient.reshape(module.GATES, -1, *gradient.shape[1:])
    sizes = (len(weight) // module.GATES, *weight.shape[1:])
    return by_gate[(slice(None), *map(slice, sizes))].reshape(weight.shape)


def _to_tiles(x: np.ndarray) -> np.ndarray:
    tiles = np.empty(_tile_shape(*x.shape), np.float32)
    _tiles().to_tiles(x, tiles)
    return tiles


def _tile_shape(n_steps: int, n_rows: int, size: int) -> tuple[int, int, int, int]:
    """Shape (N, T, H', L) of the tiles of rows (T, B, H)."""
    lanes = _tiles().FEW if n_rows <= 2 * _tiles().FEW else _tiles().LANES
    return -(-n_rows // lanes), n_steps, _filled_up(size), lanes


def _tile_of(rows: np.ndarray) -> np.ndarray:
    """Lay rows (B, H) of one step out as tiles (N, H', L)."""
    tiles = _to_tiles(np.ascontiguousarray(rows)[None])
    return tiles.reshape(len(tiles), *tiles.shape[2:])


def _rows_of(tiles: np.ndarray, n_rows: int, size: int) -> np.ndarray:
    """Give the rows (B, H) of tiles (N, H', L) of one step."""
    return tiles.swapaxes(1, 2).reshape(-1, tiles.shape[1])[:n_rows, :size]


def _filled_up(size: int) -> int:
    return -(-size // _tiles().UNITS) * _tiles().UNITS


def _tiles() -> Any:
    """Import the compiled tiles, which import numba."""
    from skattn.kernels import _numba_tiles

    return _numba_tiles


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()
