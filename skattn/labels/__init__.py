"""Labels: how they are made, how far they look ahead, and what that asks of a split.

The attributes of a label (``label.attrs``) tell its ``reach``, the days ahead of the last price
that it is made of, its ``delay`` and its ``horizon``. In a table of several labels, ``reach`` and
``horizon`` may be dicts by column. Here they are written and read.
"""

from skattn.labels._check import check_labels
from skattn.labels._make import make_label
from skattn.labels._purge import (
    PURGE_BOUNDS,
    check_purge,
    label_ends,
    labelled_part,
    resolve_purge,
)
from skattn.labels._reach import holding_days, label_reach

__all__ = [
    "PURGE_BOUNDS",
    "check_labels",
    "check_purge",
    "holding_days",
    "label_ends",
    "label_reach",
    "labelled_part",
    "make_label",
    "resolve_purge",
]
