"""Warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings

# Packages whose frames may lie between the warning and the user's code.
BETWEEN = {"contextlib", "joblib", "skattn", "sklearn"}


def warn_user(message: str) -> None:
    """Issue a warning that points at the first caller outside skattn and scikit-learn.

    Parameters
    ----------
    message : str
        Text of the warning.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
