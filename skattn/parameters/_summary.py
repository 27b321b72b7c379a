"""Parameters in the text and in the HTML of an estimator: large values are summed up."""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Mapping, Sized
from typing import Any

import pandas as pd

# The module of scikit-learn that writes estimators as text.
PRINTER = "sklearn.utils._pprint"
MOST_ITEMS = 10
MOST_CHARACTERS = 100


class Summary:
    """Stands for a large value where an estimator is written as text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"<{self.text}>"


def summed_up(value: Any, name: str = "") -> Any:
    """Sum a value up if it is too large for a line of text.

    Parameters
    ----------
    value : object
        Value of a parameter.
    name : str, default=""
        Name of the parameter: ``concepts`` are counted as stocks and concepts.

    Returns
    -------
    value : object
        A Summary, or the value itself if the value is small.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.parameters import summed_up
    >>> summed_up(pd.date_range("2014-01-01", "2014-12-31"))
    <365 days, 2014-01-01 to 2014-12-31>
    >>> summed_up(pd.Series({"KO": "drinks", "PEP": "drinks", "XOM": "oil"}), "concepts")
    <3 stocks in 2 concepts>
    >>> summed_up(0.5)
    0.5
    """
    is_estimator = hasattr(value, "get_params")
    if is_estimator or isinstance(value, (str, bytes, type)) or not _is_large(value):
        return value
    table = value
    if name == "concepts" and isinstance(value, Mapping):
        table = pd.Series(dict(value), dtype=object)
    if name == "concepts" and isinstance(table, (pd.Series, pd.DataFrame)):
        kinds = table.shape[1] if isinstance(table, pd.DataFrame) else _count_kinds(table)
        return Summary(f"{_count(len(table), 'stock')} in {_count(kinds, 'concept')}")
    days = _as_days(value)
    if days is not None:
        text = f"{days.min().date()} to {days.max().date()}"
        return Summary(f"{_count(len(days), 'day')}, {text}")
    kind = type(value).__name__
    if _is_array(value):
        return Summary(f"{kind} of {' x '.join(f'{size:,}' for size in value.shape)} values")
    if isinstance(value, (list, tuple)) and len(value) <= MOST_ITEMS:
        return Summary(f"{kind} of {', '.join(type(item).__name__ for item in value)}")
    return Summary(f"{kind} of {_count(len(value), 'item')}" if isinstance(value, Sized) else kind)


class SummedUpParameters:
    """Mixin of estimators whose text and HTML sum large parameters up.

    ``get_params`` gives the parameters as they are. Only scikit-learn's printer gets summaries: it
    writes an estimator within a Pipeline or a search without calling the estimator's ``__repr__``,
    and ``get_params`` is all that it calls.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of estimators that are parameters.

        Returns
        -------
        params : dict of str to object
            Parameters by name.
        """
        params = super().get_params(deep=deep)  # type: ignore[misc]
        if sys._getframe(1).f_globals.get("__name__") == PRINTER:
            return {name: summed_up(value, name) for name, value in params.items()}
        return params

    def _get_params_html(self, deep: bool = True, doc_link: str = "") -> Any:
        """Give scikit-learn's table of parameters, with summaries in it."""
        params = super()._get_params_html(deep, doc_link)  # type: ignore[misc]
        texts: dict[str, str] = {}
        for name, value in params.items():
            summary = summed_up(value, name.rpartition("__")[2])
            if isinstance(summary, Summary):
                # scikit-learn cuts texts of more than 30 characters: a mark takes their place.
                mark = f"[summary {len(texts)}]"
                texts[f"&lt;{mark}&gt;"] = html.escape(summary.text)
                params[name] = Summary(mark)
        draw = params._html_repr

        def draw_with_summaries() -> str:
            table = draw()
            for mark, text in texts.items():
                table = table.replace(mark, text)
            return table

        params._html_repr = draw_with_summaries
        return params


def _is_array(value: Any) -> bool:
    return isinstance(getattr(value, "shape", None), tuple) and hasattr(value, "ndim")


def _is_large(value: Any) -> bool:
    """Whether a value takes more than a line, found out without writing a large one."""
    if _is_array(value):
        is_panda = isinstance(value, (pd.DataFrame, pd.Series, pd.Index))
        return is_panda or math.prod(value.shape) > MOST_ITEMS
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        items = value.values() if isinstance(value, Mapping) else value
        if len(value) > MOST_ITEMS or any(_is_array(item) and _is_large(item) for item in items):
            return True
    try:
        text = repr(value)
    except Exception:  # an object of the user's that cannot be shown
        return True
    return len(text) > MOST_CHARACTERS or "\n" in text


def _as_days(value: Any) -> pd.DatetimeIndex | None:
    """Read a value as days, if it consists of dates alone."""
    if isinstance(value, (Mapping, pd.DataFrame, pd.MultiIndex)):
        return None
    if _is_array(value) and not (value.ndim == 1 and getattr(value.dtype, "kind", "") == "M"):
        return None
    try:
        # What is no date raises here.
        days = pd.Index(list(value))
    except Exception:
        return None
    return days if isinstance(days, pd.DatetimeIndex) and days.notna().any() else None


def _count_kinds(labels: pd.Series) -> int:
    try:
        return labels.nunique()
    except TypeError:  # what cannot be counted; fit will refuse the labels
        return len(labels)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
