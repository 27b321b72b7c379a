"""A user's mistakes get errors that name them."""

from __future__ import annotations

import re
import signal
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from torch import nn

from skattn import SequenceRegressor
from skattn.models import ALSTMRegressor, TransformerRegressor
from skattn.panel import WindowArray


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"rnn": "rnn"}, ["rnn", "'gru'", "'lstm'"]),
        ({"loss": "rmse"}, ["loss", "'huber'", "'mae'", "'mse'"]),
        ({"optimizer": "lion"}, ["optimizer", "'adam'", "'sgd'"]),
        ({"monitor": "loss"}, ["monitor", "'valid_ic'", "'valid_loss'", "'valid_rank_ic'"]),
        ({"precision": "fp8"}, ["precision", "'bf16'", "'float32'"]),
        ({"lr": -1.0}, ["lr", "-1.0"]),
        ({"hidden_size": 1}, ["hidden_size", "1"]),
        ({"dropout": 1.0}, ["dropout", "1.0"]),
        ({"device": "gpu"}, ["device", "'gpu'", "'auto'"]),
        ({"freeze": ("head",)}, ["freeze", "head", "att_net"]),
        ({"purge": -1}, ["purge", "-1"]),
        ({"early_stopping": "yes"}, ["early_stopping", "'auto'"]),
        ({"optimizer": int}, ["optimizer", "'adam'", "int"]),
        ({"optimizer": torch.optim.LBFGS}, ["optimizer", "LBFGS"]),
        ({"loss": torch.nn.MSELoss}, ["loss", "MSELoss()"]),
        ({"loss": lambda p, y: p - y}, ["loss", "(170,)"]),
        ({"device": "cuda:99"}, ["device", "cuda:99"]),
        ({"freeze": ("net", "rnn", "att_net", "fc_out")}, ["freeze", "nothing to train"]),
    ],
)
def test_parameters(windows, params, names):
    X, y = windows
    with pytest.raises(ValueError) as caught:
        ALSTMRegressor(**params).fit(X, y)
    for name in names:
        assert name in str(caught.value)


def test_heads_of_equal_size(windows):
    with pytest.raises(ValueError, match=r"d_model=10.*nhead=4"):
        TransformerRegressor(d_model=10, nhead=4).fit(*windows)


def test_nan_points_at_imputation(windows):
    X, y = windows
    X = X.copy()
    X[7, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"X.*NaN.*\b7\b"):
        ALSTMRegressor(max_epochs=1).fit(X, y)
    model = ALSTMRegressor(max_epochs=1, hidden_size=4).fit(np.nan_to_num(X), y)
    with pytest.raises(ValueError, match=r"X.*NaN.*\b7\b"):
        model.predict(X)


def test_infinity(windows):
    X, y = windows
    bad_X, bad_y = X.copy(), y.copy()
    bad_X[3, 0, 0], bad_y.iloc[11] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinity"):
        ALSTMRegressor().fit(bad_X, y)
    with pytest.raises(ValueError, match=r"y.*infinity.*\b11\b"):
        ALSTMRegressor().fit(X, bad_y)


def test_labels(windows):
    X, y = windows
    with pytest.raises(ValueError, match=r"\by\b.*\b200\b"):
        ALSTMRegressor().fit(X, y * np.nan)
    with pytest.raises(ValueError, match=r"\by\b.*'-?0x\d"):
        ALSTMRegressor().fit(X, y.astype(str).str.replace(".", "x"))
    with pytest.raises(ValueError, match=r"X, y must have.*200, 199\."):
        ALSTMRegressor().fit(X, y[:-1])
    with pytest.raises(ValueError, match=r"y_val.*\b200\b"):
        ALSTMRegressor().fit(X, y, X_val=X, y_val=y * np.nan)
    with pytest.raises(ValueError, match=r"X_val.*y_val"):
        ALSTMRegressor().fit(X, y, X_val=X)


@pytest.mark.parametrize(
    ("train", "valid", "message"),
    [
        (slice(100), slice(50, 150), r"2024-01-20.*\b10\b"),
        (slice(100, 200), slice(50), r"2024-02-09.*\b0\b"),
        (slice(100), slice(100, 150), r"\b0\b.*\b5\b"),
        (slice(100), slice(120, 150), r"\b4\b.*\b5\b"),
        (slice(100), slice(125, 150), None),
    ],
    ids=["shared", "before", "next", "near", "far"],
)
def test_validation_days_that_tell_of_training_days(windows, train, valid, message):
    X, y = windows
    y.attrs["reach"] = 5
    model = ALSTMRegressor(max_epochs=1, hidden_size=4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X[train], y[train], X_val=X[valid], y_val=y[valid])
    found = [w for w in caught if "X_val" in str(w.message)]
    assert len(found) == (message is not None)
    if message:
        assert re.search(message, str(found[0].message))
        assert found[0].filename == __file__


def test_unlabelled_days_between_training_and_validation_are_a_purge(windows):
    X, y = windows
    days = y.index.get_level_values("datetime")
    y = y.where((days < days[100]) | (days >= days[110]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ALSTMRegressor(max_epochs=1, hidden_size=4, purge=2).fit(
            X[:110], y[:110], X_val=X[110:], y_val=y[110:]
        )


def test_weekends_are_no_trading_days(windows):
    X, y = windows
    days = pd.bdate_range("2024-01-01", periods=40).repeat(5)
    model = ALSTMRegressor(max_epochs=1, hidden_size=4)
    index = pd.MultiIndex.from_arrays([days, y.index.get_level_values(1)], names=y.index.names)
    y = y.set_axis(index)
    # X ends on a Friday, X_val begins on the Monday after it.
    with pytest.warns(UserWarning, match=r"\b0\b.*\b2\b"):
        model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])


def test_a_table_that_lost_its_index(windows):
    X, y = windows
    model = ALSTMRegressor(max_epochs=1, hidden_size=4, purge=2)
    with pytest.warns(UserWarning, match=r"\b8\b.*set_output") as caught:
        model.fit(X[:, :, 0], y)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(X[:, :, :1], y)
        model.fit(X[:, :, 0], y.to_numpy())
        model.fit(pd.DataFrame(X[:, :, 0], y.index), y)


def test_rows_of_X_and_y_must_agree(windows):
    X, y = windows
    table = pd.DataFrame(X[:, :, 0], index=y.index)
    with pytest.raises(ValueError, match=r"X.*\b0\b.*y\.reindex"):
        ALSTMRegressor().fit(table, y[::-1])


@pytest.mark.parametrize("name", ["days", "instruments"])
def test_days_and_instruments_must_be_of_the_rows_of_X(windows, name):
    X, y = windows
    level = {"days": "datetime", "instruments": "instrument"}[name]
    values = pd.Series(y.index.get_level_values(level), y.index)
    table = pd.DataFrame(np.asarray(X)[:, :, 0], y.index)
    model = ALSTMRegressor(hidden_size=4, max_epochs=1, random_state=0)
    model.fit(table, y, **{name: values})
    message = f"X and {name} have the same length but different rows: row 0"
    for method in (model.predict, model.attend):
        method(table, **{name: values})
        with pytest.raises(ValueError, match=message):
            method(table, **{name: values[::-1]})
    with pytest.raises(ValueError, match=message):
        model.fit(table, y, **{name: values[::-1]})


def test_too_few_days(windows):
    X, y = windows
    with pytest.raises(ValueError, match=r"\b1 of 3\b.*\b2\b"):
        ALSTMRegressor().fit(X[:15], y[:15])
    ALSTMRegressor(max_epochs=1, hidden_size=4, purge=0).fit(X[:15], y[:15])


def test_other_shape_than_fitted(windows):
    X, y = windows
    model = ALSTMRegressor(max_epochs=1, hidden_size=4).fit(X, y)
    with pytest.raises(ValueError, match=r"\b7 steps.*\b8 steps"):
        model.predict(X[:, 1:])
    with pytest.raises(ValueError, match=r"\b2 features.*\b3 features"):
        model.predict(X[:, :, 1:])
    with pytest.raises(ValueError, match=r"X.*\b2\b.*\b3\b"):
        model.predict(X[:, :, 0])


def test_index_without_the_levels(windows):
    X, y = windows
    index = y.index.rename(["date", "ticker"])
    with pytest.raises(ValueError, match=r"X.*'date', 'ticker'"):
        ALSTMRegressor().fit(pd.DataFrame(X[:, :, 0], index=index), y.to_numpy())


def test_days_must_be_dates(windows):
    X, y = windows
    with pytest.raises(TypeError, match=r"days.*int64"):
        ALSTMRegressor().fit(X, y, days=np.arange(len(y)))


def test_monitor_without_cross_section(windows):
    X, y = windows
    first = y.index.get_level_values("instrument") == "A"
    with pytest.raises(ValueError, match=r"monitor='valid_ic'.*monitor='valid_loss'"):
        ALSTMRegressor(monitor="valid_ic").fit(X[first], y[first])


def test_divergence(windows):
    X, y = windows
    with pytest.raises(ValueError, match=r"\binf\b.*\blr\b"):
        ALSTMRegressor(optimizer="sgd", lr=1e12, clip_value=None, max_epochs=20).fit(X, y)


def test_a_warm_start_that_fails_leaves_the_last_fit_whole(windows):
    X, y = windows
    model = ALSTMRegressor(max_epochs=2, hidden_size=4, warm_start=True, random_state=0).fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=r"\binf\b.*\blr\b"):
        model.set_params(optimizer="sgd", lr=1e12, clip_value=None, max_epochs=20).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.n_iter_ == len(model.net_.history) == 2


def test_callbacks_are_skorchs(windows):
    with pytest.raises(TypeError, match=r"callbacks.*\b3\b"):
        ALSTMRegressor(callbacks=[3]).fit(*windows)


def test_a_module_of_another_shape(windows):
    class Column(nn.Module):
        def __init__(self, n_features):
            super().__init__()
            self.out = nn.Linear(n_features, 1)

        def forward(self, x):
            return self.out(x[:, -1])

    class ColumnRegressor(SequenceRegressor):
        def build_module(self, n_steps, n_features):
            return Column(n_features)

    with pytest.raises(ValueError, match=r"\(16,\).*\(16, 1\)"):
        ColumnRegressor().fit(*windows)


def test_fields_in_another_order(windows):
    X, y = windows
    ends = np.arange(len(X)) * 8 + 7
    one, two = (
        WindowArray(X.reshape(-1, 3), ends, 8, index=y.index, fields=fields)
        for fields in (["close", "open", "volume"], ["open", "close", "volume"])
    )
    model = ALSTMRegressor(max_epochs=1, hidden_size=4).fit(one, y)
    with pytest.raises(ValueError, match=r"X.*open, close.*close, open"):
        model.predict(two)


def test_flat_columns_of_several_fields(windows):
    X, y = windows
    names = [f"{field}{lag}" for field in ("CLOSE", "OPEN") for lag in range(8)]
    table = pd.DataFrame(X[:, :, :2].reshape(len(X), -1), index=y.index, columns=names)
    with pytest.raises(ValueError, match=r"\(close, open\).*SequenceReshaper"):
        ALSTMRegressor().fit(table, y)


def test_the_last_step_diverges(windows):
    X, y = windows
    model = ALSTMRegressor(optimizer="sgd", lr=1e38, clip_value=None, max_epochs=1)
    with pytest.raises(ValueError, match=r"weights.*\blr\b"):
        model.fit(X, 1e3 * y)


def test_failed_fits_leave_no_half(windows):
    X, y = windows
    model = ALSTMRegressor(max_epochs=1, hidden_size=4, random_state=0)
    before = model.partial_fit(X, y).predict(X)
    with pytest.raises(ValueError, match=r"\binf\b.*\blr\b"):
        model.partial_fit(X * 1e30, y * 1e30)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.n_iter_ == len(model.net_.history) == 1
    assert model.partial_fit(X, y).n_iter_ == 2
    with pytest.raises(ValueError, match=r"\by\b.*\b200\b"):
        model.fit(X[:, :, :2], y * np.nan)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_warm_start_of_another_architecture(windows):
    model = ALSTMRegressor(max_epochs=1, hidden_size=4, warm_start=True).fit(*windows)
    with pytest.raises(ValueError, match=r"warm_start=True.*warm_start=False"):
        model.set_params(hidden_size=8).fit(*windows)


def test_ctrl_c_interrupts(windows):
    def interrupted(predicted, y):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ALSTMRegressor(loss=interrupted).fit(*windows)


class Interrupted(Callback):
    """The user presses Ctrl-C while a callback runs."""

    def __init__(self, how, where):
        self.how, self.where = how, where

    def on_batch_end(self, net, **kwargs):
        if self.where == "batch":
            self.how()

    def on_epoch_end(self, net, **kwargs):
        if self.where == "epoch":
            self.how()


def by_a_handler_of_its_own():
    before = signal.signal(signal.SIGINT, lambda *_: exec("raise KeyboardInterrupt"))
    try:
        signal.raise_signal(signal.SIGINT)
        sum(range(1000))
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("where", ["batch", "epoch"])
@pytest.mark.parametrize(
    "how",
    [lambda: signal.raise_signal(signal.SIGINT), by_a_handler_of_its_own],
    ids=["signal", "handler"],
)
def test_ctrl_c_in_a_callback_interrupts(windows, how, where):
    model = ALSTMRegressor(hidden_size=4, max_epochs=3, callbacks=[Interrupted(how, where)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(*windows)
    assert not hasattr(model, "net_")


def test_a_callback_may_end_training_as_those_of_skorch_do(windows):
    class Second(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                self.stop()

        def stop(self):
            raise KeyboardInterrupt

    model = ALSTMRegressor(hidden_size=4, max_epochs=5, callbacks=[Second()]).fit(*windows)
    assert model.n_iter_ == 2


def test_score(windows):
    X, y = windows
    table = pd.DataFrame(X[:, :, 0], index=y.index)
    model = ALSTMRegressor(max_epochs=1, hidden_size=4).fit(table, y)
    with pytest.raises(ValueError, match=r"X.*y\.reindex"):
        model.score(table, y[::-1])
    with pytest.raises(ValueError, match=r"X, y must have.*200, 199\."):
        model.score(table, y[:-1])
    with pytest.raises(ValueError, match=r"\by\b.*\b200\b"):
        model.score(table, y * np.nan)
    with pytest.raises(ValueError, match=r"X, days must have.*200, 199\."):
        model.predict(table, days=y.index.get_level_values("datetime")[:-1])


def test_monitor_without_days(windows):
    X, y = windows
    with pytest.raises(ValueError, match=r"monitor='valid_ic'.*'datetime'"):
        ALSTMRegressor(monitor="valid_ic").fit(X, y, X_val=X, y_val=y.to_numpy())


def test_old_labels_without_a_purge(windows):
    """Where nothing is held out, nobody asks how far labels reach."""
    X, y = windows
    y = y.copy()
    y.attrs["horizon"] = 5
    ALSTMRegressor(max_epochs=1, hidden_size=4, early_stopping=False).fit(X, y)
    with pytest.raises(ValueError, match=r"horizon.*\b5\b.*reach"):
        ALSTMRegressor(max_epochs=1, hidden_size=4).fit(X, y)


def test_labels_that_are_too_large(windows):
    X, y = windows
    model = ALSTMRegressor(max_epochs=1, hidden_size=4).fit(X, y)
    large = y.to_numpy(dtype=float, copy=True)
    large[3] = 1e39
    for method in (model.fit, model.score):
        with pytest.raises(ValueError, match=r"\by\b.*float32.*\b3\b"):
            method(X, large)


def test_instruments_of_two_columns(windows):
    X, y = windows
    with pytest.raises(ValueError, match=r"instruments.*\b2 dimensions"):
        ALSTMRegressor().fit(X, y, instruments=np.ones((len(y), 2)))


@pytest.mark.parametrize(
    ("optimizer", "weight_decay"),
    [(torch.optim.Optimizer, 0.0), (torch.optim.SparseAdam, 0.0), (torch.optim.Adafactor, -0.0)],
)
def test_optimizers_that_cannot_train(windows, optimizer, weight_decay):
    if optimizer is torch.optim.Adafactor:
        ALSTMRegressor(optimizer=optimizer, max_epochs=1, hidden_size=4).fit(*windows)
        return
    with pytest.raises(ValueError, match=rf"optimizer.*{optimizer.__name__}"):
        ALSTMRegressor(optimizer=optimizer, weight_decay=weight_decay).fit(*windows)


def test_an_optimizer_that_refuses_its_parameters_is_named(windows):
    with pytest.raises(ValueError, match=r"optimizer=Rprop.*weight_decay"):
        ALSTMRegressor(optimizer=torch.optim.Rprop, weight_decay=0.1).fit(*windows)


def test_a_table_of_features_without_windows(windows):
    X, y = windows
    names = ["RESI5", "WVMA5", "RSQR5", "KLEN", "CORR5", "ROC60", "STD5", "VSTD5"]
    features = pd.DataFrame(X[:, :, 0], y.index, columns=names)
    model = ALSTMRegressor(hidden_size=4, max_epochs=1, purge=2)
    with pytest.warns(UserWarning, match=r"\b8 columns.*RESI5.*RollingWindow") as caught:
        model.fit(features, y)
    assert [warning.filename for warning in caught] == [__file__]
    steps = features.set_axis([f"CLOSE{lag}" for lag in range(7, -1, -1)], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(steps, y)


def test_a_build_module_of_another_signature(windows):
    class OddRegressor(SequenceRegressor):
        def build_module(self, n_features):
            return nn.Linear(n_features, 1)

    with pytest.raises(TypeError, match=r"OddRegressor\.build_module takes.*n_steps.*n_features"):
        OddRegressor().fit(*windows)
