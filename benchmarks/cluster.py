"""What is shipped to the processes of loky, dask and Ray, and the threads that torch takes there.

    python benchmarks/cluster.py [--ohlcv FILE] [--engines loky dask ray]

``GridSearchCV`` (4 candidates) and ``cross_val_signal`` (4 folds) run on two processes with an
estimator that learns nothing, over a table of prices and over windows of it. Counted are the bytes
of all messages of the driver, per task. loky writes large arrays to files once, which its processes
map: the files stand beside the messages. dask's driver holds the scheduler too, so that what passes
through both counts twice. Ray's messages include its store, which the processes of a machine share.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import torch
from _report import US_EQUITIES, describe_machine
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GridSearchCV

from skattn import from_long, make_label
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.preprocessing import Alpha360

WORKERS, TASKS = 2, 4
sent = {"messages": 0, "files": 0}


@contextmanager
def on_loky() -> Iterator[None]:
    from joblib.externals.loky.backend import queues

    dumps, dump = queues.dumps, joblib._memmapping_reducer.dump

    def count_message(*arguments, **keywords):
        message = dumps(*arguments, **keywords)
        sent["messages"] += len(message)
        return message

    def count_file(array, path):
        sent["files"] += array.nbytes
        return dump(array, path)

    queues.dumps, joblib._memmapping_reducer.dump = count_message, count_file
    try:
        with joblib.parallel_config("loky", n_jobs=WORKERS):
            yield
    finally:
        queues.dumps, joblib._memmapping_reducer.dump = dumps, dump


@contextmanager
def on_dask() -> Iterator[None]:
    from dask.distributed import Client, LocalCluster
    from distributed.comm.tcp import TCP

    write = TCP.write

    async def count(self, *arguments, **keywords):
        size = await write(self, *arguments, **keywords)
        sent["messages"] += size or 0
        return size

    TCP.write = count
    try:
        with (
            LocalCluster(
                n_workers=WORKERS, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            Client(cluster),
            joblib.parallel_config("dask"),
        ):
            yield
    finally:
        TCP.write = write


@contextmanager
def on_ray() -> Iterator[None]:
    import ray
    from ray._private.serialization import SerializationContext

    from skattn.cluster import register_ray

    serialize = SerializationContext.serialize

    def count(self, value):
        serialized = serialize(self, value)
        sent["messages"] += serialized.total_bytes
        return serialized

    SerializationContext.serialize = count
    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level=logging.ERROR)
    register_ray()
    try:
        with joblib.parallel_config("ray", n_jobs=WORKERS):
            yield
    finally:
        SerializationContext.serialize = serialize
        ray.shutdown()


ENGINES = {"loky": on_loky, "dask": on_dask, "ray": on_ray}


def search(X, y) -> None:
    grid = GridSearchCV(
        DummyRegressor(strategy="constant", constant=0.0),
        {"constant": [0.0, 1.0]},
        cv=DailyTimeSeriesSplit(n_splits=2),
        scoring="neg_mean_squared_error",
        refit=False,
    )
    grid.fit(X, y)


def signal(X, y) -> None:
    cross_val_signal(DummyRegressor(), X, y, cv=DailyTimeSeriesSplit(n_splits=TASKS))


def report(engine: str, data: str, what: Callable, X, y) -> None:
    for name in sent:
        sent[name] = 0
    began = time.perf_counter()
    what(X, y)
    seconds = time.perf_counter() - began
    messages, files = (sent[name] / 1e6 for name in ("messages", "files"))
    print(
        f"{engine:6} {what.__name__:7} {data:8} {messages / TASKS:14.2f} {files:12.1f} "
        f"{seconds:7.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ohlcv", type=Path, default=US_EQUITIES.with_name("cn_equities.parquet"))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    arguments = parser.parse_args()
    prices = from_long(arguments.ohlcv)
    y = make_label(prices).fillna(0.0)
    windows = Alpha360(["close", "volume"], length=20).fit_transform(prices)
    inputs = {"table": prices, "windows": windows}
    index_bytes = sum(codes.nbytes for codes in prices.index.codes)
    print(
        f"{len(prices):,} rows: table {prices.to_numpy().nbytes / 1e6:.0f} MB, windows' table "
        f"{inputs['windows'].nbytes / 1e6:.0f} MB, index {index_bytes / 1e6:.0f} MB, labels "
        f"{y.to_numpy().nbytes / 1e6:.0f} MB"
    )
    print(f"{'engine':6} {'what':7} {'X':8} {'MB a task':>14} {'MB in files':>12} {'s':>7}")
    threads = {}
    for engine in arguments.engines:
        with ENGINES[engine]():
            for data, X in inputs.items():
                report(engine, data, search, X, y)
                report(engine, data, signal, X, y)
            threads[engine] = joblib.Parallel()(
                joblib.delayed(torch.get_num_threads)() for _ in range(WORKERS)
            )
    here = torch.get_num_threads()
    print(f"threads of torch: {here} in the driver, and in a worker", threads)
    print(describe_machine("joblib", "dask", "ray"))


if __name__ == "__main__":
    main()
