"""How the epochs of a fit are stored: each in one file, which is whole or absent.

A file begins with a SHA-256 of its name and its content, so that a change of any bit is found
before anything is read. A file is written under another name and moved, so that a process that dies
leaves the epochs before as they were. The content is tensors and plain values, never code.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from skattn.parameters import shown

TEMPORARY = "tmp-"
DIGEST_BYTES = hashlib.sha256().digest_size
# Every equal fit that begins may take the file that another is writing for a leftover.
ATTEMPTS = 20

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
_reading = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child must not begin with a lock that a thread of its parent holds.
    os.register_at_fork(
        before=_reading.acquire, after_in_parent=_reading.release, after_in_child=_reading.release
    )


class DamagedEpoch(Exception):  # noqa: N818 - the fit goes on without the epoch
    """The bits of a stored epoch are not those that were written."""


class StoredEpoch(NamedTuple):
    """A stored epoch: its number, whether a fit ended with it, its file."""

    number: int
    last: bool
    path: Path


class EpochFiles:
    """The stored epochs of one fit.

    Equal fits may use the folder at once: they store the same epochs, and each file that one moves
    to its place takes the place of another's as a whole.

    Parameters
    ----------
    directory : str or path
        Directory of many fits, which is made where it is absent.
    name : str
        Name of the folder of this fit alone.

    Raises
    ------
    ValueError
        The directory cannot be made, read or written to.
    """

    def __init__(self, directory: str | os.PathLike, name: str) -> None:
        given = os.fsdecode(directory)
        if not given:
            raise ValueError(
                "checkpoint='' names no directory. None stores nothing, '.' stores in the working "
                "directory."
            )
        try:
            # Absolute: a callback may change the working directory.
            home = Path(given).absolute()
            if os.path.lexists(home) and not home.is_dir():
                raise NotADirectoryError("a file is there, or a link to nothing")
            self.folder = home / name
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError("no permission to read and write there")
        except (OSError, ValueError) as error:  # ValueError: a character that no path may have
            why = getattr(error, "strerror", None) or error
            raise ValueError(
                f"checkpoint={shown(given)} cannot hold the folder {name} of this fit: {why}"
            ) from error

    def list(self) -> list[StoredEpoch]:
        """List the stored epochs, the newest first.

        Returns
        -------
        epochs : list of StoredEpoch

        Raises
        ------
        ValueError
            The folder cannot be read.
        """
        try:
            names = os.listdir(self.folder)
        except OSError as error:
            raise self._unreadable(self.folder, error) from error
        found = [(re.fullmatch(r"epoch-(\d+)(-last)?\.state", name), name) for name in names]
        epochs = [
            StoredEpoch(int(match[1]), bool(match[2]), self.folder / name)
            for match, name in found
            if match
        ]
        return sorted(epochs, reverse=True)

    def remove_leftovers(self) -> None:
        """Remove what processes that died have left half written.

        An equal fit that lives, and loses a file so, writes it again.
        """
        for leftover in self.folder.glob(f"{TEMPORARY}*"):
            with suppress(OSError):
                leftover.unlink()

    def read(self, epoch: StoredEpoch) -> Any:
        """Read an epoch.

        Parameters
        ----------
        epoch : StoredEpoch
            One of those listed.

        Returns
        -------
        state : object
            What ``write`` was given, if skattn wrote the file.

        Raises
        ------
        DamagedEpoch
            The bits have changed since they were written.
        FileNotFoundError
            An equal fit has removed the epoch.
        ValueError
            The file cannot be opened, or holds more than tensors and plain values.
        """
        path = epoch.path
        try:
            content = path.read_bytes()
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
                raise
            raise self._unreadable(path, error) from error
        packed = memoryview(content)[DIGEST_BYTES:]
        if content[:DIGEST_BYTES] != self._digest(path.name, packed):
            raise DamagedEpoch(path)
        try:
            with _reading, safe_globals(_NUMPY):
                return torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
        except Exception as error:
            # Nothing but torch's reader has run, and it raises errors of many kinds.
            raise self.unusable(path, error) from error

    def write(self, number: int, state: dict, *, last: bool) -> None:
        """Store an epoch, and remove those that no fit needs any more.

        The epoch before stays, should this one be damaged; so do epochs with which fits ended.

        Parameters
        ----------
        number : int
            Number of the epoch.
        state : dict
            Tensors, arrays and plain values.
        last : bool
            Whether a fit ends with the epoch.

        Raises
        ------
        ValueError
            The file cannot be written. Epochs stored before are as they were.
        TypeError
            The state holds something that could not be read again.
        """
        name = f"epoch-{number:04d}{'-last' if last else ''}.state"
        packed = _packed(state)
        try:
            self._put(name, self._digest(name, packed), packed)
        except OSError as error:
            with suppress(OSError):
                self.folder.rmdir()  # where nothing is stored
            raise ValueError(
                f"checkpoint: epoch {number} cannot be stored in {self.folder}: {error}. Epochs "
                f"stored before are whole, and the same fit goes on from the last of them."
            ) from error
        with suppress(ValueError):  # somebody has removed the folder
            for epoch in self.list():
                if epoch.number < number - 1 and not epoch.last:
                    with suppress(OSError):
                        epoch.path.unlink()

    def unusable(self, path: Path, error: Exception | str) -> ValueError:
        """Make the error for a file that is whole, but is not the state of this fit.

        Parameters
        ----------
        path : Path
            The file.
        error : Exception or str
            What is wrong.

        Returns
        -------
        error : ValueError
        """
        kind = f"{type(error).__name__}: " if isinstance(error, Exception) else ""
        why = (str(error).splitlines() or [""])[0]
        return ValueError(
            f"checkpoint: {path} is not the state of this fit ({kind}{why}). Delete the folder "
            f"{self.folder} to train this fit from its start."
        )

    def _unreadable(self, path: Path, error: OSError) -> ValueError:
        return ValueError(
            f"checkpoint: {path} cannot be read: {error.strerror}. Make it readable, or delete it "
            f"to go on without it."
        )

    def _digest(self, name: str, content: bytes | memoryview) -> bytes:
        """Digest of the content and of where it belongs: a renamed file is no other epoch."""
        digest = hashlib.sha256(f"{self.folder.name}/{name}\n".encode())
        digest.update(content)
        return digest.digest()

    def _put(self, name: str, *parts: bytes | memoryview) -> None:
        """Make a file, or replace it, so that either the whole file is there or nothing is."""
        for attempts_left in reversed(range(ATTEMPTS)):
            self.folder.mkdir(parents=True, exist_ok=True)
            making = self.folder / f"{TEMPORARY}{uuid.uuid4().hex}"
            try:
                with making.open("xb") as file:
                    file.writelines(parts)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(making, self.folder / name)
                break
            except FileNotFoundError:
                # An equal fit has begun and has removed the file as a leftover, or the folder has
                # been removed.
                if not attempts_left:
                    raise
            finally:
                with suppress(OSError):
                    making.unlink()
        _sync(self.folder)


def _packed(state: dict) -> memoryview:
    """Serialize the state, and refuse values that could not be read again."""
    file = io.BytesIO()
    try:
        torch.save(state, file)
    except Exception as error:
        # Objects decide how they are pickled, and fail in ways of their own.
        raise TypeError(f"checkpoint cannot store the state of this fit: {error!r}") from error
    file.seek(0)
    refused = sorted(set(get_unsafe_globals_in_checkpoint(file)) - _NUMPY_NAMES)
    if refused:
        raise TypeError(
            f"checkpoint stores tensors, arrays and plain Python values; the optimizer, a "
            f"scheduler or the history holds {', '.join(refused)}."
        )
    return file.getbuffer()


def _sync(folder: Path) -> None:
    """Write the names in a folder to the disk, where the system can."""
    # Windows does not open folders, and some file systems do not sync them. Without the sync the
    # epoch before may be the newest after a loss of power.
    with suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
