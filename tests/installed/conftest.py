"""Tests of an environment in which skattn and its three plugins are installed from wheels."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import skattn


@pytest.fixture(scope="session", autouse=True)
def _installed():
    for module in ("skattn_gats", "skattn_localformer", "skattn_master"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: tox -e plugins installs it")
    # The wheel, and not the checkout beside these tests.
    assert "site-packages" in Path(skattn.__file__).parts
