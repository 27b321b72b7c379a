"""Cases of skattn.inspection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from fuzz.data import (
    DAYS,
    LABELS,
    ROWS,
    Case,
    cube,
    data,
    days,
    fitted,
    series,
    small_gru,
    stock_names,
    table,
)
from sklearn.callback import ScoringMonitor

from skattn import inspection


def inspection_cases() -> Iterator[Case]:
    yield from attention_cases()
    yield from training_display_cases()
    yield from importance_cases()


def attention_cases() -> Iterator[Case]:
    yield Case(
        "skattn.inspection.attention_weights",
        "attention_weights",
        inspection.attention_weights,
        data(estimator=lambda: fitted("alstm"), X=cube, days=days, instruments=stock_names),
        {"X": "array", "days": "array", "instruments": "array"},
        {"X": ROWS, "days": DAYS, "estimator": ("regressor", "instance")},
    )
    yield Case(
        "skattn.inspection.AttentionTimelineDisplay",
        "AttentionTimelineDisplay.from_estimator",
        inspection.AttentionTimelineDisplay.from_estimator,
        data(
            estimator=lambda: fitted("alstm"),
            X=cube,
            instrument="S0",
            ohlcv=lambda: np.exp(table()).set_axis(["close", "volume", "a", "b"], axis=1),
            map=None,
            quantile=0.9,
            days=days,
            instruments=stock_names,
            ax=None,
        ),
        {"X": "array", "ohlcv": "frame", "days": "array", "instruments": "array"},
        {
            "X": ROWS,
            "days": DAYS,
            "estimator": ("regressor", "instance"),
            "instruments": ("stock",),
        },
    )
    yield Case(
        "skattn.inspection.AttentionTimelineDisplay",
        "AttentionTimelineDisplay.from_estimator(Series)",
        lambda ohlcv: inspection.AttentionTimelineDisplay.from_estimator(
            fitted("alstm"), cube(), "S0", ohlcv=ohlcv, days=days(), instruments=stock_names()
        ),
        data(ohlcv=series),
        {"ohlcv": "series"},
    )
    yield Case(
        "skattn.inspection.AttentionTimelineDisplay",
        "AttentionTimelineDisplay.plot",
        lambda ax, **k: inspection.AttentionTimelineDisplay(**k).plot(ax=ax),
        lambda folder: {**vars_of_timeline(), "ax": None},
    )
    yield Case(
        "skattn.inspection.AttentionMap",
        "AttentionMap",
        lambda **k: (np.asarray(inspection.AttentionMap(**k)), repr(inspection.AttentionMap(**k))),
        data(
            values=lambda: np.zeros((3, 2, 2)),
            axes=("row", "head", "lag"),
            labels=(pd.RangeIndex(3), pd.RangeIndex(2), pd.RangeIndex(2)),
        ),
        {"values": "array"},
    )

    def heads() -> Any:
        labels = (pd.RangeIndex(3), pd.RangeIndex(2), pd.RangeIndex(2))
        return inspection.AttentionMap(np.full((3, 2, 2), 0.5), ("row", "head", "lag"), labels)

    yield Case(
        "skattn.inspection.AttentionMap",
        "AttentionMap.select",
        lambda label: heads().select(head=label).mean("row").to_frame(),
        data(label=0),
        {},
        {"label": ("head",)},
    )
    yield Case(
        "skattn.inspection.AttentionMap",
        "AttentionMap.mean",
        lambda axis: heads().mean(axis),
        data(axis="head"),
        {},
        {"axis": ("axes",)},
    )
    yield Case(
        "skattn.inspection.AttentionDisplay",
        "AttentionDisplay",
        lambda **k: inspection.AttentionDisplay(**k).plot(sort="prediction"),
        data(
            weights=lambda: heads().select(head=0),
            sums=("lag",),
            predicted=lambda: np.arange(3.0),
            groups=None,
            name="a",
        ),
        {"predicted": "array"},
    )
    how = {"map": "time", "kind": "rows", "sort": "day", "day": "2024-01-02", "select": None}
    how |= {"against": "uniform", "groups": None, "subsample": 10, "name": "a", "ax": None}
    yield Case(
        "skattn.inspection.AttentionDisplay",
        "AttentionDisplay.from_estimator",
        inspection.AttentionDisplay.from_estimator,
        data(estimator=lambda: fitted("alstm"), X=cube, days=days, instruments=stock_names, **how),
        {"X": "array", "days": "array", "instruments": "array"},
        {"X": ROWS, "days": DAYS, "estimator": ("regressor", "instance"), "select": ("axes",)},
        is_slow=True,
    )

    def importance(**k):
        made = inspection.FeatureImportanceDisplay(**k)
        return made.plot(), made.agreement

    groups = pd.Index(["a 1", "a 0"], name="group")
    importances = {"field": "a", "lags": ["1", "0"], "importance": [0.1, 0.2], "p_holm": 0.01}
    yield Case(
        "skattn.inspection.FeatureImportanceDisplay",
        "FeatureImportanceDisplay",
        importance,
        data(
            permutation=pd.DataFrame(importances, groups),
            gradients=pd.DataFrame(importances, groups),
            daily=pd.DataFrame(1.0, pd.bdate_range("2024-01-01", periods=9), groups),
            attention=pd.Series([0.5, 0.5], pd.RangeIndex(1, -1, -1)),
            overlap=0,
            scoring="rank_ic",
        ),
    )
    yield Case(
        "skattn.inspection.FeatureImportanceDisplay",
        "FeatureImportanceDisplay.plot",
        inspection.FeatureImportanceDisplay(permutation=pd.DataFrame(importances, groups)).plot,
        data(kind="map", ax=None),
    )


def training_display_cases() -> Iterator[Case]:
    covers = "skattn.inspection.TrainingDisplay"

    def closed(draw: Callable[..., Any]) -> Callable[..., None]:
        def call(**k: Any) -> None:
            from matplotlib import pyplot

            pyplot.close(draw(**k).figure_)

        return call

    yield Case(
        "skattn.inspection.epoch_values",
        "epoch_values",
        inspection.epoch_values,
        data(estimator=lambda: fitted("gru")),
    )
    yield Case(
        covers,
        "TrainingDisplay",
        closed(lambda **k: inspection.TrainingDisplay(**k).plot()),
        data(
            history=lambda: pd.DataFrame(
                {
                    "fit": ["a"] * 2,
                    "epoch": [1, 2],
                    "valid_loss": [2.0, 1],
                    "is_best": [False, True],
                }
            ),
            loss="mean squared error",
            name="a",
        ),
    )
    yield Case(
        covers,
        "TrainingDisplay.from_estimator",
        closed(inspection.TrainingDisplay.from_estimator),
        data(estimator=lambda: fitted("gru"), ax=None, name="a"),
    )
    yield Case(
        covers,
        "TrainingDisplay.from_estimators",
        closed(inspection.TrainingDisplay.from_estimators),
        data(estimators=lambda: [fitted("gru")] * 2, ax=None, name="a"),
    )
    yield Case(
        covers,
        "TrainingDisplay.from_log",
        closed(inspection.TrainingDisplay.from_log),
        data(log=training_log, search=None, ax=None, name="a"),
    )


@cache
def vars_of_timeline() -> dict[str, Any]:
    made = inspection.AttentionTimelineDisplay.from_estimator(
        fitted("alstm"), cube(), "S0", ohlcv=series(), days=days(), instruments=stock_names()
    )
    names = ("attention", "weights", "series", "spans", "market", "name")
    return {name: getattr(made, name) for name in names}


@cache
def training_log() -> Any:
    monitor = ScoringMonitor(scoring=inspection.epoch_values)
    small_gru().set_callbacks(monitor).fit(cube(), series())
    return monitor.get_logs()


def importance_cases() -> Iterator[Case]:
    rows = {"X": cube, "days": days, "instruments": stock_names}
    kinds = {"X": "array", "y": "series", "days": "array", "instruments": "array"}
    words = {"X": (*ROWS, "y"), "y": LABELS, "days": (*DAYS, "day"), "instruments": ROWS}
    words["estimator"] = ("regressor", "instance")
    # Instruments that cannot be shown are never shown.
    excused = frozenset({"instruments-rows: object with broken repr"})
    permuted = {"groups": 2, "scoring": "rank_ic", "n_repeats": 1, "max_samples": 6}
    permuted |= {"random_state": 0}
    attributed = {"baseline": None, "n_steps": 2, "max_samples": 6}
    yield Case(
        "skattn.inspection.permutation_importance",
        "permutation_importance",
        inspection.permutation_importance,
        data(estimator=lambda: fitted("gru"), y=series, **rows, **permuted),
        kinds,
        words,
        excused=excused | {"n_repeats-2**31-1"},
    )
    yield Case(
        "skattn.inspection.integrated_gradients",
        "integrated_gradients",
        inspection.integrated_gradients,
        data(estimator=lambda: fitted("gru"), **rows, **attributed),
        kinds,
        words,
        excused=excused,
    )
    drawn = {**permuted, **attributed, "method": "both", "kind": "map", "ax": None}
    yield Case(
        "skattn.inspection.FeatureImportanceDisplay",
        "FeatureImportanceDisplay.from_estimator",
        inspection.FeatureImportanceDisplay.from_estimator,
        data(estimator=lambda: fitted("gru"), y=series, **rows, **drawn),
        kinds,
        words,
        is_slow=True,
        excused=excused | {"n_repeats-2**31-1"},
    )
