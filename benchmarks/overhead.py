"""What skattn adds to a bare torch loop: an epoch of each, same batches and optimizer.

    python benchmarks/overhead.py [--repeats 5] [--threads 2]

Two modules: ALSTM, where the arithmetic dominates, and a linear one, where everything else does.
16,000 windows of 60 steps and 6 fields in memory, batch 800, Adam, gradients clipped to 3. Whole
calls are timed, with their checks and set-up, and divided by the number of epochs.
"""

from __future__ import annotations

import argparse
from statistics import median

import numpy as np
import skorch
import torch
from _report import describe_machine, interleaved
from torch import nn

from skattn import SequenceRegressor
from skattn.models import ALSTM, ALSTMRegressor

N, T, F, BATCH = 16_000, 60, 6, 800


class Linear(nn.Module):
    """A linear map of the flattened window."""

    def __init__(self, n_steps: int, n_features: int) -> None:
        super().__init__()
        self.out = nn.Linear(n_steps * n_features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict."""
        return self.out(x.flatten(1))[:, 0]


class LinearRegressor(SequenceRegressor):
    """The linear map as a regressor."""

    def build_module(self, n_steps: int, n_features: int) -> Linear:
        """Make the module."""
        return Linear(n_steps, n_features)


def bare_loop(module: nn.Module, X: torch.Tensor, y: torch.Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    loss_function = nn.MSELoss()
    for _ in range(epochs):
        order = torch.randperm(len(X))
        for rows in order.split(BATCH):
            optimizer.zero_grad()
            loss = loss_function(module(X[rows]), y[rows])
            loss.backward()
            nn.utils.clip_grad_value_(module.parameters(), 3.0)
            optimizer.step()


def plain_skorch(module: nn.Module, X: np.ndarray, y: np.ndarray, epochs: int) -> None:
    net = skorch.NeuralNet(
        module,
        nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=BATCH,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    net.fit(X, y)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, T, F)).astype(np.float32)
    y = rng.normal(size=N).astype(np.float32)
    X_tensor, y_tensor = torch.from_numpy(X), torch.from_numpy(y)
    print(describe_machine())
    print(
        f"{N} windows of {T} x {F}, batch {BATCH}; seed 0; {arguments.repeats} interleaved runs\n"
    )
    print(f"{'module':8} {'loop':14} {'ms an epoch':>12} {'times bare':>11}")
    common = {"early_stopping": False, "random_state": 0, "device": "cpu"}
    for name, epochs, make_module, make_regressor in (
        ("ALSTM", 1, lambda: ALSTM(F), lambda n: ALSTMRegressor(max_epochs=n, **common)),
        ("linear", 20, lambda: Linear(T, F), lambda n: LinearRegressor(max_epochs=n, **common)),
    ):
        tasks = {
            "bare torch": lambda m=make_module, e=epochs: bare_loop(m(), X_tensor, y_tensor, e),
            "skattn": lambda m=make_regressor, e=epochs: m(e).fit(X, y),
            "plain skorch": lambda m=make_module, e=epochs: plain_skorch(m(), X, y, e),
        }
        interleaved(tasks, 1)  # warm up
        seconds = interleaved(tasks, arguments.repeats)
        ratios = {
            loop: median([a / b for a, b in zip(values, seconds["bare torch"], strict=True)])
            for loop, values in seconds.items()
        }
        for loop, values in seconds.items():
            print(f"{name:8} {loop:14} {1e3 * median(values) / epochs:12.1f} {ratios[loop]:11.3f}")


if __name__ == "__main__":
    main()
