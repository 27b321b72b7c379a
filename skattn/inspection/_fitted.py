"""The fitted regressor that an estimator ends in, and its input."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skattn.base import SequenceRegressor
from skattn.compose import CrossSectionalTarget, LearntConcepts
from skattn.parameters import shown
from skattn.plugins import get_model, list_installed
from skattn.training import seeded


def fitted_model(estimator: Any, X: Any, caller: str) -> tuple[SequenceRegressor, Any]:
    """Find the regressor, and transform X to the regressor's input.

    Parameters
    ----------
    estimator : skattn regressor, Pipeline, search, CrossSectionalTarget or LearntConcepts
        Fitted estimator. A pipeline must end in a skattn regressor. From a search, the best
        estimator is taken.
    X : input of the estimator's ``predict``, or None
        Rows. None: the regressor alone is asked for.
    caller : str
        Name of the function or class that asks, for the error message.

    Returns
    -------
    model : SequenceRegressor
        The fitted regressor.
    X : input of the regressor's ``predict``
        The rows after the steps of the pipeline.

    Raises
    ------
    TypeError
        The estimator is not a skattn regressor and does not end in a skattn regressor.
    ValueError
        A search was fitted with ``refit=False``.
    sklearn.exceptions.NotFittedError
        The estimator is not fitted.
    """
    model = last_step(estimator)
    if not isinstance(model, SequenceRegressor):
        raise TypeError(
            f"{caller} needs as estimator a fitted skattn regressor, a Pipeline that ends in a "
            f"skattn regressor, or a search, CrossSectionalTarget or LearntConcepts over either; "
            f"got {shown(estimator)}."
        )
    return model, X if X is None else before_last_step(estimator, X)


def last_step(estimator: Any) -> Any:
    """Find the estimator that predicts, inside of pipelines, searches and wrappers.

    Raises
    ------
    ValueError
        A search was fitted with ``refit=False``.
    sklearn.exceptions.NotFittedError
        The estimator is not fitted.
    """
    if isinstance(estimator, BaseEstimator):
        check_is_fitted(estimator)
    inner = _inner(estimator)
    return estimator if inner is None else last_step(inner)


def before_last_step(estimator: Any, X: Any) -> Any:
    """Transform X by all steps of pipelines before the estimator that predicts."""
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = estimator[:-1].transform(X)
    inner = _inner(estimator)
    return X if inner is None else before_last_step(inner, X)


def _inner(estimator: Any) -> Any:
    """Give the fitted estimator that another one wraps, or None."""
    if hasattr(estimator, "best_estimator_"):
        return estimator.best_estimator_
    if hasattr(estimator, "cv_results_"):
        raise ValueError(
            f"estimator has no best estimator to look at: {type(estimator).__name__} was fitted "
            f"with refit={estimator.refit!r}. Fit it with refit=True."
        )
    if isinstance(estimator, Pipeline):
        return estimator[-1]
    is_wrapper = isinstance(estimator, (CrossSectionalTarget, LearntConcepts))
    return estimator.regressor_ if is_wrapper else None


def no_attention(model: SequenceRegressor) -> ValueError:
    """Make the error for a model without attention, which names the models that have attention."""
    names = ", ".join(_models_with_attention())
    return ValueError(
        f"{type(model).__name__} has no attention to inspect. Of the installed models, these have "
        f"attention: {names}."
    )


def _models_with_attention() -> list[str]:
    return [model.name for model in list_installed() if _attends(model.name)]


def _attends(name: str) -> bool:
    """Whether a small module of the model has attention maps."""
    try:
        cls: Any = get_model(name)
        # Making weights must not change the numbers that the user draws next.
        with seeded(0, "cpu"):
            return hasattr(cls(**cls.parameters_for_checks).build_module(4, 6), "attend")
    except Exception:  # A plugin's own fault must not hide the error that is being made.
        return False
