"""Reader of the concept files of qlib's HIST."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from skattn.qlib._files import check_file, check_path


def read_stock2concept(npy: str | os.PathLike, index_npy: str | os.PathLike) -> pd.DataFrame:
    """Read the concepts of each stock from the files of qlib's HIST.

    Parameters
    ----------
    npy : path
        File with a matrix (row x concept) of 0 and 1, such as ``qlib_csi300_stock2concept.npy``.
    index_npy : path
        File with the row of each instrument, such as ``qlib_csi300_stock_index.npy``: a pickled
        dict in an array, or the same dict as JSON.

    Returns
    -------
    concepts : DataFrame of float32 (instrument x concept)
        Table for ``HISTRegressor(concepts=...)``. The names of the concepts are their numbers.

    Raises
    ------
    pickle.UnpicklingError
        The index asks for objects that a dict of codes and numbers does not need. The requested
        objects are neither imported nor run. The error is also a ValueError.
    TypeError, FileNotFoundError
        ``npy`` or ``index_npy`` is not a path, or the file does not exist.
    ValueError
        A file is malformed, or a row lies outside the matrix.

    Notes
    -----
    qlib gives row 733 to a stock that is missing from the index. In the published file, this row
    belongs to another stock. ``HISTRegressor`` gives a missing stock no concept. Rows without an
    instrument are left out.

    Reading a pickle can run arbitrary code of its author. This function replaces even numpy's own
    classes by stand-ins that only store their arguments.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_hist.py``, ``HIST.fit``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skattn.qlib import read_stock2concept
    >>> home = Path(tempfile.mkdtemp())
    >>> np.save(home / "stock2concept.npy", np.array([[1, 0], [1, 1], [0, 0]]))
    >>> np.save(home / "stock_index.npy", {"SH600000": 1, "SZ000001": 0})
    >>> read_stock2concept(home / "stock2concept.npy", home / "stock_index.npy")
                  0    1
    instrument
    SH600000    1.0  1.0
    SZ000001    1.0  0.0
    """
    what = "the matrix of concepts"
    matrix = _read_matrix(check_file(check_path("npy", npy), what))
    what = "the row of each instrument"
    rows = _read_index(check_file(check_path("index_npy", index_npy), what))
    outside = {code: row for code, row in rows.items() if not 0 <= row < len(matrix)}
    if outside:
        code, row = next(iter(outside.items()))
        raise ValueError(
            f"{index_npy} gives {code!r} the row {row}, but {npy} has the rows 0 to "
            f"{len(matrix) - 1} ({len(outside)} rows outside in total)."
        )
    index = pd.Index(list(rows), name="instrument", dtype="str")
    return pd.DataFrame(matrix[list(rows.values())], index)


def _read_matrix(path: Path) -> np.ndarray:
    try:
        # A memory map: a damaged header may claim more memory than there is.
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        # A damaged header can raise anything.
        raise ValueError(f"{path} is not a matrix of numbers in .npy format: {error}") from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        got = getattr(matrix, "shape", type(matrix).__name__), getattr(matrix, "dtype", None)
        raise ValueError(f"{path} must hold a matrix of numbers (row x concept); got {got}.")
    if 0 in matrix.shape:
        raise ValueError(f"{path} must have at least one row and one concept; got {matrix.shape}.")
    matrix = matrix.astype(np.float32)
    if not (np.isfinite(matrix) & (matrix >= 0)).all():
        raise ValueError(f"{path} must hold 0 and 1, or weights; got negative or missing values.")
    return matrix


def _read_index(path: Path) -> dict[str, int]:
    with path.open("rb") as file:
        is_npy = file.read(6) == b"\x93NUMPY"
        file.seek(0)
        try:
            found = _read_pickled_dict(file) if is_npy else _read_json(file)
        except RefusedPickleError as error:
            raise RefusedPickleError(f"{path}: {error}") from None
        except Exception as error:
            # A broken pickle can raise anything.
            raise ValueError(
                f"{path} must hold a dict of instruments and rows, pickled in a .npy or as JSON: "
                f"{error!r}."
            ) from error
    is_dict = isinstance(found, dict) and len(found) > 0
    if not is_dict or not all(
        isinstance(code, str) and type(row) is int for code, row in found.items()
    ):
        raise ValueError(f"{path} must hold a dict of str (instrument) to int (row).")
    return found


def _read_json(file: BinaryIO) -> Any:
    def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} comes twice")
        return found

    return json.load(file, object_pairs_hook=no_key_twice)


def _read_pickled_dict(file: BinaryIO) -> Any:
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read_header(file)
    if shape != () or not dtype.hasobject:
        raise ValueError(f"an array of shape {shape} and type {dtype} instead of one object")
    array = _DictUnpickler(file).load()
    return array.state[-1][0]


class RefusedPickleError(pickle.UnpicklingError, ValueError):
    """A pickle asks for what a dict of instruments and rows does not need."""


class _Kept:
    """Stand-in for an array or a type that only stores its arguments."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: tuple = ()

    def __setstate__(self, state: tuple) -> None:
        self.state = state


def _whole_number(dtype: _Kept, raw: bytes) -> int:
    """Read a numpy integer, such as an element of np.arange."""
    kind = str(dtype.args[0])
    if kind[:1] not in ("i", "u"):
        raise RefusedPickleError(f"a row must be a whole number; got type {kind}.")
    return int.from_bytes(raw, "big" if dtype.state[1] == ">" else "little", signed=kind[:1] == "i")


class _DictUnpickler(pickle.Unpickler):
    """Unpickler of an array of one dict of plain objects; refuses everything else."""

    # numpy 2 moved these names from numpy.core to numpy._core.
    stand_ins = {
        ("numpy", "dtype"): _Kept,
        ("numpy", "ndarray"): _Kept,
        **{
            (f"numpy.{core}.multiarray", name): stand_in
            for core in ("core", "_core")
            for name, stand_in in (("_reconstruct", _Kept), ("scalar", _whole_number))
        },
    }

    def find_class(self, module: str, name: str) -> Any:
        """Give the stand-in for a numpy name."""
        try:
            return self.stand_ins[module, name]
        except KeyError:
            raise RefusedPickleError(
                f"the file asks for {module}.{name}, which a dict of instruments and rows does not "
                f"need. The request was refused. Do not load this file by other means."
            ) from None
