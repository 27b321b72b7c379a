"""Translation of qlib's processors to pipeline steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skattn.preprocessing import CrossSectionalScaler, RobustZScore
from skattn.qlib._settings import Section, flag, names, number, one_of, or_none, text

MODULE = "qlib.data.dataset.processor"
GROUPS = {"feature", "label"}
CROSS_SECTIONAL = {"CSRankNorm", "CSZScoreNorm"}

REASONS = {
    "CSZFillna": "fills with the mean of the day; skattn has no step for it",
    "TanhProcess": "skattn has no such step; use sklearn.preprocessing.FunctionTransformer",
    "HashStockFormat": "how qlib keeps the data in memory",
    "TimeRangeFlt": "drops stocks by information from later days",
}


class UntranslatableError(Exception):
    """A processor has no counterpart; the text gives the reason."""


@dataclass
class Processed:
    """Translation of the processors.

    ``columns`` holds the names of the features, or None if features cannot be selected. ``steps``
    holds the pipeline steps. ``label_method`` is the scaling of the label within its day.
    """

    columns: list[str] | None
    steps: list[Any] = field(default_factory=list)
    label_method: str | None = None


def translate_processors(processors: list[Section], into: Processed, *, learn: bool) -> None:
    """Translate qlib's processors in their order.

    Parameters
    ----------
    processors : list of Section
        Sections with ``class`` and ``kwargs``.
    into : Processed
        Collects the translation; changed in place.
    learn : bool
        Whether the processors are ``learn_processors``, which qlib applies to training rows only.
    """
    for processor in processors:
        name = processor.read("class", text)
        kwargs = processor.section("kwargs", {})
        try:
            if processor.read("module_path", text, MODULE) != MODULE:
                raise UntranslatableError("a processor of one's own")
            became = _translate(name, kwargs, into, learn)
        except UntranslatableError as why:
            for key in processor.values:
                processor.skip(key, str(why))
        else:
            processor.done("class", became)
            processor.skip_rest(f"qlib's {name} has no such setting")


def _translate(name: str, kwargs: Section, into: Processed, learn: bool) -> str:
    """Translate one processor, and describe the result."""
    if name in ("DropnaLabel", "DropnaProcessor"):
        groups = _groups(kwargs, {"label"} if name == "DropnaLabel" else GROUPS)
        if groups != {"label"}:
            raise UntranslatableError("drops rows without a feature; a pipeline cannot drop rows")
        return "unlabelled rows are left out of training"
    if name in ("FilterCol", "DropCol"):
        return _choose_columns(name, kwargs, into)
    if name == "ProcessInf":
        return "nothing: the features have no infinite values"
    if name not in CROSS_SECTIONAL and name not in MAKERS:
        raise UntranslatableError(REASONS.get(name, f"skattn has no counterpart of {name}"))
    became, failed = [], []
    for group in sorted(_groups(kwargs, GROUPS)):
        try:
            if group == "label":
                became.append(_on_label(name, kwargs, into))
            else:
                became.append(_on_features(name, kwargs, into, learn))
        except UntranslatableError as why:
            failed.append(f"{group}: {why}")
    if not became:
        raise UntranslatableError("; ".join(failed))
    if failed:
        kwargs.skip("fields_group", "; ".join(failed))
    return ", ".join(became)


def _groups(kwargs: Section, default: set[str]) -> set[str]:
    """Read the groups that a processor changes; by default in qlib, features and label."""

    def check(value: Any) -> set[str]:
        groups = set(names([value] if isinstance(value, str) else value))
        if not groups or not groups <= GROUPS:
            raise ValueError(f"one or several of {sorted(GROUPS)}")
        return groups

    return kwargs.read("fields_group", or_none(check), sorted(default)) or GROUPS


def _choose_columns(name: str, kwargs: Section, into: Processed) -> str:
    if name == "FilterCol" and _groups(kwargs, {"feature"}) != {"feature"}:
        raise UntranslatableError("selects features only; the label is a single column")
    listed = kwargs.read("col_list", names, [], into="columns")
    if into.columns is None:
        raise UntranslatableError("skattn's windows of Alpha360 have all its columns")
    unknown = [column for column in listed if column not in into.columns]
    if unknown:
        raise ValueError(
            f"{kwargs.at('col_list')} names columns that are not among the {len(into.columns)} "
            f"features: {', '.join(unknown[:5])}."
        )
    # As in qlib, the features keep their order.
    keeps = name == "FilterCol"
    into.columns = [column for column in into.columns if (column in listed) == keeps]
    if not into.columns:
        raise ValueError(f"{kwargs.at('col_list')} must leave at least one feature.")
    return f"{len(into.columns)} columns"


def _on_label(name: str, kwargs: Section, into: Processed) -> str:
    if name == "Fillna":
        raise UntranslatableError(
            "qlib sets missing labels to 0; skattn leaves such rows unlabelled"
        )
    if name not in CROSS_SECTIONAL:
        raise UntranslatableError("the label is scaled within its day, or not at all")
    if into.label_method is not None:
        raise UntranslatableError("another processor has the label scaled already")
    into.label_method = _method(name, kwargs)
    return f"CrossSectionalTarget(method={into.label_method!r})"


def _on_features(name: str, kwargs: Section, into: Processed, learn: bool) -> str:
    if learn:
        raise UntranslatableError(
            "qlib applies this in training alone; a pipeline applies it always"
        )
    last = into.steps[-1] if into.steps else None
    if name == "Fillna" and isinstance(last, RobustZScore) and last.fill_value is None:
        last.set_params(fill_value=_fill_value(kwargs))
        return f"RobustZScore(fill_value={last.fill_value})"
    into.steps.append(MAKERS[name](kwargs))
    return type(into.steps[-1]).__name__


def _method(name: str, kwargs: Section) -> str:
    if name == "CSRankNorm":
        return "rank"
    return kwargs.read("method", one_of({"zscore": "zscore", "robust": "robust"}), "zscore")


def _fill_value(kwargs: Section) -> float:
    return float(kwargs.read("fill_value", number, 0))


def _robust(kwargs: Section) -> RobustZScore:
    clips = kwargs.read("clip_outlier", flag, True)
    return RobustZScore(clip=3.0 if clips else None, fill_value=None)


def _imputer(kwargs: Section) -> SimpleImputer:
    imputer = SimpleImputer(
        strategy="constant", fill_value=_fill_value(kwargs), keep_empty_features=True
    )
    return imputer.set_output(transform="pandas")


# Scalers of tables return tables, because later steps need the index.
MAKERS: dict[str, Callable[[Section], Any]] = {
    "CSRankNorm": lambda kwargs: CrossSectionalScaler("rank"),
    "CSZScoreNorm": lambda kwargs: CrossSectionalScaler(_method("CSZScoreNorm", kwargs)),
    "Fillna": _imputer,
    "MinMaxNorm": lambda kwargs: MinMaxScaler().set_output(transform="pandas"),
    "RobustZScoreNorm": _robust,
    "ZScoreNorm": lambda kwargs: StandardScaler().set_output(transform="pandas"),
}
