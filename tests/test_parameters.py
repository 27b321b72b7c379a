"""Declared parameters: what a class gets of them, what is allowed, what an error says."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Annotated, Any, Optional

import numpy as np
import pytest
import torch
from helpers import small_alstm
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

import skattn
from skattn import GRURegressor, HISTRegressor, SequenceRegressor, parameter
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.parameters import MISSING, DeclaredParameters, check_value, parameters_of
from skattn.preprocessing import Alpha360
from skattn.training import TrainingParameters

MISSING_DEFAULT = parameter(MISSING)
MODELS = [spec.name for spec in skattn.list_models() if spec.target.startswith("skattn.")]


class Last(nn.Module):
    """Linear in the last step."""

    def __init__(self, n_features: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.out = nn.Linear(n_features, 1)

    def forward(self, x):
        return self.out(x[:, -1])[:, 0]


class LastRegressor(SequenceRegressor):
    """Linear in the last step.

    References
    ----------
    Nobody.
    """

    size: int = parameter(4, at_least=2, at_most=100, doc="Size of something.")
    kind: str = parameter("a", one_of=("a", "b"))
    rate: float | None = parameter(0.5, at_least=0, below=1)
    flag: bool = True
    batch_size = 64

    def build_module(self, n_steps, n_features):
        assert type(self.size) is int
        assert self.rate is None or type(self.rate) is float
        assert type(self.flag) is bool
        return Last(n_features, self.size)


# What a subclass gets ---------------------------------------------------------------------------


def test_a_subclass_has_its_parameters_and_the_inherited_ones():
    model = LastRegressor(size=8, lr=0.1)
    assert (model.size, model.lr, model.batch_size, model.max_epochs) == (8, 0.1, 64, 200)
    assert {"size", "kind", "rate", "flag"} <= set(model.get_params())
    assert set(parameters_of(TrainingParameters)) < set(model.get_params())
    assert clone(model).get_params() == model.get_params()
    assert pickle.loads(pickle.dumps(model)).get_params() == model.get_params()
    assert repr(model) == "LastRegressor(lr=0.1, size=8)"
    with pytest.raises(TypeError, match="sise"):
        LastRegressor(sise=8)
    with pytest.raises(TypeError, match="positional"):
        LastRegressor(8)


def test_another_default_keeps_the_bounds_and_the_description(windows):
    known, base = parameters_of(LastRegressor)["batch_size"], parameters_of(SequenceRegressor)
    assert known.default == 64
    assert known.doc == base["batch_size"].doc
    with pytest.raises(ValueError, match=r"batch_size.*\b0\b"):
        LastRegressor(batch_size=0).fit(*windows)


def test_the_docstring_is_made_of_what_is_declared():
    text = LastRegressor.__doc__
    assert "size : int in [2, 100], default=4\n    Size of something.\n" in text
    assert 'kind : {"a", "b"}, default="a"' in text
    assert "rate : float in [0, 1) or None, default=0.5" in text
    assert "flag : bool, default=True" in text
    assert "batch_size : int >= 1, default=64" in text
    assert text.index("Parameters\n") < text.index("size :") < text.index("lr :")
    assert text.index("lr :") < text.index("Attributes\n") < text.index("References\n")


@pytest.mark.parametrize("name", MODELS)
def test_built_in_models_describe_every_parameter(name):
    model = skattn.get_model(name)
    described = model.__doc__[model.__doc__.index("Parameters\n") :]
    for each, declared in parameters_of(model).items():
        assert declared.doc, each
        assert f"\n{each} : " in described


def test_a_subclass_that_is_not_finished_stays_abstract():
    class Half(SequenceRegressor):
        size: int = parameter(3)

    with pytest.raises(TypeError, match="build_module"):
        Half()


@pytest.mark.parametrize("method", ["__init__", "__post_init__"])
def test_a_constructor_of_its_own_is_refused(method):
    with pytest.raises(TypeError, match=rf"Mine.*{method}.*build_module"):
        type("Mine", (SequenceRegressor,), {method: lambda self: None})


def test_a_constructor_that_is_mixed_in_is_refused():
    mixin = type("Mixin", (), {"__init__": lambda self: None})
    with pytest.raises(TypeError, match=r"Mine.*__init__.*Mixin"):
        type("Mine", (mixin, SequenceRegressor), {})


def test_defaults_follow_the_order_in_which_python_looks_attributes_up():
    class House(SequenceRegressor):
        batch_size = 2048

    class Plain:
        batch_size = 512

    assert type("A", (House, HISTRegressor), {})().monitor == "valid_ic"
    assert type("A", (House, HISTRegressor), {})().batch_size == 2048
    assert type("A", (GRURegressor, House), {})().batch_size == 2048
    mixed = type("A", (Plain, GRURegressor), {})
    assert mixed().batch_size == 512
    assert parameters_of(mixed)["batch_size"].at_least == 1
    assert type("B", (mixed,), {"batch_size": 64})().batch_size == 64
    # The same default once more keeps its bounds, too.
    same = type("A", (GRURegressor,), {"purge": "auto", "__annotations__": {"purge": "int | str"}})
    assert parameters_of(same)["purge"].one_of == ("auto",)
    # A function is a value like others.
    assert type("A", (GRURegressor,), {"loss": torch.nn.functional.l1_loss})().loss is (
        torch.nn.functional.l1_loss
    )


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"max_epoch": 50}, r"Mine\.max_epoch\b.*'max_epochs'"),
        ({"hidden": parameter(0, at_least=1)}, r"Mine\.hidden.*\b1\b.*\b0\b"),
        ({"score": parameter(1)}, r"Mine\.score.*RegressorMixin\.score|Mine\.score.*\.score"),
        ({"net_": parameter(1)}, r"Mine\.net_\b"),
        ({"lr": property(lambda self: 1.0)}, r"Mine\.lr.*property"),
        ({"names": parameter(["a"])}, r"Mine\.names.*\['a'\].*tuple"),
        ({"kind": parameter("a", at_least=1)}, r"Mine\.kind.*at_least"),
    ],
)
def test_declarations_that_cannot_be_meant_are_refused(members, message):
    kinds = {"hidden": "int", "score": "int", "net_": "int", "names": "list", "kind": "str"}
    annotations = {name: kinds[name] for name in members if name in kinds}
    with pytest.raises(TypeError, match=message):
        type("Mine", (SequenceRegressor,), {**members, "__annotations__": annotations})


def test_texts_to_choose_from_are_a_tuple():
    with pytest.raises(TypeError, match=r"one_of.*'gru'"):
        parameter("gru", one_of="gru")


@pytest.mark.parametrize(
    ("annotation", "kinds"),
    [
        ("Optional[int]", {"int", "None"}),
        ("typing.Union[int, str]", {"int", "str"}),
        ("'int'", {"int"}),
        (Optional[int], {"int", "None"}),  # noqa: UP045
        (Annotated[float, "rate"], {"float"}),
        ("list[int] | int | tuple[int, int]", {"object", "int"}),
        ("dict[str, list[int]] | None", {"object", "None"}),
        (np.ndarray, {"object"}),
    ],
)
def test_kinds_of_annotations(annotation, kinds):
    made = type(
        "Made", (DeclaredParameters,), {"__annotations__": {"x": annotation}, "x": MISSING_DEFAULT}
    )
    assert parameters_of(made)["x"].kinds == kinds


@pytest.mark.parametrize("annotation", ["Path", "Literal['a']", "Size"])
def test_bounds_that_nothing_can_hold_for_are_refused(annotation):
    with pytest.raises(TypeError, match=r"Made\.x.*(int or float|instance_of)"):
        type(
            "Made",
            (DeclaredParameters,),
            {"__annotations__": {"x": annotation}, "x": parameter(1, at_least=0)},
        )


def test_a_parameter_without_an_annotation_is_refused():
    with pytest.raises(TypeError, match=r"Mine\.size.*annotation"):
        type("Mine", (SequenceRegressor,), {"size": parameter(3, at_least=1)})


# What is allowed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 1),
        ("size", 101),
        ("size", 2.0),
        ("size", "2"),
        ("size", None),
        ("size", True),
        ("size", np.True_),
        ("size", 10**30),
        ("size", [4]),
        ("kind", "c"),
        ("kind", 1),
        ("kind", None),
        ("rate", 1.0),
        ("rate", -0.1),
        ("rate", float("nan")),
        ("rate", float("inf")),
        ("rate", False),
        ("rate", "0.1"),
        ("flag", 1),
        ("flag", "yes"),
        ("lr", 0),
        ("lr", 1e300),
        ("max_epochs", 2**31),
        ("weight_decay", 10**400),
        ("lr", Fraction(10**400)),
        ("random_state", -1),
        ("random_state", "x"),
        ("purge", "all"),
        ("freeze", "rnn"),
        ("loss", "mape"),
        ("loss", 3),
        ("optimizer", "adamm"),
        ("checkpoint", 3),
        ("device", 0),
        ("early_stopping", "yes"),
        ("warm_start", 1),
    ],
)
def test_what_is_not_allowed_is_named(windows, name, value):
    with pytest.raises(ValueError, match=rf"LastRegressor.*\b{name}\b") as error:
        LastRegressor(**{name: value}).fit(*windows)
    assert isinstance(error.value, TypeError)
    assert repr(value)[:100] in str(error.value)


def test_a_value_that_cannot_be_shown_is_refused_all_the_same(windows):
    class Broken:
        def __repr__(self):
            raise RuntimeError("no")

    with pytest.raises(ValueError, match=r"size.*Broken"):
        LastRegressor(size=Broken()).fit(*windows)


@pytest.mark.parametrize(
    "params",
    [
        {"size": np.int64(4)},
        {"rate": np.float32(0.25)},
        {"rate": 0},
        {"rate": None},
        {"flag": np.False_},
        {"kind": np.str_("b")},
        {"lr": 1},
        {"max_epochs": np.uint8(2), "batch_size": np.int32(7), "purge": np.int16(1)},
    ],
)
def test_numbers_of_numpy_are_numbers(windows, params):
    model = LastRegressor(**{"max_epochs": 1, "random_state": 0, **params}).fit(*windows)
    # The parameters stay as they were given, as scikit-learn wants them.
    for name, value in params.items():
        assert getattr(model, name) is value


def test_a_search_over_a_range_of_numpy(windows):
    X, y = windows
    search = GridSearchCV(
        GRURegressor(max_epochs=1, random_state=0),
        {"hidden_size": np.arange(4, 8, 2), "dropout": np.linspace(0, 0.5, 2)},
        cv=DailyTimeSeriesSplit(2),
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_["hidden_size"] in (4, 6)
    assert isinstance(search.best_estimator_.module_.rnn.hidden_size, int)


def test_a_fit_changes_no_parameter(windows):
    model = small_alstm(hidden_size=np.int64(4))
    before = model.get_params()
    model.fit(*windows)
    assert all(model.get_params()[name] is value for name, value in before.items())


@pytest.mark.parametrize("name", MODELS)
def test_a_misspelt_parameter_gets_a_hint(name):
    with pytest.raises(TypeError, match=r"\['max_epoch'\].*'max_epochs'\?$"):
        skattn.make_model(name, max_epoch=3)
    with pytest.raises(TypeError, match=r"\['zzz'\]") as error:
        skattn.make_model(name, zzz=3)
    assert "Did you mean" not in str(error.value)


def test_transformers_and_splitters_declare_theirs_the_same_way():
    assert parameters_of(Alpha360)["length"].at_least == 1
    assert Alpha360(["close"], length=3).fields == ["close"]
    assert DailyTimeSeriesSplit(np.int64(3)).n_splits == 3
    with pytest.raises(ValueError, match=r"DailyTimeSeriesSplit.*n_splits.*\b1\b"):
        DailyTimeSeriesSplit(1)
    with pytest.raises(ValueError, match=r"DailyTimeSeriesSplit.*n_splits.*\b2147483648\b"):
        DailyTimeSeriesSplit(2**31)


def test_kinds_are_read_from_annotations_of_every_form():
    class Now(DeclaredParameters):
        count: int = parameter(1, at_least=1)
        anything: Any = parameter(None)

    kinds = {name: known.kinds for name, known in parameters_of(Now).items()}
    assert kinds == {"count": {"int"}, "anything": {"object"}}
    evaluated = type(
        "Evaluated", (DeclaredParameters,), {"__annotations__": {"x": int | None}, "x": None}
    )
    assert parameters_of(evaluated)["x"].kinds == {"int", "None"}


def test_arguments_of_functions_are_checked_the_same_way():
    assert check_value("n", np.int64(3), "int", at_least=2) == 3
    with pytest.raises(ValueError, match=r"^n must.*\b2\b.*\b1\b"):
        check_value("n", 1, "int", at_least=2)
