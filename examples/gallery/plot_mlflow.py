"""
MLflow: parameters, epochs and the model
========================================

A run in MLflow holds the parameters of a pipeline, the metrics of each epoch, the score of the test
days and the model. skorch's ``MlflowLogger`` writes the epochs: skattn takes skorch's callbacks as
``callbacks=``. Everything stays in a folder; no server runs.
"""

import logging
import tempfile

import matplotlib.pyplot as plt
import mlflow  # pip install "skattn[gallery]"
import numpy as np
from sklearn.pipeline import make_pipeline
from skorch.callbacks import MlflowLogger

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import signal_report
from skattn.model_selection import DateSplit
from skattn.preprocessing import Alpha360, RobustZScore

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)

market = make_market(40, 350, momentum=0.1, reversal=0.1, random_state=0)
ohlcv, label = market.ohlcv, skattn.make_label(market.ohlcv)
days = ohlcv.index.unique("datetime")
split = DateSplit(train=(days[0], days[-101]), test=(days[-100], days[-1]))
((train, test),) = split.split(ohlcv, label)

# %%
# A store in a folder
# -------------------
# A file of SQLite holds the runs, and a folder the models. Yours is not a temporary one:
# ``mlflow ui --backend-store-uri sqlite:///mlflow.db`` (of the full ``mlflow``) shows it.

folder = tempfile.TemporaryDirectory()
mlflow.set_tracking_uri(f"sqlite:///{folder.name}/mlflow.db")
mlflow.create_experiment("gallery", artifact_location=f"file://{folder.name}/models")
experiment = mlflow.set_experiment("gallery")

# %%
# Two runs
# --------
# ``create_artifact=False`` keeps skorch from writing pickled weights, and
# ``terminate_after_train=False`` leaves the run open for the score and the model.
#
# The model is written as a pickle, because MLflow's default, skops, cannot write pandas tables and
# torch modules. MLflow would warn: **who loads a pickle runs whatever code its author put there**.
# :ref:`sphx_glr_gallery_plot_save_and_serve.py` shows files that cannot do that.

pipelines, models, runs = {}, {}, {}
for name in ("gru", "alstm"):
    with mlflow.start_run(run_name=name) as run:
        epochs = MlflowLogger(create_artifact=False, terminate_after_train=False)
        model = skattn.make_model(
            name,
            hidden_size=16,
            num_layers=1,
            lr=5e-3,
            max_epochs=8,
            monitor="valid_rank_ic",
            callbacks=[epochs],
            random_state=0,
        )
        pipeline = make_pipeline(
            Alpha360(["close"], length=20), RobustZScore(), CrossSectionalTarget(model)
        ).fit(ohlcv.iloc[train], label.iloc[train])
        params = model.get_params()
        mlflow.log_params({key: value for key, value in params.items() if key != "callbacks"})
        report = signal_report(label.iloc[test], pipeline.predict(ohlcv.iloc[test]))
        mlflow.log_metrics({"test_ic": report["ic"], "test_rank_ic": report["rank_ic"]})
        logged = mlflow.sklearn.log_model(
            pipeline,
            name="model",
            serialization_format="cloudpickle",
            pip_requirements=[f"skattn=={skattn.__version__}"],
        )
    pipelines[name], models[name], runs[name] = pipeline, logged.model_uri, run.info.run_id

# %%
# What the runs hold
# ------------------

client = mlflow.MlflowClient()
found = mlflow.search_runs(order_by=["start_time"]).set_index("tags.mlflow.runName")
print(found[["params.lr", "params.hidden_size", "metrics.test_rank_ic"]].to_string())

# %%
# The model of a run, loaded again, predicts the same bits.

for name, uri in models.items():
    loaded = mlflow.sklearn.load_model(uri)
    same = np.array_equal(
        loaded.predict(ohlcv.iloc[test]), pipelines[name].predict(ohlcv.iloc[test])
    )
    print(f"{name}: equal predictions: {same}")

# %%
# The metrics by epoch
# --------------------
# Read from the store. The best epoch is the one that was kept. It was chosen on the held-out days,
# so that its rank IC there flatters it; ``test_rank_ic`` above is of days that chose nothing.

_, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (name, run_id), style in zip(runs.items(), ("-", "--"), strict=True):
    for ax, key in zip(axes, ("train_loss", "valid_rank_ic"), strict=True):
        history = client.get_metric_history(run_id, key)
        ax.plot(
            [metric.step for metric in history],
            [metric.value for metric in history],
            f"k{style}o",
            markersize=4,
            label=name,
        )
axes[0].set(title="Loss of the training days", xlabel="epoch")
axes[1].set(title="Rank IC of the held-out days", xlabel="epoch")
axes[0].legend()
plt.show()
folder.cleanup()
