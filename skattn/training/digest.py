"""The name under which a fit is stored: a digest of everything that its bits depend on."""

from __future__ import annotations

import pickle
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from joblib.hashing import NumpyHasher

from skattn.panel import WindowArray
from skattn.parameters import shown
from skattn.training.callbacks import is_of_optuna
from skattn.training.net import SequenceNet
from skattn.training.samples import FitData, Samples

# Parameters that do not change the bits of an epoch, or enter the digest in another way.
LEFT_OUT = {
    "checkpoint",
    "data_parallel",
    "device",
    "max_epochs",
    "pretrained",
    "purge",
    "random_state",
    "verbose",
    "warm_start",
}


class FitIdentity(NamedTuple):
    """What tells a fit from others: the class of the model, its parameters, loaded weights."""

    model: type
    parameters: Mapping[str, Any]
    loaded: Sequence[str] = ()


def fit_digest(identity: FitIdentity, net: SequenceNet, data: FitData) -> str:
    """Digest everything that determines the bits of a fit, except ``max_epochs``.

    Parameters
    ----------
    identity : FitIdentity
        Class and parameters. Functions and classes count by name: their code is not looked at.
    net : SequenceNet
        Before training: its kind of device, its seed where ``random_state`` fixes it, and the
        weights that do not come from the seed.
    data : FitData
        The rows.

    Returns
    -------
    digest : str
        32 hexadecimal digits.

    Raises
    ------
    ValueError
        A parameter cannot be pickled, such as a lambda.
    """
    start = net.module_.state_dict()
    if not net.history:
        start = {name: start[name] for name in identity.loaded}
    known = {
        "class": identity.model,
        "device": torch.device(net.device).type,
        "seed": None if identity.parameters["random_state"] is None else net.seed,
        "start": (len(net.history), start),
        "train": _parts(data.train),
        "valid": None if data.valid is None else _parts(data.valid),
    }
    if net.ranks is not None:
        known["processes"] = net.ranks.size
    digests = {name: _Hasher(coerce_mmap=True).hash(value) for name, value in known.items()}
    for name, value in identity.parameters.items():
        if name in LEFT_OUT:
            continue
        try:
            if name == "callbacks":
                value = [_settings_of(callback) for callback in value or ()]
            digests[f"parameter {name}"] = _Hasher(coerce_mmap=True).hash(value)
        except Exception as error:
            # Objects decide how they are pickled, and fail in ways of their own.
            why = error.args[0] if error.args else type(error).__name__
            raise ValueError(
                f"checkpoint tells fits apart by their parameters, but {name}={shown(value)} "
                f"cannot be pickled: {why}. Use functions and classes that a module defines."
            ) from error
    return _Hasher().hash(digests)


def facts_of_fit(
    identity: FitIdentity, net: SequenceNet, data: FitData, epochs: int
) -> dict[str, tuple[str, str]]:
    """Give what is the same in all processes that share a fit, each with its digest and its words.

    Parameters
    ----------
    identity : FitIdentity
        Class and parameters. Callbacks are not looked at: one process alone may report.
    net : SequenceNet
        Before training.
    data : FitData
        The rows.
    epochs : int
        Largest number of epochs to run.

    Returns
    -------
    facts : dict of str to (str, str)
    """
    model = identity.model
    known = {
        "the model": (f"{model.__module__}.{model.__qualname__}", model.__name__),
        "random_state (None draws another seed in each process)": (net.seed, f"seed {net.seed}"),
        "the rows to train on": _digest_and_size(data.train),
        "the rows held out": _digest_and_size(data.valid),
        "the weights to start from": (digest := digest_of_weights(net), f"digest {digest[:8]}"),
        "the epochs to run": (epochs, f"{epochs} after {len(net.history)}"),
    }
    facts = {name: (str(value), words) for name, (value, words) in known.items()}
    for name, value in identity.parameters.items():
        if name not in LEFT_OUT and name != "callbacks":
            try:
                digest = _Hasher(coerce_mmap=True).hash(value)
            except Exception:
                digest = type(value).__name__  # a lambda, which has no name of its own
            facts[f"parameter {name}"] = digest, shown(value)
    return facts


def digest_of_weights(net: SequenceNet) -> str:
    """Digest the weights and buffers of a net."""
    return _Hasher().hash(dict(net.module_.state_dict()))


def _digest_and_size(samples: Samples | None) -> tuple[str, str]:
    if samples is None:
        return "", "none"
    digest = _Hasher(coerce_mmap=True).hash(_parts(samples))
    return digest, f"{len(samples)} rows with the digest {digest[:8]}"


class _Hasher(NumpyHasher):
    """joblib's hash, with tensors hashed by value, and functions and classes by name.

    joblib hashes tensors by their address. It also imports functions by name, which fails in the
    processes of a search where a script defines the function.
    """

    def save(self, obj: Any) -> None:
        if isinstance(obj, torch.Tensor):
            flat = obj.detach().cpu().contiguous().reshape(-1)
            obj = ("tensor", str(obj.dtype), tuple(obj.shape), flat.view(torch.uint8).numpy())
        elif isinstance(obj, (type, types.FunctionType)):
            if "<" in obj.__qualname__:
                raise pickle.PicklingError(f"{obj.__qualname__} has no name of its own")
            obj = ("global", obj.__module__, obj.__qualname__)
        super().save(obj)


def _settings_of(callback: Any) -> Any:
    """Give what a callback was made with: what it collects or reports to is no part of the fit."""
    if isinstance(callback, tuple):
        return callback[0], _settings_of(callback[1])
    if isinstance(callback, type):
        return callback
    settings = callback.get_params(deep=False)
    return type(callback), {k: value for k, value in settings.items() if not is_of_optuna(value)}


def _parts(samples: Samples) -> tuple:
    """Give what determines the batches of some samples, in a form that is quick to hash."""
    X, days, instruments = samples.X, samples.days, samples.instruments
    if isinstance(X, WindowArray):
        # The index of X is hashed as days and instruments.
        windows: Any = X.parts()
    else:
        windows = np.ascontiguousarray(X)
    names: Any = None
    if instruments is not None:
        codes, unique = pd.factorize(instruments)
        names = codes, unique.tolist()
    return windows, samples.y, samples.weight, None if days is None else days.asi8, names
