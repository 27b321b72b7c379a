"""Transformers from prices to features and windows, scalers, and clusters of stocks."""

from skattn.preprocessing._alpha158 import Alpha158
from skattn.preprocessing._alpha360 import Alpha360
from skattn.preprocessing._base import PanelTransformer
from skattn.preprocessing._clusters import CorrelationClusters
from skattn.preprocessing._cross_section import METHODS, CrossSectionalScaler, scale_within_days
from skattn.preprocessing._reshape import SequenceReshaper
from skattn.preprocessing._robust import RobustZScore
from skattn.preprocessing._window import RollingWindow

__all__ = [
    "METHODS",
    "Alpha158",
    "Alpha360",
    "CorrelationClusters",
    "CrossSectionalScaler",
    "PanelTransformer",
    "RobustZScore",
    "RollingWindow",
    "SequenceReshaper",
    "scale_within_days",
]
