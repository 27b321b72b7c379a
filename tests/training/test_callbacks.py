"""skorch's callbacks: fit uses the very objects that it was given."""

from __future__ import annotations

import copy
import threading

import pytest
from helpers import small_alstm
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EpochScoring, LRScheduler

from skattn.model_selection import DailyTimeSeriesSplit


class Collects(Callback):
    """Keeps the number of each epoch, as a callback that reports to a user's object does."""

    def __init__(self):
        self.epochs = []

    def on_epoch_end(self, net, **kwargs):
        self.epochs.append(len(net.history))


class Writes(Collects):
    """Cannot be copied, as callbacks of TensorBoard or of a trial cannot."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class OpensLate(Callback):
    """Opens what cannot be copied when training begins."""

    opened = 0

    def on_train_begin(self, net, **kwargs):
        self.lock_ = threading.Lock()
        type(self).opened += 1

    def on_train_end(self, net, **kwargs):
        del self.lock_


@pytest.mark.parametrize("kind", [Collects, Writes])
def test_fit_uses_the_objects_that_it_was_given(windows, kind):
    collects, named = kind(), kind()
    given = [collects, ("mine", named)]
    model = small_alstm(max_epochs=2, callbacks=given, purge=2).fit(*windows)
    assert collects.epochs == named.epochs == [1, 2]
    assert model.callbacks is given
    assert model.net_.callbacks_[-1] == ("mine", named)
    model.partial_fit(*windows)
    assert collects.epochs == named.epochs == [1, 2, 3]
    model.set_params(warm_start=True, max_epochs=1).fit(*windows)
    assert collects.epochs == named.epochs == [1, 2, 3, 4]


def test_partial_fit_leaves_the_last_net_whole(windows):
    model = small_alstm(max_epochs=1, callbacks=[LRScheduler("StepLR", step_size=1)], purge=2)
    before = model.fit(*windows).net_
    weights = copy.deepcopy(model.module_.state_dict())
    model.partial_fit(*windows)
    assert model.net_ is not before
    assert len(before.history) == 1
    for name, value in before.module_.state_dict().items():
        assert (value == weights[name]).all()


def test_what_cannot_be_copied_says_what_to_do_in_a_search(windows):
    X, y = windows
    model = small_alstm(max_epochs=1, callbacks=[EpochScoring(abs), Writes()], purge=2)
    with pytest.raises(TypeError, match=r"callbacks\b.*\bWrites\b.*lock.*on_train_begin"):
        clone(model)
    with pytest.raises(TypeError, match=r"callbacks has a Writes\b"):
        clone(small_alstm(callbacks=[("mine", Writes())]))
    search = GridSearchCV(model, {"lr": [0.1]}, cv=DailyTimeSeriesSplit(2, purge=2))
    with pytest.raises(TypeError, match=r"callbacks\b.*\bWrites\b"):
        search.fit(X, y)


@pytest.mark.parametrize("given", [OpensLate, OpensLate()], ids=["class", "object"])
def test_the_way_that_the_error_names_works(windows, given):
    X, y = windows
    OpensLate.opened = 0
    model = small_alstm(max_epochs=1, callbacks=[given], purge=2)
    GridSearchCV(model, {"lr": [0.1]}, cv=DailyTimeSeriesSplit(2, purge=2)).fit(X, y)
    assert OpensLate.opened == 3


@pytest.mark.parametrize("given", [None, [], [3], "loss", Callback(), (Callback,), {"a": 1}])
def test_clone_leaves_it_to_fit_to_refuse(windows, given):
    copied = clone(small_alstm(callbacks=given, purge=2))
    assert type(copied.callbacks) is type(given)
    if given is None or given == []:
        return
    with pytest.raises((TypeError, ValueError), match=r"callbacks must be"):
        copied.fit(*windows)


def test_other_parameters_that_cannot_be_copied_raise_as_ever(windows):
    model = small_alstm(loss=threading.Lock())
    with pytest.raises(TypeError, match=r"cannot pickle '_thread.lock' object$"):
        clone(model)
