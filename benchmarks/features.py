"""Alpha158 and Alpha360 of every row of a table: time until they are ready, and memory.

    python benchmarks/features.py [--ohlcv FILE] [--qlib]

Each way runs in a process of its own, one after the other. Memory is the process's peak, with all
that it holds besides: Python, the prices. --qlib also lets pyqlib compute the same from a provider
folder written for it (the writing is not timed).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _report import US_EQUITIES, describe_machine, peak_memory, reset_peak_memory

from skattn import from_long


def write_provider(table: pd.DataFrame, folder: Path) -> None:
    """Write a table as a qlib provider folder: calendar, instruments, one binary file a field."""
    table = table.assign(vwap=(table["high"] + table["low"] + table["close"]) / 3)
    calendar = table.index.unique("datetime").sort_values()
    for name in ("calendars", "instruments", "features"):
        (folder / name).mkdir(parents=True)
    (folder / "calendars" / "day.txt").write_text("\n".join(calendar.strftime("%Y-%m-%d")))
    lines = []
    for stock, rows in table.groupby(level="instrument"):
        rows = rows.droplevel("instrument").sort_index()
        rows = rows.reindex(calendar[(calendar >= rows.index[0]) & (calendar <= rows.index[-1])])
        lines.append(f"{stock}\t{rows.index[0].date()}\t{rows.index[-1].date()}")
        home = folder / "features" / str(stock).lower()
        home.mkdir()
        start = calendar.get_loc(rows.index[0])
        for field in rows.columns:
            values = np.concatenate([[start], rows[field].to_numpy()]).astype("<f4")
            values.tofile(home / f"{field}.day.bin")
    (folder / "instruments" / "all.txt").write_text("\n".join(lines))


def run_skattn(path: Path, way: str) -> None:
    from skattn.preprocessing import Alpha158, Alpha360, RobustZScore

    table = from_long(pd.read_parquet(path))
    steps = {
        "alpha158": [Alpha158(vwap="typical")],
        "alpha158, 2 threads": [Alpha158(vwap="typical", n_jobs=2)],
        "selected20": [Alpha158(columns=Alpha158.SELECTED20), RobustZScore()],
        "alpha360": [Alpha360(vwap="typical"), RobustZScore()],
    }[way]
    features = table
    for step in steps:
        reset_peak_memory()
        began = time.perf_counter()
        features = step.fit_transform(features)
        report(f"skattn {way}, {type(step).__name__}", time.perf_counter() - began, features.shape)


def run_qlib(path: Path, way: str) -> None:
    import qlib
    from qlib.contrib.data import loader
    from qlib.data import D

    table = from_long(pd.read_parquet(path))
    with tempfile.TemporaryDirectory() as folder:
        write_provider(table, Path(folder) / "provider")
        n_rows = len(table)
        del table
        qlib.init(provider_uri=f"{folder}/provider", expression_cache=None, dataset_cache=None)
        name = {"qlib158": "Alpha158DL", "qlib360": "Alpha360DL"}[way]
        fields, _ = getattr(loader, name).get_feature_config()
        reset_peak_memory()
        began = time.perf_counter()
        features = D.features(D.instruments("all"), fields)
        report(f"qlib {name}", time.perf_counter() - began, (n_rows, *features.shape[1:]))


def report(name: str, seconds: float, shape: tuple) -> None:
    print(f"{name:36} {seconds:7.2f} s {peak_memory() / 1e9:6.2f} GB   shape {shape}", flush=True)


SKATTN = ("alpha158", "alpha158, 2 threads", "selected20", "alpha360")
QLIB = ("qlib158", "qlib360")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ohlcv", type=Path, default=US_EQUITIES, help="long parquet file")
    parser.add_argument("--qlib", action="store_true", help="let qlib do the same")
    parser.add_argument("--only", choices=[*SKATTN, *QLIB], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        run = run_skattn if arguments.only in SKATTN else run_qlib
        run(arguments.ohlcv, arguments.only)
        return
    print(describe_machine("pyqlib"))
    for way in SKATTN + QLIB if arguments.qlib else SKATTN:
        command = [sys.executable, __file__, "--ohlcv", str(arguments.ohlcv), "--only", way]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
