"""What a trained net gives for each row, whatever other rows there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from skattn.training.batches import DayBatches, Samples
from skattn.training.blocks import map_blocks
from skattn.training.invariant import WideLinear
from skattn.training.net import SequenceNet
from skattn.training.samples import gather_finite

# Rows that are computed at a time. Always as many, so that a row's result does not depend, in
# any bit, on how many others there are: matrix products of other sizes sum in another order.
# Nor does it depend on its place among them (see WideLinear), where their number is a multiple of
# the widest vector of the processor: the rest at the end is computed in another way.
CPU_ROWS, GPU_ROWS, VECTOR = 512, 2048, 64

Function = Callable[..., Mapping[str, torch.Tensor]]


def apply(net: SequenceNet, samples: Samples, function: Function) -> dict[str, np.ndarray]:
    """Call a function on all rows, in blocks of equal size or by whole days.

    Parameters
    ----------
    net : SequenceNet
        Whose module the function uses.
    samples : Samples
        The rows; labels are not looked at.
    function : callable
        Takes what the module's ``forward`` takes, tensors on the net's device, to named tensors
        with a first axis of rows, or of days and stocks.

    Returns
    -------
    results : dict of str to ndarray of shape (N, ...), float32
        In the order of the rows. Where days differ in size, maps over the stocks of a day are as
        wide as the largest, filled up with NaN.
    """
    net.module_.eval()
    if net.cross_sectional:
        return _by_day(net, samples, function)
    return _by_block(net, samples, function)


def _by_block(net: SequenceNet, samples: Samples, function: Function) -> dict[str, np.ndarray]:
    on_cpu = torch.device(net.device).type == "cpu"
    size = (getattr(net.module_, "block_rows", None) or CPU_ROWS) if on_cpu else GPU_ROWS
    size = -(-size // VECTOR) * VECTOR

    def run(first: int) -> dict[str, np.ndarray]:
        block = gather_finite(samples.X, slice(first, first + size), "X")
        n_rows = len(block)
        if n_rows < size:
            padding = np.zeros((size - n_rows, *block.shape[1:]), np.float32)
            block = np.concatenate([block, padding])
        with torch.inference_mode(), WideLinear():
            results = function(torch.from_numpy(block).to(net.device))
            return {name: _to_numpy(values[:n_rows]) for name, values in results.items()}

    parts = map_blocks(run, range(0, len(samples), size), alone=not on_cpu)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _by_day(net: SequenceNet, samples: Samples, function: Function) -> dict[str, np.ndarray]:
    batches = DayBatches(samples, 1, net.context)

    def run(rows: np.ndarray) -> dict[str, np.ndarray]:
        inputs, _ = batches.batch_of([rows])
        if not inputs["x"].sum().isfinite():
            gather_finite(samples.X, rows, "X")  # says where
        with torch.inference_mode(), WideLinear():
            results = function(**{k: v.to(net.device) for k, v in inputs.items()})
            return {name: _to_numpy(values[0]) for name, values in results.items()}

    alone = torch.device(net.device).type != "cpu"
    parts = map_blocks(run, batches.days, alone=alone)
    joined = {}
    for name in parts[0]:
        widest = np.max([part[name].shape[1:] for part in parts], axis=0)
        joined[name] = np.full((len(samples), *widest.astype(int)), np.nan, dtype=np.float32)
        for rows, part in zip(batches.days, parts, strict=True):
            values = part[name]
            fill = [(0, 0), *((0, w - n) for w, n in zip(widest, values.shape[1:], strict=True))]
            joined[name][rows] = np.pad(values, fill, constant_values=np.nan)
    return joined


def _to_numpy(values: Any) -> np.ndarray:
    return values.float().cpu().numpy()
