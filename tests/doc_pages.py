"""Tables of the site's pages."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
CODE = re.compile(r"`([^`]+)`")


def read_rows(page: str, heading: str | None = None) -> list[list[str]]:
    """Read the cells of the rows of tables, without heads and rules.

    The tables are those of a page, or those below one of its headings of the second level.
    """
    text = (DOCS / page).read_text(encoding="utf-8")
    if heading is not None:
        text = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = text.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    rules = {i for i, row in enumerate(rows) if set(row) <= set("|- ")}
    kept = (row for i, row in enumerate(rows) if i not in rules and i + 1 not in rules)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in kept]


def names_in(cell: str) -> list[str]:
    """Read the names in code type."""
    return CODE.findall(cell)
