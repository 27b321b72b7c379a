"""Checks of what a regressor is given, which set or compare what it was fitted on."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from skattn.panel import WindowArray, days_of
from skattn.panel.internal import check_panel_input, is_long
from skattn.parameters import parameters_of
from skattn.training import (
    Samples,
    SequenceNet,
    copy_callback,
    make_samples,
    refuse_flat_windows,
    warn_of_features,
    warn_of_lost_index,
)
from skattn.utils import warn_user


def check_windows(
    estimator: BaseEstimator, X: Any, *, reset: bool, dtype: type = np.float32
) -> WindowArray | np.ndarray:
    """Check X and make it a WindowArray or an ndarray of shape (N, T, F)."""
    if isinstance(X, pd.DataFrame):
        refuse_flat_windows(X, type(estimator).__name__)
        if reset and is_long(X):
            warn_of_features(X, type(estimator).__name__)
    X = check_panel_input(estimator, X, reset=reset, dtype=dtype)
    if isinstance(X, WindowArray) or X.ndim == 3:
        return X
    if reset:
        estimator.n_steps_in_ = X.shape[1]
    return X[:, :, None]


def check_samples(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    days: Any,
    instruments: Any,
    *,
    reset: bool,
    sample_weight: Any = None,
    dtype: type = np.float32,
    suffix: str = "",
) -> Samples:
    """Check X, y, days, instruments and weights, and make samples of them."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    windows = check_windows(estimator, X, reset=reset, dtype=dtype)
    knows_days = days_of(None, X, required=False) is not None
    if estimator.input_kind_ != "windows" and not suffix and not knows_days:
        warn_of_lost_index(windows.shape[1], y)
    return make_samples(
        windows,
        X,
        y,
        days=days,
        instruments=instruments,
        sample_weight=sample_weight,
        dtype=dtype,
        suffix=suffix,
    )


def check_days(
    estimator: BaseEstimator,
    net: SequenceNet,
    samples: Samples,
    *,
    fitting: bool,
    name: str = "X",
) -> None:
    """Look at what the module and the loss need to know of rows: their days and instruments."""
    ranks = net.criterion_.needs_days
    by_days = net.by_days and not net.contract.cross_sectional
    if fitting and samples.days is None and (ranks or by_days):
        what = f"loss={net.criterion_.name}" if ranks else "batch='days'"
        raise ValueError(
            f"{what} needs the trading days of {name}, which are not known: give {name} an index "
            f"with a level 'datetime'{', or pass days=' if name == 'X' else ''}."
        )
    if net.contract.cross_sectional:
        knew_days = fitting or getattr(estimator, "_fit_knew_days", True)
        if samples.days is None and knew_days:
            warn_user(
                f"{type(estimator).__name__} looks across the stocks of a day, but the days of "
                f"{name} are not known: each row is taken for a day of its own. Give {name} an "
                f"index with a level 'datetime'{', or pass days=' if name == 'X' else ''}."
            )
        if fitting and name == "X":
            estimator._fit_knew_days = samples.days is not None
    net.side_inputs.check(samples.instruments, fitting=fitting)


def check_build_module(model: Any) -> None:
    """Raise where ``build_module`` cannot be called as a fit calls it."""
    try:
        signature(model.build_module).bind(1, 1)
    except TypeError:
        raise TypeError(
            f"{type(model).__name__}.build_module takes (self, n_steps, n_features), and "
            f"n_outputs=1 where the module offers several outputs; it has "
            f"{signature(model.build_module)} beside self."
        ) from None


def check_takes_days(model: type, net: SequenceNet) -> None:
    """Raise where the estimator always takes days and its module takes rows, or the reverse."""
    name, takes_days = model.__name__, parameters_of(model)["batch"].default == "days"
    if net.contract.cross_sectional and not takes_days:
        raise TypeError(
            f"{name} builds a module with cross_sectional = True, but is no "
            f"skattn.base.CrossSectionalRegressor: derive it from that class, which always takes "
            f"whole days, and whose days_per_batch says how many a training step takes."
        )
    if takes_days and not net.contract.cross_sectional:
        raise TypeError(
            f"{name} is a CrossSectionalRegressor, but its module {type(net.module_).__name__} "
            f"does not declare cross_sectional = True, so that it gets rows and not days."
        )


def copy_callbacks(estimator: BaseEstimator) -> Any:
    """Copy the callbacks for a clone, and say which of them cannot be copied."""
    if not isinstance(estimator.callbacks, list):
        return clone(estimator.callbacks, safe=False)
    copies = []
    for callback in estimator.callbacks:
        try:
            copies.append(copy_callback(callback))
        except Exception as error:
            name = type(callback[1] if isinstance(callback, tuple) else callback).__name__
            raise TypeError(
                f"{type(estimator).__name__}: callbacks has a {name} that cannot be copied "
                f"({type(error).__name__}: {error}), and searches and cross-validation copy the "
                f"parameters of each candidate. Pass a class of callbacks without arguments in "
                f"place of the object, or open files, connections and locks in on_train_begin. "
                f"fit itself needs no copy: it uses the objects that it was given."
            ) from error
    return copies
