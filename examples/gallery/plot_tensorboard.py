"""
TensorBoard
===========

skorch's ``TensorBoard`` writes what a fit records at each epoch. skattn takes skorch's callbacks as
``callbacks=``, so that every fit writes a run of its own: ``tensorboard --logdir runs`` shows them.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.pipeline import make_pipeline
from skorch.callbacks import TensorBoard
from tensorboard.backend.event_processing import event_accumulator  # pip install "skattn[gallery]"
from torch.utils.tensorboard import SummaryWriter

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.preprocessing import Alpha360, RobustZScore

market = make_market(40, 350, momentum=0.1, reversal=0.1, random_state=0)
ohlcv, label = market.ohlcv, skattn.make_label(market.ohlcv)

# %%
# A writer that is opened late
# ----------------------------
# skorch's callback takes an open ``SummaryWriter``. ``CrossSectionalTarget``, searches and
# cross-validations clone their models, and an open file cannot be copied. The callback is therefore
# told a folder, and opens the writer when training begins.


class TensorBoardIn(TensorBoard):
    """TensorBoard whose ``writer`` is a folder until training begins."""

    def on_train_begin(self, net, **kwargs):
        """Open the writer."""
        self.folder_, self.writer = self.writer, SummaryWriter(self.writer)

    def on_train_end(self, net, **kwargs):
        """Close the writer."""
        super().on_train_end(net, **kwargs)
        self.writer = self.folder_


# %%
# Three learning rates, three runs
# --------------------------------
# skattn records the loss of the training days, and the loss (or with ``monitor="valid_rank_ic"``
# the rank IC, too) of the days that are held out. ``key_mapper=str`` keeps skattn's names: skorch
# would file the rank IC under losses. The folder here is a temporary one; yours is ``runs``.

folder = tempfile.TemporaryDirectory()
for lr in (1e-4, 1e-3, 1e-2):
    model = skattn.make_model(
        "alstm",
        hidden_size=16,
        num_layers=1,
        lr=lr,
        max_epochs=10,
        n_iter_no_change=10,
        monitor="valid_rank_ic",
        callbacks=[TensorBoardIn(f"{folder.name}/lr={lr:g}", key_mapper=str)],
        random_state=0,
    )
    pipeline = make_pipeline(
        Alpha360(["close"], length=20), RobustZScore(), CrossSectionalTarget(model)
    )
    pipeline.fit(ohlcv, label)


# %%
# The files, read back
# --------------------
# What TensorBoard's pages would show. The smallest rate is still on its way after ten epochs. The
# loss stays near 1, which is the loss of a prediction of 0 for labels of variance 1: where so
# little can be predicted, the rank IC is easier to read, and jumps from epoch to epoch.


def read_run(run):
    """Read the values by epoch of the event files in a folder."""
    events = event_accumulator.EventAccumulator(str(run)).Reload()
    return pd.DataFrame(
        {
            tag: {event.step: event.value for event in events.Scalars(tag)}
            for tag in events.Tags()["scalars"]
        }
    )


runs = {run.name: read_run(run) for run in sorted(Path(folder.name).iterdir())}
print("recorded:", *next(iter(runs.values())).columns)

_, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (name, run), style in zip(runs.items(), (":", "--", "-"), strict=True):
    axes[0].plot(run["train_loss"], f"k{style}", label=name)
    axes[1].plot(run["valid_rank_ic"], f"k{style}", label=name)
axes[0].set(title="Loss of the training days", xlabel="epoch")
axes[1].set(title="Rank IC of the held-out days", xlabel="epoch")
axes[0].legend()
plt.show()
folder.cleanup()
