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

# %%
# The high attention lies on days on which the stock rose, with a small p-value, and the model has
# next to no IC. That is no riddle: attention is a function of the input. A large return moves the
# state of its step, and the state decides the weight. Note the scale, too: the highest weights are
# a few percent above the usual ones.
#
# What attention is not
# ---------------------
# The same model again, from another seed; and on labels that are shuffled among the stocks of each
# day, in which there is nothing to learn at all.

rng = np.random.default_rng(0)
nonsense = label.groupby(level="datetime").transform(rng.permutation)
nonsense.attrs.update(label.attrs)
models = {
    "trained": trained,
    "other seed": fit(label, seed=1),
    "shuffled labels": fit(nonsense, seed=0),
    "shuffled, other seed": fit(nonsense, seed=1),
}
attention, rows = {}, {}
for name, model in models.items():
    display = AttentionTimelineDisplay.from_estimator(model, future, "AAPL", ohlcv=data.ohlcv)
    plt.close(display.figure_)
    attention[name] = display.attention
    rows[name] = display.market.loc["volatility", ["inside", "outside", "p_value"]]
attention = pd.DataFrame(attention)
print("Volatility of AAPL on days of high attention, and on all others:")
print(pd.DataFrame(rows).T.round(4))
print("\nCorrelation of the attention by date:")
print(attention.corr(method="spearman").round(2).to_string())

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
for ax, name in zip(axes, attention.columns[1:], strict=True):
    ax.plot(attention["trained"], attention[name], "k.", markersize=3, alpha=0.5)
    ax.set(xlabel="attention, trained", ylabel=f"attention, {name}")
figure.suptitle("Each dot is a date of AAPL")
plt.show()

# %%
# Of the two models of shuffled labels, one attends to volatile days as surely as the trained model,
# and the other does not. The two seeds of the trained model attend to different dates, and one of
# them agrees better with a model of shuffled labels than with the other. So a picture of attention
# on real prices is a question, not an answer: ask it of several seeds and of shuffled labels before
# you believe it, and ask what the predictions need
# (:ref:`sphx_glr_gallery_plot_importance.py`). And never use it as a feature: the attention to a
# date is read from windows that end after it.
