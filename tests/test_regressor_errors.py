"""A user's mistakes get errors that name them."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from skattn.base import SequenceRegressor, estimator
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
        ({"loss": lambda p, y: p - y}, ["loss must give a scalar", "(170,)"]),
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
    with pytest.raises(
        ValueError, match=r"d_model must be a multiple of nhead.*d_model=10.*nhead=4"
    ):
        TransformerRegressor(d_model=10, nhead=4).fit(*windows)


def test_nan_points_at_imputation(windows):
    X, y = windows
    X = X.copy()
    X[7, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"X contains NaN \(first at row 7; .*RobustZScore"):
        ALSTMRegressor(max_epochs=1).fit(X, y)
    model = ALSTMRegressor(max_epochs=1, hidden_size=4).fit(np.nan_to_num(X), y)
    with pytest.raises(ValueError, match="X contains NaN"):
        model.predict(X)


def test_infinity(windows):
    X, y = windows
    bad_X, bad_y = X.copy(), y.copy()
    bad_X[3, 0, 0], bad_y.iloc[11] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinity"):
        ALSTMRegressor().fit(bad_X, y)
    with pytest.raises(ValueError, match=r"y contains infinity .* row 11"):
        ALSTMRegressor().fit(X, bad_y)


def test_labels(windows):
    X, y = windows
    with pytest.raises(ValueError, match="y has no label at all: it is NaN in all its 200 rows"):
        ALSTMRegressor().fit(X, y * np.nan)
    with pytest.raises(ValueError, match="must hold numbers"):
        ALSTMRegressor().fit(X, y.astype(str).str.replace(".", "x"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ALSTMRegressor().fit(X, y[:-1])
    with pytest.raises(ValueError, match="y_val has no label"):
        ALSTMRegressor().fit(X, y, X_val=X, y_val=y * np.nan)
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        ALSTMRegressor().fit(X, y, X_val=X)


@pytest.mark.parametrize(
    ("train", "valid", "message"),
    [
        (slice(100), slice(50, 150), "begins at 2024-01-11, but X ends at 2024-01-20 .*10 days"),
        (slice(100, 200), slice(50), "begins at 2024-01-01, but X ends at 2024-02-09 .* 0 days"),
        (slice(100), slice(100, 150), "ends at 2024-01-20, with 0 trading days.* 5 days ahead"),
        (slice(100), slice(120, 150), "ends at 2024-01-20, with 4 trading days.* 5 days ahead"),
        (slice(100), slice(125, 150), None),
    ],
    ids=["shared", "before", "next", "near", "far"],
)
def test_validation_days_that_tell_of_training_days(windows, train, valid, message):
    X, y = windows
    y.attrs["horizon"] = 5
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
        ALSTMRegressor(max_epochs=1, hidden_size=4).fit(
            X[:110], y[:110], X_val=X[110:], y_val=y[110:]
        )


def test_weekends_are_no_trading_days(windows):
    X, y = windows
    days = pd.bdate_range("2024-01-01", periods=40).repeat(5)
    model = ALSTMRegressor(max_epochs=1, hidden_size=4)
    index = pd.MultiIndex.from_arrays([days, y.index.get_level_values(1)], names=y.index.names)
    y = y.set_axis(index)
    # X ends on a Friday, X_val begins on the Monday after it.
    with pytest.warns(UserWarning, match="with 0 trading days between; .* reach 2 days"):
        model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])


def test_a_table_that_lost_its_index(windows):
    X, y = windows
    model = ALSTMRegressor(max_epochs=1, hidden_size=4)
    with pytest.warns(UserWarning, match=r"8 columns .* time steps.*set_output") as caught:
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
    with pytest.raises(ValueError, match=r"X and y have the same length but different rows: row 0"):
        ALSTMRegressor().fit(table, y[::-1])


def test_too_few_days(windows):
    X, y = windows
    with pytest.raises(ValueError, match=r"last 1 of 3 labelled days .* drops 2"):
        ALSTMRegressor().fit(X[:15], y[:15])
    ALSTMRegressor(max_epochs=1, hidden_size=4, purge=0).fit(X[:15], y[:15])


def test_other_shape_than_fitted(windows):
    X, y = windows
    model = ALSTMRegressor(max_epochs=1, hidden_size=4).fit(X, y)
    with pytest.raises(ValueError, match=r"7 steps and 3 features, .*expecting 8 steps and 3"):
        model.predict(X[:, 1:])
    with pytest.raises(ValueError, match="8 steps and 2 features"):
        model.predict(X[:, :, 1:])
    with pytest.raises(ValueError, match="2 dimensions"):
        model.predict(X[:, :, 0])


def test_index_without_the_levels(windows):
    X, y = windows
    index = y.index.rename(["date", "ticker"])
    with pytest.raises(ValueError, match="levels 'datetime' and 'instrument'"):
        ALSTMRegressor().fit(pd.DataFrame(X[:, :, 0], index=index), y.to_numpy())


def test_days_must_be_dates(windows):
    X, y = windows
    with pytest.raises(TypeError, match="days must be dates"):
        ALSTMRegressor().fit(X, y, days=np.arange(len(y)))


def test_monitor_without_cross_section(windows):
    X, y = windows
    first = y.index.get_level_values("instrument") == "A"
    with pytest.raises(ValueError, match="monitor='valid_ic' has no value"):
        ALSTMRegressor(monitor="valid_ic").fit(X[first], y[first])


def test_divergence(windows):
    X, y = windows
    with pytest.raises(ValueError, match=r"Training diverged: .* lower lr"):
        ALSTMRegressor(optimizer="sgd", lr=1e12, clip_value=None, max_epochs=20).fit(X, y)


def test_a_warm_start_that_fails_leaves_the_last_fit_whole(windows):
    X, y = windows
    model = ALSTMRegressor(max_epochs=2, hidden_size=4, warm_start=True, random_state=0).fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="diverged"):
        model.set_params(optimizer="sgd", lr=1e12, clip_value=None, max_epochs=20).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.n_iter_ == len(model.net_.history) == 2


def test_callbacks_are_skorchs(windows):
    with pytest.raises(TypeError, match="callbacks must be skorch callbacks; got 3"):
        ALSTMRegressor(callbacks=[3]).fit(*windows)


def test_a_module_of_another_shape(windows):
    class Column(nn.Module):
        def __init__(self, n_features):
            super().__init__()
            self.out = nn.Linear(n_features, 1)

        def forward(self, x):
            return self.out(x[:, -1])

    @estimator
    class ColumnRegressor(SequenceRegressor):
        def build_module(self, n_steps, n_features):
            return Column(n_features)

    with pytest.raises(ValueError, match=r"one value a window, shape \(170,\); it gave \(170, 1\)"):
        ColumnRegressor().fit(*windows)


def test_fields_in_another_order(windows):
    X, y = windows
    ends = np.arange(len(X)) * 8 + 7
    one, two = (
        WindowArray(X.reshape(-1, 3), ends, 8, index=y.index, fields=fields)
        for fields in (["close", "open", "volume"], ["open", "close", "volume"])
    )
    model = ALSTMRegressor(max_epochs=1, hidden_size=4).fit(one, y)
    with pytest.raises(ValueError, match=r"fields of X are open, close, .* with close, open"):
        model.predict(two)


def test_flat_columns_of_several_fields(windows):
    X, y = windows
    names = [f"{field}{lag}" for field in ("CLOSE", "OPEN") for lag in range(8)]
    table = pd.DataFrame(X[:, :, :2].reshape(len(X), -1), index=y.index, columns=names)
    with pytest.raises(ValueError, match=r"flat columns of 2 fields \(close, open\).*Sequence"):
        ALSTMRegressor().fit(table, y)


def test_the_last_step_diverges(windows):
    X, y = windows
    model = ALSTMRegressor(optimizer="sgd", lr=1e38, clip_value=None, max_epochs=1)
    with pytest.raises(ValueError, match="weights are not finite"):
        model.fit(X, 1e3 * y)


def test_failed_fits_leave_no_half(windows):
    X, y = windows
    model = ALSTMRegressor(max_epochs=1, hidden_size=4, random_state=0)
    before = model.partial_fit(X, y).predict(X)
    with pytest.raises(ValueError, match="diverged"):
        model.partial_fit(X * 1e30, y * 1e30)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.n_iter_ == len(model.net_.history) == 1
    assert model.partial_fit(X, y).n_iter_ == 2
    with pytest.raises(ValueError, match="no label"):
        model.fit(X[:, :, :2], y * np.nan)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_warm_start_of_another_architecture(windows):
    model = ALSTMRegressor(max_epochs=1, hidden_size=4, warm_start=True).fit(*windows)
    with pytest.raises(ValueError, match="warm_start=True goes on"):
        model.set_params(hidden_size=8).fit(*windows)


def test_ctrl_c_interrupts(windows):
    def interrupted(predicted, y):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ALSTMRegressor(loss=interrupted).fit(*windows)


def test_score(windows):
    X, y = windows
    table = pd.DataFrame(X[:, :, 0], index=y.index)
    model = ALSTMRegressor(max_epochs=1, hidden_size=4).fit(table, y)
    with pytest.raises(ValueError, match="different rows"):
        model.score(table, y[::-1])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.score(table, y[:-1])
    with pytest.raises(ValueError, match="no label at all"):
        model.score(table, y * np.nan)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.predict(table, days=y.index.get_level_values("datetime")[:-1])


def test_monitor_without_days(windows):
    X, y = windows
    with pytest.raises(ValueError, match="monitor='valid_ic' needs the trading days"):
        ALSTMRegressor(monitor="valid_ic").fit(X, y, X_val=X, y_val=y.to_numpy())
