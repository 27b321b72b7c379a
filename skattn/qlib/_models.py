"""Translation of qlib's models and their settings to skattn's."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from skattn.parameters import InvalidParameterError, parameters_of
from skattn.plugins import get_model
from skattn.qlib._settings import (
    Check,
    Section,
    number,
    one_of,
    or_none,
    text,
    whole,
)
from skattn.qlib._stock2concept import read_stock2concept


class Kwarg(NamedTuple):
    """A qlib setting: skattn's parameter, the check of its value, and qlib's default."""

    parameter: str
    check: Check
    default: Any


class Model(NamedTuple):
    """One of qlib's model classes.

    ``series`` is True if the model reads the windows of a TSDatasetH, and False if the model reads
    flat columns. ``ignored`` maps settings that qlib accepts but does not use to the reason.
    """

    name: str
    skattn: str
    kwargs: dict[str, Kwarg]
    d_feat: int = 6
    series: bool = False
    ignored: dict[str, str] = {}


def _device(value: Any) -> str:
    """Choose a device as qlib does: below 0 the CPU, else the GPU with this number if present."""
    import torch

    gpu = whole(value)
    if gpu < 0:
        return "cpu"
    return f"cuda:{gpu}" if 0 < gpu < torch.cuda.device_count() else "auto"


METRIC = Kwarg("monitor", one_of({"": "valid_loss", "loss": "valid_loss"}), "")
TRAINING = {
    "n_epochs": Kwarg("max_epochs", whole, 200),
    "lr": Kwarg("lr", number, 0.001),
    "early_stop": Kwarg("n_iter_no_change", whole, 20),
    "batch_size": Kwarg("batch_size", whole, 2000),
    "loss": Kwarg("loss", one_of({"mse": "mse"}), "mse"),
    "metric": METRIC,
    "optimizer": Kwarg("optimizer", one_of({"adam": "adam", "gd": "sgd"}), "adam"),
    "GPU": Kwarg("device", _device, 0),
    "seed": Kwarg("random_state", or_none(whole), None),
}
RECURRENT = {
    **TRAINING,
    "hidden_size": Kwarg("hidden_size", whole, 64),
    "num_layers": Kwarg("num_layers", whole, 2),
    "dropout": Kwarg("dropout", number, 0.0),
}
SERIES_METRIC = METRIC._replace(
    check=one_of({"": "valid_loss", "loss": "valid_loss", "mse": "valid_loss"})
)
TRANSFORMER = {
    **TRAINING,
    "n_epochs": Kwarg("max_epochs", whole, 100),
    "lr": Kwarg("lr", number, 0.0001),
    "early_stop": Kwarg("n_iter_no_change", whole, 5),
    "batch_size": Kwarg("batch_size", whole, 2048),
    "reg": Kwarg("weight_decay", number, 0.001),
    "d_model": Kwarg("d_model", whole, 64),
    "nhead": Kwarg("nhead", whole, 2),
    "num_layers": Kwarg("num_layers", whole, 2),
    "dropout": Kwarg("dropout", number, 0.0),
}
TRANSFORMER_SERIES = {**TRANSFORMER, "batch_size": Kwarg("batch_size", whole, 8192)}
SFM = {
    **TRAINING,
    "hidden_size": Kwarg("hidden_size", whole, 64),
    "output_dim": Kwarg("output_dim", whole, 1),
    "freq_dim": Kwarg("freq_dim", whole, 10),
    "optimizer": Kwarg("optimizer", one_of({"adam": "adam", "gd": "sgd"}), "gd"),
}
HIST = {
    **{key: kwarg for key, kwarg in RECURRENT.items() if key != "batch_size"},
    "metric": METRIC._replace(
        check=one_of({"": "valid_loss", "loss": "valid_loss", "ic": "valid_ic"})
    ),
    "base_model": Kwarg("rnn", one_of({"lstm": "lstm", "gru": "gru"}), "GRU"),
}

WORKERS = {"n_jobs": "processes that load qlib's batches; skattn needs no such processes"}
RNN_TYPE = {"rnn_type": "qlib's ALSTM ignores rnn_type and trains a GRU whatever it says"}
UNUSED = "qlib's module accepts the setting but does not use it"

HOME = "qlib.contrib.model.pytorch_"
MODELS = {
    HOME + "alstm": Model("ALSTM", "alstm", RECURRENT, ignored=RNN_TYPE),
    HOME + "alstm_ts": Model(
        "ALSTM",
        "alstm",
        {**RECURRENT, "metric": SERIES_METRIC},
        series=True,
        ignored={**WORKERS, **RNN_TYPE},
    ),
    HOME + "gru": Model("GRU", "gru", RECURRENT),
    HOME + "gru_ts": Model("GRU", "gru", RECURRENT, series=True, ignored=WORKERS),
    HOME + "lstm": Model("LSTM", "lstm", RECURRENT),
    HOME + "lstm_ts": Model("LSTM", "lstm", RECURRENT, series=True, ignored=WORKERS),
    HOME + "transformer": Model(
        "TransformerModel", "transformer", TRANSFORMER, d_feat=20, ignored=WORKERS
    ),
    HOME + "transformer_ts": Model(
        "TransformerModel",
        "transformer",
        TRANSFORMER_SERIES,
        d_feat=20,
        series=True,
        ignored=WORKERS,
    ),
    HOME + "sfm": Model(
        "SFM", "sfm", SFM, ignored=dict.fromkeys(("dropout_W", "dropout_U", "eval_steps"), UNUSED)
    ),
    HOME + "hist": Model("HIST", "hist", HIST),
}

# Fixed behaviour of qlib that has no setting there.
FIXED: dict[str, dict[str, Any]] = {
    "alstm": {"rnn": "gru"},
    "transformer": {"dim_feedforward": 2048},
    "sfm": {"dropout_W": 0.0, "dropout_U": 0.0},
    "hist": {"days_per_batch": 1},
}


def make_regressor(
    model: Model, kwargs: Section, folder: Path | None, stopping: dict[str, Any]
) -> tuple[Any, int]:
    """Make the unfitted regressor, and return d_feat, the number of features per step, with it."""
    regressor_class: Any = get_model(model.skattn)
    parameters = {**FIXED.get(model.skattn, {}), **stopping, "clip_value": 3.0}
    for key, kwarg in model.kwargs.items():
        value = kwargs.read(key, kwarg.check, kwarg.default, into=kwarg.parameter)
        try:
            parameters_of(regressor_class)[kwarg.parameter].normalise(kwarg.parameter, value)
        except InvalidParameterError as error:
            raise ValueError(f"{kwargs.at(key)}: {error}") from None
        parameters[kwarg.parameter] = value
    if model.skattn == "hist":
        parameters.update(_read_hist_files(kwargs, folder))
    d_feat = kwargs.read("d_feat", whole, model.d_feat, into="features per step")
    for key, why in model.ignored.items():
        if key in kwargs:
            kwargs.skip(key, why)
    kwargs.skip_rest(f"qlib's {model.name} has no such setting and ignores it")
    return regressor_class(**parameters), d_feat


def find_file(value: Any, folder: Path | None) -> str:
    """Check for a file that exists, in the working directory or in the folder."""
    # Unlike a Path, os.path takes a name that no file can have for a file that does not exist.
    path = Path(os.path.expanduser(text(value)))
    for found in (path, path if folder is None else folder / path):
        if os.path.isfile(found):
            return str(found)
    where = f" or beside the workflow in {folder}" if folder else ""
    raise ValueError(f"a file that exists (in the working directory{where})")


def _read_hist_files(kwargs: Section, folder: Path | None) -> dict[str, Any]:
    """Read concepts and find pretrained weights, from the files that the settings name."""
    check = or_none(partial(find_file, folder=folder))
    found: dict[str, Any] = {"pretrained": kwargs.read("model_path", check, None, "pretrained")}
    both = [
        kwargs.read(key, check, None, into="concepts") for key in ("stock2concept", "stock_index")
    ]
    if both[0] is not None and both[1] is not None:
        found["concepts"] = read_stock2concept(*both)
    elif both != [None, None]:
        raise ValueError(
            f"{kwargs.at('stock2concept')} and {kwargs.at('stock_index')} must be given together; "
            f"only one is given."
        )
    return found
