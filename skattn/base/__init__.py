"""What the author of a model builds on: the base classes, parameters and side inputs."""

from skattn.base._cross_sectional import CrossSectionalRegressor
from skattn.base._regressor import SequenceRegressor
from skattn.parameters import parameter
from skattn.training import ConceptTable, SideInputs

__all__ = [
    "ConceptTable",
    "CrossSectionalRegressor",
    "SequenceRegressor",
    "SideInputs",
    "parameter",
]
