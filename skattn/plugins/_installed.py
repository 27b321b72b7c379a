"""Plugins that are installed: entry points, and the distributions that bring them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions

from skattn import __version__
from skattn.plugins._names import canonical
from skattn.plugins._spec import PROJECT
from skattn.plugins._strangers import described


@dataclass(frozen=True)
class Plugin:
    """An entry point of skattn's group, or why a distribution's entry points are left out.

    Parameters
    ----------
    source : str
        What messages call the plugin: its name and distribution.
    distribution, version : str
        Those of the metadata, "" where there are none.
    entry : EntryPoint or None
        What is to be loaded.
    names : frozenset of str
        Names by which ``SKATTN_PLUGINS`` chooses the plugin.
    faults : tuple of str
        What is wrong already.
    """

    source: str
    entry: EntryPoint | None
    distribution: str = ""
    version: str = ""
    names: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()


# The built-in models go through the door of every plugin, and are known without metadata: those
# may be missing (a checkout, a frozen program) or those of another distribution named skattn.
BUILTIN = EntryPoint("builtin", "skattn.models._specs", PROJECT)
_BUILTIN_PLUGIN = Plugin(
    f"plugin 'builtin' ({PROJECT} {__version__})", BUILTIN, PROJECT, __version__
)


def find_plugins() -> list[Plugin]:
    """Find the built-in models, then the plugins that SKATTN_PLUGINS allows, by distribution.

    Returns
    -------
    plugins : list of Plugin
        What is wrong with SKATTN_PLUGINS comes as a Plugin without an entry.
    """
    found = sorted(_installed(), key=_order)
    allowed = os.environ.get("SKATTN_PLUGINS")
    if allowed is not None:
        names = {canonical(name.strip()) for name in allowed.split(",") if name.strip()}
        known = {BUILTIN.name, PROJECT}.union(*(plugin.names for plugin in found))
        unknown = [_unknown(name, known) for name in sorted(names - known)]
        found = [*unknown, *(plugin for plugin in found if names & plugin.names)]
    return [_BUILTIN_PLUGIN, *found]


def _order(plugin: Plugin) -> tuple[str, str]:
    return canonical(plugin.distribution), plugin.entry.name if plugin.entry else ""


def _unknown(name: str, known: set[str]) -> Plugin:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return Plugin("SKATTN_PLUGINS", None, faults=(f"names {name!r}, which is not installed{hint}",))


def _installed() -> Iterator[Plugin]:
    # importlib.metadata.entry_points fails as a whole where one distribution is broken.
    seen: set[str] = set()
    try:
        for distribution in distributions():
            # The folder's name costs no parsing of metadata, as in importlib.metadata itself.
            name = canonical(_of_folder(distribution)[0] or _field(distribution, "Name"))
            if name not in seen:
                yield from _plugins_of(distribution)
            if name:
                seen.add(name)
    except Exception as error:  # a finder on sys.meta_path is a stranger, too
        yield Plugin("the list of distributions", None, faults=(f"ends in {described(error)}",))


def _plugins_of(distribution: Distribution) -> Iterator[Plugin]:
    try:
        entries = [entry for entry in distribution.entry_points if entry.group == PROJECT]
    except Exception as error:
        if _may_bring_plugins(distribution):
            name, version, label, _ = _identify(distribution)
            fault = f"has entry points that cannot be read: {described(error)}"
            source, names = f"distribution {label}", frozenset({canonical(name)})
            yield Plugin(source, None, name, version, names, (fault,))
        return
    for entry in entries:
        if entry == BUILTIN:
            continue
        name, version, label, faults = _identify(distribution)
        names = frozenset({canonical(entry.name), canonical(name)})
        source = f"plugin {entry.name!r} ({label})"
        if entry.name == BUILTIN.name and canonical(name) == PROJECT:
            fault = "passes itself off as the built-in models, and is left out"
            yield Plugin(source, None, name, version, names, (fault,))
        else:
            yield Plugin(source, entry, name, version, names, faults)


def _may_bring_plugins(distribution: Distribution) -> bool:
    try:
        return f"[{PROJECT}]" in (distribution.read_text("entry_points.txt") or "")
    except Exception:
        return True


def _identify(distribution: Distribution) -> tuple[str, str, str, tuple[str, ...]]:
    """Name and version of a distribution, both as a label, and what its metadata lack."""
    given = {field: _field(distribution, field) for field in ("Name", "Version")}
    missing = [field for field, value in given.items() if not value]
    name, version = (a or b for a, b in zip(given.values(), _of_folder(distribution), strict=True))
    label = " ".join(part for part in (name, version) if part) or "a distribution without a name"
    fault = f"has a distribution whose metadata give no {' and no '.join(missing)}"
    return name, version, label, (fault,) if missing else ()


def _field(distribution: Distribution, field: str) -> str:
    """One of the metadata, "" where there is none or the metadata cannot be read."""
    try:
        value = distribution.metadata.get(field)  # type: ignore[attr-defined]
    except Exception:
        value = None
    return value.strip() if isinstance(value, str) else ""


def _of_folder(distribution: Distribution) -> tuple[str, str]:
    """Name and version in the name of the metadata's folder, "" where there is none."""
    folder = getattr(getattr(distribution, "_path", None), "name", "")
    found = re.fullmatch(r"([^-]*)(?:-(.*))?\.(?:dist|egg)-info", folder)
    return (found[1], found[2] or "") if found else ("", "")
