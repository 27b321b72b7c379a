"""Small fits, as in a search: against a bare torch loop, in a new process, and two at a time.

    python benchmarks/small_fits.py [--models gru,lstm,alstm,transformer] [--repeats 7]

A fit has 2,000 windows of 20 x 6, 5 epochs, batches of 200, hidden size 16. The bare loop trains
the regressor's own module with torch's own recurrent layers, on tensors that are ready. "compiled"
is the time of the first fit of a process that finds no compiled code stored, "stored" of the first
fit of the next process; imports of skattn and torch are not counted. The search has 8 candidates on
4 folds, on the threads that a process takes by default.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

import numpy as np
import torch
from _report import describe_machine, interleaved
from sklearn.model_selection import GridSearchCV
from torch import nn

import skattn
from skattn.kernels import compiled_recurrences

SMALL = {
    "transformer": {"d_model": 16, "nhead": 2, "dim_feedforward": 32},
    **{name: {"hidden_size": 16} for name in ("gru", "lstm", "alstm")},
}
EPOCHS, BATCH = 5, 200


def make_data(n_windows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_windows, 20, 6)).astype(np.float32)
    return X, X[:, -1, 0]


def make(name: str, **parameters: object) -> object:
    settings = {"max_epochs": EPOCHS, "batch_size": BATCH, "early_stopping": False}
    return skattn.make_model(name, random_state=0, **SMALL[name], **settings, **parameters)


def bare_loop(name: str, X: np.ndarray, y: np.ndarray) -> None:
    """Train without anything around it."""
    torch.manual_seed(0)
    module = make(name).build_module(*X.shape[1:])
    if hasattr(module, "rnn"):
        own = nn.LSTM if isinstance(module.rnn, nn.LSTM) else nn.GRU
        module.rnn = own(module.rnn.input_size, module.rnn.hidden_size, module.rnn.num_layers)
    optimizer = torch.optim.Adam(module.parameters())
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            loss = (module(inputs[rows]) - labels[rows]).square().mean()
            loss.backward()
            torch.nn.utils.clip_grad_value_(module.parameters(), 3.0)
            optimizer.step()


def first_fit(name: str, cache: str) -> float:
    """Seconds of the first fit of a new process."""
    code = (
        "import time, torch, sklearn, skorch, skattn; from small_fits import make, make_data\n"
        f"X, y = make_data(); model = make({name!r}); began = time.perf_counter()\n"
        "model.fit(X, y); print(time.perf_counter() - began)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=os.path.dirname(os.path.abspath(__file__)),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ran.stdout)


def search(name: str, n_jobs: int, X: np.ndarray, y: np.ndarray) -> float:
    """Seconds of a search, with the start of its worker processes."""
    rates = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2]
    began = time.perf_counter()
    GridSearchCV(make(name), {"lr": rates}, cv=4, n_jobs=n_jobs, refit=False).fit(X, y)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="gru,lstm,alstm,transformer", help="comma-separated")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(describe_machine())
    print(f"recurrent layers: {compiled_recurrences().reason}\n")
    X, y = make_data()
    head = ("bare ms", "fit ms", "fit / bare", "compiled s", "stored s", "1 job s", "2 jobs s")
    print(f"{'':12}" + "".join(f"{text:>12}" for text in head))
    for name in arguments.models.split(","):
        tasks = {"bare": lambda n=name: bare_loop(n, X, y), "fit": lambda n=name: make(n).fit(X, y)}
        for task in tasks.values():
            task()
        times = interleaved(tasks, arguments.repeats)
        seconds = {kind: median(values) for kind, values in times.items()}
        with tempfile.TemporaryDirectory() as cache:
            first = [first_fit(name, cache) for _ in range(2)]
        searches = [search(name, n_jobs, X, y) for n_jobs in (1, 2)]
        ratio = seconds["fit"] / seconds["bare"]
        row = (1e3 * seconds["bare"], 1e3 * seconds["fit"], ratio, *first, *searches)
        print(f"{name:12}" + "".join(f"{value:12.2f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
