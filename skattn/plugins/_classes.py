"""Listing, getting and making models by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pkgutil import resolve_name
from typing import Any

from skattn.plugins._collect import InstalledModel, Problem, collected
from skattn.plugins._names import canonical, nearest
from skattn.plugins._spec import PROJECT, ModelSpec
from skattn.plugins._strangers import blaming, class_name, shown


def list_models() -> list[ModelSpec]:
    """List the installed models, by name.

    Returns
    -------
    specs : list of ModelSpec
        Specs sorted by name; of several models of one name the first, which is the built-in one or
        that of the first distribution by name. Only the plugins' small entry modules are imported;
        torch is not.

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
    return [model.spec for model in list_installed() if ":" not in model.name]


def list_installed() -> list[InstalledModel]:
    """List every model that can be asked for, with the distribution that brings it, by name.

    Returns
    -------
    models : list of InstalledModel
        Those of ``list_models``, and the models of a name that is taken, as
        ``"distribution:name"``.

    Examples
    --------
    >>> from skattn.plugins import list_installed
    >>> [model.distribution for model in list_installed() if model.name == "alstm"]
    ['skattn']
    """
    return [model for _, model in sorted(collected().models.items())]


def list_problems() -> list[Problem]:
    """List what is wrong with the installed plugins.

    Returns
    -------
    problems : list of Problem
        All that ``list_models`` warns of, in the order in which plugins are loaded.

    Examples
    --------
    >>> from skattn.plugins import list_problems
    >>> [problem.text for problem in list_problems() if problem.distribution == "skattn"]
    []
    """
    return list(collected().problems)


def get_model(name: str) -> type:
    """Get the class of a model.

    Parameters
    ----------
    name : str
        Name of the model, as in ``list_models``, or ``"distribution:name"``: the model of one
        distribution among several of one name.

    Returns
    -------
    model : type
        Class of a scikit-learn regressor.

    Raises
    ------
    ValueError
        No model has this name.
    ImportError, TypeError
        The model needs another version of skattn, or the plugin's target cannot be imported, or is
        not a regressor. The message names the plugin and its distribution.

    Examples
    --------
    >>> import skattn
    >>> skattn.get_model("alstm")
    <class 'skattn.models.alstm.ALSTMRegressor'>
    >>> skattn.get_model("skattn:alstm")
    <class 'skattn.models.alstm.ALSTMRegressor'>
    """
    return _load(find_installed(name))


def make_model(name: str, **params: Any) -> Any:
    """Make a model.

    Parameters
    ----------
    name : str
        Name of the model, as in ``get_model``.
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
    found = find_installed(name)
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


def find_installed(name: str) -> InstalledModel:
    """Find a model by the name that ``get_model`` takes.

    Parameters
    ----------
    name : str
        Name of the model.

    Returns
    -------
    model : InstalledModel
        What is known of the model without importing the model.

    Raises
    ------
    ValueError
        No model has this name. The text gives those that there are, and the nearest.
    ImportError
        The model needs another version of skattn.

    Examples
    --------
    >>> from skattn.plugins import find_installed
    >>> find_installed("alstm").spec.target
    'skattn.models.alstm:ALSTMRegressor'
    """
    models = collected().models
    said, hints = shown(name), ""
    if isinstance(name, str):
        name = str.__str__(name)
        owner, colon, plain = name.rpartition(":")
        owner = canonical(owner)
        first = models.get(plain)
        if first is not None and (not colon or owner == canonical(first.distribution)):
            return first
        if f"{owner}:{plain}" in models:
            return models[f"{owner}:{plain}"]
        _refuse_left_out(said, owner, plain)
        close = _close(f"{owner}:{plain}" if owner else plain, models)
        hints = f"{close}{''.join(_failed(plain))}"
    raise ValueError(f"No model is named {said}; there are {sorted(models)}.{hints}")


def _close(name: str, models: dict[str, InstalledModel]) -> str:
    valid = ":".join(map(nearest, name.split(":")))
    for each in (name, valid, valid.rpartition(":")[-1]):
        if close := difflib.get_close_matches(each, models, n=1):
            return f" Did you mean {close[0]!r}?"
    return ""


def _refuse_left_out(said: str, owner: str, name: str) -> None:
    """Raise where the model is there, but needs another version of skattn."""
    for problem in collected().problems:
        is_it = problem.spec is not None and problem.spec.name == name
        if is_it and problem.kind == "version" and owner in ("", canonical(problem.distribution)):
            raise ImportError(
                f"Model {said} is left out: {problem.source} {problem.text}. Cure: {problem.cure}"
            )


def _failed(name: str) -> Iterator[str]:
    """Say which plugin of this name failed."""
    for problem in collected().problems:
        names = {canonical(problem.plugin), canonical(problem.distribution)}
        if problem.spec is None and names & {name, f"{PROJECT}-{name}"}:
            yield f" But {problem.source} {problem.text}."


def _load(found: InstalledModel) -> type:
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


def _called(found: InstalledModel) -> str:
    return f"Model {found.name!r} of {found.source}"
