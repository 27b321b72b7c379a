"""Faults that are known and wait for their cure. There should be none."""

from __future__ import annotations

import re

# Regular expressions of case-argument-value, by the file that holds the cure.
KNOWN: tuple[str, ...] = ()


def is_known(key: str) -> bool:
    """Whether a fault waits for its cure."""
    return any(re.fullmatch(pattern, key) for pattern in KNOWN)
