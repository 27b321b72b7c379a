"""
HIST with sectors
=================

In this market a stock follows what the other stocks of its sector did the day before. Its own
prices say little, so a model that looks at one stock at a time cannot find it. HIST looks across
the stocks of a day, and finds it where it can tell the sectors apart.
"""

# %%
# The market
# ----------
# 60 stocks in four sectors. The features are the return, scaled within the day, and a column for
# each sector.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.inspection import AttentionDisplay
from skattn.metrics import signal_report
from skattn.model_selection import DateSplit
from skattn.preprocessing import CrossSectionalScaler, RollingWindow

market = make_market(60, 400, momentum=0, reversal=0, sector=0.2, n_sectors=4, random_state=0)
label = market.label
returns = market.ohlcv[["close"]].groupby(level="instrument").pct_change()
features = CrossSectionalScaler("zscore").fit_transform(returns.rename(columns={"close": "return"}))
features = features.clip(-3, 3).join(pd.get_dummies(market.concepts, dtype=float), on="instrument")
features = features.fillna(0)
print(features.tail(3).round(2))

days = features.index.unique("datetime")
split = DateSplit(train=(days[0], days[-101]), test=(days[-100], days[-1]))
((train, test),) = split.split(features, label)

# %%
# Four models
# -----------
# ``concepts`` is a Series of instrument and sector; a table of weights would do, too. One model
# gets the sectors as concepts alone, one as features alone, and one as both. The GRU is what HIST
# has inside, without the look across stocks.

training = {"hidden_size": 16, "num_layers": 1, "lr": 0.01, "max_epochs": 10, "random_state": 0}
hist = {"rnn": "gru", "days_per_batch": 4, **training}
sectors, both = market.concepts, list(features)
models = {
    "HIST, concepts": (skattn.make_model("hist", concepts=sectors, **hist), ["return"]),
    "HIST, features": (skattn.make_model("hist", **hist), both),
    "HIST, concepts and features": (skattn.make_model("hist", concepts=sectors, **hist), both),
    "GRU, features": (skattn.make_model("gru", batch_size=240, **training), both),
}
signals, fitted = {"ceiling": market.signal.iloc[test]}, {}
for name, (model, columns) in models.items():
    windows = RollingWindow(3, fill_method="ffill+bfill")
    fitted[name] = make_pipeline(windows, CrossSectionalTarget(model))
    fitted[name].fit(features[columns].iloc[train], label.iloc[train])
    predicted = fitted[name].predict(features[columns].iloc[test])
    signals[name] = pd.Series(predicted, features.index[test])

report = signal_report(label.iloc[test], signals)[["ic", "ic_t"]]
print(report.round(3))

# %%
# The ceiling is the IC of the planted signal itself. HIST comes near it wherever the features tell
# the sector; the GRU, which has the same features, does not.
#
# Concepts alone are not enough. HIST weighs the concepts for a stock by how similar the stock's
# state is to the concept's, and not by which concept the stock is a member of. The state must
# therefore say something about the sector. If it does, the hidden concepts (each stock is linked to
# the stock most like it) find the sectors even without being told.

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
error = 2 * report["ic"] / report["ic_t"]  # two standard errors
ax.barh(report.index, report["ic"], xerr=error, color="lightgrey", edgecolor="black", capsize=4)
ax.axvline(0, color="black", linewidth=0.8)
ax.invert_yaxis()
ax.set(
    xlabel="mean IC of 100 test days, with two standard errors",
    title="Who finds what sectors share",
)
plt.show()

# %%
# What a stock takes from each sector
# -----------------------------------
# The rows are the stocks of the last day, by sector. The weights of a row sum to 1.

AttentionDisplay.from_estimator(
    fitted["HIST, concepts and features"],
    features.iloc[test],
    map="concept_to_stock",
    groups=sectors,
)
plt.show()
