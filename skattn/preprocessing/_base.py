"""Base class and helpers shared by the transformers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks

from skattn.panel.internal import is_long
from skattn.parameters import DeclaredParameters


class PanelTransformer(DeclaredParameters, CallbackSupportMixin, TransformerMixin, BaseEstimator):
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


def check_index_kept(X: Any, y: Any, taken_for: str) -> None:
    """Raise if y has a (datetime, instrument) index and X has lost the index."""
    if is_long(y) and not is_long(X):
        raise ValueError(
            f"y has a (datetime, instrument) index, but X has none, so its {taken_for}. If an "
            f'earlier step returns an array, set_output(transform="pandas") keeps the index.'
        )
