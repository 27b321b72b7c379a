"""
All registered models in one search
===================================

Models are plugins with names. ``list_models()`` knows all that are installed, and a search takes
the model of a pipeline as one more parameter.
"""

# %%
# What is installed
# -----------------
# After ``pip install ./plugins/skattn-gats`` the list would hold ``"gats"``, and this page one bar
# more.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import rank_ic_score, rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.preprocessing import CrossSectionalScaler, RollingWindow

for spec in skattn.list_models():
    print(f"{spec.name:12} {spec.summary}")

# %%
# The search
# ----------
# A simulated market of 40 stocks with momentum, reversal and what sectors share, all weak. The
# models are small and train for a few seconds; parameters not named here are the defaults.

market = make_market(40, 300, momentum=0.1, reversal=0.2, sector=0.1, random_state=0)
returns = market.ohlcv[["close"]].groupby(level="instrument").pct_change()
returns = returns.rename(columns={"close": "return"}).fillna(0)

rows = {"hidden_size": 8, "batch_size": 200}
own = {
    "alstm": rows,
    "gru": rows,
    "hist": {"hidden_size": 8, "concepts": market.concepts, "days_per_batch": 5},
    "lstm": rows,
    "sfm": {**rows, "freq_dim": 4, "output_dim": 8},
    "transformer": {"d_model": 16, "nhead": 2, "dim_feedforward": 32, "batch_size": 200},
}
shared = {"lr": 0.005, "max_epochs": 4, "random_state": 0}
names = [spec.name for spec in skattn.list_models()]
candidates = [
    CrossSectionalTarget(skattn.make_model(name, **shared, **own.get(name, {}))) for name in names
]

pipeline = Pipeline(
    [
        ("scale", CrossSectionalScaler()),
        ("windows", RollingWindow(20, fill_method="ffill+bfill")),
        ("model", candidates[0]),
    ]
)
cv = DailyTimeSeriesSplit(n_splits=3)
search = GridSearchCV(pipeline, {"model": candidates}, cv=cv, scoring=rank_ic_scorer, refit=False)
search.fit(returns, market.label)

# %%
# The result
# ----------
# Bars are the mean of the folds, dots the folds, and the line is the score of the planted signal
# itself on the same days, which nothing beats on average.

results = pd.DataFrame(search.cv_results_, index=names)
columns = ["mean_test_score", "std_test_score", "mean_fit_time"]
results = results.sort_values("mean_test_score", ascending=False)
print(results[columns].round(3))
tested = [test for _, test in cv.split(returns, market.label)]
ceiling = [rank_ic_score(market.label.iloc[rows], market.signal.iloc[rows]) for rows in tested]

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.barh(results.index, results["mean_test_score"], color="lightgrey", edgecolor="black")
for fold, marker in enumerate("os^"):
    score = results[f"split{fold}_test_score"]
    ax.plot(score, results.index, f"k{marker}", linestyle="none", label=f"fold {fold}")
ax.axvline(sum(ceiling) / len(ceiling), color="black", linestyle="--", label="ceiling")
ax.axvline(0, color="black", linewidth=0.8)
ax.invert_yaxis()
ax.set(xlabel="rank IC of the fold's test days", title="All registered models")
ax.legend(loc="lower left", bbox_to_anchor=(1, 0))
plt.show()

# %%
# This is no ranking of the models. Four epochs of small networks on 40 stocks tell who learns
# quickly with these settings; another learning rate, seed or market turns the order round. For a
# comparison, give each model a grid of its own, and judge the winner on days that the search has
# not seen (:ref:`sphx_glr_gallery_plot_tune_alstm.py`). Parameters of a model are searched beside
# it in the same grid: ``[{"model": [alstm], "model__regressor__lr": [...]}, {"model": [hist]}]``.
