"""The models of every plugin, collected once per process."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from typing import Any

import pluggy

from skattn.plugins._installed import Plugin, find_plugins
from skattn.plugins._spec import PROJECT, Hooks, ModelSpec
from skattn.plugins._strangers import described, let_ctrl_c_pass, shown


@dataclass(frozen=True)
class Found:
    """A model, and what messages call the plugin that brings the model."""

    spec: ModelSpec
    source: str


class FoundModels:
    """Models by name, collected at the first call.

    Threads that come at the same time collect on their own, and the first to end is heard: a lock
    that is held while plugins are imported could wait for the locks of imports for ever.
    """

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Found]] = {}
        self._here = threading.local()

    def __call__(self) -> dict[str, Found]:
        """Models by name; the first call warns of what is wrong with plugins."""
        if (kept := self._kept.get(PROJECT)) is not None:
            return kept
        if getattr(self._here, "is_collecting", False):
            raise RuntimeError(
                "A plugin asks for skattn's models while these are being collected. Ask in the "
                "module of the target, which is imported on first use."
            )
        self._here.is_collecting = True
        try:
            models, reports = _collect()
        finally:
            self._here.is_collecting = False
        kept = self._kept.setdefault(PROJECT, models)
        # What a report raises or calls finds the models collected.
        for report in reports if kept is models else ():
            _warn(f"skattn: {report}.")
        return kept

    def cache_clear(self) -> None:
        """Forget the models, as ``functools.cache`` does."""
        self._kept.clear()


found_models = FoundModels()


def _collect() -> tuple[dict[str, Found], list[str]]:
    """Models by name, and one report for each plugin that has a fault."""
    models: dict[str, Found] = {}
    reports: list[str] = []
    for plugin in find_plugins(reports):
        faults = list(plugin.faults)
        for spec in _specs(plugin, faults):
            if spec.name in models:
                faults.append(
                    f"names a model {spec.name!r}, which {models[spec.name].source} has already; "
                    f"the first model is kept"
                )
            else:
                models[spec.name] = Found(spec, plugin.source)
        if faults:
            more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
            reports.append(f"{plugin.source} {'; '.join(faults[:3])}{more}")
    return models, reports


def _specs(plugin: Plugin, faults: list[str]) -> list[ModelSpec]:
    """Specs that a plugin gives; what is wrong goes to the faults."""
    if plugin.entry is None:
        return []
    try:
        # A manager of its own: a registered plugin meets the next one when the two are compared.
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(Hooks)
        manager.register(plugin.entry.load(), name=plugin.source)
        given = [each for answer in manager.hook.skattn_models() for each in _as_list(answer)]
    except BaseException as error:
        let_ctrl_c_pass(error)
        faults.append(f"could not be loaded: {described(error)}")
        return []
    if not given:
        faults.append("brings no model (is @skattn.hookimpl missing?)")
    specs = []
    for each in given:
        try:
            specs.append(_copied(each))
        except BaseException as error:
            let_ctrl_c_pass(error)
            faults.append(f"gave {shown(each)}, which is not a ModelSpec with a name")
    return specs


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
