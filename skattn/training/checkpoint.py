"""Fits that outlive their process: every epoch's end is stored, and a fit goes on from there.

A directory is shared by any number of fits. Each has a folder there, named by a digest of all that
its bits depend on, and in it a folder an epoch: ``weights.safetensors`` and ``state.pt``, which
holds the rest and is read as tensors and numbers, never as code.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import threading
import types
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from joblib.hashing import NumpyHasher
from safetensors import SafetensorError
from skorch.callbacks import Callback, EarlyStopping, LRScheduler, PassthroughScoring
from skorch.history import History
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from skattn.panel import WindowArray
from skattn.training.batches import FitData, Samples
from skattn.training.net import SequenceNet, StopTraining

WEIGHTS, STATE = "weights.safetensors", "state.pt"
TEMPORARY = "tmp-"

# What does not change the bits of an epoch, or is looked at in another way.
LEFT_OUT = {
    "checkpoint",
    "device",
    "max_epochs",
    "pretrained",
    "random_state",
    "verbose",
    "warm_start",
}

# What torch may read beside tensors and plain Python: the numbers and arrays of numpy that come
# into a history and into some schedulers.
_NUMPY = [
    np.dtype,
    np.ndarray,
    np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    *{type(np.dtype(code)) for code in np.typecodes["All"] if code != "O"},
]
_NUMPY_NAMES = {f"{allowed.__module__}.{allowed.__qualname__}" for allowed in _NUMPY}
# Torch's list of what may be read belongs to the process.
_reading = threading.Lock()


def open_checkpoint(estimator: Any, net: SequenceNet, data: FitData) -> Checkpoint | None:
    """Find what is stored of a fit, and load it.

    Parameters
    ----------
    estimator : SequenceRegressor
        Its ``checkpoint`` says where; None: nothing is stored.
    net : SequenceNet
        Initialized, with the weights and history that the fit starts from. Where an epoch is
        stored, it gets that one's.
    data : FitData
        What it will be trained on.

    Raises
    ------
    ValueError
        The directory cannot be used, a parameter has no digest, or a stored epoch is damaged.
    """
    if estimator.checkpoint is None:
        return None
    directory = Path(estimator.checkpoint)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"checkpoint={str(directory)!r} is a file; it must be a directory.")
    folder = directory / f"{type(estimator).__name__}-{fit_digest(estimator, net, data)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"checkpoint={str(directory)!r} cannot be written to: {error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"checkpoint={str(directory)!r} cannot be written to: see {folder}.")
    return Checkpoint(folder, net, estimator.max_epochs)


class Checkpoint:
    """The stored epochs of one fit.

    The last epoch of a fit that ended stays, so that fits which differ in ``max_epochs`` alone all
    find theirs; other epochs go when a later one is there.

    Parameters
    ----------
    folder : Path
        Of this fit alone.
    net : SequenceNet
        As for ``open_checkpoint``.
    epochs : int
        How many the fit has in all.
    """

    def __init__(self, folder: Path, net: SequenceNet, epochs: int) -> None:
        self.folder = folder
        self.end = len(net.history) + epochs
        for leftover in folder.glob(f"{TEMPORARY}*"):
            _remove(leftover)
        self._state = self._load(net)

    def epochs_left(self, net: SequenceNet) -> int:
        """Count the epochs that are still to be run."""
        stopped = self._state is not None and self._state["stopped"]
        return 0 if stopped else self.end - len(net.history)

    def fit_loop(self, net: SequenceNet, data: FitData, epochs: int) -> None:
        """Run epochs and store the end of each.

        Not a callback: those that come after one that ends training are not called, and the state
        to be stored is the one that all of them have left.
        """
        self._resume(net)
        for _ in range(epochs):
            try:
                net.fit_loop(data, epochs=1)
            except StopTraining:
                self._write(net, stopped=True)
                raise
            self._write(net, stopped=False)

    def _load(self, net: SequenceNet) -> dict | None:
        """Load the newest epoch that is no later than this fit's last."""
        while known := [epoch for epoch in self._epochs() if epoch.number <= self.end]:
            folder = max(known).folder
            try:
                weights, state = self._read(folder / WEIGHTS), self._read(folder / STATE)
            except FileNotFoundError as error:
                if folder.exists():
                    raise self._damaged(Path(error.filename), error) from error
                continue  # the same fit, in another process, is an epoch further
            try:
                net.module_.load_state_dict(weights)
                # Before training begins: schedulers look for their marks in the optimizer.
                net.optimizer_.load_state_dict(state["optimizer"])
                net.history, net.seed = History(state["history"]), state["seed"]
            except (RuntimeError, ValueError, KeyError, TypeError) as error:
                raise self._damaged(folder, error) from error
            return state
        return None

    def _resume(self, net: SequenceNet) -> None:
        """Bring back what the beginning of training resets."""
        state, self._state = self._state, None
        if state is None:
            return
        for callback, known in zip(_stateful(net), state["callbacks"], strict=True):
            if isinstance(callback, LRScheduler):
                callback.lr_scheduler_.load_state_dict(known)
            else:
                vars(callback).update(known)
        # A scheduler that begins takes a step.
        net.optimizer_.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"]["cpu"])
        if "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"], net.device)

    def _write(self, net: SequenceNet, *, stopped: bool) -> None:
        """Store the end of an epoch."""
        number = len(net.history)
        last = stopped or number >= self.end
        # Copies: safetensors refuses weights that share memory.
        weights = {
            name: value.cpu().contiguous().clone()
            for name, value in net.module_.state_dict().items()
        }
        random = {"cpu": torch.get_rng_state()}
        if torch.device(net.device).type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(net.device)
        state = {
            "stopped": stopped,
            "seed": net.seed,
            # A row a batch would make each epoch slower to store than the one before.
            "history": [{**row, "batches": []} for row in net.history],
            "optimizer": net.optimizer_.state_dict(),
            "callbacks": [_state_of(callback) for callback in _stateful(net)],
            "random": random,
        }
        files = {WEIGHTS: safetensors.torch.save(weights), STATE: _packed(state)}
        target = self.folder / f"epoch-{number:04d}{'-last' if last else ''}"
        try:
            self._put(target, files)
        except FileNotFoundError:
            # The same fit begins in another process and has taken the folder for a leftover.
            self._put(target, files)
        for epoch in self._epochs():
            if epoch.number < number and not epoch.last:
                _remove(epoch.folder)

    def _put(self, target: Path, files: Mapping[str, bytes]) -> None:
        """Make a folder of files so that it is there whole or not at all."""
        making = self.folder / f"{TEMPORARY}{uuid.uuid4().hex}"
        making.mkdir(parents=True)
        for name, content in files.items():
            with (making / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync(making)
        try:
            making.rename(target)
        except OSError:
            if not target.exists():
                raise
            # The same fit runs in another process, which was here first.
            _remove(making)
        _sync(self.folder)

    def _epochs(self) -> Iterator[_Epoch]:
        for folder in self.folder.iterdir():
            if name := re.fullmatch(r"epoch-(\d+)(-last)?", folder.name):
                yield _Epoch(int(name[1]), bool(name[2]), folder)

    def _read(self, path: Path) -> Any:
        content = path.read_bytes()
        try:
            if path.name == WEIGHTS:
                return safetensors.torch.load(content)
            with _reading, safe_globals(_NUMPY):
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (
            SafetensorError,
            pickle.UnpicklingError,
            RuntimeError,
            EOFError,
            ValueError,
            KeyError,
        ) as error:
            raise self._damaged(path, error) from error

    def _damaged(self, path: Path, error: Exception) -> ValueError:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        return ValueError(
            f"checkpoint: {path} cannot be gone on from ({why}). Delete the folder {self.folder} "
            f"to train this fit from its start."
        )


class _Epoch(NamedTuple):
    number: int
    last: bool
    folder: Path


def _stateful(net: SequenceNet) -> list[Callback]:
    """Callbacks of skorch that remember earlier epochs, in an order that the parameters fix."""
    kinds = (EarlyStopping, LRScheduler, PassthroughScoring)
    return [callback for _, callback in net.callbacks_ if isinstance(callback, kinds)]


def _state_of(callback: Callback) -> dict:
    if isinstance(callback, LRScheduler):
        return callback.lr_scheduler_.state_dict()
    return {name: value for name, value in vars(callback).items() if name.endswith("_")}


def _packed(state: dict) -> bytes:
    """Serialize, and refuse what could not be read again."""
    file = io.BytesIO()
    try:
        torch.save(state, file)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(f"checkpoint cannot store the state of this fit: {error}") from error
    file.seek(0)
    refused = sorted(set(get_unsafe_globals_in_checkpoint(file)) - _NUMPY_NAMES)
    if refused:
        raise TypeError(
            f"checkpoint stores tensors, arrays and plain Python values; the optimizer, a "
            f"scheduler or the history holds {', '.join(refused)}."
        )
    return file.getvalue()


def _remove(folder: Path) -> None:
    """Take a folder away at once, so that none sees half of it."""
    away = folder.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):
        folder.rename(away)
        shutil.rmtree(away, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Have the names in a folder written to the disk."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows does not open folders
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fit_digest(estimator: Any, net: SequenceNet, data: FitData) -> str:
    """Digest of all that determines the bits of a fit, ``max_epochs`` aside.

    Parameters
    ----------
    estimator : SequenceRegressor
        Its class and parameters. Functions and classes count by name: their code is not looked at.
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
        given = estimator.pretrained is not None
        names = estimator.pretrained_report_.loaded if given else ()
        start = {name: start[name] for name in names}
    known = {
        "class": type(estimator),
        "device": torch.device(net.device).type,
        "seed": None if estimator.random_state is None else net.seed,
        "start": (len(net.history), start),
        "train": _parts(data.train),
        "valid": None if data.valid is None else _parts(data.valid),
    }
    digests = {name: _Hasher(coerce_mmap=True).hash(value) for name, value in known.items()}
    for name, value in estimator.get_params(deep=False).items():
        if name in LEFT_OUT:
            continue
        try:
            digests[f"parameter {name}"] = _Hasher(coerce_mmap=True).hash(value)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"checkpoint tells fits apart by their parameters, but {name}={value!r} cannot be "
                f"pickled: {error.args[0]}. Use functions and classes that a module defines."
            ) from error
    return _Hasher().hash(digests)


class _Hasher(NumpyHasher):
    """joblib's hash, of tensors by value, and of functions and classes by name.

    joblib's own hashes tensors by their address and looks functions up, which fails in the
    processes of a search for those that a script defines.
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


def _parts(samples: Samples) -> tuple:
    """What determines the batches of some samples, in a form that is quick to hash."""
    X, days, instruments = samples.X, samples.days, samples.instruments
    if isinstance(X, WindowArray):
        # Its index is in the days and instruments.
        windows: Any = {name: value for name, value in vars(X).items() if name != "index"}
    else:
        windows = np.ascontiguousarray(X)
    names: Any = None
    if instruments is not None:
        codes, unique = pd.factorize(instruments)
        names = codes, unique.tolist()
    return windows, samples.y, None if days is None else days.asi8, names
