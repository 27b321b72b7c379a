"""Rows in blocks on threads: the plain function's values and gradients, and nobody's settings."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from skattn.kernels import by_rows, draws_random_numbers, map_blocks

N_STEPS, N_FEATURES = 5, 3


class LastState(nn.Module):
    def __init__(self, rnn: type[nn.Module], **params) -> None:
        super().__init__()
        self.rnn = rnn(N_FEATURES, 4, batch_first=True, **params)
        self.out = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0][:, -1])[:, 0]


class Flat(nn.Module):
    """A linear layer, and weights that no row reads."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(N_STEPS * N_FEATURES, 2)
        self.idle = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1))


MAKERS = {
    "gru": lambda: LastState(nn.GRU),
    "lstm": lambda: LastState(nn.LSTM, num_layers=2),
    "linear": Flat,
}


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def make(kind: str, n_rows: int, seed: int = 0) -> tuple[nn.Module, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MAKERS[kind](), torch.randn(n_rows, N_STEPS, N_FEATURES)


def run(module: nn.Module, x: torch.Tensor, block_rows: int | None) -> dict[str, torch.Tensor]:
    """Values and gradients of a loss that weighs rows unequally; plain without a block size."""
    module.zero_grad()
    leaf = x.clone().requires_grad_()
    y = module(leaf) if block_rows is None else by_rows(module, leaf, module, block_rows)
    (y**2 * torch.arange(1.0, y.numel() + 1).view_as(y)).mean().backward()
    gradients = {name: p.grad for name, p in module.named_parameters()}
    return {"y": y.detach(), "x": leaf.grad, **gradients}


def assert_same_gradients(
    one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], *, exact: bool = False
) -> None:
    """Compare the values and gradients of two runs."""
    for name, expected in two.items():
        if expected is None:
            assert one[name] is None, name
        elif exact:
            assert_array_equal(one[name], expected, err_msg=name)
        else:
            largest = float(expected.abs().max()) if expected.numel() else 0.0
            assert_allclose(one[name], expected, atol=1e-6 * max(1, largest), err_msg=name)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(list(MAKERS)),
    n_rows=st.integers(1, 40),
    block_rows=st.integers(1, 50),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_are_those_of_the_function(kind, n_rows, block_rows, seed):
    module, x = make(kind, n_rows, seed)
    expected = run(module, x, None)
    before = torch.get_num_threads()
    results = []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        try:
            results.append(run(module, x, block_rows))
            assert torch.get_num_threads() == n_threads
        finally:
            torch.set_num_threads(before)
    assert_same_gradients(results[0], expected)
    assert_same_gradients(results[1], results[0], exact=True)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("kind", MAKERS)
def test_frozen_parameters(kind):
    module, x = make(kind, 30)
    for number, parameter in enumerate(module.parameters()):
        parameter.requires_grad_(number % 2 == 0)
    assert_same_gradients(run(module, x, 8), run(module, x, None))
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    # x alone has a gradient; then nothing has.
    assert_same_gradients(run(module, x, 8), run(module, x, None))
    assert not by_rows(module, x, module, 8).requires_grad


@pytest.mark.usefixtures("two_threads")
def test_what_has_no_gradient_has_none():
    module, x = make("linear", 10)
    assert module.idle.weight.grad is run(module, x, 4)["idle.weight"] is None
    for function in (
        lambda x: x.flatten(1)[:, 0] ** 2,  # no parameter is read
        lambda x: module.linear.bias.sum().expand(len(x)) ** 2,  # x is not
    ):
        seen = []
        for call in (function, lambda x, f=function: by_rows(f, x, module, 4)):
            module.zero_grad()
            leaf = x.clone().requires_grad_()
            call(leaf).sum().backward()
            seen.append({"x": leaf.grad, "bias": module.linear.bias.grad})
        assert_same_gradients(seen[1], seen[0])
    # Neither is: a gradient is asked for all the same, of parameters that do not matter.
    by_rows(lambda x: x.flatten(1)[:, 0], x, module, 4).sum().backward()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("kind", MAKERS)
def test_in_the_middle_of_a_graph(kind):
    module, x = make(kind, 25)
    scale = nn.Parameter(torch.tensor([0.5, -1.0, 2.0]))
    gradients = []
    for call in (module, lambda rows: by_rows(module, rows, module, 7)):
        scale.grad = None
        call(x * scale).tanh().sum().backward()
        gradients.append(scale.grad)
    assert_allclose(gradients[1], gradients[0], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("two_threads")
def test_gradients_add_up_over_calls_but_one_call_goes_back_once():
    module, x = make("gru", 20)
    once = run(module, x, 6)["out.weight"].clone()
    y = by_rows(module, x, module, 6)
    (y**2 * torch.arange(1.0, 21)).mean().backward(retain_graph=True)
    assert_allclose(module.out.weight.grad, 2 * once, rtol=1e-5)
    with pytest.raises(RuntimeError, match="by_rows"):
        y.sum().backward()


def test_no_rows():
    module, x = make("linear", 0)
    assert_same_gradients(run(module, x, 4), run(module, x, None))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_modes_reach_the_threads(mode):
    module, x = make("gru", 20)
    seen = []

    def look(rows: torch.Tensor) -> torch.Tensor:
        modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        seen.append((modes, torch.get_num_threads(), threading.current_thread()))
        return module(rows)

    with mode():
        y = by_rows(look, x, module, 5)
        expected = module(x)
        here = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    assert_allclose(y.detach(), expected.detach(), atol=1e-6)
    assert y.requires_grad == expected.requires_grad
    assert y.is_inference() == expected.is_inference()
    modes, n_threads, threads = zip(*seen, strict=True)
    assert set(modes) == {here}
    assert set(n_threads) == {1}
    assert threading.current_thread() not in threads


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("outside", [True, False])
def test_autocast(outside):
    module, x = make("lstm", 20)
    dtypes = set()

    def half(rows: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return look(rows)

    def look(rows: torch.Tensor) -> torch.Tensor:
        y = module(rows)
        dtypes.add(y.dtype)
        return y.float()

    def call(block_rows: int | None) -> dict[str, torch.Tensor]:
        module.zero_grad()
        function = look if outside else half
        with torch.autocast("cpu", torch.bfloat16, enabled=outside):
            y = function(x) if block_rows is None else by_rows(function, x, module, block_rows)
        y.square().sum().backward()
        return {"y": y.detach(), **{name: p.grad for name, p in module.named_parameters()}}

    expected, in_threads = call(None), call(6)
    torch.set_num_threads(1)
    assert_same_gradients(call(6), in_threads, exact=True)
    assert dtypes == {torch.bfloat16}
    for name, value in expected.items():
        assert in_threads[name].dtype == torch.float32
        assert_allclose(in_threads[name], value, rtol=0.05, atol=0.05, err_msg=name)
    # The caller's own mode is as it was.
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    "module",
    [
        nn.Dropout(0.5),
        LastState(nn.GRU, num_layers=2, dropout=0.5),
        nn.TransformerEncoderLayer(4, 2),
    ],
)
def test_dropout_is_told(module):
    assert draws_random_numbers(module)
    assert not draws_random_numbers(module.eval())


@pytest.mark.parametrize("module", [nn.Dropout(0.0), LastState(nn.LSTM), Flat(), nn.LayerNorm(3)])
def test_no_dropout_is_told(module):
    assert not draws_random_numbers(module)


def test_dropout_is_the_same_in_each_run():
    module = nn.Sequential(nn.Flatten(), nn.Linear(N_STEPS * N_FEATURES, 50), nn.Dropout(0.5))
    x = torch.randn(64, N_STEPS, N_FEATURES)
    before, results = torch.get_num_threads(), []
    for n_threads in (1, 2, 3, 2):
        torch.set_num_threads(n_threads)
        with torch.random.fork_rng():
            torch.manual_seed(7)
            results.append(run(module, x, 4))
        torch.set_num_threads(before)
    for other in results[1:]:
        assert_same_gradients(other, results[0], exact=True)
    # Blocks do not share their mask.
    dropped = results[0]["y"] == 0
    assert 0.4 < dropped.float().mean() < 0.6
    assert not torch.equal(dropped[:4], dropped[4:8])


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_errors_come_through_and_leave_nothing_behind(alone, n_threads):
    torch.set_num_threads(n_threads)
    running = []

    def fail(block: int) -> int:
        running.append(block)
        if block == 1:
            raise LookupError("block 1")
        time.sleep(0.01)
        running.remove(block)
        return block

    with pytest.raises(LookupError, match="block 1"):
        map_blocks(fail, range(20), alone)
    assert running == [1]
    assert torch.get_num_threads() == n_threads
    assert map_blocks(lambda block: block + 1, range(20), alone) == list(range(1, 21))

    module, x = make("gru", 10)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        by_rows(lambda rows: nn.Linear(2, 2)(rows), x, module, 3)

    # An error on the way back.
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            raise LookupError("on the way back")

    y = by_rows(lambda rows: Fails.apply(module(rows)), x, module, 3)
    with pytest.raises(LookupError, match="on the way back"):
        y.sum().backward()
    assert torch.get_num_threads() == n_threads
    assert_same_gradients(run(module, x, 3), run(module, x, None))


@pytest.mark.usefixtures("two_threads")
def test_blocks_within_blocks():
    module, x = make("gru", 40)
    expected = run(module, x, None)
    inner = nn.Module()
    inner.module = module
    inner.forward = lambda rows: by_rows(module, rows, module, 3)
    got = run(inner, x, 10)
    assert_same_gradients(
        {name.removeprefix("module."): value for name, value in got.items()}, expected
    )
    with torch.inference_mode():
        y = by_rows(inner, x, inner, 10)
        once = torch.cat([inner(rows) for rows in x.split(10)])
    assert_array_equal(y, once)
    assert map_blocks(lambda i: map_blocks(lambda j: 10 * i + j, range(9)), range(9)) == [
        [10 * i + j for j in range(9)] for i in range(9)
    ]


@pytest.mark.usefixtures("two_threads")
def test_blocks_do_run_at_once():
    meet = threading.Barrier(2, timeout=20)
    map_blocks(lambda block: meet.wait(), range(4))


@pytest.mark.usefixtures("two_threads")
def test_callers_on_several_threads():
    module, x = make("lstm", 60)
    with torch.no_grad():
        expected = by_rows(module, x, module, 7)

    def call(number: int) -> np.ndarray:
        before = torch.get_num_threads()
        with torch.no_grad():
            y = by_rows(module, x, module, 7)
        assert torch.get_num_threads() == before
        return y.numpy()

    for y in Parallel(n_jobs=6, backend="threading")(delayed(call)(i) for i in range(40)):
        assert_array_equal(y, expected)
    assert_threads(2)


@pytest.mark.usefixtures("two_threads")
def test_a_thread_born_meanwhile_keeps_no_setting_and_passes_none_on():
    module, x = make("linear", 8)

    def call(seconds: float) -> int:
        def slow(rows: torch.Tensor) -> torch.Tensor:
            time.sleep(seconds)
            return module(rows)

        with torch.no_grad():
            by_rows(slow, x, module, 2)
        return torch.get_num_threads()

    call(0)
    with ThreadPoolExecutor(1) as other:
        born = []
        timer = threading.Timer(0.02, lambda: born.append(other.submit(call, 0.001)))
        timer.start()
        assert call(0.05) == 2
        timer.join()
        assert born[0].result() == 2
        # It comes first and leaves last.
        meanwhile = other.submit(call, 0.1)
        time.sleep(0.02)
        assert call(0.02) == 2
        assert meanwhile.result() == 2
    assert_threads(2)


@pytest.mark.usefixtures("two_threads")
def test_a_caller_with_one_thread_beside_one_with_two():
    module, x = make("gru", 30)
    with torch.no_grad():
        expected = by_rows(module, x, module, 4)

    def call(n_threads: int) -> list[int]:
        # Torch forgets what a thread sets before it has asked.
        torch.get_num_threads()
        torch.set_num_threads(n_threads)
        seen = []
        for _ in range(20):
            with torch.no_grad():
                assert torch.equal(by_rows(module, x, module, 4), expected)
            seen.append(torch.get_num_threads())
        return seen

    with ThreadPoolExecutor(3) as pool:
        for n_threads, seen in zip((1, 2, 3), pool.map(call, (1, 2, 3), timeout=60), strict=True):
            assert set(seen) == {n_threads}
    assert torch.get_num_threads() == 2


def assert_threads(n_threads: int) -> None:
    """What torch may use here, and in a thread that has yet to be born."""
    assert torch.get_num_threads() == n_threads
    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(torch.get_num_threads).result() == n_threads
