"""Workflow files: text to plain Python."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

JINJA = re.compile(r"\{\{|\{%")
# YAML 1.2's numbers, as qlib reads them. PyYAML speaks YAML 1.1, to which 1e-3 is a text.
FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a workflow file, as qlib would, with plain values only.

    Raises
    ------
    ValueError
        It is no YAML, no mapping, names a key twice, or is a template.
    """
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            'load_workflow needs PyYAML to read a file: pip install "skattn[yaml]". '
            "(A dict needs none.)"
        ) from error

    class Loader(yaml.SafeLoader):
        """Plain values; numbers as in YAML 1.2; no key twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            seen: set = set()
            for key, _ in node.value:
                if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} comes twice", key.start_mark
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if JINJA.search(line):
            raise ValueError(
                f"{path}, line {number}: {line.strip()!r} is a jinja template, which qlib fills "
                f"from the environment. Fill it first, and pass the result."
            )
    try:
        # A subclass of SafeLoader: it makes no objects.
        config = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML that can be read: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a mapping; got {type(config).__name__}.")
    return config
