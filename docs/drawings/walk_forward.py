"""The folds of a walk-forward split, as the library draws them."""

import matplotlib.pyplot as plt
import pandas as pd

from skattn.model_selection import DailyTimeSeriesSplit

days = pd.bdate_range("2024-01-01", periods=120)
fig, ax = plt.subplots(figsize=(4.2, 2.7), layout="constrained")
DailyTimeSeriesSplit(n_splits=3, purge=6).plot(days, groups=days, ax=ax)
