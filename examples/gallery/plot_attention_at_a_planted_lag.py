"""
What ALSTM finds in a market with a known ceiling
=================================================

In a simulated market only the return of ten days ago predicts. No model can reach more than a
known information coefficient (IC) there: ALSTM comes near it, a ridge regression does less well,
and the attention of ALSTM lies at the planted lag.
"""

# %%
# The market
# ----------
# Prices of 60 stocks over 300 days. The label is the return from tomorrow's close to the next.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.inspection import AttentionDisplay
from skattn.metrics import signal_report
from skattn.preprocessing import Alpha360, RobustZScore

market = make_market(60, 300, momentum=0, reversal=0, sector=0, lagged=0.5, lag=10, random_state=0)
ohlcv, label = market.ohlcv, skattn.make_label(market.ohlcv)
print(f"No signal has a higher IC than {market.ic_ceiling:.3f}, on average.")

# %%
# Two models on the same days
# ---------------------------
# Both see windows of the last 20 days and learn the label's rank within the day. The last 100 days
# are for the test; two days before them are left out, because the labels of these days look into
# the test days.

from skattn.model_selection import DateSplit

days = ohlcv.index.unique("datetime")
split = DateSplit(train=(days[0], days[-101]), test=(days[-100], days[-1]))
((train, test),) = split.split(ohlcv, label)

alstm = make_pipeline(
    Alpha360(length=20),
    RobustZScore(),
    CrossSectionalTarget(
        skattn.make_model("alstm", hidden_size=16, lr=5e-3, max_epochs=12, random_state=0)
    ),
)
ridge = make_pipeline(
    Alpha360(length=20, layout="columns"), RobustZScore(), CrossSectionalTarget(Ridge(1000.0))
)
signals = {}
for name, model in {"ALSTM": alstm, "ridge": ridge}.items():
    model.fit(ohlcv.iloc[train], label.iloc[train])
    signals[name] = pd.Series(model.predict(ohlcv.iloc[test]), ohlcv.index[test])
    ic = signal_report(label.iloc[test], signals[name])["ic"]
    print(f"{name}: IC {ic:.3f}")

# %%
# Where ALSTM looks
# -----------------
# The bars are the mean weights of the attention over the steps of a window.

AttentionDisplay.from_estimator(alstm, ohlcv.iloc[test], against="uniform")
plt.show()
