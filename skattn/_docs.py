"""The documentation that every regressor shares, written once."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import TypeVar

TRAINING_PARAMETERS = """
loss : {"mse", "mae", "huber"} or callable, default="mse"
    What training minimises, over the labelled rows of a batch. A callable takes the predictions
    and the labels, tensors of shape (B,), and gives a scalar.
optimizer : {"adam", "adamw", "nadam", "rmsprop", "sgd"} or torch Optimizer class, default="adam"
    How.
lr : float, default=0.001
    Learning rate.
weight_decay : float, default=0.0
    The optimizer's weight decay.
batch_size : int, default=800
    Rows a step. The last batch of an epoch may be smaller; it is not dropped.
max_epochs : int, default=200
    Most passes over the training rows.
clip_value : float or None, default=3.0
    Every element of the gradients is clipped to [-clip_value, clip_value].
early_stopping : bool or "auto", default="auto"
    Hold out the last whole days (or take X_val, y_val), stop when ``monitor`` has not improved on
    them for ``n_iter_no_change`` epochs, and restore the weights of the best epoch. "auto" does so
    where the trading days are known or X_val is given. With True and unknown days, rows are taken
    to be in time order, each a day of its own.
validation_fraction : float, default=0.1
    Share of the labelled days to hold out, rounded up.
purge : int or "auto", default="auto"
    Days dropped before the held-out days, because their labels reach into them. "auto" takes what
    y tells in ``attrs["horizon"]``, as ``skattn.preprocessing.make_label`` writes it, else 2. X_val
    is taken as it is: keep it as many days away.
n_iter_no_change : int, default=20
    Epochs to wait for an improvement.
monitor : {"valid_loss", "valid_ic", "valid_rank_ic"}, default="valid_loss"
    What early stopping watches: the loss, or the mean daily (rank) information coefficient.
pretrained : path, state dict, fitted regressor or None, default=None
    Weights to start from. What matches by name and shape is loaded; a file is read as tensors
    and cannot run code. For searches, which clone parameters and unfit them, pass the state dict
    or a ``sklearn.frozen.FrozenEstimator``.
freeze : tuple of str, default=()
    Parts of the module whose weights are held as they are, such as ("rnn",).
checkpoint : path or None, default=None
    Directory where ``fit`` stores the end of every epoch. A fit that was killed and is run again
    goes on from there, to the bits that it would have had; one that had ended is given back, or
    goes on where ``max_epochs`` is raised and nothing had stopped it. Many fits may share the
    directory: each has a folder, named by its parameters and data, of which functions and classes
    count by name (changed code wants another directory). With random_state=None the stored seed
    stays. Of the callbacks, skorch's LRScheduler and EarlyStopping go on too; others begin anew.
    ``partial_fit`` does not use it.
warm_start : bool, default=False
    Whether ``fit`` goes on from the weights of the last one (with a new optimizer; ``pretrained``
    counts for the first).
random_state : int, RandomState or None, default=None
    Seeds weights, batches and dropout. None: other bits in each fit. The global generators of
    numpy and torch are left as they were found.
device : str, default="auto"
    "auto" is "cuda" where there is one, else "cpu"; or any torch device.
precision : {"float32", "bf16"}, default="float32"
    "bf16" runs the forward pass in bfloat16 where that is safe (torch autocast).
compile : bool, default=False
    Whether to train the module compiled by ``torch.compile``. Predictions are made by the module as
    it is, so that they do not depend on how it was compiled.
callbacks : list of skorch callbacks or None, default=None
    Called during training; they are cloned first. (scikit-learn's callbacks are set with
    ``set_callbacks``.)
verbose : int, default=0
    Above 0, print a line an epoch.
"""

TRAINING_ATTRIBUTES = """
net_ : skattn.training.SequenceNet
    The skorch net, with history, optimizer and callbacks.
module_ : torch.nn.Module
    The trained module.
history_ : DataFrame
    What skorch records by epoch: losses, duration (seconds), number of batches, best so far.
n_iter_ : int
    Epochs that were run.
n_features_in_ : int
    Features F of a window; columns of a 2-D X.
n_steps_in_ : int
    Steps T of a window.
feature_names_in_ : ndarray of str
    Names of the columns, where X is a DataFrame.
pretrained_report_ : Bunch
    Names of the weights that were loaded, missing and unexpected, where ``pretrained`` was given.
"""

Model = TypeVar("Model", bound=type)


def fill_training_docs(cls: Model) -> Model:
    """Put the shared texts where a class's docstring asks for them, with the class's defaults."""
    text = inspect.cleandoc(cls.__doc__ or "")
    defaults = {field.name: field.default for field in fields(cls)}
    for name, shared in (
        ("{training_parameters}", TRAINING_PARAMETERS),
        ("{training_attributes}", TRAINING_ATTRIBUTES),
    ):
        if name == "{training_parameters}":
            shared = re.sub(
                r"^(\w+)( : .*default=)\S+$",
                lambda line: f"{line[1]}{line[2]}{_quoted(defaults[line[1]])}",
                shared,
                flags=re.MULTILINE,
            )
        text = text.replace(name, shared.strip())
    cls.__doc__ = text
    return cls


def _quoted(default: object) -> str:
    return f'"{default}"' if isinstance(default, str) else repr(default)
