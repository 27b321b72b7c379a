"""Rows and days that stand for all, evenly spaced over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skattn.utils import evenly


def spread(items: Sequence[np.ndarray], n_rows: int) -> list[np.ndarray]:
    """Choose days, evenly spaced, that together have about n_rows rows; at least one day."""
    n_all = sum(map(len, items))
    n_chosen = min(len(items), max(1, n_rows * len(items) // max(n_all, 1)))
    if n_chosen == 1:
        return [items[(len(items) - 1) // 2]]
    return [items[place] for place in evenly(len(items), n_chosen)]
