"""What happens to a model beside fit and predict: copies, files, processes, interrupted fits."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import SkipTest

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skattn.base import SequenceRegressor
from skattn.metrics import rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.testing._data import fitted, make_panel, small
from skattn.testing._seeds import dropouts

STATE = (
    "What a module learns or counts is an nn.Parameter or a buffer (self.register_buffer), and "
    "what predicts is made in build_module from the parameters alone"
)

FRESH = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    model, X = pickle.load(file)
np.save(sys.argv[2], model.predict(X))
"""


class Interrupted(Exception):  # noqa: N818 - the check raises it on purpose
    """Stands for a process that is killed."""


class EndsThirdEpoch:
    """Callback of scikit-learn that ends a fit as a crash does, before an epoch is stored."""

    max_propagation_depth = None

    def __init__(self) -> None:
        self.n_epochs = 0

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing; scikit-learn calls it before a fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing; scikit-learn calls it after a fit."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing; scikit-learn calls it before the fit and each epoch."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Count epochs, and raise at the end of the third."""
        self.n_epochs += context.task_name == "epoch"
        if self.n_epochs == 3:
            raise Interrupted


def check_clones_and_copies(estimator: SequenceRegressor) -> None:
    """Copy a fitted model, and fit its clone."""
    model, panel = fitted(estimator)
    predicted = model.predict(panel.X)
    copied = copy.deepcopy(model)
    _compare(copied.predict(panel.X), predicted, f"copy.deepcopy of the model. {STATE}.")
    fresh = clone(model)
    if hasattr(fresh, "net_"):
        raise AssertionError(
            f"clone(model) of a fitted {type(model).__name__} is fitted: leave __sklearn_clone__ "
            f"to SequenceRegressor, which copies parameters only."
        )
    again = fresh.fit(*panel).predict(panel.X)
    _compare(
        again,
        predicted,
        "a fit of clone(model). A parameter is stored as it is given, and build_module changes "
        "nothing on self and nothing in its parameters.",
    )
    _compare(copied.predict(panel.X), predicted, "a copy after another copy was fitted.")


def check_pickle(estimator: SequenceRegressor) -> None:
    """Pickle a fitted model and load it."""
    model, panel = fitted(estimator)
    loaded = pickle.loads(_pickled(model))
    _compare(
        loaded.predict(panel.X), model.predict(panel.X), f"the pickled and loaded model. {STATE}."
    )


def check_loads_in_a_fresh_process(estimator: SequenceRegressor) -> None:
    """Load a fitted model in a process that knows nothing of this one."""
    model, panel = fitted(estimator)
    if type(model).__module__ == "__main__":
        raise SkipTest(f"{type(model).__name__} is defined in __main__, which others cannot import")
    with TemporaryDirectory() as folder:
        stored, result = Path(folder, "model.pickle"), Path(folder, "predicted.npy")
        stored.write_bytes(_pickled((model, panel.X)))
        paths = os.pathsep.join(path for path in sys.path if path)
        done = subprocess.run(
            [sys.executable, "-c", FRESH, str(stored), str(result)],
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise AssertionError(
                f"a fresh process cannot load and ask the fitted {type(model).__name__}: {last} "
                f"Define classes and functions at the top level of a module that can be imported, "
                f"here {type(model).__module__}, and need nothing that only one process has."
            )
        _compare(
            np.load(result),
            model.predict(panel.X),
            f"the model that a fresh process has loaded. {STATE}, and no global variable.",
        )


def check_checkpoint_resumes(estimator: SequenceRegressor) -> None:
    """Interrupt a fit after two epochs and go on: the bits of a fit without interruption."""
    panel = make_panel()
    settings: dict[str, Any] = {"max_epochs": 4, "early_stopping": False, **dropouts(estimator)}
    straight, _ = fitted(estimator, panel, **settings)
    with TemporaryDirectory() as folder:
        settings |= {"checkpoint": folder}
        try:
            small(estimator, **settings).set_callbacks(EndsThirdEpoch()).fit(*panel)
        except Interrupted:
            pass
        else:
            raise AssertionError(
                f"{type(straight).__name__}.fit trains without the callbacks that it is given: "
                f"leave fit to SequenceRegressor, which has callbacks and checkpoints."
            )
        resumed = small(estimator, **settings).fit(*panel)
    differing = [
        name
        for name, value in straight.module_.state_dict().items()
        if not torch.equal(value, resumed.module_.state_dict()[name])
    ]
    if differing:
        raise AssertionError(
            f"a fit that was interrupted and resumed by checkpoint has other weights than one that "
            f"was not, first {differing[0]!r}. {STATE}; random numbers come from torch's generator."
        )
    _compare(
        resumed.predict(panel.X), straight.predict(panel.X), f"a fit that was resumed. {STATE}."
    )


def check_pretrained_round_trip(estimator: SequenceRegressor) -> None:
    """Store the weights of a fit and start another fit from them."""
    model, panel = fitted(estimator)
    own = model.module_.state_dict()
    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.pt")
        torch.save(own, path)
        settings = {"max_epochs": 1, "optimizer": "sgd", "lr": 1e-30, "random_state": 7}
        settings |= {"weight_decay": 0.0, "early_stopping": False}
        started = small(estimator, **settings, pretrained=path).fit(*panel)
    report = started.pretrained_report_
    if report.missing or report.unexpected:
        raise AssertionError(
            f"pretrained does not load the weights that {type(model).__name__} itself has stored: "
            f"missing {report.missing[:3]}, unexpected {report.unexpected[:3]}. Names and shapes "
            f"of weights follow from the parameters and the shape of the windows alone: make every "
            f"layer in the module's __init__, not in forward."
        )
    weights = started.module_.state_dict()
    trained = dict(model.module_.named_parameters())
    moved = [name for name in trained if not torch.equal(own[name], weights[name])]
    if moved:
        raise AssertionError(
            f"a fit that starts from pretrained weights and does not train has other weights, "
            f"first {moved[0]!r}: forward and build_module must not change weights themselves."
        )


def check_two_jobs_give_the_scores_of_one(estimator: SequenceRegressor) -> None:
    """Search over two learning rates in one process and in two."""
    alone = _scores(estimator, n_jobs=1)
    try:
        together = _scores(estimator, n_jobs=2)
    except BrokenProcessPool:
        # joblib keeps its processes, which may not know where this model was imported from.
        together = _scores(estimator, n_jobs=2)
    _compare(
        together,
        alone,
        "GridSearchCV with n_jobs=2. Nothing may depend on the process: no global variables, no "
        "count of fits, no generator but torch's, which fit seeds.",
    )


def _scores(estimator: SequenceRegressor, n_jobs: int) -> np.ndarray:
    search = GridSearchCV(
        small(estimator, **dropouts(estimator)),
        {"lr": [0.01, 0.02]},
        cv=DailyTimeSeriesSplit(n_splits=2, purge=2),
        scoring=rank_ic_scorer,
        n_jobs=n_jobs,
        refit=False,
        error_score="raise",
    )
    return search.fit(*make_panel(24)).cv_results_["mean_test_score"]


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise AssertionError(
            f"a fitted model cannot be pickled ({type(error).__name__}: {error}). Define classes "
            f"and functions at the top level of a module, and keep no lambda, no open file and no "
            f"generator on the module or in make_side_inputs."
        ) from error


def _compare(actual: np.ndarray, expected: np.ndarray, what: str) -> None:
    if not np.array_equal(actual, expected, equal_nan=True):
        n_other = int((actual != expected).sum())
        raise AssertionError(f"{n_other} of {len(expected)} numbers have other bits in {what}")


LIFECYCLE = (
    check_clones_and_copies,
    check_pickle,
    check_loads_in_a_fresh_process,
    check_checkpoint_resumes,
    check_pretrained_round_trip,
    check_two_jobs_give_the_scores_of_one,
)
