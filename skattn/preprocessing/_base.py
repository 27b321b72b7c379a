"""Base class and helpers shared by the transformers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks

from skattn.panel.internal import is_long
from skattn.parameters import (
    DeclaredParameters,
    InvalidParameterError,
    SummedUpParameters,
    shown,
)
from skattn.utils import warn_user


class PanelTransformer(
    SummedUpParameters,
    DeclaredParameters,
    CallbackSupportMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Base class of transformers of tables, windows and plain arrays, with callback support.

    A subclass declares its parameters as annotated attributes with ``skattn.parameter``.
    """


def single_task(fit: Callable) -> Callable:
    """Report a ``fit`` to scikit-learn's callbacks as one task without subtasks."""

    @functools.wraps(fit)
    def reported(self: PanelTransformer, X: Any, y: Any = None) -> PanelTransformer:
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        fit(self, X, y)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    return with_callbacks(reported)


def check_index_kept(X: Any, y: Any, taken_for: str, *, expected: bool = False) -> None:
    """Raise if y has a (datetime, instrument) index that X has lost; warn if X may have lost one.

    Parameters
    ----------
    X, y : object
        What ``fit`` got.
    taken_for : str
        How X is read without an index.
    expected : bool, default=False
        Whether the shape of an array X is a usual one for this reading, which then is silent.
    """
    if is_long(X) or getattr(X, "ndim", 2) == 3:
        return
    if is_long(y):
        raise ValueError(
            f"y has a (datetime, instrument) index, but X has none, so its {taken_for}. If an "
            f'earlier step returns an array, set_output(transform="pandas") keeps the index.'
        )
    if not (expected or isinstance(X, pd.DataFrame)):
        warn_user(
            f"X is an array without a (datetime, instrument) index, so its {taken_for}. If its "
            f"rows are stocks on days, pass a table with this index. BaggingRegressor, "
            f"AdaBoostRegressor and RegressorChain drop it: VotingRegressor keeps it, or make "
            f'flat features before them (Alpha360(layout="columns")) and put SequenceReshaper '
            f"inside."
        )


def read_list(parameter: str, values: Any) -> list:
    """Return a parameter as a list, and None as an empty list.

    An iterator is refused, because a second look would find nothing in the iterator.
    """
    if values is None:
        return []
    is_plain = isinstance(values, (str, bytes, Iterator)) or not np.iterable(values)
    if is_plain:
        raise InvalidParameterError(f"{parameter} must be a sequence; got {shown(values)}.")
    return list(values)
