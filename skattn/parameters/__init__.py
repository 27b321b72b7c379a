"""Parameters that a class declares: default, allowed values and description in one place.

Regressors, transformers and splitters declare their parameters as annotated attributes. The
annotation says of what kind a value is, :func:`parameter` adds what is allowed and what it means.
"""

from dataclasses import MISSING

from skattn.parameters._allowed import InvalidParameterError, Parameter, check_value, shown
from skattn.parameters._arrays import as_array, as_floats, as_whole_numbers, check_lengths
from skattn.parameters._declared import (
    DeclaredParameters,
    check_parameters,
    parameter,
    parameters_of,
)
from skattn.parameters._limits import MAX_LAYERS, MAX_SIZE, MAX_WIDTH
from skattn.parameters._numbers import check_numbers, check_weights, count_columns, from_tensor
from skattn.parameters._summary import SummedUpParameters, summed_up
from skattn.parameters._tables import check_number_columns

__all__ = [
    "MAX_LAYERS",
    "MAX_SIZE",
    "MAX_WIDTH",
    "MISSING",
    "DeclaredParameters",
    "InvalidParameterError",
    "Parameter",
    "SummedUpParameters",
    "as_array",
    "as_floats",
    "as_whole_numbers",
    "check_lengths",
    "check_number_columns",
    "check_numbers",
    "check_parameters",
    "check_value",
    "check_weights",
    "count_columns",
    "from_tensor",
    "parameter",
    "parameters_of",
    "shown",
    "summed_up",
]
