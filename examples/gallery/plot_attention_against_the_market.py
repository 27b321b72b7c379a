"""
Attention against the market, on real prices
============================================

Which dates of a stock does a model look back to, and what happened on them? And how much of that
would a model show that has learned nothing?
"""

# %%
# The model
# ---------
# Closing prices of 20 stocks of the S&P 500, from the package skfolio. ALSTM is trained on the
# returns up to 2019, and looked at from 2020 on.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import load_sp500
from skattn.inspection import AttentionTimelineDisplay
from skattn.metrics import signal_report
from skattn.preprocessing import RobustZScore, RollingWindow

data = load_sp500(start="2014-01-01")
returns = data.ohlcv.groupby(level="instrument").pct_change()
returns = returns.rename(columns={"close": "return"}).dropna()
days = returns.index.get_level_values("datetime")
# The labels of the last two days of 2019 look into 2020.
past = returns[days < "2019-12-30"]
future = returns[days >= "2020-01-01"]


def fit(label, seed):
    alstm = skattn.make_model(
        "alstm", hidden_size=16, num_layers=1, lr=0.003, max_epochs=5, random_state=seed
    )
    windows = RollingWindow(20, fill_method="ffill+bfill")
    pipeline = make_pipeline(RobustZScore(), windows, CrossSectionalTarget(alstm))
    return pipeline.fit(past, label)


label = data.label[past.index]
trained = fit(label, seed=0)
signal = pd.Series(trained.predict(future), future.index)
print(signal_report(data.label[future.index], signal)[["ic", "ic_t", "days"]].round(3))

# %%
# As for almost any model of past prices of 20 large stocks, the IC is next to nothing.
#
# The timeline
# ------------
# Above the price of one stock, below the attention to each date, from all windows that hold it; 1
# is what dates usually get. The tenth of the dates with the highest attention is shaded. The line
# between the plots says what the stock did on these dates and on all others, with p-values from
# shifting the shaded dates round the calendar.

AttentionTimelineDisplay.from_estimator(trained, future, "AAPL", ohlcv=data.ohlcv)
plt.show()
