"""Every public callable, with a valid call of it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fuzz.data import (
    DAYS,
    LABELS,
    MODELS,
    ROWS,
    TRAINING,
    Case,
    calendar,
    cube,
    data,
    days,
    fitted,
    fitted_target,
    long_market,
    long_table,
    market,
    series,
    small_gru,
    small_hist,
    stock_names,
    stocks,
    table,
)
from fuzz.inspection_cases import inspection_cases
from helpers import SECTORS
from public import public_modules
from sklearn.pipeline import make_pipeline
from torch import nn

import skattn
from skattn import (
    compose,
    datasets,
    labels,
    metrics,
    models,
    panel,
    plugins,
    progress,
    recipes,
    weights,
)
from skattn import model_selection as splits
from skattn import preprocessing as steps
from skattn import qlib as qlib_files
from skattn import testing as kit
from skattn.base import ConceptTable, SideInputs
from skattn.datasets import make_market
from skattn.panel import WindowArray

# Packages that no user imports from: what they are given has been checked.
INTERNAL = {"kernels", "parameters", "training", "utils"}

# Public callables without a case, and why.
EXCUSED = {
    "skattn.hookimpl": "pluggy's marker",
    "skattn.parameter": "declares a class; test_parameters.py holds its errors",
    "skattn.SequenceRegressor": "abstract: its methods are run through the models",
    "skattn.CrossSectionalRegressor": "abstract: its methods are run through HIST",
    "skattn.panel.Transform": "a protocol",
    "skattn.preprocessing.PanelTransformer": "abstract: its methods are run through the steps",
    "skattn.plugins.InstalledModel": "a record that skattn makes",
    "skattn.plugins.Problem": "a record that skattn makes",
    "skattn.cluster.check_workers": "asks a cluster; tests/cluster holds its errors",
    "skattn.cluster.register_ray": "has no argument",
    "skattn.cli.main": "a command, which gets texts; tests/cli holds its errors",
    "skattn.labels.label_ends": "called with what splitters and fits have checked",
    "skattn.labels.labelled_part": "called with what fits have checked",
    **{
        f"skattn.losses.{name}": "called in training, with tensors that it has made"
        for name in ("ccc", "ic", "listnet")
    },
    **{
        f"skattn.models.{name}": "a plain torch module, whose arguments the regressor has checked"
        for name in ("ALSTM", "GRU", "HIST", "LSTM", "SFM", "Transformer")
    },
}


def public_callables() -> Iterator[tuple[str, Any]]:
    """Give the public callables of every public module, each once, by name."""
    seen: set[int] = set()
    for module in public_modules():
        path = module.__name__
        if path.removeprefix("skattn.") in INTERNAL:
            continue
        names = getattr(module, "__all__", None) or [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == path
        ]
        for name in names:
            found = getattr(module, name)
            if callable(found) and id(found) not in seen:
                seen.add(id(found))
                yield f"{path}.{name}", found


def cases() -> Iterator[Case]:
    """Give every case."""
    yield from panel_cases()
    yield from label_and_metric_cases()
    yield from step_cases()
    yield from splitter_cases()
    yield from model_cases()
    yield from file_cases()
    yield from kit_cases()
    yield from recipe_cases()
    yield from other_cases()
    yield from inspection_cases()


def panel_cases() -> Iterator[Case]:
    yield Case(
        "skattn.from_long",
        "from_long",
        skattn.from_long,
        data(frame=long_table, datetime="datetime", instrument="instrument"),
        {"frame": "frame"},
        {"frame": ROWS, "datetime": ("column",), "instrument": ("column",)},
    )
    yield Case(
        "skattn.WindowArray",
        "WindowArray",
        lambda **k: np.asarray(WindowArray(**k)),
        data(
            table=lambda: table().to_numpy(),
            ends=lambda: np.arange(len(stocks())),
            length=2,
            starts=lambda: np.arange(len(stocks())),
            index=stocks,
            fields=("a", "b", "c", "d"),
            transforms=(),
            fill=None,
        ),
        {"table": "array", "ends": "array", "starts": "array"},
        {"table": ROWS},
    )
    for name in ("gather", "gather_step", "with_transform", "__getitem__"):
        argument = {"gather": "rows", "gather_step": "step", "with_transform": "transform"}.get(
            name, "rows"
        )
        valid = {"rows": [1, 2], "step": 1, "transform": panel.Clip(1.0)}[argument]

        def call(name=name, argument=argument, **k):
            windows = WindowArray(table().to_numpy(), np.arange(len(stocks())), 2, index=stocks())
            made = getattr(windows, name)(k[argument])
            return np.asarray(made)

        yield Case(
            "skattn.WindowArray",
            f"WindowArray.{name}",
            call,
            data(**{argument: valid}),
            also=(IndexError,),
            excused=frozenset({"transform-lambda", "transform-class"}),
        )
    for name, params in {
        "Clip": {"limit": 1.0},
        "Fill": {"value": 0.0},
        "Scale": {"center": np.zeros((2, 4)), "scale": np.ones((2, 4))},
        "TakeFields": {"fields": np.array([1, 0])},
        "DivideByLatest": {"by": np.array([0, 0, 1, 1])},
    }.items():

        def transform(name=name, **k):
            windows = WindowArray(table().to_numpy(), np.arange(len(stocks())), 2)
            return windows.with_transform(getattr(panel, name)(**k)).gather()

        yield Case(
            f"skattn.panel.{name}",
            name,
            transform,
            lambda folder, params=params: params,
            {k: "array" for k, v in params.items() if isinstance(v, np.ndarray)},
        )
    yield Case(
        "skattn.panel.align_y",
        "align_y",
        panel.align_y,
        data(X=table, y=series, names=("X", "y")),
        {"X": "frame", "y": "series"},
        {"X": ROWS},
    )
    yield Case(
        "skattn.panel.build_windows",
        "build_windows",
        lambda **k: np.asarray(panel.build_windows(**k)),
        data(
            values=lambda: table().to_numpy(),
            index=stocks,
            length=2,
            memory=None,
            calendar=None,
            fields=("a", "b", "c", "d"),
            fill_method="ffill",
            file=None,
        ),
        {"values": "array"},
        {"values": ROWS, "index": ROWS},
    )
    yield Case(
        "skattn.panel.check_index",
        "check_index",
        panel.check_index,
        data(index=stocks, what="X"),
        {},
        {"index": ROWS},
    )
    yield Case(
        "skattn.panel.days_of",
        "days_of",
        lambda days, carrier, **k: panel.days_of(days, carrier, **k),
        data(days=days, carrier=series, what="X", required=True),
        {"days": "array", "carrier": "series"},
        {"days": DAYS},
    )
    yield Case(
        "skattn.panel.days_of",
        "days_of(None)",
        lambda **k: panel.days_of(None, k["carrier"]),
        data(carrier=table),
        {"carrier": "frame"},
        {"carrier": DAYS},
    )
    yield Case(
        "skattn.panel.instruments_of",
        "instruments_of",
        panel.instruments_of,
        data(source=table),
        {"source": "frame"},
    )


def label_and_metric_cases() -> Iterator[Case]:
    yield Case(
        "skattn.make_label",
        "make_label",
        skattn.make_label,
        data(ohlcv=lambda: market().ohlcv, horizon=1, delay=1, price="close"),
        {"ohlcv": "frame"},
        {"ohlcv": ROWS},
        excused=frozenset({"horizon-[2]"}),  # a table of one label
    )
    yield Case(
        "skattn.make_label",
        "several horizons",
        lambda horizon: skattn.make_label(market().ohlcv, horizon=(1, horizon)),
        data(horizon=5),
    )

    def by_column(reach, horizon):
        y = series().rename("a")
        y.attrs.update(reach={"a": reach, "b": 9}, horizon={"a": horizon, "b": 1})
        labels.resolve_purge("auto", y)
        return labels.holding_days(y)

    yield Case(
        "skattn.labels.label_reach",
        "attrs by column",
        by_column,
        data(reach=3, horizon=2),
        {},
        {"reach": ("horizon",), "horizon": ("reach",)},
    )
    for name, arguments in {
        "check_labels": {
            "y": series,
            "name": "y",
            "required": True,
            "warn": False,
            "several": False,
        },
        "check_purge": {"purge": 2},
        "holding_days": {"y": series},
        "label_reach": {"y": series},
        "resolve_purge": {"purge": 2, "y": series},
    }.items():
        yield Case(
            f"skattn.labels.{name}",
            name,
            getattr(labels, name),
            data(**arguments),
            {"y": "series"},
            {"y": LABELS},
        )

    def reach(reach):
        y = series().copy()
        y.attrs.update(reach=reach, horizon=reach)
        labels.resolve_purge("auto", y)
        return labels.holding_days(y)

    yield Case(
        "skattn.labels.resolve_purge", "attrs", reach, data(reach=2), {}, {"reach": ("horizon",)}
    )
    both = {"y_true": series, "y_pred": series, "days": days}
    kinds = {"y_true": "series", "y_pred": "series", "days": "array"}
    words = {"y_true": ("y",), "days": DAYS}
    for name, more in {
        "daily_ic": {"method": "spearman"},
        "ic_score": {},
        "icir_score": {},
        "rank_ic_score": {},
        "rank_icir_score": {},
        "quantile_returns": {"n_quantiles": 2},
        "signal_report": {"by": "month", "quantile": 0.4, "lags": 1, "days_per_year": 252},
    }.items():
        yield Case(
            f"skattn.metrics.{name}",
            name,
            getattr(metrics, name),
            data(**both, **more),
            kinds,
            words,
            is_slow=name in ("icir_score", "rank_ic_score", "rank_icir_score"),
        )
    for name in ("ic_scorer", "icir_scorer", "rank_ic_scorer", "rank_icir_scorer"):
        yield Case(
            f"skattn.metrics.{name}",
            name,
            getattr(metrics, name),
            data(estimator=lambda: fitted("gru"), X=cube, y_true=series, days=days),
            {"X": "array", "y_true": "series", "days": "array"},
            {"X": ROWS, "y_true": LABELS, "days": DAYS, "estimator": ("predict",)},
            is_slow=name != "ic_scorer",
        )

    yield Case(
        "skattn.metrics.newey_west_error",
        "newey_west_error",
        metrics.newey_west_error,
        data(values=lambda: series().to_numpy(), lags=1),
        {"values": "array"},
    )
    yield Case("skattn.metrics.usual_lags", "usual_lags", metrics.usual_lags, data(n_days=100))

    def display(**k):
        metrics.SignalDisplay(**k).plot("monthly_ic")

    yield Case(
        "skattn.metrics.SignalDisplay",
        "SignalDisplay",
        display,
        data(
            daily=lambda: metrics.signal_report(series(), series(), by="day"),
            quantile_returns=lambda: metrics.quantile_returns(series(), series(), n_quantiles=2),
            holding_days=1,
            name="a",
        ),
    )

    def plot(**k):
        made = metrics.SignalDisplay(
            daily=metrics.signal_report(series(), series(), by="day"),
            quantile_returns=metrics.quantile_returns(series(), series(), n_quantiles=2),
        )
        made.plot(k.pop("kind"), **k)

    yield Case(
        "skattn.metrics.SignalDisplay",
        "SignalDisplay.plot",
        plot,
        data(kind="monthly_ic", method="pearson", ax=None),
    )
    drawn = {"n_quantiles": 2, "kind": "monthly_ic", "method": "pearson", "name": "a", "ax": None}
    yield Case(
        "skattn.metrics.SignalDisplay",
        "SignalDisplay.from_predictions",
        metrics.SignalDisplay.from_predictions,
        data(**both, **drawn),
        kinds,
        words,
        is_slow=True,
    )
    yield Case(
        "skattn.metrics.SignalDisplay",
        "SignalDisplay.from_estimator",
        metrics.SignalDisplay.from_estimator,
        data(estimator=lambda: fitted("gru"), X=cube, y=series, days=days, **drawn),
        {"X": "array", "y": "series", "days": "array"},
        {"X": ROWS, "y": LABELS, "days": DAYS},
        is_slow=True,
    )

    def several(metric):
        return lambda a, b, **k: metric(k.pop("y_true"), {"a": a, "b": b}, **k)

    two = {"y_true": series, "a": series, "b": series, "days": days}
    of_two = {"y_true": "series", "a": "series", "b": "series", "days": "array"}
    in_words = {"y_true": ("y",), "a": ("y_pred", *DAYS), "b": ("y_pred", *DAYS), "days": DAYS}
    for name, metric, more in (
        ("signal_report", metrics.signal_report, {"lags": 1}),
        ("quantile_returns", metrics.quantile_returns, {"n_quantiles": 2}),
        ("SignalDisplay", metrics.SignalDisplay.from_predictions, {"n_quantiles": 2}),
    ):
        yield Case(
            f"skattn.metrics.{name}",
            f"{name} of several",
            several(metric),
            data(**two, **more),
            of_two,
            in_words,
            is_slow=name == "SignalDisplay",
        )


STEPS: dict[str, tuple[dict[str, Any], Callable[[], Any], str]] = {
    "Alpha158": (
        {
            "lengths": (2, 3),
            "calendar": calendar(),
            "vwap": "typical",
            "include": ("ROC", "MA"),
            "exclude": (),
            "columns": None,
            "n_jobs": None,
        },
        lambda: market().ohlcv,
        "frame",
    ),
    "Alpha360": (
        {
            "fields": None,
            "calendar": calendar(),
            "vwap": "typical",
            "length": 3,
            "layout": "windows",
        },
        lambda: market().ohlcv,
        "frame",
    ),
    "CrossSectionalScaler": ({"method": "rank"}, table, "frame"),
    "RobustZScore": ({"clip": 3.0, "fill_value": 0.0, "subsample": None}, table, "frame"),
    "RollingWindow": (
        {"length": 2, "calendar": calendar(), "fill_method": "ffill+bfill"},
        table,
        "frame",
    ),
    "SequenceReshaper": ({"n_features": 2, "by": "name"}, table, "frame"),
}


def step_cases() -> Iterator[Case]:
    for name, (params, make_X, kind) in STEPS.items():
        cls = getattr(steps, name)

        def transform(X, y, cls=cls, **params):
            return np.asarray(cls(**params).fit(X, y).transform(X))

        def transform_later(X, cls=cls, params=params, make_X=make_X):
            step = cls(**params).fit(make_X())
            step.get_feature_names_out() if hasattr(step, "get_feature_names_out") else None
            return np.asarray(step.transform(X))

        def transform_cube(X, cls=cls, params=params):
            params = {"n_features": 2} if cls is steps.SequenceReshaper else params
            step = cls(**params).fit(X)
            return np.asarray(step.transform(X))

        covers = f"skattn.preprocessing.{name}"
        yield Case(
            covers,
            name,
            transform,
            lambda folder, params=params, make_X=make_X: {**params, "X": make_X(), "y": series()},
            {"X": kind, "y": "series", "calendar": "array"},
            {"X": ROWS},
        )
        yield Case(
            covers,
            f"{name}.transform",
            transform_later,
            data(X=make_X),
            {"X": kind},
            {"X": ROWS},
        )
        if name not in ("SequenceReshaper", "CrossSectionalScaler"):
            ones = np.abs(np.random.default_rng(0).normal(size=(6, 4, 5))) + 1
            yield Case(
                covers,
                f"{name}(array)",
                transform_cube,
                lambda folder, ones=ones: {"X": ones},
                {"X": "array"},
                {"X": ROWS},
            )

        def names_out(input_features, cls=cls, params=params, make_X=make_X):
            return cls(**params).fit(make_X()).get_feature_names_out(input_features)

        if name in ("Alpha158", "CrossSectionalScaler", "RobustZScore"):
            yield Case(
                covers,
                f"{name}.get_feature_names_out",
                names_out,
                data(input_features=None),
                {},
                {"input_features": ("features",)},
                excused=frozenset({"input_features-tensor"}),  # scikit-learn reads these names
            )
    yield Case(
        "skattn.preprocessing.scale_within_days",
        "scale_within_days",
        steps.scale_within_days,
        data(
            values=lambda: series().to_numpy(),
            day=lambda: np.repeat(np.arange(8), 3),
            method="rank",
        ),
        {"values": "array", "day": "array"},
        {"values": ("day",)},
    )
    yield Case(
        "skattn.preprocessing.CorrelationClusters",
        "CorrelationClusters",
        lambda ohlcv, y, **k: steps.CorrelationClusters(**k).fit(ohlcv, y),
        data(ohlcv=lambda: market().ohlcv, y=series, n_clusters=2, min_days=5),
        {"ohlcv": "frame", "y": "series"},
        {"ohlcv": ROWS},
    )
    target = {"regressor": small_gru(), "method": "rank", "days": days}

    def fit(X, y, days, **params):
        return compose.CrossSectionalTarget(**params).fit(X, y, days=days).predict(X)

    yield Case(
        "skattn.compose.CrossSectionalTarget",
        "CrossSectionalTarget",
        fit,
        data(X=cube, y=series, **target),
        {"X": "array", "y": "series", "days": "array"},
        {"X": ROWS, "y": LABELS, "days": DAYS},
    )

    def score(X, y, days, sample_weight):
        return fitted_target().score(X, y, sample_weight, days=days)

    yield Case(
        "skattn.compose.CrossSectionalTarget",
        "CrossSectionalTarget.score",
        score,
        data(X=cube, y=series, days=days, sample_weight=None),
        {"X": "array", "y": "series", "days": "array"},
        {"X": ROWS, "y": LABELS, "days": DAYS},
    )

    def learn(X, y, **params):
        return compose.LearntConcepts(**params).fit(X, y).predict(X)

    yield Case(
        "skattn.compose.LearntConcepts",
        "LearntConcepts",
        learn,
        data(
            X=lambda: market().ohlcv,
            y=lambda: market().label,
            regressor=lambda: make_pipeline(
                steps.Alpha360(length=3), steps.RobustZScore(), small_hist()
            ),
            clusters=lambda: steps.CorrelationClusters(2, min_days=5),
        ),
        {"X": "frame", "y": "series"},
        {"X": (*ROWS, "ohlcv"), "y": LABELS},
    )


SPLITTERS: dict[str, dict[str, Any]] = {
    "DailyTimeSeriesSplit": {
        "n_splits": 2,
        "max_train_size": None,
        "test_size": None,
        "purge": 1,
        "gap": 0,
        "embargo": 0,
    },
    "PurgedDailyKFold": {"n_splits": 2, "purge": 1, "embargo": 0},
    "CombinatorialPurgedDailyKFold": {"n_folds": 3, "n_test_folds": 1, "purge": 1, "embargo": 0},
    "DateSplit": {
        "train": ("2024-01-01", "2024-01-03"),
        "valid": ("2024-01-05", "2024-01-08"),
        "test": ("2024-01-09", "2024-01-10"),
        "evaluate": "valid",
        "purge": 1,
    },
}


def splitter_cases() -> Iterator[Case]:
    for name, params in SPLITTERS.items():
        cls = getattr(splits, name)

        def split(X, y, groups, cls=cls, **params):
            cv = cls(**params)
            str(cv), cv.get_n_splits(X, y, groups)
            return list(cv.split(X, y, groups))

        yield Case(
            f"skattn.model_selection.{name}",
            name,
            split,
            data(**params, X=table, y=series, groups=days),
            {"X": "frame", "y": "series", "groups": "array"},
            {"X": (*ROWS, *DAYS), "y": LABELS, "groups": DAYS},
        )

        def plot(ax, cls=cls, params=params):
            return cls(**params).plot(table(), ax=ax)

        yield Case(
            f"skattn.model_selection.{name}",
            f"{name}.plot",
            plot,
            data(ax=None),
            is_slow=name != "DateSplit",
        )

    def paths(**k):
        cv = splits.CombinatorialPurgedDailyKFold(3, 1, purge=0)
        return cv.reconstruct_paths(**k)

    yield Case(
        "skattn.model_selection.CombinatorialPurgedDailyKFold",
        "reconstruct_paths",
        paths,
        data(predictions=lambda: [np.ones(9), np.ones(9), np.ones(6)], X=table, groups=days),
        {"X": "frame", "groups": "array"},
        {"X": (*ROWS, *DAYS, "predictions"), "groups": (*DAYS, "predictions")},
    )

    def segments(**k):
        return splits.DateSplit(**SPLITTERS["DateSplit"]).segments(k["X"], k["y"], k["groups"])

    yield Case(
        "skattn.model_selection.DateSplit",
        "DateSplit.segments",
        segments,
        data(X=table, y=series, groups=days),
        {"X": "frame", "y": "series", "groups": "array"},
        {"X": (*ROWS, *DAYS), "y": LABELS, "groups": DAYS},
    )
    yield Case(
        "skattn.model_selection.cross_val_signal",
        "cross_val_signal",
        splits.cross_val_signal,
        data(
            estimator=small_gru,
            X=cube,
            y=series,
            groups=days,
            cv=2,
            params=lambda: {"days": days()},
            return_estimator=True,
        ),
        {"X": "array", "y": "series", "groups": "array"},
        {
            "X": (*ROWS, *DAYS),
            "y": (*LABELS, "sample", "X"),
            "groups": DAYS,
            "cv": ("n_splits",),
            "params": ("days",),
        },
    )
    yield Case(
        "skattn.model_selection.cross_val_signal",
        "cross_val_signal(warm)",
        splits.cross_val_signal,
        data(
            estimator=lambda: compose.CrossSectionalTarget(small_gru()),
            X=cube,
            y=series,
            cv=lambda: [(np.arange(6), np.arange(9, 12)), (np.arange(9), np.arange(12, 15))],
            n_jobs=None,
            refit="warm",
            params=None,
        ),
        {"X": "array", "y": "series"},
        {"X": (*ROWS, *DAYS), "y": (*LABELS, *DAYS, "X"), "cv": ("n_splits",)},
        # CrossSectionalTarget passes on what it does not know.
        excused=frozenset({"params-{'a': 1}"}),
    )
    yield Case(
        "skattn.model_selection.SplitDisplay",
        "SplitDisplay",
        lambda title, **k: splits.SplitDisplay(k["roles"], title=title).plot(ax=k["ax"]),
        data(
            roles=lambda: splits.PurgedDailyKFold(2, purge=0).plot(table()).roles,
            title="a",
            ax=None,
        ),
    )


def model_cases() -> Iterator[Case]:
    shared = set(skattn.parameters.parameters_of(skattn.SequenceRegressor))
    for name, (cls, small) in MODELS.items():
        own = {p: small.get(p) for p in cls._get_param_names() if p not in shared}
        defaults = cls().get_params()
        own = {p: defaults[p] if v is None else v for p, v in own.items()}

        def fit(X, y, days, instruments, X_val, y_val, cls=cls, small=small, **params):
            model = cls(**{**TRAINING, **small, **params})
            model.fit(X, y, days=days, instruments=instruments, X_val=X_val, y_val=y_val)
            return model.predict(X, days=days, instruments=instruments)

        rows = {
            "X": cube,
            "y": series,
            "days": days,
            "instruments": stock_names,
        }
        validation = {"X_val": cube, "y_val": series}
        kinds = {"X": "array", "y": "series", "days": "array", "instruments": "array"}
        kinds |= {"X_val": "array", "y_val": "series"}
        words = {"X": ROWS, "y": (*LABELS, *DAYS, "instruments"), "days": DAYS}
        words |= {"X_val": ROWS, "y_val": (*LABELS, "concepts")}
        home = "skattn" if hasattr(skattn, cls.__name__) else "skattn.models"
        covers = f"{home}.{cls.__name__}"

        def construct(cls=cls, small=small, **params):
            return fit(**rows_of_fit(), cls=cls, small=small, **params)

        yield Case(covers, cls.__name__, construct, data(**own))
        yield Case(
            covers,
            f"{cls.__name__}.fit",
            fit,
            data(**rows, **validation),
            kinds,
            words,
            is_slow=name != "gru",
            excused=frozenset({"instruments-rows: object with broken repr"}),
        )

        def apply(X, days, instruments, name=name):
            model = fitted(name)
            model.attend(X, days=days, instruments=instruments)
            return model.predict(X, days=days, instruments=instruments)

        yield Case(
            covers,
            f"{cls.__name__}.predict",
            apply,
            data(**{k: rows[k] for k in ("X", "days", "instruments")}),
            kinds,
            words,
            is_slow=name not in ("gru", "hist"),
            excused=frozenset({"instruments-rows: object with broken repr"}),
        )

    def train(**params):
        return fit(**rows_of_fit(), cls=models.GRURegressor, small=MODELS["gru"][1], **params)

    trained = {**{p: models.GRURegressor().get_params()[p] for p in sorted(shared)}, **TRAINING}
    yield Case(
        "skattn.GRURegressor",
        "training",
        train,
        data(**trained),
        excused=frozenset(
            {
                "max_epochs-2**31-1",
                "compile-True",
                "loss-lambda",
                "verbose-True",
                "verbose-np.True_",
            }
        ),
    )

    def train_on_days(**params):
        params = {"early_stopping": True, "max_epochs": 2, **params}
        model = models.GRURegressor(**{**MODELS["gru"][1], **params})
        return model.fit(cube(), series(), days=days())

    names = ("validation_fraction", "purge", "n_iter_no_change", "monitor", "early_stopping")
    yield Case(
        "skattn.GRURegressor",
        "early stopping",
        train_on_days,
        data(**{name: trained[name] for name in names} | {"early_stopping": True}),
    )

    def flat(X, y):
        return small_gru().fit(X, y).predict(X)

    yield Case(
        "skattn.GRURegressor",
        "GRURegressor.fit(table)",
        flat,
        data(X=lambda: table().set_axis(list("abcd"), axis=1), y=series),
        {"X": "frame", "y": "array"},
        {"X": ROWS, "y": LABELS},
    )

    yield Case(
        "skattn.GRURegressor",
        "GRURegressor.fit(sample_weight)",
        lambda sample_weight: small_gru().fit(cube(), series(), sample_weight),
        data(sample_weight=lambda: np.ones(len(stocks()))),
        {"sample_weight": "array"},
    )

    def by_days(loss, batch, days_per_batch):
        chosen = {"loss": loss, "batch": batch, "days_per_batch": days_per_batch}
        return small_gru(**chosen).fit(cube(), series())

    yield Case(
        "skattn.GRURegressor",
        "GRURegressor.fit(batch=days)",
        by_days,
        data(loss="ic", batch="days", days_per_batch=2),
        excused=frozenset({"loss-lambda"}),
    )

    def score(**k):
        return fitted("gru").score(**k)

    yield Case(
        "skattn.GRURegressor",
        "GRURegressor.score",
        score,
        data(X=cube, y=series, sample_weight=lambda: np.ones(len(stocks()))),
        {"X": "array", "y": "series", "sample_weight": "array"},
        {"X": ROWS, "y": LABELS},
    )

    def partial(**k):
        model = small_gru().fit(cube(), series())
        return model.partial_fit(**k).predict(cube())

    yield Case(
        "skattn.GRURegressor",
        "GRURegressor.partial_fit",
        partial,
        data(X=cube, y=series, days=days, instruments=stock_names),
        kinds,
        words,
        is_slow=True,
    )


def rows_of_fit() -> dict[str, Any]:
    beside = dict.fromkeys(("days", "X_val", "y_val"))
    return {"X": cube(), "y": series(), "instruments": stocks().get_level_values(1), **beside}


def provider(folder: Path) -> Path:
    """Write a provider folder of qlib's with two days of one stock."""
    home = folder / "provider"
    if not home.exists():
        for part in ("calendars", "instruments", "features/a"):
            (home / part).mkdir(parents=True)
        (home / "calendars/day.txt").write_text("2024-01-02\n2024-01-03\n")
        (home / "instruments/all.txt").write_text("A\t2024-01-02\t2024-01-03\n")
        for name in ("open", "high", "low", "close", "volume"):
            np.array([0, 1, 2], "<f4").tofile(home / f"features/a/{name}.day.bin")
    return home


def concept_files(folder: Path) -> dict[str, Path]:
    npy, index_npy = folder / "good_concepts.npy", folder / "good_index.npy"
    if not npy.exists():
        np.save(npy, np.array([[1, 0], [1, 1]]))
        np.save(index_npy, np.array({"A": 0, "B": 1}, dtype=object))
    return {"npy": npy, "index_npy": index_npy}


def workflow_settings(folder: Path) -> dict[str, Any]:
    handler = {"start_time": "2024-01-02", "end_time": "2024-01-03", "instruments": "csi300"}
    segments = {"train": ["2024-01-02", "2024-01-02"], "test": ["2024-01-03", "2024-01-03"]}
    dataset = {
        "handler": {
            "class": "Alpha360",
            "module_path": "qlib.contrib.data.handler",
            "kwargs": handler,
        },
        "segments": segments,
    }
    task = {
        "model": {
            "class": "GRU",
            "module_path": "qlib.contrib.model.pytorch_gru",
            "kwargs": {"d_feat": 6, "GPU": -1},
        },
        "dataset": {
            "class": "DatasetH",
            "module_path": "qlib.data.dataset",
            "kwargs": dataset,
        },
    }
    return {"qlib_init": {"provider_uri": str(folder), "region": "cn"}, "task": task}


def file_cases() -> Iterator[Case]:
    def csv(folder):
        path = folder / "good.csv"
        if not path.exists():
            long_table().to_csv(path, index=False)
        return {"frame": path}

    def parquet(folder):
        path = folder / "good.parquet"
        if not path.exists():
            long_table().to_parquet(path)
        return {"frame": path}

    def gz(folder):
        path = folder / "good.csv.gz"
        if not path.exists():
            long_table().to_csv(path, index=False)
        return {"frame": path}

    for make in (csv, parquet, gz):
        yield Case(
            "skattn.from_long",
            f"from_long({make.__name__})",
            skattn.from_long,
            make,
            {"frame": "file"},
            {"frame": ("file", "path", "cannot be read", *ROWS)},
        )
    yield Case(
        "skattn.qlib.read_stock2concept",
        "read_stock2concept",
        qlib_files.read_stock2concept,
        concept_files,
        {"npy": "file", "index_npy": "file"},
        {"npy": ("path", "file", "matrix"), "index_npy": ("path", "file", "instrument")},
    )

    def index_json(folder):
        path = folder / "good_index.json"
        path.write_text(json.dumps({"A": 0, "B": 1}))
        return {"index_npy": path}

    yield Case(
        "skattn.qlib.read_stock2concept",
        "read_stock2concept(json)",
        lambda index_npy: qlib_files.read_stock2concept(
            **{**concept_files(index_npy_home(index_npy)), "index_npy": index_npy}
        ),
        index_json,
        {"index_npy": "file"},
        {"index_npy": ("path", "file", "instrument")},
    )
    yield Case(
        "skattn.qlib.read_provider",
        "read_provider",
        qlib_files.read_provider,
        lambda folder: {
            "uri": provider(folder),
            "instruments": "all",
            "fields": None,
            "start": None,
            "end": None,
        },
        {"uri": "folder"},
        {"uri": ("path", "file", "folder", "calendar", "instrument", ".bin", "damaged")},
    )

    def settings_file(folder):
        path = folder / "good_settings.yaml"
        path.write_text(json.dumps(workflow_settings(folder)))
        return {"path_or_dict": path}

    yield Case(
        "skattn.qlib.load_workflow",
        "load_workflow(file)",
        qlib_files.load_workflow,
        settings_file,
        {"path_or_dict": "file"},
        {"path_or_dict": ("path", "file", "workflow")},
    )

    def load(**changed):
        settings = json.loads(json.dumps(workflow_settings(Path("provider"))))
        [(dotted, value)] = changed.items()
        *parents, last = dotted.split(".")
        place = settings
        for key in parents:
            place = place[key]
        place[last] = value
        return qlib_files.load_workflow(settings)

    for path, value in leaves(workflow_settings(Path("provider"))):
        yield Case(
            "skattn.qlib.load_workflow",
            f"load_workflow[{path}]",
            load,
            lambda folder, path=path, value=value: {path: value},
            {},
            {path: (path.rpartition(".")[2], path.rpartition(".")[0], "path_or_dict")},
            is_slow=not path.endswith(("segments", "kwargs.handler", "d_feat", "provider_uri")),
        )

    def pretrained(**k):
        return small_gru(**k).fit(cube(), series())

    def weights(suffix):
        def make(folder):
            import torch
            from safetensors.torch import save_file

            path = folder / f"good{suffix}"
            state = {
                k: v.clone().contiguous() for k, v in fitted("gru").module_.state_dict().items()
            }
            save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
            return {"pretrained": path}

        return make

    for suffix in (".pt", ".safetensors"):
        yield Case(
            "skattn.GRURegressor",
            f"pretrained{suffix}",
            pretrained,
            weights(suffix),
            {"pretrained": "file"},
            {"pretrained": ("file", "path", "weights")},
        )

    def checkpoint(folder):
        path = folder / "checkpoint"
        path.write_bytes(b"a file")
        return {"checkpoint": path}

    def checkpointed(checkpoint):
        if isinstance(checkpoint, Path) and checkpoint.name == "checkpoint":
            checkpoint = checkpoint.with_name("stored")
        return pretrained(checkpoint=checkpoint)

    yield Case(
        "skattn.GRURegressor",
        "checkpoint",
        checkpointed,
        checkpoint,
        {"checkpoint": "file"},
        {"checkpoint": ("file", "path", "directory")},
    )


def index_npy_home(path: Any) -> Path:
    """The folder for the good matrix beside an index."""
    import tempfile

    return Path(tempfile.mkdtemp())


def leaves(settings: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Give every key of settings by its dotted path, with its value."""
    for name, value in settings.items():
        yield f"{path}{name}", value
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")


def kit_cases() -> Iterator[Case]:
    names = {"estimator": ("model",)}
    yield Case(
        "skattn.testing.check_model",
        "check_model",
        kit.check_model,
        data(
            estimator="gru",
            checks=["check_pickle"],
            exclude=["check_number_of_rows_does_not_matter"],
            expected_failed_checks={"check_pickle": "it may"},
            scikit_learn=False,
            on_fail="raise",
            on_result=None,
        ),
        {},
        names,
        excused=frozenset({"checks-None", "on_result-lambda", "on_result-class"}),
    )
    yield Case(
        "skattn.testing.model_checks",
        "model_checks",
        lambda **k: list(kit.model_checks(**k)),
        data(estimator="gru", scikit_learn=False),
        {},
        names,
    )
    yield Case(
        "skattn.testing.parametrize_with_model_checks",
        "parametrize_with_model_checks",
        kit.parametrize_with_model_checks,
        data(estimators=["gru"], expected_failed_checks=None, scikit_learn=False),
        {},
        {"estimators": ("estimator", "model")},
        excused=frozenset({f"expected_failed_checks-{each}" for each in ("lambda", "class")}),
    )
    yield Case(
        "skattn.testing.assert_same_as",
        "assert_same_as",
        kit.assert_same_as,
        data(
            module=lambda: nn.Linear(2, 1),
            other=lambda: nn.Linear(2, 1),
            inputs=lambda: torch.ones(3, 2),
            map_names=None,
            call=None,
            other_call=None,
            n_steps=2,
            lr=0.1,
            rtol=1e-5,
            atol=1e-5,
        ),
        also=(AssertionError,),
        excused=frozenset(
            {"inputs-tensor"}
            | {
                f"{argument}-{each}"
                for argument in ("map_names", "call", "other_call")
                for each in ("lambda", "class")
            }
        ),
    )


def recipe_cases() -> Iterator[Case]:
    yield Case(
        "skattn.recipes.make_signal_model",
        "make_signal_model",
        recipes.make_signal_model,
        data(
            models=("gru",),
            views=("prices",),
            n_seeds=2,
            volume=True,
            random_state=0,
            n_jobs=None,
        ),
        {},
        {"models": ("model",)},
    )
    small = {**MODELS["gru"][1], "max_epochs": 1, "n_seeds": 1, "views": "prices"}

    def train(X, y, **params):
        return recipes.make_signal_model("gru", **small, **params).fit(X, y).predict(X)

    yield Case(
        "skattn.recipes.make_signal_model",
        "make_signal_model.fit",
        train,
        data(X=lambda: market().ohlcv, y=lambda: market().label),
        {"X": "frame", "y": "series"},
        {"X": ROWS, "y": LABELS},
    )
    yield Case(
        "skattn.recipes.walk_forward_signal",
        "walk_forward_signal",
        lambda **k: recipes.walk_forward_signal(**k, **small),
        data(
            ohlcv=lambda: long_market().ohlcv,
            models="gru",
            label=None,
            n_splits=2,
            test_size=3,
            n_jobs=None,
        ),
        {"ohlcv": "frame"},
        {"ohlcv": ROWS, "models": ("model",)},
    )
    yield Case(
        "skattn.recipes.walk_forward_signal",
        "walk_forward_signal(label)",
        lambda label: recipes.walk_forward_signal(
            long_market().ohlcv, label=label, n_splits=2, test_size=3, **small
        ),
        data(label=lambda: long_market().label),
        {"label": "series"},
        {"label": ("y",)},
    )


def other_cases() -> Iterator[Case]:
    simulated = {
        name: parameter.default
        for name, parameter in inspect.signature(make_market).parameters.items()
    }
    yield Case(
        "skattn.datasets.make_market",
        "make_market",
        make_market,
        lambda folder: {**simulated, "n_stocks": 4, "n_days": 30, "random_state": 0},
        {},
        {name: ("n_days",) for name in simulated if name.endswith(("lookback", "lag", "periods"))},
    )
    yield Case(
        "skattn.datasets.load_sp500",
        "load_sp500",
        datasets.load_sp500,
        data(start="2022-12-01", end=None),
    )
    yield Case(
        "skattn.base.ConceptTable",
        "ConceptTable",
        ConceptTable,
        data(concepts=lambda: pd.get_dummies(SECTORS, dtype=float)),
        {"concepts": "array"},
    )
    yield Case("skattn.base.SideInputs", "SideInputs", SideInputs, data())
    yield Case(
        "skattn.progress.ProgressBar",
        "ProgressBar",
        progress.ProgressBar,
        data(max_propagation_depth=1),
    )
    yield Case(
        "skattn.weights.time_decay",
        "time_decay",
        weights.time_decay,
        data(index=series, half_life="5D"),
        {"index": "series"},
        {"index": ("trading day", "datetime", "level")},
    )
    yield Case(
        "skattn.weights.by_day",
        "by_day",
        weights.by_day,
        data(index=series),
        {"index": "series"},
        {"index": ("trading day", "datetime", "level")},
    )
    yield Case(
        "skattn.ModelSpec",
        "ModelSpec",
        plugins.ModelSpec,
        data(name="a", target="a:b", summary="", reference=""),
    )
    yield Case("skattn.list_models", "list_models", skattn.list_models, data())
    yield Case("skattn.plugins.list_installed", "list_installed", plugins.list_installed, data())
    yield Case("skattn.plugins.list_problems", "list_problems", plugins.list_problems, data())
    yield Case(
        "skattn.plugins.check_name",
        "check_name",
        lambda name: plugins.check_name("name", name),
        data(name="my-model"),
    )
    yield Case(
        "skattn.plugins.find_installed",
        "find_installed",
        plugins.find_installed,
        data(name="skattn:gru"),
        {},
        {"name": ("model",)},
    )
    yield Case(
        "skattn.get_model",
        "get_model",
        skattn.get_model,
        data(name="gru"),
        {},
        {"name": ("model",)},
    )
    yield Case(
        "skattn.make_model",
        "make_model",
        lambda **k: skattn.make_model(**TRAINING, **k).fit(cube(), series()),
        data(name="gru", hidden_size=3),
        {},
        {"name": ("model",)},
    )
