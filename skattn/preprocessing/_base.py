"""What the transformers share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

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
