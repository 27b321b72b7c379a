"""
From a signal to a portfolio
============================

A signal ranks stocks. A portfolio also has risks that go together, limits, and trades that cost.
skfolio weighs all of them. The backtest walks forward, and trades at the close of the day after the
signal.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from skfolio import MultiPeriodPortfolio, Population, Portfolio  # pip install "skattn[gallery]"
from skfolio.moments import BaseMu
from skfolio.optimization import MeanRisk, ObjectiveFunction
from skfolio.prior import EmpiricalPrior
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import signal_report
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.preprocessing import Alpha360, RobustZScore

# %%
# The signal
# ----------
# A simulated market, in which momentum predicts. The label is the return of five days from
# tomorrow's close on, because the portfolio will be changed every five days. A warm refit predicts
# all test days from days before them.

market = make_market(
    30, 700, momentum=0.05, reversal=0, sector=0, late_listings=0, missing_days=0, random_state=0
)
ohlcv, label = market.ohlcv, skattn.make_label(market.ohlcv, horizon=5)
gru = skattn.make_model("gru", hidden_size=16, num_layers=1, lr=5e-3, max_epochs=5, random_state=0)
pipeline = make_pipeline(Alpha360(["close"], length=30), RobustZScore(), CrossSectionalTarget(gru))
signal = cross_val_signal(pipeline, ohlcv, label, cv=DailyTimeSeriesSplit(5), refit="warm")
report = signal_report(label.loc[signal.index], signal)
print(report[["ic", "ic_t", "days"]].to_string(float_format="{:.3f}".format))

# %%
# From ranks to expected returns
# ------------------------------
# A score z within the day promises a return of ``IC * volatility * z`` (Grinold's rule). The IC is
# an assumption here, made before the backtest: 0.05. Taking the IC of the test days, above, would
# be looking ahead. The volatility is that of the last 120 days.

HOLD, COST, IC = 5, 0.002, 0.05  # days, fraction of the value traded, assumed IC of five days

close = ohlcv["close"].unstack("instrument")
returns = close.pct_change(fill_method=None)
score = signal.unstack("instrument")
score = score.sub(score.mean(axis=1), axis=0).div(score.std(axis=1), axis=0)


class Alpha(BaseMu):
    """Expected returns that are given."""

    def __init__(self, alpha):
        self.alpha = alpha

    def fit(self, X, y=None):
        """Take the given returns."""
        self.mu_ = np.asarray(self.alpha)
        return self


# %%
# The backtest
# ------------
# On day t the close is known, and with it the signal and 120 days of returns. The trade is at the
# close of day t + 1. The portfolio earns the returns of the days t + 2 to t + 6; on day t + 5 the
# next decision is made.
#
# skfolio takes costs per day of the holding time: 0.2 % of what is traded, over five days. The same
# costs are taken from every portfolio, but only one of them knew the costs when it chose.


def optimize(past, alpha, previous, cost):
    """Give the weights of the highest utility: long only, at most 15 % in a stock."""
    model = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_aversion=2.0,
        prior_estimator=EmpiricalPrior(mu_estimator=Alpha(alpha)),
        max_weights=0.15,
        transaction_costs=cost,
        previous_weights=previous,
    )
    return model.fit(past).weights_


names = ["equal weights", "signal, blind to costs", "signal, knows the costs"]
equal = np.full(close.shape[1], 1 / close.shape[1])
parts, traded = {name: [] for name in names}, {name: [] for name in names}
weights = dict.fromkeys(names, equal)
first = close.index.get_loc(score.index[0])
for t in range(first, len(close) - HOLD - 2, HOLD):
    past = returns.iloc[t - 119 : t + 1]
    alpha = IC * past.std() * score.iloc[t - first] / np.sqrt(HOLD)
    earned = returns.iloc[t + 2 : t + 2 + HOLD]
    previous = dict(weights)
    weights["signal, blind to costs"] = optimize(past, alpha, None, 0.0)
    weights["signal, knows the costs"] = optimize(
        past, alpha, previous["signal, knows the costs"], COST / HOLD
    )
    for name in names:
        traded[name].append(np.abs(weights[name] - previous[name]).sum())
        parts[name].append(
            Portfolio(
                earned,
                weights[name],
                previous_weights=previous[name],
                transaction_costs=COST / HOLD,
            )
        )
population = Population([MultiPeriodPortfolio(parts[name], name=name) for name in names])

# %%
# What came of it
# ---------------
# All figures are after costs. (Equal weights are set back every day, for nothing: a small gift.)
# Blind to costs, the optimizer trades 45 times the value a year and pays 9 % for that. Told the
# costs, it trades a third of it and keeps most of the signal.

table = pd.DataFrame(
    {
        portfolio.name: {
            "return per year": portfolio.annualized_mean,
            "volatility": portfolio.annualized_standard_deviation,
            "Sharpe ratio": portfolio.annualized_sharpe_ratio,
            "largest drawdown": portfolio.max_drawdown,
            "traded per year": np.sum(traded[portfolio.name]) * 252 / len(portfolio.returns),
        }
        for portfolio in population
    }
)
print(table.T.to_string(float_format="{:.2f}".format))

# %%
# Two years say little about a Sharpe ratio: its standard error is about 0.7. And the market was
# made with a signal that does not fade, that others do not trade on, and that moves no price. On
# the real prices of :func:`skattn.datasets.load_sp500` no such gain is to be expected.

_, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
for portfolio, style in zip(population, (":", "--", "-"), strict=True):
    values = np.cumsum(portfolio.returns)
    ax.plot(portfolio.observations, values, f"k{style}", label=portfolio.name)
ax.set(ylabel="sum of daily returns, after costs", title="Three portfolios of 30 simulated stocks")
ax.legend()
plt.show()
