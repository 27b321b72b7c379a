"""From prices to windows, and their scaling."""

from skattn.preprocessing._alpha158 import Alpha158
from skattn.preprocessing._alpha360 import Alpha360
from skattn.preprocessing._cross_section import CrossSectionalScaler
from skattn.preprocessing._cross_section_target import CrossSectionalTarget
from skattn.preprocessing._label import make_label
from skattn.preprocessing._reshape import SequenceReshaper
from skattn.preprocessing._robust import RobustZScore
from skattn.preprocessing._window import RollingWindow

__all__ = [
    "Alpha158",
    "Alpha360",
    "CrossSectionalScaler",
    "CrossSectionalTarget",
    "RobustZScore",
    "RollingWindow",
    "SequenceReshaper",
    "make_label",
]
