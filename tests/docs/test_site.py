"""The built site: every public name has an entry, every link inside it leads somewhere."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(__file__).parents[2] / "docs" / "_build" / "html"
REFERENCE = SITE.parents[1] / "reference" / "index.md"
MODULES = re.findall(r"^   (skattn[.\w]*)$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)

pytestmark = pytest.mark.docs


class Page(HTMLParser):
    """The anchors and the links of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.add(value)


@cache
def page(path: Path) -> Page:
    return Page(path)


def pages() -> list[Path]:
    found = sorted(SITE.rglob("*.html"))
    assert found, f"{SITE} has no pages: build the site first, tox -e docs"
    return [path for path in found if "_static" not in path.parts]


def test_every_link_inside_the_site_leads_somewhere():
    broken = []
    for path in pages():
        for link in page(path).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append((path.name, link))
            elif parts.fragment and target.suffix == ".html":
                anchors = page(target).anchors
                if unquote(parts.fragment) not in anchors:
                    broken.append((path.name, link))
    assert not broken


def test_every_public_package_is_in_the_reference():
    root = Path(import_module("skattn").__file__).parent
    public = {path.stem for path in root.glob("*.py")} | {
        p.parent.name for p in root.glob("*/__init__.py")
    }
    # What these have for users is in skattn itself, or a command.
    inside = {"__init__", "__main__", "cli", "parameters", "plugins", "training", "utils"}
    assert {f"skattn.{name}" for name in public - inside} | {"skattn"} == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(module):
    entries = (SITE / "reference" / "generated").glob("*.html")
    documented = set().union(*(page(path).anchors for path in entries))
    top_level = set(import_module("skattn").__all__)
    missing = [
        name
        for name in import_module(module).__all__
        if f"{module}.{name}" not in documented
        and not (name in top_level and f"skattn.{name}" in documented)
    ]
    assert not missing
