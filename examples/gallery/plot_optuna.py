"""
Optuna, pruned by epoch
=======================

Optuna draws parameters, and ends a trial whose first epochs are worse than those of the trials
before. The callback of ``optuna-integration`` for skorch reports each epoch: skattn takes skorch's
callbacks as ``callbacks=``.
"""

import matplotlib.pyplot as plt
import optuna  # pip install "skattn[gallery]"
import pandas as pd
from optuna_integration import SkorchPruningCallback  # pip install "skattn[gallery]"
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import rank_ic_score
from skattn.model_selection import DateSplit
from skattn.preprocessing import Alpha360, RobustZScore

optuna.logging.set_verbosity(optuna.logging.WARNING)

# %%
# Three stretches of days
# -----------------------
# The trials see the training days only. Each of them holds out the last fifth of these days for
# early stopping, and is judged there. The test days are looked at once, in the end.

market = make_market(40, 350, momentum=0.1, reversal=0.1, random_state=0)
ohlcv, label = market.ohlcv, skattn.make_label(market.ohlcv)
days = ohlcv.index.unique("datetime")
split = DateSplit(train=(days[0], days[-101]), test=(days[-100], days[-1]))
((train, test),) = split.split(ohlcv, label)


def make_pipeline_of(params, callbacks=None):
    """Make an untrained pipeline."""
    model = skattn.make_model(
        "alstm",
        num_layers=1,
        max_epochs=6,
        monitor="valid_rank_ic",
        validation_fraction=0.2,
        callbacks=callbacks,
        random_state=0,
        **params,
    )
    return make_pipeline(
        Alpha360(["close"], length=20), RobustZScore(), CrossSectionalTarget(model)
    )


# %%
# The study
# ---------
# An objective returns the best epoch's rank IC on the held-out days. The pruner waits for four
# trials and one epoch, and then ends every trial that is below the median at the same epoch.


def objective(trial):
    """Train one candidate."""
    params = {
        "lr": trial.suggest_float("lr", 1e-5, 3e-2, log=True),
        "hidden_size": trial.suggest_categorical("hidden_size", [8, 16, 32]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
    }
    callbacks = [SkorchPruningCallback(trial, "valid_rank_ic")]
    pipeline = make_pipeline_of(params, callbacks).fit(ohlcv.iloc[train], label.iloc[train])
    return pipeline[-1].regressor_.history_["valid_rank_ic"].max()


study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
)
study.optimize(objective, n_trials=12)
states = pd.Series([trial.state.name for trial in study.trials]).value_counts()
epochs = sum(len(trial.intermediate_values) for trial in study.trials)
print(", ".join(f"{count} {state}" for state, count in states.items()))
print(f"{epochs} epochs were trained of {6 * len(study.trials)}.")
print("best parameters:", study.best_params)

# %%
# The epochs of all trials
# ------------------------
# Broken lines were pruned.

_, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for trial in study.trials:
    pruned = trial.state == optuna.trial.TrialState.PRUNED
    best = trial.number == study.best_trial.number
    ax.plot(
        [epoch + 1 for epoch in trial.intermediate_values],
        [*trial.intermediate_values.values()],
        linestyle="--" if pruned else "-",
        marker="x" if pruned else "o",
        color="black" if best else "0.6",
        linewidth=2.5 if best else 1,
        markersize=4,
        label=f"trial {trial.number}, the best" if best else None,
    )
ax.set(xlabel="epoch", ylabel="rank IC of the held-out days", title="Trials of Optuna, by epoch")
ax.legend()
plt.show()

# %%
# What was found
# --------------
# The score of the best trial is the best of many on the days that chose it, and so flatters it.
# The score of the test days is the fair one. (They are other days with a luck of their own, about
# 0.02 either way, so that this one pair of figures need not show the difference.)

best = make_pipeline_of(study.best_params).fit(ohlcv.iloc[train], label.iloc[train])
score = rank_ic_score(label.iloc[test], best.predict(ohlcv.iloc[test]))
print(f"rank IC: {study.best_value:.3f} on the days that chose, {score:.3f} on the test days")
