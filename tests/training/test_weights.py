"""Starting from known weights, and holding some."""

from __future__ import annotations

import io
import os
import pickle
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from helpers import PrintsWhenUnpickled
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from torch import nn

from skattn.base import SequenceRegressor
from skattn.models import ALSTM, ALSTMRegressor, GRURegressor, HISTRegressor, LSTMRegressor
from skattn.training import load_weights


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
    with pytest.warns(UserWarning, match=r"pretrained.*\b1 weights.*fc_out\.weight \(1, 99\)"):
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


class PathOfItsOwn:
    """A path that is no pathlib.Path, such as those of cloud storage."""

    def __init__(self, path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def saved(state, how: str) -> bytes:
    """What a file of weights holds, by format."""
    if how == "safetensors":
        return safetensors.torch.save(state)
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=how == "zip")
    return file.getvalue()


def small_module() -> nn.Module:
    torch.manual_seed(2)
    return nn.GRU(2, 3)


def refused(state, match: str, error=ValueError) -> None:
    """Assert that a source is refused, and that the module is left as it was."""
    module = small_module()
    with pytest.raises(error, match=match) as caught:
        load_weights(module, state)
    text = str(caught.value)
    assert "pretrained" in text
    assert not re.search("weights_only=False|add_safe_globals", text)
    assert caught.value.__cause__ is None
    for name, value in small_module().state_dict().items():
        assert torch.equal(module.state_dict()[name], value)


FORMATS = ("zip", "legacy", "safetensors")


@pytest.mark.parametrize("how", FORMATS)
def test_a_file_that_is_cut_short_is_refused(how, tmp_path):
    content, path = saved(nn.GRU(2, 3).state_dict(), how), tmp_path / "weights"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        refused(path, r"pretrained='.*weights' (is empty|cannot be read|is damaged)")


@pytest.mark.parametrize("how", FORMATS)
def test_a_flipped_bit_is_found_where_the_format_has_checksums(how, tmp_path):
    state, path = nn.GRU(2, 3).state_dict(), tmp_path / "weights"
    content = saved(state, how)

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, 8 * len(content) - 1))
    def check(bit):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        module = small_module()
        try:
            report = load_weights(module, path)
        except ValueError:
            refused(path, "^pretrained")
            return
        if how == "zip":
            assert report.loaded == sorted(state)
            assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
        assert all(value.isfinite().all() for value in module.state_dict().values())

    check()


def test_a_changed_number_in_a_file_of_torch_save(tmp_path):
    state, path = nn.GRU(2, 3).state_dict(), tmp_path / "weights.pt"
    content = saved(state, "zip")
    number = state["weight_hh_l0"].numpy().tobytes()
    assert content.count(number) == 1
    path.write_bytes(content.replace(number, number[::-1]))
    refused(path, r"weights.pt' is damaged: its record '.*data/1' does not match its checksum")


def test_formats_paths_and_dtypes(tmp_path):
    state = nn.GRU(2, 3).state_dict()
    for how in FORMATS:
        # The content tells the format, not the name.
        path = tmp_path / "weights.bin"
        path.write_bytes(saved(state, how))
        for source in (path, str(path), PathOfItsOwn(path)):
            module = small_module()
            assert load_weights(module, source).loaded == sorted(state)
            assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        cast, module = {name: value.to(dtype) for name, value in state.items()}, small_module()
        load_weights(module, cast)
        for name, value in module.state_dict().items():
            assert value.dtype == torch.float32
            assert torch.equal(value, cast[name].float())


def test_files_that_are_none_of_weights(tmp_path):
    for name, match in (
        ("a" * 5000, "cannot be opened: File name too long"),
        ("a\0b", "cannot be opened: .*null"),
        (str(tmp_path), "cannot be opened: Is a directory"),
        (tmp_path / "absent.pt", r"absent.pt' cannot be opened: No such file"),
        (PathOfItsOwn(tmp_path / "absent.pt"), r"absent.pt' cannot be opened: No such file"),
        (os.devnull, "cannot be opened: Is not a file"),
    ):
        refused(name, match)
    path = tmp_path / "file"
    np.savez(path.open("wb"), a=np.zeros(3))
    refused(path, "is a zip archive, but not one of torch.save")
    torch.save(nn.GRU(2, 3), path)
    refused(path, r"holds more than tensors and plain values: torch\.nn\.modules\.rnn\.GRU")
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), path)
    refused(path, "is a TorchScript archive")
    path.write_bytes(saved(nn.GRU(2, 3), "legacy"))
    refused(path, "holds more than tensors")
    path.write_text("rnn.weight_ih_l0: 3")
    refused(path, "of another format")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the user may read every file"
)
def test_a_file_without_permission(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({}, path)
    path.chmod(0)
    refused(path, r"weights.pt' cannot be opened: Permission denied")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers(prefix):
    state, module = nn.GRU(2, 3).state_dict(), small_module()
    wrapped = {prefix + name: value for name, value in state.items()}
    # torch.optim.swa_utils.AveragedModel adds a count without a prefix.
    report = load_weights(module, {"n_averaged": torch.tensor(3), **wrapped})
    assert report.prefix == prefix
    assert report.loaded == sorted(state)
    assert report.unexpected == ["n_averaged"]
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
    refused({**wrapped, **state}, f"two weights for '(.*)': '{prefix}\\1' and '\\1'")
    # A module's own name is no prefix.
    own = nn.Sequential()
    own.add_module("module", small_module())
    assert load_weights(own, {f"module.{name}": v for name, v in state.items()}).prefix == ""
    assert all(torch.equal(v, state[k]) for k, v in own.module.state_dict().items())


def test_checkpoints_that_nest_a_state_dict(tmp_path):
    state, path = nn.GRU(2, 3).state_dict(), tmp_path / "last.ckpt"
    whole = {
        "epoch": 3,
        "loss_fn": {"weight": torch.ones(2)},
        "model_state_dict": {f"module.{name}": value for name, value in state.items()},
        "optimizer": torch.optim.Adam(small_module().parameters()).state_dict(),
    }
    torch.save(whole, path)
    refused(whole, r"\['epoch', 'loss_fn', .*pretrained\['model_state_dict'\]\.$")
    with pytest.raises(ValueError, match="got a mapping with the keys") as caught:
        load_weights(small_module(), path)
    cure = re.search(r"torch\.load\(.*\)\['.*'\]", str(caught.value))[0]
    assert load_weights(small_module(), eval(cure)).loaded == sorted(state)
    torch.save({"global_step": 1, "state_dict": state}, path)
    refused(path, r"weights_only=True\)\['state_dict'\]\.$")


def test_weights_that_are_no_numbers_of_the_module():
    state = nn.GRU(2, 3).state_dict()
    name = "weight_hh_l0"
    weight, nan = state[name], torch.full((9, 3), float("nan"))
    for bad, match in (
        (weight.to("meta"), f"'{name}' has a shape and no numbers"),
        (weight.to_sparse(), f"'{name}' must be a dense tensor.*sparse_coo.*to_dense"),
        (weight.to(torch.complex64), f"'{name}' is of torch.complex64, .* needs torch.float32"),
        (weight.to(torch.int8), f"'{name}' is of torch.int8"),
        (weight.bool(), f"'{name}' is of torch.bool"),
        (nan, f"'{name}' has 27 values among 27 that are NaN"),
        (weight.double() + 1e300, "too large for torch.float32"),
        (weight.numpy(), f"got ndarray for '{name}'"),
    ):
        refused({**state, name: bad}, match)
    refused({**state, 3: weight}, "got the name 3 of type int")
    refused({}, "got an empty one")
    refused(small_module(), r"got GRU\. Pass its state dict", TypeError)
    refused(make_pipeline(GRURegressor()), r"got Pipeline\. Pass the regressor in it", TypeError)


def test_buffers_may_be_infinite():
    module = small_module()
    module.register_buffer("mask", torch.zeros(2, 2))
    source = {**module.state_dict(), "mask": torch.full((2, 2), -torch.inf)}
    assert "mask" in load_weights(module, source).loaded
    assert module.mask.isneginf().all()
    with pytest.raises(ValueError, match="'mask' has 4 values among 4 that are NaN"):
        load_weights(module, {**source, "mask": torch.full((2, 2), torch.nan)})


def test_empty_recurrent_weights_are_of_another_shape():
    state = {**nn.GRU(2, 3).state_dict(), "weight_hh_l0": torch.zeros(9, 0)}
    assert load_weights(small_module(), state).missing == ["weight_hh_l0"]


def test_what_the_module_froze_stays_frozen(windows):
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fixed = nn.Linear(3, 4)
            self.fixed.weight.requires_grad_(False)
            self.out = nn.Linear(4, 1)

        def forward(self, x):
            return self.out(self.fixed(x[:, -1]))[:, 0]

    class FixedRegressor(SequenceRegressor):
        def build_module(self, n_steps, n_features):
            return Fixed()

    X, y = windows
    start = FixedRegressor(max_epochs=1, lr=1e-30, random_state=0, purge=2).fit(X[:, :, :3], y)
    for freeze in ((), ("out.bias",)):
        model = FixedRegressor(max_epochs=3, lr=0.1, random_state=0, purge=2, freeze=freeze)
        model.fit(X[:, :, :3], y)
        assert torch.equal(model.module_.fixed.weight, start.module_.fixed.weight)
        assert not torch.equal(model.module_.out.weight, start.module_.out.weight)


def test_prefixes_of_what_the_module_lacks_stay():
    module = nn.Linear(2, 3)
    state = {**module.state_dict(), "module.extra": torch.zeros(2, 2), "extra": torch.zeros(2, 2)}
    report = load_weights(module, state)
    assert report.prefix == ""
    assert report.unexpected == ["extra", "module.extra"]
