"""Whether the rows of a module are apart: no row's prediction depends on the rows beside it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

import numpy as np
import torch

from skattn.training.batches import look_up
from skattn.training.net import SequenceNet
from skattn.training.predict import predict_repeated
from skattn.training.samples import Samples
from skattn.utils import warn_user

# Largest difference that may be rounding, in relation to the largest prediction.
ROUNDING = 1e-4
ROWS = 16


def refuse_mixed_rows(net: SequenceNet, samples: Samples) -> None:
    """Raise, before training, where rows see each other without being declared to.

    A few rows are predicted twice, beside other rows each time and in the same places.

    Parameters
    ----------
    net : SequenceNet
        Initialized.
    samples : Samples
        Rows to look at.

    Raises
    ------
    ValueError
        A row's prediction depends on the rows beside it, and the module does not declare
        ``cross_sectional = True``; or the same rows get other predictions in a second call.
    """
    if net.contract.cross_sectional:
        return
    inputs = look_up(samples, np.resize(np.arange(min(ROWS, len(samples))), ROWS), net.side_inputs)
    others = {name: values.copy() for name, values in inputs.items()}
    for values in others.values():
        values[::2] = 0  # as where predict fills a block up
    together, again, apart = (_compute(net, x)[1::2] for x in (inputs, inputs, others))
    if not np.isfinite(together).all():
        return  # training will tell
    if not np.array_equal(together, again):
        raise ValueError(
            f"{type(net.module_).__name__}.forward gives other predictions when it is called again "
            f"with the same rows. Draw random numbers by nn.Dropout, or by torch where "
            f"self.training is True, and keep nothing from one call for the next."
        )
    change, scale = np.abs(together - apart).max(), np.abs(together).max()
    if not change <= ROUNDING * scale:
        name = type(net.module_).__name__
        raise ValueError(
            f"{name}.forward lets rows see each other: predictions of up to {scale:.2g} change by "
            f"up to {change:.2g} where other rows lie beside them in a batch. Compute every row "
            f"from itself alone (a mean over the first axis mixes rows). A module that looks "
            f"across the stocks of a day declares cross_sectional = True."
        )


def _compute(net: SequenceNet, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compute rows at once. A module that draws random numbers draws the same ones each time."""
    net.module_.eval()
    tensors = {name: torch.from_numpy(values).to(net.device) for name, values in inputs.items()}
    with torch.inference_mode(), _generators_stay(net):
        return net.compute(**tensors).cpu().numpy()


def row_bits_differ(net: SequenceNet, samples: Samples) -> bool:
    """Measure whether a row's prediction depends on the row's place among others, and warn.

    A block of rows is predicted in which rows come several times.

    Parameters
    ----------
    net : SequenceNet
        Trained.
    samples : Samples
        Rows to predict.

    Returns
    -------
    differ : bool
        Whether a bit differs. Days of cross-sectional modules are predicted one by one, so that
        their place makes no difference.
    """
    if net.contract.cross_sectional:
        return False
    with _generators_stay(net):
        rows, predicted = predict_repeated(net, samples)
    _, first, which = np.unique(rows, return_index=True, return_inverse=True)
    again = predicted[first][which]
    if np.array_equal(predicted, again, equal_nan=True):
        return False
    name, largest = type(net.module_).__name__, np.abs(predicted - again).max()
    if largest <= ROUNDING * np.abs(predicted).max():
        why = (
            "as rounding does: torch computes a part of the module in an order that depends on "
            "the place. Widths that are multiples of 16 often help"
        )
    else:
        why = "which is more than rounding: rows see each other, or forward draws random numbers"
    warn_user(
        f"{name}: a row's prediction depends on the row's place among the rows that are predicted "
        f"with it (by up to {largest:.1g}), {why}. row_bits_differ_ is True."
    )
    return True


def _generators_stay(net: SequenceNet) -> AbstractContextManager:
    is_on_cuda = torch.device(net.device).type == "cuda"
    return torch.random.fork_rng([net.device] if is_on_cuda else [])
