"""Predictions of one signal, or of several signals of the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from skattn.metrics._rows import LabelledRows, labelled_rows, read_days
from skattn.panel import align_y
from skattn.parameters import InvalidParameterError, shown

# Level of the names in the index of a table of several signals.
SIGNAL = "signal"


@dataclass(frozen=True)
class Signals:
    """Predictions by name; ``are_several`` tells a mapping of one signal from a bare signal."""

    predictions: dict[str, Any]
    are_several: bool

    def argument(self, name: str) -> str:
        """What the predictions of a signal are called in messages."""
        return f"y_pred[{name!r}]" if self.are_several else "y_pred"

    def days(self, y_true: Any, days: Any) -> pd.DatetimeIndex:
        """Check that all signals are of the rows of the labels, and give the day of each row."""
        found = None
        indexed = self._indexed()
        for name, values in self.predictions.items():
            argument = self.argument(name)
            found = read_days(y_true, values, days, argument, *indexed.values())
            for first, predicted in indexed.items():
                if first != argument:
                    align_y(predicted, values, names=(first, argument))
        assert found is not None
        return found

    def rows(
        self, y_true: Any, days: pd.DatetimeIndex, groups: pd.Index | None = None
    ) -> dict[str, LabelledRows]:
        """Check the values of each signal, and keep the rows that have a label."""
        return {
            name: labelled_rows(y_true, values, days, groups, self.argument(name))
            for name, values in self.predictions.items()
        }

    def join(self, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        """Put the tables of the signals below each other, with the names as outer level."""
        return (
            pd.concat(tables, names=[SIGNAL]) if self.are_several else next(iter(tables.values()))
        )

    def _indexed(self) -> dict[str, Any]:
        """Find the first signal with keys of its rows, which the other signals must share."""
        for name, values in self.predictions.items():
            if isinstance(getattr(values, "index", None), pd.MultiIndex):
                return {self.argument(name): values}
        return {}


def read_signals(y_pred: Any) -> Signals:
    """Tell several signals, a mapping or a table of more than one column, from one signal."""
    if isinstance(y_pred, Mapping):
        return _named(list(y_pred), list(y_pred.values()), "mapping")
    is_table = not isinstance(y_pred, pd.Series) and hasattr(y_pred, "__len__")
    columns = getattr(y_pred, "column_names", getattr(y_pred, "columns", ())) if is_table else ()
    # A table of one column is one signal, as scikit-learn's column vectors are.
    if len(columns) < 2:
        return Signals({SIGNAL: y_pred}, are_several=False)
    if isinstance(y_pred, pd.DataFrame):
        return _named(list(columns), [y_pred.iloc[:, k] for k in range(len(columns))], "table")
    return _named(list(columns), [y_pred[column] for column in columns], "table")


def _named(names: list[Any], predictions: list[Any], kind: str) -> Signals:
    if not names:
        raise InvalidParameterError(
            'y_pred is an empty mapping. Give at least one signal, as in {"ALSTM": predictions}.'
        )
    wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
    if wrong:
        cure = (
            'Rename the columns, for example y_pred.add_prefix("path ").'
            if kind == "table"
            else 'Pass {"ALSTM": predictions, ...}, or pandas.Series(y_pred) where the mapping '
            "holds a prediction for each row."
        )
        raise InvalidParameterError(
            f"y_pred, a {kind} of several signals, must have a name (str) for each signal; got "
            f"{shown(wrong[0])}. {cure}"
        )
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise InvalidParameterError(
            f"Each signal must have a name of its own; y_pred repeats {shown(repeated)}."
        )
    return Signals(dict(zip(names, predictions, strict=True)), are_several=True)
