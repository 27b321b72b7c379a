"""From prices to a tuned ALSTM, beside a ridge regression on the same folds.

First on a simulated market, whose best reachable score is known: the return of one past day moves
a stock, all else is noise. Then on the closing prices of 20 stocks of the S&P 500, which the
package skfolio ships, and which hold next to no signal. With --ohlcv FILE on prices of your own
instead: a CSV or parquet file with one row for each stock and day.

The simulated market (compare_on_simulated_prices):

1. gives ALSTM and the ridge windows of past returns, walking forward over whole days;
2. prints what each earns on the test days beside the ceiling, which is what the planted signal
   itself earns, and where ALSTM looks for it.

The real prices (compare_on_real_prices):

1. make the label: the return from tomorrow's close to the next. Models are trained on its rank
   within the day (a day's ranks use that day's labels alone);
2. search ALSTM's size with GridSearchCV, walking forward over whole days, all of them before the
   first day of any test;
3. fit the best ALSTM and the ridge on every fold, and print what each earns on the test days:
   the information coefficient (IC), its mean over its deviation (ICIR), the same of ranks.

The picture has a row for each: the cumulative daily rank IC, and the lags that ALSTM attends to.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt  # pip install "skattn[examples]"
import numpy as np
import pandas as pd
from matplotlib.figure import SubFigure
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skattn
from skattn.compose import CrossSectionalTarget
from skattn.datasets import load_sp500, make_market
from skattn.inspection import AttentionDisplay, attention_weights
from skattn.labels import make_label
from skattn.metrics import SignalDisplay, rank_ic_score, rank_ic_scorer, signal_report
from skattn.model_selection import DailyTimeSeriesSplit, cross_val_signal
from skattn.panel import days_of
from skattn.preprocessing import Alpha360, CrossSectionalScaler, RobustZScore, RollingWindow
from skattn.progress import ProgressBar

# The only past return that moves a simulated stock, in days before the latest.
PLANTED_LAG = 7
PRICES = ("open", "high", "low", "close", "volume", "vwap")
SHOWN = ["ic", "icir", "ic_t", "rank_ic", "rank_icir", "long_short_annual", "days", "stocks"]
# Days before the first test, a window of Alpha360.
LEAST_DAYS = 60
# More rows than this take more than a few minutes on two cores.
MANY_ROWS = 80_000


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
        "--stocks",
        type=at_least(2),
        metavar="N",
        help="take N stocks, evenly out of the sorted list",
    )
    names = parser.add_argument_group("columns of FILE, where the guess is wrong")
    for name in ("datetime", "instrument", *PRICES):
        names.add_argument(f"--{name}", metavar="COLUMN")
    names.add_argument(
        "--date-format", metavar="FORMAT", help="such as %%d/%%m/%%Y, where dates are ambiguous"
    )
    run = parser.add_argument_group("run")
    run.add_argument(
        "--splits", type=at_least(1), default=3, help="walk-forward folds (default: 3)"
    )
    run.add_argument(
        "--epochs", type=at_least(1), default=8, help="most epochs of a fit on FILE or the S&P 500"
    )
    run.add_argument(
        "--hidden",
        type=at_least(2),
        nargs="+",
        default=[8, 16],
        help="sizes to search (default: 8 16)",
    )
    run.add_argument("--jobs", type=at_least(1), default=2, help="fits at a time (default: 2)")
    run.add_argument("--seed", type=at_least(0), default=0, help="random seed (default: 0)")
    run.add_argument(
        "--picture", type=Path, default=Path("quickstart.png"), help="(default: quickstart.png)"
    )
    return parser


def read_file(arguments: argparse.Namespace) -> pd.DataFrame:
    """Give the columns of prices of a file, under their names here."""
    path = arguments.ohlcv
    try:
        table = skattn.from_long(
            path,
            datetime=arguments.datetime,
            instrument=arguments.instrument,
            date_format=arguments.date_format,
        )
    except ValueError as error:
        raise ValueError(
            f"{error}\nOptions here: --datetime COLUMN, --instrument COLUMN, --date-format FORMAT."
        ) from error
    has = f"{path} has the columns {', '.join(map(str, table.columns))}"
    given = {name: getattr(arguments, name) for name in PRICES if getattr(arguments, name)}
    for name, column in given.items():
        if column not in table.columns:
            raise ValueError(f"--{name} {column} is not there: {has}, beside dates and stocks.")
    columns = {}
    for name in PRICES:
        guess = [column for column in table.columns if str(column).strip().lower() == name]
        found = [given[name]] if name in given else guess
        if len(found) > 1:
            raise ValueError(f"{has}: name one of {', '.join(found)} with --{name} COLUMN.")
        columns.update(dict.fromkeys(found, name))
    if "close" not in columns.values():
        raise ValueError(
            f"The column 'close' is missing: {has}, beside dates and stocks. Name the closing "
            f"prices with --close COLUMN."
        )
    return table[list(columns)].rename(columns=columns)


def read_prices(arguments: argparse.Namespace) -> pd.DataFrame:
    if arguments.ohlcv is None:
        table = load_sp500(start=arguments.start or "2014-01-01", end=arguments.end).ohlcv
    else:
        table = read_file(arguments)
        days = days_of(None, table)  # local dates, also where the file has time zones
        inside = days >= pd.Timestamp(arguments.start or days.min())
        inside &= days <= pd.Timestamp(arguments.end or days.max())
        if not inside.any():
            raise ValueError(
                f"No row lies between --start and --end: {arguments.ohlcv} goes from "
                f"{days.min().date()} to {days.max().date()}."
            )
        table = table[inside]
    if arguments.stocks is not None:
        stocks = table.index.unique("instrument").sort_values()
        chosen = np.linspace(0, len(stocks) - 1, min(arguments.stocks, len(stocks))).astype(int)
        table = table[table.index.isin(stocks[chosen], level="instrument")]
    return table


def flatten(windows: skattn.WindowArray) -> np.ndarray:
    """Give the ridge the steps of a window as columns."""
    return np.asarray(windows).reshape(len(windows), -1)


def compare_on_simulated_prices(arguments: argparse.Namespace, figure: SubFigure) -> None:
    market = make_market(
        n_stocks=40,
        n_days=400,
        momentum=0.0,
        reversal=0.0,
        sector=0.0,
        late_listings=0.0,
        lagged=0.5,
        lag=PLANTED_LAG,
        random_state=arguments.seed,
    )
    closes = market.ohlcv["close"].unstack("instrument")
    returns = closes.pct_change(fill_method=None).stack().dropna().to_frame("return").sort_index()
    label = market.label[returns.index]
    windows = CrossSectionalScaler(), RollingWindow(15, fill_method="ffill+bfill")
    alstm = skattn.make_model(
        "alstm", hidden_size=8, num_layers=1, max_epochs=12, lr=0.01, batch_size=100,
        random_state=arguments.seed,
    )  # fmt: skip
    ridge = make_pipeline(FunctionTransformer(flatten), Ridge(alpha=100.0))
    pipelines = {
        "ALSTM": make_pipeline(*windows, CrossSectionalTarget(alstm)),
        "ridge": make_pipeline(*windows, CrossSectionalTarget(ridge)),
    }
    pipelines["ALSTM"].set_callbacks(ProgressBar())
    cv = DailyTimeSeriesSplit(n_splits=2, test_size=60)
    print(
        f"Simulated prices: 40 stocks, 400 days. The return {PLANTED_LAG} days ago moves a stock."
    )
    signals = {}
    for name, pipeline in pipelines.items():
        fitted = cross_val_signal(
            pipeline, returns, label, cv=cv, n_jobs=arguments.jobs, return_estimator=True
        )
        signals[name] = fitted.signal
        if name == "ALSTM":
            *_, (_, test) = cv.split(returns, label)
            model, seen = fitted.estimator[-1], returns.iloc[test]
    signals["ceiling"] = market.signal[signals["ALSTM"].index]
    tested = label[signals["ALSTM"].index]
    for name, signal in signals.items():
        print(f"  rank IC of {name:8}{rank_ic_score(tested, signal):.3f}")
    weights = attention_weights(model, seen)["time"].mean()
    print(
        f"ALSTM attends most to lag {weights.idxmax()}, with {weights.max():.0%} of the weight "
        f"(without preference {1 / len(weights):.0%}). A step's state knows the steps before it: a "
        f"little after the planted lag is as good.\n"
    )
    title = f"Simulated market: the return {PLANTED_LAG} days ago moves a stock"
    draw(figure, title, tested, signals, model, seen)


def make_pipelines(ohlcv: pd.DataFrame, epochs: int, seed: int) -> dict[str, Pipeline]:
    # All six, or what the file has of them.
    fields = None if {*PRICES} - {"vwap"} <= {*ohlcv.columns} else list(ohlcv.columns)
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
    figure: SubFigure,
    title: str,
    tested: pd.Series,
    signals: dict[str, pd.Series],
    model: Pipeline,
    seen: pd.DataFrame,
) -> None:
    figure.suptitle(title, fontweight="bold")
    left, right = figure.subplots(1, 2)
    SignalDisplay.from_predictions(
        tested, signals, kind="cumulative_ic", method="spearman", ax=left
    )
    AttentionDisplay.from_estimator(model, seen, against="uniform", ax=right)


def search_size(
    pipeline: Pipeline, ohlcv: pd.DataFrame, label: pd.Series, arguments: argparse.Namespace
) -> None:
    """Set ALSTM's size to the best of those that were asked for."""
    search = GridSearchCV(
        pipeline,
        {"crosssectionaltarget__regressor__hidden_size": arguments.hidden},
        cv=DailyTimeSeriesSplit(n_splits=2),
        scoring=rank_ic_scorer,
        n_jobs=arguments.jobs,
        refit=False,
        error_score="raise",
    )
    search.set_callbacks(ProgressBar()).fit(ohlcv, label)
    pipeline.set_params(**search.best_params_).set_callbacks(ProgressBar())
    print(
        f"Best of the search, up to {days_of(None, ohlcv).max().date()}: "
        f"hidden_size={next(iter(search.best_params_.values()))}, "
        f"rank IC {search.best_score_:.4f}\n"
    )


def compare_on_real_prices(
    arguments: argparse.Namespace, ohlcv: pd.DataFrame, figure: SubFigure
) -> None:
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
    search_size(pipelines["ALSTM"], ohlcv.iloc[before], label.iloc[before], arguments)

    rows, signals = [], {}
    for name, pipeline in pipelines.items():
        fitted = cross_val_signal(
            pipeline, ohlcv, label, cv=cv, n_jobs=arguments.jobs, return_estimator=True
        )
        signals[name] = fitted.signal
        for fold, (_, test) in enumerate(folds):
            report = signal_report(label.iloc[test], fitted.signal.loc[ohlcv.index[test]])
            period = f"{days[test].min().date()} to {days[test].max().date()}"
            rows.append({"fold": fold, "test days": period, "model": name, **report})
        if name == "ALSTM":
            model, seen = fitted.estimator[-1], ohlcv.iloc[test]
    for name, signal in signals.items():
        report = signal_report(label[signal.index], signal)
        rows.append({"fold": "all", "test days": "", "model": name, **report})
    table = pd.DataFrame(rows).astype({"fold": str, "days": int})
    table = table.set_index(["fold", "test days", "model"])[SHOWN]
    table = table.sort_index(level="fold", sort_remaining=False)
    print(table.to_string(float_format="{:.4f}".format, formatters={"stocks": "{:.1f}".format}))
    n_stocks = ohlcv.index.unique("instrument").size
    where = "S&P 500" if arguments.ohlcv is None else arguments.ohlcv.name
    title = f"{where}: {n_stocks} stocks"
    draw(figure, title, label[signals["ALSTM"].index], signals, model, seen)


def check(arguments: argparse.Namespace, ohlcv: pd.DataFrame) -> None:
    """Raise before anything is fitted where the end cannot be reached."""
    n_days, n_stocks = (ohlcv.index.unique(name).size for name in ("datetime", "instrument"))
    if n_stocks < 2:
        raise ValueError(f"Stocks are ranked within a day: at least 2 are needed, got {n_stocks}.")
    if n_days // (arguments.splits + 1) < LEAST_DAYS:
        raise ValueError(
            f"{n_days} days with --splits {arguments.splits} leave "
            f"{n_days // (arguments.splits + 1)} before the first test: at least {LEAST_DAYS} are "
            f"needed, so fewer --splits or more days."
        )
    if not arguments.picture.parent.is_dir():
        raise ValueError(f"--picture {arguments.picture}: its folder does not exist.")


def main(arguments: argparse.Namespace) -> None:
    began = time.perf_counter()
    ohlcv = read_prices(arguments)
    check(arguments, ohlcv)
    if arguments.ohlcv is None:
        figure = plt.figure(figsize=(12, 11), layout="constrained")
        above, below = figure.subfigures(2, hspace=0.05)
        compare_on_simulated_prices(arguments, above)
    else:
        figure = plt.figure(figsize=(12, 5.5), layout="constrained")
        below = figure.subfigures()
    compare_on_real_prices(arguments, ohlcv, below)
    figure.savefig(arguments.picture, dpi=120)
    print(f"\nPicture: {arguments.picture}. It took {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    parser = make_parser()
    try:
        main(parser.parse_args())
    except (ImportError, OSError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
