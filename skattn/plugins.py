"""Discovery of models through pluggy and the entry-point group ``skattn``."""

from __future__ import annotations

import difflib
import os
import re
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

PROJECT = "skattn"
BUILTIN = "builtin"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True)
class ModelSpec:
    """Description of a plugin's model, available without importing the model.

    Parameters
    ----------
    name : str
        Name by which users ask for the model.
    target : str
        Location of the regressor's class, ``"package.module:Class"``. Imported on first use.
    summary : str, default=""
        One-line summary for lists of models.
    reference : str, default=""
        Paper or code that the model follows.

    Examples
    --------
    >>> from skattn import ModelSpec
    >>> ModelSpec("mine", "mypackage.model:MyRegressor", summary="A model of my own").name
    'mine'
    """

    name: str
    target: str
    summary: str = ""
    reference: str = ""


class Hooks:
    """Hooks that skattn calls."""

    @hookspec
    def skattn_models(self) -> ModelSpec | list[ModelSpec]:  # type: ignore[empty-body]
        """Describe the models of a plugin, as a ModelSpec or a list of ModelSpec."""


@dataclass(frozen=True)
class _Found:
    spec: ModelSpec
    source: str


def list_models() -> list[ModelSpec]:
    """List the installed models, by name.

    Returns
    -------
    specs : list of ModelSpec
        Specs sorted by name. Only the plugins' small entry modules are imported; torch is not.

    Examples
    --------
    >>> import skattn
    >>> [spec.name for spec in skattn.list_models() if spec.name == "alstm"]
    ['alstm']
    """
    return [found.spec for _, found in sorted(_models().items())]


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
    models = _models()
    if name not in models:
        close = difflib.get_close_matches(str(name), models, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"No model is named {name!r}; there are {sorted(models)}.{hint}")
    spec, source = models[name].spec, models[name].source
    where = f"Model {name!r} of {source}"
    if not isinstance(spec.target, str) or ":" not in spec.target:
        raise ImportError(
            f"{where} has the target {spec.target!r}; it must be 'package.module:Class'."
        )
    module, _, attribute = spec.target.partition(":")
    try:
        target = getattr(import_module(module), attribute)
    except Exception as error:
        raise ImportError(f"{where} cannot be imported from {spec.target!r}: {error}") from error
    _check_regressor_class(target, where)
    return target


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

    Examples
    --------
    >>> import skattn
    >>> skattn.make_model("alstm", hidden_size=32)
    ALSTMRegressor(hidden_size=32)
    """
    model: Any = get_model(name)
    allowed = model._get_param_names()
    unknown = sorted(set(params) - set(allowed))
    if unknown:
        close = [difflib.get_close_matches(each, allowed, n=1) for each in unknown]
        meant = [f"{found[0]!r}" for found in close if found]
        hint = f" Did you mean {' and '.join(meant)}?" if meant else ""
        raise TypeError(f"{model.__name__} has no parameters {unknown}; it has {allowed}.{hint}")
    return model(**params)


@cache
def _models() -> dict[str, _Found]:
    """Collect the models of every plugin, once per process."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    models: dict[str, _Found] = {}
    for entry in _entry_points():
        source = _source(entry)
        try:
            plugin = entry.load()
            manager.register(plugin, name=f"{source}:{entry.name}")
            # Each plugin is asked separately, so that its error leaves the others intact.
            answers = manager.subset_hook_caller(
                "skattn_models", [p for p in manager.get_plugins() if p is not plugin]
            )()
            specs = [spec for answer in answers for spec in _as_list(answer)]
            if not specs:
                raise LookupError("the plugin brings no model (is @skattn.hookimpl missing?)")
        except (Exception, SystemExit) as error:
            _report(f"{source} could not be loaded: {type(error).__name__}: {error}")
            continue
        for spec in specs:
            if not isinstance(spec, ModelSpec) or not isinstance(spec.name, str):
                _report(f"{source} gave {spec!r}, which is not a ModelSpec with a name")
            elif spec.name in models:
                _report(
                    f"{source} names a model {spec.name!r}, which {models[spec.name].source} has "
                    f"already; the first model is kept"
                )
            else:
                models[spec.name] = _Found(spec, source)
    return models


def _entry_points() -> list[EntryPoint]:
    """Entry points to load: the built-in models first, then plugins that SKATTN_PLUGINS allows."""
    found = sorted(entry_points(group=PROJECT), key=lambda e: (not _is_builtin(e), e.name))
    allowed = os.environ.get("SKATTN_PLUGINS")
    if allowed is None:
        return found
    names = {_canonical(name.strip()) for name in allowed.split(",") if name.strip()}
    known = {name for entry in found for name in _names(entry)}
    for name in sorted(names - known):
        _report(f"SKATTN_PLUGINS names {name!r}, which is not installed")
    return [entry for entry in found if _is_builtin(entry) or names & _names(entry)]


def _is_builtin(entry: EntryPoint) -> bool:
    return entry.name == BUILTIN and entry.dist is not None and entry.dist.name == PROJECT


def _names(entry: EntryPoint) -> set[str]:
    names = [entry.name] if entry.dist is None else [entry.name, entry.dist.name]
    return {_canonical(name) for name in names}


def _canonical(name: str) -> str:
    # Package indexes compare names in this form: My_Plug equals my-plug.
    return re.sub(r"[-_.]+", "-", name).lower()


def _source(entry: EntryPoint) -> str:
    if entry.dist is None:
        return f"plugin {entry.name!r}"
    return f"plugin {entry.name!r} ({entry.dist.name} {entry.dist.version})"


def _as_list(answer: Any) -> list:
    return list(answer) if isinstance(answer, (list, tuple)) else [answer]


def _check_regressor_class(target: Any, where: str) -> None:
    from sklearn.base import is_regressor

    if not (isinstance(target, type) and hasattr(target, "__sklearn_tags__")):
        raise TypeError(f"{where} must be a regressor's class; got {target!r}.")
    try:
        instance = target()
    except Exception as error:
        raise TypeError(f"{where} cannot be made without arguments: {error}") from error
    if not is_regressor(instance):
        raise TypeError(f"{where} must be a regressor's class; got {target!r}.")


def _report(message: str) -> None:
    warnings.warn(f"skattn: {message}.", UserWarning, stacklevel=2)
