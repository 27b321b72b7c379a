"""The sections of a docstring that are made of what a class declares."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

from skattn.parameters._allowed import Parameter

SECTION = re.compile(r"^([A-Z][\w ]*)\n-{3,}$", re.MULTILINE)


def add_sections(text: str, parameters: Mapping[str, Parameter], attributes: str) -> str:
    """Add the sections Parameters and Attributes to a docstring that has no Parameters.

    Parameters
    ----------
    text : str
        The docstring, without indentation.
    parameters : dict of str to Parameter
        In the order in which they are described.
    attributes : str
        Body of the section Attributes; empty for none.

    Returns
    -------
    text : str
    """
    headings = {match[1]: match.start() for match in SECTION.finditer(text)}
    if "Parameters" in headings:
        return text
    described = []
    for name, declared in parameters.items():
        body = "\n".join(f"    {line}".rstrip() for line in declared.doc.splitlines())
        described.append(f"{name} : {declared.kind_line()}" + (f"\n{body}" if body else ""))
    sections = [_section("Parameters", "\n".join(described))]
    body = inspect.cleandoc(attributes)
    if body and "Attributes" not in headings:
        sections.append(_section("Attributes", body))
    at = min(headings.values(), default=len(text))
    parts = [text[:at].rstrip(), *sections, text[at:].strip()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, body: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{body}"
