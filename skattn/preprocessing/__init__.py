"""From prices to windows, and their scaling."""

from skattn.preprocessing._alpha360 import Alpha360
from skattn.preprocessing._reshape import SequenceReshaper
from skattn.preprocessing._robust import RobustZScore

__all__ = ["Alpha360", "RobustZScore", "SequenceReshaper"]
