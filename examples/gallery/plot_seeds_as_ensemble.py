"""
Seeds as an ensemble
====================

Two fits that differ in nothing but ``random_state`` give two signals. Their spread is the part of
a score that is luck of the start, and their mean is most often better than a typical one of them.
scikit-learn's ``VotingRegressor`` is all that it takes.
"""

# %%
# Eight models that differ by their seed
# --------------------------------------
# ``CrossSectionalTarget`` stands around the vote: it scales the label within each day once, for
# all eight, and leaves out the rows without a label (NaN) after their windows were made. The vote
# hands labels on as a bare array, which cannot tell how far they look ahead: models that stop early
# would need to be told, ``purge=2``. The last 100 days are for the test.

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import VotingRegressor
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import rank_ic_score
from skattn.model_selection import DateSplit
from skattn.preprocessing import Alpha360, RobustZScore

market = make_market(40, 320, momentum=0.1, reversal=0.1, random_state=0)
ohlcv, label = market.ohlcv, skattn.make_label(market.ohlcv)
days = ohlcv.index.unique("datetime")
split = DateSplit(train=(days[0], days[-101]), test=(days[-100], days[-1]))
((train, test),) = split.split(ohlcv, label)

model = skattn.make_model(
    "alstm", hidden_size=16, num_layers=1, lr=1e-2, max_epochs=10, early_stopping=False
)
vote = VotingRegressor(
    [(f"seed {seed}", clone(model).set_params(random_state=seed)) for seed in range(8)]
)
pipeline = make_pipeline(
    Alpha360(["close"], length=20), RobustZScore(), CrossSectionalTarget(vote)
).fit(ohlcv.iloc[train], label.iloc[train])

# %%
# Each alone, and all together
# ----------------------------
# The mean of the predictions is a fair vote here, because all eight learnt the same ranks. Models
# of other kinds may predict on other scales: rank their signals within the day before the mean.

signal = pipeline.predict(ohlcv.iloc[test])
windows = pipeline[:-1].transform(ohlcv.iloc[test])
alone = {
    name: seed.predict(windows) for name, seed in pipeline[-1].regressor_.named_estimators_.items()
}
truth = label.iloc[test]
scores = pd.Series({name: rank_ic_score(truth, each) for name, each in alone.items()})
together = rank_ic_score(truth, signal)
pairs = np.corrcoef([*alone.values()])[np.triu_indices(len(alone), 1)]
print(f"one seed: rank IC {scores.mean():.3f}, from {scores.min():.3f} to {scores.max():.3f}")
print(f"the mean of {len(alone)} seeds: rank IC {together:.3f}")
print(
    f"two seeds correlate by {pairs.mean():.2f}; no signal has an IC over {market.ic_ceiling:.3f}"
)

# %%
# How many seeds are enough
# -------------------------
# Each point is the mean signal of some of the eight; every choice of them is drawn. More seeds make
# the score steadier first of all, and a little higher, most of it by the first few. What stays is
# the error that all seeds share, and that no vote removes.
#
# All of these are figures of one market and of 100 days: other days move all of them together, by
# about 0.02 either way. To choose the best seed by its score on the test days would be choosing
# luck.

predictions = np.array([*alone.values()])
counts = range(1, len(predictions) + 1)
drawn = {
    n: [
        rank_ic_score(truth, predictions[[*chosen]].mean(axis=0))
        for chosen in combinations(range(len(predictions)), n)
    ]
    for n in counts
}
_, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for n, values in drawn.items():
    ax.plot([n] * len(values), values, "o", color="0.65", markersize=4)
ax.plot(
    counts, [np.mean(values) for values in drawn.values()], "k-o", label="mean over the choices"
)
ax.axhline(scores.mean(), color="k", linestyle=":", label="mean score of one seed")
ax.set(
    xlabel="number of seeds in the mean",
    ylabel="rank IC of the test days",
    title="Seeds as an ensemble",
)
ax.legend(loc="lower right")
plt.show()
