"""Several labels a row: a model of K outputs, its loss, what early stopping watches, refusals."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import assert_same_bits, make_stock_days, weights_of
from hypothesis import given
from hypothesis import strategies as st
from kit_models import Rows, RowsRegressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import r2_score
from torch import nn

import skattn
from skattn import SequenceRegressor
from skattn.metrics import rank_ic_score
from skattn.models import GRU, GRURegressor
from skattn.testing import assert_same_as
from skattn.training import MaskedLoss

NAMES = ("alstm", "gru", "hist", "lstm", "sfm", "transformer")
SMALL = {"max_epochs": 3, "random_state": 0, "purge": 2, "lr": 0.01}


def small(name: str = "gru", **params) -> SequenceRegressor:
    cls = skattn.get_model(name)
    return cls(**{**SMALL, **cls.parameters_for_checks, **params})


@pytest.fixture(scope="module")
def panel() -> tuple:
    """Windows of stock-days, and three labels a row of which a quarter is missing."""
    X, y = make_stock_days([9, 4, 7, 1, 8, 2, 9, 9, 5, 6, 3, 9, 8, 7, 9, 2, 6, 9, 9, 5, 8, 7, 9, 4])
    rng = np.random.default_rng(7)
    y = pd.DataFrame({"1d": y, "5d": -y + 0.3, "20d": rng.normal(size=len(y))}, y.index)
    return X, y.mask(rng.random(y.shape) < 0.25)


# The module ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_each_output_is_that_of_a_module_of_one(name):
    torch.manual_seed(0)
    model = small(name)
    x = torch.randn(2, 5, 7, 3) if name == "hist" else torch.randn(5, 7, 3)
    several = model.build_module(7, 3, n_outputs=3).eval()
    one = model.build_module(7, 3).eval()
    last = "decoder_layer" if name == "transformer" else "fc_out"
    assert one.state_dict().keys() == several.state_dict().keys()
    predicted = several(x)
    assert predicted.shape == (*x.shape[:-2], 3)
    for column in range(3):
        state = {
            key: value[[column]] if key.startswith(f"{last}.") else value
            for key, value in several.state_dict().items()
        }
        one.load_state_dict(state)
        assert one(x).shape == x.shape[:-2]
        assert_allclose(predicted[..., column].detach(), one(x).detach(), atol=1e-6)


def test_outputs_and_gradients_are_those_of_plain_torch():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(3, 6, 2, batch_first=True)
            self.fc_out = nn.Linear(6, 4)

        def forward(self, x):
            return self.fc_out(self.rnn(x)[0][:, -1])

    torch.manual_seed(0)
    assert_same_as(GRU(3, 6, 2, n_outputs=4), Plain(), inputs=torch.randn(11, 7, 3))


# The loss -----------------------------------------------------------------------------------------


def by_hand(loss: str, predicted, y, weight, day):
    """The loss as a loop over columns, and over days for a loss of a cross-section."""
    total, n_cells = torch.zeros((), dtype=predicted.dtype), 0
    for column in range(y.shape[1]):
        p, label = predicted[:, column], y[:, column]
        known = ~torch.isnan(label)
        if loss == "mse":
            errors = [float(w) * (p[i] - label[i]) ** 2 for i, w in enumerate(weight) if known[i]]
            total, n_cells = total + sum(errors), n_cells + len(errors)
            continue
        parts = []
        for number in day.unique():
            rows = known & (day == number)
            if rows.sum() < 2 or label[rows].unique().numel() < 2:
                continue
            w = weight[rows] / weight[rows].sum()
            a, b = p[rows] - (w * p[rows]).sum(), label[rows] - (w * label[rows]).sum()
            rho = (w * a * b).sum() / ((w * a * a).sum() * (w * b * b).sum()).sqrt()
            parts.append((weight[rows].mean() * (1 - rho), int(rows.sum())))
        n_rows = sum(n for _, n in parts)
        total = total + n_rows * sum(part for part, _ in parts) / len(parts)
        n_cells += n_rows
    return total / n_cells


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["mse", "ic"])
@pytest.mark.parametrize("name", ["gru", "hist"])
def test_training_is_that_of_a_plain_loop(panel, name, loss, weighted):
    X, y = panel
    days = y.index.get_level_values("datetime")
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
    settings = {"batch": "days", "days_per_batch": 100} if loss == "ic" else {"batch_size": 1000}
    if name == "hist":
        settings = {"days_per_batch": 100}
    model = small(
        name, loss=loss, early_stopping=False, precision="float64", max_epochs=4, **settings
    )
    start = copy.deepcopy(model).set_params(lr=1e-12, max_epochs=1).fit(X, y, weight)
    model.fit(X, y, weight)
    module = start.module_.train()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    codes = torch.as_tensor(pd.factorize(days, sort=True)[0])
    labels, x = torch.as_tensor(y.to_numpy()), torch.as_tensor(np.asarray(X, dtype=np.float64))
    cells = ~torch.isnan(labels)
    if loss == "ic":
        for column in range(3):
            for number in codes.unique():
                rows = cells[:, column] & (codes == number)
                if rows.sum() < 2:
                    cells[rows, column] = False
        labels = torch.where(cells, labels, torch.nan)
    w = torch.ones(len(y), dtype=torch.float64)
    if weight is not None:
        w = torch.as_tensor(weight)
        w = w / w[:, None].expand(-1, 3)[cells].mean()
    for _ in range(4):
        if name == "gru":
            predicted = module(x)
        else:
            predicted = torch.empty_like(labels)
            for number in codes.unique():
                rows = torch.nonzero(codes == number)[:, 0]
                predicted[rows] = module(x[rows][None])[0]
        optimizer.zero_grad()
        by_hand(loss, predicted, labels, w, codes).backward()
        optimizer.step()
    for key, value in module.state_dict().items():
        assert_allclose(model.module_.state_dict()[key], value, atol=1e-6, err_msg=key)


def test_a_loss_of_ones_own_gets_a_column_at_a_time(panel):
    X, y = panel
    seen = []

    def loss(predicted, label, *, day, weight):
        assert predicted.shape == label.shape == day.shape
        assert weight is None
        assert not torch.isnan(label).any()
        seen.append(len(label))
        return ((predicted - label) ** 2).mean()

    own = small(loss=loss, batch="days", days_per_batch=4).fit(X, y)
    plain = small(loss=lambda p, t: ((p - t) ** 2).mean(), batch="days", days_per_batch=4).fit(X, y)
    named = small(loss="mse", batch="days", days_per_batch=4).fit(X, y)
    assert 0 < max(seen) <= 4 * 9
    # A loss by row is the mean over labels, in whatever form it is given.
    assert_allclose(weights_of(plain), weights_of(named), atol=1e-6)
    assert own.predict(X).shape == y.shape


@given(
    st.lists(st.lists(st.booleans(), min_size=2, max_size=2), min_size=1, max_size=8),
    st.integers(0, 100),
)
def test_the_mean_is_over_labels_and_nothing_else(known, seed):
    known = torch.tensor(known)
    generator = torch.Generator().manual_seed(seed)
    p, y = torch.randn(2, *known.shape, generator=generator, dtype=torch.float64)
    labels = torch.where(known, y, torch.nan)
    p.requires_grad_()
    loss = MaskedLoss("mse", n_outputs=2)
    if not known.any():
        with pytest.raises(ValueError, match="no label at all"):
            loss(p, labels)
        return
    loss(p, labels).backward()
    expected = torch.where(known, 2 * (p.detach() - y), 0.0) / known.sum()
    assert_allclose(p.grad, expected, atol=1e-12)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"hist"}))  # a stock is there once a day
def test_weight_two_is_a_row_twice(panel, name):
    X, y = panel
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    twice = np.repeat(np.arange(len(y)), weight.astype(int))
    model = small(name, precision="float64", early_stopping=False, batch_size=2000)
    days = y.index.get_level_values("datetime")
    one = copy.deepcopy(model).fit(np.asarray(X), y.to_numpy(), weight, days=days)
    two = copy.deepcopy(model).fit(np.asarray(X)[twice], y.to_numpy()[twice], days=days[twice])
    predicted = [each.predict(np.asarray(X), days=days) for each in (one, two)]
    assert_allclose(*predicted, atol=1e-9)


# What a fit leaves --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_fit_and_predict(panel, name, tmp_path):
    X, y = panel
    model = small(name).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == y.shape
    assert predicted.dtype == np.float32
    assert model.n_outputs_ == 3
    assert list(model.output_names_) == ["1d", "5d", "20d"]
    assert model.fitted_on_.n_rows == y.notna().any(axis=1).sum()
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), predicted)
    scores = [
        r2_score(y.loc[known, column], predicted[known, place])
        for place, column in enumerate(y)
        if (known := y[column].notna().to_numpy()).any()
    ]
    assert model.score(X, y) == pytest.approx(np.mean(scores), abs=1e-6)
    assert "3 labels a row" in model._repr_html_()
    stored = small(name, checkpoint=tmp_path)
    stored.fit(X, y)
    again = small(name, checkpoint=tmp_path).fit(X, y)
    assert_array_equal(again.predict(X), predicted)
    other = small(name, checkpoint=tmp_path).fit(X, y.iloc[:, ::-1])
    assert not np.array_equal(other.predict(X), predicted)
    model.fit(X, y["1d"])
    assert model.predict(X).shape == (len(y),)
    assert model.n_outputs_ == 1
    assert not hasattr(model, "output_names_")


def test_one_column_is_one_label(panel):
    X, y = panel
    expected = small().fit(X, y["1d"])
    with pytest.warns(DataConversionWarning):
        model = small().fit(X, y[["1d"]])
    assert_same_bits(weights_of(model), weights_of(expected))
    assert model.predict(X).shape == (len(y),)


@pytest.mark.parametrize("monitor", ["valid_ic", "valid_rank_ic"])
@pytest.mark.parametrize("params", [{}, {"batch": "days", "days_per_batch": 3}])
def test_early_stopping_watches_the_mean_over_columns(panel, monitor, params):
    X, y = panel
    days = y.index.get_level_values("datetime")
    late = days >= days.unique().sort_values()[-6]
    X_val, y_val = X[late], y[late].copy()
    y_val["20d"] = np.nan  # nothing to rank: the other two count
    y_val.iloc[0, 2] = 1.0
    model = small(monitor=monitor, max_epochs=1, **params)
    with pytest.warns(UserWarning, match="X_val begins"):
        model.fit(X, y, X_val=X_val, y_val=y_val)
    predicted = model.predict(X_val)
    method = {"valid_ic": skattn.metrics.ic_score, "valid_rank_ic": rank_ic_score}[monitor]
    expected = np.mean([method(y_val[c], predicted[:, k]) for k, c in enumerate(["1d", "5d"])])
    assert model.history_[monitor].iloc[-1] == pytest.approx(expected, abs=1e-5)


def test_the_purge_is_that_of_the_longest_label(market):
    labels = skattn.make_label(market.ohlcv, horizon=(1, 5))
    X = np.random.default_rng(0).normal(size=(len(labels), 4, 2)).astype(np.float32)
    auto = small(purge="auto").fit(X, labels)
    assert_same_bits(weights_of(auto), weights_of(small(purge=6).fit(X, labels)))
    assert not np.array_equal(weights_of(auto), weights_of(small(purge=7).fit(X, labels)))
    with pytest.warns(UserWarning, match="reaches 6 days.*purge=2"):
        small(purge=2).fit(X, labels)
    near = small(purge="auto").fit(X, labels["1d"])
    assert_same_bits(weights_of(near), weights_of(small(purge=2).fit(X, labels["1d"])))


def test_partial_fit_goes_on_where_a_label_is_not_known_yet(panel):
    X, y = panel
    model = small().partial_fit(X, y)
    before = model.module_.fc_out.weight.detach().clone()
    model.partial_fit(X[:40], y.iloc[:40].assign(**{"20d": np.nan}))
    after = model.module_.fc_out.weight.detach()
    assert not torch.equal(before[:2], after[:2])
    assert model.predict(X).shape == y.shape


# Refusals -----------------------------------------------------------------------------------------


def test_a_model_of_one_output_refuses_several_labels(panel):
    X, y = panel
    for labels in (y, y.to_numpy(), y.to_numpy().tolist()):
        for fit in (RowsRegressor().fit, RowsRegressor().partial_fit):
            with pytest.raises(
                ValueError, match=r"RowsRegressor has one output.*\(N,\).*3 labels.*MultiOutput"
            ):
                fit(X, labels)
    assert not RowsRegressor().__sklearn_tags__().target_tags.multi_output
    assert GRURegressor().__sklearn_tags__().target_tags.multi_output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y.iloc[:, :2], r"must have 3 labels a row.*got 2"),
        (lambda y: y["1d"], r"must have 3 labels a row.*got 1"),
        (
            lambda y: y[["5d", "1d", "20d"]],
            r"must have the columns of the y of fit.*'1d', '5d', '20d'",
        ),
    ],
    ids=["two", "one", "order"],
)
def test_labels_of_other_columns_are_refused(panel, change, message):
    X, y = panel
    model = small(warm_start=True).fit(X, y)
    other = change(y)
    bits = weights_of(model)
    for call in (model.fit, model.partial_fit, model.score):
        with pytest.raises(ValueError, match=rf"^y {message}"):
            call(X, other)
    with pytest.raises(ValueError, match=rf"^y_val {message}"):
        small().fit(X, y, X_val=X, y_val=other)
    assert_same_bits(weights_of(model), bits)


def test_a_label_of_no_row_is_named(panel):
    X, y = panel
    with pytest.raises(ValueError, match=r"no label to train on in column '5d'"):
        small().fit(X, y.assign(**{"5d": np.nan}))
    with pytest.raises(ValueError, match=r"no label to train on in column 1\b"):
        small().fit(X, y.assign(**{"5d": np.nan}).to_numpy(), days=y.index)
    with pytest.raises(ValueError, match="no label at all"):
        small().fit(X, y * np.nan)
    bad = y.copy()
    bad.iloc[7, 2] = np.inf
    with pytest.raises(ValueError, match=r"y contains infinity.*row 7"):
        small().fit(X, bad)
    with pytest.raises(ValueError, match="y must hold one number a row"):
        small().fit(X, y.to_numpy()[:, :, None])


def test_a_module_of_other_outputs_is_named(panel):
    X, y = panel

    class WrongRegressor(RowsRegressor):
        def build_module(self, n_steps, n_features, n_outputs=1):
            return Rows(n_features, self.size, self.dropout)

    with pytest.raises(ValueError, match=r"Rows\.forward must give n_outputs=3.*squeeze\(-1\)"):
        WrongRegressor(**SMALL).fit(X, y)

    class NoDefaultRegressor(RowsRegressor):
        def build_module(self, n_steps, n_features, n_outputs):
            return Rows(n_features, self.size, self.dropout)

    with pytest.raises(TypeError, match=r"build_module takes.*n_outputs=1"):
        NoDefaultRegressor(**SMALL).fit(X, y["1d"])
