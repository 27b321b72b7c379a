"""Trials of what makes a signal better, on 2019 to 2021 alone, of Chinese A-shares.

    python benchmarks/tune.py [--only TEXT] [--stocks 300] [--jobs 2] [--device cpu] [--folder DIR]

The table is cut before anything else looks at it: rows after 2021-12-31 are dropped as the file is
read, so no trial can see a year that the final comparison tests. Three folds walk forward: each
half year from July 2020 on is predicted by models that were trained on the days before, and stopped
early by the 60 days before the half year; labels that reach into the next part are left out.

A trial is a change of the settings below it in ``TRIALS``; each signal is compared with LightGBM's
on Alpha158 day by day. Runs that were interrupted go on. The table goes to stdout.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _report import US_EQUITIES, describe_machine
from _signals import Days, boost, in_days, ranked, read_label, read_prices, score, summary
from sklearn.pipeline import make_pipeline
from skorch.callbacks import LRScheduler

from skattn import make_model
from skattn.compose import CrossSectionalTarget
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    CrossSectionalScaler,
    RobustZScore,
    RollingWindow,
    SequenceReshaper,
)
from skattn.weights import time_decay

UNTIL = "2021-12-31"
FIRST_DAY = "2019-07-24"  # the first with 60 days before it
TESTS = (("2020-07-01", "2020-12-31"), ("2021-01-01", "2021-06-30"), ("2021-07-01", UNTIL))
REACH = 2
TWENTY = Alpha158.SELECTED20
CN_EQUITIES = US_EQUITIES.with_name("cn_equities.parquet")


@cache
def market(path: str, n_stocks: int) -> tuple[pd.DataFrame, pd.Series]:
    ohlcv = read_prices(Path(path), n_stocks, until=UNTIL)
    return ohlcv, read_label(ohlcv)


def make_folds(days: pd.DatetimeIndex, n_valid: int) -> list[Days]:
    known = days[days >= FIRST_DAY]
    folds = []
    for first, last in TESTS:
        test = known[(known >= first) & (known <= last)]
        before = known[known < first]
        valid = before[-n_valid - REACH : -REACH]
        train = before[: -n_valid - 2 * REACH]
        folds.append(Days(train, valid, test))
    return folds


@cache
def table_of(path: str, n_stocks: int, features: str) -> Any:
    """Features of all rows that learn nothing from other days: windows, or a table."""
    ohlcv, _ = market(path, n_stocks)
    name, length, *scale = features.split(":")
    if name == "alpha360":
        if not scale:
            return Alpha360(length=int(length), vwap="typical").fit_transform(ohlcv)
        columns = Alpha360(length=int(length), vwap="typical", layout="columns").fit_transform(
            ohlcv
        )
        return CrossSectionalScaler(scale[0]).fit_transform(columns)
    parts = {
        "twenty": lambda: Alpha158(columns=TWENTY, vwap="typical").fit_transform(ohlcv),
        "158": lambda: Alpha158(vwap="typical").fit_transform(ohlcv),
        "price": lambda: day_prices(ohlcv),
    }
    table = pd.concat([parts[part]() for part in name.split("+")], axis=1)
    return CrossSectionalScaler(scale[0]).fit_transform(table) if scale else table


def day_prices(ohlcv: pd.DataFrame) -> pd.DataFrame:
    """Today's prices and volume relative to yesterday's close and volume."""
    before = ohlcv.groupby(level="instrument")[["close", "volume"]].shift(1)
    close, volume = before["close"], before["volume"].where(before["volume"] > 0)
    table = {f"{name}/": ohlcv[name] / close - 1 for name in ("open", "high", "low", "close")}
    table["volume/"] = np.log(ohlcv["volume"].where(ohlcv["volume"] > 0) / volume)
    return pd.DataFrame(table)


def inputs(job: dict[str, Any], train: pd.DatetimeIndex) -> Any:
    """Inputs of all rows; what is learnt is learnt from the training days."""
    name, length, *scale = job["features"].split(":")
    table = table_of(job["path"], job["stocks"], job["features"])
    X = RobustZScore(subsample=30_000).fit(table[in_days(table, train)]).transform(table)
    if name == "alpha360":
        return SequenceReshaper(6).fit_transform(X) if scale else X
    return RollingWindow(int(length), fill_method="ffill+bfill").fit_transform(X)


def run(job: dict[str, Any]) -> tuple[dict[str, Any], pd.Series]:
    """Fit and predict the folds of a trial."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(job["threads"])
    began = time.perf_counter()
    _, label = market(job["path"], job["stocks"])
    days = label.index.unique("datetime").sort_values()
    signals, best = [], []
    for fold in make_folds(days, job.get("valid_days", 60)):
        fit = fit_boosting if job["model"] in ("lightgbm", "ridge") else fit_skattn
        test = in_days(label, fold.test)
        predicted, epoch = fit(job, label, fold, test)
        signals.append(pd.Series(predicted, label.index[test]))
        best.append(epoch)
    signal = pd.concat(signals)
    return {"best": best, "seconds": time.perf_counter() - began}, signal


def fit_skattn(job: dict[str, Any], label: pd.Series, fold: Days, test: np.ndarray) -> Any:
    X = inputs(job, fold.train)
    params = dict(job["params"])
    if schedule := params.pop("schedule", None):
        params["callbacks"] = [LRScheduler(schedule, T_max=params["max_epochs"])]
    weights = params.pop("half_life", None)
    n_fixed = params.pop("fixed", None)
    with_valid = params.pop("with_valid", True)
    model = make_model(job["model"], random_state=job["seed"], device=job["device"], **params)
    train, valid = in_days(label, fold.train), in_days(label, fold.valid)
    if n_fixed:
        model.set_params(max_epochs=n_fixed, early_stopping=False)
        train = train | valid if with_valid else train
    y = label[train]
    target = CrossSectionalTarget(model, method=job["label"])
    given: dict[str, Any] = {}
    if not n_fixed:
        given = {"X_val": X[valid], "y_val": label[valid]}
    if weights:
        given["sample_weight"] = time_decay(y, weights).to_numpy()
    target.fit(X[train], y, **given)
    epoch = target.regressor_.n_iter_
    if not n_fixed:
        values = target.regressor_.history_[model.monitor]
        epoch = int(values.idxmin() if model.monitor == "valid_loss" else values.idxmax())
    return target.predict(X[test]), epoch


def fit_boosting(job: dict[str, Any], label: pd.Series, fold: Days, test: np.ndarray) -> Any:
    name, *scale = job["features"].split(":")
    table = flat_table(job["path"], job["stocks"], name)
    if scale:
        table = flat_scaled(job["path"], job["stocks"], name, scale[0])
    train, valid = (in_days(label, days) & label.notna().to_numpy() for days in fold[:2])
    scaler = RobustZScore().fit(table[train])
    X_train, X_valid, X_test = (
        scaler.transform(table[part]).to_numpy(np.float32) for part in (train, valid, test)
    )
    y = label.copy()
    from skattn.preprocessing import scale_within_days

    day = pd.factorize(label.index.get_level_values("datetime"))[0]
    method = job["label"]
    if method:
        y = pd.Series(scale_within_days(label.to_numpy(), day, method), label.index)
    return boost(job["model"], X_train, y[train], X_valid, y[valid], X_test, seed=job["seed"],
                 **job["params"])


@cache
def flat_table(path: str, n_stocks: int, name: str) -> pd.DataFrame:
    ohlcv, _ = market(path, n_stocks)
    return flat(name)[:-1].fit_transform(ohlcv)


@cache
def flat_scaled(path: str, n_stocks: int, name: str, method: str) -> pd.DataFrame:
    return CrossSectionalScaler(method).fit_transform(flat_table(path, n_stocks, name)).fillna(0.0)


BASE = {
    "model": "gru",
    "features": "twenty:20",
    "label": "rank",
    "params": {
        "lr": 1e-3,
        "max_epochs": 10,
        "n_iter_no_change": 3,
        "monitor": "valid_rank_ic",
        "batch_size": 800,
    },
}


def trial(**changes: Any) -> dict[str, Any]:
    params = {**BASE["params"], **changes.pop("params", {})}
    if changes.get("model") in ("lightgbm", "ridge"):
        params = changes.pop("boost", {})
    return {**BASE, **changes, "params": params}


exec((Path(__file__).with_name("_trials.py")).read_text())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ohlcv", type=Path, default=CN_EQUITIES)
    parser.add_argument("--stocks", type=int, default=300)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--budget", type=float, default=1e9)
    parser.add_argument("--folder", type=Path, default=Path("tune"))
    a = parser.parse_args()
    a.folder.mkdir(exist_ok=True, parents=True)
    jobs = []
    for name, t in TRIALS.items():
        if a.only and not any(part in name for part in a.only.split(",")):
            continue
        n = 1 if t["model"] in ("ridge",) else t.get("seeds", a.seeds)
        for seed in range(n):
            jobs.append({**t, "name": name, "seed": seed, "path": str(a.ohlcv), "stocks": a.stocks,
                         "threads": a.threads, "device": a.device})
    jobs.sort(key=lambda job: job["seed"])
    jobs = [job for job in jobs if not (a.folder / f"{job['name']}~{job['seed']}.npz").exists()]
    began = time.perf_counter()
    print(len(jobs), "jobs", flush=True)
    pool = ProcessPoolExecutor(a.jobs, mp_context=get_context("spawn"))
    running = {pool.submit(run, job): job for job in jobs}
    try:
        for done in as_completed(running, timeout=a.budget):
            job = running[done]
            if done.exception() is not None:
                print("FAILED", job["name"], repr(done.exception())[:300], flush=True)
                continue
            info, signal = done.result()
            _, label = market(job["path"], job["stocks"])
            s = score(label[signal.index], signal)
            np.savez(a.folder / f"{job['name']}~{job['seed']}.npz",
                     signal=ranked(signal).to_numpy(np.float16),
                     info=json.dumps(info))
            m = summary(s)
            print(f"{time.perf_counter() - began:5.0f} {job['name']:34}~{job['seed']} "
                  f"ric {m['rank_ic']:.4f} icir {m['rank_icir']:.3f} ls {m['long_short']:.2f} net {m['net']:.2f} "
                  f"to {m['turnover']:.2f} best {info['best']} {info['seconds']:.0f}s", flush=True)
    except TimeoutError:
        print("out of time", flush=True)
    for process in list(pool._processes.values()):
        process.kill()


if __name__ == "__main__":
    main()
