"""What was tried, by name: each trial is a change of ``BASE``.

Features are "name:days" or "name:days:method": windows of the features, scaled over time by the
training days, or with a method within the day. "price" is today's open, high, low, close and volume
relative to yesterday's.

Training is until early stopping, or of a fixed number of epochs: C5 is five of them with a learning
rate that falls along a half cosine, on all days before the test; T5 leaves out the days that stop
others early, as in the comparison of ``quality.py``, where LightGBM needs them.
"""

from __future__ import annotations

from typing import Any

from _report import US_EQUITIES

BASE: dict[str, Any] = {
    "model": "gru",
    "features": "twenty:20",
    "label": "rank",
    "params": {
        "lr": 1e-3,
        "batch_size": 800,
        "max_epochs": 10,
        "n_iter_no_change": 3,
        "monitor": "valid_rank_ic",
    },
}
BOOSTING = ("lightgbm", "ridge")
Z, B, R, R10 = "twenty:20:zscore", "158+price:20:rank", "158:20:rank", "158:10:rank"
P = {"batch_size": 2000, "weight_decay": 1e-4}
QLIB_GRU, QLIB_LSTM = (
    str(US_EQUITIES.parent / f"qlib_checkpoints/model_{name}_csi300.pkl")
    for name in ("gru", "lstm")
)


def trial(
    model: str = "gru", features: str = "twenty:20", label: str | None = "rank", **params: Any
) -> dict[str, Any]:
    """Change the base."""
    if model not in BOOSTING:
        params = {**BASE["params"], **params}
    return {"model": model, "features": features, "label": label, "params": params}


def fixed(n_epochs: int, with_valid: bool = True, **params: Any) -> dict[str, Any]:
    """Parameters of a fixed number of epochs; the learning rate falls along a half cosine."""
    return {
        "max_epochs": n_epochs,
        "fixed": True,
        "cosine": True,
        "with_valid": with_valid,
    } | params


def days(loss: str, n_days: int = 1) -> dict[str, Any]:
    return {"batch": "days", "loss": loss, "days_per_batch": n_days}


C3, C5, C8, C12 = (fixed(n) for n in (3, 5, 8, 12))
T3, T5, T8 = (fixed(n, with_valid=False) for n in (3, 5, 8))

REFERENCES = {
    "lgb158": trial("lightgbm", "alpha158"),
    "lgb158-p.3": trial("lightgbm", "alpha158", penalty=0.3),
    "lgb360": trial("lightgbm", "alpha360", rate=0.0421),
    "lgb158-day": trial("lightgbm", "alpha158:zscore"),
    "lgb B": trial("lightgbm", "alpha158:rank"),
    "lgb158-z": trial("lightgbm", "alpha158", label="zscore"),
    "ridge158": trial("ridge", "alpha158"),
    "ridge158-day": trial("ridge", "alpha158:zscore"),
    "ridge360": trial("ridge", "alpha360"),
}
# Features and their scaling.
FEATURES = {
    "gru": trial(),
    "gru day-z": trial(features=Z),
    "gru day-rank": trial(features="twenty:20:rank"),
    "gru 158": trial(features="158:20"),
    "gru 158 day-z": trial(features="158:20:zscore"),
    "gru 158 day-rank": trial(features=R),
    "gru 158 w10 day-z": trial(features="158:10:zscore"),
    "gru 158 w5 day-z": trial(features="158:5:zscore"),
    "gru a360": trial(features="alpha360:60"),
    "gru a360-20": trial(features="alpha360:20"),
    "gru a360 day-z": trial(features="alpha360:60:zscore"),
    "gru both day-z": trial(features="158+price:20:zscore"),
    "gru price60 day-z": trial(features="price:60:zscore"),
    "gru twenty+price day-z": trial(features="twenty+price:20:zscore"),
    "gru w60 day-z": trial(features="twenty:60:zscore"),
    "gru w10 day-z": trial(features="twenty:10:zscore"),
}
# Label, loss, learning rate, epochs, what stops, regularisation, size, weights.
TRAINING = {
    "gru day-z label-z": trial(features=Z, label="zscore"),
    "gru day-z label-robust": trial(features=Z, label="robust"),
    "gru day-z raw": trial(features=Z, label=None),
    "gru day-z mse days1": trial(features=Z, **days("mse")),
    "gru day-z mse days4": trial(features=Z, **days("mse", 4)),
    "gru day-z ic": trial(features=Z, **days("ic")),
    "gru day-z ic4": trial(features=Z, **days("ic", 4)),
    "gru day-z listnet": trial(features=Z, **days("listnet")),
    "gru day-z lr1e-4": trial(features=Z, lr=1e-4),
    "gru day-z lr3e-4": trial(features=Z, lr=3e-4),
    "gru day-z lr3e-3": trial(features=Z, lr=3e-3),
    "gru day-z cosine5": trial(features=Z, cosine=True, max_epochs=5),
    "gru day-z fixed3": trial(features=Z, fixed=True, max_epochs=3),
    "gru day-z fixed5": trial(features=Z, fixed=True, max_epochs=5),
    "gru day-z cos-fixed5": trial(features=Z, **C5),
    "gru day-z loss-monitor": trial(features=Z, monitor="valid_loss"),
    "gru day-z ic-monitor": trial(features=Z, monitor="valid_ic"),
    "gru day-z patience8": trial(features=Z, n_iter_no_change=8, max_epochs=20),
    "gru day-z dropout.2": trial(features=Z, dropout=0.2),
    "gru day-z dropout.5": trial(features=Z, dropout=0.5),
    "gru day-z wd1e-4": trial(features=Z, weight_decay=1e-4),
    "gru day-z wd1e-3": trial(features=Z, weight_decay=1e-3),
    "gru day-z wd1e-2": trial(features=Z, weight_decay=1e-2),
    "gru day-z h32": trial(features=Z, hidden_size=32),
    "gru day-z h128": trial(features=Z, hidden_size=128),
    "gru day-z layers1": trial(features=Z, num_layers=1),
    "gru day-z batch5000": trial(features=Z, batch_size=5000, lr=3e-3),
    "gru day-z decay250": trial(features=Z, half_life="250D"),
    "gru day-z decay120": trial(features=Z, half_life="120D"),
}
# All features ranked within the day, and a fixed number of epochs.
RANKED = {
    "gru B": trial(features=B),
    "gru B C3": trial(features=B, **C3),
    "gru B C5": trial(features=B, **C5),
    "gru B C8": trial(features=B, **C8),
    "gru B C12": trial(features=B, **C12),
    "gru B T5": trial(features=B, **T5),
    "gru B fixed3": trial(features=B, fixed=True, max_epochs=3),
    "gru B C5 lr3e-3": trial(features=B, **C5 | {"lr": 3e-3}),
    "gru B C5 lr3e-4": trial(features=B, **C5 | {"lr": 3e-4}),
    "gru B C5 dropout.3": trial(features=B, **C5 | {"dropout": 0.3}),
    "gru B C5 wd1e-3": trial(features=B, **C5 | {"weight_decay": 1e-3}),
    "gru B C5 wd1e-4": trial(features=B, **C5 | {"weight_decay": 1e-4}),
    "gru B C5 h128": trial(features=B, **C5 | {"hidden_size": 128}),
    "gru B C5 h32": trial(features=B, **C5 | {"hidden_size": 32}),
    "gru B C5 layers1": trial(features=B, **C5 | {"num_layers": 1}),
    "gru B C5 batch4000": trial(features=B, **C5 | {"batch_size": 4000, "lr": 3e-3}),
    "gru B C5 batch2000": trial(features=B, **C5 | {"batch_size": 2000}),
    "gru B C5 label-z": trial(features=B, label="zscore", **C5),
    "gru B C5 decay250": trial(features=B, **C5 | {"half_life": "250D"}),
    "gru B5 C5": trial(features="158+price:5:rank", **C5),
    "gru B10 C5": trial(features="158+price:10:rank", **C5),
    "gru B40 C5": trial(features="158+price:40:rank", **C5),
    "gru B ic4 C5": trial(features=B, **C5 | days("ic", 4)),
    "gru B ccc4 C5": trial(features=B, **C5 | days("ccc", 4)),
    "gru B mse4 C5": trial(features=B, **C5 | days("mse", 4)),
    "gru 158 rank C5": trial(features=R, **C5),
    "gru twenty+price rank C5": trial(features="twenty+price:20:rank", **C5),
    "gru R5 T5 P": trial(features="158:5:rank", **T5 | P),
    "gru R10z T5 P": trial(features="158:10:zscore", **T5 | P),
    "gru R10 T5 P wd1e-3": trial(features=R10, **T5 | P | {"weight_decay": 1e-3}),
}
# Prices, and weights that were trained on Alpha360 of other stocks and years.
PRICES = {
    "gru price60 rank C5": trial(features="price:60:rank", **C5),
    "gru price60 rank C8": trial(features="price:60:rank", **C8),
    "gru price20 rank T5 P": trial(features="price:20:rank", **T5 | P),
    "gru price20 rank T5 800": trial(features="price:20:rank", **T5, weight_decay=1e-4),
    "alstm price20 rank T5 800": trial("alstm", "price:20:rank", **T5, weight_decay=1e-4),
    "gru a360 rank C5": trial(features="alpha360:60:rank", **C5),
    "gru a360 C5": trial(features="alpha360:60", **C5),
    "gru a360 T5 P": trial(features="alpha360:60", **T5 | P),
    "alstm a360 T5 P": trial("alstm", "alpha360:60", **T5 | P),
    "alstm a360 C8": trial("alstm", "alpha360:60", **C8),
    "gru a360-20 T5 P": trial(features="alpha360:20", **T5 | P),
    "gru a360-20 T5 800": trial(features="alpha360:20", **T5, weight_decay=1e-4),
    "gru a360-20 rank T5 800": trial(features="alpha360:20:rank", **T5, weight_decay=1e-4),
    "alstm a360-20 T5 800": trial("alstm", "alpha360:20", **T5, weight_decay=1e-4),
    "gru a360 pretrained": trial(features="alpha360:60", pretrained=QLIB_GRU),
    "gru a360 pretrained lr1e-4": trial(features="alpha360:60", pretrained=QLIB_GRU, lr=1e-4),
    "hist a360 pretrained": trial("hist", "alpha360:60", pretrained=QLIB_LSTM, lr=1e-4),
    "gru twenty rank T5 P": trial(features="twenty:20:rank", **T5 | P),
    "gru twenty T5 P": trial(features="twenty:20", **T5 | P),
}
# All models.
OTHERS = ("lstm", "alstm", "transformer", "hist", "sfm")
MODELS = {
    **{model: trial(model) for model in OTHERS},
    **{f"{model} day-z": trial(model, Z) for model in OTHERS},
    **{f"{model} 158 day-z": trial(model, "158:20:zscore") for model in OTHERS[:-1]},
    **{f"{model} a360": trial(model, "alpha360:60") for model in ("lstm", "alstm", "hist")},
    **{f"{model} B": trial(model, B) for model in OTHERS if model != "hist"},
    **{f"{model} B C5": trial(model, B, **C5) for model in OTHERS},
    **{f"{model} B T5": trial(model, B, **T5) for model in OTHERS[:-1]},
    **{f"{model} B C8": trial(model, B, **C8) for model in ("lstm", "alstm", "sfm")},
    **{f"{model} B C5 lr3e-3": trial(model, B, **C5 | {"lr": 3e-3}) for model in OTHERS[:2]},
    "transformer B C5 lr3e-4": trial("transformer", B, **C5 | {"lr": 3e-4}),
}
for each in ("gru", *(model for model in OTHERS if model != "hist")):
    MODELS |= {
        f"{each} R T5 P": trial(each, R, **T5 | P),
        f"{each} R10 T5 P": trial(each, R10, **T5 | P),
        f"{each} R10 T8 P": trial(each, R10, **T8 | P),
        f"{each} R10 T5 800": trial(each, R10, **T5, weight_decay=1e-4),
    }
for each in ("gru", "alstm", "lstm"):
    MODELS |= {
        f"{each} R10 T5 P dropout.3": trial(each, R10, **T5 | P | {"dropout": 0.3}),
        f"{each} R10 T5 P h32": trial(each, R10, **T5 | P | {"hidden_size": 32}),
    }
MODELS |= {
    "hist R T5": trial("hist", R, **T5),
    "hist R10 T5": trial("hist", R10, **T5),
    "hist R10 T5 lr3e-4": trial("hist", R10, **T5 | {"lr": 3e-4}),
    "hist R10 T5 wd1e-4": trial("hist", R10, **T5, weight_decay=1e-4),
    "hist R10 T5 d4": trial("hist", R10, **T5, weight_decay=1e-4, days_per_batch=4),
    "hist R10 T8 d4": trial("hist", R10, **T8, weight_decay=1e-4, days_per_batch=4),
    "transformer R10 T5 lr3e-4": trial("transformer", R10, **T5 | P | {"lr": 3e-4}),
    "transformer R10 T5 wd1e-3": trial("transformer", R10, **T5 | P | {"weight_decay": 1e-3}),
    "transformer R10 T5 ff128": trial("transformer", R10, **T5 | P, dim_feedforward=128),
    "sfm R10 T3 P": trial("sfm", R10, **T3 | P),
    "sfm R10 T5 lr3e-4": trial("sfm", R10, **T5 | P | {"lr": 3e-4}),
    "sfm R10 T5 wd1e-3": trial("sfm", R10, **T5 | P | {"weight_decay": 1e-3}),
    "sfm R10 T5 drop": trial("sfm", R10, **T5 | P, dropout_W=0.3, dropout_U=0.3),
    "sfm R10 T5 h16": trial("sfm", R10, **T5 | P, hidden_size=16, output_dim=16),
}
TRIALS = {**REFERENCES, **FEATURES, **TRAINING, **RANKED, **PRICES, **MODELS}

SIX = ("gru", *OTHERS)
# Means of signals, of all their seeds.
MEANS = {
    "all six, R10 T5 800": [
        "hist R10 T5 wd1e-4" if model == "hist" else f"{model} R10 T5 800" for model in SIX
    ],
    "factors and prices: gru R10 T5 800, a360-20 T5 800": [
        "gru R10 T5 800",
        "gru a360-20 T5 800",
    ],
    "factors and prices: gru R10 T5 800, a360 T5 P": ["gru R10 T5 800", "gru a360 T5 P"],
    "factors and prices: gru R10 T5 800, alstm a360 T5 P": ["gru R10 T5 800", "alstm a360 T5 P"],
    "factors and prices: gru B C5, price60 rank C5": ["gru B C5", "gru price60 rank C5"],
    "factors and prices: gru B C5, a360 C5": ["gru B C5", "gru a360 C5"],
    "gru R10 T5 800 and lgb158": ["gru R10 T5 800", "lgb158"],
    "three LightGBMs: lgb158, lgb360, lgb B": ["lgb158", "lgb360", "lgb B"],
}
