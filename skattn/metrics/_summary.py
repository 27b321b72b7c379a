"""Daily values of a signal, and their summary."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from skattn.metrics._ic import NAMES, correlate_days, mean, mean_over_std
from skattn.metrics._newey_west import newey_west_t, usual_lags
from skattn.metrics._quantiles import tail_returns
from skattn.metrics._rows import REASONS, LabelledRows, left_out

TOO_FEW, CONSTANT_LABELS, CONSTANT_PREDICTIONS = REASONS

# Two signals that rank alike and differ in their unit have ICs that differ by rounding alone.
ROUNDING = 1e-12


def daily_table(rows: LabelledRows, quantile: float) -> pd.DataFrame:
    """Make the table with one row per day: the report with ``by="day"``."""
    long, short = tail_returns(rows, quantile)
    stocks = rows.stocks
    with np.errstate(invalid="ignore"):
        average = np.bincount(rows.day, rows.y_true, len(stocks)) / stocks
    values = pd.DataFrame(
        {
            "ic": correlate_days(rows, "pearson"),
            "rank_ic": correlate_days(rows, "spearman"),
            "long": long,
            "short": short,
            "long_short": long - short,
            "average": average,
        },
        index=rows.calendar,
    )
    reason = left_out(rows)
    values[reason.notna()] = np.nan
    return values.assign(stocks=stocks, left_out=reason)


def add_differences(table: pd.DataFrame, first: pd.DataFrame | None) -> pd.DataFrame:
    """Add the differences of daily ICs to those of the first signal; NaN where there is none."""
    table = table.copy()
    for name in NAMES.values():
        difference = np.nan if first is None else table[name] - first[name]
        table[f"{name}_diff"] = difference
        table.loc[table[f"{name}_diff"].abs() <= ROUNDING, f"{name}_diff"] = 0.0
    return table


def summarise(
    table: pd.DataFrame,
    calendar: pd.Index,
    lags: int | Literal["auto"],
    holding: int | None,
    days_per_year: float,
) -> dict[str, float]:
    """Summarise the days of a table. The calendar also has the days in between."""
    reason = table["left_out"]
    counts = reason.isna()
    n_days = int(counts.sum())

    def lags_of(n: int) -> int:
        return lags if lags != "auto" else usual_lags(n) if holding is None else holding - 1

    def t_value(name: str, n: int) -> float:
        return newey_west_t(table[name].reindex(calendar).to_numpy(), lags_of(n))

    periods = days_per_year / (holding or 1)
    n_paired = int(table["ic_diff"].count())
    constant_labels = int((reason == CONSTANT_LABELS).sum())
    constant_predictions = int((reason == CONSTANT_PREDICTIONS).sum())
    return {
        "ic": mean(table["ic"]),
        "icir": mean_over_std(table["ic"]),
        "ic_t": t_value("ic", n_days),
        "rank_ic": mean(table["rank_ic"]),
        "rank_icir": mean_over_std(table["rank_ic"]),
        "rank_ic_t": t_value("rank_ic", n_days),
        "long_short": mean(table["long_short"]),
        "long_short_t": t_value("long_short", n_days),
        "long_short_annual": mean(table["long_short"]) * periods,
        "long_short_sharpe": mean_over_std(table["long_short"]) * periods**0.5,
        "average_annual": mean(table["average"]) * periods,
        "average_sharpe": mean_over_std(table["average"]) * periods**0.5,
        "days": n_days,
        "days_too_few": int((reason == TOO_FEW).sum()),
        "days_constant": constant_labels + constant_predictions,
        "days_constant_labels": constant_labels,
        "days_constant_predictions": constant_predictions,
        "days_long_short": int(table["long_short"].count()),
        "stocks": table["stocks"][counts].mean(),
        "lags": lags_of(n_days),
        "ic_diff": mean(table["ic_diff"]),
        "ic_diff_t": t_value("ic_diff", n_paired),
        "rank_ic_diff": mean(table["rank_ic_diff"]),
        "rank_ic_diff_t": t_value("rank_ic_diff", n_paired),
    }
