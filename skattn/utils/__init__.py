"""Small tools shared by all packages of skattn."""

from skattn.utils._counts import evenly, round_up
from skattn.utils._jobs import check_jobs
from skattn.utils._plotting import (
    CHARACTER,
    COLORS,
    SEQUENTIAL,
    axes_to_draw,
    check_axes,
    date_axis,
    import_pyplot,
    ink,
    legend_below,
    line_style,
    plain,
    set_label,
    set_title,
    shades,
    shorten,
    size_in_points,
    split_axes,
)
from skattn.utils._row_params import rows_of_params
from skattn.utils._tags import PanelRegressorTags, takes_unlabelled
from skattn.utils._warm_start import warm_start_parameter
from skattn.utils._warnings import warn_user

__all__ = [
    "CHARACTER",
    "COLORS",
    "SEQUENTIAL",
    "PanelRegressorTags",
    "axes_to_draw",
    "check_axes",
    "check_jobs",
    "date_axis",
    "evenly",
    "import_pyplot",
    "ink",
    "legend_below",
    "line_style",
    "plain",
    "round_up",
    "rows_of_params",
    "set_label",
    "set_title",
    "shades",
    "shorten",
    "size_in_points",
    "split_axes",
    "takes_unlabelled",
    "warm_start_parameter",
    "warn_user",
]
