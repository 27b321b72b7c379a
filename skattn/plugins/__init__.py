"""Discovery of models through pluggy and the entry-point group ``skattn``.

Plugins are strangers' code: whatever one of them does when found, imported, asked or shown, the
plugin is reported by name and distribution, and the other models are listed.
"""

from skattn.plugins._classes import get_model, list_models, make_model
from skattn.plugins._collect import found_models as _models  # noqa: F401 - tests clear the cache
from skattn.plugins._spec import ModelSpec, hookimpl

__all__ = ["ModelSpec", "get_model", "hookimpl", "list_models", "make_model"]
