"""Whether the models are worth more than gradient boosting: Chinese A-shares, tested from 2022.

    python benchmarks/quality.py [--stocks 300] [--seeds 3] [--models gru,lstm] [--inputs factors]
                                 [--jobs 2] [--ohlcv FILE] [--folder DIR]

Models are trained on days up to 2021-06, LightGBM and qlib's loops are stopped early by the rest of
2021, and all of them predict the days from 2022-01 to the end. The label is close[t+2] / close[t+1]
- 1, ranked within the day for training; days whose labels reach into the next part are left out.

Inputs are those of the recipe (``skattn.recipes``: "factors" and "prices", whose mean is the
recipe's signal), the twenty features of Alpha158 in qlib's workflows, and Alpha360. All of skattn's
models are trained as the recipe says. LightGBM and ridge get all features of Alpha158, or Alpha360,
as qlib's workflows process them, and also the recipe's ranked factors. qlib's own code trains with
its defaults, but for the number of epochs (``QLIB_EPOCHS``), on the twenty features, HIST on the
recipe's prices, with learnt concepts. Models of plugins that are installed get the recipe's inputs;
MASTER needs columns of the market, and is not among them.

Each fit is a job on one thread whose predictions are stored in the folder: runs that were
interrupted go on, and a run with the same settings prints the same table. The table goes to stdout,
progress to stderr.
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
    scaled_label,
    score,
    summary,
)
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

import skattn
from skattn.compose import LearntConcepts
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    CorrelationClusters,
    CrossSectionalScaler,
    RobustZScore,
    RollingWindow,
)
from skattn.recipes import make_signal_model

FIRST_DAY, TRAIN_UNTIL, TEST_FROM = "2019-07-24", "2021-06-30", "2022-01-01"
REACH = 2
BUILT_IN = ("gru", "lstm", "alstm", "transformer", "hist", "sfm")
INPUTS = ("factors", "prices", "twenty", "alpha360")
BOOSTING = {
    "lightgbm": ("alpha158", "alpha360", "factors"),
    "ridge": ("alpha158", "alpha360", "factors"),
}
# LightGBM's learning rates in qlib's workflows.
RATES = {"alpha158": 0.2, "alpha360": 0.0421, "factors": 0.2}
# Inputs of qlib's own code; its HIST takes six features and no other number.
QLIB = {"gru": "twenty", "lstm": "twenty", "alstm": "twenty", "hist": "prices"}
QLIB_EPOCHS = 3
# float32 would take most of the hour.
BF16 = ("transformer", "localformer")
# A fit takes five minutes and more: one seed, unless --slow-seeds asks for more.
SLOW = (
    ("transformer", "alpha360"),
    ("sfm", "alpha360"),
    ("localformer", "factors"),
    ("localformer", "prices"),
)
REFERENCES = ("lightgbm alpha158", "lightgbm alpha360")
# Boosting on what the recipe ranks: what the models add to the features.
STRONGEST = "lightgbm factors"


class Job(NamedTuple):
    """One fit."""

    model: str
    inputs: str
    seed: int
    path: str
    n_stocks: int

    @property
    def name(self) -> str:
        """Model and inputs."""
        return f"{self.model} {self.inputs}"

    def file(self, folder: Path) -> Path:
        """Where the predictions are stored."""
        return folder / f"{self.name.replace(' ', '~')}~{self.seed}~{self.n_stocks}.npz"


@cache
def market(path: str, n_stocks: int) -> tuple[pd.DataFrame, pd.Series, Days]:
    """Prices and labels of all rows, and the days of the three parts."""
    ohlcv = read_prices(Path(path), n_stocks)
    label = read_label(ohlcv)
    days = ohlcv.index.unique("datetime").sort_values()
    days = days[days >= FIRST_DAY]
    train = days[days <= TRAIN_UNTIL][:-REACH]
    valid = days[(days > TRAIN_UNTIL) & (days < TEST_FROM)][:-REACH]
    return ohlcv, label, Days(train, valid, days[days >= TEST_FROM])


def run(job: Job) -> dict[str, Any]:
    """Train on the training days and predict the test days."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    threadpool_limits(1)  # products of numpy depend on the number of threads, in their last bits
    began = time.perf_counter()
    if job.model in BOOSTING:
        _, label, days = market(job.path, job.n_stocks)
        table = flat_features(job.path, job.n_stocks, job.inputs)
        settings = {"seed": job.seed, "rate": RATES[job.inputs]}
        predicted = fit_boosting(job.model, table, label, days, "rank", **settings)[0]
    elif job.model.startswith("qlib-"):
        predicted = fit_qlib(job)
    else:
        predicted = fit_skattn(job)
    return {"predicted": predicted.astype(np.float32), "seconds": time.perf_counter() - began}


def make_pipeline_of(job: Job) -> Any:
    """The recipe's model, on the recipe's inputs or on others."""
    name, *with_concepts = job.model.split("+")
    given = {"precision": "bf16"} if name in BF16 else {}
    views = job.inputs if job.inputs in ("factors", "prices") else "prices"
    model = make_signal_model(
        name, views=views, n_seeds=1, random_state=job.seed, device="cpu", **given
    )
    if job.inputs == "twenty":
        features = Alpha158(columns=Alpha158.SELECTED20, vwap="typical")
        windows = RollingWindow(20, fill_method="ffill+bfill")
        model = make_pipeline(features, RobustZScore(), windows, model[-1])
    elif job.inputs == "alpha360":
        model = make_pipeline(Alpha360(vwap="typical"), RobustZScore(), model[-1])
    return LearntConcepts(model, CorrelationClusters()) if with_concepts else model


def fit_skattn(job: Job) -> np.ndarray:
    ohlcv, label, days = market(job.path, job.n_stocks)
    train = in_days(ohlcv, days.train)
    model = make_pipeline_of(job).fit(ohlcv[train], label[train])
    # The days between are context for the first test days.
    later = ohlcv[ohlcv.index.get_level_values("datetime") > TRAIN_UNTIL]
    predicted = pd.Series(model.predict(later), later.index)
    return predicted[in_days(predicted, days.test)].to_numpy()


@cache
def flat_features(path: str, n_stocks: int, inputs: str) -> pd.DataFrame:
    ohlcv, _, _ = market(path, n_stocks)
    if inputs == "alpha360":
        return Alpha360(vwap="typical", layout="columns").fit_transform(ohlcv)
    table = Alpha158(vwap="typical").fit_transform(ohlcv)
    return CrossSectionalScaler("rank").fit_transform(table) if inputs == "factors" else table


def fit_qlib(job: Job) -> np.ndarray:
    """Train and predict with qlib's own ``fit`` and ``predict``, with qlib's defaults."""
    from _qlib_models import Frames, make_qlib, predict, temporary_folder

    ohlcv, label, days = market(job.path, job.n_stocks)
    name = job.model.removeprefix("qlib-")
    train = in_days(ohlcv, days.train)
    if job.inputs == "prices":
        table = Alpha360(length=20, vwap="typical").fit_transform(ohlcv)
        windows = RobustZScore().fit(table[train]).transform(table)
    else:
        table = Alpha158(columns=Alpha158.SELECTED20, vwap="typical").fit_transform(ohlcv)
        table = RobustZScore().fit(table[train]).transform(table)
        windows = RollingWindow(20, fill_method="ffill+bfill").fit_transform(table)
    y = scaled_label(label, "rank")
    known = label.notna().to_numpy()
    parts = {}
    for part, chosen, needs in zip(("train", "valid", "test"), days, (1, 1, 0), strict=True):
        rows = in_days(label, chosen) & (known if needs else True)
        parts[part] = (np.asarray(windows[rows]), y[rows].fillna(0.0).to_numpy(), y.index[rows])
    concepts = None
    if name == "hist":
        found = CorrelationClusters().fit(ohlcv[train]).concepts_
        stocks = ohlcv.index.unique("instrument").sort_values()
        concepts = pd.get_dummies(found).reindex(stocks, fill_value=0).astype(np.float32)
    given = {"concepts": concepts} if name == "hist" else {}
    ours = skattn.make_model(name, max_epochs=QLIB_EPOCHS, **given)
    with temporary_folder() as folder:
        frames = Frames(parts)
        model = make_qlib(
            name, ours, seed=job.seed, folder=Path(folder), n_features=windows.shape[2]
        )
        model.fit(frames, evals_result={}, save_path=f"{folder}/best.pt")
        return predict(name, model, frames)


def takes(model: str, inputs: str) -> bool:
    """Whether a model is tried on these inputs: those of plugins on the recipe's alone."""
    return model.partition("+")[0] in BUILT_IN or inputs in ("factors", "prices")


def make_jobs(arguments: argparse.Namespace) -> list[Job]:
    """All fits: boosting first, then seed by seed, so that an interrupted run says something."""
    jobs = []
    where = (str(arguments.ohlcv), arguments.stocks)
    for seed in range(arguments.seeds):
        for model, inputs in BOOSTING.items():
            if model == "lightgbm" or seed == 0:
                jobs += [Job(model, each, seed, *where) for each in inputs]
    for seed in range(arguments.seeds):
        for inputs in arguments.inputs:
            jobs += [
                Job(model, inputs, seed, *where)
                for model in arguments.models
                if takes(model, inputs)
                and ((model, inputs) not in SLOW or seed < arguments.slow_seeds)
            ]
        jobs += [Job(f"qlib-{model}", QLIB[model], seed, *where) for model in arguments.qlib]
    return jobs


class Signals:
    """The stored predictions of the jobs, as signals."""

    def __init__(self, jobs: list[Job], folder: Path) -> None:
        _, label, days = market(jobs[0].path, jobs[0].n_stocks)
        self.label = label[in_days(label, days.test)]
        self.found: dict[str, list[pd.Series]] = {}
        self.seconds: dict[str, float] = {}
        for job in jobs:
            if job.file(folder).exists():
                stored = np.load(job.file(folder))
                signal = pd.Series(stored["predicted"].astype(np.float64), self.label.index)
                self.found.setdefault(job.name, []).append(signal)
                spent = self.seconds.get(job.name, 0.0)
                self.seconds[job.name] = spent + float(stored["seconds"])
        for model in {job.model for job in jobs}:
            views = [self.found.get(f"{model} {view}", []) for view in ("factors", "prices")]
            if all(views) and model not in BOOSTING:
                pairs = zip(*views, strict=False)
                self.found[f"{model} recipe"] = [(one + other) / 2 for one, other in pairs]
        for inputs in ("recipe", *INPUTS):
            names = [f"{model} {inputs}" for model in BUILT_IN]
            if all(name in self.found for name in names):
                each = [ranked(mean(self.found[name])) for name in names]
                self.found[f"average {inputs}"] = [mean(each)]


def mean(signals: list[pd.Series]) -> pd.Series:
    return sum(signals[1:], signals[0]) / len(signals)


def tables(signals: Signals) -> str:
    """Lay out the scores as Markdown, each against the better of the two LightGBMs."""
    scores = {name: score(signals.label, mean(each)) for name, each in signals.found.items()}
    there = [name for name in REFERENCES if name in scores]
    best = max(there, key=lambda name: scores[name].rank_ic.mean())
    head = (
        "| signal | rank IC of each seed | rank IC | rank ICIR | IC | ICIR | long-short a year "
        "| after costs | turnover a day | less LightGBM | t | less LightGBM on factors | t "
        "| s a fit |"
    )
    lines = [
        f"Differences of rank ICs are to {best} and to {STRONGEST}.",
        "",
        head,
        "|" + "---|" * 14,
    ]
    for inputs in ("recipe", *INPUTS, "alpha158"):
        for name in sorted(scores, key=lambda name: -scores[name].rank_ic.mean()):
            if name.rpartition(" ")[2] != inputs:
                continue
            each = [score(signals.label, one).rank_ic.mean() for one in signals.found[name]]
            found = summary(scores[name], scores[best])
            other = summary(scores[name], scores.get(STRONGEST))
            cells = [
                name,
                ", ".join(f"{value:.4f}" for value in each) if len(each) > 1 else "",
                *(f"{found[key]:.4f}" for key in ("rank_ic",)),
                f"{found['rank_icir']:.3f}",
                f"{found['ic']:.4f}",
                f"{found['icir']:.3f}",
                f"{found['long_short']:+.3f}",
                f"{found['net']:+.3f}",
                f"{found['turnover']:.2f}",
                "" if name == best else f"{found['diff']:+.4f}",
                "" if name == best else f"{found['t']:+.2f}",
                "" if name == STRONGEST or "t" not in other else f"{other['diff']:+.4f}",
                "" if name == STRONGEST or "t" not in other else f"{other['t']:+.2f}",
                f"{signals.seconds[name] / len(each):.0f}" if name in signals.seconds else "",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ohlcv", type=Path, default=CN_EQUITIES, help="long parquet file")
    parser.add_argument("--stocks", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--slow-seeds", type=int, default=1, help="seeds of the slowest fits")
    parser.add_argument("--models", help="comma-separated; default: all registered")
    parser.add_argument("--inputs", default=",".join(INPUTS))
    parser.add_argument("--qlib", default=",".join(QLIB), help="of qlib's own code, or none")
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time")
    parser.add_argument("--folder", type=Path, default=Path("quality-signals"))
    arguments = parser.parse_args()
    registered = [*BUILT_IN, *(each.name for each in skattn.list_models() if each.name != "master")]
    every = [*dict.fromkeys(registered), "hist+concepts"]
    arguments.models = arguments.models.split(",") if arguments.models else every
    arguments.inputs = arguments.inputs.split(",")
    arguments.qlib = [name for name in arguments.qlib.split(",") if name != "none"]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    jobs = make_jobs(arguments)
    n_held = sum(job.file(arguments.folder).exists() for job in jobs)
    run_all(jobs, run, arguments.jobs, arguments.folder)
    _, label, days = market(str(arguments.ohlcv), arguments.stocks)
    print(describe_machine("lightgbm", "pyqlib"))
    print(
        f"{label.index.unique('instrument').size} stocks; trained on {len(days.train)} days to "
        f"{days.train[-1].date()}, stopped by {len(days.valid)} days to {days.valid[-1].date()}, "
        f"tested on {len(days.test)} days from {days.test[0].date()} to {days.test[-1].date()}; "
        f"seeds 0 to {arguments.seeds - 1}; {len(jobs) - n_held} fits in "
        f"{time.perf_counter() - began:.0f} s, {arguments.jobs} at a time on one thread each, "
        f"{n_held} from the folder"
    )
    print(tables(Signals(jobs, arguments.folder)))


if __name__ == "__main__":
    main()
