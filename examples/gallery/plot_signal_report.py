"""
A signal over all test days, and its report
===========================================

A researcher who retrained every few months would have had one prediction for each stock and day.
``cross_val_signal`` makes that signal, ``signal_report`` tells what it was worth year by year, and
``SignalDisplay`` draws it. The market is simulated, so the figures have a known ceiling.
"""

# %%
# The market
# ----------
# Prices of 60 stocks over four years. Momentum, reversal and a lead-lag within sectors predict a
# little, as in real markets, but somewhat more of it.

import matplotlib.pyplot as plt
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import SignalDisplay, signal_report
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.preprocessing import Alpha360, RobustZScore

market = make_market(60, 1000, momentum=0.08, reversal=0.08, random_state=0)
ohlcv, label = market.ohlcv, skattn.make_label(market.ohlcv)
print(f"No signal has a higher IC than {market.ic_ceiling:.3f}, on average.")

# %%
# The signal of all test days
# ---------------------------
# Six folds walk forward: each trains on the days before its test days, less those whose labels
# reach into the test days. With ``refit="warm"`` a fold goes on from the weights of the fold
# before, which takes fewer epochs than a new start. The ridge regression has no weights to go on
# from, so each of its folds starts anew.

cv = DailyTimeSeriesSplit(n_splits=6)
gru = make_pipeline(
    Alpha360(["close"], length=20),
    RobustZScore(),
    CrossSectionalTarget(
        skattn.make_model(
            "gru", hidden_size=16, num_layers=1, lr=5e-3, max_epochs=4, random_state=0
        )
    ),
)
ridge = make_pipeline(
    Alpha360(["close"], length=20, layout="columns"),
    RobustZScore(),
    CrossSectionalTarget(Ridge(100.0)),
)
signals = {
    "GRU": cross_val_signal(gru, ohlcv, label, cv=cv, refit="warm"),
    "ridge": cross_val_signal(ridge, ohlcv, label, cv=cv),
}
tested = label.loc[signals["GRU"].index]
print(signals["GRU"].tail(3))

# %%
# The report
# ----------
# The mean daily IC, its t-value and the return of buying the top fifth and selling the bottom
# fifth. ``ic_diff_t`` is the t-value of the difference to the first signal: between -2 and 2, the
# difference may be chance. Here it is not, and the ridge regression is ahead: what was planted is
# nearly a sum of past returns, which is what a ridge regression fits.

columns = ["ic", "ic_t", "rank_ic", "long_short_annual", "long_short_sharpe", "days", "ic_diff_t"]
report = signal_report(tested, signals)
print(report[columns].T.to_string(float_format="{:.3f}".format))

# %%
# Year by year, a signal that is real still moves: with 60 stocks, the IC of a single year is known
# to about 0.01. The first year is also the one whose models had the fewest days to learn from.
# ``days`` counts the days with an IC.

by_year = signal_report(tested, signals["GRU"], by="year")
print(
    by_year[["ic", "ic_t", "icir", "long_short_annual", "days"]].to_string(
        float_format="{:.3f}".format
    )
)

# %%
# The picture
# -----------
# The returns are those of labels: no costs, no limits to selling short, and the whole book turned
# over as the signal asks. They rank stocks; they are no promise of money.
# :ref:`sphx_glr_gallery_plot_portfolio.py` takes the costs off.

_, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
SignalDisplay.from_predictions(tested, signals, kind="cumulative_ic", ax=axes[0])
SignalDisplay.from_predictions(tested, signals, kind="quantile_returns", ax=axes[1])
plt.show()
