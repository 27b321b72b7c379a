"""
Save a model, and serve it
==========================

Four ways to keep a fitted pipeline, from the shortest to the one that needs no skattn where the
predictions are made: joblib, skops, safetensors and ONNX. Each is loaded again here, and must
predict what the fitted pipeline predicts.
"""

import json
import logging
import tempfile
import warnings
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime  # pip install "skattn[gallery]"
import pandas as pd
import skops.io  # pip install "skattn[gallery]"
import torch
from safetensors.torch import load_file, save_file
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.preprocessing import Alpha360, RobustZScore

logging.getLogger("torch.onnx").setLevel(logging.ERROR)
logging.getLogger("onnxscript").setLevel(logging.ERROR)

market = make_market(40, 350, momentum=0.1, reversal=0.1, random_state=0)
ohlcv, label = market.ohlcv, skattn.make_label(market.ohlcv)
days = ohlcv.index.get_level_values("datetime")
past, today = ohlcv[days < days.max()], ohlcv[days == days.max()]

gru = skattn.make_model("gru", hidden_size=16, num_layers=1, lr=5e-3, max_epochs=4, random_state=0)
pipeline = make_pipeline(Alpha360(["close"], length=20), RobustZScore(), CrossSectionalTarget(gru))
pipeline.fit(past, label.loc[past.index])
expected = pipeline.predict(today)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name)

# %%
# joblib: everything, for yourself
# --------------------------------
# One file holds the whole pipeline and the rows that it remembers, so that the next day is
# predicted from its rows alone. **Loading the file runs whatever code its author put there**: load
# none that you did not write. It also asks for the versions of skattn, torch and scikit-learn that
# wrote it.

joblib.dump(pipeline, path / "pipeline.joblib")
loaded = joblib.load(path / "pipeline.joblib")
print("joblib, largest difference:", np.abs(loaded.predict(today) - expected).max())

# %%
# skops: what has no tables and no tensors
# ----------------------------------------
# skops runs no code of the file, and loads no type that you do not name. It writes the scaler. It
# cannot write the rows that ``Alpha360`` remembers, which are a pandas table, nor a torch module.

windows, scale, target = (step for _, step in pipeline.steps)
skops.io.dump(scale, path / "scale.skops")
trusted = skops.io.get_untrusted_types(file=path / "scale.skops")
print("types to trust:", trusted)
for name, step in pipeline.steps:
    try:
        skops.io.dumps(step)
        print(f"{name}: written")
    except TypeError:
        print(f"{name}: refused")

# %%
# safetensors: weights without code
# ---------------------------------
# The weights are a file of tensors, and parameters are text. Together they make the module again,
# with ``build_module``. What is lost is the rows that were remembered: the one who predicts passes
# as many days as a window is long.

save_file(target.regressor_.module_.state_dict(), path / "weights.safetensors")
kept = {name: gru.get_params()[name] for name in ("hidden_size", "num_layers")}
(path / "parameters.json").write_text(json.dumps({"model": "gru", "length": 20, **kept}))


def load_folder(path):
    """Make the steps before the module, and the module, from files that cannot run code."""
    parameters = json.loads((path / "parameters.json").read_text())
    name, length = parameters.pop("model"), parameters.pop("length")
    scale = skops.io.load(path / "scale.skops", trusted=trusted)
    module = skattn.make_model(name, **parameters).build_module(n_steps=length, n_features=1)
    module.load_state_dict(load_file(path / "weights.safetensors"))
    before = make_pipeline(Alpha360(["close"], length=length), scale)
    return before, module.eval()


before, module = load_folder(path)
recent = ohlcv[days >= days.unique()[-20]]
before[0].fit(recent)  # learns nothing, and remembers
x = np.asarray(before.transform(today), dtype=np.float32)
with torch.inference_mode():
    served = module(torch.tensor(x)).numpy()
print("safetensors, largest difference:", np.abs(served - expected).max())

# %%
# To train on from the same file, a regressor takes it as ``pretrained=``. ``pretrained_report_``
# lists what fitted by name and shape. A checkpoint of qlib is read in the same way.

tuned = skattn.make_model(
    "gru", **kept, pretrained=path / "weights.safetensors", max_epochs=1, lr=1e-4, random_state=0
)
tuned.fit(pipeline[:-1].transform(past), label.loc[past.index])
print({part: len(names) for part, names in tuned.pretrained_report_.items() if part != "prefix"})

# %%
# ONNX: no skattn, no torch
# -------------------------
# ``torch.onnx.export`` takes ``module_``, and onnxruntime computes it. The number of rows is left
# open. Rounding differs from torch by a few units in the last place. The steps before the module
# are not in the file: who serves it makes the windows.


def export(module, inputs, file):
    """Export a module to ONNX, with any number of rows (of days for HIST)."""
    rows = torch.export.Dim("rows")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about its own code
        torch.onnx.export(
            module,
            kwargs=inputs,
            f=file,
            input_names=[*inputs],
            dynamic_shapes={name: {0: rows} for name in inputs},
            dynamo=True,
            verbose=False,
        )


def run(file, inputs):
    """Compute what an ONNX file predicts."""
    session = onnxruntime.InferenceSession(file)
    (predicted,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return predicted


export(target.regressor_.module_.eval(), {"x": torch.tensor(x)[:5]}, path / "gru.onnx")
onnx_served = run(path / "gru.onnx", {"x": torch.tensor(x)})
print("ONNX, largest difference:", np.abs(onnx_served - expected).max())

# %%
# Which models can be exported
# ----------------------------
# All six that are built in. The table holds the largest difference to torch, for other rows than
# were exported, and the size of the file. HIST takes whole days, and asks for ``present`` and
# ``concepts`` beside the windows.
#
# What does not work:
#
# - torch's old exporter (``dynamo=False``, deprecated) takes GRU, LSTM and ALSTM. It fails for SFM,
#   HIST and a Transformer of the default size.
# - Another length of windows than was exported: SFM's steps, for one, are written out one by one,
#   and so its export takes longest.
# - Attention maps: ``attend`` is not in the file.


def inputs_of(name, n_rows):
    """Draw inputs of a module: windows, or for HIST days of windows."""
    generator = torch.Generator().manual_seed(n_rows)
    if name != "hist":
        return {"x": torch.randn(n_rows, 6, 3, generator=generator)}
    return {
        "x": torch.randn(n_rows, 6, 6, 3, generator=generator),
        "present": torch.ones(n_rows, 6, dtype=torch.bool),
        "concepts": torch.eye(2)[[0, 0, 0, 1, 1, 1]].expand(n_rows, -1, -1).contiguous(),
    }


small = {
    "gru": {"hidden_size": 16, "num_layers": 1},
    "lstm": {"hidden_size": 16, "num_layers": 1},
    "alstm": {"hidden_size": 16, "num_layers": 1},
    "transformer": {"d_model": 16, "num_layers": 1, "dim_feedforward": 32},
    "sfm": {"hidden_size": 16, "freq_dim": 5},
    "hist": {"hidden_size": 16, "num_layers": 1},
}
rows = {}
for name, parameters in small.items():
    module = skattn.make_model(name, **parameters).build_module(n_steps=6, n_features=3).eval()
    file = path / f"{name}.onnx"
    export(module, inputs_of(name, 5), file)
    inputs = inputs_of(name, 9)
    with torch.inference_mode():
        difference = np.abs(run(file, inputs) - module(**inputs).numpy()).max()
    rows[name] = {"difference": f"{difference:.0e}", "kilobytes": file.stat().st_size // 1000}
print(pd.DataFrame(rows).T.to_string())

# %%
# The same signal, four times
# ---------------------------

ways = {"joblib": loaded.predict(today), "safetensors": served, "ONNX": onnx_served}
_, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, predicted), marker in zip(ways.items(), "ox+", strict=True):
    ax.plot(expected, predicted, marker, color="black", fillstyle="none", markersize=8, label=name)
ax.axline((0, 0), slope=1, color="0.7", zorder=0)
ax.set(
    xlabel="prediction of the fitted pipeline",
    ylabel="prediction of what was loaded",
    title="40 stocks of one day, saved and loaded",
)
ax.legend()
plt.show()
folder.cleanup()
