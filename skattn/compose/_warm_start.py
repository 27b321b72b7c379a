"""Go on from the last fit of the inner regressor."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sklearn.base import clone

from skattn.compose._routing import last_step
from skattn.utils import warm_start_parameter


def regressor_to_train(regressor: Any, fitted: Any = None) -> Any:
    """Clone a regressor; with its ``warm_start=True``, with what the last fit has learnt.

    Parameters
    ----------
    regressor : estimator
        The regressor as the user gave it, possibly a Pipeline.
    fitted : estimator, default=None
        The clone of the last fit. It is left as it is, so that it is whole if the next fit fails.

    Returns
    -------
    regressor : estimator
        It has the parameters of ``regressor``. Steps of a Pipeline before the last one begin anew.
    """
    fresh = clone(regressor)
    name = warm_start_parameter(regressor)
    if fitted is None or name is None or not regressor.get_params()[name]:
        return fresh
    new, old = last_step(fresh)[1], last_step(fitted)[1]
    if type(new) is type(old):
        learnt = {key: value for key, value in vars(old).items() if key not in vars(new)}
        vars(new).update(deepcopy(learnt))
    return fresh
