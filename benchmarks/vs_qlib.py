"""Training and prediction against qlib's models, from the same weights on the same windows.

    python benchmarks/vs_qlib.py [--models alstm,hist] [--threads 2] [--repeats 5] [--device cuda]
                                 [--windows 16000] [--no-compile] [--ohlcv FILE --sectors FILE]

Alpha360 windows of the last days of a real market, batches as in qlib's workflows, Adam, gradients
clipped to 3. qlib trains in its own ``train_epoch`` and predicts in its own ``predict``, of a frame
that is ready; set-up is not counted. For skattn whole calls are timed, ``fit`` with its checks and
set-up and ``predict``, of a dense array. qlib leaves the last batch of an epoch out where it is not
full: rates are of the rows that were computed. HIST and GATs get whole days, one a batch. GATs and
Localformer come from plugins (pip install plugins/skattn-gats plugins/skattn-localformer), and are
left out where these are not installed.

Other rows are the same regressor with precision="bf16", and trained with compile=True: its second
and later epochs within one fit, which are not interleaved with the other runs.

Of recurrent models the last column has the share of the processor's peak: products of the layers
that read every step (a backward pass counts twice a forward pass), against the fastest product of
large matrices.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from _qlib_models import (
    BY_DAY,
    FROM_PLUGINS,
    QLIB,
    Frames,
    make_qlib,
    make_regressor,
    predict,
    read_concepts,
    rows_trained,
    temporary_folder,
    train_epoch,
    weights_of,
)
from _report import US_EQUITIES, describe_machine, interleaved
from torch.utils.mkldnn import to_mkldnn

from skattn import from_long, list_models
from skattn.kernels import compiled_recurrences
from skattn.preprocessing import Alpha360, RobustZScore

# Times qlib's rate of training and of prediction that skattn is to reach.
TARGETS = {
    "alstm": (1.8, 2.0),
    "gats": (1.5, 1.5),
    "gru": (1.9, 2.2),
    "hist": (1.9, 2.0),
    "localformer": (4.0, 4.0),
    "lstm": (2.2, 3.0),
    "sfm": (5.0, 5.0),
    "transformer": (6.0, 6.0),
}
# Models whose products are those of every step: their share of the processor's peak is printed.
OF_EVERY_STEP = ("alstm", "gru", "hist", "lstm")


class Data:
    """Windows, labels and what goes with them, of the last whole days that hold so many rows."""

    def __init__(self, path: Path, sectors: Path, n_windows: int) -> None:
        table = from_long(pd.read_parquet(path)).sort_index()
        days = table.index.get_level_values("datetime")
        sizes = days.value_counts(sort=False).sort_index().iloc[:-2]
        wanted = sizes.index[sizes[::-1].cumsum()[::-1].shift(-1, fill_value=0) < n_windows]
        first = max(0, sizes.index.get_loc(wanted[0]) - 59)
        table = table[days >= sizes.index[first]]
        windows = Alpha360(vwap="typical").fit_transform(table)
        windows = windows[windows.index.get_level_values("datetime").isin(wanted)]
        self.X = np.asarray(RobustZScore().fit_transform(windows), dtype=np.float32)
        self.index = windows.index
        self.y = np.random.default_rng(0).normal(size=len(self.X)).astype(np.float32)
        self.concepts = read_concepts(sectors)

    def rows(self, name: str, n_windows: int) -> tuple[np.ndarray, np.ndarray, pd.MultiIndex]:
        """Take about so many rows: whole days for a model that looks across stocks."""
        if name in BY_DAY:
            day = pd.factorize(self.index.get_level_values("datetime"))[0]
            n_windows = int((day <= day[min(n_windows, len(day)) - 1]).sum())
        return self.X[:n_windows], self.y[:n_windows], self.index[:n_windows]


class Pair:
    """One model, qlib's and skattn's, from the same weights."""

    def __init__(self, name: str, data: Data, arguments: argparse.Namespace, folder: Path) -> None:
        self.name, self.data, self.arguments = name, data, arguments
        parameters = {"random_state": 0, "device": arguments.device, "early_stopping": False}
        self.plain = make_regressor(name, data.concepts, **parameters)
        self.batch_size = self.plain.batch_size
        self.qlib = make_qlib(name, self.plain, seed=0, folder=folder, device=arguments.device)
        self.weights = weights_of(name, self.qlib)

    def qlib_epoch(self, n_windows: int) -> Callable[[], None]:
        """An epoch of qlib's."""
        frame = self._frames(n_windows).prepare("test", ["feature", "label"], None)
        return lambda: train_epoch(self.name, self.qlib, frame)

    def qlib_predict(self, n_windows: int) -> Callable[[], np.ndarray]:
        """Prediction by qlib."""
        frames = self._frames(n_windows)
        return lambda: predict(self.name, self.qlib, frames)

    def fit(self, n_windows: int, max_epochs: int = 1, **parameters: Any) -> Callable[[], Any]:
        """A fit of skattn's from qlib's weights."""
        X, y, _ = self.data.rows(self.name, n_windows)
        context = self._context(n_windows)
        model = self.plain.__class__(**{**self.plain.get_params(), **parameters})
        model.set_params(max_epochs=max_epochs, pretrained=self.weights)
        return lambda: model.fit(X, y, **context)

    def predict(self, n_windows: int, **parameters: Any) -> Callable[[], np.ndarray]:
        """Prediction by skattn from qlib's weights."""
        # A step so small that no weight changes: a fit that only loads them.
        model = self.fit(1, lr=1e-30, **parameters)()
        X = self.data.rows(self.name, n_windows)[0]
        context = self._context(n_windows)
        return lambda: model.predict(X, **context)

    def _frames(self, n_windows: int) -> Frames:
        return Frames({"test": self.data.rows(self.name, n_windows)})

    def _context(self, n_windows: int) -> dict[str, Any]:
        if self.name not in BY_DAY:
            return {}
        index = self.data.rows(self.name, n_windows)[2]
        return {level: index.get_level_values(name) for level, name in CONTEXT.items()}


CONTEXT = {"days": "datetime", "instruments": "instrument"}
VARIANTS: dict[str, dict[str, Any]] = {
    "skattn": {},
    "bf16": {"precision": "bf16"},
    "compiled": {"compile": True},
}


def measure_peak() -> float:
    """Multiplications and additions a second in products of large float32 matrices."""
    size = 2048
    a, b = torch.randn(2, size, size).unbind()
    layer = torch.nn.Linear(size, size, bias=False)
    of_onednn, x = to_mkldnn(layer), a.to_mkldnn()

    def seconds(task: Callable[[], Any]) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            task()
            times.append(time.perf_counter() - began)
        return min(times)

    with torch.inference_mode():
        fastest = min(seconds(lambda: a @ b), seconds(lambda: of_onednn(x)))
    return 2 * size**3 / fastest


def operations_a_row(name: str, module: torch.nn.Module, n_steps: int) -> float | None:
    """Multiplications and additions of a window's forward pass in layers that read every step."""
    if name not in OF_EVERY_STEP:
        return None
    layers = ("rnn.", "net.", "att_net.")
    weights = [w for key, w in module.named_parameters() if key.startswith(layers) and w.ndim == 2]
    return 2 * n_steps * sum(weight.numel() for weight in weights)


def measure(pair: Pair, variants: list[str], arguments: argparse.Namespace) -> None:
    """Time one model and print its rows."""
    n_windows, small = arguments.windows, min(arguments.windows, 2 * pair.batch_size)
    n_rows = len(pair.data.rows(pair.name, n_windows)[0])
    n_by_qlib = rows_trained(pair.name, n_rows, pair.batch_size)
    if n_by_qlib == 0:
        raise ValueError(f"qlib trains {pair.name} on full batches: {pair.batch_size} windows.")
    train_target, predict_target = TARGETS[pair.name]

    # First of all, while qlib's weights are as they were made.
    tasks = {"qlib": pair.qlib_predict(n_windows)}
    reference = tasks["qlib"]()
    apart = []
    for variant in variants:
        if variant == "compiled":
            continue  # predictions are made by the module as it is
        task = attempt(variant, lambda v=variant: pair.predict(n_windows, **VARIANTS[v]))
        predicted = task and attempt(variant, task)
        if predicted is not None:
            tasks[variant] = task
            apart.append(f"{variant} {np.abs(predicted - reference).max():.1e}")
    seconds = timed(tasks, arguments)

    module = pair.fit(1, lr=1e-30)().module_
    operations = operations_a_row(pair.name, module, pair.data.X.shape[1])
    tasks = {"qlib": pair.qlib_epoch(n_windows)}
    pair.qlib_epoch(small)()
    for variant in variants:
        if variant != "compiled" and attempt(variant, pair.fit(small, **VARIANTS[variant])):
            tasks[variant] = pair.fit(n_windows, **VARIANTS[variant])
    train_seconds = timed(tasks, arguments)
    if "compiled" in variants:
        model = attempt("compiled", pair.fit(n_windows, 1 + arguments.repeats, compile=True))
        if model:
            train_seconds["compiled"] = model.history_["dur"].tolist()[1:]

    of_peak = operations and operations / arguments.peak
    rows = (n_rows, n_by_qlib)
    report(f"{pair.name} train", train_seconds, rows, train_target, of_peak and 3 * of_peak)
    report(f"{pair.name} predict", seconds, (n_rows, n_rows), predict_target, of_peak)
    print(f"  farthest from qlib's predictions, whose spread is {reference.std():.1e}: ", end="")
    print(", ".join(apart) + "\n", flush=True)


def attempt(variant: str, task: Callable[[], Any]) -> Any:
    """Run a task a first time; None, and a message, where the machine cannot."""
    try:
        return task()
    except Exception as error:
        if variant == "skattn":
            raise
        print(f"  {variant} skipped: {type(error).__name__}: {str(error).strip().splitlines()[:1]}")
        return None


def timed(tasks: dict[str, Callable], arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Time tasks in turn, each to its end."""
    if arguments.device == "cpu":
        return interleaved(tasks, arguments.repeats)

    def to_its_end(task: Callable) -> Callable[[], None]:
        def run() -> None:
            task()
            torch.cuda.synchronize()

        return run

    return interleaved({k: to_its_end(task) for k, task in tasks.items()}, arguments.repeats)


def report(
    what: str,
    seconds: dict[str, list[float]],
    rows: tuple[int, int],
    target: float,
    of_peak: float | None,
) -> None:
    """Print rates of one kind of task, how many times qlib's they are, and their share of the peak.

    ``rows`` are skattn's and qlib's; ``of_peak`` is what a row a second takes of the peak.
    """
    n_rows, n_by_qlib = rows
    qlib = [n_by_qlib / value for value in seconds["qlib"]]
    for variant, values in seconds.items():
        rates = qlib if variant == "qlib" else [n_rows / value for value in values]
        times = [a / b for a, b in zip(rates, qlib, strict=True)]
        line = f"{what:20} {variant:9} {n_by_qlib if variant == 'qlib' else n_rows:7}"
        line += f" {median(rates):10,.0f}"
        line += f" {median(times):9.2f}" if variant != "qlib" else f" {'':9}"
        line += f" {target:7.1f}" if variant == "skattn" else f" {'':7}"
        if of_peak and variant in ("qlib", "skattn"):
            line += f" {of_peak * median(rates):8.0%}"
        print(line.rstrip())
        what = ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    installed = {spec.name for spec in list_models()}
    models = [name for name in QLIB if name not in FROM_PLUGINS or name in installed]
    parser.add_argument("--models", default=",".join(models), help="comma-separated")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--windows", type=int, default=16_000)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--no-bf16", action="store_true")
    parser.add_argument("--ohlcv", type=Path, default=US_EQUITIES, help="long parquet file")
    parser.add_argument("--sectors", type=Path, default=US_EQUITIES.with_name("us_sectors.csv"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch._inductor")
    skipped = {"bf16": arguments.no_bf16, "compiled": arguments.no_compile}
    variants = [variant for variant in VARIANTS if not skipped.get(variant)]
    began = time.perf_counter()
    data = Data(arguments.ohlcv, arguments.sectors, arguments.windows)
    n_days = data.index.get_level_values("datetime").nunique()
    print(describe_machine("pyqlib"))
    if arguments.device == "cuda":
        print(f"on {torch.cuda.get_device_name()}")
    print(
        f"{arguments.windows} windows of 60 x 6 ({', '.join(BY_DAY)}: {len(data.X)} of {n_days} "
        f"days), float32; seed 0; {arguments.repeats} interleaved runs\n"
    )
    arguments.peak = measure_peak()
    print(f"products of large matrices: {arguments.peak / 1e9:.0f} GFLOP/s")
    print(f"recurrent layers: {compiled_recurrences().reason}\n")
    head = f"{'':20} {'':9} {'rows':>7} {'rows/s':>10} {'x qlib':>9} {'target':>7} {'of peak':>8}"
    print(head, flush=True)
    for name in arguments.models.split(","):
        with temporary_folder() as folder:
            measure(Pair(name, data, arguments, Path(folder)), variants, arguments)
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
