"""Rows of a batch computed in blocks, on as many threads as torch may use.

Torch spreads single operations over threads, which leaves most of a second core idle where the
operations are small, as those of a recurrent step are. Where rows do not see each other, whole
blocks of rows can go to threads of their own instead. The blocks are the same however many
threads there are, and so are the bits of the result.
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


def by_rows(
    function: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    module: nn.Module,
    block_rows: int,
) -> torch.Tensor:
    """Call a function of rows on blocks of them, on several threads.

    Forward and backward pass are those of ``function(x)``, up to rounding. A module that draws
    random numbers (dropout) is called for one block after the other, so that they are the same
    in each run.

    Parameters
    ----------
    function : callable
        Takes (B, ...) to (B, ...), each row by itself.
    x : tensor of shape (B, ...)
        On the CPU; on other devices the function is called once.
    module : torch.nn.Module
        What holds the parameters that the function reads.
    block_rows : int
        Rows in a block.

    Returns
    -------
    y : tensor of shape (B, ...)

    Examples
    --------
    >>> import torch
    >>> from skattn.training.blocks import by_rows
    >>> layer, x = torch.nn.Linear(3, 20), torch.randn(100, 3)
    >>> torch.allclose(by_rows(layer, x, layer, block_rows=32), layer(x), atol=1e-6)
    True
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return function(x)
    alone = draws_random_numbers(module)
    if torch.is_grad_enabled():
        parameters = [p for p in module.parameters() if p.requires_grad]
        return _ByRows.apply(function, x, block_rows, alone, *parameters)
    return torch.cat(map_blocks(function, x.split(block_rows), alone))


def map_blocks(
    function: Callable[[Block], Result], blocks: Sequence[Block], alone: bool = False
) -> list[Result]:
    """Call a function on each block, on as many threads as torch may use, one operation each.

    The threads have the caller's modes of torch: gradients, inference, autocast.

    Parameters
    ----------
    function : callable
        Of one block.
    blocks : sequence
        What it is called on.
    alone : bool, default=False
        Whether the calls are made one after the other.

    Returns
    -------
    results : list
        In the order of the blocks.
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1 or hasattr(_here, "in_pool"):
        return [function(block) for block in blocks]
    in_modes = _with_modes(function)
    pool = _pool(n_threads, os.getpid())
    if alone:
        return pool.submit(lambda: [in_modes(block) for block in blocks]).result()
    tasks = [pool.submit(in_modes, block) for block in blocks]
    try:
        return [task.result() for task in tasks]
    finally:
        # After an error nothing goes on behind the caller's back.
        for task in tasks:
            task.cancel()
        wait(tasks)


def draws_random_numbers(module: nn.Module) -> bool:
    """Whether a module in training drops anything out, by the names that torch uses for rates."""
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
    """The forward pass builds a graph a block; the backward pass goes through each of them."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        function: Callable[[torch.Tensor], torch.Tensor],
        x: torch.Tensor,
        block_rows: int,
        alone: bool,
        *parameters: torch.Tensor,
    ) -> torch.Tensor:
        wants_x = x.requires_grad

        def run(block: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            with torch.enable_grad():
                leaf = block.detach().requires_grad_(wants_x)
                return leaf, function(leaf)

        ctx.graphs = map_blocks(run, x.split(block_rows), alone)
        ctx.parameters, ctx.wants_x = parameters, wants_x
        return torch.cat([y.detach() for _, y in ctx.graphs])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple:
        graphs, parameters = ctx.graphs, ctx.parameters
        if graphs is None:
            raise RuntimeError("by_rows can go backward once: its graphs are freed on the way.")
        ctx.graphs = None
        tasks = list(zip(graphs, grad.split([len(y) for _, y in graphs]), strict=True))

        def run(task: tuple) -> tuple[torch.Tensor | None, ...]:
            (leaf, y), block_grad = task
            inputs = (leaf, *parameters) if ctx.wants_x else parameters
            if not y.requires_grad:
                return (None,) * len(inputs)
            return torch.autograd.grad(y, inputs, block_grad, allow_unused=True)

        # One block after the other frees its graph; the sum is in their order.
        gradients = map_blocks(run, tasks)
        of_x = None
        if ctx.wants_x:
            parts = [g[0] for g in gradients if g[0] is not None]
            # None where the function does not read x.
            of_x = torch.cat(parts) if parts else None
            gradients = [g[1:] for g in gradients]
        return None, of_x, None, None, *map(_sum, zip(*gradients, strict=True))


def _sum(gradients: tuple[torch.Tensor | None, ...]) -> torch.Tensor | None:
    known = [g for g in gradients if g is not None]
    return torch.stack(known).sum(dim=0) if known else None


def _with_modes(function: Callable[[Block], Result]) -> Callable[[Block], Result]:
    """Carry the modes of torch, which belong to a thread each, over to the function's thread."""
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


# A call from inside a block stays on the block's thread: all others may be waiting as it does.
_here = threading.local()


@lru_cache(maxsize=1)
def _pool(n_threads: int, pid: int) -> ThreadPoolExecutor:
    """Threads that stay, for this process: a fork does not have its parent's.

    Each of them lets torch use one thread an operation. What torch calls its number of threads is
    a number of each thread, and one for threads that have yet to ask: the last that any has set.
    So that is put back here, and the caller's own is never touched.
    """
    pool = ThreadPoolExecutor(n_threads, "skattn")
    all_there = threading.Barrier(n_threads)

    def start() -> None:
        # Asks first: later it would forget what it is told here.
        torch.get_num_threads()
        torch.set_num_threads(1)
        _here.in_pool = True
        all_there.wait()

    wait([pool.submit(start) for _ in range(n_threads)])
    torch.set_num_threads(n_threads)
    return pool
