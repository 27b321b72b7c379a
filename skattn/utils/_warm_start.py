"""Which parameter makes ``fit`` go on from the last fit."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline


def warm_start_parameter(estimator: Any) -> str | None:
    """Name the parameter with which ``fit`` of an estimator goes on from its last fit.

    A Pipeline trains its last step in place. Other meta-estimators train a clone, which knows
    nothing of the last fit; one that goes on nevertheless, as ``CrossSectionalTarget`` does, says
    so by a method ``__skattn_warm_start__()`` that returns the name, or None.

    Parameters
    ----------
    estimator : estimator
        The estimator, fitted or not.

    Returns
    -------
    name : str or None
        A name for ``set_params``. None if ``fit`` always begins anew.

    Examples
    --------
    >>> from sklearn.linear_model import Lasso, Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn.utils import warm_start_parameter
    >>> warm_start_parameter(make_pipeline(Lasso()))
    'lasso__warm_start'
    >>> warm_start_parameter(Ridge()) is None
    True
    """
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = warm_start_parameter(last)
        return None if inner is None else f"{name}__{inner}"
    if hasattr(estimator, "__skattn_warm_start__"):
        return estimator.__skattn_warm_start__()
    has_parameter = hasattr(estimator, "get_params") and "warm_start" in estimator.get_params(False)
    return "warm_start" if has_parameter else None
