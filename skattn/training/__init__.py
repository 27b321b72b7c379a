"""What one fit is: batches, losses, callbacks and the skorch net that runs them."""

from skattn.training.batches import FitData, Samples
from skattn.training.holdout import chronological_holdout
from skattn.training.losses import LOSSES, MaskedLoss
from skattn.training.net import OPTIMIZERS, SequenceNet
from skattn.training.weights import freeze_parameters, load_weights

__all__ = [
    "LOSSES",
    "OPTIMIZERS",
    "FitData",
    "MaskedLoss",
    "Samples",
    "SequenceNet",
    "chronological_holdout",
    "freeze_parameters",
    "load_weights",
]
