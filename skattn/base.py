"""SequenceRegressor: the scikit-learn face of a torch module over (N, T, F) windows."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, dataclass_transform

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from torch import nn

from skattn._docs import fill_training_docs
from skattn.panel import align_y, days_of, instruments_of
from skattn.training import FitData, SequenceNet
from skattn.training.apply import apply
from skattn.training.batches import Context
from skattn.training.callbacks import EpochTasks
from skattn.training.checkpoint import open_checkpoint
from skattn.training.fitting import check_days, make_net, run_epochs, split_rows, trainable
from skattn.training.net import no_context
from skattn.training.parameters import TRAINING_CONSTRAINTS, check_training_parameters
from skattn.training.runtime import draw_seed, pick_device, seeded
from skattn.training.samples import check_labels, check_rows, check_samples

Model = TypeVar("Model", bound=type)


@dataclass_transform(kw_only_default=True)
def estimator(cls: Model) -> Model:
    """Make a class's annotated attributes its keyword-only parameters.

    They come after those of SequenceRegressor, as fields of a dataclass do, so that a model
    declares its own and inherits the training's. In the docstring, ``{training_parameters}`` and
    ``{training_attributes}`` stand for the inherited texts.

    Examples
    --------
    See ``skattn/models/alstm.py``.
    """
    return fill_training_docs(dataclass(kw_only=True, eq=False, repr=False)(cls))  # type: ignore


@estimator
class SequenceRegressor(CallbackSupportMixin, RegressorMixin, BaseEstimator, ABC):
    """Base of the regressors: everything but the architecture.

    A model subclasses it, declares its parameters as annotated attributes under ``@estimator``
    and implements ``build_module``.

    Parameters
    ----------
    {training_parameters}

    Attributes
    ----------
    {training_attributes}

    Examples
    --------
    >>> from torch import nn
    >>> from skattn.base import SequenceRegressor, estimator
    >>> class LastStep(nn.Module):
    ...     def __init__(self, n_features):
    ...         super().__init__()
    ...         self.out = nn.Linear(n_features, 1)
    ...
    ...     def forward(self, x):
    ...         return self.out(x[:, -1])[:, 0]
    >>> @estimator
    ... class LastStepRegressor(SequenceRegressor):
    ...     def build_module(self, n_steps, n_features):
    ...         return LastStep(n_features)
    >>> LastStepRegressor(lr=0.1)
    LastStepRegressor(lr=0.1)
    """

    loss: str | Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = "mse"
    optimizer: str | type[torch.optim.Optimizer] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 800
    max_epochs: int = 200
    clip_value: float | None = 3.0
    early_stopping: bool | str = "auto"
    validation_fraction: float = 0.1
    purge: int | str = "auto"
    n_iter_no_change: int = 20
    monitor: str = "valid_loss"
    pretrained: Any = None
    freeze: Sequence[str] = ()
    checkpoint: str | os.PathLike | None = None
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    device: str = "auto"
    precision: str = "float32"
    compile: bool = False
    callbacks: list | None = None
    verbose: int = 0

    _parameter_constraints: ClassVar[dict] = TRAINING_CONSTRAINTS

    @abstractmethod
    def build_module(self, n_steps: int, n_features: int) -> nn.Module:
        """Make the torch module for windows of T steps and F features.

        Parameters
        ----------
        n_steps, n_features : int
            T and F of the windows seen in ``fit``.

        Returns
        -------
        module : torch.nn.Module
            ``forward(x)`` takes (B, T, F) to (B,). ``attend(x)``, where it has attention, gives a
            dict of named maps.

        Notes
        -----
        Two attributes of the module tell how it wants its rows:

        - ``block_rows``, an int: rows do not see each other, and on a CPU that many at a time may
          be computed on a thread of their own.
        - ``cross_sectional``, true: it looks across the stocks of a day. Then
          ``forward(x, present, **context)`` takes whole days (D, S, T, F) to (D, S); ``present``
          (D, S) is false for rows that only fill a day up. Days must not see each other.
        """

    def make_context(self) -> Context:
        """Make what a cross-sectional module gets beside the windows.

        Returns
        -------
        context : callable
            ``context(instruments, n_rows)``, of an Index or None, gives named arrays (n_rows, ...).
            It is pickled with the model.
        """
        return no_context

    def check_instruments(
        self, instruments: pd.Index | None, *, context: Context, fitting: bool
    ) -> None:
        """Look at the instruments of the rows before anything is computed; may warn or raise."""

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        days: Any = None,
        instruments: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> SequenceRegressor:
        """Train on windows.

        Parameters
        ----------
        X : WindowArray or array-like of shape (N, T, F), or (N, T) for univariate series
            The windows.
        y : array-like of shape (N,)
            Labels. NaN means unlabelled: the row is not trained on. Where y has a (datetime,
            instrument) index and X is a 2-D array, a warning says that X may have lost its own.
        days : array-like of dates, shape (N,), default=None
            Trading day of each row. None: from the index of X, else of y.
        instruments : array-like of shape (N,), default=None
            Stock of each row, for models that look across stocks. None: from the index of X.
        X_val, y_val : like X and y, default=None
            Rows for validation, in place of the last days of X. They should begin as many days
            after X as labels reach ahead; where the days of both are known, a warning says so.

        Returns
        -------
        self : SequenceRegressor

        Raises
        ------
        ValueError
            A parameter is out of range; X has NaN or infinity; y has infinity or no label; there
            are too few days to hold any out; training diverges.
        """
        self._validate_params()
        check_training_parameters(self)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together; got only one of them.")
        goes_on = self.warm_start and hasattr(self, "net_")
        if not goes_on:
            # Should this fit fail, no half of the last one is left.
            for name in ("net_", "history_", "n_iter_", "pretrained_report_"):
                self.__dict__.pop(name, None)
        samples = check_samples(self, X, y, days=days, instruments=instruments, reset=not goes_on)
        valid = None
        if X_val is not None:
            valid = check_samples(self, X_val, y_val, reset=False, suffix="_val")
        seed, device = draw_seed(self.random_state), pick_device(self.device)
        with seeded(seed, device):
            net = make_net(self, device, seed, old=self.net_ if goes_on else None)
            data = split_rows(self, net, samples, valid, y)
            checkpoint = open_checkpoint(self, net, data)
            epochs = self.max_epochs if checkpoint is None else checkpoint.epochs_left(net)
            context = self._init_callback_context(max_subtasks=epochs)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
            run_epochs(
                self, net, data, epochs, EpochTasks(self, context, X, y), checkpoint=checkpoint
            )
        self._keep(net)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=dict)
        return self

    def partial_fit(
        self, X: Any, y: Any, *, days: Any = None, instruments: Any = None
    ) -> SequenceRegressor:
        """Train one more epoch, on these rows and without early stopping.

        Weights and the optimizer's state go on from the last call. The first call makes them, and
        the parameters of that call stay.

        Parameters
        ----------
        X, y, days, instruments
            As for ``fit``.

        Returns
        -------
        self : SequenceRegressor
        """
        first = not hasattr(self, "net_")
        self._validate_params()
        check_training_parameters(self)
        samples = check_samples(self, X, y, days=days, instruments=instruments, reset=first)
        seed, device = draw_seed(self.random_state), pick_device(self.device)
        # Not the same dropout masks in each call.
        with seeded(seed + (0 if first else self.n_iter_), device):
            # A copy: where this call fails, the last one is still whole.
            net = make_net(self, device, seed) if first else copy.deepcopy(self.net_)
            if not first:
                net.torch_compile(net.module_, "module")  # torch does not copy that
            check_days(self, net, samples, fitting=True)
            run_epochs(self, net, FitData(trainable(net, samples), None), 1)
        self._keep(net)
        return self

    def predict(self, X: Any, *, days: Any = None, instruments: Any = None) -> np.ndarray:
        """Predict each window's label.

        A row's prediction is the same, bit for bit, whatever rows it is predicted with; for models
        that look across stocks, whatever other days there are. For that, rows are computed in
        blocks of always the same size, however few are asked for.

        Parameters
        ----------
        X : WindowArray or array-like of shape (N, T, F), or (N, T) for univariate series
            Windows of the fitted shape.
        days, instruments : array-like of shape (N,), default=None
            As for ``fit``; used by models that look across stocks.

        Returns
        -------
        y_pred : ndarray of shape (N,), float32
        """
        return self._apply(X, days, instruments, "infer")["y"]

    def attend(self, X: Any, *, days: Any = None, instruments: Any = None) -> dict[str, np.ndarray]:
        """Attention maps of each window, by name.

        ``skattn.inspection.attention_weights`` gives them labelled.

        Parameters
        ----------
        X : WindowArray or array-like of shape (N, T, F), or (N, T) for univariate series
            Windows of the fitted shape.
        days, instruments : array-like of shape (N,), default=None
            As for ``predict``.

        Returns
        -------
        maps : dict of str to ndarray of shape (N, ...)
            Empty for a model without attention. Maps over the stocks of a day are as wide as the
            largest day, and NaN beyond a day's own stocks, which come in the order of its rows.
        """
        check_is_fitted(self)
        if not hasattr(self.module_, "attend"):
            return {}
        return self._apply(X, days, instruments, "attend")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination of the labelled rows.

        Parameters
        ----------
        X : WindowArray or array-like of shape (N, T, F), or (N, T)
            Windows.
        y : array-like of shape (N,)
            Labels; NaN rows are left out.
        sample_weight : array-like of shape (N,), default=None
            Weights of the rows.

        Returns
        -------
        r2 : float
        """
        check_consistent_length(X, y, sample_weight)
        align_y(X, y)
        labels = check_labels(y, "y")
        known = ~np.isnan(labels)
        weight = None if sample_weight is None else np.asarray(sample_weight)[known]
        predicted = self.predict(
            X,
            days=days_of(None, X, y, required=False),
            instruments=instruments_of(y) if instruments_of(X) is None else None,
        )
        return r2_score(labels[known], predicted[known], sample_weight=weight)

    def _keep(self, net: SequenceNet) -> None:
        net.module_.eval()
        self.net_ = net
        epochs = [{k: v for k, v in row.items() if k != "batches"} for row in net.history]
        self.history_ = pd.DataFrame(epochs).set_index("epoch")
        self.n_iter_ = len(net.history)

    @property
    def module_(self) -> nn.Module:
        """The trained torch module."""
        return self.net_.module_

    @property
    def _n_fields(self) -> int:
        """Fields a step: a 2-D X is univariate."""
        return self.n_features_in_ if self._fit_ndim == 3 else 1

    def _apply(self, X: Any, days: Any, instruments: Any, what: str) -> dict[str, np.ndarray]:
        """Predictions ("infer", named "y") or attention maps ("attend") of each row."""
        check_is_fitted(self)
        net = self.net_
        samples = check_rows(self, X, days=days, instruments=instruments)
        check_days(self, net, samples, fitting=False)
        if what == "attend":
            return apply(net, samples, net.module_.attend)
        return apply(net, samples, lambda x, **context: {"y": net.forward_block(x, **context)})

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
