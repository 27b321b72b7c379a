"""The picture of the page "Start in five minutes": what its model attends to."""

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import make_market
from skattn.inspection import AttentionDisplay
from skattn.preprocessing import Alpha360, RobustZScore

market = make_market(60, 300, momentum=0, reversal=0, sector=0, lagged=0.5, lag=5, random_state=0)
alstm = skattn.make_model("alstm", hidden_size=16, lr=0.01, max_epochs=15, random_state=0)
model = make_pipeline(Alpha360(["close"], length=10), RobustZScore(), CrossSectionalTarget(alstm))
model.fit(market.ohlcv, skattn.make_label(market.ohlcv))
fig, ax = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
AttentionDisplay.from_estimator(model, market.ohlcv, against="uniform", ax=ax)
