"""A script of the gallery whose packages are absent says what to install."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

GALLERY = Path(__file__).resolve().parents[1] / "examples" / "gallery"
CURE = 'pip install "skattn[gallery]"'
# skattn, what it always brings, and what draws every picture.
PRESENT = {"joblib", "matplotlib", "numpy", "pandas", "safetensors", "skattn", "sklearn", "skorch"}
PRESENT |= {"torch", *sys.stdlib_module_names}


def first_imports(script: Path) -> dict[str, str]:
    """Give the line that first imports each package."""
    text = script.read_text(encoding="utf-8")
    lines: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            lines.setdefault(name.partition(".")[0], text.splitlines()[node.lineno - 1])
    return lines


@pytest.mark.parametrize("script", sorted(GALLERY.glob("plot_*.py")), ids=lambda path: path.stem)
def test_imports_of_the_extra_name_it(script):
    """A traceback shows the line of the import, and the comment on it."""
    for package, line in first_imports(script).items():
        assert (package in PRESENT) or line.endswith(f"  # {CURE}"), line


@pytest.mark.slow
def test_the_traceback_names_package_and_extra():
    without = "import runpy, sys; sys.modules['optuna'] = None; runpy.run_path(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", without, str(GALLERY / "plot_optuna.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "optuna" in done.stderr.splitlines()[-1]
    assert CURE in done.stderr
