"""The folds of a purged k-fold split with an embargo, as the library draws them."""

import matplotlib.pyplot as plt
import pandas as pd

from skattn.model_selection import PurgedDailyKFold

days = pd.bdate_range("2024-01-01", periods=120)
fig, ax = plt.subplots(figsize=(4.2, 2.9), layout="constrained")
PurgedDailyKFold(n_splits=4, purge=6, embargo=6).plot(days, groups=days, ax=ax)
