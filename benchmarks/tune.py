"""Trials of what makes a signal better, on Chinese A-shares of 2019 to 2021 alone.

    python benchmarks/tune.py [--only TEXT,TEXT] [--stocks 300] [--seeds 2] [--jobs 2]
                              [--device cpu] [--ohlcv FILE] [--folder DIR]

The table is cut before anything else sees it: rows after 2021-12-31 are dropped when the file has
been read, so no trial can use a year that ``quality.py`` tests. Three folds walk forward: each half
year from July 2020 on is predicted by a model that was trained on the days before and stopped early
by the last 60 of them; days whose labels reach into the next part are left out.

``_trials.py`` says what is tried. Each trial's signal is stored in the folder: runs that were
interrupted go on. The table goes to stdout: the mean of the seeds as one signal, compared by day
with LightGBM on Alpha158. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from _report import CN_EQUITIES, describe_machine
from _signals import (
    Days,
    fit_boosting,
    in_days,
    ranked,
    read_label,
    read_prices,
    run_all,
    score,
    summary,
)
from _trials import BASE, BOOSTING, MEANS, TRIALS
from skorch.callbacks import LRScheduler
from threadpoolctl import threadpool_limits

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
VALID_DAYS = 60
REACH = 2
REFERENCE = "lgb158"


class Job(NamedTuple):
    """A trial with one seed."""

    name: str
    seed: int
    path: str
    n_stocks: int
    device: str

    def file(self, folder: Path) -> Path:
        """Where the signal is stored."""
        return folder / f"{self.name}~{self.seed}.npz"


@cache
def market(path: str, n_stocks: int) -> tuple[pd.DataFrame, pd.Series]:
    """Prices and labels until the end of 2021; no function here reads later ones."""
    ohlcv = read_prices(Path(path), n_stocks, until=UNTIL)
    return ohlcv, read_label(ohlcv)


def make_folds(label: pd.Series) -> list[Days]:
    days = label.index.unique("datetime").sort_values()
    known = days[days >= FIRST_DAY]
    folds = []
    for first, last in TESTS:
        before = known[known < first]
        valid = before[-VALID_DAYS - REACH : -REACH]
        train = before[: -VALID_DAYS - 2 * REACH]
        folds.append(Days(train, valid, known[(known >= first) & (known <= last)]))
    return folds


@cache
def table_of(path: str, n_stocks: int, features: str) -> Any:
    """Features of all rows that learn nothing from other days: a table, or windows."""
    ohlcv, _ = market(path, n_stocks)
    name, length, *method = features.split(":")
    if name == "alpha360" and not method:
        return Alpha360(length=int(length), vwap="typical").fit_transform(ohlcv)
    if name == "alpha360":
        alpha = Alpha360(length=int(length), vwap="typical", layout="columns")
        return CrossSectionalScaler(method[0]).fit_transform(alpha.fit_transform(ohlcv))
    parts = {
        "twenty": lambda: Alpha158(columns=Alpha158.SELECTED20).fit_transform(ohlcv),
        "158": lambda: Alpha158(vwap="typical").fit_transform(ohlcv),
        "price": lambda: day_prices(ohlcv),
    }
    table = pd.concat([parts[part]() for part in name.split("+")], axis=1)
    return CrossSectionalScaler(method[0]).fit_transform(table) if method else table


def day_prices(ohlcv: pd.DataFrame) -> pd.DataFrame:
    """Today's prices and volume relative to yesterday's close and volume."""
    before = ohlcv.groupby(level="instrument")[["close", "volume"]].shift(1)
    table = {
        f"{name}/": ohlcv[name] / before["close"] - 1 for name in ("open", "high", "low", "close")
    }
    volume, volume_before = (each.where(each > 0) for each in (ohlcv["volume"], before["volume"]))
    return pd.DataFrame(table | {"volume/": np.log(volume / volume_before)})


def inputs(job: Job, train: pd.DatetimeIndex) -> Any:
    """Windows of all rows; what is learnt is learnt from the training days."""
    features = TRIALS[job.name]["features"]
    name, length, *method = features.split(":")
    table = table_of(job.path, job.n_stocks, features)
    X = RobustZScore(subsample=30_000).fit(table[in_days(table, train)]).transform(table)
    if name == "alpha360":
        return SequenceReshaper(6).fit_transform(X) if method else X
    return RollingWindow(int(length), fill_method="ffill+bfill").fit_transform(X)


def run(job: Job) -> dict[str, Any]:
    """Fit and predict the folds of a trial."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    threadpool_limits(1)  # products of numpy depend on the number of threads, in their last bits
    began = time.perf_counter()
    _, label = market(job.path, job.n_stocks)
    fit = fit_flat if TRIALS[job.name]["model"] in BOOSTING else fit_skattn
    signals, epochs = [], []
    for fold in make_folds(label):
        predicted, epoch = fit(job, label, fold)
        signals.append(pd.Series(predicted, label.index[in_days(label, fold.test)]))
        epochs.append(epoch)
    signal = ranked(pd.concat(signals)).to_numpy(np.float16)
    return {"signal": signal, "epochs": epochs, "seconds": time.perf_counter() - began}


def fit_skattn(job: Job, label: pd.Series, fold: Days) -> tuple[np.ndarray, int]:
    """Predict a fold's test rows; tell the best epoch, or the last where nothing stops."""
    X = inputs(job, fold.train)
    params = dict(TRIALS[job.name]["params"])
    own = {name: params.pop(name, None) for name in ("fixed", "cosine", "with_valid", "half_life")}
    if own["cosine"]:
        params["callbacks"] = [LRScheduler("CosineAnnealingLR", T_max=params["max_epochs"])]
    model = make_model(
        TRIALS[job.name]["model"], random_state=job.seed, device=job.device, **params
    )
    train, valid = in_days(label, fold.train), in_days(label, fold.valid)
    given: dict[str, Any] = {"X_val": X[valid], "y_val": label[valid]}
    if own["fixed"]:
        model.set_params(early_stopping=False)
        given = {}
        if own["with_valid"] is not False:
            train = train | valid
    if own["half_life"]:
        given["sample_weight"] = time_decay(label[train], own["half_life"]).to_numpy()
    target = CrossSectionalTarget(model, method=TRIALS[job.name]["label"])
    target.fit(X[train], label[train], **given)
    fitted = target.regressor_
    epoch = fitted.n_iter_
    if not own["fixed"]:
        values = fitted.history_[model.monitor]
        epoch = int(values.idxmin() if model.monitor == "valid_loss" else values.idxmax())
    return target.predict(X[in_days(label, fold.test)]), epoch


def fit_flat(job: Job, label: pd.Series, fold: Days) -> tuple[np.ndarray, int]:
    """Predict a fold's test rows by boosting; tell the number of rounds."""
    wanted = TRIALS[job.name]
    table = flat_features(job.path, job.n_stocks, wanted["features"])
    settings = {"seed": job.seed, **wanted["params"]}
    return fit_boosting(wanted["model"], table, label, fold, wanted["label"], **settings)


@cache
def flat_features(path: str, n_stocks: int, features: str) -> pd.DataFrame:
    ohlcv, _ = market(path, n_stocks)
    name, *method = features.split(":")
    alpha = Alpha360(vwap="typical", layout="columns")
    if name == "alpha158":
        alpha = Alpha158(vwap="typical")
    table = alpha.fit_transform(ohlcv)
    return CrossSectionalScaler(method[0]).fit_transform(table).fillna(0.0) if method else table


def changes(name: str) -> str:
    """What a trial changes, in words."""
    wanted = TRIALS[name]
    usual = {} if wanted["model"] in BOOSTING else BASE["params"]
    said = [] if wanted["label"] == "rank" else [f"label={wanted['label']}"]
    for key, value in wanted["params"].items():
        if key not in usual or usual[key] != value:
            value = Path(value).name if key == "pretrained" else value
            said.append(f"{key}={value}")
    return ", ".join(said)


def table(jobs: list[Job], folder: Path) -> str:
    """Lay out the scores of the stored signals as Markdown."""
    _, label = market(jobs[0].path, jobs[0].n_stocks)
    tested = np.concatenate(
        [np.flatnonzero(in_days(label, each.test)) for each in make_folds(label)]
    )
    label = label.iloc[tested]
    found: dict[str, list[pd.Series]] = {}
    for job in jobs:
        if job.file(folder).exists():
            stored = np.load(job.file(folder))["signal"].astype(np.float64)
            found.setdefault(job.name, []).append(pd.Series(stored, label.index))
    reference = score(label, found[REFERENCE][0]) if REFERENCE in found else None
    rows = [(name, TRIALS[name], signals) for name, signals in found.items()]
    for name, parts in MEANS.items():
        if all(part in found for part in parts):
            rows.append(
                (
                    name,
                    {"features": "", "model": "mean"},
                    [signal for part in parts for signal in found[part]],
                )
            )
    lines = [
        "| trial | model | features | changes | rank IC of each seed | rank IC | rank ICIR "
        "| long-short a year | after costs | turnover a day | rank IC less LightGBM | t |",
        "|" + "---|" * 12,
    ]
    for name, wanted, signals in rows:
        mine = score(label, sum(signals) / len(signals))
        s = summary(mine, reference)
        alone = [score(label, signal).rank_ic.mean() for signal in signals]
        cells = [
            name,
            wanted["model"],
            wanted["features"],
            changes(name) if name in TRIALS else "",
            ", ".join(f"{value:.4f}" for value in alone) if name in TRIALS else "",
            f"{s['rank_ic']:.4f}",
            f"{s['rank_icir']:.3f}",
            f"{s['long_short']:+.2f}",
            f"{s['net']:+.2f}",
            f"{s['turnover']:.2f}",
            f"{s['diff']:+.4f}" if "diff" in s else "",
            f"{s['t']:+.1f}" if "t" in s and name != REFERENCE else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ohlcv", type=Path, default=CN_EQUITIES, help="long parquet file")
    parser.add_argument("--stocks", type=int, default=300)
    parser.add_argument("--only", default="", help="trials whose names hold one of these texts")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time")
    parser.add_argument("--device", default="cpu", help='"cuda" for a GPU')
    parser.add_argument("--folder", type=Path, default=Path("tune-signals"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in TRIALS if any(part in name for part in arguments.only.split(","))]
    where = (str(arguments.ohlcv), arguments.stocks, arguments.device)
    jobs = [Job(name, seed, *where) for seed in range(arguments.seeds) for name in chosen]
    run_all(jobs, run, arguments.jobs, arguments.folder)
    print(describe_machine("lightgbm"))
    print(
        f"{arguments.stocks} stocks; tested on 2020-07-01 to {UNTIL} in {len(TESTS)} folds; seeds "
        f"0 to {arguments.seeds - 1}; t-values are of the rank IC less {REFERENCE}'s, paired by day"
    )
    print(table(jobs, arguments.folder))


if __name__ == "__main__":
    main()
