"""Alpha360 of every row of a table: time until windows are ready, and memory added at peak.

    python benchmarks/windows.py [--ohlcv FILE] [--qlib]

Each way runs in a process of its own. --qlib also lets pyqlib compute its Alpha360 from a provider
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


def run_skattn(path: Path) -> None:
    from skattn.preprocessing import Alpha360, RobustZScore

    table = from_long(pd.read_parquet(path))
    before = reset_peak_memory()
    began = time.perf_counter()
    windows = Alpha360(vwap="typical").fit_transform(table)
    seconds = time.perf_counter() - began
    report("skattn Alpha360", seconds, peak_memory() - before, windows.shape)
    before = reset_peak_memory()
    began = time.perf_counter()
    scaled = RobustZScore().fit_transform(windows)
    seconds = time.perf_counter() - began
    report("  then RobustZScore", seconds, peak_memory() - before, scaled.shape)


def run_qlib(path: Path) -> None:
    import qlib
    from qlib.contrib.data.loader import Alpha360DL
    from qlib.data import D

    table = from_long(pd.read_parquet(path))
    with tempfile.TemporaryDirectory() as folder:
        write_provider(table, Path(folder) / "provider")
        n_rows = len(table)
        del table
        qlib.init(provider_uri=f"{folder}/provider", expression_cache=None, dataset_cache=None)
        fields, _ = Alpha360DL.get_feature_config()
        before = reset_peak_memory()
        began = time.perf_counter()
        features = D.features(D.instruments("all"), fields)
        seconds = time.perf_counter() - began
        report("qlib Alpha360", seconds, peak_memory() - before, (n_rows, *features.shape[1:]))


def report(name: str, seconds: float, added: float, shape: tuple) -> None:
    print(f"{name:22} {seconds:8.2f} s {added / 1e9:8.2f} GB added   shape {shape}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ohlcv", type=Path, default=US_EQUITIES, help="long parquet file")
    parser.add_argument("--qlib", action="store_true", help="let qlib do the same")
    parser.add_argument("--only", choices=["skattn", "qlib"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        {"skattn": run_skattn, "qlib": run_qlib}[arguments.only](arguments.ohlcv)
        return
    print(describe_machine("pyqlib"))
    for way in ("skattn", "qlib") if arguments.qlib else ("skattn",):
        command = [sys.executable, __file__, "--ohlcv", str(arguments.ohlcv), "--only", way]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
