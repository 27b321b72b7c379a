"""Every example of the pages and of README runs, and prints what the page says it prints."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS_OF_THE_BUILD = {"_build", "_templates", "gallery", "generated"}
PAGES = sorted(
    page
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if FOLDERS_OF_THE_BUILD.isdisjoint(page.relative_to(ROOT).parts)
)
# Pages whose examples train models for more than a few seconds.
SLOW = {"docs/start.md"}
# A block may be indented, in a list or a tab.
FENCED = re.compile(r"^([ \t]*)```python\n(.*?)^\1```[ \t]*$", re.DOTALL | re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples_of(text: str, name: str) -> doctest.DocTest:
    """All blocks of a page that begin with a prompt, as one test; line numbers are the page's."""
    examples = []
    for block in FENCED.finditer(text):
        code = dedent(block[2])
        if not code.startswith(">>>"):
            continue
        first_line = text.count("\n", 0, block.start(2))
        for example in doctest.DocTestParser().get_examples(code, name):
            example.lineno += first_line
            examples.append(example)
    return doctest.DocTest(examples, {"__name__": "__main__"}, name, name, 0, text)


def as_parameter(page: Path) -> object:
    name = page.relative_to(ROOT).as_posix()
    return pytest.param(page, id=name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.parametrize("page", [as_parameter(page) for page in PAGES])
def test_examples(page, tmp_path, monkeypatch):
    # Files that an example writes.
    monkeypatch.chdir(tmp_path)
    pyplot = pytest.importorskip("matplotlib.pyplot")
    test = examples_of(page.read_text(encoding="utf-8"), page.name)
    reported: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=reported.append)
    pyplot.close("all")
    assert not failed, "".join(reported)


def test_the_example_of_readme(capsys):
    (example,) = FENCED.finditer((ROOT / "README.md").read_text(encoding="utf-8"))
    exec(compile(example[2], "README.md", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out.strip()
    assert f"It prints `{printed}`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_an_example_that_prints_something_else_fails():
    text = "# Page\n\n- item:\n\n  ```python\n  >>> x = 1\n  ```\n\n```python\n>>> x + 1\n3\n```\n"
    test = examples_of(text, "page")
    assert [example.lineno + 1 for example in test.examples] == [6, 10]
    results = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=lambda text: None)
    assert results == (1, 2)


def test_illustrations_are_left_alone():
    assert not examples_of("```python\nundefined\n```\n\n```py\n>>> 1\n```\n", "page").examples


def test_slow_pages_exist():
    assert {page.relative_to(ROOT).as_posix() for page in PAGES} >= SLOW
