"""Warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings

# A warning of ours may be raised through these.
BETWEEN = {"contextlib", "joblib", "skattn", "sklearn"}


def warn_user(message: str) -> None:
    """Warn, as if from the first caller outside skattn and scikit-learn.

    Parameters
    ----------
    message : str
        The text.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
