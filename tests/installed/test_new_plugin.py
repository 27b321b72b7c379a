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


FAULTS = {
    "exits": "raise SystemExit(3)",
    "no Exception": "class Own(BaseException): pass\nraise Own",
    "no repr": (
        "import skattn\n"
        "class Evil:\n"
        "    def __repr__(self): raise RuntimeError\n"
        "@skattn.hookimpl\n"
        "def skattn_models(): return Evil()\n"
    ),
    "asks": "import skattn\nskattn.list_models()",
    "no name": (
        "import skattn\n"
        "@skattn.hookimpl\n"
        "def skattn_models(): return skattn.ModelSpec(name='', target='a:b')\n"
    ),
    "too new": (
        "import skattn\n"
        "@skattn.hookimpl\n"
        "def skattn_models():\n"
        "    return skattn.ModelSpec('demo', 'a:b', requires_skattn='>=99')\n"
    ),
}


def test_broken_plugins_that_are_installed_break_nothing_else(tmp_path):
    python = [sys.executable, "-m"]
    names = [f"broken-{number}" for number in range(len(FAULTS))]
    for name, code in zip(names, FAULTS.values(), strict=True):
        run(*python, "skattn", "new-plugin", name, cwd=tmp_path)
        package = tmp_path / f"skattn-{name}" / f"skattn_{name.replace('-', '_')}"
        (package / "__init__.py").write_text(code)
    folders = [f"./skattn-{name}" for name in names]
    run(*python, "pip", "install", "--no-deps", *folders, cwd=tmp_path)
    try:
        ran = run(*python, "skattn", "models", "--json", cwd=tmp_path)
        shown = json.loads(ran.stdout)
        assert len(shown["models"]) == 9
        reported = [each["distribution"] for each in shown["problems"]]
        assert sorted(reported) == [f"skattn-{name}" for name in names]
        code = "import skattn; print(skattn.make_model('master', n_market=0))"
        strict = run(sys.executable, "-W", "error", "-c", code, cwd=tmp_path)
        assert "MASTERRegressor" in strict.stdout
    finally:
        installed = [f"skattn-{name}" for name in names]
        run(*python, "pip", "uninstall", "--yes", *installed, cwd=tmp_path)
