"""
What a model needs, beside what it attends to
=============================================

Attention is not explanation. Where the truth is planted, three ways of asking a model what it uses
can be held against it: permutation importance, integrated gradients, and attention.
"""

# %%
# The market
# ----------
# The return of eight days ago predicts; range and volume are there and say nothing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.inspection import FeatureImportanceDisplay
from skattn.metrics import ic_score
from skattn.model_selection import DateSplit
from skattn.preprocessing import CrossSectionalScaler, RollingWindow

market = make_market(50, 400, momentum=0, reversal=0, sector=0, lagged=0.4, lag=8, random_state=0)
ohlcv, label = market.ohlcv, market.label
features = pd.DataFrame(
    {
        "return": ohlcv["close"].groupby(level="instrument").pct_change(),
        "range": ohlcv["high"] / ohlcv["low"] - 1,
        "volume": np.log(ohlcv["volume"]).groupby(level="instrument").diff(),
    }
).fillna(0)

days = features.index.unique("datetime")
split = DateSplit(train=(days[0], days[-101]), test=(days[-100], days[-1]))
((train, test),) = split.split(features, label)

# %%
# The model
# ---------
alstm = skattn.make_model(
    "alstm", hidden_size=16, num_layers=1, lr=0.01, max_epochs=12, random_state=0
)
model = make_pipeline(
    CrossSectionalScaler(),
    RollingWindow(12, fill_method="ffill+bfill"),
    CrossSectionalTarget(alstm),
)
model.fit(features.iloc[train], label.iloc[train])
X, y = features.iloc[test], label.iloc[test]
print(
    f"IC {ic_score(y, model.predict(X)):.3f}, ceiling {ic_score(y, market.signal.iloc[test]):.3f}"
)

# %%
# Three answers
# -------------
# A cell of the maps is a feature at a lag. *Permutation*: the drop of the rank IC where the stocks
# of a day exchange it; a star marks what is more than chance. *Integrated gradients*: how much it
# moves the predictions, right or wrong. Below, both by lag, beside the attention; 1 is what a lag
# would have if all were alike.

display = FeatureImportanceDisplay.from_estimator(
    model, X, y, method="both", groups=12, random_state=0, kind="map"
)
plt.show()

# %%
# Permutation finds the planted cell and nothing else. Integrated gradients find it too, with a
# little noise. Attention is highest there as well, but barely, and it says nothing about features.
# At the shaded lags it lies on steps whose features the model does not need; their states carry
# along what came before.

columns = ["attention", "permutation", "integrated_gradients", "disagrees"]
print(display.by_lag[columns].round(2).to_string())

# %%
# Importance says what *this model* uses. What moves prices is another question, and where a model
# has no IC to lose, permutation has nothing to find.
