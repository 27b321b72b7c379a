"""A search and a signal on a cluster: dask's processes on this machine, or Ray's.

    python examples/beyond_one_machine.py [--engine dask | ray | loky] [--address ADDRESS]

On a simulated market, so that nothing has to be downloaded. What it does:

1. starts two processes of one thread each, or connects to the cluster at an address, and checks
   that each of its workers has the packages of this process;
2. searches the size of a GRU with GridSearchCV, walking forward; all fits run on the cluster;
3. fits the best GRU on each fold, there too, and prints what the signal is worth;
4. predicts with the same settings here, and compares: the engine changes no bit.

The last two lines are what every script needs that starts processes: a process imports the script,
and must not start processes of its own while it does.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import joblib
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skattn
from skattn.cluster import check_workers, register_ray
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import rank_ic_scorer, signal_report
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.preprocessing import Alpha360, RobustZScore

SHOWN = ["rank_ic", "rank_icir", "rank_ic_t", "days", "stocks"]


@contextmanager
def on_dask(address: str | None) -> Iterator[None]:
    try:
        from dask.distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError(f'--engine dask: {error}. pip install "skattn[dask]"') from error

    with (
        nullcontext(address)
        if address
        else LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        joblib.parallel_config("dask"),
    ):
        print(check_workers(client).T.to_string())
        yield


@contextmanager
def on_ray(address: str | None) -> Iterator[None]:
    try:
        import ray
    except ImportError as error:
        raise ImportError(f'--engine ray: {error}. pip install "skattn[ray]"') from error

    processes = {"num_cpus": 2, "include_dashboard": False} if address is None else {}
    ray.init(address, logging_level=logging.ERROR, **processes)
    register_ray()
    try:
        print(check_workers(ray).T.to_string())
        with joblib.parallel_config("ray", n_jobs=-1):
            yield
    finally:
        ray.shutdown()


@contextmanager
def on_loky(address: str | None) -> Iterator[None]:
    with joblib.parallel_config("loky", n_jobs=2):
        yield


ENGINES = {"dask": on_dask, "ray": on_ray, "loky": on_loky}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=ENGINES, default="dask", help="(default: dask)")
    parser.add_argument("--address", help="of a scheduler or head node (default: start here)")
    parser.add_argument("--stocks", type=int, default=20, help="(default: 20)")
    parser.add_argument("--days", type=int, default=240, help="(default: 240)")
    return parser


def main(arguments: argparse.Namespace) -> None:
    market = make_market(n_stocks=arguments.stocks, n_days=arguments.days, random_state=0)
    gru = skattn.make_model("gru", num_layers=1, max_epochs=2, lr=5e-3, random_state=0)
    model = make_pipeline(
        Alpha360(["close", "volume"], length=10), RobustZScore(), CrossSectionalTarget(gru)
    )
    search = GridSearchCV(
        model,
        {"crosssectionaltarget__regressor__hidden_size": [4, 16]},
        # The splitter itself: a list of folds would be sent with each fit.
        cv=DailyTimeSeriesSplit(n_splits=3),
        scoring=rank_ic_scorer,
        refit=False,
    )
    with ENGINES[arguments.engine](arguments.address):
        began = time.perf_counter()
        search.fit(market.ohlcv, market.label)
        model.set_params(**search.best_params_)
        signal = cross_val_signal(model, market.ohlcv, market.label, cv=search.cv)
        seconds = time.perf_counter() - began
    print(f"\n{arguments.engine}: 6 fits of the search and 3 of the signal in {seconds:.0f} s")
    print(f"best: {search.best_params_}, rank IC {search.best_score_:.4f}")
    print(signal_report(market.label[signal.index], signal)[SHOWN].to_string())

    here = cross_val_signal(model, market.ohlcv, market.label, cv=search.cv)
    print(f"the same as in this process, bit for bit: {here.equals(signal)}")


if __name__ == "__main__":
    parser = make_parser()
    try:
        main(parser.parse_args())
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
