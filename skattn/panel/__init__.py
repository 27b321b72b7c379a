"""The basic layer: (datetime, instrument) tables and lazily gathered windows."""

from skattn.panel._build import build_windows
from skattn.panel._index import align_y, check_index, days_of, instruments_of
from skattn.panel._long import from_long
from skattn.panel._transforms import Clip, DivideByLatest, Fill, Scale, TakeFields, Transform
from skattn.panel._windows import WindowArray

__all__ = [
    "Clip",
    "DivideByLatest",
    "Fill",
    "Scale",
    "TakeFields",
    "Transform",
    "WindowArray",
    "align_y",
    "build_windows",
    "check_index",
    "days_of",
    "from_long",
    "instruments_of",
]
