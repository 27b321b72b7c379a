"""Train and predict fold by fold, in turn or in parallel, under scikit-learn's callbacks."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.callback import (
    AutoPropagatedCallback,
    CallbackContext,
    CallbackSupportMixin,
    with_callbacks,
)
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed

from skattn.model_selection._rows import RowFold
from skattn.panel import align_y
from skattn.parameters import check_numbers
from skattn.utils import rows_of_params


@dataclass(frozen=True)
class FoldData:
    """What every fold takes its rows from."""

    X: Any
    y: Any
    fit_params: dict[str, Any]
    predict_params: dict[str, Any]
    # Days and instruments by name, for models that need them and cannot read them off X.
    known: dict[str, Any]

    def __sizeof__(self) -> int:
        """Bytes of what the folds share: by this size dask and Ray see what to ship only once."""
        beside = (self.fit_params, self.predict_params, self.known)
        parts = (self.X, self.y, *(value for params in beside for value in params.values()))
        return sum(getattr(part, "nbytes", 0) or sys.getsizeof(part) for part in parts)


class CrossValSignal(CallbackSupportMixin, BaseEstimator):
    """What callbacks see as the outermost estimator, of which each fold is a task.

    Callbacks that estimators hand on to the estimators in them, such as ProgressBar, move here from
    the estimator; it gets them back fold by fold. Others stay with the copies of the estimator.
    """

    @with_callbacks
    def run(
        self,
        estimator: Any,
        data: FoldData,
        folds: Sequence[RowFold],
        *,
        order: Sequence[int] | None,
        n_jobs: int | None,
        keep: bool,
    ) -> list[tuple[np.ndarray, Any]]:
        """Give the predictions of each fold and, with ``keep``, its estimator.

        With an ``order``, one estimator goes from fold to fold, else each fold has its clone.
        """
        model, callbacks = clone(estimator), getattr(estimator, "_skl_callbacks", [])
        handed_on = [each for each in callbacks if isinstance(each, AutoPropagatedCallback)]
        if handed_on:
            self.set_callbacks(*handed_on)
            model.set_callbacks(*(each for each in callbacks if each not in handed_on))
        context = self._init_callback_context(task_name="folds", max_subtasks=len(folds))
        context.call_on_fit_task_begin(estimator=self, X=data.X, y=data.y)
        # All before the first fold runs: what is being sent to a worker must not change.
        tasks = [context.subcontext(task_name="fold") for _ in folds]
        if order is None:
            n_jobs = n_jobs if n_jobs is None else min(n_jobs, len(folds))
            results = Parallel(n_jobs=n_jobs)(
                delayed(fit_and_predict)(clone(model), data, fold, self, task, keep)
                for fold, task in zip(folds, tasks, strict=True)
            )
        else:
            by_fold = {}
            for number in order:
                predicted, _ = fit_and_predict(
                    model, data, folds[number], self, tasks[number], keep
                )
                by_fold[number] = predicted, deepcopy(model) if keep else None
            results = [by_fold[number] for number in range(len(folds))]
        context.call_on_fit_task_end(estimator=self, X=data.X, y=data.y)
        return results


def fit_and_predict(
    model: Any,
    data: FoldData,
    fold: RowFold,
    owner: CrossValSignal,
    context: CallbackContext,
    keep: bool,
) -> tuple[np.ndarray, Any]:
    """Fit the model on the training rows of a fold and predict its test rows."""
    X, y = _safe_split(model, data.X, data.y, fold.train)
    params = rows_of_params(data.X, data.fit_params, fold.train)
    try:
        with context.propagate_callback_context(model):
            context.call_on_fit_task_begin(estimator=owner, X=X, y=y)
            model.fit(X, **params) if y is None else model.fit(X, y, **params)
    except Exception as error:
        error.add_note(f"In fold {context.task_id} of cross_val_signal.")
        raise
    finally:
        context.call_on_fit_task_end(estimator=owner, X=X, y=y)
    X_test, _ = _safe_split(model, data.X, data.y, fold.test, fold.train)
    known = {k: v for k, v in data.known.items() if k in taken_by_predict(model)}
    params = {**known, **data.predict_params}
    predicted = model.predict(X_test, **rows_of_params(data.X, params, fold.test))
    name = f"The prediction of fold {context.task_id}"
    numbers = check_numbers(name, predicted)
    if len(numbers) != len(fold.test):
        raise ValueError(f"{name} has {len(numbers)} values for {len(fold.test)} test rows.")
    align_y(X_test, predicted, names=("X[test]", name))
    kind = getattr(predicted, "dtype", None)
    is_float = isinstance(kind, np.dtype) and kind.kind == "f"
    return numbers.astype(kind) if is_float else numbers, model if keep else None


def taken_by_predict(model: Any) -> Mapping[str, Parameter]:
    """Find what ``predict`` takes, also through a Pipeline and wrappers that pass all they get."""
    taken = signature(model.predict).parameters
    passes_on = any(each.kind is Parameter.VAR_KEYWORD for each in taken.values())
    inner = (
        model.steps[-1][1] if isinstance(model, Pipeline) else getattr(model, "regressor_", None)
    )
    return taken if inner is None or not passes_on else taken_by_predict(inner)
