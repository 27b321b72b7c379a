"""One model, trained by several processes, each of which computes a part of every batch.

    torchrun --nproc-per-node 2 examples/several_devices.py

Each process has a GPU of its own where there are as many, else a core. All processes make the same
table and call ``fit`` with the same parameters; all of them end with the same weights, and the
first one reports. The market is simulated, so that the best IC that any model can reach is known.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import timedelta

import torch
from torch import distributed

import skattn
from skattn.datasets import make_market
from skattn.labels import make_label
from skattn.metrics import ic_score
from skattn.panel import days_of
from skattn.preprocessing import RollingWindow


def join() -> tuple[int, str]:
    """Join the processes that torchrun has started; give the rank and the device of this one."""
    if "LOCAL_RANK" not in os.environ:
        raise ValueError(
            "Start this script by: torchrun --nproc-per-node 2 examples/several_devices.py"
        )
    local = int(os.environ["LOCAL_RANK"])
    has_gpus = torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
    if has_gpus:
        torch.cuda.set_device(local)
    # A process that hears nothing of the others for this long gives up.
    patience = timedelta(minutes=2)
    distributed.init_process_group("nccl" if has_gpus else "gloo", timeout=patience)
    return distributed.get_rank(), f"cuda:{local}" if has_gpus else "cpu"


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=5, help="passes over the rows")
    parser.add_argument("--hidden", type=int, default=32, help="size of the model")
    parser.add_argument("--days", type=int, default=16, help="days in a batch, for all processes")
    return parser


def main(arguments: argparse.Namespace) -> None:
    rank, device = join()
    market = make_market(random_state=0)
    returns = market.ohlcv[["close"]].groupby("instrument").pct_change().mul(50)
    X = RollingWindow(length=20, fill_method="ffill+bfill").fit_transform(returns.fillna(0.0))
    y = make_label(market.ohlcv)
    is_test = days_of(None, y) >= "2011-07-01"

    model = skattn.GRURegressor(
        hidden_size=arguments.hidden,
        loss="ic",
        batch="days",
        days_per_batch=arguments.days,
        lr=3e-3,
        max_epochs=arguments.epochs,
        random_state=0,
        device=device,
        data_parallel=True,
        verbose=1,  # the first process prints
    )
    begin = time.perf_counter()
    model.fit(X[~is_test], y[~is_test])
    seconds = time.perf_counter() - begin

    if rank == 0:  # all processes have the model: prediction and files are for one of them
        ic = ic_score(y[is_test], model.predict(X[is_test]))
        print(f"{distributed.get_world_size()} processes, {seconds:.1f} s; ", end="")
        print(f"IC of the test days {ic:.3f}, at best {market.ic_ceiling:.3f}")
    distributed.destroy_process_group()


if __name__ == "__main__":
    parser = make_parser()
    try:
        main(parser.parse_args())
    except (RuntimeError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
