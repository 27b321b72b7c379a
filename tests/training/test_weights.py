"""Starting from known weights, and holding some."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from helpers import PrintsWhenUnpickled
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skattn.models import ALSTM, ALSTMRegressor, GRURegressor, HISTRegressor, LSTMRegressor


@pytest.fixture
def source() -> dict:
    torch.manual_seed(1)
    return ALSTM(3, 6).state_dict()


def start(windows, pretrained, **params) -> ALSTMRegressor:
    """A fit that leaves the weights where it found them."""
    params = {"hidden_size": 6, "max_epochs": 1, "optimizer": "sgd", "lr": 1e-30, **params}
    return ALSTMRegressor(pretrained=pretrained, random_state=0, **params).fit(*windows)


def test_sources(windows, source, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(source, path)
    by_dict = start(windows, source)
    for pretrained in (source, path, str(path), by_dict):
        model = start(windows, pretrained)
        for name, value in model.module_.state_dict().items():
            torch.testing.assert_close(value, source[name], rtol=0, atol=0)
        assert model.pretrained_report_.loaded == sorted(source)
        assert model.pretrained_report_.missing == model.pretrained_report_.unexpected == []


def test_loads_what_matches(windows, source):
    source["fc_out.weight"] = torch.zeros(1, 99)
    source["extra"] = torch.zeros(2)
    report = start(windows, source).pretrained_report_
    assert report.missing == ["fc_out.weight"]
    assert report.unexpected == ["extra", "fc_out.weight"]
    assert "rnn.weight_ih_l0" in report.loaded


def test_errors(windows, source, tmp_path, capsys):
    evil, cut, listed = (tmp_path / name for name in ("evil.pt", "cut.pt", "list.pt"))
    evil.write_bytes(pickle.dumps({"rnn": PrintsWhenUnpickled()}))
    torch.save(source, cut)
    cut.write_bytes(cut.read_bytes()[:-500])
    torch.save([1, 2], listed)
    for path in (evil, cut):
        with pytest.raises(ValueError, match=rf"pretrained='.*{path.name}'"):
            start(windows, path)
    assert "code ran" not in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"pretrained='.*absent\.pt'"):
        start(windows, tmp_path / "absent.pt")
    with pytest.raises(ValueError, match=r"pretrained .*state dict"):
        start(windows, listed)
    with pytest.raises(TypeError, match=r"pretrained.*\bint\b"):
        start(windows, 3)
    with pytest.raises(ValueError, match=r"pretrained.*other \(1,\)"):
        start(windows, {"other": torch.zeros(1)})


def test_freeze(windows, source):
    model = start(windows, source, freeze=("rnn", "net.fc_in.bias"), optimizer="adam", lr=0.01)
    for name, value in model.module_.state_dict().items():
        held = name.startswith("rnn.") or name == "net.fc_in.bias"
        assert torch.equal(value, source[name]) == held
    model.set_params(freeze=(), warm_start=True).fit(*windows)
    lifted = model.module_.state_dict()["rnn.weight_ih_l0"]
    assert not np.array_equal(lifted, source["rnn.weight_ih_l0"])


def test_clones_of_what_starts_from_a_fitted_model(windows, source):
    fitted = start(windows, source)
    for pretrained in (FrozenEstimator(fitted), fitted.module_.state_dict()):
        again = clone(ALSTMRegressor(hidden_size=6, max_epochs=1, pretrained=pretrained))
        assert again.fit(*windows).pretrained_report_.missing == []
    with pytest.raises(ValueError, match=r"(?s)pretrained=ALSTMRegressor.*FrozenEstimator"):
        clone(ALSTMRegressor(hidden_size=6, pretrained=fitted)).fit(*windows)
    again.set_params(pretrained=None).fit(*windows)
    assert not hasattr(again, "pretrained_report_")


def test_weights_of_other_units_or_sizes(windows):
    gru = GRURegressor(hidden_size=6, max_epochs=1).fit(*windows)
    for model in (LSTMRegressor(hidden_size=6), ALSTMRegressor(hidden_size=6, rnn="lstm")):
        with pytest.raises(ValueError, match=r"'gru'.*'lstm'"):
            model.set_params(pretrained=gru).fit(*windows)
    # The bias of the output has one element in every model: it alone is no match.
    with pytest.raises(ValueError, match=r"\(18, 3\).*\(15, 3\)"):
        GRURegressor(hidden_size=5, pretrained=gru).fit(*windows)
    with pytest.raises(ValueError, match=r"freeze=\['head'\].*'rnn'"):
        GRURegressor(freeze=("head",)).fit(*windows)


@pytest.mark.filterwarnings("ignore:HISTRegressor looks across")
def test_a_recurrent_network_starts_others(windows):
    X, y = windows
    gru = GRURegressor(hidden_size=6, max_epochs=1, random_state=0).fit(X, y)
    held = {"hidden_size": 6, "pretrained": gru, "freeze": ("rnn",), "max_epochs": 1}
    hist = HISTRegressor(rnn="gru", **held).fit(X, y)
    for name, value in gru.module_.rnn.state_dict().items():
        assert torch.equal(hist.module_.rnn.state_dict()[name], value)
    report = hist.pretrained_report_
    assert report.unexpected == []
    assert report.loaded == sorted(gru.module_.state_dict())
    assert "fc_es.weight" in report.missing
    # ALSTM's recurrent part reads a map of the input, so its first weights are of another shape.
    report = ALSTMRegressor(**held).fit(X, y).pretrained_report_
    assert "rnn.weight_ih_l0" in report.missing
    assert "rnn.weight_hh_l0" in report.loaded
