"""What the transformers share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks


class PanelTransformer(CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """A transformer of tables, windows and plain arrays that takes part in callbacks."""


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


def is_long(table: Any) -> bool:
    """Whether rows are stocks on days: whether there is a (datetime, instrument) index."""
    return isinstance(getattr(table, "index", None), pd.MultiIndex)


def check_index_kept(X: Any, y: Any, taken_for: str) -> None:
    """Raise where y has a (datetime, instrument) index and X, which may have had it, has none."""
    if is_long(y) and not is_long(X):
        raise ValueError(
            f"y has a (datetime, instrument) index, but X has not: its {taken_for}. Where a step "
            f'before gave an array, set_output(transform="pandas") makes it keep the index.'
        )
