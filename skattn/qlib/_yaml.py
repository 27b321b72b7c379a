"""Reader of workflow files, from YAML text to plain Python values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from skattn.parameters import shown
from skattn.qlib._files import read_text
from skattn.qlib._settings import MAX_KEYS

JINJA = re.compile(r"\{\{|\{%")
# Numbers of YAML 1.2, as qlib reads them. PyYAML follows YAML 1.1, where 1e-3 is a text.
FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a workflow file as qlib does, with plain values only.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ValueError
        The file is not YAML, not a mapping, names a key twice, is a template, or has too many keys.
    """
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            'load_workflow needs PyYAML to read a file: pip install "skattn[yaml]". '
            "(A dict works without PyYAML.)"
        ) from error

    class Loader(yaml.SafeLoader):
        """Loader of plain values, with numbers as in YAML 1.2 and without repeated keys."""

        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                    continue
                if key.value in seen:
                    raise yaml.composer.ComposerError(
                        None, None, f"the key {shown(key.value)} comes twice", key.start_mark
                    )
                seen.add(key.value)
            return node

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            # Nested merges double the number of keys with each level.
            if len(node.value) > MAX_KEYS:
                raise ValueError(f"merges make more than {MAX_KEYS} keys")

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))
    text = read_text(path, "load_workflow reads a workflow of qlib in YAML")
    for number, line in enumerate(text.splitlines(), 1):
        if JINJA.search(line):
            raise ValueError(
                f"{path}, line {number}: {line.strip()!r} is a jinja template, which qlib fills "
                f"from the environment. Fill it first, and pass the result."
            )
    try:
        # Loader is a subclass of SafeLoader, so loading makes no arbitrary objects.
        config = yaml.load(text, Loader)
    except Exception as error:
        # Invalid values, such as the day 2020-13-45, raise Python's own errors.
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a mapping; got {type(config).__name__}.")
    return config
