"""Permutation importance of a pipeline: time, and memory beyond what the market and the model hold.

    python benchmarks/importance.py [--stocks 200] [--days 500] [--max-samples N]

A pipeline of Alpha360 windows (60 x 6), RobustZScore and an ALSTM of the default size is trained
for an epoch. Every field in six runs of lags is permuted within the day, 36 groups; then the
predictions of 1,000 rows are attributed by integrated gradients.
"""

from __future__ import annotations

import argparse
import time

from _report import describe_machine, peak_memory, reset_peak_memory
from sklearn.pipeline import make_pipeline

from skattn import ALSTMRegressor
from skattn.datasets import make_market
from skattn.inspection import integrated_gradients, permutation_importance
from skattn.preprocessing import Alpha360, RobustZScore


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stocks", type=int, default=200)
    parser.add_argument("--days", type=int, default=500)
    parser.add_argument("--max-samples", type=int, nargs="*", default=[10_000])
    arguments = parser.parse_args()
    market = make_market(arguments.stocks, arguments.days, random_state=0)
    model = ALSTMRegressor(max_epochs=1, random_state=0)
    pipeline = make_pipeline(Alpha360(vwap="typical"), RobustZScore(), model)
    pipeline.fit(market.ohlcv, market.label)
    print(f"{len(market.ohlcv):,} rows, windows of 60 x 6, seed 0", flush=True)

    def report(step: str, function, **parameters):
        before, began = reset_peak_memory(), time.perf_counter()
        result = function(pipeline, market.ohlcv, **parameters)
        seconds = time.perf_counter() - began
        added = (peak_memory() - before) / 1e9
        print(f"{step:60} {seconds:7.1f} s {added:6.2f} GB added", flush=True)
        return result

    for n_rows in arguments.max_samples:
        result = report(
            f"permutation, 36 groups, max_samples={n_rows:,}",
            permutation_importance,
            y=market.label,
            max_samples=n_rows,
            random_state=0,
        )
        errors = result.table["standard_error"]
        print(
            f"  {len(result.daily)} days, standard error {errors.min():.4f} to {errors.max():.4f}"
        )
    report("integrated gradients, 32 steps, max_samples=1,000", integrated_gradients)
    print(describe_machine("captum"))


if __name__ == "__main__":
    main()
