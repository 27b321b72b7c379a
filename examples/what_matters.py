"""What two models need, what they attend to, and which signal is worth more.

On five features of the closing prices of 20 stocks of the S&P 500, which the package skfolio ships.
What it does:

1. trains ALSTM and a ridge regression on windows of the features up to 2019;
2. compares their signals since 2020: a table with a row a signal and the t-value of the difference,
   and the cumulative daily rank IC;
3. draws what ALSTM needs: the drop of the rank IC where a feature at some lags is exchanged between
   the stocks of a day, and integrated gradients; beside it what ALSTM attends to, and whether the
   two agree. Attention is not explanation.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import load_sp500
from skattn.inspection import FeatureImportanceDisplay
from skattn.metrics import SignalDisplay, signal_report
from skattn.panel import days_of
from skattn.preprocessing import CrossSectionalScaler, RollingWindow

SHOWN = ["rank_ic", "rank_icir", "rank_ic_t", "rank_ic_diff", "rank_ic_diff_t"]


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
        default=datetime.date(2014, 1, 1),
        help="first day (default: 2014-01-01)",
    )
    parser.add_argument(
        "--split",
        type=datetime.date.fromisoformat,
        metavar="YYYY-MM-DD",
        default=datetime.date(2020, 1, 1),
        help="first day looked at (default: 2020-01-01)",
    )
    parser.add_argument("--epochs", type=at_least(1), default=6, help="most epochs (default: 6)")
    parser.add_argument(
        "--length", type=at_least(2), default=20, help="days a window (default: 20)"
    )
    parser.add_argument(
        "--picture", type=Path, default=Path("what_matters.png"), help="(default: what_matters.png)"
    )
    return parser


def make_features(close: pd.Series) -> pd.DataFrame:
    """Features of each stock from its closes up to the day."""
    prices = close.unstack("instrument")
    returns = prices.pct_change(fill_method=None)
    features = {
        "return 1d": returns,
        "return 5d": prices.pct_change(5, fill_method=None),
        "return 20d": prices.pct_change(20, fill_method=None),
        "volatility 20d": returns.rolling(20).std(),
        "below high 60d": prices / prices.rolling(60).max() - 1,
    }
    table = pd.concat({name: frame.stack() for name, frame in features.items()}, axis=1)
    return table.dropna().sort_index()


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
    features = make_features(data.ohlcv["close"])
    label = data.label.loc[features.index]
    seen = days_of(None, features) < split
    past, future = features[seen], features[~seen]
    # The label of a day reaches two days ahead: those of the last two days are not known yet.
    known = skattn.make_label(data.ohlcv[days < split])

    alstm = skattn.make_model(
        "alstm", hidden_size=16, max_epochs=arguments.epochs, lr=2e-3, random_state=0
    )
    models = {
        "ALSTM": make_pipeline(
            CrossSectionalScaler(),
            RollingWindow(arguments.length, fill_method="ffill+bfill"),
            CrossSectionalTarget(alstm),
        ),
        "ridge": make_pipeline(CrossSectionalScaler(), CrossSectionalTarget(Ridge(alpha=1000.0))),
    }
    signals = {
        name: pd.Series(model.fit(past, known.loc[past.index]).predict(future), future.index)
        for name, model in models.items()
    }
    truth = label[future.index]
    print(signal_report(truth, signals)[SHOWN].to_string(float_format="{:.4f}".format))

    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 10), layout="constrained")
    SignalDisplay.from_predictions(truth, signals, kind="cumulative_ic", method="spearman", ax=left)
    importance = FeatureImportanceDisplay.from_estimator(
        models["ALSTM"], future, truth, method="both", random_state=0, ax=right
    )
    figure.savefig(arguments.picture, dpi=100)

    top = importance.permutation.nlargest(5, "importance")
    print("\nWhat ALSTM needs most (drop of the rank IC where stocks exchange it):")
    print(top[["importance", "standard_error", "p_holm"]].to_string(float_format="{:.4f}".format))
    print("\nRank correlation of importance and attention over runs of lags:")
    print(importance.agreement.to_string(float_format="{:.2f}".format))
    print(f"\nPicture: {arguments.picture}. It took {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    parser = make_parser()
    try:
        main(parser.parse_args())
    except (ImportError, OSError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
