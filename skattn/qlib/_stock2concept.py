"""The files that qlib's HIST reads its concepts from."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from skattn.qlib._files import check_path


def read_stock2concept(npy: str | os.PathLike, index_npy: str | os.PathLike) -> pd.DataFrame:
    """Read which concepts each stock belongs to, as qlib keeps it for HIST.

    Parameters
    ----------
    npy : path
        A matrix (row x concept) of 0 and 1, such as ``qlib_csi300_stock2concept.npy``.
    index_npy : path
        The row of each instrument, such as ``qlib_csi300_stock_index.npy``: a pickled dict in an
        array, or the same dict as JSON.

    Returns
    -------
    concepts : DataFrame of float32 (instrument x concept)
        What ``HISTRegressor(concepts=...)`` takes. The concepts have no names but their number.

    Raises
    ------
    pickle.UnpicklingError
        The index asks for anything beyond what a dict of codes and numbers needs. Nothing of what
        it asks for is imported or run.
    TypeError, FileNotFoundError
        ``npy`` or ``index_npy`` is no path, or there is no such file.
    ValueError
        A file is not what it should be, or a row lies outside the matrix.

    Notes
    -----
    To a stock that the index does not have, qlib gives row 733, which in the published file is
    that of another stock; ``HISTRegressor`` has it in no concept. Rows that no instrument points
    to are left out.

    Reading a pickle can run any code that its author likes. Here, even numpy's own classes are
    replaced by stand-ins that only keep what they are given.

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
    matrix = _read_matrix(check_path("npy", npy))
    rows = _read_index(check_path("index_npy", index_npy))
    outside = {code: row for code, row in rows.items() if not 0 <= row < len(matrix)}
    if outside:
        code, row = next(iter(outside.items()))
        raise ValueError(
            f"{index_npy} gives {code!r} row {row}, and {npy} has the rows 0 to {len(matrix) - 1} "
            f"({len(outside)} such in all)."
        )
    index = pd.Index(list(rows), name="instrument", dtype="str")
    return pd.DataFrame(matrix[list(rows.values())], index)


def _read_matrix(path: Path) -> np.ndarray:
    try:
        matrix = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} is no matrix of numbers in .npy format: {error}") from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        got = getattr(matrix, "shape", type(matrix).__name__), getattr(matrix, "dtype", None)
        raise ValueError(f"{path} must hold a matrix of numbers (row x concept); got {got}.")
    if 0 in matrix.shape:
        raise ValueError(f"{path} must have a row and a concept at least; got {matrix.shape}.")
    matrix = matrix.astype(np.float32)
    if not (np.isfinite(matrix) & (matrix >= 0)).all():
        raise ValueError(f"{path} must hold 0 and 1, or weights; it has negative or missing ones.")
    return matrix


def _read_index(path: Path) -> dict[str, int]:
    with path.open("rb") as file:
        is_npy = file.read(6) == b"\x93NUMPY"
        file.seek(0)
        try:
            found = _read_pickled_dict(file) if is_npy else _read_json(file)
        except pickle.UnpicklingError as error:
            raise pickle.UnpicklingError(f"{path}: {error}") from None
        except Exception as error:
            # A broken pickle can raise anything.
            raise ValueError(
                f"{path} holds no dict of instruments and rows, pickled in a .npy or as JSON: "
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
        raise ValueError(f"an array of shape {shape} and type {dtype} in place of one object")
    array = _DictUnpickler(file).load()
    return array.state[-1][0]


class _Kept:
    """Stands for an array or a type: keeps what it is made of, and does nothing."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: tuple = ()

    def __setstate__(self, state: tuple) -> None:
        self.state = state


def _whole_number(dtype: _Kept, raw: bytes) -> int:
    """Read a number of numpy's, as np.arange gives them."""
    kind = str(dtype.args[0])
    if kind[:1] not in ("i", "u"):
        raise pickle.UnpicklingError(f"a row must be a whole number; one is of type {kind}.")
    return int.from_bytes(raw, "big" if dtype.state[1] == ">" else "little", signed=kind[:1] == "i")


class _DictUnpickler(pickle.Unpickler):
    """Reads an array of one dict of plain objects, and refuses whatever else is asked for."""

    # numpy 2 has moved what numpy 1 wrote.
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
        """Give the stand-in for one of numpy's names."""
        try:
            return self.stand_ins[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"the file asks for {module}.{name}, which a dict of instruments and rows has no "
                f"need of. It was not run. Do not load this file by other means."
            ) from None
