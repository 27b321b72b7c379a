"""Cross-validators that never split a trading day, and the signal of their test sets."""

from skattn.model_selection._combinatorial import CombinatorialPurgedDailyKFold
from skattn.model_selection._dates import DateSplit
from skattn.model_selection._display import SplitDisplay
from skattn.model_selection._k_fold import PurgedDailyKFold
from skattn.model_selection._signal import cross_val_signal
from skattn.model_selection._walk_forward import DailyTimeSeriesSplit

__all__ = [
    "CombinatorialPurgedDailyKFold",
    "DailyTimeSeriesSplit",
    "DateSplit",
    "PurgedDailyKFold",
    "SplitDisplay",
    "cross_val_signal",
]
