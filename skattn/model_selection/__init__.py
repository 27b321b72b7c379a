"""Cross-validators that never cut a trading day in two."""

from skattn.model_selection._walk_forward import DailyTimeSeriesSplit

__all__ = ["DailyTimeSeriesSplit"]
