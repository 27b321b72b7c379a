"""What one fit is: parameters, samples, batches, losses and the skorch net that runs them."""

from skattn.training.batches import Batches, DayBatches
from skattn.training.callbacks import MONITORS, EpochHooks, best_epoch, copy_callback
from skattn.training.checkpoint import open_checkpoint
from skattn.training.concepts import ConceptTable
from skattn.training.device import pick_device
from skattn.training.digest import FitIdentity, facts_of_fit
from skattn.training.fit import hold_out, make_net, run_epochs, trainable
from skattn.training.holdout import chronological_holdout
from skattn.training.losses import LOSSES, MaskedLoss
from skattn.training.module import ModuleContract, read_contract
from skattn.training.net import OPTIMIZERS, SequenceNet, dtype_of
from skattn.training.parameters import TrainingParameters, select_training_parameters
from skattn.training.predict import attention_maps, predict_rows
from skattn.training.ranks import joined
from skattn.training.samples import FitData, Samples
from skattn.training.seeding import draw_seed, lending, seeded
from skattn.training.side_inputs import SideInputs, check_side_inputs
from skattn.training.validation import (
    check_finite,
    check_sample_weight,
    make_samples,
    refuse_flat_windows,
    to_floats,
    warn_of_features,
    warn_of_lost_index,
)
from skattn.training.weights import freeze_parameters, load_weights

__all__ = [
    "LOSSES",
    "MONITORS",
    "OPTIMIZERS",
    "Batches",
    "ConceptTable",
    "DayBatches",
    "EpochHooks",
    "FitData",
    "FitIdentity",
    "MaskedLoss",
    "ModuleContract",
    "Samples",
    "SequenceNet",
    "SideInputs",
    "TrainingParameters",
    "attention_maps",
    "best_epoch",
    "check_finite",
    "check_sample_weight",
    "check_side_inputs",
    "chronological_holdout",
    "copy_callback",
    "draw_seed",
    "dtype_of",
    "facts_of_fit",
    "freeze_parameters",
    "hold_out",
    "joined",
    "lending",
    "load_weights",
    "make_net",
    "make_samples",
    "open_checkpoint",
    "pick_device",
    "predict_rows",
    "read_contract",
    "refuse_flat_windows",
    "run_epochs",
    "seeded",
    "select_training_parameters",
    "to_floats",
    "trainable",
    "warn_of_features",
    "warn_of_lost_index",
]
