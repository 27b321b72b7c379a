"""What the benchmarks of signals share: prices, labels, features, boosting, scores.

The daily score of a signal is kept, so that signals are compared day by day.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from skattn import from_long, make_label
from skattn.metrics import newey_west_error, signal_report, usual_lags
from skattn.preprocessing import RobustZScore, scale_within_days

FIELDS = ("open", "high", "low", "close", "volume")
# Prices are not adjusted: a larger move than the exchange allows is a split or a dividend.
LARGEST_MOVE = 0.22
COST = 0.001  # of the value traded
DAYS_PER_YEAR = 252


def read_prices(path: Path, n_stocks: int, until: str | None = None) -> pd.DataFrame:
    """Read the prices of some stocks, evenly out of the sorted list; drop days after ``until``."""
    ohlcv = from_long(path)
    if missing := [name for name in FIELDS if name not in ohlcv.columns]:
        has = ", ".join(map(str, ohlcv.columns))
        raise SystemExit(f"{path} lacks the columns {', '.join(missing)}; it has {has}.")
    ohlcv = ohlcv[[*FIELDS]]
    if until is not None:
        ohlcv = ohlcv[ohlcv.index.get_level_values("datetime") <= until]
    stocks = ohlcv.index.unique("instrument").sort_values()
    chosen = stocks[np.linspace(0, len(stocks) - 1, min(n_stocks, len(stocks))).round().astype(int)]
    return ohlcv[ohlcv.index.isin(chosen, level="instrument")]


def read_label(ohlcv: pd.DataFrame) -> pd.Series:
    """Make the label, the return from tomorrow's close to the next, without splits."""
    label = make_label(ohlcv)
    return label.where(label.abs() < LARGEST_MOVE)


class Days(NamedTuple):
    """Trading days of a fold: training, early stopping, test; the reach of labels lies between."""

    train: pd.DatetimeIndex
    valid: pd.DatetimeIndex
    test: pd.DatetimeIndex


def in_days(rows: Any, days: pd.DatetimeIndex) -> np.ndarray:
    """Which rows lie on some days."""
    return rows.index.get_level_values("datetime").isin(days)


def ranked(signal: pd.Series) -> pd.Series:
    """Rank a signal within its days, from 0 to 1."""
    return signal.groupby(level="datetime").rank(pct=True)


class Score(NamedTuple):
    """Daily figures of a signal."""

    rank_ic: pd.Series
    ic: pd.Series
    long_short: pd.Series
    turnover: pd.Series


def score(label: pd.Series, signal: pd.Series, quantile: float = 0.2) -> Score:
    """Score a signal by day.

    Turnover is the value traded from one day's portfolio to the next as a share of the capital,
    which is 1 long and 1 short: 4 replaces all stocks of both sides.
    """
    daily = signal_report(label, signal, by="day")
    place = ranked(signal).unstack("instrument")
    weights = 0.0 * place.fillna(0.0)
    for side, chosen in ((1.0, place > 1 - quantile), (-1.0, place <= quantile)):
        weights += side * chosen.div(chosen.sum(axis=1).clip(lower=1), axis=0)
    turnover = weights.diff().abs().sum(axis=1)
    turnover.iloc[0] = weights.iloc[0].abs().sum()
    return Score(daily["rank_ic"], daily["ic"], daily["long_short"], turnover)


def summary(mine: Score, other: Score | None = None) -> dict[str, float]:
    """Means of a score, and the t-value of the difference to another's rank IC."""
    net = mine.long_short - COST * mine.turnover.reindex(mine.long_short.index)
    found = {
        "rank_ic": mine.rank_ic.mean(),
        "rank_icir": over_deviation(mine.rank_ic),
        "ic": mine.ic.mean(),
        "icir": over_deviation(mine.ic),
        "long_short": DAYS_PER_YEAR * mine.long_short.mean(),
        "net": DAYS_PER_YEAR * net.mean(),
        "turnover": mine.turnover.mean(),
    }
    if other is not None:
        difference = (mine.rank_ic - other.rank_ic).dropna().to_numpy()
        error = newey_west_error(difference, usual_lags(len(difference)))
        found |= {"diff": difference.mean(), "t": difference.mean() / error if error else np.nan}
    return {name: float(value) for name, value in found.items()}


def run_all(
    jobs: Sequence[Any], run: Callable[[Any], dict[str, Any]], n_jobs: int, folder: Path
) -> None:
    """Run the jobs that have no file yet, some at a time; store results, report those that fail."""
    waiting = [job for job in jobs if not job.file(folder).exists()]
    began = time.perf_counter()
    with ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run, job): job for job in waiting}
        for done in as_completed(running):
            job = running[done]
            say = f"{time.perf_counter() - began:6.0f} s  {job.name:34} seed {job.seed}  "
            if (error := done.exception()) is not None:
                say += f"failed: {type(error).__name__}: {error}"
            else:
                found = done.result()
                fresh = job.file(folder).with_suffix(".part.npz")
                np.savez(fresh, **found)
                fresh.replace(job.file(folder))
                say += f"{found['seconds']:.0f} s"
                say += f", epochs {found['epochs']}" if "epochs" in found else ""
            print(say, file=sys.stderr, flush=True)


def over_deviation(daily: pd.Series) -> float:
    """Mean of daily values over their standard deviation."""
    spread = daily.std()
    return daily.mean() / spread if spread > 0 else np.nan


def scaled_label(label: pd.Series, method: str) -> pd.Series:
    """Scale the label within its days."""
    day = pd.factorize(label.index.get_level_values("datetime"))[0]
    return pd.Series(scale_within_days(label.to_numpy(), day, method), label.index)


def fit_boosting(
    model: str, table: pd.DataFrame, label: pd.Series, days: Days, method: str, **settings: Any
) -> tuple[np.ndarray, int]:
    """Train boosting on a table of features, scaled by the training days; predict the test days."""
    known = label.notna().to_numpy()
    train, valid = (in_days(label, part) & known for part in days[:2])
    scaler = RobustZScore().fit(table[train])
    X = [
        scaler.transform(table[part]).to_numpy(np.float32)
        for part in (train, valid, in_days(label, days.test))
    ]
    y = scaled_label(label, method)
    return boost(model, X[0], y[train], X[1], y[valid], X[2], **settings)


def boost(
    model: str,
    X_train: np.ndarray,
    y_train: Any,
    X_valid: np.ndarray,
    y_valid: Any,
    X_test: np.ndarray,
    *,
    seed: int,
    rate: float = 0.2,
    penalty: float = 1.0,
) -> tuple[np.ndarray, int]:
    """Train ridge or LightGBM with qlib's settings; predict, and tell the number of rounds.

    Ridge takes the penalty that is best on the days that stop LightGBM.
    """
    if model == "ridge":
        models = [Ridge(alpha=10.0**k).fit(X_train, y_train) for k in range(1, 7)]
        losses = [np.mean((y_valid - each.predict(X_valid)) ** 2) for each in models]
        return models[int(np.argmin(losses))].predict(X_test), 0
    import lightgbm

    # examples/benchmarks/LightGBM/workflow_config_lightgbm_Alpha158.yaml; the learning rate of
    # Alpha360 is another.
    parameters = {
        "objective": "mse",
        "colsample_bytree": 0.8879,
        "learning_rate": rate,
        "subsample": 0.8789,
        "lambda_l1": 205.6999 * penalty,
        "lambda_l2": 580.9768 * penalty,
        "max_depth": 8,
        "num_leaves": 210,
        "num_threads": 1,
        "seed": seed,
        "deterministic": True,
        "verbosity": -1,
    }
    known = lightgbm.Dataset(X_train, y_train)
    held_out = lightgbm.Dataset(X_valid, y_valid, reference=known)
    stop = lightgbm.early_stopping(50, verbose=False)
    found = lightgbm.train(parameters, known, 1000, valid_sets=[held_out], callbacks=[stop])
    return found.predict(X_test), found.best_iteration
