"""torch.export and ONNX take the module of every built-in model, with any number of rows."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import torch
from torch.export import Dim

from skattn.models import ALSTM, GRU, HIST, LSTM, SFM, Transformer

N_FEATURES, N_STEPS = 3, 4
SFM_WITH_DROPOUT = partial(SFM, N_FEATURES, 8, 5, 4, dropout_W=0.5, dropout_U=0.5)
MODULES = {
    "alstm": partial(ALSTM, N_FEATURES, 8, 1),
    "gru": partial(GRU, N_FEATURES, 8, 1),
    "hist": partial(HIST, N_FEATURES, 8, 1),
    "lstm": partial(LSTM, N_FEATURES, 8, 1),
    "sfm": SFM_WITH_DROPOUT,
    "transformer": partial(Transformer, N_FEATURES, 8, 2, 1, 16),
}
# torch warns about its own code.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def inputs_of(name, n_rows):
    generator = torch.Generator().manual_seed(n_rows)
    if name != "hist":
        return {"x": torch.randn(n_rows, N_STEPS, N_FEATURES, generator=generator)}
    return {
        "x": torch.randn(n_rows, 5, N_STEPS, N_FEATURES, generator=generator),
        "present": torch.tensor([True, True, True, True, False]).expand(n_rows, -1).contiguous(),
        "concepts": torch.eye(2)[[0, 0, 1, 1, 0]].expand(n_rows, -1, -1).contiguous(),
    }


def any_rows(inputs):
    return {name: {0: Dim("rows")} for name in inputs}


@pytest.mark.parametrize("name", MODULES)
def test_export(name):
    torch.manual_seed(0)
    module, inputs = MODULES[name]().eval(), inputs_of(name, 6)
    program = torch.export.export(
        module, (), inputs, dynamic_shapes=any_rows(inputs), strict=False
    ).module()
    for n_rows in (6, 9):
        inputs = inputs_of(name, n_rows)
        torch.testing.assert_close(program(**inputs), module(**inputs))


def test_the_exported_memory_forgets_and_drops_as_the_fast_one():
    torch.manual_seed(0)
    module, x = SFM_WITH_DROPOUT().train(), inputs_of("sfm", 6)["x"]
    program = torch.export.export(module, (x,), strict=False).module()
    torch.manual_seed(1)
    exported = program(x)
    torch.manual_seed(1)
    torch.testing.assert_close(exported, module(x))
    assert not torch.allclose(exported, program(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sfm"])  # the gallery exports all of them
def test_onnx(name, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    reference = pytest.importorskip("onnx.reference")
    monkeypatch.setattr(logging.getLogger("torch.onnx"), "level", logging.ERROR)
    torch.manual_seed(0)
    module, inputs = MODULES[name]().eval(), inputs_of(name, 6)
    torch.onnx.export(
        module,
        kwargs=inputs,
        f=tmp_path / "module.onnx",
        dynamo=True,
        dynamic_shapes=any_rows(inputs),
        input_names=[*inputs],
        verbose=False,
    )
    run = reference.ReferenceEvaluator(str(tmp_path / "module.onnx")).run
    for n_rows in (6, 9):
        inputs = inputs_of(name, n_rows)
        (predicted,) = run(None, {key: value.numpy() for key, value in inputs.items()})
        torch.testing.assert_close(torch.tensor(predicted), module(**inputs).detach())
