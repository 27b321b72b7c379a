"""Translation of qlib's handlers and datasets to pipeline steps, a label and data arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from skattn.labels import make_label
from skattn.parameters import shown
from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    RobustZScore,
    RollingWindow,
    SequenceReshaper,
)
from skattn.qlib._processors import Processed, translate_processors
from skattn.qlib._provider import FIELDS
from skattn.qlib._settings import Section, first_day, last_day, names, or_none, text, whole

HANDLERS = {
    "Alpha158": "close",
    "Alpha158vwap": "vwap",
    "Alpha360": "close",
    "Alpha360vwap": "vwap",
}
# True: the dataset makes windows of rows. False: the columns of a row are a window.
DATASETS = {"DatasetH": False, "TSDatasetH": True}
N_FIELDS = 6

DEFAULT_LEARN = [
    {"class": "DropnaLabel"},
    {"class": "CSZScoreNorm", "kwargs": {"fields_group": "label"}},
]
DEFAULT_INFER: dict[str, list] = {
    "Alpha158": [],
    "Alpha360": [
        {"class": "ProcessInf", "kwargs": {}},
        {"class": "ZScoreNorm", "kwargs": {}},
        {"class": "Fillna", "kwargs": {}},
    ],
}

# Matches Ref($close, -2) / Ref($close, -1) - 1. A plain $close means the day itself.
_PRICE = r"(?:Ref\(\$(\w+),(-\d{1,4})\)|\$(\w+))"
LABEL = re.compile(rf"{_PRICE}/{_PRICE}-1")


class Features(NamedTuple):
    """Translation of a handler."""

    steps: list[Any]
    n_features: int
    label: Callable[[pd.DataFrame], pd.Series]
    label_method: str | None
    data: dict[str, Any]
    fit_days: tuple[pd.Timestamp | None, pd.Timestamp | None]


def find_dataset(section: Section) -> bool:
    """Whether ``task.dataset`` makes windows of rows (TSDatasetH)."""
    name = section.read("class", text)
    module = section.read("module_path", text)
    if name not in DATASETS or module != "qlib.data.dataset":
        raise ValueError(
            f"{section.at('class')} is {name!r} of {module!r}; skattn supports {sorted(DATASETS)} "
            f"of 'qlib.data.dataset'."
        )
    return DATASETS[name]


def translate_handler(section: Section, *, columns: bool) -> Features:
    """Translate ``task.dataset.kwargs.handler``: its features and processors.

    Parameters
    ----------
    section : Section
        Section with ``class``, ``module_path`` and ``kwargs``.
    columns : bool
        Whether the features must be columns: the dataset makes windows of rows, or the model reads
        no windows.
    """
    name = section.read("class", text)
    module = section.read("module_path", text)
    if name not in HANDLERS or module != "qlib.contrib.data.handler":
        raise ValueError(
            f"{section.at('class')} is {name!r} of {module!r}; skattn supports {sorted(HANDLERS)} "
            f"of 'qlib.contrib.data.handler'."
        )
    section.done("class", name)
    kwargs = section.section("kwargs", {})
    family = name.removesuffix("vwap")
    into = Processed(columns=_alpha158_columns() if family == "Alpha158" else None)
    shared = _processors(kwargs, "shared_processors", [])
    infer = _processors(kwargs, "infer_processors", DEFAULT_INFER[family])
    translate_processors([*shared, *infer], into, learn=False)
    learn = _processors(kwargs, "learn_processors", DEFAULT_LEARN)
    translate_processors(learn, into, learn=True)

    if into.columns is None:
        # RobustZScore is the only scaler of windows; every other step needs columns first.
        lazily = not columns and all(isinstance(step, RobustZScore) for step in into.steps)
        first: Any = Alpha360(layout="windows" if lazily else "columns")
        steps = [first, *into.steps]
        n_features = 60 * N_FIELDS if columns else N_FIELDS
        if not columns and not lazily:
            steps.append(SequenceReshaper(n_features=N_FIELDS))
        has_vwap = True
    else:
        steps = [Alpha158(columns=into.columns), *into.steps]
        n_features = len(into.columns)
        has_vwap = "VWAP0" in into.columns
    label, price = _read_label(kwargs, HANDLERS[name])
    data = {
        "instruments": kwargs.read("instruments", _instruments, "csi500", into="instruments"),
        "fields": [*FIELDS, *(["vwap"] if has_vwap or price == "vwap" else [])],
        "start": kwargs.read("start_time", or_none(first_day), None, into="start"),
        "end": kwargs.read("end_time", or_none(last_day), None, into="end"),
    }
    if data["start"] is not None and data["end"] is not None and data["start"] > data["end"]:
        raise ValueError(f"{kwargs.at('start_time')} is after {kwargs.at('end_time')}.")
    fit_days = tuple(
        kwargs.read(key, or_none(check), None, into="the rows that fit gets")
        for key, check in (("fit_start_time", first_day), ("fit_end_time", last_day))
    )
    _skip_the_rest(kwargs, section)
    return Features(steps, n_features, label, into.label_method, data, fit_days)  # type: ignore


def reshape(
    features: Features, *, series: Section | None, d_feat: int | None, at: str, alpha360: bool
) -> list[Any]:
    """Make the steps between the features and the model.

    Parameters
    ----------
    features : Features
        Features of the handler.
    series : Section or None
        ``task.dataset.kwargs`` of a TSDatasetH, with its ``step_len``; None for a DatasetH.
    d_feat : int or None
        Number of features per step, as set for the model. None means all features.
    at : str
        Dotted path of ``d_feat``.
    alpha360 : bool
        Whether the features are Alpha360's, which are already windows unless ``series`` is given.
    """
    n = features.n_features
    d_feat = n if d_feat is None else d_feat
    if series is not None:
        length = series.read("step_len", whole, 30, into="RollingWindow(length=...)")
        if length < 1:
            raise ValueError(f"{series.at('step_len')} must be at least 1; got {length}.")
        steps = [RollingWindow(length, fill_method="ffill+bfill")]
    elif alpha360:
        steps = []
    elif d_feat == n:
        # One step of all features.
        steps = [RollingWindow(1)]
    elif d_feat >= 1 and n % d_feat == 0:
        # By position, as in qlib: the column names do not give the steps.
        return [SequenceReshaper(n_features=d_feat, by="position")]
    if d_feat != n:
        raise ValueError(f"{at} must be {n}, the number of features per step; got {d_feat}.")
    return steps


def _alpha158_columns() -> list[str]:
    """Names of the 158 columns, in qlib's order."""
    return Alpha158().all_columns()


def _processors(kwargs: Section, key: str, default: list) -> list[Section]:
    """Make a section for each processor of a list; without a list, for qlib's defaults."""
    where = kwargs.at(key) if key in kwargs else f"{kwargs.at(key)} (qlib's default)"
    found = kwargs.values.get(key, default)
    if not isinstance(found, (list, tuple)):
        raise TypeError(f"{where} must be a list of processors; got {shown(found)}.")
    if not found and key in kwargs:
        kwargs.done(key, "none")
    for i, processor in enumerate(found):
        if not isinstance(processor, Mapping):
            raise TypeError(f"{where}.{i} must be a mapping with 'class'; got {shown(processor)}.")
    return [Section(f"{where}.{i}", each, kwargs.ledger) for i, each in enumerate(found)]


def _instruments(value: Any) -> str | list[str]:
    return value if isinstance(value, str) else names(value)


def _read_label(kwargs: Section, price: str) -> tuple[Callable[[pd.DataFrame], pd.Series], str]:
    """Return the function that makes the label, and the price behind the label."""

    def check(value: Any) -> tuple[int, int, str]:
        # qlib takes a text, a list of texts, or a pair of such a list and the labels' names.
        while isinstance(value, (list, tuple)) and value:
            if len(value) > 1 and isinstance(value[0], str):
                raise ValueError("one label")
            value = value[0]
        match = LABEL.fullmatch(re.sub(r"\s", "", text(value)))
        if match:
            late, k, now, early, j, base = match.groups()
            reach, delay = -int(k or 0), -int(j or 0)
            price = late or now
            if price == (early or base) and reach > delay:
                return reach - delay, delay, price
        raise ValueError(
            "a return of one price, such as 'Ref($close, -2) / Ref($close, -1) - 1', with the "
            "later day in the numerator, at most 9999 days ahead"
        )

    default = f"Ref(${price}, -2)/Ref(${price}, -1) - 1"
    horizon, delay, price = kwargs.read("label", check, default, into="horizon, delay, price")
    return partial(make_label, horizon=horizon, delay=delay, price=price), price


def _skip_the_rest(kwargs: Section, section: Section) -> None:
    if kwargs.values.get("freq", "day") != "day":
        raise ValueError(
            f"{kwargs.at('freq')} must be 'day'; got {shown(kwargs.values['freq'])}. skattn's "
            f"tables have one row per stock and day."
        )
    if "freq" in kwargs:
        kwargs.done("freq", "day")
    for key, same, why in (
        ("filter_pipe", None, "filters of stocks; filter the table instead"),
        ("inst_processors", None, "changes a stock's data on loading; change the table instead"),
        ("process_type", "append", "a pipeline transforms data for training as for prediction"),
        ("drop_raw", None, "how qlib keeps the data in memory"),
    ):
        if key in kwargs and kwargs.values[key] == same:
            kwargs.done(key, "as in qlib")
        elif key in kwargs:
            kwargs.skip(key, why)
    kwargs.skip_rest("skattn has no such handler setting")
    section.skip_rest("skattn has no such handler setting")
