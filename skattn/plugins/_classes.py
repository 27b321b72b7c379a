"""Listing, getting and making models by name."""

from __future__ import annotations

import difflib
from pkgutil import resolve_name
from typing import Any

from skattn.plugins._collect import Found, found_models
from skattn.plugins._spec import ModelSpec
from skattn.plugins._strangers import blaming, class_name, shown


def list_models() -> list[ModelSpec]:
    """List the installed models, by name.

    Returns
    -------
    specs : list of ModelSpec
        Specs sorted by name. Only the plugins' small entry modules are imported; torch is not.

    Raises
    ------
    RuntimeError
        A plugin asks while the models are being collected: at its import or in its hook.

    Warns
    -----
    UserWarning
        A plugin fails, whatever it raises or returns. Each such plugin is reported once per
        process, by name and distribution; the models of the others are listed. The report is
        shown and not raised where warnings are errors (``python -W error``).

    Examples
    --------
    >>> import skattn
    >>> [spec.name for spec in skattn.list_models() if spec.name == "alstm"]
    ['alstm']
    """
    return [found.spec for _, found in sorted(found_models().items())]


def get_model(name: str) -> type:
    """Get the class of a model.

    Parameters
    ----------
    name : str
        Name of the model, as in ``list_models``.

    Returns
    -------
    model : type
        Class of a scikit-learn regressor.

    Raises
    ------
    ValueError
        No model has this name.
    ImportError, TypeError
        The plugin's target cannot be imported, or is not a regressor. The message names the
        plugin and its distribution.

    Examples
    --------
    >>> import skattn
    >>> skattn.get_model("alstm")
    <class 'skattn.models.alstm.ALSTMRegressor'>
    """
    return _load(_find(name))


def make_model(name: str, **params: Any) -> Any:
    """Make a model.

    Parameters
    ----------
    name : str
        Name of the model, as in ``list_models``.
    **params
        Parameters of the model.

    Returns
    -------
    model : regressor
        The unfitted model.

    Raises
    ------
    ValueError, ImportError, TypeError
        As in ``get_model``.
    TypeError
        The model has no parameter of this name.

    Examples
    --------
    >>> import skattn
    >>> skattn.make_model("alstm", hidden_size=32)
    ALSTMRegressor(hidden_size=32)
    """
    found = _find(name)
    model: Any = _load(found)
    with blaming(f"{_called(found)} does not name its parameters", TypeError):
        allowed = [str(each) for each in model._get_param_names()]
    unknown = sorted(set(params) - set(allowed))
    if unknown:
        close = [difflib.get_close_matches(each, allowed, n=1) for each in unknown]
        meant = [f"{each[0]!r}" for each in close if each]
        hint = f" Did you mean {' and '.join(meant)}?" if meant else ""
        raise TypeError(f"{class_name(model)} has no parameters {unknown}; it has {allowed}.{hint}")
    return model(**params)


def _find(name: str) -> Found:
    models = found_models()
    if isinstance(name, str):
        name = str.__str__(name)
        if name in models:
            return models[name]
    close = difflib.get_close_matches(shown(name, show=str), models, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"No model is named {shown(name)}; there are {sorted(models)}.{hint}")


def _load(found: Found) -> type:
    """Import the class of a model, and check that the class is a regressor's."""
    from sklearn.base import is_regressor

    where, target = _called(found), found.spec.target
    parts = target.replace(":", ".", 1).split(".")
    if ":" not in target or not all(part.isidentifier() for part in parts):
        raise ImportError(
            f"{where} has the target {shown(target)}; it must be 'package.module:Class'."
        )
    with blaming(f"{where} cannot be imported from {target!r}", ImportError):
        model = resolve_name(target)
    refusal = f"{where} must be a regressor's class; got {shown(model)}"
    with blaming(refusal, TypeError):
        is_right = isinstance(model, type) and hasattr(model, "__sklearn_tags__")
    if is_right:
        with blaming(f"{where} cannot be made without arguments", TypeError):
            instance = model()
        with blaming(refusal, TypeError):
            is_right = bool(is_regressor(instance))
    if not is_right:
        raise TypeError(f"{refusal}.")
    return model


def _called(found: Found) -> str:
    return f"Model {found.spec.name!r} of {found.source}"
