"""HIST and its training against qlib's HISTModel, from the same weights.

Each stock is linked to the one that it is most similar to. Where two are equally near, rounding
chooses, and no two programs agree; the inputs here are checked to have no such ties.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    assert_trained_weights_close,
    draw_weights,
    flat_windows,
    normal_tensor,
    outputs_and_gradients,
    train_in_a_plain_loop,
)
from numpy.testing import assert_allclose
from torch.nn.functional import mse_loss, normalize

from skattn.models.hist import HIST, HISTRegressor
from skattn.training import DayBatches, Samples, SideInputs

pytestmark = pytest.mark.qlib

TOLERANCE = 1e-5
# Between the nearest stock and the next: above the rounding of a cosine, which is some 1e-7.
CLEAR = 1e-6
LR, CLIP = 1e-3, 3.0

RNNS = pytest.mark.parametrize("rnn", ["gru", "lstm"])
LAYERS = pytest.mark.parametrize("num_layers", [1, 2])
UNUSED = sorted(
    f"{layer}.{part}"
    for layer in (
        *("fc_es_middle", "fc_is_middle", "fc_indi_fore"),
        *("fc_out_es", "fc_out_is", "fc_out_indi"),
    )
    for part in ("weight", "bias")
)


@pytest.fixture
def pytorch_hist(monkeypatch):
    module = pytest.importorskip("qlib.contrib.model.pytorch_hist")
    # qlib asks for the number of a GPU.
    monkeypatch.setattr(torch, "get_device", lambda x: "cpu")
    return module


def make_theirs(pytorch_hist, rnn: str, *args, **kwargs) -> torch.nn.Module:
    return pytorch_hist.HISTModel(*args, base_model=rnn.upper(), **kwargs)


def scale(name: str, value: torch.Tensor) -> tuple[float, float]:
    """Weights that are larger than a fresh module's, so that stocks are unlike each other."""
    return 0.0, 1.2 / np.sqrt(value.shape[-1]) if value.ndim > 1 else 0.3


random_weights = partial(draw_weights, scale=scale)


def make_concepts(kind: str, n_stocks: int, n_concepts: int = 7, seed: int = 5) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    members = (rng.random((n_stocks, n_concepts)) < 0.3).astype(np.float32)
    if kind == "weighted":
        members *= rng.lognormal(size=members.shape).astype(np.float32)
    if kind == "sparse":
        members[::2] = 0
        members[:, ::3] = 0
    if kind == "one each":
        members = np.eye(n_concepts, dtype=np.float32)[rng.integers(n_concepts, size=n_stocks)]
    if kind == "empty":
        members[:] = 0
    if kind == "none":
        members = members[:, :0]
    return torch.from_numpy(members)


def call(theirs: torch.nn.Module, x: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    """Predict a day with qlib's module, having looked that no nearest stock is a close call."""
    assert clearance(theirs, x, concepts) > CLEAR
    # A single stock is squeezed to a scalar.
    return theirs(flat_windows(x), concepts).reshape(len(x))


@torch.no_grad()
def clearance(theirs: torch.nn.Module, x: torch.Tensor, concepts: torch.Tensor) -> float:
    """Least difference of the similarities of a stock's nearest other and the next."""
    if len(x) == 1:
        return np.inf
    seen = {}
    hooks = [
        theirs.rnn.register_forward_hook(lambda m, i, out: seen.update(states=out[0][:, -1])),
        theirs.fc_es_back.register_forward_hook(lambda m, i, out: seen.update(back=out)),
    ]
    theirs(flat_windows(x), concepts)
    for hook in hooks:
        hook.remove()
    rest = normalize((seen["states"] - seen["back"]).double(), dim=1)
    best = (rest @ rest.T).fill_diagonal_(0).topk(2, dim=1).values
    return float((best[:, 0] - best[:, 1]).min())


def draw_clear(
    theirs: torch.nn.Module, concepts: torch.Tensor, n_steps: int, n_features: int, seed: int
) -> torch.Tensor:
    """Draw windows of a day until no nearest stock is a close call."""
    for attempt in range(20):
        x = normal_tensor(len(concepts), n_steps, n_features, seed=[seed, attempt])
        if clearance(theirs, x, concepts) > 2 * CLEAR:
            return x
    raise AssertionError("Every draw has a close call.")


def assert_close(actual: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    """Within 1e-5, of the largest element where that is above one."""
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * max(1.0, largest), err_msg=name)


def pair(
    pytorch_hist, rnn: str, n_features: int, hidden_size: int, num_layers: int, seed: int = 0
) -> tuple[HIST, torch.nn.Module]:
    theirs = make_theirs(pytorch_hist, rnn, n_features, hidden_size, num_layers)
    weights = random_weights(theirs, seed=seed)
    theirs.load_state_dict(weights)
    ours = HIST(n_features, hidden_size, num_layers, rnn)
    report = ours.load_state_dict(weights, strict=False)
    assert report.missing_keys == []
    assert sorted(report.unexpected_keys) == UNUSED
    return ours, theirs


def with_gradient(tensors: dict) -> dict[str, torch.Tensor]:
    """Leave out what qlib makes and never uses: it has no gradient."""
    return {name: value for name, value in tensors.items() if value is not None}


def gradients_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return with_gradient({name: p.grad for name, p in module.named_parameters()})


@pytest.mark.parametrize("n_stocks", [1, 2, 50, 400])
@pytest.mark.parametrize("kind", ["dense", "one each", "weighted", "sparse", "empty", "none"])
@RNNS
@LAYERS
def test_outputs_and_gradients(pytorch_hist, rnn, num_layers, kind, n_stocks):
    n_steps, n_features, hidden_size = (7, 3, 12) if num_layers == 1 else (5, 2, 9)
    ours, theirs = pair(pytorch_hist, rnn, n_features, hidden_size, num_layers)
    concepts = make_concepts(kind, n_stocks)
    x = draw_clear(theirs, concepts, n_steps, n_features, seed=1)
    y = normal_tensor(n_stocks, seed=2)
    actual = outputs_and_gradients(ours, lambda x: ours(x[None], concepts=concepts[None])[0], x, y)
    expected = outputs_and_gradients(theirs, lambda x: call(theirs, x, concepts), x, y)
    expected = with_gradient(expected)
    assert set(with_gradient(actual)) == set(expected)
    for key, value in expected.items():
        assert_close(actual[key], value, key)


@RNNS
def test_no_concepts_is_like_an_empty_matrix(pytorch_hist, rnn):
    ours, theirs = pair(pytorch_hist, rnn, 3, 8, 2)
    x = normal_tensor(20, 6, 3)
    with torch.no_grad():
        assert_close(ours(x[None])[0], call(theirs, x, torch.zeros(20, 0)), "predicted")


@RNNS
@LAYERS
def test_state_dicts_load_both_ways(pytorch_hist, rnn, num_layers):
    theirs = make_theirs(pytorch_hist, rnn, 4, 7, num_layers)
    ours = HIST(4, 7, num_layers, rnn)
    assert set(theirs.state_dict()) - set(ours.state_dict()) == set(UNUSED)
    report = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert sorted(report.missing_keys) == UNUSED
    assert report.unexpected_keys == []
    x, concepts = normal_tensor(6, 11, 4), make_concepts("dense", 6)
    with torch.no_grad():
        assert_close(
            ours(x[None], concepts=concepts[None])[0], call(theirs, x, concepts), "predicted"
        )


def test_dropout_is_off_in_eval(pytorch_hist):
    ours = HIST(4, 8, 2, "gru", dropout=0.5).eval()
    theirs = make_theirs(pytorch_hist, "gru", 4, 8, 2, dropout=0.5).eval()
    theirs.load_state_dict(ours.state_dict(), strict=False)
    assert ours.rnn.dropout == theirs.rnn.dropout == 0.5
    x, concepts = normal_tensor(6, 11, 4), make_concepts("dense", 6)
    with torch.no_grad():
        assert_close(
            ours(x[None], concepts=concepts[None])[0], call(theirs, x, concepts), "predicted"
        )


# Padded up to 230 stocks they are 1380 rows, several of the blocks that threads compute.
@pytest.mark.parametrize("sizes", [(3, 1, 7, 2, 7), (40, 230, 1, 100, 2, 60)])
@pytest.mark.parametrize("kind", ["weighted", "sparse", "none"])
@RNNS
def test_days_at_once_are_days_one_by_one(pytorch_hist, rnn, kind, sizes):
    ours, theirs = pair(pytorch_hist, rnn, 3, 10, 2)
    concepts = [make_concepts(kind, n, seed=20 + i) for i, n in enumerate(sizes)]
    days = [draw_clear(theirs, c, 6, 3, seed=10 + i) for i, c in enumerate(concepts)]
    labels = [normal_tensor(n, seed=30 + i) for i, n in enumerate(sizes)]
    total = sum(sizes)
    expected = []
    for x, members, y in zip(days, concepts, labels, strict=True):
        predicted = call(theirs, x, members)
        (((predicted - y) ** 2).sum() / total).backward()
        expected.append(predicted.detach())

    present = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    # Rows that are not there hold anything.
    x = 30 * normal_tensor(len(sizes), max(sizes), 6, 3, seed=3)
    members = 5 + torch.rand(len(sizes), max(sizes), concepts[0].shape[1])
    x[present], members[present] = torch.cat(days), torch.cat(concepts)
    x.requires_grad_()
    predicted = ours(x, present, members)
    assert predicted.shape == present.shape
    mse_loss(predicted[present], torch.cat(labels)).backward()

    assert_close(predicted[present].detach(), torch.cat(expected), "predicted")
    seen, wanted = gradients_of(ours), gradients_of(theirs)
    assert set(seen) == set(wanted)
    for name, gradient in wanted.items():
        assert_close(seen[name], gradient, name)
    assert not x.grad[~present].any()


@pytest.fixture(scope="module")
def panel():
    """Days of 1 to 14 stocks, rows in any order, some without a label, weighted concepts."""
    rng = np.random.default_rng(7)
    days = pd.date_range("2024-01-01", periods=16)
    sizes = [1, 2, 14, 9, 5, 14, 3, 12, 7, 8, 11, 6, 14, 2, 10, 4]
    names = np.array([f"S{i:02d}" for i in range(14)])
    rows = [
        (day, stock)
        for day, n in zip(days, sizes, strict=True)
        for stock in rng.choice(names, n, replace=False)
    ]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    index = pd.MultiIndex.from_tuples(rows, names=["datetime", "instrument"])
    X = rng.normal(size=(len(index), 9, 3)).astype(np.float32)
    # Large labels: some gradients are above the clip, some are not.
    y = pd.Series(20 * X[:, -2, 0] + 10 * rng.normal(size=len(index)), index=index)
    y[rng.random(len(y)) < 0.15] = np.nan
    # A day of which nothing is known is left out.
    y[index.get_level_values("datetime") == days[5]] = np.nan
    # And a stock of which no concept is.
    weights = rng.random((13, 5)).astype(np.float32) * (rng.random((13, 5)) < 0.4)
    concepts = pd.DataFrame(weights, index=names[:13], columns=list("abcde"))
    concepts["nobody"] = 0.0
    return X, y, concepts


@pytest.mark.filterwarnings("ignore:.*belong to no concept")
@pytest.mark.parametrize(
    ("days_per_batch", "rnn", "num_layers", "weight_decay"),
    [(1, "gru", 2, 0.0), (1, "lstm", 1, 0.1), (3, "lstm", 2, 0.0), (3, "gru", 1, 0.1)],
)
def test_twenty_steps_of_training(
    pytorch_hist, panel, rnn, num_layers, days_per_batch, weight_decay
):
    X, y, concepts = panel
    _, theirs = pair(pytorch_hist, rnn, 3, 8, num_layers)
    weights = {name: value.clone() for name, value in theirs.state_dict().items()}
    epochs = 2 if days_per_batch == 1 else 4
    regressor = HISTRegressor(
        concepts=concepts,
        hidden_size=8,
        num_layers=num_layers,
        rnn=rnn,
        days_per_batch=days_per_batch,
        lr=LR,
        weight_decay=weight_decay,
        max_epochs=epochs,
        clip_value=CLIP,
        early_stopping=False,
        pretrained=weights,
        random_state=3,
        device="cpu",
    ).fit(X, y)
    assert regressor.pretrained_report_.missing == []
    assert regressor.pretrained_report_.unexpected == UNUSED

    days = y.index.get_level_values("datetime")
    labelled = y.notna().groupby(days).transform("any").to_numpy()
    assert 0 < labelled.sum() < len(y)
    samples = Samples(
        X[labelled],
        y[labelled].to_numpy(np.float32),
        days[labelled],
        y.index.get_level_values("instrument")[labelled],
    )

    class LookUp(SideInputs):
        names = ("concepts",)

        def rows(self, instruments: pd.Index, n_rows: int) -> dict[str, np.ndarray]:
            return {"concepts": concepts.reindex(instruments).fillna(0).to_numpy(np.float32)}

    def loss_of(inputs, labels):
        assert len(labels) <= days_per_batch
        days_of_batch = zip(inputs["x"], inputs["concepts"], inputs["present"], strict=True)
        predicted = [call(theirs, x[there], members[there]) for x, members, there in days_of_batch]
        true = labels[inputs["present"]]
        known = ~true.isnan()
        return mse_loss(torch.cat(predicted)[known], true[known])

    batches = DayBatches(samples, days_per_batch, LookUp(), seed=regressor.net_.seed)
    losses = train_in_a_plain_loop(theirs, regressor, batches, loss_of)
    assert len(losses) == (30 if days_per_batch == 1 else 20)
    assert_trained_weights_close(regressor, theirs, weights, TOLERANCE)
    if days_per_batch == 1:
        mean_losses = np.reshape(losses, (epochs, -1)).mean(axis=1)
        assert_allclose(regressor.history_["train_loss"], mean_losses, rtol=TOLERANCE)

    predicted = regressor.predict(X, days=days, instruments=y.index.get_level_values(1))
    members = torch.from_numpy(LookUp().rows(y.index.get_level_values(1), len(y))["concepts"])
    with torch.no_grad():
        for rows in y.groupby(days).indices.values():
            expected = call(theirs.eval(), torch.from_numpy(X[rows]), members[rows])
            assert_close(torch.from_numpy(predicted[rows]), expected, "predicted")


@pytest.mark.filterwarnings("ignore:.*belong to no concept", "ignore:The given NumPy array")
def test_qlibs_own_training_loop(pytorch_hist, panel, monkeypatch, tmp_path):
    X, y, concepts = panel
    order = np.argsort(y.index.get_level_values("datetime"), kind="stable")
    X, y = X[order], y.iloc[order]
    days = y.index.get_level_values("datetime")
    # qlib cannot train on a day of a single stock.
    kept = y.groupby(days).transform(lambda day: day.notna().any() and len(day) > 1)
    X, y, epochs = X[kept.astype(bool)], y[kept.astype(bool)], 2
    # qlib's row 733 is that of the stocks without a concept.
    matrix = np.zeros((734, concepts.shape[1]), np.float32)
    matrix[: len(concepts)] = concepts
    np.save(tmp_path / "stock2concept.npy", matrix)
    number = concepts.index.get_indexer(y.index.get_level_values("instrument"))
    number[number < 0] = 733

    model = pytorch_hist.HIST(
        d_feat=3,
        hidden_size=8,
        lr=LR,
        base_model="LSTM",
        stock2concept=tmp_path / "stock2concept.npy",
        GPU=-1,
    )
    weights = random_weights(model.HIST_model)
    model.HIST_model.load_state_dict(weights)
    regressor = HISTRegressor(
        concepts=concepts,
        hidden_size=8,
        lr=LR,
        max_epochs=epochs,
        early_stopping=False,
        pretrained=weights,
        random_state=3,
        device="cpu",
    ).fit(X, y)

    for epoch in range(epochs):

        def shuffle(given: list, epoch: int = epoch) -> None:
            order = np.random.default_rng([regressor.net_.seed, epoch]).permutation(len(given))
            given[:] = [given[i] for i in order]

        monkeypatch.setattr(np.random, "shuffle", shuffle)
        table = pd.DataFrame(flat_windows(torch.from_numpy(X)).numpy(), index=y.index)
        model.train_epoch(table, y.to_frame(), SimpleNamespace(values=number.copy()))
    assert_trained_weights_close(regressor, model.HIST_model, weights, TOLERANCE)
