"""The skorch net that a regressor has."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring, PrintLog
from skorch.utils import to_tensor

from skattn.training.batches import Batches, Context, DayBatches, FitData, Samples
from skattn.training.blocks import by_rows

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


def no_context(instruments: pd.Index | None, n_rows: int) -> Mapping[str, np.ndarray]:
    """Give the module nothing beside the windows."""
    return {}


class SequenceNet(NeuralNet):
    """skorch's training loop over whole blocks of windows.

    It differs from its parent in where batches come from (rows are gathered a block at a time,
    where skorch's default fetches them one by one), in the forward pass (its precision, and rows
    on several threads), and in compiling the module in place, so that the names of its weights
    stay.

    A module whose rows do not see each other may say so with an attribute ``block_rows``: on a CPU
    that many rows at a time are then computed on a thread of their own. One that looks across
    stocks has a true attribute ``cross_sectional`` and gets batches of whole days.

    Parameters
    ----------
    *args, **kwargs
        As skorch's NeuralNet.
    precision : {"float32", "bf16"}, default="float32"
        "bf16" runs the forward pass under autocast.
    seed : int, default=0
        Of the order of the batches.
    days_per_batch : int, default=1
        Days in a batch, for a module that looks across stocks.
    context : callable, default=no_context
        What such a module gets beside the windows, by the instruments of the rows.
    """

    def __init__(
        self,
        *args: Any,
        precision: str = "float32",
        seed: int = 0,
        days_per_batch: int = 1,
        context: Context = no_context,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.precision = precision
        self.seed = seed
        self.days_per_batch = days_per_batch
        self.context = context

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
        """Blocks of rows, or of days: shuffled for training, else in order."""
        shuffled = {"seed": self.seed, "first_epoch": len(self.history)} if training else {}
        if self.cross_sectional:
            # Where days are unknown each row is one, and batches are as large as other models'.
            size = self.batch_size if dataset.days is None else self.days_per_batch
            return DayBatches(dataset, size, self.context, **shuffled)
        return Batches(dataset, self.batch_size, **shuffled)

    @property
    def cross_sectional(self) -> bool:
        """Whether the module looks across the stocks of a day."""
        return getattr(self.module_, "cross_sectional", False)

    def torch_compile(self, module: torch.nn.Module, name: str) -> torch.nn.Module:
        """Compile the module in place."""
        if self.compile and name == "module":
            module.compile()
        return module

    def infer(self, x: Any, **fit_params: Any) -> torch.Tensor:
        """Forward pass of a batch, in the precision asked for; float32 comes out."""
        x = to_tensor(x, device=self.device)
        if isinstance(x, Mapping):
            return self.forward_block(**x)
        block_rows = getattr(self.module_, "block_rows", None)
        if block_rows and not (self.compile and self.module_.training):
            return by_rows(self.forward_block, x, self.module_, block_rows)
        return self.forward_block(x)

    def forward_block(self, x: torch.Tensor, **context: torch.Tensor) -> torch.Tensor:
        """Forward pass of rows as they are, in the precision asked for; compiled in training."""
        module = self.module_ if self.module_.training else self.module_.forward
        if self.precision == "float32":
            return module(x, **context)
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return module(x, **context).float()

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
