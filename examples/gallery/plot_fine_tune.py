"""
Fine-tune from pretrained weights
=================================

Half a year of ten stocks teaches little. A model that was trained on many stocks can go on from its
weights, all of them free or some of them held.
"""

# %%
# Two markets
# -----------
# In both, returns repeat after some days. The large market has 100 stocks and 400 days. The small
# one has ten stocks, of which 120 days are for training, and 250 for the test; what moves its
# stocks is the same, and a reversal comes on top.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.inspection import TrainingDisplay
from skattn.metrics import signal_report
from skattn.model_selection import DateSplit
from skattn.preprocessing import CrossSectionalScaler, RollingWindow

law = {"momentum": 0, "sector": 0, "lagged": 0.4, "lag": 4, "late_listings": 0}
large = make_market(100, 400, reversal=0, start="2008-01-07", random_state=0, **law)
small = make_market(10, 370, reversal=0.3, reversal_lookback=2, random_state=1, **law)


def windows_of(ohlcv):
    returns = ohlcv[["close"]].groupby(level="instrument").pct_change().fillna(0)
    steps = make_pipeline(CrossSectionalScaler(), RollingWindow(8, fill_method="ffill+bfill"))
    return steps.fit_transform(returns)


X, label = windows_of(small.ohlcv), small.label
days = X.index.unique("datetime")
split = DateSplit(train=(days[0], days[119]), test=(days[120], days[-1]))
((train, test),) = split.split(X, label)

# %%
# Pretrain
# --------
# The windows hold ranks within the day, so a number means the same in both markets. A scaler that
# learns from its training days, such as ``RobustZScore``, belongs to the weights: keep the one that
# was fitted on the large market.


def make(**params):
    given = {"lr": 0.003, "random_state": 0, **params}
    return CrossSectionalTarget(skattn.make_model("alstm", hidden_size=16, num_layers=1, **given))


first = make(lr=0.01, max_epochs=8).fit(windows_of(large.ohlcv), large.label)
weights = first.regressor_.module_.state_dict()

# %%
# ``pretrained=`` takes a state dict, as here, a fitted regressor, or a file of torch or safetensors
# such as a qlib checkpoint. What fits by name and shape is loaded.
#
# Fine-tune
# ---------
# Four models for the small market: the pretrained one as it is; trained from random weights;
# fine-tuned in all weights; and fine-tuned with the recurrent network held by ``freeze=``.

few = {"max_epochs": 30, "batch_size": 100, "n_iter_no_change": 8}
models = {
    "from random weights": make(**few),
    "fine-tuned": make(pretrained=weights, **few),
    "fine-tuned, rnn held": make(pretrained=weights, freeze=("rnn",), **few),
}
for model in models.values():
    model.fit(X[train], label.iloc[train])
report = models["fine-tuned"].regressor_.pretrained_report_
print(f"loaded {len(report.loaded)} weights, missing {report.missing}")

shown = ("from random weights", "fine-tuned")
TrainingDisplay.from_estimators({name: models[name] for name in shown})
plt.show()

# %%
# What the test days say
# ----------------------
# The pretrained model knows nothing of the reversal. From random weights, 1,000 rows are few for
# both. Fine-tuning has the best of the two; whether the recurrent network is held or free makes no
# difference here. Where the small market follows other laws, there is nothing to carry over.

signals = {"ceiling": small.signal.iloc[test]}
for name, model in {"as it was": first, **models}.items():
    signals[name] = pd.Series(model.predict(X[test]), X.index[test])
report = signal_report(label.iloc[test], signals)[["ic", "ic_t"]]
print(report.round(3))

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
error = 2 * report["ic"] / report["ic_t"]  # two standard errors
ax.barh(report.index, report["ic"], xerr=error, color="lightgrey", edgecolor="black", capsize=4)
ax.invert_yaxis()
ax.set(xlabel="mean IC of 250 test days, with two standard errors", title="Ten stocks")
plt.show()
