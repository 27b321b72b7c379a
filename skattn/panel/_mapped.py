"""Tables in memory-mapped files."""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from skattn.parameters import InvalidParameterError, shown

# Places that are read or written between two times that pages are given back. The system maps a
# place with what lies around it: 64 KB, or up to 2 MB where the file is cached in large pieces.
PLACES = 32
# Bytes of a map up to which no page is given back: joblib sends workers such maps of small tables,
# from which batches are gathered several times as fast.
SMALL = 2**28


def find_map(array: np.ndarray) -> np.memmap | None:
    """Find the memory map whose bytes an array shows, or None.

    Parameters
    ----------
    array : ndarray
        Array, possibly a view.

    Returns
    -------
    mapped : memmap or None
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and isinstance(base.base, mmap.mmap):
            return base
        base = base.base
    return None


def take_rows(table: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Take rows of a table by their numbers, from a map a few at a time.

    Parameters
    ----------
    table : ndarray of shape (R, F)
        The table.
    positions : ndarray of int, shape (B, L)
        Numbers of the rows. Rows that stand side by side are taken to be near to each other.

    Returns
    -------
    rows : ndarray of shape (B, L, F)
    """
    if _large_map(table) is None:
        return table.take(positions, axis=0)
    rows = np.empty((*positions.shape, table.shape[1]), table.dtype)
    for first in range(0, len(positions), PLACES):
        part = positions[first : first + PLACES]
        rows[first : first + PLACES] = table.take(part, axis=0)
        give_back(table, len(part))
    return rows


# Places that were read since pages were given back.
_read = 0


def give_back(table: np.ndarray, n_places: int) -> None:
    """Count places of a table that were read or written, and give a map's pages back in time.

    The system counts a page that was read among the memory of the process for as long as there is
    room. Pages that are given back stay in the system's cache, from where they come back quickly.

    Parameters
    ----------
    table : ndarray
        The table. Where it is no map, a small one, or one whose changes are private, nothing is
        done.
    n_places : int
        Number of places, such as windows.
    """
    global _read
    mapped = _large_map(table)
    if mapped is None:
        return
    _read += n_places
    if _read >= PLACES:
        _read = 0
        mapped.base.madvise(mmap.MADV_DONTNEED)  # type: ignore[union-attr]


def _large_map(table: np.ndarray) -> np.memmap | None:
    """Find the map of a table, if pages of it are to be given back."""
    mapped = find_map(table)
    # Giving back the pages of a private map ("c") would undo its changes.
    if mapped is None or mapped.nbytes <= SMALL or mapped.mode == "c":
        return None
    return mapped if hasattr(mmap, "MADV_DONTNEED") else None


@contextmanager
def new_file(file: Any, n_bytes: int) -> Iterator[str]:
    """Make a file for a table; where its block fails, the file is deleted.

    Parameters
    ----------
    file : str or path
        Its name. It must end in .npy, and must not exist.
    n_bytes : int
        Bytes of the table.

    Yields
    ------
    name : str

    Raises
    ------
    InvalidParameterError
        ``file`` is no such name, or the file cannot be made.
    """
    name = os.fspath(file) if isinstance(file, os.PathLike) else file
    if not isinstance(name, str) or not name.endswith(".npy"):
        raise InvalidParameterError(f"file must be a path that ends in .npy; got {shown(file)}.")
    try:
        free = shutil.disk_usage(Path(name).resolve().parent).free
    except (OSError, ValueError) as error:  # ValueError: a byte 0 in the name
        raise InvalidParameterError(f"file cannot be made at {name!r}: {error}") from error
    if n_bytes > free:
        # A map of a file that outgrows the disk ends the process, without an error.
        raise InvalidParameterError(
            f"file needs {n_bytes / 1e9:.2f} GB at {name!r}, where {free / 1e9:.2f} GB are free."
        )
    try:
        Path(name).open("xb").close()
    except FileExistsError as error:
        raise InvalidParameterError(
            f"file must be a new file; {name!r} exists. Windows may still read it: delete it, or "
            f"take another name."
        ) from error
    except OSError as error:
        raise InvalidParameterError(f"file cannot be made at {name!r}: {error}") from error
    try:
        yield name
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
