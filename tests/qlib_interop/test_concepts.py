"""read_stock2concept: what it reads, and what it refuses to."""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools

import numpy as np
import pandas as pd
import pytest

from skattn.models import HISTRegressor
from skattn.preprocessing import Alpha360, RobustZScore
from skattn.qlib import read_stock2concept

ROWS = {"SH600000": 2, "SZ000001": 0}
MATRIX = np.array([[1, 0, 0], [1, 1, 1], [0, 1, 1]])


@pytest.fixture
def read(tmp_path):
    """Write a matrix and an index (an object, or the bytes of its file), and read them."""

    def write_and_read(index, matrix=MATRIX, name="index.npy"):
        np.save(tmp_path / "stock2concept.npy", matrix)
        if isinstance(index, bytes):
            (tmp_path / name).write_bytes(index)
        else:
            np.save(tmp_path / name, index)
        return read_stock2concept(tmp_path / "stock2concept.npy", tmp_path / name)

    return write_and_read


def npy(pickled: bytes) -> bytes:
    """A pickle as np.save writes that of a 0-d object array."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    return file.getvalue() + pickled


class Evil:
    """Runs a command where it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


EXPECTED = pd.DataFrame(
    [[0, 1, 1], [1, 0, 0]], pd.Index(list(ROWS), name="instrument"), dtype="float32"
)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_rows_of_the_instruments(read, protocol):
    if protocol < 3:
        # Python 2's protocols write the type code of an array with _codecs.encode.
        with pytest.raises(pickle.UnpicklingError, match=r"_codecs\.encode"):
            read(npy(pickle.dumps(np.array(ROWS, dtype=object), protocol)))
        return
    content = npy(pickle.dumps(np.array(ROWS, dtype=object), protocol))
    pd.testing.assert_frame_equal(read(content), EXPECTED)


def test_what_numpy_saves(read):
    pd.testing.assert_frame_equal(read(ROWS), EXPECTED)


def test_numpys_numbers_are_rows(read):
    rows = dict(zip(ROWS, np.array([2, 0], dtype="int64"), strict=True))
    pd.testing.assert_frame_equal(read(rows), EXPECTED)
    rows = {"SH600000": np.uint8(2), "SZ000001": np.int32(0)}
    pd.testing.assert_frame_equal(read(rows), EXPECTED)


@pytest.mark.parametrize("name", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_either_home_of_numpys_parts(read, name):
    pickled = pickle.dumps(np.array(ROWS, dtype=object), 3)
    written = b"numpy._core.multiarray" if b"_core" in pickled else b"numpy.core.multiarray"
    assert written in pickled
    content = npy(pickled.replace(written, name.encode()))
    pd.testing.assert_frame_equal(read(content), EXPECTED)


def test_json(read):
    pd.testing.assert_frame_equal(read(json.dumps(ROWS).encode(), name="index.json"), EXPECTED)


def test_hist_takes_it(market, tmp_path):
    codes = list(market.concepts.index)
    sectors = pd.get_dummies(market.concepts)
    np.save(tmp_path / "concepts.npy", sectors.to_numpy()[::-1])
    np.save(tmp_path / "index.npy", {code: len(codes) - 1 - i for i, code in enumerate(codes)})
    concepts = read_stock2concept(tmp_path / "concepts.npy", tmp_path / "index.npy")
    predicted = []
    windows = RobustZScore().fit_transform(Alpha360(length=5).fit_transform(market.ohlcv))
    for each in (concepts, market.concepts):
        model = HISTRegressor(concepts=each, hidden_size=4, max_epochs=1, random_state=0)
        predicted.append(model.fit(windows, market.label).predict(windows))
    np.testing.assert_array_equal(*predicted)


def test_a_malicious_index_is_not_run(read, tmp_path):
    touched = tmp_path / "touched"
    evil = Evil(f"touch {touched}")
    with pytest.raises(pickle.UnpicklingError, match=r"index\.npy.*\b(posix|nt)\.system\b"):
        read(npy(pickle.dumps(np.array({"A": evil}, dtype=object), 3)))
    with pytest.raises(pickle.UnpicklingError, match=r"index\.npy"):
        read(npy(pickle.dumps(evil)))
    assert not touched.exists()
    # It would have run.
    pickle.loads(pickle.dumps(evil))
    assert touched.exists()


@pytest.mark.parametrize(
    "asked",
    ["builtins eval", "numpy load", "numpy.core.multiarray frombuffer", "os system", "numpy _core"],
)
def test_any_other_name_is_refused(read, asked):
    content = f"c{asked.replace(' ', chr(10))}\n(S'x'\ntR.".encode()
    assert any(op.name == "GLOBAL" for op, *_ in pickletools.genops(content))
    with pytest.raises(pickle.UnpicklingError, match=asked.replace(" ", r"\.")):
        read(npy(content))


@pytest.mark.parametrize(
    ("index", "match"),
    [
        ({}, r"\bdict\b"),
        ({"A": 0.0}, r"\bdict\b"),
        ({"A": True}, r"\bdict\b"),
        ({"A": "0"}, r"\bdict\b"),
        ({0: 0}, r"\bdict\b"),
        ([1, 2], r"\bdict\b"),
        (b"", r"\bdict\b"),
        (b"{]", r"\bdict\b"),
        (b"[1]", r"\bdict\b"),
        (b'{"A": 0, "B": 1, "A": 1}', "'A'"),
        (b"\x93NUMPY\x09\x00", r"\bdict\b"),
        (npy(b""), r"\bdict\b"),
        (npy(pickle.dumps(ROWS)), r"\bdict\b"),
    ],
    ids=[
        "empty",
        "float",
        "bool",
        "text",
        "key",
        "array",
        "nothing",
        "json",
        "json-list",
        "json-twice",
        "version",
        "no-pickle",
        "no-array",
    ],
)
def test_a_broken_index(read, index, match):
    with pytest.raises(ValueError, match=rf"index\.npy.*{match}"):
        read(index)


def test_a_cut_index(read):
    whole = npy(pickle.dumps(np.array(ROWS, dtype=object), 3))
    for length in range(0, len(whole) - 1, 9):
        with pytest.raises((ValueError, pickle.UnpicklingError), match=r"index\.npy"):
            read(whole[:length])


def test_numbers_that_are_no_rows(read):
    with pytest.raises(pickle.UnpicklingError, match=r"index\.npy.*\bf8\b"):
        read({"A": np.float64(0)})


@pytest.mark.parametrize("row", [3, -1])
def test_a_row_outside_the_matrix(read, row):
    with pytest.raises(ValueError, match=rf"index\.npy.*'B'.*{row}\b.*stock2concept\.npy.*\b2\b"):
        read({"A": 0, "B": row})


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (np.ones(3), r"\(3,\)"),
        (np.ones((3, 0)), r"\(3, 0\)"),
        (np.ones((0, 3)), r"\(0, 3\)"),
        (np.array([["a"]]), r"\(1, 1\).*<U1"),
        (np.array([[np.nan, 1]]), r"\b(negative|missing)\b"),
        (np.array([[-1, 1]]), r"\b(negative|missing)\b"),
        (np.array([[{}]], dtype=object), "Python objects"),
    ],
    ids=["1d", "no concept", "no row", "text", "nan", "negative", "object"],
)
def test_a_broken_matrix(read, matrix, match):
    with pytest.raises(ValueError, match=rf"stock2concept\.npy.*{match}"):
        read({"A": 0}, matrix)


def test_missing_files(tmp_path):
    np.save(tmp_path / "a.npy", MATRIX)
    with pytest.raises(FileNotFoundError):
        read_stock2concept(tmp_path / "none.npy", tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError):
        read_stock2concept(tmp_path / "a.npy", tmp_path / "none.npy")
    with pytest.raises(TypeError, match=r"^npy\b.*\b3\b"):
        read_stock2concept(3, tmp_path / "a.npy")
    with pytest.raises(TypeError, match=r"^index_npy\b.*\bNone\b"):
        read_stock2concept(tmp_path / "a.npy", None)


@pytest.mark.parametrize(
    "shape",
    ["(1000000000000, 2)", "((2, 2", "(-1, 2)", "__import__('os').getcwd()", "(2,) * 10**9"],
    ids=["7 TiB", "unbalanced", "negative", "code", "expression"],
)
@pytest.mark.parametrize("name", ["npy", "index_npy"])
def test_headers_that_lie(tmp_path, shape, name):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    np.save(tmp_path / "npy.npy", MATRIX)
    np.save(tmp_path / "index_npy.npy", np.array(ROWS, dtype=object))
    damaged = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / f"{name}.npy").write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"{name}\.npy (is not a matrix|must hold a dict)"):
        read_stock2concept(tmp_path / "npy.npy", tmp_path / "index_npy.npy")


@pytest.mark.parametrize("name", ["npy", "index_npy"])
@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("", FileNotFoundError, "is not a file"),
        ("a" * 5000, ValueError, "path that cannot be used.*too long"),
        ("a\0b", FileNotFoundError, "does not exist"),
        ("~no_such_user_at_all/a", ValueError, "path that cannot be used"),
    ],
    ids=["directory", "too long", "NUL", "user"],
)
def test_paths_that_are_no_files(tmp_path, path, error, message, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", MATRIX)
    np.save("b.npy", np.array(ROWS, dtype=object))
    paths = {"npy": "a.npy", "index_npy": "b.npy", name: path}
    with pytest.raises(error, match=message):
        read_stock2concept(**paths)


def test_a_truncated_pickle_is_a_value_error(tmp_path):
    np.save(tmp_path / "a.npy", MATRIX)
    np.save(tmp_path / "b.npy", np.array(ROWS, dtype=object))
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"b\.npy must hold a dict.*truncated"):
        read_stock2concept(tmp_path / "a.npy", tmp_path / "b.npy")
