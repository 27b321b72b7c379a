"""qlib's handlers and datasets as the steps of a pipeline, the label and what to read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from skattn.preprocessing import (
    Alpha158,
    Alpha360,
    RobustZScore,
    RollingWindow,
    SequenceReshaper,
    make_label,
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
# Whether a dataset makes windows of rows, or reads the columns of a row as a window.
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

# Ref($close, -2) / Ref($close, -1) - 1, and $close for the day itself.
_PRICE = r"(?:Ref\(\$(\w+),(-\d{1,4})\)|\$(\w+))"
LABEL = re.compile(rf"{_PRICE}/{_PRICE}-1")


class Features(NamedTuple):
    """What a handler comes to."""

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
            f"{section.at('class')} is {name!r} of {module!r}; skattn has {sorted(DATASETS)} of "
            f"'qlib.data.dataset'."
        )
    return DATASETS[name]


def translate_handler(section: Section, *, series: bool) -> Features:
    """Translate ``task.dataset.kwargs.handler``: its features and processors.

    Parameters
    ----------
    section : Section
        With ``class``, ``module_path`` and ``kwargs``.
    series : bool
        Whether windows are made of rows, so that features must be columns.
    """
    name = section.read("class", text)
    module = section.read("module_path", text)
    if name not in HANDLERS or module != "qlib.contrib.data.handler":
        raise ValueError(
            f"{section.at('class')} is {name!r} of {module!r}; skattn has {sorted(HANDLERS)} of "
            f"'qlib.contrib.data.handler'."
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
        # Windows can be scaled robustly; for anything else they are columns for a while.
        lazily = not series and all(isinstance(step, RobustZScore) for step in into.steps)
        first: Any = Alpha360(layout="windows" if lazily else "columns")
        steps = [first, *into.steps]
        n_features = 60 * N_FIELDS if series else N_FIELDS
        if not series and not lazily:
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
    features: Features, *, series: Section | None, d_feat: int, at: str, alpha360: bool
) -> list[Any]:
    """Make the steps between the features and the model.

    Parameters
    ----------
    features : Features
        Those of the handler.
    series : Section or None
        ``task.dataset.kwargs`` of a TSDatasetH, with its ``step_len``; None for a DatasetH.
    d_feat : int
        Features a step, as the model has it.
    at : str
        Dotted path of ``d_feat``.
    alpha360 : bool
        Whether they are Alpha360's: windows already, unless ``series``.
    """
    n = features.n_features
    if series is not None:
        length = series.read("step_len", whole, 30, into="RollingWindow(length=...)")
        if length < 1:
            raise ValueError(f"{series.at('step_len')} must be at least 1; got {length}.")
        steps = [RollingWindow(length, fill="ffill+bfill")]
    elif alpha360:
        steps = []
    elif d_feat == n:
        # One step of all features.
        steps = [RollingWindow(1)]
    elif d_feat >= 1 and n % d_feat == 0:
        # By position, as qlib does: the names of these columns are no steps.
        return [SequenceReshaper(n_features=d_feat, by="position")]
    if d_feat != n:
        raise ValueError(f"{at} must be {n}, the number of features a step; got {d_feat}.")
    return steps


def _alpha158_columns() -> list[str]:
    """Names of the 158, in qlib's order."""
    return list(Alpha158()._all_columns())


def _processors(kwargs: Section, key: str, default: list) -> list[Section]:
    """Sections of a list of processors; those of qlib's default where there is none."""
    where = kwargs.at(key) if key in kwargs else f"{kwargs.at(key)} (qlib's default)"
    found = kwargs.values.get(key, default)
    if not isinstance(found, (list, tuple)):
        raise TypeError(f"{where} must be a list of processors; got {found!r}.")
    if not found and key in kwargs:
        kwargs.done(key, "none")
    for i, processor in enumerate(found):
        if not isinstance(processor, Mapping):
            raise TypeError(f"{where}.{i} must be a mapping with 'class'; got {processor!r}.")
    return [Section(f"{where}.{i}", each, kwargs.ledger) for i, each in enumerate(found)]


def _instruments(value: Any) -> str | list[str]:
    return value if isinstance(value, str) else names(value)


def _read_label(kwargs: Section, price: str) -> tuple[Callable[[pd.DataFrame], pd.Series], str]:
    """Make what makes the label; and the price it is made of."""

    def check(value: Any) -> tuple[int, int, str]:
        # qlib: a text, a list of texts, or such a list with the labels' names.
        while isinstance(value, (list, tuple)) and value:
            if len(value) > 1 and isinstance(value[0], str):
                raise ValueError("one label")
            value = value[0]
        match = LABEL.fullmatch(re.sub(r"\s", "", text(value)))
        if match:
            late, k, now, early, j, base = match.groups()
            horizon, delay = -int(k or 0), -int(j or 0)
            price = late or now
            if price == (early or base) and horizon > delay:
                return horizon, delay, price
        raise ValueError(
            "a return such as 'Ref($close, -2) / Ref($close, -1) - 1', of one price, with the "
            "later day above, at most 9999 days ahead"
        )

    default = f"Ref(${price}, -2)/Ref(${price}, -1) - 1"
    horizon, delay, price = kwargs.read("label", check, default, into="horizon, delay, price")
    return partial(make_label, horizon=horizon, delay=delay, price=price), price


def _skip_the_rest(kwargs: Section, section: Section) -> None:
    if kwargs.values.get("freq", "day") != "day":
        raise ValueError(
            f"{kwargs.at('freq')} must be 'day'; got {kwargs.values['freq']!r}: skattn's tables "
            f"have one row a stock and day."
        )
    if "freq" in kwargs:
        kwargs.done("freq", "day")
    for key, same, why in (
        ("filter_pipe", None, "filters of stocks; filter the table"),
        ("inst_processors", None, "changes of a stock's data on loading; change the table"),
        ("process_type", "append", "a pipeline gives training what it gives prediction"),
        ("drop_raw", None, "how qlib keeps the data in memory"),
    ):
        if key in kwargs and kwargs.values[key] == same:
            kwargs.done(key, "as in qlib")
        elif key in kwargs:
            kwargs.skip(key, why)
    kwargs.skip_rest("skattn has no such setting of a handler")
    section.skip_rest("skattn has no such setting of a handler")
