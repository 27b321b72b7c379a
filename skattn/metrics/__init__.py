"""Metrics of a cross-sectional signal: the information coefficient, scorers and reports."""

from skattn.metrics._display import SignalDisplay
from skattn.metrics._ic import daily_ic, ic_score, icir_score, rank_ic_score, rank_icir_score
from skattn.metrics._newey_west import newey_west_error, usual_lags
from skattn.metrics._quantiles import quantile_returns
from skattn.metrics._report import signal_report
from skattn.metrics._scorers import ic_scorer, icir_scorer, rank_ic_scorer, rank_icir_scorer

__all__ = [
    "SignalDisplay",
    "daily_ic",
    "ic_score",
    "ic_scorer",
    "icir_score",
    "icir_scorer",
    "newey_west_error",
    "quantile_returns",
    "rank_ic_score",
    "rank_ic_scorer",
    "rank_icir_score",
    "rank_icir_scorer",
    "signal_report",
    "usual_lags",
]
