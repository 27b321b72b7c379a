"""Windows over a simulated market of 20 million rows: time and memory of each step.

    python benchmarks/scale.py [--stocks 5000] [--days 4000]

Prices are made, Alpha360 windows built over them, sliced by a splitter of five folds, scaled, and
gathered in batches. Memory is the process's peak, with all that it holds besides.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from _report import describe_machine, peak_memory

from skattn.model_selection import PurgedDailyKFold
from skattn.preprocessing import Alpha360, RobustZScore

COLUMNS = ["open", "high", "low", "close", "volume"]
BATCH, BATCHES = 800, 200


def make_prices(n_stocks: int, n_days: int) -> pd.DataFrame:
    """Random walks, a row a stock and day, day after day."""
    rng = np.random.default_rng(0)
    prices = np.empty((len(COLUMNS), n_days, n_stocks), dtype=np.float32)
    close = np.full(n_stocks, 100.0, dtype=np.float32)
    for day in range(n_days):
        close *= np.exp(0.01 * rng.standard_normal(n_stocks, dtype=np.float32))
        noise = 0.005 * np.abs(rng.standard_normal((4, n_stocks), dtype=np.float32))
        prices[:4, day] = close * (1 + noise * [[0], [1], [-1], [0]])
        prices[4, day] = 1e6 * (1 + noise[3])
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2005-01-03", periods=n_days), [f"S{i:04}" for i in range(n_stocks)]],
        names=["datetime", "instrument"],
    )
    return pd.DataFrame(prices.reshape(len(COLUMNS), -1).T, index, COLUMNS, copy=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stocks", type=int, default=5000)
    parser.add_argument("--days", type=int, default=4000)
    arguments = parser.parse_args()
    began = time.perf_counter()

    def report(step: str) -> None:
        nonlocal began
        seconds = time.perf_counter() - began
        print(f"{step:60} {seconds:7.1f} s {peak_memory() / 1e9:6.2f} GB", flush=True)
        began = time.perf_counter()

    prices = make_prices(arguments.stocks, arguments.days)
    report(f"{len(prices):,} rows of prices")
    windows = Alpha360().fit_transform(prices)
    report(f"Alpha360: {windows.shape}")
    rng = np.random.default_rng(0)
    for fold, (train, test) in enumerate(PurgedDailyKFold(5).split(windows)):
        scaler = RobustZScore(subsample=1_000_000)
        scaled = scaler.fit_transform(windows[train])
        report(f"fold {fold}: {len(train):,} training rows, scaled")
        for _ in range(BATCHES):
            scaled.gather(rng.integers(len(scaled), size=BATCH))
        report(f"fold {fold}: {BATCHES} random batches of {BATCH}")
        held_out = scaler.transform(windows[test])
        for first in range(0, len(held_out) // 20, BATCH):
            held_out.gather(slice(first, first + BATCH))
        report(f"fold {fold}: a twentieth of {len(test):,} test rows, in order")
    print(describe_machine())


if __name__ == "__main__":
    main()
