"""The skorch net that a regressor has."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring, PrintLog
from skorch.utils import to_tensor

from skattn.kernels import by_rows
from skattn.training.batches import Batches, DayBatches, RowsOfDays
from skattn.training.callbacks import StopTraining, ends_training
from skattn.training.module import ModuleContract
from skattn.training.ranks import Ranks, shared_step
from skattn.training.samples import FitData, Samples
from skattn.training.schedules import explained
from skattn.training.seeding import lending
from skattn.training.side_inputs import SideInputs

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

PRECISIONS = ("float32", "bf16", "float64")


def dtype_of(precision: str) -> type:
    """Give the type of windows, labels and predictions."""
    return np.float64 if precision == "float64" else np.float32


class SequenceNet(NeuralNet):
    """skorch's training loop over whole batches of windows.

    It differs from its parent in three points. Rows are gathered a batch at a time, where skorch
    fetches them one by one. The forward pass has a precision and computes rows on several threads.
    The module is compiled in place, so that the names of its weights stay.

    Parameters
    ----------
    *args, **kwargs
        As skorch's NeuralNet.
    precision : {"float32", "bf16", "float64"}, default="float32"
        "bf16" runs the forward pass under autocast; "float64" computes all in double precision.
    seed : int, default=0
        Seed of the order of the batches.
    contract : ModuleContract, default=ModuleContract()
        What the module declares.
    by_days : bool, default=False
        Whether batches are whole days, as they always are for a module that looks across stocks.
    days_per_batch : int, default=1
        Days in a batch of whole days.
    side_inputs : SideInputs, default=SideInputs()
        What the module gets beside the windows.
    n_outputs : int, default=1
        Values that the module gives a row.
    output_names : tuple, default=None
        Names of the labels, where y is a table of several.
    """

    row_bits_differ_: bool | None = None  # measured after training
    schedules_: tuple = ()  # where the last training left the schedules of the learning rate
    ranks: Ranks | None = None  # the processes that share a training, while it runs
    # Of nets that an older version has pickled.
    n_outputs: int = 1
    output_names: tuple | None = None

    def __init__(
        self,
        *args: Any,
        precision: str = "float32",
        seed: int = 0,
        contract: ModuleContract | None = None,
        by_days: bool = False,
        days_per_batch: int = 1,
        side_inputs: SideInputs | None = None,
        n_outputs: int = 1,
        output_names: tuple | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.precision = precision
        self.seed = seed
        self.contract = contract or ModuleContract()
        self.by_days = by_days
        self.days_per_batch = days_per_batch
        self.side_inputs = side_inputs or SideInputs()
        self.n_outputs = n_outputs
        self.output_names = output_names

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        callbacks = [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
        ]
        return (
            [*callbacks, ("print_log", PrintLog(keys_ignored=["lr"]))]
            if self.verbose
            else callbacks
        )

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        """Begin a row of the history, with the learning rate of the epoch."""
        super().on_epoch_begin(*args, **kwargs)
        self.history.record("lr", float(self.optimizer_.param_groups[0]["lr"]))

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks; turn skorch's way to end training into StopTraining.

        Other exceptions of the user's callbacks come out as they are.
        """
        try:
            with lending():
                super().notify(method_name, **kwargs)
        except KeyboardInterrupt as stop:
            if ends_training(stop):
                raise StopTraining from stop
            raise
        except Exception as error:
            clear = explained(error, self.history)
            if clear is None:
                raise
            raise clear from error

    def get_split_datasets(
        self, X: FitData, y: None = None, **fit_params: Any
    ) -> tuple[Samples, Samples | None]:
        """Training and validation rows, split beforehand."""
        return X.train, X.valid

    def get_iterator(self, dataset: Samples, training: bool = False) -> Batches:
        """Batches of rows, or of days: shuffled for training, else in order."""
        shuffled = {"seed": self.seed, "first_epoch": len(self.history)} if training else {}
        if self.contract.cross_sectional:
            # Where days are unknown each row is a day, and a batch has batch_size of these.
            size = self.batch_size if dataset.days is None else self.days_per_batch
            batches = DayBatches(dataset, size, self.side_inputs, **shuffled)
            batches.with_days = "day" in self.criterion_.takes
            return batches
        if self.by_days:
            return RowsOfDays(dataset, self.days_per_batch, self.side_inputs, **shuffled)
        return Batches(dataset, self.batch_size, self.side_inputs, **shuffled)

    @property
    def dtype(self) -> type:
        """Type of windows, labels and predictions."""
        return dtype_of(self.precision)

    def torch_compile(self, module: torch.nn.Module, name: str) -> torch.nn.Module:
        """Compile the module in place."""
        if self.compile and name == "module":
            module.compile()
        return module

    def infer(self, x: Any, **fit_params: Any) -> torch.Tensor:
        """Forward pass of a batch, in the precision asked for; float32 or float64 comes out."""
        x = to_tensor(x, device=self.device)
        inputs = dict(x) if isinstance(x, Mapping) else {"x": x}
        block_rows = self.contract.block_rows
        is_compiled = self.compile and self.module_.training
        if self.contract.cross_sectional or not block_rows or is_compiled:
            return self.compute(**inputs)

        def compute(*parts: torch.Tensor) -> torch.Tensor:
            return self.compute(**dict(zip(inputs, parts, strict=True)))

        return by_rows(compute, tuple(inputs.values()), self.module_, block_rows)

    def compute(self, x: torch.Tensor, **beside: torch.Tensor) -> torch.Tensor:
        """Call the module on rows at once, in the precision asked for; compiled in training."""
        module = self.module_ if self.module_.training else self.module_.forward
        if self.precision != "bf16":
            return self._check_output(module(x, **beside), x)
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return self._check_output(module(x, **beside), x).float()

    def _check_output(self, predicted: Any, x: torch.Tensor) -> torch.Tensor:
        """Raise where ``forward`` does not give the values of a row that training can improve."""
        forward = f"{type(self.module_).__name__}.forward"
        shape = tuple(x.shape[:2] if self.contract.cross_sectional else x.shape[:1])
        if self.n_outputs > 1:
            shape += (self.n_outputs,)
        if not isinstance(predicted, torch.Tensor) or predicted.shape != shape:
            is_tensor = isinstance(predicted, torch.Tensor)
            got = f"shape {tuple(predicted.shape)}" if is_tensor else type(predicted).__name__
            if self.n_outputs > 1:
                raise ValueError(
                    f"{forward} must give n_outputs={self.n_outputs} values a row, a tensor of "
                    f"shape {shape}; it gave {got}. Let its last layer have n_outputs "
                    f"columns, and end forward with squeeze(-1), which takes a single one away."
                )
            raise ValueError(
                f"{forward} must give one value a row, a tensor of shape {shape}; it gave "
                f"{got}. Where the last axis has one value, end forward with [..., 0]."
            )
        if torch.is_grad_enabled() and not predicted.requires_grad:
            raise ValueError(
                f"{forward} gives predictions that do not depend on any parameter to train: it "
                f"detaches them, or freeze holds all that they depend on."
            )
        return predicted

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> SequenceNet:
        """Make the optimizer, and name the parameters where torch refuses them."""
        try:
            return super().initialize_optimizer(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"optimizer={self.optimizer.__name__} cannot be made with lr={self.lr} and the "
                f"weight_decay given: {error}"
            ) from error

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, torch.Tensor]:
        """Compute the gradients of a batch, alone or shared with other processes."""
        if self.ranks is None:
            return super().train_step_single(batch, **fit_params)
        self._set_training(True)
        return shared_step(self, self.ranks, batch)

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, torch.Tensor]:
        """Compute the loss of a validation batch, alone or shared with other processes."""
        if self.ranks is None:
            return super().validation_step(batch, **fit_params)
        self._set_training(False)
        with torch.no_grad():
            return shared_step(self, self.ranks, batch)

    def get_loss(
        self, y_pred: torch.Tensor, y_true: torch.Tensor, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Loss, labels moved to the module's device."""
        return self.criterion_(y_pred, to_tensor(y_true, device=self.device))

    def snapshot(self) -> SequenceNet:
        """Copy of the net that later training does not change, for prediction."""
        frozen = copy.copy(self)
        frozen.__dict__["ranks"] = None
        frozen.__dict__["module_"] = copy.deepcopy(self.module_)
        frozen.__dict__["history_"] = copy.deepcopy(self.history)
        return frozen

    def copy(self) -> SequenceNet:
        """Copy of the net for further training; the user's callbacks stay the same objects."""
        given = [each[1] if isinstance(each, tuple) else each for each in self.callbacks or ()]
        net = copy.deepcopy(self, {id(callback): callback for callback in given})
        net.torch_compile(net.module_, "module")  # copies are not compiled
        return net
