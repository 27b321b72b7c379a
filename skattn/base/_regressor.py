"""SequenceRegressor: the scikit-learn face of a torch module over (N, T, F) windows."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skattn.base._attributes import ATTRIBUTES
from skattn.base._checks import (
    check_days,
    check_samples,
    check_windows,
    copy_callbacks,
)
from skattn.base._epochs import FITTED, epoch_hooks, fitted_attributes
from skattn.base._html import SummaryHTML
from skattn.base._make import make_net_for
from skattn.base._outputs import check_same_outputs, offers_outputs, read_outputs
from skattn.base._score import r2_of_labelled
from skattn.panel.internal import index_of
from skattn.parameters import SummedUpParameters
from skattn.training import (
    FitData,
    FitIdentity,
    Samples,
    SequenceNet,
    SideInputs,
    TrainingParameters,
    attention_maps,
    draw_seed,
    dtype_of,
    facts_of_fit,
    hold_out,
    joined,
    lending,
    make_samples,
    open_checkpoint,
    pick_device,
    predict_rows,
    run_epochs,
    seeded,
    select_training_parameters,
    trainable,
)
from skattn.utils import PanelRegressorTags


class SequenceRegressor(
    SummaryHTML,
    SummedUpParameters,
    TrainingParameters,
    CallbackSupportMixin,
    RegressorMixin,
    BaseEstimator,
    ABC,
):
    """Base of the regressors: everything but the architecture.

    A model subclasses it, declares its parameters as annotated attributes and implements
    ``build_module``. What the module may declare is written in ``skattn/training/module.py``.

    Examples
    --------
    >>> from torch import nn
    >>> from skattn import SequenceRegressor, parameter
    >>> class LastStep(nn.Module):
    ...     def __init__(self, n_features, bias):
    ...         super().__init__()
    ...         self.out = nn.Linear(n_features, 1, bias=bias)
    ...
    ...     def forward(self, x):
    ...         return self.out(x[:, -1])[:, 0]
    >>> class LastStepRegressor(SequenceRegressor):
    ...     bias: bool = parameter(True, doc="Whether there is an intercept.")
    ...
    ...     def build_module(self, n_steps, n_features):
    ...         return LastStep(n_features, self.bias)
    >>> LastStepRegressor(lr=0.1)
    LastStepRegressor(lr=0.1)
    """

    _attributes_doc: ClassVar[str] = ATTRIBUTES

    # Small parameters by which skattn.testing checks a model, such as {"hidden_size": 4}.
    parameters_for_checks: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "__post_init__" in cls.__dict__:
            raise TypeError(
                f"{cls.__name__} must not define __post_init__: scikit-learn wants parameters "
                f"stored as they are given. What follows from them belongs into build_module."
            )
        super().__init_subclass__(**kwargs)

    @abstractmethod
    def build_module(self, n_steps: int, n_features: int) -> nn.Module:
        """Make the torch module for windows of T steps and F features.

        A model that can be trained on several labels at once takes a third parameter,
        ``n_outputs=1``: their number K, given where it is above 1.

        It is called on a copy of the regressor that has the parameters only, checked and with
        numpy's numbers as plain ones: it reads parameters and stores nothing.

        Parameters
        ----------
        n_steps, n_features : int
            T and F of the windows seen in ``fit``.

        Returns
        -------
        module : torch.nn.Module
            ``forward(x)`` takes (B, T, F) to (B,), or to (B, K) for several outputs. See
            ``skattn/training/module.py`` for what else it may declare.
        """

    def make_side_inputs(self) -> SideInputs:
        """Make what the module gets beside the windows, such as the sector of each stock.

        Returns
        -------
        side_inputs : SideInputs
            By default nothing.
        """
        return SideInputs()

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
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
        y : array-like of shape (N,) or, for models of several outputs, (N, K)
            Labels, such as the returns of K horizons. NaN means unlabelled: the row, or the one
            label of the row, is not trained on. Where y has a (datetime, instrument) index and X is
            a 2-D array, a warning says that X may have lost its index.
        sample_weight : array-like of shape (N,), default=None
            Weights of the rows in the loss, also in that of early stopping; only their proportions
            count. A row of weight 0 counts as a row without a label. None: all weigh the same.
            :mod:`skattn.weights` has the usual ones.
        days : array-like of dates, shape (N,), default=None
            Trading day of each row. None: from the index of X, else of y.
        instruments : array-like of shape (N,), default=None
            Stock of each row, for models that look across stocks. None: from the index of X, else
            of y.
        X_val, y_val : like X and y, default=None
            Rows for validation, in place of the last days of X. They should begin as many days
            after X as labels reach ahead; where the days of both are known, a warning says so.

        Returns
        -------
        self : SequenceRegressor

        Raises
        ------
        ValueError
            A parameter is out of range; X has NaN or infinity; y has infinity, no label, or
            several labels a row where the model has one output; a weight is negative, NaN or
            infinite, or all are 0; there are too few days to hold any out; training diverges;
            processes that share the fit differ.
        RuntimeError
            Another process that shares the fit has failed.
        """
        with joined(self.data_parallel) as ranks:
            settings = self._checked_parameters()
            parameters = select_training_parameters(settings)
            if (X_val is None) != (y_val is None):
                raise ValueError("X_val and y_val go together; got only one of them.")
            goes_on = parameters.warm_start and hasattr(self, "net_")
            if not goes_on:
                # Should this fit fail, no half of the last fit is left.
                for name in FITTED:
                    self.__dict__.pop(name, None)
            checked: dict[str, Any] = {"dtype": dtype_of(parameters.precision)}
            samples = check_samples(
                self,
                X,
                y,
                days,
                instruments,
                reset=not goes_on,
                sample_weight=sample_weight,
                **checked,
            )
            outputs = read_outputs(self, samples.y, y, self.net_ if goes_on else None)
            valid = None
            if X_val is not None:
                checked |= {"reset": False, "suffix": "_val"}
                valid = check_samples(self, X_val, y_val, None, None, **checked)
                check_same_outputs(valid.y, y_val, outputs, "y_val")
            seed, device = draw_seed(parameters.random_state), pick_device(parameters.device)
            with seeded(seed, device):
                old = self.net_ if goes_on else None
                net, loaded = make_net_for(self, settings, parameters, device, seed, outputs, old)
                check_days(self, net, samples, fitting=True)
                if valid is not None:
                    check_days(self, net, valid, fitting=True, name="X_val")
                data = hold_out(parameters, net, samples, valid, y, index=index_of(X, y))
                identity = FitIdentity(type(self), settings, loaded)
                epochs = parameters.max_epochs
                net.ranks = ranks
                checkpoint = open_checkpoint(parameters.checkpoint, identity, net, data, epochs)
                epochs = epochs if checkpoint is None else checkpoint.epochs_left(net)
                if ranks is not None:
                    ranks.agree(facts_of_fit(identity, net, data, epochs), net, data)
                context = self._init_callback_context(max_subtasks=epochs)
                with lending():
                    context.call_on_fit_task_begin(estimator=self, X=X, y=y)
                hooks = epoch_hooks(self, context, X, y, samples)
                run_epochs(parameters, net, data, epochs, hooks=hooks, checkpoint=checkpoint)
            self._keep(net, samples)
            context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=dict)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        days: Any = None,
        instruments: Any = None,
    ) -> SequenceRegressor:
        """Train one more epoch, on these rows and without early stopping.

        Weights and the optimizer's state go on from the last call. The first call makes them, and
        the parameters of that call stay.

        Parameters
        ----------
        X, y, sample_weight, days, instruments
            As for ``fit``. Weights count among the rows of this call.

        Returns
        -------
        self : SequenceRegressor
        """
        first = not hasattr(self, "net_")
        settings = self._checked_parameters()
        parameters = select_training_parameters(settings)
        if parameters.data_parallel:
            raise ValueError(
                "data_parallel=True is for fit: partial_fit trains in one process. Use fit with "
                "warm_start=True, or data_parallel=False."
            )
        dtype = dtype_of(parameters.precision if first else self.net_.precision)
        samples = check_samples(
            self, X, y, days, instruments, reset=first, sample_weight=sample_weight, dtype=dtype
        )
        outputs = read_outputs(self, samples.y, y, None if first else self.net_)
        seed, device = draw_seed(parameters.random_state), pick_device(parameters.device)
        # Each call draws other dropout masks.
        with seeded(seed + (0 if first else self.n_iter_), device):
            if first:
                net, _ = make_net_for(self, settings, parameters, device, seed, outputs)
            else:
                # A copy: where this call fails, the last net is still whole.
                net = self.net_.copy()
            check_days(self, net, samples, fitting=True)
            run_epochs(parameters, net, FitData(trainable(samples, net), None), 1)
        self._keep(net, samples)
        return self

    def predict(self, X: Any, *, days: Any = None, instruments: Any = None) -> np.ndarray:
        """Predict the label of each window.

        A row's prediction is the same, bit for bit, whatever rows it is predicted with; for models
        that look across stocks, whatever other days there are. For that, rows are computed in
        blocks of always the same size, however few are asked for. ``fit`` measures whether this
        holds for the module: where bits differ, a warning says so, ``row_bits_differ_`` is True.

        Parameters
        ----------
        X : WindowArray or array-like of shape (N, T, F), or (N, T) for univariate series
            Windows of the fitted shape.
        days, instruments : array-like of shape (N,), default=None
            As for ``fit``; used by models that look across stocks.

        Returns
        -------
        y_pred : ndarray of shape (N,), float32 (float64 for ``precision="float64"``)
            Of a model that was fitted on K labels a row, of shape (N, K).
        """
        return predict_rows(*self._rows_to_apply(X, days, instruments))

    def attend(self, X: Any, *, days: Any = None, instruments: Any = None) -> dict[str, np.ndarray]:
        """Compute the attention maps of each window, by name.

        ``skattn.inspection.attention_weights`` gives them with labels.

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
            largest day, and NaN beyond a day's own stocks, which come in the order of their names.
        """
        check_is_fitted(self)
        if not self.net_.contract.attends:
            return {}
        return attention_maps(*self._rows_to_apply(X, days, instruments))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination (R²) of the labelled rows; of several labels, the mean.

        Parameters
        ----------
        X : WindowArray or array-like of shape (N, T, F), or (N, T)
            Windows.
        y : array-like of shape (N,) or (N, K)
            Labels as in ``fit``; NaN is left out.
        sample_weight : array-like of shape (N,), default=None
            Weights of the rows.

        Returns
        -------
        r2 : float
        """
        return r2_of_labelled(self, X, y, sample_weight)

    def check_rows(self, X: Any, *, days: Any = None, instruments: Any = None) -> Samples:
        """Check rows to predict, and find their days and instruments.

        Parameters
        ----------
        X, days, instruments
            As for ``predict``.

        Returns
        -------
        samples : skattn.training.Samples
            The rows, with unknown labels.
        """
        check_is_fitted(self)
        dtype = self.net_.dtype
        windows = check_windows(self, X, reset=False, dtype=dtype)
        return make_samples(windows, X, None, days=days, instruments=instruments, dtype=dtype)

    def _rows_to_apply(self, X: Any, days: Any, instruments: Any) -> tuple[SequenceNet, Samples]:
        samples = self.check_rows(X, days=days, instruments=instruments)
        check_days(self, self.net_, samples, fitting=False)
        return self.net_, samples

    def _keep(self, net: SequenceNet, samples: Samples) -> None:
        net.module_.eval()
        for name, value in fitted_attributes(net, samples).items():
            setattr(self, name, value)

    @property
    def module_(self) -> nn.Module:
        """The trained torch module."""
        return self.net_.module_

    def __sklearn_clone__(self) -> SequenceRegressor:
        # Callbacks are copied in a way of their own: copies share the trial that they report to.
        bare = copy.copy(self)
        bare.callbacks = None
        cloned = super(SequenceRegressor, bare).__sklearn_clone__()
        cloned.callbacks = copy_callbacks(self)
        return cloned

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.multi_output = offers_outputs(self)
        tags.regressor_tags = PanelRegressorTags(takes_unlabelled=True)
        return tags
