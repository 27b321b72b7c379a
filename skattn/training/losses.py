"""Losses over the labelled rows of a batch."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from skattn.losses import ccc, ic, listnet
from skattn.parameters import shown

LOSSES: dict[str, type[nn.Module]] = {"mse": nn.MSELoss, "mae": nn.L1Loss, "huber": nn.HuberLoss}
# Losses that compare the stocks of a day.
DAY_LOSSES: dict[str, Callable[..., torch.Tensor]] = {"ic": ic, "ccc": ccc, "listnet": listnet}


class MaskedLoss(nn.Module):
    """A loss over the labelled rows of a batch: the rows whose label is not NaN.

    Parameters
    ----------
    loss : {"mse", "mae", "huber", "ic", "ccc", "listnet"} or callable
        ``loss(predicted, label)`` takes two tensors of shape (B,) and returns a scalar tensor. A
        callable that has a parameter ``day`` also gets the number of the day of each row, one that
        has a parameter ``weight`` the weights, or None.
    n_outputs : int, default=1
        Labels K of a row. Where there are several, the loss is computed for each column, on the
        rows that have the column's label, and columns count by the number of these rows. The mean
        of a loss by row is then the mean over all labels, and a loss of a cross-section compares
        labels of one column only.

    Attributes
    ----------
    takes : tuple of str
        Which of "weight" and "day" the loss takes.
    needs_days : bool
        Whether the loss needs to know which rows are of one day.

    Examples
    --------
    >>> import torch
    >>> from skattn.training import MaskedLoss
    >>> y = torch.tensor([3.0, float("nan"), 1.0])
    >>> MaskedLoss("mae")(torch.tensor([1.0, 5.0, 1.0]), y)
    tensor(1.)
    >>> weight = torch.tensor([1.5, 1.0, 0.5])
    >>> MaskedLoss("mae")(torch.tensor([1.0, 5.0, 1.0]), {"y": y, "weight": weight})
    tensor(1.5000)
    """

    n_outputs = 1  # of losses that an older version has pickled

    def __init__(self, loss: str | Callable[..., torch.Tensor], n_outputs: int = 1) -> None:
        super().__init__()
        self.n_outputs = n_outputs
        self.name = loss if isinstance(loss, str) else shown(loss)
        # A copy, so that a fit does not change the object that the user passed.
        if isinstance(loss, str):
            self.loss = DAY_LOSSES[loss] if loss in DAY_LOSSES else LOSSES[loss]()
        else:
            self.loss = copy.deepcopy(loss)
        self.takes, self.needs_days = _beside(self.loss)

    def forward(self, predicted: torch.Tensor, y: Any) -> torch.Tensor:
        """Compute the loss of the labelled rows.

        Parameters
        ----------
        predicted : tensor of shape (B,) or (D, S); (B, K) or (D, S, K) for K outputs
            Predictions.
        y : tensor like predicted, or dict of "y", "weight" and "day"
            Labels, with NaN where there is none; weights, whose mean over all rows of the fit is 1;
            and the number of each row's day in the batch.

        Returns
        -------
        loss : tensor, scalar
        """
        beside: Mapping[str, torch.Tensor] = y if isinstance(y, Mapping) else {"y": y}
        y = beside["y"]
        if predicted.shape != y.shape:
            # Torch would broadcast (B, 1) and (B,) to (B, B) and train on nonsense.
            raise ValueError(
                f"The module must give one value a window, shape {tuple(y.shape)}; it gave "
                f"{tuple(predicted.shape)}. Let forward(x) end in [:, 0]."
            )
        if self.n_outputs == 1:
            rows = {name: values.flatten() for name, values in beside.items()}
            predicted, labelled = predicted.flatten(), ~torch.isnan(rows["y"])
            if not labelled.all():
                predicted = predicted[labelled]
                rows = {name: values[labelled] for name, values in rows.items()}
            return self._of_labelled(predicted, rows)
        rows = {name: values.flatten() for name, values in beside.items() if name != "y"}
        columns = zip(predicted.flatten(0, -2).T, y.flatten(0, -2).T, strict=True)
        losses, counts = [], []
        for of_column, labels in columns:
            labelled = ~torch.isnan(labels)
            if labelled.any():
                known = {name: values[labelled] for name, values in {**rows, "y": labels}.items()}
                losses.append(self._of_labelled(of_column[labelled], known))
                counts.append(len(known["y"]))
        if not losses:
            return self._of_labelled(predicted.flatten()[:0], {})
        shares = torch.tensor(counts, dtype=y.dtype, device=y.device) / sum(counts)
        return (shares * torch.stack(losses)).sum()

    def _of_labelled(
        self, predicted: torch.Tensor, rows: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Compute the loss of rows that all have a label."""
        if len(predicted) == 0:
            raise ValueError("A batch has no label at all (y is NaN in all its rows).")
        loss = self._compute(predicted, rows["y"], rows.get("weight"), rows.get("day"))
        if not (isinstance(loss, torch.Tensor) and loss.ndim == 0):
            got = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise ValueError(
                f"loss must give a scalar tensor of the predictions and labels; {self.name} "
                f"gave {got}. A class of losses is passed as an instance, such as "
                f"torch.nn.MSELoss()."
            )
        if torch.is_grad_enabled() and predicted.requires_grad and not loss.requires_grad:
            raise ValueError(
                f"loss must depend on the predictions; {self.name} gives a tensor that does not. "
                f"Compute it by torch from predicted, without detach, item or numpy."
            )
        return loss

    def _compute(
        self,
        predicted: torch.Tensor,
        y: torch.Tensor,
        weight: torch.Tensor | None,
        day: torch.Tensor | None,
    ) -> torch.Tensor:
        known = {"weight": weight, "day": day}
        if weight is None or "weight" in self.takes:
            return self.loss(predicted, y, **{name: known[name] for name in self.takes})
        if getattr(self.loss, "reduction", None) != "mean":
            raise ValueError(
                f"loss must take weights where sample_weight is given, and {self.name} does not: "
                f"give it a parameter weight, loss(predicted, label, *, weight), a tensor of the "
                f"rows' weights or None. A loss of torch with reduction='mean' is weighted as it "
                f"is."
            )
        each: Any = copy.copy(self.loss)
        each.reduction = "none"
        return (weight * each(predicted, y)).mean()


def _beside(loss: Any) -> tuple[tuple[str, ...], bool]:
    """Name what a loss takes beside predictions and labels, and whether it cannot do without days.

    A loss whose ``day`` has a default is computed without days, too.
    """
    function = loss.forward if isinstance(loss, nn.Module) else loss
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return (), False  # compiled code has none
    takes = tuple(name for name in ("weight", "day") if name in parameters)
    return takes, "day" in takes and parameters["day"].default is inspect.Parameter.empty
