"""MASTER against a second implementation, the original's outputs, and skattn's promises."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skattn_master import MASTERRegressor

import skattn
from skattn import WindowArray
from skattn.inspection import (
    FeatureImportanceDisplay,
    attention_weights,
)
from skattn.testing import check_model

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "master_checkpoint"
N_STEPS, N_OWN, N_MARKET = 5, 4, 3
SMALL = {"n_market": N_MARKET, "d_model": 8, "t_nhead": 2, "s_nhead": 4}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def make_module(**params) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MASTERRegressor(**{**SMALL, "beta": 0.7, **params})
        return model.build_module(N_STEPS, N_OWN + model.n_market).eval()


def make_days(sizes: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Days of several sizes; what fills them up is not zero, so that a leak shows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(sizes), max(sizes), N_STEPS, N_OWN + N_MARKET))
    x[..., N_OWN:] = x[:, :1, :, N_OWN:]
    present = np.arange(max(sizes)) < np.array(sizes)[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(present)


def layer_norm(w: dict, name: str, x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean()
    return (
        centred / (centred.square().mean() + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]
    )


def attention_by_hand(w: dict, name: str, rows: list, n_heads: int, divisor: float) -> list:
    """One sequence of vectors, each query and each head by itself."""
    rows = [layer_norm(w, f"{name}.norm1", row) for row in rows]
    q, k, v = ([w[f"{name}.{kind}trans.weight"] @ row for row in rows] for kind in "qkv")
    size = len(rows[0]) // n_heads
    out = []
    for query, row in zip(q, rows, strict=True):
        heads = []
        for head in range(n_heads):
            part = slice(head * size, (head + 1) * size)
            scores = torch.stack([query[part] @ key[part] / divisor for key in k])
            weights = scores.exp() / scores.exp().sum()
            heads.append(sum(u * value[part] for u, value in zip(weights, v, strict=True)))
        x = layer_norm(w, f"{name}.norm2", row + torch.cat(heads))
        hidden = (w[f"{name}.ffn.0.weight"] @ x + w[f"{name}.ffn.0.bias"]).clamp(min=0)
        out.append(x + w[f"{name}.ffn.3.weight"] @ hidden + w[f"{name}.ffn.3.bias"])
    return out


def day_by_hand(w: dict, day: torch.Tensor, beta: float) -> torch.Tensor:
    """The formulas of the paper's code for the windows (S, T, F) of one day."""
    stocks = []
    for window in day:
        market = window[-1, N_OWN:]
        scores = w["feature_gate.trans.weight"] @ market + w["feature_gate.trans.bias"]
        gate = N_OWN * (scores / beta).exp() / (scores / beta).exp().sum()
        steps = [
            w["layers.0.weight"] @ (gate * step[:N_OWN]) + w["layers.0.bias"] + w["layers.1.pe"][t]
            for t, step in enumerate(window)
        ]
        stocks.append(attention_by_hand(w, "layers.2", steps, SMALL["t_nhead"], 1.0))
    divisor = math.sqrt(SMALL["d_model"] / SMALL["s_nhead"])
    by_step = [
        attention_by_hand(w, "layers.3", list(step), SMALL["s_nhead"], divisor)
        for step in zip(*stocks, strict=True)
    ]
    predicted = []
    for steps in zip(*by_step, strict=True):
        h = [w["layers.4.trans.weight"] @ step for step in steps]
        scores = torch.stack([each @ h[-1] for each in h])
        weights = scores.exp() / scores.exp().sum()
        mixed = sum(u * step for u, step in zip(weights, steps, strict=True))
        predicted.append(w["layers.5.weight"][0] @ mixed + w["layers.5.bias"][0])
    return torch.stack(predicted)


def test_outputs_and_gradients_are_those_of_the_formulas():
    module, (x, present) = make_module(), make_days([4, 2, 3])
    leaf = x.clone().requires_grad_()
    predicted = module(leaf, present)
    predicted[present].square().sum().backward()
    theirs = {k: v.clone().requires_grad_() for k, v in module.state_dict().items()}
    other = x.clone().requires_grad_()
    by_hand = torch.cat([day_by_hand(theirs, other[d, :n], 0.7) for d, n in enumerate([4, 2, 3])])
    by_hand.square().sum().backward()
    assert_allclose(predicted[present].detach(), by_hand.detach(), rtol=0, atol=1e-5)
    assert_allclose(leaf.grad, other.grad, rtol=0, atol=1e-5)
    for name, weight in module.named_parameters():
        assert weight.grad.abs().max() > 1e-4, name
        assert_allclose(weight.grad, theirs[name].grad, rtol=0, atol=1e-5, err_msg=name)


def test_days_alone_and_padding_unseen():
    module, (x, present) = make_module(), make_days([4, 1, 3])
    with torch.no_grad():
        together, maps = module(x, present), module.attend(x, present)
        for d, n in enumerate([4, 1, 3]):
            alone = x[d : d + 1, :n], present[d : d + 1, :n]
            assert_allclose(module(*alone)[0], together[d, :n], rtol=0, atol=1e-6)
            for name, values in module.attend(*alone).items():
                cut = maps[name][d, :n]
                cut = cut[..., :n] if name == "stocks" else cut
                assert_allclose(values[0], cut, rtol=0, atol=1e-6)
        assert (maps["stocks"][1][..., 1:] == 0).all()


def test_attention_sums():
    module, (x, present) = make_module(), make_days([4, 2])
    maps = module.attend(x, present)
    assert {k: v.shape[2:] for k, v in maps.items()} == {
        "gate": (N_OWN,),
        "time": (2, N_STEPS, N_STEPS),
        "stocks": (4, N_STEPS, 4),
        "aggregation": (N_STEPS,),
    }
    for name, values in maps.items():
        total = N_OWN if name == "gate" else 1.0
        assert_allclose(values.detach().sum(-1), total, rtol=0, atol=1e-5)


def test_the_market_counts_at_the_last_step_only():
    module, (x, present) = make_module(), make_days([4])
    earlier, last = x.clone(), x.clone()
    earlier[:, :, :-1, N_OWN:] += 1
    last[:, :, -1, N_OWN:] += 1
    assert_array_equal(module(earlier, present).detach(), module(x, present).detach())
    assert (module(last, present) - module(x, present)).abs().max() > 1e-4


def windows_and_labels(n_days: int = 30, n_stocks: int = 6) -> tuple[WindowArray, pd.Series]:
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2024-01-01", periods=n_days)
    index = pd.MultiIndex.from_product(
        [days, [f"S{i}" for i in range(n_stocks)]], names=["datetime", "instrument"]
    )
    cube = rng.normal(size=(len(index), N_STEPS, N_OWN + N_MARKET)).astype(np.float32)
    y = pd.Series(cube[:, -1, 0] + 0.1 * rng.normal(size=len(index)), index)
    y.attrs["reach"] = 1
    ends = np.arange(len(cube)) * N_STEPS
    fields = tuple(f"x{i}" for i in range(N_OWN + N_MARKET))
    windows = WindowArray(
        cube.reshape(-1, len(fields)), ends + N_STEPS - 1, N_STEPS,
        starts=ends, index=index, fields=fields,
    )  # fmt: skip
    return windows, y


def test_it_learns_and_its_attention_has_labels():
    X, y = windows_and_labels()
    model = MASTERRegressor(
        **SMALL, t_dropout=0.0, s_dropout=0.0, lr=0.01, max_epochs=15, random_state=0
    ).fit(X, y)
    assert np.corrcoef(model.predict(X), y)[0, 1] > 0.5
    maps = attention_weights(model, X[::2])
    assert maps.stocks.axes == ("row", "head", "lag", "stock")
    # Every second row was asked for.
    assert list(maps.stocks.labels[-1]) == ["S0", "S2", "S4"]
    assert_allclose(maps.stocks.values.sum(-1), 1, rtol=0, atol=1e-5)
    assert list(maps.aggregation.columns) == [4, 3, 2, 1, 0]


def test_weights_go_to_another_model():
    X, y = windows_and_labels(12)
    first = MASTERRegressor(**SMALL, max_epochs=1, random_state=0).fit(X, y)
    frozen = MASTERRegressor(**SMALL, pretrained=first.module_.state_dict(), lr=1e-12, max_epochs=1)
    frozen.fit(X, y)
    assert frozen.pretrained_report_.missing == frozen.pretrained_report_.unexpected == []
    assert_allclose(frozen.predict(X), first.predict(X), rtol=0, atol=1e-5)


def test_without_market_columns_the_gate_is_the_same_for_all_rows():
    X, y = windows_and_labels(12)
    model = MASTERRegressor(**{**SMALL, "n_market": 0}, lr=0.01, max_epochs=3, random_state=0)
    gate = model.fit(X, y).attend(X)["gate"]
    assert_array_equal(gate, np.broadcast_to(gate[:1], gate.shape))
    assert np.ptp(gate[0]) > 1e-3


def test_long_windows_have_positions():
    assert MASTERRegressor(**SMALL).build_module(130, 9).layers[1].pe.shape == (130, 8)
    assert MASTERRegressor(**SMALL).build_module(8, 9).layers[1].pe.shape == (100, 8)


def test_importance_beside_attention():
    pytest.importorskip("matplotlib").use("agg")
    X, y = windows_and_labels()
    model = MASTERRegressor(
        **SMALL, t_dropout=0.0, s_dropout=0.0, lr=0.01, max_epochs=15, random_state=0
    ).fit(X, y)
    display = FeatureImportanceDisplay.from_estimator(
        model, X, y, method="both", random_state=0, n_steps=16
    )
    assert display.permutation["importance"].idxmax() == "x0 0"
    assert display.gradients["importance"].idxmax() == "x0 0"
    # Of the two maps over steps, the one that the prediction reads.
    aggregation = attention_weights(model, X).aggregation
    assert_allclose(display.attention, aggregation.mean(), rtol=1e-4)
    # The market is read at the latest step only.
    unread = display.permutation["field"].isin(X.fields[N_OWN:])
    unread &= display.permutation["lags"] != "0"
    assert (display.permutation.loc[unread, "importance"] == 0).all()
    assert (display.gradients.loc[unread, "importance"] == 0).all()


@pytest.mark.parametrize("n_features", [1, 20, 21])
def test_windows_without_market_columns(n_features):
    with pytest.raises(ValueError, match=r"n_market=21.*MARKET_RETURN.*MarketInformation"):
        MASTERRegressor().build_module(8, n_features)
    X, y = np.zeros((6, 8, n_features), dtype=np.float32), np.arange(6.0)
    with pytest.raises(ValueError, match=rf"{n_features} feature\(s\).*MarketInformation"):
        MASTERRegressor().fit(X, y, days=pd.bdate_range("2024-01-01", periods=6))


@pytest.mark.parametrize("name", ["t_nhead", "s_nhead"])
def test_heads_must_divide_the_size(name):
    with pytest.raises(ValueError, match=f"d_model must be a multiple of {name}.*d_model=10.*=4"):
        MASTERRegressor(d_model=10, **{"t_nhead": 2, "s_nhead": 2, name: 4}).build_module(8, 30)


@pytest.mark.parametrize(
    ("name", "value"),
    [("beta", 0.0), ("n_market", -1), ("t_dropout", 1.0), ("s_dropout", -0.1), ("d_model", 0)],
)
def test_parameters_out_of_range(name, value):
    X, y = windows_and_labels(12)
    with pytest.raises(ValueError, match=f"MASTERRegressor: {name} must be"):
        MASTERRegressor(**{name: value}).fit(X, y)


def published() -> tuple[MASTERRegressor, dict]:
    if not SHARED.exists():
        pytest.skip(f"no published weights at {SHARED}")
    oracle = dict(np.load(SHARED / "csi300_oracle.npz"))
    file = SHARED / "csi300_original_0.pkl"
    return MASTERRegressor(n_market=63, pretrained=file, lr=1e-12, max_epochs=1), oracle


@pytest.mark.realdata
def test_published_weights_give_the_original_outputs():
    model, oracle = published()
    days = pd.DatetimeIndex(["2024-01-02"] * len(oracle["y"]))
    model.set_params(early_stopping=False, random_state=0)
    model.fit(oracle["x"], np.zeros(len(days)), days=days)
    report = model.pretrained_report_
    assert report.missing == report.unexpected == []
    assert_allclose(model.predict(oracle["x"], days=days), oracle["y"], rtol=0, atol=1e-5)
    gate = model.attend(oracle["x"], days=days)["gate"]
    assert_allclose(gate, oracle["gate"], rtol=0, atol=1e-5)


# scikit-learn's data has a single field, which cannot be the stock's and the market's.
@pytest.mark.parametrize("n_market", [0, 1])
def test_the_kit_of_skattn(n_market):
    check_model(MASTERRegressor(n_market=n_market), scikit_learn=n_market == 0)


def test_spec():
    from skattn_master import skattn_models

    spec = skattn_models()
    assert (spec.name, spec.target) == ("master", "skattn_master.model:MASTERRegressor")
    assert isinstance(spec, skattn.ModelSpec)
