"""Importance and attention by lag, and whether both agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.base import SequenceRegressor
from skattn.inspection._importance.rows import ModelRows
from skattn.inspection._importance.significance import mean_tests
from skattn.inspection._lags import STEPS, by_lag
from skattn.inspection._sampling import spread
from skattn.training import attention_maps
from skattn.utils import evenly

# Rows whose attention is averaged, and rows at a time: maps of queries and keys are large.
ROWS, CHUNK = 2_000, 256
# Attention or importance is high (low) from this multiple (fraction) of the uniform share.
MARGIN = 1.25
LEVEL = 0.05


def attention_by_lag(rows: ModelRows) -> pd.Series | None:
    """Average the attention over the steps of the window; None where a model has none.

    A map over "lag" alone comes first. Of a map of queries and keys, the latest query is read. Maps
    whose weights sum to 1 over another axis, such as frequencies, say nothing of lags.
    """
    if not isinstance(rows.model, SequenceRegressor):
        return None
    contract = rows.model.net_.contract
    known = contract.attention_axes if contract.attends else {}
    candidates = [
        (len(axes), name, axes)
        for name, axes in known.items()
        if contract.sums_of(name) in ((step,) for step in STEPS)
    ]
    if not candidates:
        return None
    _, name, axes = min(candidates)
    numbers = np.arange(len(rows))
    if rows.whole_days:
        chunks = spread(rows.by_day(numbers), ROWS)
    else:
        chosen = numbers if rows.days is None else np.concatenate(rows.by_day(numbers))
        places = evenly(len(rows), ROWS)
        chunks = np.array_split(chosen[places], -(-len(places) // CHUNK))
    total, n_rows = np.zeros(rows.n_steps or 1), 0
    for chunk in chunks:
        values = attention_maps(rows.model.net_, rows.samples(chunk))[name]
        total += np.nanmean(by_lag(values, axes), axis=0) * len(chunk)
        n_rows += len(chunk)
    lags = pd.RangeIndex(len(total) - 1, -1, -1, name="lag")
    return pd.Series(total / n_rows, lags, name="attention")


def read_span(text: str) -> np.ndarray:
    """Read lags as ``span`` writes them: "4-7" is 4, 5, 6, 7."""
    parts = [part.split("-") for part in text.split(",")]
    return np.concatenate([np.arange(int(part[0]), int(part[-1]) + 1) for part in parts])


def compare_by_lag(
    permutation: pd.DataFrame | None,
    gradients: pd.DataFrame | None,
    daily: pd.DataFrame | None,
    attention: pd.Series | None,
    overlap: int | None,
) -> pd.DataFrame | None:
    """Sum importance by run of lags, and hold it against the attention.

    Returns
    -------
    table : DataFrame or None
        A row for each run of lags, oldest first. ``permutation``, ``integrated_gradients`` and
        ``attention``: share of the run (of absolute values) over its share of the lags, 1 where
        all lags are alike.
        ``p_holm`` of the permutation importance. ``disagrees``: "", "attention, no importance" or
        "importance, no attention". None where the groups do not divide the lags into runs.
    """
    tables = {"permutation": permutation, "integrated_gradients": gradients}
    given = {name: table for name, table in tables.items() if table is not None}
    spans = {text: read_span(text) for text in next(iter(given.values()))["lags"] if text}
    runs = sorted(spans, key=lambda text: spans[text].max(), reverse=True)
    covered = np.sort(np.concatenate([spans[run] for run in runs])) if runs else np.empty(0)
    if not runs or not np.array_equal(covered, np.arange(len(covered))):
        return None
    uniform = pd.Series([len(spans[run]) / len(covered) for run in runs], runs)
    result = pd.DataFrame(index=pd.Index(runs, name="lags"))
    for name, table in given.items():
        total = table.groupby("lags")["importance"].sum().reindex(runs)
        # Of absolute values: where noise gives drops of both signs, their sum is near zero.
        size = total.abs().sum()
        result[name] = total / size / uniform if size > 0 else np.nan
    if daily is not None and permutation is not None:
        sums = daily.T.groupby(permutation["lags"].to_numpy()).sum(min_count=1).T[runs]
        result["p_holm"] = mean_tests(sums, overlap)["p_holm"]
    if attention is not None and len(attention) == len(covered):
        mean = [attention[spans[run]].mean() for run in runs]
        result["attention"] = np.array(mean) * len(covered)
        result["disagrees"] = _disagrees(result)
    return result


def _disagrees(table: pd.DataFrame) -> np.ndarray:
    """Name the runs that have attention or importance without the other."""
    if "p_holm" in table:
        matters = ((table["p_holm"] < LEVEL) & (table["permutation"] > 0)).to_numpy()
        # Few days leave the importance unknown.
        is_idle = ~matters & table["p_holm"].notna().to_numpy()
    else:
        name = "permutation" if "permutation" in table else "integrated_gradients"
        matters = (table[name] > MARGIN).to_numpy()
        is_idle = (table[name] < 1 / MARGIN).to_numpy()
    attention = table["attention"].to_numpy()
    return np.select(
        [(attention > MARGIN) & is_idle, (attention < 1 / MARGIN) & matters],
        ["attention, no importance", "importance, no attention"],
        "",
    )


def rank_correlations(by_lag: pd.DataFrame | None) -> pd.Series:
    """Spearman's correlation of each importance with the attention, over runs of lags.

    NaN with fewer than three runs, or where all runs are alike.
    """
    found: dict[str, Any] = {}
    if by_lag is not None and "attention" in by_lag:
        for name in ("permutation", "integrated_gradients"):
            if name in by_lag:
                ranks = by_lag[[name, "attention"]].rank()
                varied = len(ranks) > 2 and (ranks.std() > 0).all()
                found[name] = float(np.corrcoef(ranks.T)[0, 1]) if varied else np.nan
    return pd.Series(found, name="rank_correlation", dtype=float)
