"""qlib's models beside skattn's: same parameters, same arrays, each in its own code.

qlib's modules, loops and ``fit`` run as they are, with as little as possible put in their way:

- a dataset is a stand-in whose ``prepare`` gives the frames of the arrays (``Frames``);
- the frames' columns give copies as ``values``: HIST writes into them, which pandas 3 refuses;
- HIST asks ``torch.get_device`` for a number, which on CPU names no device;
- SFM evaluates with gradients on, and its graphs fill the memory: off they go;
- GRU logs what ``fit`` found with qlib's recorder, of which there is none.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from skattn import make_model

# Module and class in qlib.contrib.model, and the attribute that holds the torch module.
QLIB = {
    "alstm": ("pytorch_alstm", "ALSTM", "ALSTM_model"),
    "gats": ("pytorch_gats", "GATs", "GAT_model"),
    "gru": ("pytorch_gru", "GRU", "gru_model"),
    "hist": ("pytorch_hist", "HIST", "HIST_model"),
    "localformer": ("pytorch_localformer", "LocalformerModel", "model"),
    "lstm": ("pytorch_lstm", "LSTM", "lstm_model"),
    "sfm": ("pytorch_sfm", "SFM", "sfm_model"),
    "transformer": ("pytorch_transformer", "TransformerModel", "model"),
}
# Those that plugins bring, and those that look across the stocks of a day.
FROM_PLUGINS = ("gats", "localformer")
BY_DAY = ("gats", "hist")
MODELS = tuple(name for name in QLIB if name not in FROM_PLUGINS)

# The same under both names, where a model has it.
SAME = ("hidden_size", "num_layers", "dropout", "d_model", "nhead", "output_dim", "freq_dim")


def make_regressor(name: str, concepts: pd.DataFrame | None = None, **parameters: Any) -> Any:
    """Make skattn's regressor with its defaults."""
    if name == "hist":
        parameters["concepts"] = concepts
    return make_model(name, **parameters)


def make_qlib(
    name: str,
    regressor: Any,
    *,
    seed: int,
    folder: Path,
    device: str = "cpu",
    n_features: int = 6,
) -> Any:
    """Make qlib's model with a regressor's parameters; its files are put into the folder."""
    import_quietly()
    home, class_name, _ = QLIB[name]
    module = import_module(f"qlib.contrib.model.{home}")
    ours = regressor.get_params()
    parameters = {key: ours[key] for key in SAME if key in ours}
    parameters |= {
        "d_feat": n_features,
        "n_epochs": ours["max_epochs"],
        "lr": ours["lr"],
        "batch_size": ours["batch_size"],
        "early_stop": ours["n_iter_no_change"],
        "optimizer": ours["optimizer"],
        "GPU": 0 if device.startswith("cuda") else -1,
        "seed": seed,
    }
    if name in ("localformer", "transformer"):
        parameters["reg"] = ours["weight_decay"]
    if name == "hist":
        if device == "cpu":
            module.torch = _TorchOnCpu()
        parameters |= write_concepts(ours["concepts"], folder)
        parameters["metric"] = "ic"
    if name in BY_DAY:
        parameters["base_model"] = ours["rnn"].upper()
    if name == "gru":
        module.R = _NoRecorder()
    model = getattr(module, class_name)(**parameters)
    if name == "sfm":
        model.test_epoch = torch.no_grad()(model.test_epoch)
    return model


def write_concepts(concepts: pd.DataFrame, folder: Path) -> dict[str, str]:
    """Write the two files that qlib's HIST reads; give the parameters that name them."""
    paths = {"stock2concept": folder / "stock2concept.npy", "stock_index": folder / "index.npy"}
    np.save(paths["stock2concept"], concepts.to_numpy(dtype=np.float32))
    numbers: Any = {stock: number for number, stock in enumerate(concepts.index)}
    np.save(paths["stock_index"], numbers, allow_pickle=True)
    return {key: str(path) for key, path in paths.items()}


def torch_module(name: str, model: Any) -> torch.nn.Module:
    """Get the torch module of a model of qlib's."""
    return getattr(model, QLIB[name][2])


def weights_of(name: str, model: Any) -> dict[str, torch.Tensor]:
    """Copy the weights of a model of qlib's."""
    state = torch_module(name, model).state_dict()
    return {key: value.detach().cpu().clone() for key, value in state.items()}


def train_epoch(name: str, model: Any, data: pd.DataFrame) -> None:
    """Train an epoch in qlib's own loop."""
    if name != "hist":
        model.train_epoch(data["feature"], data["label"])
        return
    numbers = np.load(model.stock_index, allow_pickle=True).item()
    rows = data.index.get_level_values("instrument").map(numbers)
    model.train_epoch(data["feature"], data["label"], _Rows(rows.to_numpy()))


def rows_trained(name: str, n_rows: int, batch_size: int) -> int:
    """Rows of an epoch of qlib's, which leaves out the last batch where it is not full."""
    return n_rows if name in BY_DAY else n_rows - n_rows % batch_size


def predict(name: str, model: Any, dataset: Frames, segment: str = "test") -> np.ndarray:
    """Predict with qlib's own loop."""
    model.fitted = True
    if name not in BY_DAY:
        # Of a last batch of one row qlib's modules squeeze away the only axis.
        while len(dataset.features[segment]) % model.batch_size == 1:
            model.batch_size += 1
    return model.predict(dataset, segment).to_numpy()


class Frames:
    """What qlib's models ask of a dataset: frames of flat features and labels by segment.

    Parameters
    ----------
    segments : dict
        Windows (N, T, F), labels (N,) and index (datetime, instrument) by name, in order of time.
    """

    def __init__(self, segments: dict[str, tuple[np.ndarray, np.ndarray, pd.MultiIndex]]) -> None:
        self.segments = segments
        self.features: dict[str, pd.DataFrame] = {}
        self.both: dict[str, pd.DataFrame] = {}
        for name, (X, y, index) in segments.items():
            flat = np.asarray(X, dtype=np.float32).transpose(0, 2, 1).reshape(len(X), -1)
            features = [f"F{number}" for number in range(flat.shape[1])]
            keys = [("feature", feature) for feature in features] + [("label", "LABEL0")]
            table = np.column_stack([flat, np.asarray(y, dtype=np.float32)])
            columns = pd.MultiIndex.from_tuples(keys)
            self.both[name] = _Table(table, index=index, columns=columns)
            self.features[name] = _Table(flat, index=index, columns=features)

    def prepare(self, segments: str | Sequence[str], col_set: Any, data_key: Any = None) -> Any:
        """Give the frames of some segments, as DatasetH does."""
        if not isinstance(segments, str):
            return [self.prepare(segment, col_set, data_key) for segment in segments]
        held = self.features if col_set == "feature" else self.both
        return held[segments].copy(deep=False)


class _Rows(pd.Series):
    """A column whose values may be written to."""

    @property
    def _constructor(self) -> type:
        return _Rows

    @property
    def values(self) -> Any:
        return super().values.copy()


class _Table(pd.DataFrame):
    """A table of such columns."""

    @property
    def _constructor(self) -> type:
        return _Table

    @property
    def _constructor_sliced(self) -> type:
        return _Rows


class _TorchOnCpu:
    """torch, whose get_device gives a device."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def get_device(x: torch.Tensor) -> torch.device:
        return x.device


class _NoRecorder:
    """qlib's recorder, which records nothing."""

    def get_recorder(self) -> _NoRecorder:
        return self

    def log_metrics(self, **metrics: Any) -> None:
        pass


def import_quietly() -> None:
    """Import qlib without its log."""
    logging.disable(logging.INFO)
    # HIST and the loops of prediction make tensors of slices of the frame.
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
    # It prints which optional models cannot be had.
    with contextlib.redirect_stdout(io.StringIO()):
        import_module("qlib.contrib.model")


def read_concepts(path: Path) -> pd.DataFrame:
    """Read the sectors and sub-industries as concepts, instrument by concept."""
    table = pd.read_csv(path, index_col="instrument")
    return pd.get_dummies(table[["sector", "sub_industry"]], dtype=np.float32)


def temporary_folder() -> tempfile.TemporaryDirectory:
    """Make a folder for qlib's files."""
    return tempfile.TemporaryDirectory(prefix="qlib-")
