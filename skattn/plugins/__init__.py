"""Discovery of models through pluggy and the entry-point group ``skattn``.

Plugins are strangers' code: whatever one of them does when found, imported, asked or shown, the
plugin is reported by name and distribution, and the other models are listed.
"""

from skattn.plugins._classes import (
    find_installed,
    get_model,
    list_installed,
    list_models,
    list_problems,
    make_model,
)
from skattn.plugins._collect import InstalledModel, Problem
from skattn.plugins._names import check_name
from skattn.plugins._spec import ModelSpec, hookimpl

__all__ = [
    "InstalledModel",
    "ModelSpec",
    "Problem",
    "check_name",
    "find_installed",
    "get_model",
    "hookimpl",
    "list_installed",
    "list_models",
    "list_problems",
    "make_model",
]
