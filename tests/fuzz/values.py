"""Hostile values by kind: what users pass by mistake, and what tries to break a check."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import torch

from skattn.panel import WindowArray

KEYS = ["datetime", "instrument"]


class Text(str):
    """A subclass of str."""


class BrokenRepr:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class BrokenEq:
    """An object that cannot be compared."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no eq")


# Every value is made anew for each case: a generator is used up, a list may be changed.
SCALARS: dict[str, Callable[[], Any]] = {
    "True": lambda: True,
    "False": lambda: False,
    "np.True_": lambda: np.True_,
    "np.int64": lambda: np.int64(2),
    "np.float32": lambda: np.float32(0.5),
    "np.uint8": lambda: np.uint8(200),
    "0-d": lambda: np.array(2),
    "-1": lambda: -1,
    "0": lambda: 0,
    "0.5": lambda: 0.5,
    "2**31-1": lambda: 2**31 - 1,
    "2**31": lambda: 2**31,
    "2**63": lambda: 2**63,
    "10**30": lambda: 10**30,
    "10**400": lambda: 10**400,
    "1e300": lambda: 1e300,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "None": lambda: None,
    "empty str": lambda: "",
    "auto": lambda: "auto",
    "str": lambda: "no such thing",
    "str subclass": lambda: Text("auto"),
    "surrogate": lambda: "\ud800",
    "bytes": lambda: b"x",
    "[]": list,
    "[2]": lambda: [2],
    "[None]": lambda: [None],
    "()": lambda: (),
    "{}": dict,
    "{'a': 1}": lambda: {"a": 1},
    "set": lambda: {1, 2},
    "nested": lambda: [[1, [2, 3]], "a"],
    "object": object,
    "lambda": lambda: lambda: None,
    "class": lambda: int,
    "module": lambda: sys,
    "pd.NA": lambda: pd.NA,
    "pd.NaT": lambda: pd.NaT,
    "Timestamp": lambda: pd.Timestamp("2024-01-02"),
    "Timedelta": lambda: pd.Timedelta("1D"),
    "Decimal": lambda: Decimal("0.5"),
    "Decimal sNaN": lambda: Decimal("sNaN"),
    "Fraction": lambda: Fraction(1, 2),
    "complex": lambda: 1j,
    "broken repr": BrokenRepr,
    "broken eq": BrokenEq,
    "generator": lambda: (i for i in range(3)),
    "tensor": lambda: torch.tensor(2.0, requires_grad=True),
}


def _polars(table: Any, lazy: bool = False) -> Any:
    pl = __import__("polars")
    made = pl.DataFrame({f"c{i}": np.asarray(c) for i, c in enumerate(np.asarray(table).T)})
    return made.lazy() if lazy else made


def _arrow(table: Any) -> Any:
    return __import__("pyarrow").table(
        {f"c{i}": np.asarray(column) for i, column in enumerate(np.asarray(table).T)}
    )


def _with_value(values: Any, value: Any, dtype: Any = None) -> Any:
    made = np.array(values, dtype=dtype)
    made[(0,) * made.ndim] = value
    return made


# Of an array of any number of dimensions whose first axis is the rows.
ARRAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "empty": lambda a: a[:0],
    "one row": lambda a: a[:1],
    "a row less": lambda a: a[1:],
    "all NaN": lambda a: np.full(a.shape, np.nan),
    "one inf": lambda a: _with_value(a, np.inf),
    "1e300": lambda a: _with_value(a, 1e300),
    "all 1e300": lambda a: np.full(a.shape, 1e300),
    "object": lambda a: a.astype(object),
    "object with None": lambda a: _with_value(a, None, object),
    "object with str": lambda a: _with_value(a, "a", object),
    "object with NA": lambda a: _with_value(a, pd.NA, object),
    "object with list": lambda a: [*list(a[:-1]), [1, 2, 3]],
    "object with broken repr": lambda a: _with_value(a, BrokenRepr(), object),
    "strings": lambda a: a.astype(str),
    "bytes": lambda a: np.full(a.shape, b"x"),
    "complex": lambda a: a + 1j,
    "dates": lambda a: np.full(a.shape, np.datetime64("2024-01-02", "ns")),
    "durations": lambda a: np.full(a.shape, np.timedelta64(1, "D")),
    "structured": lambda a: np.zeros(a.shape, dtype=[("x", float), ("y", int)]),
    "float16": lambda a: a.astype(np.float16),
    "longdouble": lambda a: a.astype(np.longdouble),
    "int8": lambda a: a.astype(np.int8),
    "bool": lambda a: a > 0,
    "list": lambda a: a.tolist(),
    "ragged list": lambda a: [[1.0], [1.0, 2.0]],
    "generator": lambda a: (row for row in a),
    "0-d": lambda a: a.ravel()[0],
    "1-D": lambda a: a.ravel(),
    "4-D": lambda a: np.zeros((len(a), 2, 2, 2)),
    "33-D": lambda a: np.zeros((1,) * 33),
    "no columns": lambda a: a[..., :0] if a.ndim > 1 else a[:, None][:, :0],
    "Fortran and read-only": lambda a: np.asfortranarray(a),
    "masked": lambda a: np.ma.masked_array(a, a > 0),
    "matrix": lambda a: np.matrix(a.reshape(len(a), -1)),
    "big-endian": lambda a: a.astype(">f8"),
    "scipy sparse": lambda a: scipy.sparse.csr_matrix(a.reshape(len(a), -1)),
    "scipy sparse array": lambda a: scipy.sparse.coo_array(a.reshape(len(a), -1)),
    "torch": lambda a: torch.tensor(a.astype(np.float32)),
    "torch requires_grad": lambda a: torch.tensor(a.astype(np.float32), requires_grad=True),
    "torch meta": lambda a: torch.empty(a.shape, device="meta"),
    "torch sparse": lambda a: torch.tensor(a.astype(np.float32)).to_sparse(),
    "torch bfloat16": lambda a: torch.tensor(a.astype(np.float32)).bfloat16(),
    "torch quantized": lambda a: torch.quantize_per_tensor(
        torch.tensor(a.astype(np.float32)), 0.1, 0, torch.quint8
    ),
    "polars": lambda a: _polars(a.reshape(len(a), -1)),
    "polars lazy": lambda a: _polars(a.reshape(len(a), -1), lazy=True),
    "polars series": lambda a: __import__("polars").Series(a.ravel()),
    "arrow": lambda a: _arrow(a.reshape(len(a), -1)),
    "arrow array": lambda a: __import__("pyarrow").array(a.ravel()),
    "frame": lambda a: pd.DataFrame(a.reshape(len(a), -1)),
    "series": lambda a: pd.Series(a.ravel()),
    "windows": lambda a: WindowArray(np.zeros((len(a), 2)), np.arange(len(a)), 3),
}


def _index(frame: pd.DataFrame, change: Callable[[pd.DataFrame], Any]) -> pd.DataFrame:
    return frame.set_axis(pd.MultiIndex.from_frame(change(frame.index.to_frame(index=False))))


def _first_column(frame: pd.DataFrame, values: Any) -> pd.DataFrame:
    made = frame.copy()
    return made.assign(**{str(made.columns[0]): values})


def _one_cell(frame: pd.DataFrame, value: Any) -> pd.DataFrame:
    made = frame.astype(object)
    made.iloc[0, 0] = value
    return made


# Of a table with a (datetime, instrument) index.
FRAMES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "empty": lambda f: f.iloc[:0],
    "one row": lambda f: f.iloc[:1],
    "a row less": lambda f: f.iloc[1:],
    "all NaN": lambda f: f * np.nan,
    "one inf": lambda f: _one_cell(f, np.inf).astype(float),
    "1e300": lambda f: _one_cell(f, 1e300).astype(float),
    "all 1e300": lambda f: f * 0 + 1e300,
    "negative": lambda f: -f,
    "object": lambda f: f.astype(object),
    "object with str": lambda f: _one_cell(f, "a"),
    "object with NA": lambda f: _one_cell(f, pd.NA),
    "object with list": lambda f: _one_cell(f, [1]),
    "object with 10**400": lambda f: _one_cell(f, 10**400),
    "object with complex": lambda f: _one_cell(f, 1j),
    "object with broken repr": lambda f: _one_cell(f, BrokenRepr()),
    "strings": lambda f: f.astype(str),
    "complex": lambda f: f + 1j,
    "dates": lambda f: _first_column(f, pd.Timestamp("2024-01-02")),
    "durations": lambda f: _first_column(f, pd.Timedelta("1D")),
    "tz dates": lambda f: _first_column(f, pd.Timestamp("2024-01-02", tz="UTC")),
    "periods": lambda f: _first_column(f, pd.Period("2024-01")),
    "intervals": lambda f: _first_column(f, pd.Interval(0, 1)),
    "categorical": lambda f: f.astype("category"),
    "float16": lambda f: f.astype(np.float16),
    "longdouble": lambda f: f.astype(np.longdouble),
    "int8": lambda f: f.clip(-100, 100).astype(np.int8),
    "bool": lambda f: f > 0,
    "nullable Float64": lambda f: f.astype("Float64").mask(f > f.median()),
    "nullable Int64": lambda f: f.round().astype("Int64").mask(f > f.median()),
    "nullable boolean": lambda f: (f > 0).astype("boolean").mask(f > f.median()),
    "arrow double": lambda f: f.astype("double[pyarrow]").mask(f > f.median()),
    "arrow string": lambda f: f.astype("string[pyarrow]"),
    "arrow decimal": lambda f: _decimals(f),
    "sparse": lambda f: f.astype(pd.SparseDtype("float64", np.nan)),
    "sparse zero": lambda f: f.astype(pd.SparseDtype("float64", 0.0)),
    "duplicate columns": lambda f: f.set_axis(["x"] * f.shape[1], axis=1),
    "one duplicate column": lambda f: pd.concat([f, f.iloc[:, :1]], axis=1),
    "MultiIndex columns": lambda f: pd.concat({"a": f}, axis=1),
    "number columns": lambda f: f.set_axis(range(f.shape[1]), axis=1),
    "mixed columns": lambda f: f.set_axis([0, *f.columns[1:]], axis=1),
    "NaN column": lambda f: f.set_axis([np.nan, *f.columns[1:]], axis=1),
    "tuple column": lambda f: f.set_axis(
        pd.Index([("a", 1), *f.columns[1:]], tupleize_cols=False), axis=1
    ),
    "no columns": lambda f: f.iloc[:, :0],
    "column less": lambda f: f.iloc[:, 1:],
    "duplicate index": lambda f: pd.concat([f, f.iloc[:1]]),
    "no index": lambda f: f.reset_index(drop=True),
    "long": lambda f: f.reset_index(),
    "day index": lambda f: f.droplevel("instrument"),
    "stock index": lambda f: f.droplevel("datetime"),
    "swapped levels": lambda f: f.swaplevel(),
    "unsorted": lambda f: f.iloc[::-1],
    "unnamed levels": lambda f: f.rename_axis([None, None]),
    "equal level names": lambda f: f.rename_axis(["datetime", "datetime"]),
    "number level names": lambda f: f.rename_axis([0, 1]),
    "three levels": lambda f: f.assign(k=0).set_index("k", append=True),
    "text dates": lambda f: _index(f, lambda i: i.astype({"datetime": str})),
    "number dates": lambda f: _index(f, lambda i: i.astype({"datetime": "int64"})),
    "period dates": lambda f: _index(f, lambda i: i.assign(datetime=i.datetime.dt.to_period("D"))),
    "NaT dates": lambda f: _index(
        f, lambda i: i.assign(datetime=i.datetime.where(np.arange(len(i)) > 0))
    ),
    "tz dates in the index": lambda f: _index(
        f, lambda i: i.assign(datetime=i.datetime.dt.tz_localize("America/New_York"))
    ),
    "years apart": lambda f: _index(
        f, lambda i: i.assign(datetime=[pd.Timestamp(1700, 1, 1), *i.datetime[1:]])
    ),
    "NaN stocks": lambda f: _index(
        f, lambda i: i.assign(instrument=i.instrument.where(np.arange(len(i)) > 0))
    ),
    "mixed stocks": lambda f: _index(f, lambda i: i.assign(instrument=[1, *i.instrument[1:]])),
    "tuple stocks": lambda f: _index(f, lambda i: i.assign(instrument=[("a", s) for s in i.index])),
    "number stocks": lambda f: _index(f, lambda i: i.assign(instrument=range(len(i)))),
    "categorical stocks": lambda f: _index(f, lambda i: i.astype({"instrument": "category"})),
    "arrow stocks": lambda f: _index(f, lambda i: i.astype({"instrument": "string[pyarrow]"})),
    "transposed": lambda f: f.T,
    "a Series": lambda f: f.iloc[:, 0],
    "subclass": lambda f: type("Frame", (pd.DataFrame,), {})(f),
    "numpy": lambda f: f.to_numpy(),
    "3-D": lambda f: f.to_numpy()[:, :, None],
    "4-D": lambda f: f.to_numpy()[:, :, None, None],
    "torch": lambda f: torch.tensor(f.to_numpy(np.float32)),
    "torch requires_grad": lambda f: torch.tensor(f.to_numpy(np.float32), requires_grad=True),
    "torch meta": lambda f: torch.empty(f.shape, device="meta"),
    "scipy sparse": lambda f: scipy.sparse.csr_matrix(f.fillna(0)),
    "records": lambda f: f.to_records(),
    "list of dicts": lambda f: f.to_dict("records"),
    "dict of lists": lambda f: f.to_dict("list"),
    "groupby": lambda f: f.groupby("instrument"),
    "polars": lambda f: __import__("polars").DataFrame(f.reset_index(drop=True).to_dict("list")),
    "polars lazy": lambda f: _polars(f, lazy=True),
    "arrow": _arrow,
    "windows": lambda f: WindowArray(f.to_numpy(), np.arange(len(f)), 3, index=f.index),
    "windows of text": lambda f: WindowArray(f.astype(str).to_numpy(), np.arange(len(f)), 3),
    "index": lambda f: f.index,
}


def _decimals(frame: pd.DataFrame) -> pd.DataFrame:
    import pyarrow

    return (
        frame.fillna(0)
        .map(lambda x: Decimal(int(x)))
        .astype(pd.ArrowDtype(pyarrow.decimal128(20, 2)))
    )


# Of a Series with a (datetime, instrument) index: what a table of one column can be.
NO_SERIES = {"transposed", "MultiIndex columns", "tuple column", "long", "a Series", "subclass"}


def _of_series(change: Callable[[pd.DataFrame], Any], series: pd.Series) -> Any:
    made = change(series.to_frame("label"))
    return made.iloc[:, 0] if isinstance(made, pd.DataFrame) and made.shape[1] == 1 else made


# Of any path.
PATHS: dict[str, Callable[[Path, Path], Any]] = {
    "missing": lambda p, t: t / f"missing{p.suffix}",
    "directory": lambda p, t: _made(t / f"folder{p.suffix}"),
    "below a file": lambda p, t: p / "below",
    "5000 characters": lambda p, t: t / ("a" * 5000 + p.suffix),
    "deep": lambda p, t: str(t) + "/a" * 5000,
    "NUL byte": lambda p, t: f"{t}/a\0b{p.suffix}",
    "surrogate": lambda p, t: f"{t}/a\ud800{p.suffix}",
    "no such user": lambda p, t: f"~nosuchuser/a{p.suffix}",
    "bytes path": lambda p, t: str(p).encode(),
}

# Of a file that can be read.
FILES: dict[str, Callable[[Path, Path], Any]] = {
    "empty": lambda p, t: _written(p, t, b""),
    "garbage": lambda p, t: _written(p, t, bytes(range(256)) * 8),
    "text": lambda p, t: _written(p, t, b"a,b\n1,2\n"),
    "unprintable": lambda p, t: _written(p, t, b"\0" * 100),
    "half": lambda p, t: _written(p, t, p.read_bytes()[: len(p.read_bytes()) // 2]),
    "9 bytes": lambda p, t: _written(p, t, p.read_bytes()[:9]),
    "less its end": lambda p, t: _written(p, t, p.read_bytes()[:-3]),
    "less its start": lambda p, t: _written(p, t, p.read_bytes()[3:]),
    "a header that claims 7 TiB": lambda p, t: _npy(p, t, "(1000000000000, 2)"),
    "a damaged header": lambda p, t: _npy(p, t, "((2, 2"),
    "a negative shape": lambda p, t: _npy(p, t, "(-1, 2)"),
    "a header of code": lambda p, t: _npy(p, t, "__import__('os').getcwd()"),
    "longer": lambda p, t: _written(p, t, p.read_bytes() + b"more"),
    "open file": lambda p, t: p.open("rb"),
}


# Of a file inside a folder that can be read.
DAMAGES: dict[str, Callable[[Path], Any]] = {
    "missing": lambda p: None,
    "directory": lambda p: p.mkdir(),
    "empty": lambda p: p.write_bytes(b""),
    "garbage": lambda p: p.write_bytes(bytes(range(256)) * 8),
    "text": lambda p: p.write_bytes(b"a,b\n1,2\n"),
    "unprintable": lambda p: p.write_bytes(b"\0" * 100),
    "a byte": lambda p: p.write_bytes(b"x"),
}


def _damaged(good: Path, folder: Path, place: Path, damage: Callable[[Path], Any]) -> Path:
    """A copy of a folder with one damaged file."""
    copy = folder / "damaged"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(good, copy)
    (copy / place).unlink()
    damage(copy / place)
    return copy


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _npy(path: Path, folder: Path, shape: str) -> Path:
    """A .npy file with a header that lies."""
    if path.suffix != ".npy":
        raise ValueError
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return _written(path, folder, b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def _written(path: Path, folder: Path, content: bytes) -> Path:
    made = folder / f"written{path.suffix}"
    made.write_bytes(content)
    return made


def hostile(kind: str, good: Any, folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Give the hostile values of a kind by name, each as a function that makes the value.

    Kinds: "scalar", "array", "frame", "series", "file", "folder"; every kind gets the scalars too.
    """
    for name, make in SCALARS.items():
        yield name, make
    assert good is not None or kind == "scalar", "rows are made hostile: give valid ones"
    if kind == "array":
        values = good if isinstance(good, np.ndarray) else np.asarray(good)
        for name, change in ARRAYS.items():
            yield f"rows: {name}", lambda change=change: change(values)
    elif kind == "frame":
        for name, change in FRAMES.items():
            yield f"rows: {name}", lambda change=change: change(good)
    elif kind == "series":
        for name, change in FRAMES.items():
            if name not in NO_SERIES:
                yield f"rows: {name}", lambda change=change: _of_series(change, good)
    elif kind in ("file", "folder"):
        for name, place in {**PATHS, **(FILES if kind == "file" else {})}.items():
            yield f"file: {name}", lambda place=place: place(Path(good), folder)
    if kind == "folder":
        yield "file: a file", lambda: _written(folder / "a file", folder, b"")
        for path in sorted(each for each in good.rglob("*") if each.is_file()):
            for name, damage in DAMAGES.items():
                place = path.relative_to(good)
                yield f"{place}: {name}", lambda p=place, d=damage: _damaged(good, folder, p, d)
