"""The models of every plugin, collected once per process."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pluggy

from skattn.plugins._installed import Plugin, find_plugins
from skattn.plugins._names import canonical
from skattn.plugins._spec import PROJECT, Hooks, ModelSpec
from skattn.plugins._strangers import described, let_ctrl_c_pass, shown
from skattn.plugins._versions import why_unmet


@dataclass(frozen=True)
class InstalledModel:
    """A model that users can ask for, and where the model comes from.

    Parameters
    ----------
    name : str
        Name by which ``get_model`` finds the model: the spec's, or ``"distribution:name"`` where
        another plugin's model has that name.
    spec : ModelSpec
        What the plugin says of the model.
    distribution, version : str
        The distribution that brings the model, "" where its metadata say nothing.
    source : str
        What messages call the plugin: its name and distribution.
    """

    name: str
    spec: ModelSpec
    distribution: str
    version: str
    source: str


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with an installed plugin.

    Parameters
    ----------
    source : str
        What messages call the plugin: its name and distribution.
    text : str
        What is wrong; a sentence whose subject is the source.
    kind : {"broken", "version", "clash"}
        Whether something failed, the model needs another version of skattn, or another plugin has
        a model of this name.
    cure : str
        What the user may do.
    plugin, distribution, version : str
        Entry point, distribution and version of the plugin, "" where unknown.
    spec : ModelSpec or None
        The model that the problem is about, None: the whole plugin.
    """

    source: str
    text: str
    kind: str = "broken"
    cure: str = ""
    plugin: str = ""
    distribution: str = ""
    version: str = ""
    spec: ModelSpec | None = None


@dataclass(frozen=True)
class Collection:
    """What the installed plugins bring: models by the names that find them, and problems."""

    models: dict[str, InstalledModel] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def reports(self) -> Iterator[str]:
        """One text for each plugin that has a problem."""
        for source in dict.fromkeys(problem.source for problem in self.problems):
            texts = [problem.text for problem in self.problems if problem.source == source]
            more = f"; and {len(texts) - 3} more" if len(texts) > 3 else ""
            yield f"{source} {'; '.join(texts[:3])}{more}"


class Collector:
    """The collection, made at the first call.

    Threads that come at the same time collect on their own, and the first to end is heard: a lock
    that is held while plugins are imported could wait for the locks of imports for ever.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Collection] = {}
        self._here = threading.local()

    def __call__(self) -> Collection:
        """Models and problems; the first call warns of the problems."""
        if (kept := self._kept.get(PROJECT)) is not None:
            return kept
        if getattr(self._here, "is_collecting", False):
            raise RuntimeError(
                "A plugin asks for skattn's models while these are being collected. Ask in the "
                "module of the target, which is imported on first use."
            )
        self._here.is_collecting = True
        try:
            collection = _collect()
        finally:
            self._here.is_collecting = False
        kept = self._kept.setdefault(PROJECT, collection)
        # What a report raises or calls finds the models collected.
        for report in collection.reports() if kept is collection else ():
            _warn(f"skattn: {report}.")
        return kept

    def cache_clear(self) -> None:
        """Forget the models, as ``functools.cache`` does."""
        self._kept.clear()


collected = Collector()


def _collect() -> Collection:
    found = Collection()
    for plugin in find_plugins():
        faults = list(plugin.faults)
        specs = _specs(plugin, faults)
        found.problems.extend(_problem(plugin, fault, cure=_cure(plugin)) for fault in faults)
        for spec in specs:
            _add(found, plugin, spec)
    return found


def _add(found: Collection, plugin: Plugin, spec: ModelSpec) -> None:
    """Add a model by the name that finds it, or say why nothing finds it."""
    if why := why_unmet(spec.requires_skattn):
        text = f"has a model {spec.name!r} that {why}"
        cure = f"pip install --upgrade {PROJECT} {plugin.distribution}".strip()
        found.problems.append(_problem(plugin, text, "version", cure, spec))
        return
    name = spec.name
    if (first := found.models.get(name)) is not None:
        owner = canonical(plugin.distribution)
        name = f"{owner}:{name}"
        text = (
            f"names a model {spec.name!r}, which {first.source} has already; the first model is "
            f"kept"
        )
        if owner in ("", canonical(first.distribution)) or name in found.models:
            cure = "The author gives the model another name."
            found.problems.append(_problem(plugin, text, "broken", cure, spec))
            return
        text = f"{text}, and {name!r} is this one"
        found.problems.append(_problem(plugin, text, "clash", f"Ask for {name!r}.", spec))
    found.models[name] = InstalledModel(
        name, spec, plugin.distribution, plugin.version, plugin.source
    )


def _problem(
    plugin: Plugin, text: str, kind: str = "broken", cure: str = "", spec: ModelSpec | None = None
) -> Problem:
    return Problem(
        source=plugin.source,
        text=text,
        kind=kind,
        cure=cure,
        plugin=plugin.entry.name if plugin.entry else "",
        distribution=plugin.distribution,
        version=plugin.version,
        spec=spec,
    )


def _cure(plugin: Plugin) -> str:
    """What a user may do about a plugin that fails."""
    if plugin.distribution:
        name = plugin.distribution
        return f"pip install --upgrade {name}, or pip uninstall {name}"
    if plugin.source == "SKATTN_PLUGINS":
        return "Correct or unset the environment variable SKATTN_PLUGINS."
    return "Remove the distribution from the environment."


def _specs(plugin: Plugin, faults: list[str]) -> list[ModelSpec]:
    """Specs that a plugin gives; what is wrong goes to the faults."""
    if plugin.entry is None:
        return []
    try:
        # A manager of its own: a registered plugin meets the next one when the two are compared.
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(Hooks)
        loaded = plugin.entry.load()
        manager.register(loaded, name=plugin.source)
        given = [each for answer in manager.hook.skattn_models() for each in _as_list(answer)]
        if not given:
            faults.append(f"brings no model: {_why_none(loaded, plugin.entry.value)}")
    except BaseException as error:
        let_ctrl_c_pass(error)
        faults.append(f"could not be loaded: {described(error)}")
        return []
    specs = []
    for each in given:
        try:
            specs.append(_copied(each))
        except BaseException as error:
            let_ctrl_c_pass(error)
            faults.append(f"gave {shown(each)}, which is not a ModelSpec with a name")
    return specs


def _why_none(loaded: Any, place: str) -> str:
    """Say why what was loaded from an entry point gives no model."""
    hook = getattr(loaded, "skattn_models", None)
    if hook is None:
        return f"its entry point is {place!r}, where nothing is named skattn_models"
    if not hasattr(hook, f"{PROJECT}_impl"):
        return f"skattn_models of {place!r} lacks the decorator @skattn.hookimpl"
    return f"skattn_models of {place!r} returned nothing (is `return` missing?)"


def _as_list(answer: Any) -> list:
    return list(answer) if isinstance(answer, (list, tuple)) else [answer]


def _copied(spec: Any) -> ModelSpec:
    """Copy a spec into plain text, which nothing can change or break any more."""
    if not isinstance(spec, ModelSpec):
        raise TypeError
    # A model whose target is no text stays listed; get_model says what the target is.
    target = spec.target if isinstance(spec.target, str) else shown(spec.target)
    return ModelSpec(
        name=_text(spec.name),
        target=_text(target),
        summary=_text(spec.summary),
        reference=_text(spec.reference),
        requires_skattn=_text(spec.requires_skattn),
        qlib=tuple(map(_text, spec.qlib)),
        qlib_parameters={_text(k): _text(v) for k, v in spec.qlib_parameters.items()},
    )


def _text(value: Any) -> Any:
    """Plain text of a str of any class; other values as they are, which ModelSpec refuses."""
    return str.__str__(value) if isinstance(value, str) else value


def _warn(message: str) -> None:
    try:
        warnings.warn(message, UserWarning, stacklevel=3)
    except UserWarning as warning:
        # Under "-W error", too, one plugin does not take all models down: its report is shown.
        line = warning.__traceback__.tb_lineno if warning.__traceback__ else 0
        warnings.showwarning(warning, UserWarning, __file__, line)
