"""Tables in memory-mapped files."""

from __future__ import annotations

import mmap
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from skattn.parameters import InvalidParameterError, shown

# Places that are read or written between two times that pages are given back. The system maps a
# place with what lies around it: 64 KB, or up to 2 MB where the file is cached in large pieces.
PLACES = 32


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
    if find_map(table) is None:
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
        The table. Where it is no map, or a map whose changes are private, nothing is done.
    n_places : int
        Number of places, such as windows.
    """
    global _read
    mapped = find_map(table)
    # Giving back the pages of a private map ("c") would undo its changes.
    if mapped is None or mapped.mode == "c" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    _read += n_places
    if _read >= PLACES:
        _read = 0
        mapped.base.madvise(mmap.MADV_DONTNEED)  # type: ignore[union-attr]


def new_table(file: Any, shape: tuple[int, int], dtype: np.dtype) -> np.memmap:
    """Make a file of numpy's format with a table, which is mapped.

    Parameters
    ----------
    file : str or path
        Its name. It must end in .npy, and must not exist.
    shape : tuple of int
        Shape of the table.
    dtype : dtype
        Type of the values.

    Returns
    -------
    table : memmap of that shape, mode "r+"

    Raises
    ------
    InvalidParameterError
        ``file`` is no such name, or the file cannot be made.
    """
    if not isinstance(file, (str, Path)) or Path(file).suffix != ".npy":
        raise InvalidParameterError(f"file must be a path that ends in .npy; got {shown(file)}.")
    if Path(file).exists():
        raise InvalidParameterError(
            f"file must be a new file; {str(file)!r} exists. Windows may still read it: delete it, "
            f"or take another name."
        )
    n_bytes = shape[0] * shape[1] * dtype.itemsize
    try:
        free = shutil.disk_usage(Path(file).resolve().parent).free
        if n_bytes > free:
            # A map of a file that outgrows the disk ends the process, without an error.
            raise InvalidParameterError(
                f"file needs {n_bytes / 1e9:.2f} GB at {str(file)!r}, where {free / 1e9:.2f} GB "
                f"are free."
            )
        return np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
    except OSError as error:
        raise InvalidParameterError(f"file cannot be made at {str(file)!r}: {error}") from error
