"""What the package offers, found by walking its public modules."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from itertools import product
from typing import Any

import skattn
from skattn.parameters import parameters_of


def public_modules() -> list[Any]:
    """Import every package and module of skattn whose name has no underscore."""
    names = [each.name for each in pkgutil.iter_modules(skattn.__path__)]
    return [skattn, *(import_module(f"skattn.{n}") for n in names if not n.startswith("_"))]


def public_classes(base: type) -> list[type]:
    """Concrete public classes that derive from a base class, by name."""
    found = {
        value
        for module in public_modules()
        for name in getattr(module, "__all__", ())
        if isinstance(value := getattr(module, name), type)
        and issubclass(value, base)
        and not inspect.isabstract(value)
    }
    return sorted(found, key=lambda cls: cls.__name__)


def variants(cls: type) -> list[dict[str, Any]]:
    """Every combination of the texts and the booleans that the parameters of a class may be."""
    choices = {
        name: [
            *declared.one_of,
            *((True, False) if "bool" in declared.kinds else ()),
            *((None,) if "None" in declared.kinds else ()),
        ]
        for name, declared in parameters_of(cls).items()
        if declared.one_of or "bool" in declared.kinds
    }
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
