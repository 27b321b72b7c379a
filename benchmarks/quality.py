"""Scores of skattn's models and qlib's, each trained in its own code on the same arrays.

    python benchmarks/quality.py [--models alstm,hist,...] [--stocks 128] [--seeds 3] [--jobs 2]
                                 [--train-days N --valid-days N --test-days N --max-epochs N]
                                 [--json FILE] [--resume] [--ohlcv FILE --sectors FILE]

Daily prices of US large caps: 2010-2014 train, 2015 validates, 2016 tests; the last two days of
each are left out, whose labels reach into the next. Alpha360 windows (vwap = typical price), a
robust z-score of the training years. The label is close[t+2] / close[t+1] - 1, ranked within the
day for training and validation as by qlib's CSRankNorm, raw for the test.

So that qlib's loops are through within half an hour, training and validation are of days spread
evenly over their years, whole cross-sections each, and epochs are few: see BUDGET. Both sides get
the same days, parameters (those of qlib's workflows) and number of epochs, and both keep the best
epoch's weights. With 128 stocks a number of days is a number of full batches: qlib leaves out those
that are not full, in training and in validation.

Each fit is a job of its own on one thread, and its row of the JSON file is reproducible from its
seed. Progress goes to stderr, the tables to stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from _qlib_models import MODELS, Frames, make_qlib, make_regressor, predict, read_concepts
from _qlib_models import temporary_folder as temporary
from _report import US_EQUITIES, describe_machine

from skattn import from_long
from skattn.labels import make_label
from skattn.metrics import signal_report
from skattn.panel import WindowArray
from skattn.preprocessing import Alpha360, RobustZScore

YEARS = {"train": ("2010", "2014"), "valid": ("2015", "2015"), "test": ("2016", "2016")}
METRICS = ("ic", "icir", "rank_ic", "rank_icir")
BASELINES = ("ridge", "lightgbm")


class Budget(NamedTuple):
    """How much of the data a model is trained on, and for how many epochs at most."""

    train_days: int
    valid_days: int
    max_epochs: int


# Days of 128 stocks fill batches: 25 of them 4 of 800 rows or 2 of 1,600, 16 of them 1 of 2,048.
BUDGET = {
    "alstm": Budget(125, 50, 6),
    "gru": Budget(125, 50, 6),
    "hist": Budget(125, 50, 6),
    "lstm": Budget(125, 50, 6),
    "sfm": Budget(75, 25, 5),
    "transformer": Budget(64, 16, 3),
    "ridge": Budget(125, 50, 0),
    "lightgbm": Budget(125, 50, 1000),
}


class Segment(NamedTuple):
    """Rows of some days, in order of time."""

    X: WindowArray
    y: pd.Series


class Market:
    """Windows and labels of all days; segments are taken from it."""

    def __init__(self, path: Path, n_stocks: int) -> None:
        table = from_long(pd.read_parquet(path)).sort_index()
        label = make_label(table)
        table = table[table.index.get_level_values("datetime") >= "2009-09-01"]
        stocks = pick_stocks(table.index, n_stocks)
        table = table[table.index.get_level_values("instrument").isin(stocks)]
        windows = Alpha360(vwap="typical").fit_transform(table)
        label = label[windows.index]
        years = windows.index.get_level_values("datetime").year
        first, last = map(int, YEARS["train"])
        scaler = RobustZScore().fit(windows[(first <= years) & (years <= last)])
        self.n_stocks = len(stocks)
        self.windows, self.label = scaler.transform(windows), label

    def segment(self, name: str, n_days: int | None = None) -> Segment:
        """Take days spread evenly over a segment's years, or all; rows with a label."""
        days = self.label.index.get_level_values("datetime")
        first, last = map(int, YEARS[name])
        known = days[(first <= days.year) & (days.year <= last)].unique()[:-2]
        if n_days is not None and n_days < len(known):
            known = known[np.linspace(0, len(known) - 1, n_days).round().astype(int)]
        rows = days.isin(known) & self.label.notna().to_numpy()
        y = self.label[rows]
        if name != "test":
            y = (y.groupby(level="datetime").rank(pct=True) - 0.5) * 3.46
        return Segment(self.windows[rows], y)


def pick_stocks(index: pd.MultiIndex, n_stocks: int) -> pd.Index:
    """Pick the stocks with the most days; of those that have as many, at random from seed 0."""
    n_days = index.get_level_values("instrument").value_counts().sort_index()
    n_days = n_days.sample(frac=1, random_state=0).sort_values(ascending=False, kind="stable")
    return n_days.index[:n_stocks]


@cache
def load_market(path: Path, n_stocks: int) -> Market:
    return Market(path, n_stocks)


class Job(NamedTuple):
    """One fit."""

    model: str
    side: str
    seed: int
    budget: Budget
    arguments: argparse.Namespace

    @property
    def key(self) -> str:
        """Name of its row in the JSON file."""
        return f"{self.model}/{self.side}/{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """What its scores depend on, beside the versions."""
        a = self.arguments
        return {
            **self.budget._asdict(),
            "stocks": a.stocks,
            "test_days": a.test_days,
            "device": a.device,
            "ohlcv": a.ohlcv.name,
        }


def run(job: Job) -> dict[str, Any]:
    """Train, predict the test days and score them."""
    torch.set_num_threads(job.arguments.threads)
    market = load_market(job.arguments.ohlcv, job.arguments.stocks)
    train = market.segment("train", job.budget.train_days)
    valid = market.segment("valid", job.budget.valid_days)
    test = market.segment("test", job.arguments.test_days)
    began = time.perf_counter()
    predicted, n_epochs, best_epoch = FITS[job.side](job, train, valid, test)
    seconds = time.perf_counter() - began
    scores = signal_report(test.y, predicted)
    return {
        **{metric: float(scores[metric]) for metric in METRICS},
        "epochs": n_epochs,
        "best_epoch": best_epoch,
        "train_rows": len(train.y),
        "valid_rows": len(valid.y),
        "test_rows": len(test.y),
        "scored_days": int(scores["days"]),
        "seconds": seconds,
        "settings": job.settings,
    }


def skattn_regressor(job: Job) -> Any:
    return make_regressor(
        job.model,
        read_concepts(job.arguments.sectors),
        max_epochs=job.budget.max_epochs,
        random_state=job.seed,
        device=job.arguments.device,
    )


def fit_skattn(job: Job, train: Segment, valid: Segment, test: Segment) -> tuple:
    """Train and predict with skattn."""
    model = skattn_regressor(job).fit(train.X, train.y, X_val=valid.X, y_val=valid.y)
    score = model.history_[model.monitor]
    best = score.idxmin() if model.monitor == "valid_loss" else score.idxmax()
    return model.predict(test.X), model.n_iter_, int(best)


def fit_qlib(job: Job, train: Segment, valid: Segment, test: Segment) -> tuple:
    """Train and predict with qlib's own fit and predict."""
    segments = {"train": train, "valid": valid, "test": test}
    frames = Frames({k: (np.asarray(s.X), s.y.to_numpy(), s.y.index) for k, s in segments.items()})
    with temporary() as folder:
        model = make_qlib(
            job.model,
            skattn_regressor(job),
            seed=job.seed,
            folder=Path(folder),
            device=job.arguments.device,
        )
        if job.model != "hist" and min(len(train.y), len(valid.y)) < model.batch_size:
            raise ValueError(
                f"qlib leaves out batches that are not full: {job.model} needs days with at least "
                f"{model.batch_size} rows for training and for validation."
            )
        found: dict[str, list] = {}
        model.fit(frames, evals_result=found, save_path=f"{folder}/best.pt")
        predicted = predict(job.model, model, frames)
    return predicted, len(found["valid"]), 1 + int(np.argmax(found["valid"]))


def fit_baseline(job: Job, train: Segment, valid: Segment, test: Segment) -> tuple:
    """Train and predict with a model of flat windows."""
    flat = [np.asarray(s.X).reshape(len(s.y), -1) for s in (train, valid, test)]
    if job.model == "ridge":
        from sklearn.linear_model import Ridge

        models = [Ridge(alpha=10.0**k).fit(flat[0], train.y) for k in range(1, 7)]
        losses = [np.mean((valid.y - model.predict(flat[1])) ** 2) for model in models]
        return models[int(np.argmin(losses))].predict(flat[2]), 0, 0
    import lightgbm

    # As in qlib's workflow_config_lightgbm_Alpha360.yaml, whose penalties are for 500,000 rows.
    parameters = {
        "objective": "mse",
        "colsample_bytree": 0.8879,
        "learning_rate": 0.0421,
        "subsample": 0.8789,
        "lambda_l1": 205.6999 * len(train.y) / 500_000,
        "lambda_l2": 580.9768 * len(train.y) / 500_000,
        "max_depth": 8,
        "num_leaves": 210,
        "num_threads": job.arguments.threads,
        "seed": job.seed,
        "verbosity": -1,
    }
    known = lightgbm.Dataset(flat[0], train.y)
    held_out = lightgbm.Dataset(flat[1], valid.y, reference=known)
    stop = lightgbm.early_stopping(50, verbose=False)
    model = lightgbm.train(
        parameters, known, job.budget.max_epochs, valid_sets=[held_out], callbacks=[stop]
    )
    return model.predict(flat[2]), model.current_iteration(), model.best_iteration


FITS: dict[str, Callable[..., tuple]] = {
    "skattn": fit_skattn,
    "qlib": fit_qlib,
    "baseline": fit_baseline,
}


def make_jobs(arguments: argparse.Namespace) -> list[Job]:
    """All the fits, the longest first, so that none is alone at the end."""
    jobs = []
    for model in sorted(arguments.models, key=list(reversed(BUDGET)).index):
        budget = BUDGET[model]
        given = {field: getattr(arguments, field) for field in Budget._fields}
        if model in BASELINES:
            del given["max_epochs"]
        budget = budget._replace(**{k: v for k, v in given.items() if v is not None})
        sides = ("baseline",) if model in BASELINES else ("qlib", "skattn")
        for side in sides:
            n_seeds = 1 if model == "ridge" else arguments.seeds
            jobs += [Job(model, side, seed, budget, arguments) for seed in range(n_seeds)]
    return jobs


def tables(jobs: list[Job], results: dict[str, dict]) -> str:
    """Lay out scores and differences as Markdown."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for job in jobs:
        groups.setdefault((job.model, job.side), []).append(results[job.key])
    lines = [
        "| model | code | IC | ICIR | rank IC | rank ICIR | days x stocks trained on "
        "| epochs (best) | s a fit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    order = [*MODELS, *BASELINES]
    for (model, side), rows in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        scores = [spread([row[metric] for row in rows]) for metric in METRICS]
        epochs = ", ".join(f"{row['epochs']} ({row['best_epoch']})" for row in rows)
        days = rows[0]["settings"]["train_days"]
        trained = f"{days} x {rows[0]['train_rows'] / days:.0f}"
        seconds = f"{np.mean([row['seconds'] for row in rows]):.0f}"
        cells = [model, side, *scores, trained, epochs, seconds]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "skattn less qlib, in units of its standard error, sqrt((s1^2 + s2^2) / seeds):",
        "",
        "| model | IC | ICIR | rank IC | rank ICIR |",
        "|---|---|---|---|---|",
    ]
    for model in (m for m in MODELS if (m, "qlib") in groups and (m, "skattn") in groups):
        sides = [groups[model, side] for side in ("skattn", "qlib")]
        cells = [apart(*([row[metric] for row in rows] for rows in sides)) for metric in METRICS]
        lines.append("| " + " | ".join([model, *cells]) + " |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def apart(ours: list[float], theirs: list[float]) -> str:
    difference = np.mean(ours) - np.mean(theirs)
    if len(ours) < 2:
        return f"{difference:+.4f} (one seed)"
    error = np.sqrt((np.var(ours, ddof=1) + np.var(theirs, ddof=1)) / len(ours))
    return f"{difference / error:+.2f} ({difference:+.4f})"


def read_results(arguments: argparse.Namespace, jobs: list[Job]) -> dict[str, dict]:
    """Read those of an interrupted run that were made with the same settings."""
    if not (arguments.resume and arguments.json.exists()):
        return {}
    held = json.loads(arguments.json.read_text())["results"]
    settings = {job.key: job.settings for job in jobs}
    return {k: row for k, row in held.items() if row["settings"] == settings.get(k)}


def write_results(arguments: argparse.Namespace, results: dict[str, dict]) -> None:
    content = {"machine": describe_machine("pyqlib", "lightgbm"), "results": results}
    fresh = arguments.json.with_suffix(".tmp")
    fresh.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    fresh.replace(arguments.json)


def run_all(jobs: list[Job], results: dict[str, dict], arguments: argparse.Namespace) -> None:
    """Run the jobs that have no result yet, some at a time."""
    waiting = [job for job in jobs if job.key not in results]
    began = time.perf_counter()
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run, job): job for job in waiting}
        for done in as_completed(running):
            key = running[done].key
            if done.exception() is not None:
                pool.shutdown(cancel_futures=True)
                raise RuntimeError(
                    f"{key} failed; --resume goes on from here"
                ) from done.exception()
            results[key] = row = done.result()
            write_results(arguments, results)
            print(
                f"{time.perf_counter() - began:6.0f} s  {key:22} IC {row['ic']:+.4f}  rank IC "
                f"{row['rank_ic']:+.4f}  best epoch {row['best_epoch']} of {row['epochs']}  "
                f"{row['seconds']:.0f} s",
                file=sys.stderr,
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=",".join(BUDGET), help="comma-separated")
    parser.add_argument("--stocks", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of a fit")
    parser.add_argument("--train-days", type=int, help="in place of BUDGET's, for all models")
    parser.add_argument("--valid-days", type=int)
    parser.add_argument("--test-days", type=int, help="default: all")
    parser.add_argument("--max-epochs", type=int)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results/quality.json")
    parser.add_argument("--resume", action="store_true", help="keep what the JSON file has")
    parser.add_argument("--ohlcv", type=Path, default=US_EQUITIES, help="long parquet file")
    parser.add_argument("--sectors", type=Path, default=US_EQUITIES.with_name("us_sectors.csv"))
    arguments = parser.parse_args()
    arguments.models = arguments.models.split(",")
    torch.set_num_threads(arguments.threads)
    began = time.perf_counter()
    jobs = make_jobs(arguments)
    results = read_results(arguments, jobs)
    n_held = len(results)
    run_all(jobs, results, arguments)
    n_days, n_rows = (
        max(results[job.key][k] for job in jobs) for k in ("scored_days", "test_rows")
    )
    print(describe_machine("pyqlib", "lightgbm") + f", {arguments.jobs} fits at a time")
    print(
        f"{arguments.stocks} stocks; tested on {n_days} days of 2016, "
        f"{n_rows} rows; seeds 0 to {arguments.seeds - 1}, mean ± standard deviation; "
        f"{len(jobs) - n_held} fits in {time.perf_counter() - began:.0f} s"
        + (f", {n_held} read from {arguments.json.name}" if n_held else "")
        + "\n"
    )
    print(tables(jobs, results))


if __name__ == "__main__":
    main()
