"""load_workflow: classes of qlib that a plugin's model stands for."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest
import torch
from helpers import MODEL_KWARGS, edit_settings, keys_of_settings, steps_of
from plugin_site import fake_site

from skattn.compose import CrossSectionalTarget
from skattn.qlib import load_workflow, read_provider

HOME = "qlib.contrib.model.pytorch_"
CODE = """
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from torch import nn

from skattn import ModelSpec, SequenceRegressor, hookimpl, parameter
from skattn.base import CrossSectionalRegressor

class Beside(nn.Module):
    cross_sectional = True

    def __init__(self, n_features, hidden_size, rnn):
        super().__init__()
        self.rnn = {"gru": nn.GRU, "lstm": nn.LSTM}[rnn](n_features, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, 1)

    def forward(self, x, present):
        own = self.out(self.rnn(x.flatten(0, 1))[0][:, -1]).reshape(present.shape) * present
        return own - own.sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True)

class Graph(CrossSectionalRegressor):
    hidden_size: int = parameter(8, at_least=1)
    num_layers: int = parameter(1, at_least=1)
    rnn: str = parameter("gru", one_of=("gru", "lstm"))
    dropout: float = parameter(0.25, at_least=0, below=1)

    def build_module(self, n_steps, n_features):
        return Beside(n_features, self.hidden_size, self.rnn)

class Mean(nn.Module):
    def __init__(self, n_features, d_model):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_features, d_model), nn.Linear(d_model, 1))

    def forward(self, x):
        return self.layers(x.mean(dim=1))[:, 0]

class Local(SequenceRegressor):
    batch_size = 123
    d_model: int = parameter(16, at_least=1)
    nhead: int = parameter(2, at_least=1)

    def build_module(self, n_steps, n_features):
        return Mean(n_features, self.d_model)

class Plain(RegressorMixin, BaseEstimator):
    def __init__(self, depth=1, max_epochs=5):
        self.depth, self.max_epochs = depth, max_epochs

    def fit(self, X, y):
        self.mean_ = y.mean()
        return self

    def predict(self, X):
        return torch.full((len(X),), self.mean_).numpy()

HOME = "qlib.contrib.model.pytorch_"

@hookimpl
def skattn_models():
    return [
        ModelSpec("z-gats", "MODULE:Local", qlib=(HOME + "gats:GATs",)),
        ModelSpec(
            "gats",
            "MODULE:Graph",
            qlib=(HOME + "gats:GATs", HOME + "gats_ts:GATs"),
            qlib_parameters={"base_model": "rnn", "wrong": "no_such"},
        ),
        ModelSpec(
            "local",
            "MODULE:Local",
            qlib=[HOME + "localformer:LocalformerModel", HOME + "localformer_ts:LocalformerModel"],
        ),
        ModelSpec("plain", "MODULE:Plain", qlib=(HOME + "plain:Plain",)),
        ModelSpec("gone", "MODULE:Gone", qlib=(HOME + "gone:Gone",)),
        ModelSpec("own-gru", "MODULE:Local", qlib=(HOME + "gru:GRU",)),
    ]
"""
# Of the workflows under qlib's examples/benchmarks.
GATS_360 = {"d_feat": 6, "hidden_size": 64, "num_layers": 2, "dropout": 0.7, "n_epochs": 200}
GATS_360 |= {"lr": 1e-4, "early_stop": 20, "metric": "loss", "loss": "mse", "GPU": 0}
GATS_360 |= {"base_model": "LSTM"}
GATS_158 = {**GATS_360, "d_feat": 20, "early_stop": 10}
PUBLISHED = {
    "GATs-360": ("GATs", "gats", GATS_360),
    "GATs-158": ("GATs", "gats_ts", GATS_158),
    "Localformer-360": ("LocalformerModel", "localformer", {"d_feat": 6, "seed": 0}),
    "Localformer-158": ("LocalformerModel", "localformer_ts", {"seed": 0, "n_jobs": 20}),
}
EXPECTED = {
    "GATs-360": {"rnn": "lstm", "dropout": 0.7, "hidden_size": 64, "n_iter_no_change": 20},
    "GATs-158": {"lr": 1e-4, "max_epochs": 200, "device": "auto", "monitor": "valid_loss"},
    "Localformer-360": {"random_state": 0, "d_model": 16, "batch_size": 123},
    "Localformer-158": {"random_state": 0, "nhead": 2, "lr": 1e-3},
}


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The name of the plugin's module."""
    folder = tmp_path / "site"
    folder.mkdir()
    with fake_site(folder, monkeypatch) as site:
        yield site.install("skattn-several", textwrap.dedent(CODE))


def class_of(module: str, name: str) -> type:
    return getattr(sys.modules[module], name)


@pytest.mark.parametrize("published", PUBLISHED)
def test_what_qlib_publishes_translates_and_fits(published, config, plugin, tmp_path):
    name, module, kwargs = PUBLISHED[published]
    series = module.endswith("_ts")
    if name == "GATs":
        weights = {"rnn.weight_ih_l0": torch.full((4 * 8, 20 if series else 6), 0.5)}
        torch.save(weights, tmp_path / "model_lstm.pkl")
        kwargs = {**kwargs, "model_path": str(tmp_path / "model_lstm.pkl")}
    settings = config(name, module, kwargs)
    workflow = load_workflow(settings)
    assert type(workflow.model) is class_of(plugin, "Graph" if name == "GATs" else "Local")
    assert workflow.pipeline["model"].regressor is workflow.model
    assert workflow.pipeline["model"].method == "rank"
    parameters = workflow.model.get_params()
    assert {key: parameters[key] for key in EXPECTED[published]} == EXPECTED[published]
    assert parameters["validation_fraction"] == pytest.approx(30 / 130, abs=0.01)
    assert steps_of(workflow) == (
        ["Alpha158", "RobustZScore", "RollingWindow"] if series else ["Alpha360", "RobustZScore"]
    )
    assert set(workflow.translated) | set(workflow.untranslated) == keys_of_settings(settings)
    assert not set(workflow.translated) & set(workflow.untranslated)
    if series and name != "GATs":
        assert "batches" in workflow.untranslated[f"{MODEL_KWARGS}.n_jobs"]

    small = {"hidden_size": 8} if name == "GATs" else {"d_model": 4}
    workflow.model.set_params(max_epochs=1, **small)
    ohlcv = read_provider(**workflow.data)
    pipeline = workflow.pipeline.fit(ohlcv, workflow.label(ohlcv))
    predicted = pipeline.predict(ohlcv)
    assert np.isfinite(predicted).all()
    assert np.std(predicted) > 0
    fitted = pipeline["model"].regressor_
    assert (fitted.n_steps_in_, fitted.n_features_in_) == ((20, 20) if series else (60, 6))
    if name == "GATs":
        assert fitted.pretrained_report_.loaded == ["rnn.weight_ih_l0"]


def test_settings_that_a_plugin_does_not_have(config, plugin):
    kwargs = {**GATS_360, "n_jobs": 3, "reg": "1e-2", "zzz": {"a": 1}, "wrong": 2}
    workflow = load_workflow(config("GATs", "gats", kwargs))
    untranslated = workflow.untranslated
    assert "Graph has no such parameter" in untranslated[f"{MODEL_KWARGS}.zzz.a"]
    reason = untranslated[f"{MODEL_KWARGS}.wrong"]
    assert "qlib_parameters" in reason
    assert "'no_such'" in reason
    assert workflow.model.weight_decay == 0.01
    assert workflow.translated[f"{MODEL_KWARGS}.base_model"] == "rnn='lstm'"
    assert workflow.translated["task.model.class"] == "gats"


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("base_model", "CNN", ValueError, r"base_model\b.*'gru', 'lstm'.*'CNN'"),
        ("hidden_size", 0, ValueError, r"kwargs\.hidden_size\b.*at least 1.*\b0\b"),
        ("hidden_size", "64", ValueError, r"kwargs\.hidden_size\b.*'64'"),
        ("dropout", 1.5, ValueError, r"kwargs\.dropout\b.*below 1.*1\.5"),
        ("dropout", "much", TypeError, r"kwargs\.dropout\b.*a number.*'much'"),
        ("n_epochs", 0, ValueError, r"kwargs\.n_epochs\b.*max_epochs.*\b0\b"),
        ("early_stop", 2.5, TypeError, r"kwargs\.early_stop\b.*2\.5"),
        ("loss", "mae", ValueError, r"kwargs\.loss\b.*'mse'.*'mae'"),
        ("metric", "mae", ValueError, r"kwargs\.metric\b.*'ic'.*'mae'"),
        ("d_feat", 5, ValueError, r"kwargs\.d_feat\b.*\b6\b.*\b5\b"),
        ("d_feat", "x", TypeError, r"kwargs\.d_feat\b.*'x'"),
        ("model_path", "nowhere.pkl", ValueError, r"kwargs\.model_path\b.*'nowhere\.pkl'"),
        ("rnn", "gru", ValueError, r"kwargs\.base_model and .*kwargs\.rnn both set rnn"),
        ("max_epochs", 3, ValueError, r"kwargs\.n_epochs and .*max_epochs both set max_epochs"),
    ],
)
def test_errors_name_the_setting(config, plugin, key, value, error, message):
    with pytest.raises(error, match=message):
        load_workflow(config("GATs", "gats", {**GATS_360, key: value}))


def test_a_dataset_of_the_other_kind(config, plugin):
    settings = edit_settings(config("GATs", "gats_ts", GATS_158), "task.dataset.class", "DatasetH")
    with pytest.raises(ValueError, match=r"dataset\.class\b.*pytorch_gats_ts\b.*TSDatasetH"):
        load_workflow(settings)


@pytest.mark.parametrize(("kwargs", "shape"), [({}, (1, 20)), ({"d_feat": 4}, (5, 4))])
def test_columns_are_steps_of_d_feat_or_all_features(config, plugin, kwargs, shape):
    settings = config("LocalformerModel", "localformer_ts", kwargs)
    settings = edit_settings(settings, "task.dataset.class", "DatasetH")
    settings = edit_settings(settings, "task.model.module_path", HOME + "localformer")
    workflow = load_workflow(settings)
    ohlcv = read_provider(**workflow.data)
    assert workflow.pipeline[:-1].fit_transform(ohlcv).shape[1:] == shape


def test_a_plugins_regressor_need_not_be_skattns(config, plugin):
    """Its values are not declared, and it gets the labelled rows alone, whatever the label."""
    settings = config("Plain", "plain", {"n_epochs": 7, "depth": "DEEP", "lr": 0.1})
    path = "task.dataset.kwargs.handler.kwargs.learn_processors"
    workflow = load_workflow(edit_settings(settings, path, []))
    assert workflow.model.get_params() == {"depth": "DEEP", "max_epochs": 7}
    assert "no such parameter" in workflow.untranslated[f"{MODEL_KWARGS}.lr"]
    assert isinstance(workflow.pipeline["model"], CrossSectionalTarget)
    ohlcv = read_provider(**workflow.data)
    y = workflow.label(ohlcv)
    assert y.isna().any()
    predicted = workflow.pipeline.fit(ohlcv, y).predict(ohlcv)
    assert predicted == pytest.approx(np.full(len(y), y.mean()))


def test_the_built_in_model_comes_first(config, plugin):
    assert type(load_workflow(config()).model).__module__ == "skattn.models.gru"


def test_a_model_that_cannot_be_imported_is_no_model(config, plugin):
    workflow = load_workflow(config("Gone", "gone", {}))
    assert workflow.model is None
    assert "skattn-several 1.2.3" in workflow.untranslated["task.model"]
    assert "'Gone'" in workflow.untranslated["task.model"]
    assert steps_of(workflow) == ["Alpha360"]


def test_without_the_plugin_there_is_no_model(config, plugin, monkeypatch):
    message = load_workflow(config("TabNet", "tabnet", {})).untranslated["task.model"]
    assert f"GATs of {HOME}gats," in message
    monkeypatch.setenv("SKATTN_PLUGINS", "")
    from skattn.plugins._collect import collected

    collected.cache_clear()
    workflow = load_workflow(config("GATs", "gats", GATS_360))
    assert workflow.model is None
    assert f"ModelSpec(qlib=('{HOME}gats:GATs',))" in workflow.untranslated["task.model"]
