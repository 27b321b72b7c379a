"""20 million rows of a table in a file: windows, batches, a fit, a prediction; what is resident.

    python benchmarks/larger_than_memory.py [--stocks 5000] [--days 4000] [--fields 20] [--by-day]

A parquet file is written a group of rows at a time, then read into a .npy file, which windows read.
By default the rows come stock after stock, so that the windows read that very file; with --by-day
they come day after day, and ``build_windows(..., file=...)`` lays them out in a second one. What is
resident, in GB: the process's own memory, and pages of mapped files, which the system can take back
at any time (among them those of torch's libraries). ``peak`` is the most of both so far (Linux).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from _report import describe_machine, memory_of, peak_memory

from skattn.models import GRURegressor
from skattn.panel import Fill, build_windows

BATCH, BATCHES, LENGTH = 800, 500, 20
TRAINED, PREDICTED = 200_000, 200_000


def make_groups(outer: np.ndarray, inner: np.ndarray, fields: list[str]) -> Iterator[pa.Table]:
    """Tables of random factors, of all that is inner for some of what is outer."""
    rng = np.random.default_rng(0)
    for first in range(0, len(outer), 20):
        some = outer[first : first + 20]
        numbers = np.indices((len(some), len(inner)), dtype=np.int32).reshape(2, -1)
        keys = {
            name: pa.DictionaryArray.from_arrays(codes, pa.array(names))
            for name, codes, names in zip(("outer", "inner"), numbers, (some, inner), strict=True)
        }
        values = rng.standard_normal((len(fields), numbers.shape[1]), dtype=np.float32)
        yield pa.table({**keys, **dict(zip(fields, values, strict=True))})


def read_table(parquet: Path, file: Path, fields: list[str]) -> None:
    """Copy columns of a parquet file into a file that numpy maps, some rows at a time."""
    # Not all at once before the first rows.
    source = pq.ParquetFile(parquet, pre_buffer=False)
    with file.open("wb") as target:
        shape = source.metadata.num_rows, len(fields)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, header)
        for number in range(source.num_row_groups):
            group = source.read_row_group(number, columns=fields)
            np.column_stack(group.columns).astype("<f4", copy=False).tofile(target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stocks", type=int, default=5000)
    parser.add_argument("--days", type=int, default=4000)
    parser.add_argument("--fields", type=int, default=20)
    parser.add_argument("--by-day", action="store_true")
    arguments = parser.parse_args()
    began = time.perf_counter()

    def report(step: str) -> None:
        nonlocal began
        seconds, (own, files) = time.perf_counter() - began, memory_of()
        print(
            f"{step:58} {seconds:6.1f} s  own {own / 1e9:.2f}  files {files / 1e9:.2f}  peak "
            f"{peak_memory() / 1e9:.2f}",
            flush=True,
        )
        began = time.perf_counter()

    report("imports")
    fields = [f"factor{number}" for number in range(arguments.fields)]
    levels = {
        "instrument": np.array([f"S{number:04}" for number in range(arguments.stocks)]),
        "datetime": pd.bdate_range("2005-01-03", periods=arguments.days).to_numpy(),
    }
    if arguments.by_day:
        levels = dict(reversed(levels.items()))
    (outer, inner), values = levels, list(levels.values())
    with tempfile.TemporaryDirectory() as folder:
        parquet, file = Path(folder) / "factors.parquet", Path(folder) / "factors.npy"
        writer = None
        for group in make_groups(*values, fields):
            group = group.rename_columns([outer, inner, *fields])
            writer = writer or pq.ParquetWriter(
                parquet, group.schema, compression="none", use_dictionary=False
            )
            writer.write_table(group)
        writer.close()
        report(f"parquet of {parquet.stat().st_size / 1e9:.2f} GB")
        read_table(parquet, file, fields)
        report(f"{file.name} of {file.stat().st_size / 1e9:.2f} GB")
        index = pd.MultiIndex.from_product(values, names=[outer, inner])
        report(f"index of {len(index):,} rows")
        table = np.load(file, mmap_mode="r")
        laid_out = Path(folder) / "windows.npy" if arguments.by_day else None
        windows = build_windows(table, index, LENGTH, fields=fields, file=laid_out)
        windows = windows.with_transform(Fill(0.0))
        report(f"windows {windows.shape}")
        rng = np.random.default_rng(0)
        for _ in range(BATCHES):
            windows.gather(rng.integers(len(windows), size=BATCH))
        report(f"{BATCHES} random batches of {BATCH}")
        rows = np.unique(rng.integers(len(windows), size=TRAINED))
        label = pd.Series(rng.standard_normal(len(rows), dtype=np.float32), index[rows])
        model = GRURegressor(
            hidden_size=8, num_layers=1, max_epochs=1, early_stopping=False, random_state=0
        )
        model.fit(windows[rows], label)
        report(f"an epoch of a GRU over {len(rows):,} rows")
        model.predict(windows[-PREDICTED:])
        report(f"prediction of {PREDICTED:,} rows")
    print(describe_machine("pyarrow"))


if __name__ == "__main__":
    main()
