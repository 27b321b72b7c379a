"""Meta-estimators."""

from skattn.compose._cross_sectional_target import CrossSectionalTarget
from skattn.compose._learnt_concepts import LearntConcepts

__all__ = ["CrossSectionalTarget", "LearntConcepts"]
