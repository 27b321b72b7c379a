"""The outputs of a model: one for each label of a row."""

from __future__ import annotations

from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from skattn.parameters import shown
from skattn.training import SequenceNet


class Outputs(NamedTuple):
    """Number of the labels of a row, and their names, where y is a table of several."""

    n_outputs: int
    names: tuple | None


def offers_outputs(model: Any) -> bool:
    """Tell whether ``build_module`` makes modules of several outputs, by its signature."""
    return "n_outputs" in signature(model.build_module).parameters


def read_outputs(
    estimator: BaseEstimator, labels: np.ndarray, y: Any, net: SequenceNet | None = None
) -> Outputs:
    """Read which outputs labels ask for, and raise where the model does not have them.

    Parameters
    ----------
    estimator : SequenceRegressor
        The model.
    labels : ndarray of shape (N,) or (N, K)
        The labels, checked.
    y : object
        The same as they were given.
    net : SequenceNet, default=None
        Net of an earlier fit, which has the outputs of that fit.

    Returns
    -------
    outputs : Outputs
    """
    if net is not None:
        fitted = Outputs(net.n_outputs, net.output_names)
        check_same_outputs(labels, y, fitted)
        return fitted
    outputs = _outputs_of(labels, y)
    if outputs.n_outputs > 1 and not offers_outputs(estimator):
        raise ValueError(
            f"{type(estimator).__name__} has one output, so y must have shape (N,); got "
            f"{outputs.n_outputs} labels a row, shape {labels.shape}. Fit one column of y, or each "
            f"by sklearn.multioutput.MultiOutputRegressor, or take a model whose build_module has "
            f"a parameter n_outputs."
        )
    return outputs


def check_same_outputs(labels: np.ndarray, y: Any, outputs: Outputs, name: str = "y") -> None:
    """Raise where labels have other columns than those of the fit."""
    n_outputs, names = outputs
    given = _outputs_of(labels, y)
    if given.n_outputs != n_outputs:
        raise ValueError(
            f"{name} must have {n_outputs} label{'s' if n_outputs > 1 else ''} a row, as the y of "
            f"fit has; got {given.n_outputs}, shape {labels.shape}."
        )
    if names is not None and given.names is not None and given.names != names:
        raise ValueError(
            f"{name} must have the columns of the y of fit, {shown(list(names))}, in that order; "
            f"got {shown(list(given.names))}."
        )


def _outputs_of(labels: np.ndarray, y: Any) -> Outputs:
    if labels.ndim == 1:
        return Outputs(1, None)
    return Outputs(labels.shape[1], tuple(y.columns) if isinstance(y, pd.DataFrame) else None)
