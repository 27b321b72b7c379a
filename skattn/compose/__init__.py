"""Meta-estimators."""

from skattn.compose._cross_sectional_target import CrossSectionalTarget

__all__ = ["CrossSectionalTarget"]
