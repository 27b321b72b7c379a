"""From rows to predictions or attention maps, whatever other rows there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from skattn.kernels import PositionIndependent, map_blocks
from skattn.training.batches import DayBatches, look_up
from skattn.training.module import check_maps
from skattn.training.net import SequenceNet
from skattn.training.samples import Samples
from skattn.training.validation import check_finite

# Rows that are computed at a time. Always as many, so that a row's result does not depend, in any
# bit, on how many other rows there are: matrix products of other sizes sum in another order.
# A row's result does not depend on its place among them either (see PositionIndependent) where
# their number is a multiple of the widest vector of the processor: a rest at the end is computed in
# another way.
CPU_ROWS, GPU_ROWS, VECTOR = 512, 2048, 64

Function = Callable[..., Mapping[str, torch.Tensor]]


def predict_rows(net: SequenceNet, samples: Samples) -> np.ndarray:
    """Predict each row.

    Parameters
    ----------
    net : SequenceNet
        The trained net.
    samples : Samples
        The rows; labels are not looked at.

    Returns
    -------
    y_pred : ndarray of shape (N,) or, of K outputs, (N, K); float32
    """
    return _apply(net, samples, lambda **inputs: {"y": net.compute(**inputs)})["y"]


def attention_maps(net: SequenceNet, samples: Samples) -> dict[str, np.ndarray]:
    """Compute the attention maps of each row.

    Parameters
    ----------
    net : SequenceNet
        The trained net, whose module has attention.
    samples : Samples
        The rows; labels are not looked at.

    Returns
    -------
    maps : dict of str to ndarray of shape (N, ...), float32
        Where days differ in size, maps over the stocks of a day are as wide as the largest day,
        filled up with NaN.
    """
    module: Any = net.module_
    return _apply(
        net,
        samples,
        lambda x, **beside: check_maps(module, net.contract, x, module.attend(x, **beside)),
    )


def _apply(net: SequenceNet, samples: Samples, function: Function) -> dict[str, np.ndarray]:
    """Call a function on all rows, in runs of rows of one size or by whole days."""
    net.module_.eval()
    by_day = net.contract.cross_sectional
    return (_by_day if by_day else _by_block)(net, samples, function)


def predict_repeated(net: SequenceNet, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Predict one block, in which rows come several times.

    Parameters
    ----------
    net : SequenceNet
        The trained net, of a module of single rows.
    samples : Samples
        The rows; some are taken.

    Returns
    -------
    rows : ndarray of int, shape (B,)
        Number of the row at each place of the block.
    y_pred : ndarray of shape (B,) or, of K outputs, (B, K); float32
    """
    net.module_.eval()
    size = _block_size(net)
    rows = np.random.default_rng(0).integers(min(len(samples), size // 4), size=size)
    inputs = look_up(samples, rows, net.side_inputs)
    return rows, _run_block(net, inputs, size, lambda **x: {"y": net.compute(**x)})["y"]


def _by_block(net: SequenceNet, samples: Samples, function: Function) -> dict[str, np.ndarray]:
    size = _block_size(net)

    def run(first: int) -> dict[str, np.ndarray]:
        rows = slice(first, first + size)
        inputs = look_up(samples, rows, net.side_inputs)
        check_finite(inputs["x"], samples.X, rows, "X")
        return _run_block(net, inputs, size, function)

    parts = map_blocks(run, range(0, len(samples), size), alone=not _is_on_cpu(net))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _run_block(
    net: SequenceNet, inputs: Mapping[str, np.ndarray], size: int, function: Function
) -> dict[str, np.ndarray]:
    n_rows = len(inputs["x"])
    tensors = {name: _fill_up(values, size).to(net.device) for name, values in inputs.items()}
    with torch.inference_mode(), PositionIndependent():
        results = function(**tensors)
        return {name: _to_numpy(values[:n_rows]) for name, values in results.items()}


def _block_size(net: SequenceNet) -> int:
    size = (net.contract.block_rows or CPU_ROWS) if _is_on_cpu(net) else GPU_ROWS
    return -(-size // VECTOR) * VECTOR


def _is_on_cpu(net: SequenceNet) -> bool:
    return torch.device(net.device).type == "cpu"


def _fill_up(values: np.ndarray, size: int) -> torch.Tensor:
    """Add rows of zeros, up to a number of rows."""
    missing = size - len(values)
    if missing:
        padding = np.zeros((missing, *values.shape[1:]), values.dtype)
        values = np.concatenate([values, padding])
    return torch.from_numpy(values)


def _by_day(net: SequenceNet, samples: Samples, function: Function) -> dict[str, np.ndarray]:
    batches = DayBatches(samples, 1, net.side_inputs)

    def run(rows: np.ndarray) -> dict[str, np.ndarray]:
        inputs, _ = batches.batch_of([rows])
        check_finite(inputs["x"][0].numpy(), samples.X, rows, "X")
        # A day is computed alone, whatever other days there are: its products need no padding.
        with torch.inference_mode():
            results = function(**{k: v.to(net.device) for k, v in inputs.items()})
            return {name: _to_numpy(values[0]) for name, values in results.items()}

    parts = map_blocks(run, batches.days, alone=not _is_on_cpu(net))
    joined = {}
    for name in parts[0]:
        widest = np.max([part[name].shape[1:] for part in parts], axis=0)
        shape = (len(samples), *widest.astype(int))
        joined[name] = np.full(shape, np.nan, dtype=parts[0][name].dtype)
        for rows, part in zip(batches.days, parts, strict=True):
            values = part[name]
            fill = [(0, 0), *((0, w - n) for w, n in zip(widest, values.shape[1:], strict=True))]
            joined[name][rows] = np.pad(values, fill, constant_values=np.nan)
    return joined


def _to_numpy(values: torch.Tensor) -> np.ndarray:
    return (values if values.dtype == torch.float64 else values.float()).cpu().numpy()
