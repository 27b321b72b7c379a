"""A plugin from ``skattn new-plugin``: installed, listed, tested and checked; then gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.plugins


def run(*command: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert not check or result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


def models(cwd: Path) -> set[str]:
    shown = run(sys.executable, "-m", "skattn", "models", "--json", cwd=cwd).stdout
    return {each["name"] for each in json.loads(shown)["models"]}


@pytest.mark.parametrize("kind", [[], ["--cross-sectional"]], ids=["rows", "cross-sectional"])
def test_a_new_plugin_lives_and_goes(kind, tmp_path):
    python = [sys.executable, "-m"]
    run(*python, "skattn", "new-plugin", "demo", *kind, cwd=tmp_path)
    run(*python, "pip", "install", "--no-deps", "./skattn-demo", cwd=tmp_path)
    try:
        assert "demo" in models(tmp_path)
        run(*python, "pytest", "-q", "skattn-demo", cwd=tmp_path)
        checked = run(*python, "skattn", "check", "demo", "--json", cwd=tmp_path)
        assert '"failed"' not in checked.stdout
    finally:
        run(*python, "pip", "uninstall", "--yes", "skattn-demo", cwd=tmp_path)
    assert "demo" not in models(tmp_path)
