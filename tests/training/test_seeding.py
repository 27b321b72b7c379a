"""Every fit has random numbers of its own, in threads too, and leaves the global ones alone."""

from __future__ import annotations

import multiprocessing
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers import small_alstm, weights_of
from joblib import Parallel, delayed, parallel_config
from sklearn.ensemble import VotingRegressor
from sklearn.model_selection import GridSearchCV, KFold
from skorch.callbacks import Callback

X = np.random.default_rng(0).normal(size=(60, 4, 3)).astype(np.float32)
y = X[:, -1, 0]


def dropout_alstm(**params):
    return small_alstm(**{"dropout": 0.3, "max_epochs": 2, "early_stopping": False, **params})


@pytest.fixture(autouse=True)
def global_generators_stay():
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    yield
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]


def test_fits_in_threads_have_the_bits_of_a_fit_alone():
    def fitted(seed):
        model = dropout_alstm(random_state=seed).fit(X, y)
        return weights_of(model.partial_fit(X, y))

    alone = [fitted(seed) for seed in range(3)]
    together = Parallel(n_jobs=4, backend="threading")(
        delayed(fitted)(number % 3) for number in range(24)
    )
    for number, weights in enumerate(together):
        np.testing.assert_array_equal(weights, alone[number % 3])


def test_searches_and_ensembles_in_threads():
    search = GridSearchCV(dropout_alstm(), {"hidden_size": [3, 6]}, cv=KFold(2), n_jobs=3)
    alone = search.set_params(n_jobs=1).fit(X, y).cv_results_["mean_test_score"]
    voting = VotingRegressor([(str(seed), dropout_alstm(random_state=seed)) for seed in range(3)])
    expected = voting.fit(X, y).predict(X)
    with parallel_config("threading", n_jobs=3):
        np.testing.assert_array_equal(
            search.set_params(n_jobs=3).fit(X, y).cv_results_["mean_test_score"], alone
        )
        np.testing.assert_array_equal(voting.set_params(n_jobs=2).fit(X, y).predict(X), expected)


class Noise(Callback):
    """Adds noise to the gradients, and fits another model by a function at each epoch's end."""

    def __init__(self, fit=None):
        self.fit = fit

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for _, weight in named_parameters:
            weight.grad += 0.1 * torch.randn_like(weight)

    def on_epoch_end(self, net, **kwargs):
        if self.fit:
            self.fit()


def test_a_callback_draws_from_its_fit():
    def fitted(_):
        return weights_of(dropout_alstm(callbacks=[Noise()]).fit(X, y))

    alone = fitted(0)
    assert not np.array_equal(alone, weights_of(dropout_alstm().fit(X, y)))
    for weights in Parallel(n_jobs=3, backend="threading")(delayed(fitted)(i) for i in range(6)):
        np.testing.assert_array_equal(weights, alone)


@pytest.mark.parametrize("n_threads", [0, 1, 2])
def test_a_callback_that_fits_and_waits(n_threads):
    inner = weights_of(dropout_alstm(random_state=5).fit(X, y))
    alone = weights_of(dropout_alstm(callbacks=[Noise()]).fit(X, y))

    def fit_inside():
        weights = weights_of(dropout_alstm(random_state=5).fit(X, y))
        np.testing.assert_array_equal(weights, inner)

    def fit_in_threads():
        if not n_threads:
            fit_inside()
            return
        with ThreadPoolExecutor(n_threads) as pool:
            for done in [pool.submit(fit_inside) for _ in range(n_threads)]:
                done.result(timeout=30)

    outer = dropout_alstm(callbacks=[Noise(fit_in_threads)])
    # The fit's own function is no parameter that can be cloned.
    outer.callbacks[0].__sklearn_clone__ = lambda: Noise(fit_in_threads)
    np.testing.assert_array_equal(weights_of(outer.fit(X, y)), alone)


def test_a_fit_that_fails_gives_the_turn_back():
    class Fails(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        dropout_alstm(callbacks=[Fails()]).fit(X, y)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(dropout_alstm().fit, X, y).result(timeout=30)


def _report_weights(connection):
    connection.send(weights_of(dropout_alstm().fit(X, y)))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_process_that_is_forked_during_a_fit_can_fit():
    alone = weights_of(dropout_alstm().fit(X, y))
    began, may_end = threading.Event(), threading.Event()

    class Holds(Callback):
        def on_epoch_end(self, net, **kwargs):
            began.set()
            may_end.wait(30)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(dropout_alstm(max_epochs=1, callbacks=[Holds()]).fit, X, y)
        began.wait(30)
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_report_weights, args=(there,))
        process.start()
        assert here.poll(60)
        np.testing.assert_array_equal(here.recv(), alone)
        process.join()
        may_end.set()
        held.result(timeout=30)
