"""Distributions of plugins as strangers publish them, put on sys.path."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
import warnings
from contextlib import contextmanager
from itertools import count

from skattn import list_models
from skattn.plugins._collect import collected

NUMBER = count()

HEAD = """
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from skattn import ModelSpec, hookimpl

class Mean(RegressorMixin, BaseEstimator):
    def __init__(self, shift=0.0, *, scale=1.0):
        self.shift, self.scale = shift, scale

class Required(RegressorMixin, BaseEstimator):
    def __init__(self, shift):
        self.shift = shift

class Label(ClassifierMixin, BaseEstimator):
    pass

class Thing:
    pass
"""


def hook(answer: str, before: str = "") -> str:
    """Code of a plugin whose hook returns something."""
    before = textwrap.dedent(before)
    return HEAD + f"\n{before}\n@hookimpl\ndef skattn_models():\n    return {answer}\n"


class Site:
    """A folder on sys.path into which distributions are put."""

    def __init__(self, folder):
        self.folder = folder
        self.modules = []

    def install(
        self,
        name,
        code,
        *,
        entry=None,
        attribute="",
        version="1.2.3",
        metadata="Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        entries="[skattn]\n{entry} = {module}{attribute}\n\n[console_scripts]\nno = no:no\n",
    ):
        """Put a distribution there; returns the name of its module (MODULE in the code)."""
        module = f"skattn_fake_{next(NUMBER)}"
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        words = {"name": name, "version": version, "module": module, "attribute": attribute}
        words["entry"] = entry or name
        for file, content in (("METADATA", metadata), ("entry_points.txt", entries)):
            if isinstance(content, bytes):
                (info / file).write_bytes(content)
            elif content is not None:
                (info / file).write_text(content.format(**words))
        if code is not None:
            code = textwrap.dedent(code).replace("MODULE", module)
            (self.folder / f"{module}.py").write_text(code)
        self.modules.append(module)
        importlib.invalidate_caches()
        collected.cache_clear()
        return module


@contextmanager
def fake_site(folder, monkeypatch):
    """Put a Site on sys.path, and forget it afterwards."""
    monkeypatch.delenv("SKATTN_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(folder)
    site = Site(folder)
    collected.cache_clear()
    yield site
    for module in site.modules:
        sys.modules.pop(module, None)
    collected.cache_clear()


def names() -> list[str]:
    return [spec.name for spec in list_models()]


def reports(mention: str) -> list[str]:
    """Warnings of the first listing that mention something; the second gives none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first = names()
        n_warnings = len(caught)
        assert names() == first
        assert len(caught) == n_warnings
    assert all(warning.category is UserWarning for warning in caught)
    return [str(warning.message) for warning in caught if mention in str(warning.message)]


def python(code, *, folder=None, options=(), **variables) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k != "SKATTN_PLUGINS"}
    if folder is not None:
        path = [str(folder), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
