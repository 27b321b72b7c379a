"""The contract of a module: what it may declare, and what is said where it declares otherwise."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import SECTORS
from torch import nn

from skattn.base import ConceptTable, CrossSectionalRegressor, SequenceRegressor, SideInputs
from skattn.inspection import attention_weights


class Plain(nn.Module):
    """Only ``forward``."""

    def __init__(self, n_features: int = 3) -> None:
        super().__init__()
        self.out = nn.Linear(n_features, 1)

    def forward(self, x):
        return self.out(x[:, -1])[:, 0]


class Across(Plain):
    """A stock beside the mean of its day."""

    cross_sectional = True

    def forward(self, x, present):
        own = self.out(x[:, :, -1])[:, :, 0] * present
        return own - own.sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True)


class Normed(Plain):
    """Rows see each other in training."""

    def __init__(self, n_features: int = 3) -> None:
        super().__init__(n_features)
        self.norm = nn.BatchNorm1d(n_features)


def regressor_of(module: type[nn.Module], base: type = SequenceRegressor, **members):
    """A regressor whose module is of a class."""

    def build_module(self, n_steps, n_features):
        return module(n_features)

    cls = type("MyRegressor", (base,), {"build_module": build_module, **members})
    return cls(max_epochs=2, random_state=0, early_stopping=False)


def test_a_module_with_forward_alone_works(windows):
    X, y = windows
    model = regressor_of(Plain).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.attend(X) == {}
    with pytest.raises(ValueError, match=r"MyRegressor.*attention"):
        attention_weights(model, X)


@pytest.mark.parametrize(
    ("base", "members", "message"),
    [
        (Plain, {"block_rows": 0}, r"Mine\.block_rows.*\b0\b"),
        (Plain, {"block_rows": 2.5}, r"Mine\.block_rows.*\b2\.5\b"),
        (Plain, {"block_rows": True}, r"Mine\.block_rows.*\bTrue\b"),
        (Plain, {"cross_sectional": "yes"}, r"Mine\.cross_sectional.*'yes'"),
        (Plain, {"attention_axes": ["time"]}, r"Mine\.attention_axes.*\['time'\]"),
        (Plain, {"attention_axes": {"time": "lag"}}, r"Mine\.attention_axes.*'lag'"),
        (Plain, {"attention_axes": {"time": ("lag",)}}, r"Mine\.attention_axes.*\battend\b"),
        (Plain, {"attention_sums": ["time"]}, r"Mine\.attention_sums.*\['time'\]"),
        (Plain, {"attention_sums": {"time": ()}}, r"\.attention_sums\['time'\].*the maps \[\]"),
        (
            Plain,
            {
                "attention_axes": {"time": ("lag",)},
                "attention_sums": {"time": ("key",)},
                "attend": lambda self, x: {},
            },
            r"Mine\.attention_sums\['time'\].*\('key',\), .* gives it the axes \('lag',\)",
        ),
        (Plain, {"forward": lambda self: None}, r"Mine\.forward.*\(x\).*\(\)"),
        (Plain, {"forward": lambda self, x, mask: x}, r"Mine\.forward.*\(x\).*\(x, mask\)"),
        (Plain, {"attend": lambda self: {}}, r"Mine\.attend.*\(x\).*\(\)"),
        (Plain, {"forward": lambda self, x, present: x}, r"Mine\.forward.*cross_sectional"),
        (Plain, {"forward": lambda self, x, size: x}, r"Mine\.forward.*make_side_inputs"),
        (Normed, {"block_rows": 64}, r"Mine\.block_rows.*BatchNorm1d"),
        (Across, {"block_rows": 64}, r"Mine\.block_rows.*cross_sectional"),
        (Plain, {"cross_sectional": True}, r"Mine\.forward.*\(x, present, \.\.\.\).*\(x\)"),
    ],
)
def test_a_member_that_breaks_the_contract_is_named(windows, base, members, message):
    mine = type("Mine", (base,), members)
    for method in ("fit", "partial_fit"):
        with pytest.raises(TypeError, match=message):
            getattr(regressor_of(mine), method)(*windows)


@pytest.mark.parametrize(
    ("give", "axes", "message"),
    [
        (lambda x: {"time": x[:, :, 0]}, ("lag", "head"), r"\['time'\].*\b2 axes.*\b1\b"),
        (lambda x: {"time": x}, ("lag",), r"\['time'\].*\b1 axes.*\b2\b"),
        (lambda x: {"when": x}, ("lag",), r"\['time'\]"),
        (lambda x: x, ("lag",), r"attend.*\btensor\b"),
        (lambda x: {"time": 3}, ("lag",), r"attend.*\b3\b"),
        (lambda x: {"time": x[:, :, 0].numpy()}, ("lag",), r"attend.*\btensors\b"),
        (lambda x: {"time": x[:, :, 0].T}, ("lag",), r"attend.*'time'.*\(8, 512\)"),
        (lambda x: {"time": x[0, 0, 0]}, ("lag",), r"attend.*'time'.*\(\)"),
        (lambda x: {"time": x[:, :3, 0]}, ("lag",), r"\['time'\].*'lag'.*\b8\b.*\b3\b"),
    ],
)
def test_maps_that_break_the_contract_are_named(windows, give, axes, message):
    X, y = windows
    members = {"attention_axes": {"time": axes}, "attend": lambda self, x: give(x)}
    model = regressor_of(type("Mine", (Plain,), members)).fit(X, y)
    with pytest.raises((TypeError, ValueError), match=rf"Mine\.{message}|Mine\..*{message}"):
        model.attend(X)


@pytest.mark.parametrize("block_rows", [None, 64])
@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda y: y[:, None], r"\(\d+, 1\)"),
        (lambda y: (y, y), r"\btuple\b"),
        (lambda y: y.sum(), r"\(\)"),
        (lambda y: y.detach(), r"detach"),
        (lambda y: None, r"\bNoneType\b"),
    ],
)
def test_predictions_that_cannot_be_are_named(windows, give, message, block_rows):
    members = {"block_rows": block_rows}
    members["forward"] = lambda self, x: give(self.out(x[:, -1])[:, 0])
    with pytest.raises(ValueError, match=rf"Mine\.forward.*{message}"):
        regressor_of(type("Mine", (Plain,), members)).fit(*windows)


def test_a_module_without_weights_is_named(windows):
    members = {"__init__": lambda self, n: nn.Module.__init__(self)}
    with pytest.raises(ValueError, match=r"Mine.*no parameters"):
        regressor_of(type("Mine", (Plain,), members)).fit(*windows)


@pytest.mark.parametrize("form", [{"bidirectional": True}, {"proj_size": 2}])
def test_recurrences_of_torch_in_any_form(windows, form):
    class Recurrent(nn.Module):
        def __init__(self, n_features):
            super().__init__()
            self.rnn = nn.LSTM(n_features, 3, batch_first=True, **form)
            self.out = nn.LazyLinear(1)
            self.forward(torch.zeros(1, 2, n_features))

        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])[:, 0]

    X, y = windows
    model = regressor_of(Recurrent).fit(X, y)
    with torch.no_grad():
        expected = model.module_(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-6)


def test_what_is_built_must_be_a_module(windows):
    cls = type("MyRegressor", (SequenceRegressor,), {"build_module": lambda self, n, f: "module"})
    with pytest.raises(TypeError, match=r"MyRegressor\.build_module.*\bstr\b"):
        cls().fit(*windows)


# Models that look across stocks -----------------------------------------------------------------


def test_a_cross_sectional_module_needs_its_base_class(stock_days):
    with pytest.raises(TypeError, match=r"MyRegressor.*CrossSectionalRegressor.*days_per_batch"):
        regressor_of(Across).fit(*stock_days)
    with pytest.raises(TypeError, match=r"MyRegressor.*\bPlain\b.*cross_sectional"):
        regressor_of(Plain, CrossSectionalRegressor).fit(*stock_days)


def test_days_per_batch_is_a_parameter_of_every_one(stock_days):
    X, y = stock_days
    model = regressor_of(Across, CrossSectionalRegressor)
    assert "days_per_batch : int >= 1, default=1" in CrossSectionalRegressor.__doc__
    n_days = y.index.get_level_values("datetime").nunique()
    for days_per_batch in (1, 5):
        model.set_params(days_per_batch=days_per_batch).fit(X, y)
        assert model.history_["train_batch_count"].iloc[0] == -(-n_days // days_per_batch)
    with pytest.raises(ValueError, match=r"days_per_batch.*\b0\b"):
        model.set_params(days_per_batch=0).fit(X, y)


# Side inputs ------------------------------------------------------------------------------------


class Size(SideInputs):
    """A number for each stock."""

    names = ("size",)

    def rows(self, instruments, n_rows):
        if instruments is None:
            return {"size": np.zeros(n_rows, np.float32)}
        return {"size": instruments.str[1:].astype("float32").to_numpy() / 10}


class Sized(Plain):
    """Told the size of a stock beside its window."""

    block_rows = 64
    attention_axes = {"time": ("lag",)}

    def forward(self, x, size):
        return super().forward(x) + size

    def attend(self, x, size):
        return {"time": x[:, :, 0] * size[:, None]}


def test_side_inputs_work_for_models_of_single_rows(stock_days):
    X, y = stock_days
    model = regressor_of(Sized, make_side_inputs=lambda self: Size()).fit(X, y)
    stocks = y.index.get_level_values("instrument")
    size = stocks.str[1:].astype("float32").to_numpy() / 10
    plain = Plain(X.shape[2])
    plain.load_state_dict(model.module_.state_dict())
    with torch.no_grad():
        expected = plain(torch.from_numpy(np.asarray(X))).numpy() + size
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-6)
    # Rows keep their bits, whatever rows they are predicted with.
    order = np.random.default_rng(0).permutation(len(y))
    np.testing.assert_array_equal(model.predict(X[order]), model.predict(X)[order])
    maps = attention_weights(model, X).time
    np.testing.assert_allclose(maps, np.asarray(X)[:, :, 0] * size[:, None], rtol=1e-6)
    unknown = model.predict(np.asarray(X))
    np.testing.assert_allclose(unknown, expected - size, rtol=1e-5, atol=1e-5)


def test_rows_in_blocks_on_threads_train_as_without(stock_days):
    X, y = stock_days
    threads = torch.get_num_threads()
    weights = []
    for block_rows, n_threads in ((64, 1), (64, 2), (None, 1)):
        torch.set_num_threads(n_threads)
        module = type("Mine", (Sized,), {"block_rows": block_rows})
        try:
            model = regressor_of(module, make_side_inputs=lambda self: Size()).fit(X, y)
        finally:
            torch.set_num_threads(threads)
        weights.append(model.module_.out.weight.detach().numpy())
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_allclose(weights[0], weights[2], atol=1e-6)


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (3, TypeError, r"MyRegressor\.make_side_inputs.*\bint\b"),
        (type("Named", (Size,), {"names": ("x",)})(), ValueError, r"Named\.names.*\['x'\]"),
        (type("Other", (Size,), {"names": ("other",)})(), TypeError, r"\bother\b"),
        (type("Text", (Size,), {"names": "size"})(), TypeError, r"Text\.names.*'size'"),
        (type("Void", (Size,), {"rows": lambda self, i, n: None})(), TypeError, r"Void.*NoneType"),
        (
            type("Words", (Size,), {"rows": lambda self, i, n: {"size": np.array(["a"] * n)}})(),
            ValueError,
            r"Words\.rows.*'size'.*<U1",
        ),
        (
            type("One", (Size,), {"rows": lambda self, i, n: {"size": 1.0}})(),
            ValueError,
            r"One\.rows.*'size'.*\(\)",
        ),
        (
            type("Gap", (Size,), {"rows": lambda self, i, n: {"size": np.full(n, np.nan)}})(),
            ValueError,
            r"Gap\.rows.*'size'.*\bnan\b.*'S",
        ),
        (type("Few", (Size,), {"rows": lambda self, i, n: {}})(), ValueError, r"Few\.rows.*'size'"),
        (
            type("Short", (Size,), {"rows": lambda self, i, n: {"size": np.ones(2)}})(),
            ValueError,
            r"Short\.rows.*'size'.*\(2,\)",
        ),
    ],
)
def test_side_inputs_that_cannot_be(stock_days, made, error, message):
    with pytest.raises(error, match=message):
        regressor_of(Sized, make_side_inputs=lambda self: made).fit(*stock_days)


def test_side_inputs_in_float64_are_taken(stock_days):
    X, y = stock_days
    rows = Size.rows
    double = type(
        "Double", (Size,), {"rows": lambda self, i, n: {"size": rows(self, i, n)["size"] * 1.0}}
    )
    assert regressor_of(Sized, make_side_inputs=lambda self: double()).fit(X, y).n_iter_ == 2


def test_a_module_that_does_not_take_them_is_named(stock_days):
    with pytest.raises(TypeError, match=r"Plain\.forward.*\(x, size\).*\(x\)"):
        regressor_of(Plain, make_side_inputs=lambda self: Size()).fit(*stock_days)


# Labels of axes ---------------------------------------------------------------------------------


class Looking(Across):
    """Maps over stocks and concepts, at any place among the axes."""

    attention_axes = {"pairs": ("head", "stock"), "groups": ("concept", "lag"), "both": ("stock",)}

    def forward(self, x, present, concepts):
        return super().forward(x, present)

    def attend(self, x, present, concepts):
        scores = x[:, :, -1, 0]
        pairs = scores[:, :, None] * scores[:, None]
        return {
            "pairs": torch.stack((pairs, -pairs), dim=2),
            "groups": concepts[..., None] * x[:, :, None, :, 0],
            "both": pairs,
        }


def test_axes_of_stocks_and_concepts_are_labelled_wherever_they_stand(stock_days):
    X, y = stock_days
    model = regressor_of(
        Looking, CrossSectionalRegressor, make_side_inputs=lambda self: ConceptTable(SECTORS)
    ).fit(X, y)
    maps = attention_weights(model, X)
    stocks = sorted(y.index.get_level_values("instrument").unique())
    assert maps.pairs.axes == ("row", "head", "stock")
    assert list(maps.pairs.labels[2]) == stocks
    assert list(maps.groups.labels[1]) == sorted(SECTORS.unique())
    assert list(maps.groups.labels[2]) == list(range(X.shape[1]))[::-1]
    assert isinstance(maps.both, pd.DataFrame)
    np.testing.assert_array_equal(maps.pairs.values[:, 0], maps.both)
    np.testing.assert_array_equal(maps.pairs.values[:, 1], -maps.both)
    # A row's own place holds its own square.
    values, names = np.asarray(X)[:, -1, 0], y.index.get_level_values("instrument")
    own = maps.both.to_numpy()[np.arange(len(y)), [stocks.index(name) for name in names]]
    np.testing.assert_allclose(own, values**2, rtol=1e-6)


def test_the_contract_is_written_down():
    import skattn.training.module as contract

    for member in ("block_rows", "cross_sectional", "attention_axes", "attend", "forward"):
        assert re.search(rf"``{member}", contract.__doc__), member
