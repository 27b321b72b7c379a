"""
All registered models in one search
===================================

Models are plugins with names. ``list_models()`` knows all that are installed, and a search takes
the model of a pipeline as one more parameter.
"""

# %%
# What is installed
# -----------------
# After ``pip install skattn-gats`` the list would hold ``"gats"``, and this page one bar more.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.metrics import rank_ic_score, rank_ic_scorer
from skattn.model_selection import DailyTimeSeriesSplit
from skattn.preprocessing import CrossSectionalScaler, RollingWindow

for spec in skattn.list_models():
    print(f"{spec.name:12} {spec.summary}")

# %%
# The search
# ----------
# A simulated market of 40 stocks with momentum, reversal and what sectors share, all weak. The
# models are small and train for a few seconds; parameters not named here are the defaults.

market = make_market(40, 300, momentum=0.1, reversal=0.2, sector=0.1, random_state=0)
returns = market.ohlcv[["close"]].groupby(level="instrument").pct_change()
returns = returns.rename(columns={"close": "return"}).fillna(0)

own = {
    "alstm": {"hidden_size": 8},
    "gru": {"hidden_size": 8},
    "hist": {"hidden_size": 8, "concepts": market.concepts, "days_per_batch": 5},
    "lstm": {"hidden_size": 8},
    "sfm": {"hidden_size": 8, "freq_dim": 4, "output_dim": 8},
    "transformer": {"d_model": 16, "nhead": 2, "dim_feedforward": 32},
}
names = [spec.name for spec in skattn.list_models()]
shared = {"lr": 0.01, "max_epochs": 5, "batch_size": 200, "random_state": 0}
candidates = [
    CrossSectionalTarget(
        skattn.make_model(name, **{"max_epochs": 5, "lr": 0.01, "random_state": 0}, **own.get(name, {}))
    )
    for name in names
]

pipeline = Pipeline(
    [
        ("scale", CrossSectionalScaler()),
        ("windows", RollingWindow(20, fill_method="ffill+bfill")),
        ("model", candidates[0]),
    ]
)
cv = DailyTimeSeriesSplit(n_splits=3)
search = GridSearchCV(pipeline, {"model": candidates}, cv=cv, scoring=rank_ic_scorer, refit=False)
search.fit(returns, market.label)

# %%
# The result
# ----------
results = pd.DataFrame(search.cv_results_, index=names)
columns = ["mean_test_score", "std_test_score", "mean_fit_time"]
print(results[columns].sort_values("mean_test_score", ascending=False).round(3))
