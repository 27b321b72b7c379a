"""
What ALSTM finds in a market with a known ceiling
=================================================

In a simulated market only the return of ten days ago predicts. Nothing can reach more than a known
information coefficient (IC) there. ALSTM comes near it, and its attention lies at the planted lag.
"""

# %%
# The market
# ----------
# Prices of 60 stocks over 400 days. The label is the return from tomorrow's close to the next. The
# planted signal is 0.4 times as large as the noise: far more than real prices hold, so that a few
# seconds of training find it.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.inspection import AttentionDisplay
from skattn.metrics import SignalDisplay, signal_report
from skattn.model_selection import DateSplit
from skattn.preprocessing import CrossSectionalScaler, RollingWindow

market = make_market(60, 400, momentum=0, reversal=0, sector=0, lagged=0.4, lag=10, random_state=0)
returns = market.ohlcv[["close"]].groupby(level="instrument").pct_change()
returns = returns.rename(columns={"close": "return"}).fillna(0)

# %%
# Two models on the same days
# ---------------------------
# Both see the returns of the last 20 days, scaled within each day, and learn the label's rank
# within the day. The last 100 days are for the test. :class:`~skattn.model_selection.DateSplit`
# drops two days before them, because the labels of these days look into the test days.

days = returns.index.unique("datetime")
split = DateSplit(train=(days[0], days[-101]), test=(days[-100], days[-1]))
((train, test),) = split.split(returns, market.label)


def with_windows(*steps):
    windows = RollingWindow(20, fill_method="ffill+bfill")
    return make_pipeline(CrossSectionalScaler(), windows, *steps)


alstm = skattn.make_model(
    "alstm", hidden_size=16, num_layers=1, lr=0.01, max_epochs=20, random_state=0
)
flat = FunctionTransformer(lambda windows: np.asarray(windows)[:, :, 0])  # a column for each lag
models = {
    "ALSTM": with_windows(CrossSectionalTarget(alstm)),
    "ridge": with_windows(flat, CrossSectionalTarget(Ridge(1000.0))),
}
signals = {"ceiling": market.signal.iloc[test]}
for name, model in models.items():
    model.fit(returns.iloc[train], market.label.iloc[train])
    signals[name] = pd.Series(model.predict(returns.iloc[test]), returns.index[test])

label = market.label.iloc[test]
print(signal_report(label, signals)[["ic", "ic_t", "ic_diff", "ic_diff_t"]].round(3))

# %%
# The first row is the planted signal itself, which no model can beat on average. Both models come
# near it, and about equally: the signal is linear in one return, and a ridge regression on 20
# returns is made for exactly that. Ridge takes no time and has no seed. ALSTM shows here that it
# learns by itself which of 20 steps counts; what it is for are signals that are not linear.

SignalDisplay.from_predictions(label, signals, kind="cumulative_ic")
plt.show()

# %%
# Where ALSTM looks
# -----------------
# The lower plot is the mean attention to each lag of the windows of the test days, the upper plot
# the same by day; 1 would be no preference. The attention is highest at lag 10, and still high at
# the lags that follow: the state of a step also carries what the steps before it held.
#
# Attention falls on the planted lag because there is nothing else to find. On real prices it is
# often flat, and where it is not, it shows what the model weighs, not what moves the prices.

AttentionDisplay.from_estimator(models["ALSTM"], returns.iloc[test], against="uniform")
plt.show()
