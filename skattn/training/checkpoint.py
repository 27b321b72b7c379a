"""Fits that outlive their process: the end of every epoch is stored, and a fit resumes there.

Any number of fits may share a directory. Each fit has a folder there, named by a digest of
everything that its bits depend on. The folder holds a folder for each epoch with two files:
``weights.safetensors``, and ``state.pt``, which is read as tensors and numbers, never as code.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from skorch.callbacks import Callback, EarlyStopping, LRScheduler, PassthroughScoring
from skorch.history import History
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from skattn.training.callbacks import StopTraining
from skattn.training.digest import FitIdentity, fit_digest
from skattn.training.net import SequenceNet
from skattn.training.samples import FitData

WEIGHTS, STATE = "weights.safetensors", "state.pt"
TEMPORARY = "tmp-"

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


def open_checkpoint(
    directory: str | os.PathLike | None,
    identity: FitIdentity,
    net: SequenceNet,
    data: FitData,
    max_epochs: int,
) -> Checkpoint | None:
    """Find what is stored of a fit, and load it.

    Parameters
    ----------
    directory : path or None
        Where fits are stored. None: the fit is not stored.
    identity : FitIdentity
        What tells the fit from others in the directory.
    net : SequenceNet
        Initialized, with the weights and history that the fit starts from. Where an epoch is
        stored, the net gets the weights and history of that epoch.
    data : FitData
        What the net will be trained on.
    max_epochs : int
        Epochs that the fit adds to the history of the net.

    Returns
    -------
    checkpoint : Checkpoint or None

    Raises
    ------
    ValueError
        The directory cannot be used, a parameter has no digest, or a stored epoch is damaged.
    """
    if directory is None:
        return None
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"checkpoint={str(directory)!r} is a file; it must be a directory.")
    folder = directory / f"{identity.model.__name__}-{fit_digest(identity, net, data)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"checkpoint={str(directory)!r} cannot be written to: {error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"checkpoint={str(directory)!r} cannot be written to: see {folder}.")
    return Checkpoint(folder, net, max_epochs)


class Checkpoint:
    """The stored epochs of one fit.

    The last epoch of a fit that ended stays, so that fits which differ in ``max_epochs`` alone find
    their own last epoch. Any other epoch is removed when a later epoch is stored.

    Parameters
    ----------
    folder : Path
        Folder of this fit alone.
    net : SequenceNet
        As for ``open_checkpoint``.
    epochs : int
        Number of epochs that the fit adds.
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

        This is no callback: when a callback ends training, skorch does not call the callbacks
        after it, and the stored state must be the state that all callbacks have left.
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
        """Restore the state that the beginning of training has reset."""
        state, self._state = self._state, None
        if state is None:
            return
        for callback, known in zip(_stateful(net), state["callbacks"], strict=True):
            if isinstance(callback, LRScheduler):
                callback.lr_scheduler_.load_state_dict(known)
            else:
                vars(callback).update(known)
        # A scheduler takes a step when it begins, which changes the optimizer.
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
            # With a row for each batch, every epoch would take longer to store than the last.
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
            # The same fit has begun in another process, and has removed the folder as a leftover.
            self._put(target, files)
        for epoch in self._epochs():
            if epoch.number < number and not epoch.last:
                _remove(epoch.folder)

    def _put(self, target: Path, files: Mapping[str, bytes]) -> None:
        """Make a folder of files, so that either the whole folder exists or nothing does."""
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
            # The same fit runs in another process, which has stored this epoch first.
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
            f"checkpoint: {path} is damaged ({why}). Delete the folder {self.folder} to train this "
            f"fit from its start."
        )


class _Epoch(NamedTuple):
    number: int
    last: bool
    folder: Path


def _stateful(net: SequenceNet) -> list[Callback]:
    """List skorch's callbacks that remember earlier epochs; the parameters fix their order."""
    kinds = (EarlyStopping, LRScheduler, PassthroughScoring)
    return [callback for _, callback in net.callbacks_ if isinstance(callback, kinds)]


def _state_of(callback: Callback) -> dict:
    if isinstance(callback, LRScheduler):
        return callback.lr_scheduler_.state_dict()
    return {name: value for name, value in vars(callback).items() if name.endswith("_")}


def _packed(state: dict) -> bytes:
    """Serialize the state, and refuse values that could not be read again."""
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
    """Remove a folder in one step, so that no process sees half of it."""
    away = folder.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):
        folder.rename(away)
        shutil.rmtree(away, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows does not open folders
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
