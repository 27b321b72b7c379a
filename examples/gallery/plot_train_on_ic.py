"""
Train on the IC
===============

``loss="ic"`` with ``batch="days"`` trains a model on the correlation of each day's predictions and
labels, by which signals are judged. It helps where all stocks move together. Ranking the labels
within the day helps as much.
"""

# %%
# One signal, three markets
# -------------------------
# The same simulated stocks three times. Added is a return that all stocks of a day share and that
# nobody can predict: of 0, 3 or 10 % a day. (The simulation has 1 % of its own, about what real
# markets have; 3 % is a crisis.) The IC of a signal does not change by it, since it compares stocks
# within a day.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import signal_report
from skattn.model_selection import DateSplit
from skattn.preprocessing import RobustZScore, RollingWindow

market = make_market(40, 400, momentum=0, reversal=0.2, sector=0, random_state=0)
returns = market.ohlcv[["close"]].groupby(level="instrument").pct_change()
returns = returns.rename(columns={"close": "return"})
days = returns.index.get_level_values("datetime")
calendar = days.unique()
shared = pd.Series(np.random.default_rng(0).normal(size=len(calendar)), calendar)


def add_shared(percent):
    """Returns and labels in percent; a label is the return of two days ahead."""
    moved = market.label * 100 + percent * shared.shift(-2).reindex(days).to_numpy()
    moved.attrs.update(market.label.attrs)
    return returns * 100 + percent * shared.reindex(days).to_numpy()[:, None], moved


split = DateSplit(train=(calendar[0], calendar[-101]), test=(calendar[-100], calendar[-1]))
((train, test),) = split.split(returns, market.label)

# %%
# Three ways to train one GRU
# ---------------------------
# Squares of the label itself; ``"ic"`` of the label itself; and squares of the label's rank within
# the day, which :class:`~skattn.compose.CrossSectionalTarget` makes. Batches, epochs and early
# stopping are the same for all.

training = {
    "hidden_size": 8,
    "num_layers": 1,
    "lr": 0.005,
    "max_epochs": 8,
    "batch": "days",
    "days_per_batch": 4,
    "monitor": "valid_rank_ic",
    "random_state": 0,
}
models = {
    "squares": skattn.make_model("gru", loss="mse", **training),
    "IC": skattn.make_model("gru", loss="ic", **training),
    "squares of ranks": CrossSectionalTarget(skattn.make_model("gru", loss="mse", **training)),
}
rows = {}
truth = market.label.iloc[test]
for percent in (0, 3, 10):
    X, y = add_shared(percent)
    for name, model in models.items():
        pipeline = make_pipeline(RollingWindow(8), RobustZScore(), model)
        pipeline.fit(X.iloc[train], y.iloc[train])
        predicted = pd.Series(pipeline.predict(X.iloc[test]), X.index[test])
        rows[percent, name] = signal_report(truth, predicted)[["rank_ic", "rank_ic_t"]]
table = pd.DataFrame(rows).T.rename_axis(["shared", "trained on"])
ceiling = signal_report(truth, market.signal.iloc[test])["rank_ic"]
print(f"ceiling {ceiling:.3f}")
print(table["rank_ic"].unstack("shared").loc[list(models)].round(3))

# %%
# What came out
# -------------
# Where little is shared, all three find the signal, and the differences between them are within
# the errors. Where much is shared, squares of the label are squares of the market's move: the model
# learns by heart which windows came before good days, and that is of no use on others. The IC does
# not see what is shared, and neither do ranks.
#
# So rank the labels, as the other examples do, or train on the IC. Labels that are ranked have
# nothing shared left, and there is no general reason then to prefer ``loss="ic"``: on Chinese
# shares with ranked labels squares did as well (``benchmarks/README.md``).

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharex=True, layout="constrained")
for ax, (percent, part) in zip(axes, table.groupby(level="shared"), strict=True):
    part = part.droplevel("shared").loc[list(models)]
    error = 2 * (part["rank_ic"] / part["rank_ic_t"]).abs()
    ax.barh(part.index, part["rank_ic"], xerr=error, color="lightgrey", edgecolor="k", capsize=4)
    ax.axvline(ceiling, color="black", linestyle="--")
    ax.axvline(0, color="black", linewidth=0.8)
    ax.invert_yaxis()
    ax.set_title(f"shared return {percent} %")
    if ax is not axes[0]:
        ax.set_yticklabels([])
axes[1].set_xlabel("mean rank IC of 100 test days, with two standard errors; dashed: the ceiling")
plt.show()
