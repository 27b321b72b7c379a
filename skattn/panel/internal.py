"""Internal helpers for skattn's own packages; they may change without notice."""

from skattn.panel._check import check_numeric, check_panel_input
from skattn.panel._dates import Day, dates_of, read_day
from skattn.panel._fields import OHLCV_FIELDS, rename_hint
from skattn.panel._index import index_of, level_codes
from skattn.panel._kind import check_input_kind, input_kind, is_long
from skattn.panel._layout import Layout, lay_out
from skattn.panel._read_dates import read_dates
from skattn.panel._windows import MAX_LENGTH

__all__ = [
    "MAX_LENGTH",
    "OHLCV_FIELDS",
    "Day",
    "Layout",
    "check_input_kind",
    "check_numeric",
    "check_panel_input",
    "dates_of",
    "index_of",
    "input_kind",
    "is_long",
    "lay_out",
    "level_codes",
    "read_dates",
    "read_day",
    "rename_hint",
]
