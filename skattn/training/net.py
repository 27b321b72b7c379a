"""The skorch net that a regressor has."""

from __future__ import annotations

import copy
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring, PrintLog
from skorch.utils import to_tensor

from skattn.training.batches import Batches, FitData, Samples

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

PRECISIONS = ("float32", "bf16")


class StopTraining(Exception):  # noqa: N818 - nothing went wrong
    """A callback has ended training; skorch's use KeyboardInterrupt, as a user's Ctrl-C does."""


class SequenceNet(NeuralNet):
    """skorch's training loop over whole blocks of windows.

    It differs from its parent in where batches come from (rows are gathered a block at a time,
    where skorch's default fetches them one by one), in the precision of the forward pass, and in
    compiling the module in place, so that the names of its weights stay.

    Parameters
    ----------
    *args, **kwargs
        As skorch's NeuralNet.
    precision : {"float32", "bf16"}, default="float32"
        "bf16" runs the forward pass under autocast.
    seed : int, default=0
        Of the order of the batches.
    """

    def __init__(
        self, *args: Any, precision: str = "float32", seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.precision = precision
        self.seed = seed

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        callbacks = [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]
        return [*callbacks, ("print_log", PrintLog())] if self.verbose else callbacks

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks; where one ends training in skorch's way, say so unmistakably."""
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt as stop:
            raise StopTraining from stop

    def get_split_datasets(
        self, X: FitData, y: None = None, **fit_params: Any
    ) -> tuple[Samples, Samples | None]:
        """Training and validation rows, split beforehand."""
        return X.train, X.valid

    def get_iterator(self, dataset: Samples, training: bool = False) -> Batches:
        """Blocks of rows: shuffled for training, else in order."""
        if training:
            return Batches(dataset, self.batch_size, seed=self.seed, first_epoch=len(self.history))
        return Batches(dataset, self.batch_size)

    def torch_compile(self, module: torch.nn.Module, name: str) -> torch.nn.Module:
        """Compile the module in place."""
        if self.compile and name == "module":
            module.compile()
        return module

    def infer(self, x: torch.Tensor, **fit_params: Any) -> torch.Tensor:
        """Forward pass, in the precision asked for; float32 comes out."""
        x = to_tensor(x, device=self.device)
        if self.precision == "float32":
            return self.module_(x, **fit_params)
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return self.module_(x, **fit_params).float()

    def get_loss(
        self, y_pred: torch.Tensor, y_true: torch.Tensor, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Loss, labels moved to the module's device."""
        return self.criterion_(y_pred, to_tensor(y_true, device=self.device))

    def snapshot(self) -> SequenceNet:
        """Copy of the net that later training does not change, for prediction."""
        frozen = copy.copy(self)
        frozen.__dict__["module_"] = copy.deepcopy(self.module_)
        return frozen
