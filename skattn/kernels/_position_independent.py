"""Results that do not depend on the position of a row in a batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# For narrow outputs (fewer than about 12 columns), matrix libraries sum products in one order in
# the middle of a matrix and in another order at its edge. Wider outputs have a single order.
WIDE = 16
# Batches of matrices are summed in an order that depends on the address of each matrix, where the
# addresses are not all multiples of a vector of the processor.
ALIGNED_BYTES = 64

_GATES = {torch.rnn_tanh: 1, torch.rnn_relu: 1, torch.gru: 3, torch.lstm: 4}
# Functions, of torch and of tensors, that multiply matrices inside. Products with a single vector
# have one order anyway.
_NAMES = """
    __matmul__ __rmatmul__ addbmm addbmm_ addmm addmm_ baddbmm baddbmm_ bilinear bmm cdist
    chain_matmul einsum gru gru_cell inner linalg_matmul linalg_multi_dot lstm lstm_cell matmul mm
    multi_dot multi_head_attention_forward rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell
    scaled_dot_product_attention tensordot
"""
_PRODUCTS = frozenset(_NAMES.split())


class PositionIndependent(TorchFunctionMode):
    """Context in which products of matrices are computed with extra columns of zeros.

    Linear layers and other narrow products get the columns directly. Recurrent layers get hidden
    units that stay zero. Batches of matrices, as in attention, are padded until each matrix begins
    at a multiple of a vector of the processor. With batches of constant size, the result of each
    row is then the same in every bit for any position of the row in the batch.

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
        """Replace products and recurrences; call other functions unchanged."""
        kwargs = kwargs or {}
        if func is F.linear:
            return _linear(*args, **kwargs)
        if func in _GATES and _can_be_widened(func, *args):
            return _recurrence(func, *args, **kwargs)
        if getattr(func, "__name__", None) in _PRODUCTS:
            with _Products():
                return func(*args, **kwargs)
        return func(*args, **kwargs)


class _Products(TorchDispatchMode):
    """Context that reaches the products inside of torch's own functions."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Replace the products; take functions that are made of others apart."""
        kwargs = kwargs or {}
        if func in _REPLACED:
            return _REPLACED[func](*args, **kwargs)
        with self:
            result = func.decompose(*args, **kwargs)
        return func(*args, **kwargs) if result is NotImplemented else result


def _mm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = _of_one_dtype(a, b)
    return _padded(torch.mm, a, b, max(0, WIDE - len(a)), 0, max(0, WIDE - b.shape[1]))


def _bmm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = _of_one_dtype(a, b)
    step = ALIGNED_BYTES // a.element_size()
    (n_matrices, n_rows, n_inner), n_columns = a.shape, b.shape[2]
    rows, inner, columns = 0, 0, 0
    if not (_are_aligned(a, step) and _are_aligned(b, step) and n_rows * n_columns % step == 0):
        inner, columns = -n_inner % step, -n_columns % step
    # Where matrices are longer than their batch, the batch's rows may lie inside of them.
    if n_rows > n_matrices:
        columns = max(columns, WIDE - n_columns)
    if n_columns > n_matrices:
        rows = max(0, WIDE - n_rows)
    return _padded(torch.bmm, a, b, rows, inner, columns)


def _of_one_dtype(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cast the factors as autocast does, which does not see the products inside of a function."""
    lower = min(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
    if a.dtype == b.dtype or lower not in (torch.bfloat16, torch.float16):
        return a, b
    return a.to(lower), b.to(lower)


def _padded(
    multiply: Any, a: torch.Tensor, b: torch.Tensor, rows: int, inner: int, columns: int
) -> torch.Tensor:
    """Multiply matrices with more rows, inner columns and columns, and cut these off again."""
    is_strided = a.layout is b.layout is torch.strided
    if not (rows or inner or columns) or not is_strided:
        return multiply(a, b)
    n_rows, n_columns = a.shape[-2], b.shape[-1]
    product = multiply(F.pad(a, (0, inner, 0, rows)), F.pad(b, (0, columns, 0, inner)))
    return product[..., :n_rows, :n_columns].contiguous()


def _are_aligned(matrices: torch.Tensor, step: int) -> bool:
    if matrices.layout is not torch.strided:
        return True  # and as good as they get
    return matrices.stride(0) % step == 0 and matrices.shape[1] * matrices.shape[2] % step == 0


def _bilinear(
    x: torch.Tensor, z: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    n_out, n_x, n_z = weight.shape
    mixed = _mm(x.reshape(-1, n_x), weight.transpose(0, 1).reshape(n_x, -1))
    y = (mixed.view(*x.shape[:-1], n_out, n_z) * z[..., None, :]).sum(-1)
    return y if bias is None else y + bias


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: torch.Tensor | None = None,
    scale: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    width = query.shape[-1]
    missing = -width % (ALIGNED_BYTES // query.element_size())
    output, logsumexp = _FLASH(
        *(F.pad(tensor, (0, missing)) for tensor in (query, key, value)),
        dropout_p,
        is_causal,
        attn_mask=attn_mask,
        scale=width**-0.5 if scale is None else scale,
    )
    return output[..., :width], logsumexp


def _plus(added: torch.Tensor, product: torch.Tensor, beta: float, alpha: float) -> torch.Tensor:
    if beta == 0:
        return alpha * product  # what is added may be NaN then
    return beta * added + alpha * product if (beta, alpha) != (1, 1) else added + product


_aten = torch.ops.aten
_FLASH = _aten._scaled_dot_product_flash_attention_for_cpu.default
_REPLACED: dict[Any, Any] = {
    _aten.mm.default: _mm,
    _aten.bmm.default: _bmm,
    _aten.addmm.default: lambda c, a, b, *, beta=1, alpha=1: _plus(c, _mm(a, b), beta, alpha),
    _aten.baddbmm.default: lambda c, a, b, *, beta=1, alpha=1: _plus(c, _bmm(a, b), beta, alpha),
    _aten.bilinear.default: _bilinear,
    _FLASH: _attention,
}


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


def _can_be_widened(func: Any, x: torch.Tensor, state: Any, weights: Any, *rest: Any) -> bool:
    # Packed sequences have the weights in another position; projections have states of two sizes.
    is_plain = isinstance(weights, (list, tuple))
    return is_plain and (func is not torch.lstm or state[0].shape[-1] == state[1].shape[-1])


def _recurrence(
    func: Any, x: torch.Tensor, state: Any, weights: Any, has_biases: Any, *rest: Any
) -> tuple[torch.Tensor, ...]:
    gates, is_lstm = _GATES[func], func is torch.lstm
    hidden = (state[0] if is_lstm else state).shape[-1]
    missing = -(-WIDE // gates) - hidden
    if missing <= 0:
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
    state = tuple(_pad(s, missing) for s in state) if is_lstm else _pad(state, missing)
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
