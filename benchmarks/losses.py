"""What a GRU is worth that is trained on squares, and on the losses that judge it, on real prices.

    python benchmarks/losses.py [--stocks 200] [--epochs 8] [--seeds 3] [--ohlcv FILE] [--raw]

Daily prices of Chinese A-shares, 200 names evenly out of the sorted list: a signal of test days
from 2022 on, in three folds that walk forward with retraining (cross_val_signal), of Alpha360
windows of 20 days. Labels are ranked within the day for training (--raw: as they are), and raw for
the report. The mean of the seeds is one signal each; t-values of the difference to squares on rows
are Newey and West's, on daily rank ICs paired by day.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from _report import CN_EQUITIES, describe_machine
from _signals import read_label, read_prices
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skattn import GRURegressor
from skattn.compose import CrossSectionalTarget
from skattn.metrics import signal_report
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.preprocessing import Alpha360, RobustZScore

SHOWN = ["rank_ic", "rank_icir", "ic", "long_short_annual", "rank_ic_diff", "rank_ic_diff_t"]
# A step of each takes about 200 rows.
TRAINED_ON = {
    "mse on rows": {"loss": "mse", "batch_size": 200},
    "mse on days": {"loss": "mse", "batch": "days"},
    "ic": {"loss": "ic", "batch": "days"},
    "ccc": {"loss": "ccc", "batch": "days"},
    "listnet": {"loss": "listnet", "batch": "days"},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ohlcv", type=Path, default=CN_EQUITIES)
    parser.add_argument("--stocks", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--test-days", type=int, default=100, help="days a fold tests")
    parser.add_argument("--raw", action="store_true", help="train on labels as they are")
    arguments = parser.parse_args()

    ohlcv = read_prices(arguments.ohlcv, arguments.stocks)
    label = read_label(ohlcv)
    cv = DailyTimeSeriesSplit(n_splits=3, test_size=arguments.test_days)
    windows = Alpha360(length=20, vwap="typical").fit_transform(ohlcv)
    print(f"{len(ohlcv):,} rows of {arguments.stocks} stocks; {cv}", flush=True)
    signals = {}
    for name, trained_on in TRAINED_ON.items():
        began = time.perf_counter()
        model = GRURegressor(
            hidden_size=32, lr=1e-3, max_epochs=arguments.epochs, n_iter_no_change=3,
            monitor="valid_rank_ic", **trained_on,
        )  # fmt: skip
        target = CrossSectionalTarget(model, method=None if arguments.raw else "rank")
        pipeline = make_pipeline(RobustZScore(), target)
        predicted = []
        for seed in range(arguments.seeds):
            seeded = clone(pipeline)
            seeded[-1].regressor.set_params(random_state=seed)
            found = cross_val_signal(seeded, windows, label, cv=cv, n_jobs=arguments.jobs)
            predicted.append(found.groupby(level="datetime").rank(pct=True))
        signals[name] = sum(predicted) / arguments.seeds
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    tested = label.loc[signals["ic"].index]
    report = signal_report(tested, signals)
    print(report[SHOWN].to_string(float_format="{:.4f}".format))
    days = tested.index.get_level_values("datetime")
    print(f"{int(report['days'].iloc[0])} days, {days.min().date()} to {days.max().date()}")
    print(f"seeds 0 to {arguments.seeds - 1}; {describe_machine()}")


if __name__ == "__main__":
    main()
