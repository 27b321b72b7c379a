"""Checks of files that a user names. Errors name the file and say what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from skattn.parameters import shown


def check_path(name: str, value: Any) -> Path:
    """Check that a parameter is a path, and expand the user's home directory in the path."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a path; got {shown(value)}.")
    try:
        path = Path(value).expanduser()
        path.exists()  # raises where the path is too long
    except (OSError, RuntimeError, TypeError) as error:
        raise ValueError(f"{name} is a path that cannot be used: {shown(str(error))}") from error
    return path


def check_file(path: Path, what: str) -> Path:
    """Check that a file exists. ``what`` describes the file's purpose in errors."""
    if not path.is_file():
        how = "is not a file" if path.exists() else "does not exist"
        raise FileNotFoundError(f"{path} {how}: {what}.")
    return path


def read_text(path: Path, what: str) -> str:
    """Read a text file in UTF-8. ``what`` describes the file's purpose in errors."""
    check_file(path, what)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}.") from error
