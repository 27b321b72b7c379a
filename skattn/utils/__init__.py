"""Small tools shared by all packages of skattn."""

from skattn.utils._counts import round_up
from skattn.utils._plotting import (
    COLORS,
    SEQUENTIAL,
    axes_to_draw,
    check_axes,
    date_axis,
    import_pyplot,
    legend_below,
    line_style,
    plain,
    set_title,
    split_axes,
)
from skattn.utils._tags import PanelRegressorTags, takes_unlabelled
from skattn.utils._warnings import warn_user

__all__ = [
    "COLORS",
    "SEQUENTIAL",
    "PanelRegressorTags",
    "axes_to_draw",
    "check_axes",
    "date_axis",
    "import_pyplot",
    "legend_below",
    "line_style",
    "plain",
    "round_up",
    "set_title",
    "split_axes",
    "takes_unlabelled",
    "warn_user",
]
