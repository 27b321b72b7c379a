"""Route the parameters of ``fit`` and ``predict`` to the inner regressor."""

from __future__ import annotations

from inspect import signature
from typing import Any

from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object, process_routing
from sklearn.utils.validation import has_fit_parameter


def route(owner: Any, method: str, params: dict[str, Any], days: Any = None) -> dict[str, Any]:
    """Return the parameters for a method of the inner regressor.

    Parameters
    ----------
    owner : estimator
        Meta-estimator with a parameter ``regressor``.
    method : {"fit", "predict"}
        Name of the method.
    params : dict
        Parameters that the owner's method got in addition to X and y.
    days : array-like, default=None
        Days. They are passed to the regressor if it takes a parameter ``days``.

    Returns
    -------
    params : dict
    """
    if get_config()["enable_metadata_routing"]:
        params = params if days is None else {**params, "days": days}
        return process_routing(owner, method, **params)["regressor"][method]
    prefix, last = last_step(owner.regressor)
    if days is not None and has_fit_parameter(last, "days"):
        params = {f"{prefix}days": days, **params}
    return params


def known_predict_params(owner: Any, **known: Any) -> dict[str, Any]:
    """Select the known parameters that the fitted regressor's ``predict`` takes."""
    if get_config()["enable_metadata_routing"]:
        taken = get_routing_for_object(owner).consumes("predict", known)
    else:
        taken = signature(last_step(owner.regressor_)[1].predict).parameters
    return {k: v for k, v in known.items() if k in taken and v is not None}


def is_named(parameter: str, *names: str) -> bool:
    """Return whether a parameter has any of the names, ignoring the prefix of a Pipeline step."""
    return parameter.rpartition("__")[2] in names


def last_step(regressor: Any) -> tuple[str, Any]:
    """Return the parameter prefix and the regressor, which may be the last step of a Pipeline."""
    prefix = ""
    while isinstance(regressor, Pipeline):
        name, regressor = regressor.steps[-1]
        prefix += f"{name}__"
    return prefix, regressor
