"""Where ALSTM and a Transformer attend, on real prices that they did not see.

On the closing prices of 20 stocks of the S&P 500, which the package skfolio ships. What it does:

1. trains ALSTM, from three seeds, and a Transformer on the prices up to 2019;
2. draws, of the days since 2020, ALSTM's attention by lag and day and the Transformer's by layer
   and head, both against "no preference"; the training of the three seeds; and the attention to
   the dates of one stock below its price, with spans of high attention shaded;
3. prints what that stock did in the spans and on all other days, with p-values by circular shifts.

Attention says what a model weighs, not what its predictions depend on: gallery/plot_importance.py
shows both.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt  # pip install "skattn[examples]"
import pandas as pd
from sklearn.pipeline import Pipeline, make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import load_sp500
from skattn.inspection import AttentionDisplay, AttentionTimelineDisplay, TrainingDisplay
from skattn.panel import days_of
from skattn.preprocessing import Alpha360, RobustZScore

TRANSFORMER = {"d_model": 16, "nhead": 2, "dim_feedforward": 32}


def at_least(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.lstrip("-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return read


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--start",
        type=datetime.date.fromisoformat,
        metavar="YYYY-MM-DD",
        default=datetime.date(2016, 1, 1),
        help="first day (default: 2016-01-01)",
    )
    parser.add_argument(
        "--split",
        type=datetime.date.fromisoformat,
        metavar="YYYY-MM-DD",
        default=datetime.date(2020, 1, 1),
        help="first day looked at (default: 2020-01-01)",
    )
    parser.add_argument("--stock", default="AAPL", help="stock of the timeline (default: AAPL)")
    parser.add_argument(
        "--epochs", type=at_least(1), default=6, help="most epochs a fit (default: 6)"
    )
    parser.add_argument(
        "--length", type=at_least(2), default=20, help="days a window (default: 20)"
    )
    parser.add_argument(
        "--picture", type=Path, default=Path("look_inside.png"), help="(default: look_inside.png)"
    )
    return parser


def make(name: str, length: int, **params: object) -> Pipeline:
    model = skattn.make_model(name, **params)
    return make_pipeline(
        Alpha360(["close"], length=length), RobustZScore(), CrossSectionalTarget(model)
    )


def main(arguments: argparse.Namespace) -> None:
    began = time.perf_counter()
    data = load_sp500(start=arguments.start)
    split = pd.Timestamp(arguments.split)
    days = days_of(None, data.ohlcv)
    if not days.min() < split <= days.max():
        raise ValueError(
            f"--split {split.date()} must lie after {days.min().date()}, the first day, and up to "
            f"{days.max().date()}, the last."
        )
    stocks = data.ohlcv.index.unique("instrument")
    if arguments.stock not in stocks:
        raise ValueError(f"--stock {arguments.stock} is none of {', '.join(stocks)}.")
    seen = days < split
    past, future = data.ohlcv[seen], data.ohlcv[~seen]
    # The label of a day reaches two days ahead: those of the last two days are not known yet.
    label = skattn.make_label(past)

    training = {"max_epochs": arguments.epochs, "lr": 2e-3}
    alstm = {
        f"seed {seed}": make(
            "alstm", arguments.length, hidden_size=16, random_state=seed, **training
        ).fit(past, label)
        for seed in range(3)
    }
    transformer = make("transformer", arguments.length, random_state=0, **TRANSFORMER, **training)
    transformer.fit(past, label)

    figure, axes = plt.subplots(2, 2, figsize=(14, 11), layout="constrained")
    model = alstm["seed 0"]
    AttentionDisplay.from_estimator(model, future, against="uniform", ax=axes[0, 0])
    AttentionDisplay.from_estimator(transformer, future, against="uniform", ax=axes[0, 1])
    TrainingDisplay.from_estimators(alstm, ax=axes[1, 0])
    timeline = AttentionTimelineDisplay.from_estimator(
        model, future, arguments.stock, ohlcv=data.ohlcv, ax=axes[1, 1]
    )
    figure.savefig(arguments.picture, dpi=100)

    print(f"{arguments.stock} in the {len(timeline.spans)} spans of ALSTM's highest attention:")
    print(timeline.market.to_string(float_format="{:.4f}".format))
    print(f"\nPicture: {arguments.picture}. It took {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    parser = make_parser()
    try:
        main(parser.parse_args())
    except (ImportError, OSError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
