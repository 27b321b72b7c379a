"""GRU and LSTM and their training against qlib's GRUModel and LSTMModel, from the same weights."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import (
    assert_tensors_close,
    draw_weights,
    flat_windows,
    normal_tensor,
    outputs_and_gradients,
)
from numpy.testing import assert_allclose

from skattn.models.alstm import ALSTM, ALSTMRegressor
from skattn.models.gru import GRU, GRURegressor
from skattn.models.hist import HISTRegressor
from skattn.models.lstm import LSTM, LSTMRegressor
from skattn.training import load_weights

pytestmark = pytest.mark.qlib

TOLERANCE = 1e-5
LR, CLIP = 1e-3, 3.0
CHECKPOINTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "qlib_checkpoints"

MODULES = {"gru": GRU, "lstm": LSTM}
REGRESSORS = {"gru": GRURegressor, "lstm": LSTMRegressor}
RNNS = pytest.mark.parametrize("rnn", ["gru", "lstm"])
LAYERS = pytest.mark.parametrize("num_layers", [1, 2])
SHAPES = pytest.mark.parametrize(
    ("n_rows", "n_steps", "n_features", "hidden_size"),
    [
        (1, 1, 1, 1),
        (2, 20, 6, 16),
        (5, 7, 1, 3),
        (17, 30, 5, 33),
        (32, 60, 6, 64),
        (3, 120, 2, 9),
    ],
)


@pytest.fixture(scope="module")
def make_theirs():
    pytest.importorskip("qlib")

    def make(rnn: str, *args, **kwargs) -> torch.nn.Module:
        module = import_module(f"qlib.contrib.model.pytorch_{rnn}")
        return getattr(module, f"{rnn.upper()}Model")(*args, **kwargs)

    return make


def scale(name: str, value: torch.Tensor) -> tuple[float, float]:
    """Weights that are larger than a fresh module's, so that gates open and close."""
    return 0.0, 1.5 / np.sqrt(value.shape[-1]) if value.ndim > 1 else 0.3


random_weights = partial(draw_weights, scale=scale)


@SHAPES
@LAYERS
@RNNS
def test_outputs_and_gradients(
    make_theirs, rnn, num_layers, n_rows, n_steps, n_features, hidden_size
):
    theirs = make_theirs(rnn, n_features, hidden_size, num_layers)
    ours = MODULES[rnn](n_features, hidden_size, num_layers)
    weights = random_weights(theirs)
    theirs.load_state_dict(weights, strict=True)
    ours.load_state_dict(weights, strict=True)
    x, y = normal_tensor(n_rows, n_steps, n_features), normal_tensor(n_rows, seed=2)

    def their_predictions(x):
        # qlib squeezes a single row to a scalar.
        return theirs(flat_windows(x)).reshape(n_rows)

    expected = outputs_and_gradients(theirs, their_predictions, x, y)
    assert_tensors_close(outputs_and_gradients(ours, ours, x, y), expected, TOLERANCE)


@LAYERS
@RNNS
def test_state_dicts_load_both_ways(make_theirs, rnn, num_layers):
    ours, theirs = MODULES[rnn](4, 7, num_layers), make_theirs(rnn, 4, 7, num_layers)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = normal_tensor(6, 11, 4)
    for source, target in ((ours, theirs), (theirs, ours)):
        target.load_state_dict(random_weights(source, seed=len(type(source).__name__)))
        source.load_state_dict(target.state_dict(), strict=True)
        with torch.no_grad():
            assert_allclose(ours(x), theirs(flat_windows(x)), rtol=0, atol=TOLERANCE)


@LAYERS
@RNNS
def test_dropout_is_off_in_eval(make_theirs, rnn, num_layers):
    ours = MODULES[rnn](4, 8, 2, dropout=0.5).eval()
    theirs = make_theirs(rnn, 4, 8, 2, dropout=0.5).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert ours.rnn.dropout == theirs.rnn.dropout == 0.5
    x = normal_tensor(6, 11, 4)
    with torch.no_grad():
        assert_allclose(ours(x), theirs(flat_windows(x)), rtol=0, atol=TOLERANCE)
        assert not torch.equal(ours.train()(x), ours(x))


# 300 rows a batch are more than one block of rows, and the blocks are unequal.
@pytest.mark.parametrize(
    ("n_rows", "batch_size", "num_layers", "hidden_size", "weight_decay"),
    [(74, 16, 2, 8, 0.0), (74, 16, 1, 7, 0.1), (1300, 300, 2, 2, 0.0)],
)
@RNNS
def test_twenty_steps_of_training(
    assert_trains_alike, make_theirs, rnn, n_rows, batch_size, num_layers, hidden_size, weight_decay
):
    epochs = 4
    x = normal_tensor(n_rows, 12, 3)
    # Large labels: some gradients are above the clip, some are not.
    y = 20 * x[:, -2, 0] + 10 * normal_tensor(n_rows, seed=2)
    theirs = make_theirs(rnn, 3, hidden_size, num_layers)
    weights = random_weights(theirs)
    theirs.load_state_dict(weights)
    regressor = REGRESSORS[rnn](
        hidden_size=hidden_size,
        num_layers=num_layers,
        lr=LR,
        weight_decay=weight_decay,
        batch_size=batch_size,
        max_epochs=epochs,
        clip_value=CLIP,
        early_stopping=False,
        pretrained=weights,
        random_state=3,
        device="cpu",
    ).fit(x.numpy(), y.numpy())

    assert_trains_alike(regressor, theirs, weights, x, y)


@pytest.fixture(params=["gru", "lstm"])
def checkpoint(request):
    path = CHECKPOINTS / f"model_{request.param}_csi300.pkl"
    if not path.exists():
        pytest.skip(f"no checkpoint at {path}")
    return request.param, path


@pytest.mark.realdata
def test_published_checkpoints_predict_the_same(make_theirs, checkpoint):
    rnn, path = checkpoint
    theirs = make_theirs(rnn).eval()
    theirs.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    # Scaled windows: some cells are at the clip of 3.
    x = normal_tensor(450, 60, 6).mul(1.5).clamp(-3, 3)
    # The weights are held, so that a fit loads them and trains none but the output's bias.
    regressor = REGRESSORS[rnn](
        pretrained=path,
        freeze=["rnn", "fc_out.weight"],
        lr=1e-12,
        max_epochs=1,
        early_stopping=False,
        random_state=0,
        device="cpu",
    ).fit(x[:5].numpy(), np.arange(5.0))
    assert regressor.pretrained_report_ == {
        "loaded": sorted(theirs.state_dict()),
        "missing": [],
        "unexpected": [],
        "prefix": "",
    }
    module = MODULES[rnn](6).eval()
    load_weights(module, path)
    with torch.no_grad():
        expected = theirs(flat_windows(x))
        # The GRU's predictions reach 78: they are sums of terms so large, rounded in another order.
        scale = max(1.0, float(expected.abs().max()) / 10)
        close = {"rtol": TOLERANCE, "atol": TOLERANCE * scale}
        assert_allclose(regressor.predict(x.numpy()), expected, **close)
        assert_allclose(module(x), expected, **close)


@pytest.mark.realdata
def test_published_checkpoints_fit_the_models_over_them(checkpoint):
    rnn, path = checkpoint
    weights = torch.load(path, map_location="cpu", weights_only=True)
    other = "lstm" if rnn == "gru" else "gru"
    x = normal_tensor(12, 60, 6).numpy()
    once = {"pretrained": path, "max_epochs": 1, "early_stopping": False, "device": "cpu"}
    days = np.repeat(np.array(["2024-01-02", "2024-01-03"], dtype="datetime64[D]"), 6)

    hist = HISTRegressor(rnn=rnn, freeze=["rnn"], **once).fit(x, x[:, -1, 0], days=days)
    report = hist.pretrained_report_
    # HIST's output layer is of the same name and size, and qlib's loads it, too.
    assert report.loaded == sorted(weights)
    assert report.unexpected == []
    assert {name.split(".")[0] for name in report.missing} == {
        *("fc_es", "fc_es_fore", "fc_es_back", "fc_is", "fc_is_fore", "fc_is_back", "fc_indi"),
    }
    for name, value in hist.module_.rnn.state_dict().items():
        assert torch.equal(value, weights[f"rnn.{name}"])

    # The state of ALSTM's first layer reads the embedding, as wide as the state.
    alstm = ALSTMRegressor(rnn=rnn, freeze=["rnn"], **once).fit(x, x[:, -1, 0])
    report = alstm.pretrained_report_
    misfits = ["fc_out.weight", "rnn.weight_ih_l0"]
    assert report.unexpected == misfits
    assert report.loaded == sorted(set(weights) - set(misfits))
    assert report.missing == sorted(set(ALSTM(6, rnn=rnn).state_dict()) - set(report.loaded))
    for name in report.loaded:
        if name.startswith("rnn"):
            assert torch.equal(alstm.module_.state_dict()[name], weights[name])

    # The other unit's gates are of another number.
    with pytest.raises(ValueError, match=f"'{rnn}'.*'{other}'"):
        HISTRegressor(rnn=other, **once).fit(x, x[:, -1, 0], days=days)
