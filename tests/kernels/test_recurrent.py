"""Recurrent layers as compiled code: torch's values and gradients, the same bits anywhere."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skattn.kernels import PositionIndependent, by_rows, compiled_recurrences, make_rnn, time_major

Dispatcher = pytest.importorskip("numba.core.dispatcher").Dispatcher

TORCHS = {"gru": nn.GRU, "lstm": nn.LSTM}
UNITS = pytest.mark.parametrize("unit", sorted(TORCHS))


@pytest.fixture(autouse=True)
def _is_compiled():
    if not compiled_recurrences().modules:
        pytest.skip(compiled_recurrences().reason)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def make_both(unit: str, *sizes: int, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(seed)
    ours = make_rnn(unit, *sizes)
    theirs = TORCHS[unit](*sizes)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def spy(monkeypatch: pytest.MonkeyPatch, unit: str) -> list[str]:
    """Calls of the compiled functions."""
    module, calls = compiled_recurrences().modules[unit], []
    for name in ("forward", "backward"):
        function = getattr(module, name)

        def call(*arguments, _name=name, _function=function):
            calls.append(_name)
            return _function(*arguments)

        monkeypatch.setattr(module, name, call)
    return calls


def run(rnn: nn.Module, x: torch.Tensor, seed: int) -> dict[str, np.ndarray]:
    """States, last states and cells, and gradients through all of these."""
    x = x.clone().requires_grad_()
    states, last = rnn(x)
    last = last if isinstance(last, tuple) else (last,)
    torch.manual_seed(seed)
    total = sum((part * torch.randn(part.shape)).sum() for part in (states, *last))
    rnn.zero_grad()
    total.backward()
    gradients = {name: p.grad for name, p in rnn.named_parameters()}
    found = {"states": states, "x": x.grad, **gradients}
    found |= {f"last{i}": part for i, part in enumerate(last)}
    return {name: value.detach().numpy() for name, value in found.items()}


@UNITS
@settings(max_examples=40, deadline=None)
@given(
    n_steps=st.integers(1, 9),
    n_rows=st.one_of(st.integers(1, 70), st.sampled_from([127, 128, 129, 300])),
    n_features=st.integers(1, 20),
    size=st.one_of(st.integers(1, 20), st.sampled_from([33, 64, 65])),
    n_layers=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_are_torchs(unit, n_steps, n_rows, n_features, size, n_layers, seed):
    ours, theirs = make_both(unit, n_features, size, n_layers, seed=seed)
    x = torch.randn(n_steps, n_rows, n_features) * 2
    found, expected = run(ours, x, seed), run(theirs, x, seed)
    for name, values in expected.items():
        scale = np.abs(values).max() + 1e-3
        assert_allclose(found[name] / scale, values / scale, atol=2e-5, err_msg=name)


@UNITS
def test_compiled_code_runs(unit, monkeypatch):
    calls = spy(monkeypatch, unit)
    run(make_rnn(unit, 3, 4, 2), torch.randn(5, 7, 3), 0)
    assert calls == ["forward", "forward", "backward", "backward"]  # a call a layer


@UNITS
@settings(max_examples=15, deadline=None)
@given(
    n_features=st.integers(1, 33),
    size=st.integers(1, 65),
    n_rows=st.sampled_from([5, 64, 128, 200]),
    seed=st.integers(0, 99),
)
def test_a_row_has_the_same_bits_at_any_place(unit, n_features, size, n_rows, seed):
    torch.manual_seed(seed)
    rnn, x = make_rnn(unit, n_features, size, 2), torch.randn(4, n_rows, n_features)
    order = torch.randperm(n_rows)
    with torch.inference_mode(), PositionIndependent():
        states, moved = rnn(x)[0], rnn(x[:, order].contiguous())[0]
    assert_array_equal(states[:, order], moved)


@UNITS
def test_bits_do_not_depend_on_threads(unit, two_threads):
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = make_rnn(unit, 3, 8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rnn(time_major(x))[0][-1].sum(1)

    torch.manual_seed(0)
    module, x = Last(), torch.randn(300, 6, 3)
    found = []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        module.zero_grad()
        y = by_rows(module, x, module, 64)
        (y**2).sum().backward()
        found.append([y.detach(), *(p.grad.clone() for p in module.parameters())])
    for one, two in zip(*found, strict=True):
        assert_array_equal(one, two)


@UNITS
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_come_out_as_torchs_do(unit, value):
    ours, theirs = make_both(unit, 2, 5, 2)
    x = torch.randn(6, 10, 2)
    x[3, 4, 1] = value
    found, expected = (rnn(x)[0].detach().numpy() for rnn in (ours, theirs))
    assert np.isnan(expected[3:, 4]).all() == np.isnan(value)
    assert_allclose(found, expected, atol=2e-6)
    for rnn in (ours, theirs):
        rnn.weight_hh_l0.data[0, 0] = value
    found, expected = (rnn(torch.ones(6, 10, 2))[0].detach().numpy() for rnn in (ours, theirs))
    assert_array_equal(np.isnan(found), np.isnan(expected))


@UNITS
def test_inputs_of_any_layout(unit):
    ours, theirs = make_both(unit, 3, 4)
    frozen = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)
    expected = theirs(torch.tensor(frozen))[0].detach()
    frozen.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once that it cannot be read-only
        read_only = torch.from_numpy(frozen)
    every_other = torch.zeros(5, 14, 6)[:, ::2, ::2]
    every_other.copy_(read_only)
    for x in (read_only, every_other, read_only.transpose(0, 1).contiguous().transpose(0, 1)):
        assert_allclose(ours(x)[0].detach(), expected, atol=2e-6)
        with torch.no_grad():
            assert_allclose(ours(x)[0], expected, atol=2e-6)


@UNITS
def test_frozen_weights_get_no_gradient(unit):
    rnn = make_rnn(unit, 3, 4)
    rnn.weight_ih_l0.requires_grad_(False)
    rnn(torch.randn(5, 7, 3))[0].sum().backward()
    assert rnn.weight_ih_l0.grad is None
    assert rnn.weight_hh_l0.grad.abs().sum() > 0


@UNITS
def test_second_derivatives_are_refused(unit):
    x = torch.randn(5, 7, 3, requires_grad=True)
    states, _ = make_rnn(unit, 3, 4)(x)
    with pytest.raises(RuntimeError, match=r"second derivatives.*SKATTN_COMPILED=0"):
        torch.autograd.grad(states.sum(), x, create_graph=True)


@UNITS
def test_weights_changed_before_the_backward_pass_are_noticed(unit):
    rnn = make_rnn(unit, 3, 4)
    states, _ = rnn(torch.randn(5, 7, 3))
    with torch.no_grad():
        rnn.weight_hh_l0.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()


@UNITS
def test_dropout_between_layers(unit):
    torch.manual_seed(0)
    rnn, x = make_rnn(unit, 3, 16, 2, 0.5), torch.randn(5, 40, 3)
    torch.manual_seed(1)
    first = rnn(x)[0].detach()
    torch.manual_seed(1)
    assert_array_equal(rnn(x)[0].detach(), first)
    assert not np.array_equal(rnn(x)[0].detach(), first)
    theirs = TORCHS[unit](3, 16, 2)
    theirs.load_state_dict(rnn.state_dict())
    assert_allclose(rnn.eval()(x)[0].detach(), theirs(x)[0].detach(), atol=2e-6)


@UNITS
def test_where_torchs_own_code_runs(unit, monkeypatch):
    calls = spy(monkeypatch, unit)
    rnn, x = make_rnn(unit, 3, 4), torch.randn(5, 7, 3)
    zeros = torch.zeros(1, 7, 4)
    rnn(x, (zeros, zeros) if unit == "lstm" else zeros)
    if unit == "lstm":
        with torch.no_grad():
            rnn(x)
        with torch.autocast("cpu", torch.bfloat16):
            rnn(x)
    copy.deepcopy(rnn).double()(x.double())
    torch.export.export(rnn, (x,))
    assert not calls
    assert type(rnn).__mro__[2] is TORCHS[unit]


def test_a_gru_stays_in_float32_under_autocast(monkeypatch):
    calls = spy(monkeypatch, "gru")
    ours, theirs = make_both("gru", 3, 4)
    x = torch.randn(5, 7, 3)
    with torch.autocast("cpu", torch.bfloat16):
        states, _ = ours(x.bfloat16())
    assert calls == ["forward"]
    assert states.dtype == torch.float32
    assert_allclose(states.detach(), theirs(x.bfloat16().float())[0].detach(), atol=2e-6)
    states.sum().backward()


@UNITS
def test_saturated_units_have_no_gradient(unit):
    ours, theirs = make_both(unit, 2, 5)
    for rnn in (ours, theirs):
        for weight in rnn.parameters():
            weight.data *= 1e4
    x = torch.randn(6, 10, 2) * 10
    found, expected = (run(rnn, x, 0)["weight_ih_l0"] for rnn in (ours, theirs))
    assert np.abs(found[expected == 0]).max(initial=0) < 1e-30


@UNITS
def test_errors_of_shape_are_torchs(unit):
    with pytest.raises((RuntimeError, ValueError), match="3"):
        make_rnn(unit, 3, 4)(torch.randn(5, 7, 2))


def bits_of_a_fit(unit: str) -> bytes:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return run(make_rnn(unit, 3, 8, 2), torch.randn(6, 50, 3), 0)["x"].tobytes()


@UNITS
def test_forked_processes_give_the_same_bits(unit):
    expected = bits_of_a_fit(unit)
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        assert list(pool.map(bits_of_a_fit, [unit, unit])) == [expected, expected]


def run_script(script: str, **variables: str) -> str:
    """Run a script in a process of its own; give what it prints."""
    code = textwrap.dedent(script)
    ran = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


FIT = """
    import numpy as np, skattn
    X = np.random.default_rng(0).normal(size=(40, 5, 2)).astype("float32")
    model = skattn.GRURegressor(hidden_size=4, max_epochs=1, early_stopping=False, random_state=0)
    model.fit(X, X[:, -1, 0]).predict(X)
    from skattn.kernels import compiled_recurrences
    print(sorted(compiled_recurrences().modules), compiled_recurrences().reason)
"""


def test_new_processes_give_the_same_bits():
    script = FIT + "    print(model.predict(X)[:5].tobytes().hex())"
    first, second = (run_script(script, OMP_NUM_THREADS=threads) for threads in ("1", "2"))
    assert first == second


def test_the_variable_switches_compiled_code_off():
    printed = run_script(FIT + "    import sys; print('numba' in sys.modules)", SKATTN_COMPILED="0")
    assert "[] switched off by SKATTN_COMPILED=0" in printed
    assert "False" in printed


def test_without_numba_torchs_code_runs():
    printed = run_script("    import sys; sys.modules['numba'] = None" + FIT)
    assert '[] numba is not installed: pip install "skattn[fast]"' in printed
    assert "Warning" not in printed


@pytest.mark.parametrize(
    "error", ["ImportError('Numba needs NumPy 2.2 or less')", "OSError('no libllvmlite')"]
)
def test_a_broken_numba_is_one_warning(tmp_path, error):
    (tmp_path / "numba.py").write_text(f"raise {error}")
    printed = run_script(FIT, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert printed.count("numba is broken") == 2  # the warning, and the printed reason
    assert "SKATTN_COMPILED=0" in printed
    assert error.split("'")[1] in printed


def test_nothing_is_stored_where_nothing_can_be():
    script = """
        import numba.core.caching
        numba.core.caching.CacheImpl._locator_classes = []
    """
    printed = run_script(script + textwrap.indent(FIT, "    "))
    assert "['gru', 'lstm']" in printed


@pytest.mark.parametrize("module", ["gru", "lstm", "tiles"])
def test_stored_code_is_the_code_of_one_signature(module):
    # Processes that compile at once may mix up the stored code of several signatures.
    for unit in TORCHS:
        for n_rows in (5, 70, 300):
            run(make_rnn(unit, 3, 4, 2), torch.randn(5, n_rows, 3), 0)
    module = import_module(f"skattn.kernels._numba_{module}")
    compiled = {
        value._cache._impl.filename_base: value
        for value in vars(module).values()
        if isinstance(value, Dispatcher)
    }
    assert len(compiled) == sum(isinstance(value, Dispatcher) for value in vars(module).values())
    assert {name for name, value in compiled.items() if len(value.signatures) > 1} == set()


def test_importing_and_listing_import_no_numba():
    script = """
        import sys, skattn
        skattn.list_models()
        skattn.make_model("gru")
        print("numba" in sys.modules)
    """
    assert run_script(script).strip() == "False"
