"""Optuna prunes by epoch through callbacks=, and reports reach the real trial."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import small_alstm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback
from stored_fits import Tasks, assert_same_fit, epochs, four_epochs, kill, trained

from skattn.compose import CrossSectionalTarget
from skattn.model_selection import DailyTimeSeriesSplit

optuna = pytest.importorskip("optuna")
SkorchPruningCallback = pytest.importorskip("optuna_integration").SkorchPruningCallback


class AtEpoch(optuna.pruners.BasePruner):
    """Prunes when a trial has reported this many epochs."""

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def prune(self, study, trial):
        return len(trial.intermediate_values) >= self.n_epochs


class Reports(Callback):
    """A callback of the user's own, whose trial is a parameter."""

    def __init__(self, trial, monitor="valid_loss"):
        self.trial = trial
        self.monitor = monitor

    def on_epoch_end(self, net, **kwargs):
        self.trial.report(net.history[-1, self.monitor], len(net.history) - 1)
        if self.trial.should_prune():
            raise optuna.TrialPruned

    def on_train_begin(self, net, **kwargs):
        self.begun_ = True


def wrap(how, model):
    if how == "clone":
        return clone(model)
    if how in ("cross-section", "sqlite"):
        return CrossSectionalTarget(model)
    if how == "pipeline":
        return make_pipeline(FunctionTransformer(), CrossSectionalTarget(model))
    return model


@pytest.fixture
def labelled(windows):
    X, y = windows
    y.attrs["reach"] = 2
    return X, y


def make_study(n_epochs, storage=None):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(pruner=AtEpoch(n_epochs), storage=storage)


@pytest.mark.parametrize("kind", [SkorchPruningCallback, Reports])
@pytest.mark.parametrize("how", ["model", "clone", "cross-section", "pipeline", "sqlite"])
def test_a_pruned_trial(labelled, tmp_path, kind, how):
    X, y = labelled
    study = make_study(2, f"sqlite:///{tmp_path / 'study.db'}" if how == "sqlite" else None)
    straight = small_alstm(max_epochs=4).fit(*labelled)
    fitted = []

    def objective(trial):
        model = wrap(how, small_alstm(max_epochs=4, callbacks=[kind(trial, "valid_loss")]))
        fitted.append(model)
        model.fit(X, y)
        return 0.0

    state = torch.get_rng_state()
    study.optimize(objective, n_trials=1)
    assert torch.equal(state, torch.get_rng_state())
    (trial,) = study.trials
    assert trial.state == optuna.trial.TrialState.PRUNED
    assert list(trial.intermediate_values) == [0, 1]
    if how in ("model", "clone"):
        expected = straight.history_["valid_loss"][:2]
        np.testing.assert_array_equal(list(trial.intermediate_values.values()), expected)
    with pytest.raises(NotFittedError):
        fitted[0].predict(X)


def test_pruned_comes_out_of_fit_and_leaves_the_model_usable(labelled):
    trial = make_study(2).ask()
    callback, tasks = SkorchPruningCallback(trial, "valid_loss"), Tasks()
    model = small_alstm(max_epochs=4, callbacks=[callback]).set_callbacks(tasks)
    with pytest.raises(optuna.TrialPruned, match="epoch 1"):
        model.fit(*labelled)
    assert not vars(model).keys() & {"net_", "history_", "n_iter_", "row_bits_differ_"}
    model.set_params(callbacks=None).fit(*labelled)
    assert_same_fit(model, small_alstm(max_epochs=4).fit(*labelled), labelled[0])


def test_a_pruned_warm_start_leaves_the_last_fit(labelled):
    X, y = labelled
    model = small_alstm(max_epochs=2, warm_start=True).fit(X, y)
    before, weights = model.net_, model.predict(X)
    model.set_params(callbacks=[SkorchPruningCallback(make_study(1).ask(), "valid_loss")])
    with pytest.raises(optuna.TrialPruned):
        model.fit(X, y)
    assert model.net_ is before
    assert model.n_iter_ == 2
    np.testing.assert_array_equal(model.predict(X), weights)


def test_a_trial_that_is_not_pruned_changes_no_bit(labelled):
    study = make_study(99)
    trial = study.ask()
    params = {"max_epochs": 4, "monitor": "valid_rank_ic", "n_iter_no_change": 2}
    callback = SkorchPruningCallback(trial, "valid_rank_ic")
    model = small_alstm(**params, callbacks=[callback]).fit(*labelled)
    assert_same_fit(model, small_alstm(**params).fit(*labelled), labelled[0])
    (known,) = study.trials
    assert list(known.intermediate_values.values()) == model.history_["valid_rank_ic"].tolist()


def test_the_pruner_of_optuna_ends_the_worse_half(labelled):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    sampler = optuna.samplers.GridSampler({"lr": [1e-2, 1e-9]}, seed=0)
    study = optuna.create_study(pruner=pruner, sampler=sampler)
    study.enqueue_trial({"lr": 1e-2})
    study.enqueue_trial({"lr": 1e-9})

    def objective(trial):
        lr = trial.suggest_float("lr", 1e-9, 1e-2)
        callbacks = [SkorchPruningCallback(trial, "valid_loss")]
        model = CrossSectionalTarget(small_alstm(lr=lr, max_epochs=4, callbacks=callbacks))
        return model.fit(*labelled).regressor_.history_["valid_loss"].min()

    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"]
    assert len(study.trials[0].intermediate_values) == 4
    assert study.best_params == {"lr": 1e-2}


def test_copies_share_the_trial_and_nothing_else(labelled):
    trial = make_study(99).ask()
    given = [("named", Reports(trial)), SkorchPruningCallback(trial, "valid_loss"), Reports]
    given[0][1].begun_ = True
    named, pruning, kind = clone(small_alstm(callbacks=given)).callbacks
    assert named[0] == "named"
    assert named[1] is not given[0][1]
    assert named[1].trial is trial
    assert not hasattr(named[1], "begun_")
    assert pruning is not given[1]
    assert pruning._trial is trial
    assert kind is Reports
    assert given[0][1].begun_


def test_a_search_inside_a_trial(labelled):
    study = make_study(99)
    callbacks = [SkorchPruningCallback(study.ask(), "valid_loss")]
    search = GridSearchCV(
        small_alstm(max_epochs=1, callbacks=callbacks),
        {"lr": [0.01]},
        cv=DailyTimeSeriesSplit(2, purge=2),
        refit=False,
        error_score="raise",
    )
    # Optuna warns that the second fold reports the same epoch.
    with pytest.warns(UserWarning, match="already reported"):
        search.fit(*labelled)
    assert list(study.trials[0].intermediate_values) == [0]


@pytest.mark.filterwarnings("ignore:.*already reported")
@pytest.mark.parametrize("kind", [SkorchPruningCallback, Reports])
@pytest.mark.parametrize("retried", [False, True], ids=["same trial", "retried"])
def test_a_killed_trial_goes_on(labelled, tmp_path, kind, retried):
    study = make_study(99)
    trial = study.ask()
    kill(four_epochs(checkpoint=tmp_path, callbacks=[kind(trial, "valid_loss")]), labelled, 3)
    # The trial has got reports since. Optuna repeats a failed trial as another one.
    trial = study.ask() if retried else trial
    model = four_epochs(checkpoint=tmp_path, callbacks=[kind(trial, "valid_loss")])
    assert trained(model, labelled) == 2
    assert_same_fit(model, four_epochs().fit(*labelled), labelled[0])
    assert list(study.trials[-1].intermediate_values) == ([2, 3] if retried else [0, 1, 2, 3])
    other = four_epochs(checkpoint=tmp_path, callbacks=[Reports(trial, "train_loss")])
    assert trained(other, labelled) == 4


def test_a_pruned_trial_stores_the_epochs_before(labelled, tmp_path):
    trial = make_study(3).ask()
    model = four_epochs(checkpoint=tmp_path, callbacks=[SkorchPruningCallback(trial, "valid_loss")])
    with pytest.raises(optuna.TrialPruned):
        model.fit(*labelled)
    assert epochs(tmp_path) == ["epoch-0001", "epoch-0002"]


@pytest.mark.parametrize(
    ("params", "monitor"),
    [
        ({"early_stopping": False}, "valid_loss"),
        ({}, "valid_ic"),
        ({"monitor": "valid_ic"}, "valid_rank_ic"),
        ({}, "vaild_loss"),
    ],
)
def test_what_the_history_lacks_is_named(labelled, params, monitor):
    callback = SkorchPruningCallback(make_study(9).ask(), monitor)
    with pytest.raises(ValueError, match=rf"callbacks: .*'{monitor}'.*train_loss.*X_val"):
        small_alstm(**params, callbacks=[callback]).fit(*labelled)


def test_partial_fit_reports_the_training_loss(labelled):
    study = make_study(2)
    trial = study.ask()
    model = small_alstm(callbacks=[SkorchPruningCallback(trial, "train_loss")])
    model.partial_fit(*labelled)
    with pytest.raises(optuna.TrialPruned):
        model.partial_fit(*labelled)
    assert model.n_iter_ == 1
    assert list(study.trials[0].intermediate_values) == [0, 1]
    model = small_alstm(callbacks=[SkorchPruningCallback(trial, "valid_loss")])
    with pytest.raises(ValueError, match="partial_fit has none"):
        model.partial_fit(*labelled)
