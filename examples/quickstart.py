"""From prices to a tuned ALSTM, beside a ridge regression on the same folds.

By default on the closing prices of 20 stocks of the S&P 500, which the package skfolio ships. With
--ohlcv FILE on prices of your own: a CSV or parquet file with one row for each stock and day.

What it does, in the order of the code:

1. reads the prices and makes the label: the return from tomorrow's close to the next. Models are
   trained on its rank within the day (a day's ranks use that day's labels alone);
2. searches ALSTM's size with GridSearchCV, walking forward over whole days, all of them before the
   first day of any test;
3. fits the best ALSTM and the ridge on every fold, and prints what each earns on the test days:
   the information coefficient (IC), its mean over its deviation (ICIR), the same of ranks;
4. saves a picture: the cumulative daily rank IC of both, and which lags ALSTM attends to.
"""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import load_sp500
from skattn.inspection import AttentionDisplay
from skattn.labels import make_label
from skattn.metrics import SignalDisplay, rank_ic_scorer, signal_report
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.panel import days_of
from skattn.preprocessing import Alpha360, RobustZScore

PRICES = ("open", "high", "low", "close", "volume", "vwap")
SHOWN = ["ic", "icir", "ic_t", "rank_ic", "rank_icir", "long_short_annual", "days", "stocks"]
# More rows than this take more than a few minutes on two cores.
MANY_ROWS = 80_000


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--ohlcv",
        type=Path,
        metavar="FILE",
        help="long CSV or parquet file: a date, a ticker, a close and, where there are, open, "
        "high, low, volume and vwap (default: the S&P 500 prices of skfolio)",
    )
    data.add_argument(
        "--start",
        type=datetime.date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="first day (default without --ohlcv: 2014-01-01)",
    )
    data.add_argument(
        "--end", type=datetime.date.fromisoformat, metavar="YYYY-MM-DD", help="last day"
    )
    data.add_argument(
        "--stocks", type=int, metavar="N", help="take N stocks, evenly out of the sorted list"
    )
    names = parser.add_argument_group("columns of FILE, where the guess is wrong")
    for name in ("datetime", "instrument", *PRICES):
        names.add_argument(f"--{name}", metavar="COLUMN")
    names.add_argument(
        "--date-format", metavar="FORMAT", help="such as %%d/%%m/%%Y, where dates are ambiguous"
    )
    run = parser.add_argument_group("run")
    run.add_argument("--splits", type=int, default=3, help="walk-forward folds (default: 3)")
    run.add_argument("--epochs", type=int, default=8, help="most epochs a fit (default: 8)")
    run.add_argument(
        "--hidden", type=int, nargs="+", default=[8, 16], help="sizes to search (default: 8 16)"
    )
    run.add_argument("--jobs", type=int, default=2, help="fits at a time (default: 2)")
    run.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    run.add_argument(
        "--picture", type=Path, default=Path("quickstart.png"), help="(default: quickstart.png)"
    )
    return parser.parse_args()


def read_prices(arguments: argparse.Namespace) -> pd.DataFrame:
    if arguments.ohlcv is None:
        table = load_sp500(start=arguments.start or "2014-01-01", end=arguments.end).ohlcv
    else:
        table = skattn.from_long(
            arguments.ohlcv,
            datetime=arguments.datetime,
            instrument=arguments.instrument,
            date_format=arguments.date_format,
        )
        given = {getattr(arguments, name): name for name in PRICES if getattr(arguments, name)}
        guessed = {column: str(column).strip().lower() for column in table.columns}
        guessed = {column: name for column, name in guessed.items() if name not in given.values()}
        table = table.rename(columns=guessed | given)
        table = table[[name for name in PRICES if name in table.columns]]
        days = days_of(None, table)  # local dates, also where the file has time zones
        inside = days >= pd.Timestamp(arguments.start or days.min())
        inside &= days <= pd.Timestamp(arguments.end or days.max())
        table = table[inside]
    if arguments.stocks is not None:
        stocks = table.index.unique("instrument").sort_values()
        chosen = np.linspace(0, len(stocks) - 1, min(arguments.stocks, len(stocks))).astype(int)
        table = table[table.index.isin(stocks[chosen], level="instrument")]
    return table


def make_pipelines(ohlcv: pd.DataFrame, epochs: int, seed: int) -> dict[str, Pipeline]:
    fields = ["close"] if list(ohlcv.columns) == ["close"] else None
    # With the calendar, days that a fold does not show are missing in windows, not passed over.
    windows = Alpha360(fields, calendar=ohlcv.index.unique("datetime"))
    alstm = skattn.make_model("alstm", max_epochs=epochs, lr=2e-3, random_state=seed)
    return {
        "ALSTM": make_pipeline(windows, RobustZScore(), CrossSectionalTarget(alstm)),
        "ridge": make_pipeline(
            clone(windows).set_params(layout="columns"),
            RobustZScore(),
            CrossSectionalTarget(Ridge(alpha=1000.0)),
        ),
    }


def draw(
    path: Path,
    label: pd.Series,
    predictions: dict[str, pd.Series],
    model: Pipeline,
    ohlcv: pd.DataFrame,
) -> None:
    fig, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    tested = label[predictions["ALSTM"].index]
    SignalDisplay.from_predictions(
        tested, predictions, kind="cumulative_ic", method="spearman", ax=left
    )
    AttentionDisplay.from_estimator(model, ohlcv, against="uniform", ax=right)
    fig.savefig(path, dpi=120)


def main() -> None:
    arguments = parse_arguments()
    began = time.perf_counter()
    ohlcv = read_prices(arguments)
    label = make_label(ohlcv)
    days = ohlcv.index.get_level_values("datetime")
    print(
        f"{len(ohlcv):,} rows: {ohlcv.index.unique('instrument').size} stocks, "
        f"{days.min().date()} to {days.max().date()}, columns {', '.join(ohlcv.columns)}"
    )
    if len(ohlcv) > MANY_ROWS:
        print("That is a lot for a quick start: --stocks, --start and --end take a part of it.")

    pipelines = make_pipelines(ohlcv, arguments.epochs, arguments.seed)
    cv = DailyTimeSeriesSplit(n_splits=arguments.splits)
    folds = list(cv.split(ohlcv, label))
    # What is chosen on days that it is then tested on looks better than it is.
    before = folds[0][0]
    search = GridSearchCV(
        pipelines["ALSTM"],
        {"crosssectionaltarget__regressor__hidden_size": arguments.hidden},
        cv=DailyTimeSeriesSplit(n_splits=2),
        scoring=rank_ic_scorer,
        n_jobs=arguments.jobs,
        refit=False,
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    search.fit(ohlcv.iloc[before], label.iloc[before])
    pipelines["ALSTM"].set_params(**search.best_params_)
    print(
        f"Best of the search, up to {days[before].max().date()}: "
        f"hidden_size={next(iter(search.best_params_.values()))}, "
        f"rank IC {search.best_score_:.4f}\n"
    )

    rows, predictions = [], {}
    for name, pipeline in pipelines.items():
        fitted = cross_val_signal(
            pipeline, ohlcv, label, cv=cv, n_jobs=arguments.jobs, return_estimator=True
        )
        predictions[name] = fitted.signal
        for fold, (_, test) in enumerate(folds):
            report = signal_report(label.iloc[test], fitted.signal.loc[ohlcv.index[test]])
            period = f"{days[test].min().date()} to {days[test].max().date()}"
            rows.append({"fold": fold, "test days": period, "model": name, **report})
        if name == "ALSTM":
            last = fitted.estimator[-1], ohlcv.iloc[test]
    for name, predicted in predictions.items():
        report = signal_report(label[predicted.index], predicted)
        rows.append({"fold": "all", "test days": "", "model": name, **report})
    table = pd.DataFrame(rows).astype({"fold": str, "days": int})
    table = table.set_index(["fold", "test days", "model"])[SHOWN]
    table = table.sort_index(level="fold", sort_remaining=False)
    print(table.to_string(float_format="{:.4f}".format, formatters={"stocks": "{:.1f}".format}))

    draw(arguments.picture, label, predictions, *last)
    print(f"\nPicture: {arguments.picture}. It took {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main()
