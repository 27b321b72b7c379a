"""The ground floor: (datetime, instrument) tables and lazily gathered windows."""

from skattn.panel._check import check_numeric, check_panel_input
from skattn.panel._dates import Day, dates_of, read_day
from skattn.panel._index import (
    align_y,
    check_index,
    days_of,
    instruments_of,
    level_codes,
)
from skattn.panel._layout import Layout, lay_out
from skattn.panel._long import from_long
from skattn.panel._reach import label_reach, resolve_purge
from skattn.panel._steps import Clip, DivideByLatest, Fill, Scale, Step, TakeFields
from skattn.panel._windows import WindowArray, build_windows

__all__ = [
    "Clip",
    "Day",
    "DivideByLatest",
    "Fill",
    "Layout",
    "Scale",
    "Step",
    "TakeFields",
    "WindowArray",
    "align_y",
    "build_windows",
    "check_index",
    "check_numeric",
    "check_panel_input",
    "dates_of",
    "days_of",
    "from_long",
    "instruments_of",
    "label_reach",
    "lay_out",
    "level_codes",
    "read_day",
    "resolve_purge",
]
