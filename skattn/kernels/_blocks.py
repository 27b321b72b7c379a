"""Computation of a batch in blocks of rows, on as many threads as torch may use.

Torch spreads single operations over threads. With small operations, as in a recurrent step, most of
a second core stays idle. If rows are independent of each other, each thread can compute whole
blocks of rows instead. The blocks do not depend on the number of threads, so the result is the same
in every bit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import nn
from torch.autograd.function import once_differentiable

Block = TypeVar("Block")
Result = TypeVar("Result")
Tensors = tuple[torch.Tensor, ...]


def by_rows(
    function: Callable[..., torch.Tensor],
    inputs: torch.Tensor | Tensors,
    module: nn.Module,
    block_rows: int,
) -> torch.Tensor:
    """Call a function on blocks of rows, on several threads.

    Forward and backward pass equal ``function(*inputs)`` up to rounding. If the module draws random
    numbers (dropout), blocks are computed one after the other, so the random numbers are the same
    in each run.

    Parameters
    ----------
    function : callable
        Maps tensors (B, ...) to a tensor (B, ...), each row independently.
    inputs : tensor of shape (B, ...), or tuple of tensors
        Arguments of the function. On devices other than the CPU, the function is called once.
    module : torch.nn.Module
        Module with the parameters that the function reads.
    block_rows : int
        Number of rows in a block.

    Returns
    -------
    y : tensor of shape (B, ...)
        Results of all rows.

    Examples
    --------
    >>> import torch
    >>> from skattn.kernels import by_rows
    >>> layer, x = torch.nn.Linear(3, 20), torch.randn(100, 3)
    >>> torch.allclose(by_rows(layer, x, layer, block_rows=32), layer(x), atol=1e-6)
    True
    """
    tensors = (inputs,) if isinstance(inputs, torch.Tensor) else tuple(inputs)
    if tensors[0].device.type != "cpu" or torch.compiler.is_compiling():
        return function(*tensors)
    alone = draws_random_numbers(module)
    if torch.is_grad_enabled():
        parameters = [p for p in module.parameters() if p.requires_grad]
        return _ByRows.apply(function, block_rows, alone, len(tensors), *tensors, *parameters)
    blocks = list(zip(*(tensor.split(block_rows) for tensor in tensors), strict=True))
    return torch.cat(map_blocks(lambda block: function(*block), blocks, alone))


def map_blocks(
    function: Callable[[Block], Result], blocks: Sequence[Block], alone: bool = False
) -> list[Result]:
    """Call a function on each block, one block per thread, on as many threads as torch may use.

    The threads have the caller's torch modes: gradients, inference and autocast.

    Parameters
    ----------
    function : callable
        Function of one block.
    blocks : sequence
        The blocks.
    alone : bool, default=False
        Whether the calls run one after the other.

    Returns
    -------
    results : list
        Results in the order of the blocks.
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1 or hasattr(_thread, "in_pool"):
        return [function(block) for block in blocks]
    in_modes = _with_modes(function)
    pool = _pool(n_threads, os.getpid())
    if alone:
        return pool.submit(lambda: [in_modes(block) for block in blocks]).result()
    tasks = [pool.submit(in_modes, block) for block in blocks]
    try:
        return [task.result() for task in tasks]
    finally:
        # After an error, no thread continues in the background.
        for task in tasks:
            task.cancel()
        wait(tasks)


def draws_random_numbers(module: nn.Module) -> bool:
    """Check whether a module in training applies dropout.

    Parameters
    ----------
    module : torch.nn.Module
        The module. A positive float in an attribute ``p`` or ``dropout...`` of the module or of a
        submodule counts as a dropout rate. torch's own modules use such names.

    Returns
    -------
    draws : bool
        True if the module draws random numbers.
    """
    return any(
        part.training
        and any(
            isinstance(rate, float) and rate > 0
            for name, rate in vars(part).items()
            if name == "p" or name.startswith("dropout")
        )
        for part in module.modules()
    )


class _ByRows(torch.autograd.Function):
    """Blockwise function: forward builds one graph per block, and backward runs each graph."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        function: Callable[..., torch.Tensor],
        block_rows: int,
        alone: bool,
        n_inputs: int,
        *tensors: torch.Tensor,
    ) -> torch.Tensor:
        inputs, ctx.parameters = tensors[:n_inputs], tensors[n_inputs:]
        ctx.wanted = [tensor.requires_grad for tensor in inputs]

        def run(block: Tensors) -> tuple[list[torch.Tensor], torch.Tensor]:
            with torch.enable_grad():
                leaves = [
                    part.detach().requires_grad_(wanted)
                    for part, wanted in zip(block, ctx.wanted, strict=True)
                ]
                return leaves, function(*leaves)

        blocks = list(zip(*(tensor.split(block_rows) for tensor in inputs), strict=True))
        ctx.graphs = map_blocks(run, blocks, alone)
        return torch.cat([y.detach() for _, y in ctx.graphs])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple:
        graphs, parameters, wanted = ctx.graphs, ctx.parameters, ctx.wanted
        if graphs is None:
            raise RuntimeError("by_rows allows one backward pass, which frees its graphs.")
        ctx.graphs = None
        tasks = list(zip(graphs, grad.split([len(y) for _, y in graphs]), strict=True))
        n_wanted = sum(wanted)

        def run(task: tuple) -> tuple[torch.Tensor | None, ...]:
            (leaves, y), block_grad = task
            reached = [leaf for leaf, is_wanted in zip(leaves, wanted, strict=True) if is_wanted]
            if not y.requires_grad:
                return (None,) * (n_wanted + len(parameters))
            return torch.autograd.grad(y, (*reached, *parameters), block_grad, allow_unused=True)

        # Each block frees its graph when done. Gradients are summed in the order of the blocks.
        gradients = list(zip(*map_blocks(run, tasks), strict=True))
        of_inputs = map(_concatenate, gradients[:n_wanted])
        inputs = [next(of_inputs) if is_wanted else None for is_wanted in wanted]
        return None, None, None, None, *inputs, *map(_sum, gradients[n_wanted:])


def _concatenate(gradients: tuple[torch.Tensor | None, ...]) -> torch.Tensor | None:
    """Join the gradients of an input's blocks; None if the function does not read the input."""
    known = [g for g in gradients if g is not None]
    return torch.cat(known) if known else None


def _sum(gradients: tuple[torch.Tensor | None, ...]) -> torch.Tensor | None:
    known = [g for g in gradients if g is not None]
    return torch.stack(known).sum(dim=0) if known else None


def _with_modes(function: Callable[[Block], Result]) -> Callable[[Block], Result]:
    """Carry the caller's torch modes, which are local to a thread, to another thread."""
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    autocast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def in_modes(block: Block) -> Result:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(gradients),
            torch.autocast("cpu", dtype, autocast),
        ):
            return function(block)

    return in_modes


# A call from inside a block stays on its thread, because all other threads may be waiting too.
_thread = threading.local()


@lru_cache(maxsize=1)
def _pool(n_threads: int, pid: int) -> ThreadPoolExecutor:
    """Permanent threads of this process; a forked process does not have its parent's threads.

    Each thread lets torch use one thread per operation. ``set_num_threads`` also changes the
    default for new threads, so the default is restored. The caller's own number stays unchanged.
    """
    pool = ThreadPoolExecutor(n_threads, "skattn")
    all_there = threading.Barrier(n_threads)

    def start() -> None:
        # The first get_num_threads sets a thread's number to the default, so it must come first.
        torch.get_num_threads()
        torch.set_num_threads(1)
        _thread.in_pool = True
        all_there.wait()

    wait([pool.submit(start) for _ in range(n_threads)])
    torch.set_num_threads(n_threads)
    return pool
