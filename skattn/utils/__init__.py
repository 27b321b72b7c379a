"""Small tools shared by all packages of skattn."""

from skattn.utils._counts import round_up
from skattn.utils._plotting import check_axes, import_pyplot
from skattn.utils._tags import PanelRegressorTags, takes_unlabelled
from skattn.utils._warnings import warn_user

__all__ = [
    "PanelRegressorTags",
    "check_axes",
    "import_pyplot",
    "round_up",
    "takes_unlabelled",
    "warn_user",
]
