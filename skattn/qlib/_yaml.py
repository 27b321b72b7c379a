"""Workflow files: text to plain Python."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from skattn.qlib._files import read_text
from skattn.qlib._settings import MAX_KEYS

JINJA = re.compile(r"\{\{|\{%")
# YAML 1.2's numbers, as qlib reads them. PyYAML speaks YAML 1.1, to which 1e-3 is a text.
FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a workflow file, as qlib would, with plain values only.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is no YAML, no mapping, names a key twice, is a template, or has very many keys.
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

        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                    continue
                if key.value in seen:
                    raise yaml.composer.ComposerError(
                        None, None, f"the key {key.value!r} comes twice", key.start_mark
                    )
                seen.add(key.value)
            return node

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            # Merges of merges double with each level.
            if len(node.value) > MAX_KEYS:
                raise ValueError(f"merges make more than {MAX_KEYS} keys")

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))
    text = read_text(path, "load_workflow reads a workflow of qlib's in YAML")
    for number, line in enumerate(text.splitlines(), 1):
        if JINJA.search(line):
            raise ValueError(
                f"{path}, line {number}: {line.strip()!r} is a jinja template, which qlib fills "
                f"from the environment. Fill it first, and pass the result."
            )
    try:
        # A subclass of SafeLoader: it makes no objects.
        config = yaml.load(text, Loader)
    except Exception as error:
        # Values that are none, such as the day 2020-13-45, raise what Python raises.
        raise ValueError(f"{path} is no YAML that can be read: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a mapping; got {type(config).__name__}.")
    return config
