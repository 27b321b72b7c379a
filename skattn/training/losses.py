"""Losses over the labelled rows of a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from skattn.parameters import shown

LOSSES: dict[str, type[nn.Module]] = {"mse": nn.MSELoss, "mae": nn.L1Loss, "huber": nn.HuberLoss}


class MaskedLoss(nn.Module):
    """A loss over the labelled rows of a batch: the rows whose label is not NaN.

    Parameters
    ----------
    loss : {"mse", "mae", "huber"} or callable
        ``loss(predicted, y)`` takes two tensors of shape (B,) and returns a scalar tensor.

    Examples
    --------
    >>> import torch
    >>> from skattn.training import MaskedLoss
    >>> MaskedLoss("mae")(torch.tensor([1.0, 5.0]), torch.tensor([3.0, float("nan")]))
    tensor(2.)
    """

    def __init__(self, loss: str | Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        # A copy, so that a fit does not change the object that the user passed.
        self.loss = LOSSES[loss]() if isinstance(loss, str) else copy.deepcopy(loss)

    def forward(self, predicted: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Compute the loss of the labelled rows."""
        if predicted.shape != y.shape:
            # Torch would broadcast (B, 1) and (B,) to (B, B) and train on nonsense.
            raise ValueError(
                f"The module must give one value a window, shape {tuple(y.shape)}; it gave "
                f"{tuple(predicted.shape)}. Let forward(x) end in [:, 0]."
            )
        predicted, y = predicted.flatten(), y.flatten()
        labelled = ~torch.isnan(y)
        if not labelled.all():
            predicted, y = predicted[labelled], y[labelled]
            if len(y) == 0:
                raise ValueError("A batch has no label at all (y is NaN in all its rows).")
        loss = self.loss(predicted, y)
        if not (isinstance(loss, torch.Tensor) and loss.ndim == 0):
            got = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise ValueError(
                f"loss must give a scalar tensor of the predictions and labels; {shown(self.loss)} "
                f"gave {got}. A class of losses is passed as an instance, such as "
                f"torch.nn.MSELoss()."
            )
        return loss
