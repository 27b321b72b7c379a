"""Fits that are stored, killed, resumed and compared. Run as a script: in forked processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import small_alstm, weights_of

from skattn.base import SequenceRegressor
from skattn.models import ALSTMRegressor


def four_epochs(**params) -> ALSTMRegressor:
    return small_alstm(**{"hidden_size": 4, "batch_size": 64, **params})


class Killed(Exception):  # noqa: N818 - not what goes wrong here
    pass


class Tasks:
    """scikit-learn callback that counts epochs, and ends the fit before the k-th is stored."""

    max_propagation_depth = None

    def __init__(self, kill_at: int | None = None):
        self.kill_at = kill_at
        self.n_epochs = 0

    def setup(self, estimator, context):
        self.planned = context.max_subtasks

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.n_epochs += 1
            if self.n_epochs == self.kill_at:
                raise Killed


def kill(model: SequenceRegressor, windows, at: int) -> None:
    """Fit until the end of an epoch that is not stored any more."""
    with pytest.raises(Killed):
        model.set_callbacks(Tasks(kill_at=at)).fit(*windows)


def trained(model: SequenceRegressor, windows) -> int:
    """Fit and count the epochs that it took."""
    tasks = Tasks()
    model.set_callbacks(tasks).fit(*windows)
    assert tasks.planned >= tasks.n_epochs
    return tasks.n_epochs


def assert_same_fit(fitted: SequenceRegressor, expected: SequenceRegressor, X) -> None:
    """Compare weights, history and predictions of two fits exactly."""
    for name, value in expected.module_.state_dict().items():
        assert torch.equal(fitted.module_.state_dict()[name], value), name
    pd.testing.assert_frame_equal(
        fitted.history_.drop(columns="dur"), expected.history_.drop(columns="dur"), check_exact=True
    )
    assert fitted.n_iter_ == expected.n_iter_
    np.testing.assert_array_equal(fitted.predict(X), expected.predict(X))


def epochs(directory: Path) -> list[str]:
    return sorted(path.name.removesuffix(".state") for path in directory.glob("*/*"))


# Fits in forked processes: `python stored_fits.py STORE KILLS ROUNDS` ---------------------------


def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4, 2)).astype(np.float32)
    return X, X[:, -1, 0]


def forked_model(**params) -> ALSTMRegressor:
    return four_epochs(max_epochs=12, dropout=0.2, early_stopping=False, **params)


def forked_fit(store: Path, expected: bytes) -> int:
    """Fit in a process of its own, which ends with the name of what came out as its status."""
    if pid := os.fork():
        return pid
    outcome = "other error"
    try:
        fitted = forked_model(checkpoint=store).fit(*rows())
        outcome = "same bits" if weights_of(fitted).tobytes() == expected else "other bits"
    except ValueError as error:
        if str(error).startswith("checkpoint"):
            outcome = "clear error"
    finally:
        if outcome != "same bits":
            traceback.print_exc()
        os._exit(OUTCOMES.index(outcome))


OUTCOMES = ("same bits", "clear error", "other bits", "other error")


def outcome_of(pid: int) -> str:
    status = os.waitpid(pid, 0)[1]
    return "killed" if os.WIFSIGNALED(status) else OUTCOMES[os.waitstatus_to_exitcode(status)]


def killed(store: Path, n_kills: int, expected: bytes) -> Counter:
    """Kill fits at random moments, and let them end where they come to their end."""
    rng, outcomes = np.random.default_rng(), Counter()
    begin = time.perf_counter()
    outcomes[outcome_of(forked_fit(store, expected))] += 1
    duration = time.perf_counter() - begin
    shutil.rmtree(store)
    while outcomes["killed"] < n_kills:
        pid = forked_fit(store, expected)
        time.sleep(rng.uniform(0, duration))
        os.kill(pid, signal.SIGKILL)
        outcome = outcome_of(pid)
        outcomes[outcome] += 1
        if outcome != "killed":
            shutil.rmtree(store)
    outcomes[outcome_of(forked_fit(store, expected))] += 1
    return outcomes


def together(store: Path, n_rounds: int, expected: bytes) -> Counter:
    """Run four equal fits at once; in each other round one of them is killed."""
    rng, outcomes = np.random.default_rng(), Counter()
    for round_ in range(n_rounds):
        if store.exists():
            shutil.rmtree(store)
        pids = [forked_fit(store, expected) for _ in range(4)]
        if round_ % 2:
            time.sleep(rng.uniform(0, 0.5))
            os.kill(pids[0], signal.SIGKILL)
        outcomes.update(map(outcome_of, pids))
    outcomes[outcome_of(forked_fit(store, expected))] += 1
    return outcomes


if __name__ == "__main__":
    store, n_kills, n_rounds = sys.argv[1:]
    torch.set_num_threads(1)
    expected = weights_of(forked_model().fit(*rows())).tobytes()
    alone = killed(Path(store), int(n_kills), expected)
    print(json.dumps([alone, together(Path(store), int(n_rounds), expected)]))
