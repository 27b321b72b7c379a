"""
Tune ALSTM, walking forward
===========================

``GridSearchCV`` tries lengths of the window and learning rates of ALSTM. Each fold trains on the
past and scores the days after it. The days on which the winner is judged are no part of the search.
"""

# %%
# The data
# --------
# A simulated market of 40 stocks in which the losers of the last five days win. The last 100 days
# are kept for the end. :class:`~skattn.model_selection.DateSplit` drops two days before them,
# because the labels of these days look into the days that are kept.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.inspection import TrainingDisplay
from skattn.metrics import rank_ic_score, rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit, DateSplit
from skattn.preprocessing import Alpha360, RobustZScore

market = make_market(40, 500, momentum=0, reversal=0.2, sector=0, random_state=0)
ohlcv, label = market.ohlcv, market.label
days = ohlcv.index.unique("datetime")
kept = DateSplit(train=(days[0], days[-101]), test=(days[-100], days[-1]))
((search_rows, last_rows),) = kept.split(ohlcv, label)

# %%
# The folds
# ---------
# Days stay whole: all stocks of a day are on the same side. Each fold leaves two days out between
# training and test, because their labels reach into the test days.

cv = DailyTimeSeriesSplit(n_splits=3)
cv.plot(ohlcv.iloc[search_rows], label.iloc[search_rows])
plt.show()

# %%
# The search
# ----------
# The whole pipeline is searched, so that the scaler learns from the training days of each fold
# alone. ``n_jobs=2`` would run two fits at a time, to the same bits.

alstm = skattn.make_model(
    "alstm", hidden_size=8, num_layers=1, max_epochs=4, batch_size=200, random_state=0
)
pipeline = make_pipeline(
    Alpha360(["close"], length=10), RobustZScore(), CrossSectionalTarget(alstm)
)
lr = "crosssectionaltarget__regressor__lr"
grid = {"alpha360__length": [3, 6, 12], lr: [0.001, 0.01]}
search = GridSearchCV(pipeline, grid, cv=cv, scoring=rank_ic_scorer)
search.fit(ohlcv.iloc[search_rows], label.iloc[search_rows])

# %%
# The candidates
# --------------
# Dots are folds, bars their mean. Windows of three days hold two of the five returns that matter,
# and lose. Between the others the dots overlap: the search takes the best mean, and between these
# chance may have chosen.

results = pd.DataFrame(search.cv_results_)
names = [
    f"{length} days, lr {rate:g}"
    for length, rate in zip(results["param_alpha360__length"], results[f"param_{lr}"], strict=True)
]
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.barh(names, results["mean_test_score"], color="lightgrey", edgecolor="black")
for fold, marker in enumerate("os^"):
    ax.plot(results[f"split{fold}_test_score"], names, f"k{marker}", label=f"fold {fold}")
ax.invert_yaxis()
ax.set(xlabel="rank IC of the fold's test days", title="Candidates of the search")
ax.legend(loc="lower left", bbox_to_anchor=(1, 0))
plt.show()

# %%
# The winner
# ----------
# ``search`` has fitted the winner on all days of the search. The best of several scores is
# flattered, because it was chosen for being high; the days that were kept tell what it is worth.

predicted = search.predict(ohlcv.iloc[last_rows])
truth = label.iloc[last_rows]
print(f"winner: {names[search.best_index_]}")
print(f"rank IC in the search:      {search.best_score_:.3f}")
print(f"rank IC on the kept days:   {rank_ic_score(truth, predicted):.3f}")
print(f"ceiling on the kept days:   {rank_ic_score(truth, market.signal.iloc[last_rows]):.3f}")

# %%
# How the winner was trained: the best epoch is the one whose weights are kept.

TrainingDisplay.from_estimator(search)
plt.show()
