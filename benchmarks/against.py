"""Two checkouts of skattn side by side: seconds of a fit and of a prediction, by model.

    git worktree add ../before COMMIT
    python benchmarks/against.py --before ../before [--runs 5] [--windows 8000]

Each run is a process of its own, whose PYTHONPATH names the checkout. Runs of the two take turns,
so that a drift of the machine meets both. The ratio is the median over runs of now / before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from _report import describe_machine

HERE = Path(__file__).resolve().parents[1]
MODELS = ("alstm", "gru", "hist", "lstm", "sfm", "transformer")

# What a run does: one warm-up fit, then the fit and the prediction that are timed.
RUN = """
import json, sys, time
import numpy as np, pandas as pd, torch
import skattn
n_windows, threads, *models = json.loads(sys.argv[1])
torch.set_num_threads(threads)
rng = np.random.default_rng(0)
n_stocks = 200
days = np.repeat(pd.bdate_range("2020-01-01", periods=n_windows // n_stocks), n_stocks)
stocks = np.tile(np.arange(n_stocks).astype(str), n_windows // n_stocks)
X = rng.normal(size=(len(days), 60, 6)).astype(np.float32)
y = rng.normal(size=len(days)).astype(np.float32)
seconds = {}
for name in models:
    model = skattn.make_model(name, max_epochs=1, early_stopping=False, random_state=0)
    few = slice(0, 2 * n_stocks)
    model.fit(X[few], y[few], days=days[few], instruments=stocks[few])
    began = time.perf_counter()
    model.fit(X, y, days=days, instruments=stocks)
    fitted = time.perf_counter()
    model.predict(X, days=days, instruments=stocks)
    seconds[name] = [fitted - began, time.perf_counter() - fitted]
print(json.dumps(seconds))
"""


def run(checkout: Path, task: str) -> dict[str, list[float]]:
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, task],
        env=environment,
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--windows", type=int, default=8_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    arguments = parser.parse_args()
    task = json.dumps([arguments.windows, arguments.threads, *arguments.models])
    sides = {"before": arguments.before.resolve(), "now": HERE}
    taken: dict[str, list[dict]] = {side: [] for side in sides}
    for number in range(arguments.runs):
        # The side that begins changes from run to run.
        for side in sorted(sides, reverse=bool(number % 2)):
            taken[side].append(run(sides[side], task))
    print(describe_machine())
    print(f"{arguments.windows} windows of 60 x 6, seed 0; {arguments.runs} interleaved runs\n")
    print(f"{'model':12} {'what':8} {'before, s':>10} {'now, s':>10} {'now / before':>13}")
    for name in arguments.models:
        for place, what in enumerate(("fit", "predict")):
            before, now = ([each[name][place] for each in taken[s]] for s in ("before", "now"))
            ratio = median(b / a for a, b in zip(before, now, strict=True))
            print(f"{name:12} {what:8} {median(before):10.3f} {median(now):10.3f} {ratio:13.3f}")


if __name__ == "__main__":
    main()
