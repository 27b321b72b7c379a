"""skorch callbacks that every fit has."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackContext
from skorch.callbacks import Callback

from skattn.metrics import ic_score, rank_ic_score
from skattn.training.batches import Batch, Samples

# What early stopping can watch: whether less is better.
MONITORS = {"valid_loss": True, "valid_ic": False, "valid_rank_ic": False}
_SCORES = {"valid_ic": ic_score, "valid_rank_ic": rank_ic_score}


class ValueClipping(Callback):
    """Clip every element of the gradients to [-clip_value, clip_value], as qlib's loops do."""

    def __init__(self, clip_value: float) -> None:
        self.clip_value = clip_value

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        """Clip, between the backward pass and the optimizer's step."""
        torch.nn.utils.clip_grad_value_((p for _, p in named_parameters), self.clip_value)


class FiniteLoss(Callback):
    """Stop with an error where training has diverged."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Look at the epoch's loss."""
        loss = net.history[-1, "train_loss"]
        if not np.isfinite(loss):
            raise ValueError(
                f"Training diverged: the loss of epoch {len(net.history)} is {loss}. "
                f"Scale X and y, or lower lr (now {net.lr})."
            )


class ValidScore(Callback):
    """Record the mean daily information coefficient of the validation rows every epoch."""

    def __init__(self, name: str) -> None:
        self.name = name

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Forget the last epoch's predictions."""
        self.predicted_: list[np.ndarray] = []

    def on_batch_end(
        self, net: Any, batch: Batch, training: bool, y_pred: torch.Tensor, **kwargs: Any
    ) -> None:
        """Keep the predictions."""
        if not training:
            predicted, inputs = y_pred.detach().cpu(), batch[0]
            if net.cross_sectional:
                predicted = predicted[inputs["present"]]
            self.predicted_.append(predicted.numpy())

    def on_epoch_end(self, net: Any, dataset_valid: Samples, **kwargs: Any) -> None:
        """Compute the score."""
        predicted, samples = np.concatenate(self.predicted_), dataset_valid
        self.predicted_ = []
        # Batches of days come in the order of the days, others in that of the rows.
        if net.cross_sectional:
            samples = samples.rows(np.concatenate(samples.rows_by_day()))
        score = _SCORES[self.name](samples.y, predicted, days=samples.days)
        if np.isnan(score):
            raise ValueError(
                f"monitor={self.name!r} has no value: no validation day has two labelled stocks "
                f"with different predictions. Use monitor='valid_loss'."
            )
        net.history.record(self.name, float(score))


class EpochTasks(Callback):
    """Report each epoch to scikit-learn's callbacks, and stop where one asks to."""

    def __init__(self, estimator: BaseEstimator, context: CallbackContext, X: Any, y: Any) -> None:
        self.estimator = estimator
        self.context = context
        self.X = X
        self.y = y

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Open the epoch's task."""
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Close the epoch's task."""
        if self._close(net):
            # skorch's way to end training.
            raise KeyboardInterrupt

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Close the task of an epoch that another callback has cut short."""
        self._close(net)

    def _close(self, net: Any) -> bool:
        context, self.epoch_ = getattr(self, "epoch_", None), None
        if context is None:
            return False
        return context.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            reconstruction_attributes=lambda: {"net_": net.snapshot()},
        )
