"""Windows over tables in files that are larger than memory."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path, PurePath

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.models import GRURegressor
from skattn.panel import Fill, WindowArray, _mapped, build_windows


def is_mapped(windows: WindowArray, file) -> bool:
    found = _mapped.find_map(windows.parts()["table"])
    return found is not None and str(found.filename) == str(file)


@pytest.fixture
def panel(tmp_path):
    """A table of complete days by stock, its index and its file."""
    days = pd.bdate_range("2024-01-01", periods=30)
    keys = [list("ABCD"), days]
    index = pd.MultiIndex.from_product(keys, names=["instrument", "datetime"])
    values = np.random.default_rng(0).normal(size=(len(index), 3)).astype(np.float32)
    file = tmp_path / "values.npy"
    np.save(file, values)
    return values, index, file


@pytest.fixture(params=[32, 1, 7])
def _pages(request, monkeypatch):
    """Pages are given back after so many places, of small maps too."""
    monkeypatch.setattr(_mapped, "PLACES", request.param)
    monkeypatch.setattr(_mapped, "SMALL", 0)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.usefixtures("_pages")
def test_a_map_stays_a_map(panel, mode):
    values, index, file = panel
    windows = build_windows(np.load(file, mmap_mode=mode), index, 5)
    assert is_mapped(windows, file)
    assert is_mapped(windows[::2], file)
    assert_array_equal(windows, build_windows(values, index, 5))
    assert_array_equal(windows[3:50:7], build_windows(values, index, 5)[3:50:7])


@pytest.mark.usefixtures("_pages")
def test_a_parquet_file_that_is_copied_by_row_groups(panel, tmp_path):
    """As docs/beyond_one_machine.md shows it."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values, index, _ = panel
    fields, parquet, copied = ["a", "b", "c"], tmp_path / "factors.parquet", tmp_path / "copy.npy"
    table = pd.DataFrame(values, index, fields).reset_index()
    pq.write_table(pa.Table.from_pandas(table), parquet, row_group_size=50)
    source = pq.ParquetFile(parquet, pre_buffer=False)
    with copied.open("wb") as file:
        shape = source.metadata.num_rows, len(fields)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for number in range(source.num_row_groups):
            group = source.read_row_group(number, columns=fields)
            np.column_stack(group.columns).astype("<f4", copy=False).tofile(file)
    columns = ["datetime", "instrument"]
    keys = pq.read_table(parquet, columns=columns, read_dictionary=["instrument"])
    read = pd.MultiIndex.from_frame(keys.to_pandas())
    windows = build_windows(np.load(copied, mmap_mode="r"), read, 5, fields=fields)
    assert is_mapped(windows, copied)
    assert_array_equal(windows, build_windows(values, index, 5))
    assert list(windows.instruments) == list(index.get_level_values("instrument"))


@pytest.mark.usefixtures("_pages")
def test_private_changes_of_a_map_stay(panel):
    values, _, file = panel
    table = np.load(file, mmap_mode="c")
    table[7] = values[7] = -1.0
    windows = WindowArray(table, np.arange(len(table)), 1)
    for _ in range(3):
        assert_array_equal(windows, values[:, None])


@pytest.mark.parametrize("change", ["sorted by day", "a missing row", "memory"])
def test_rows_that_have_to_move_are_copied(panel, change):
    values, index, file = panel
    mapped, memory = np.load(file, mmap_mode="r"), {}
    rows = np.arange(len(index))
    if change == "sorted by day":
        rows = np.argsort(index.get_level_values("datetime"), kind="stable")
    elif change == "a missing row":
        rows = np.delete(rows, 3)
    else:
        earlier = index[:1].set_levels(
            pd.DatetimeIndex(["2023-12-29"]), level="datetime", verify_integrity=False
        )
        memory = {"memory": (values[:1], earlier)}
    source = mapped[rows] if change == "sorted by day" else mapped
    if change == "a missing row":
        np.save(file.with_name("fewer.npy"), values[rows])
        source = np.load(file.with_name("fewer.npy"), mmap_mode="r")
    windows = build_windows(source, index[rows], 4, **memory)
    assert _mapped.find_map(windows.parts()["table"]) is None
    assert_array_equal(windows, build_windows(values[rows], index[rows], 4, **memory))


@pytest.mark.parametrize("fill_method", ["none", "ffill"])
@pytest.mark.usefixtures("_pages")
def test_a_table_that_is_laid_out_in_a_file(panel, tmp_path, fill_method, monkeypatch):
    monkeypatch.setattr("skattn.panel._layout.CHUNK", 7)
    monkeypatch.setattr("skattn.panel._layout.BLOCK", 150)
    values, index, _ = panel
    rows = np.random.default_rng(1).permutation(len(index))[:90]
    keywords = {"length": 5, "fill_method": fill_method, "memory": (values[:9], index[:9])}
    file = tmp_path / "table.npy"
    found = build_windows(values[rows], index[rows], **keywords, file=file)
    assert is_mapped(found, file)
    assert_array_equal(found, build_windows(values[rows], index[rows], **keywords))
    assert not found.parts()["table"].flags.writeable


def test_fits_of_processes_read_the_file(panel):
    values, index, file = panel
    label = pd.Series(values[:, 0], index=index)
    label.attrs["reach"] = 2
    gru = GRURegressor(hidden_size=2, num_layers=1, max_epochs=1, random_state=0)
    cv = DailyTimeSeriesSplit(2)
    found = cross_val_signal(
        gru, build_windows(values, index, 3).with_transform(Fill(0.0)), label, cv=cv
    )
    mapped = build_windows(np.load(file, mmap_mode="r"), index, 3).with_transform(Fill(0.0))
    with joblib.parallel_config("loky", n_jobs=2):
        assert_array_equal(cross_val_signal(gru, mapped, label, cv=cv), found)


def test_a_pickle_holds_the_rows(panel):
    _, index, file = panel
    windows = build_windows(np.load(file, mmap_mode="r"), index, 3)
    copied = pickle.loads(pickle.dumps(windows))
    assert_array_equal(copied, windows)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("there.npy", "exists"),
        ("table.csv", "must be a path that ends in .npy"),
        ("no/folder.npy", "cannot be made"),
        (3, "must be a path"),
    ],
)
def test_files_that_cannot_be_made(panel, tmp_path, name, message):
    values, index, _ = panel
    (tmp_path / "there.npy").write_bytes(b"kept")
    file = tmp_path / name if isinstance(name, str) else name
    with pytest.raises(ValueError, match=f"^file .*{message}"):
        build_windows(values, index, 3, file=file)
    assert (tmp_path / "there.npy").read_bytes() == b"kept"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["there.npy", "values.npy"]


class Named:
    """A path of another library."""

    def __init__(self, name):
        self.name = name

    def __fspath__(self):
        return self.name


@pytest.mark.parametrize("kind", [str, Path, PurePath, Named])
@pytest.mark.parametrize(("n_rows", "n_fields"), [(9, 3), (0, 3), (9, 0)])
def test_kinds_of_paths_and_of_empty_tables(panel, tmp_path, kind, n_rows, n_fields):
    values, index, _ = panel
    values, index = values[:n_rows, :n_fields], index[:n_rows]
    windows = build_windows(values, index, 3, file=kind(str(tmp_path / "table.npy")))
    assert_array_equal(windows, build_windows(values, index, 3))
    assert np.load(tmp_path / "table.npy").shape == values.shape


@pytest.mark.parametrize("name", ["no\0name.npy", "x" * 300 + ".npy", "link.npy"])
def test_names_that_the_system_refuses(panel, tmp_path, name):
    values, index, _ = panel
    (tmp_path / "link.npy").symlink_to(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"^file (cannot be made|must be a new file)"):
        build_windows(values, index, 3, file=tmp_path / name)
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("fields", [["a"], 3])
def test_fields_that_are_refused_leave_no_file(panel, tmp_path, fields):
    values, index, _ = panel
    with pytest.raises((TypeError, ValueError), match="fields must"):
        build_windows(values, index, 3, fields=fields, file=tmp_path / "table.npy")
    assert not (tmp_path / "table.npy").exists()


def test_a_disk_that_is_too_small(panel, tmp_path, monkeypatch):
    values, index, _ = panel
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match=r"file needs .* GB .* are free"):
        build_windows(values, index, 3, file=tmp_path / "table.npy")
    assert not (tmp_path / "table.npy").exists()


def test_a_failure_leaves_no_file(panel, tmp_path, monkeypatch):
    values, index, _ = panel

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("skattn.panel._layout.give_back", fail)
    with pytest.raises(KeyboardInterrupt):
        build_windows(values, index, 3, file=tmp_path / "table.npy")
    assert not (tmp_path / "table.npy").exists()
