"""A user's mistakes get errors that name them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skattn.models import ALSTMRegressor


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
    ],
)
def test_parameters(windows, params, names):
    X, y = windows
    with pytest.raises(ValueError) as caught:
        ALSTMRegressor(**params).fit(X, y)
    for name in names:
        assert name in str(caught.value)


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
