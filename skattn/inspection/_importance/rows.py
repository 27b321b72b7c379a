"""The rows that a fitted model is asked about, gathered a chunk at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skattn.base import SequenceRegressor
from skattn.inspection._fitted import before_last_step, last_step
from skattn.panel import WindowArray, align_y, days_of, instruments_of
from skattn.parameters import as_array, check_numbers, check_value, shown
from skattn.training import Samples, check_finite, predict_rows

# Rows gathered at a time have at most this many values: 16 MB, and the same again while predicted.
CELLS = 2**22


class ModelRows:
    """The input of the model that an estimator ends in, whose rows can be changed and predicted.

    Parameters
    ----------
    estimator : fitted estimator
        Any regressor, or a Pipeline, search, CrossSectionalTarget or LearntConcepts around one.
    X : input of the estimator's ``predict``, N rows
        The steps of a pipeline are applied once.
    y : array-like of shape (N,), default=None
        Only the index is used, where X has none.
    days, instruments : array-like of shape (N,), default=None
        Day and instrument of each row.
    needs_days : bool, default=True
        Whether to raise where the days are unknown, also for a model of single rows.

    Attributes
    ----------
    model : estimator
        The regressor that predicts.
    X : object
        The rows after the steps of the pipeline.
    values : WindowArray, ndarray of shape (N, T, F), or table of N rows
        The same, checked.
    fields : tuple
        Names of the fields of windows, or of the columns of a table.
    n_steps : int or None
        Steps T of windows; None for a table.
    days : DatetimeIndex or None
        Day of each row.
    instruments : Index or None
        Instrument of each row.
    whole_days : bool
        Whether the model looks across the stocks of a day.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        days: Any = None,
        instruments: Any = None,
        needs_days: bool = True,
    ) -> None:
        for name, given in (("y", y), ("days", days), ("instruments", instruments)):
            align_y(X, given, names=("X", name))
        self.model = last_step(estimator)
        if isinstance(self.model, type) or not hasattr(self.model, "predict"):
            raise TypeError(f"estimator must be a fitted regressor; got {shown(estimator)}.")
        is_sequence = isinstance(self.model, SequenceRegressor)
        self.whole_days = is_sequence and self.model.net_.contract.cross_sectional
        known_days = days_of(days, X, y, required=needs_days or self.whole_days)
        if instruments is None:
            found = (instruments_of(carrier) for carrier in (X, y))
            instruments = next((each for each in found if each is not None), None)
        self.X = X = before_last_step(estimator, X)
        self.values: Any
        self.days: Any
        self.instruments: Any
        self.n_steps: Any
        if is_sequence:
            samples = self.model.check_rows(X, days=known_days, instruments=instruments)
            self.values, self.days, self.instruments = samples.X, samples.days, samples.instruments
            net = self.model.net_
            if net.n_outputs > 1:
                raise ValueError(
                    f"Importance is that of one output, and this {type(self.model).__name__} was "
                    f"fitted on {net.n_outputs} labels a row. Fit it on one column of y."
                )
            net.side_inputs.check(samples.instruments, fitting=False)
        else:
            self.values = X if isinstance(X, (pd.DataFrame, WindowArray)) else as_array("X", X)
            self.days, self.instruments = known_days, _as_index(instruments)
            _check_lengths(self.values, self.days, self.instruments)
        self.n_steps = self.values.shape[1] if self.values.ndim == 3 else None
        self.fields = _fields_of(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def by_day(self, rows: np.ndarray) -> list[np.ndarray]:
        """Give the numbers of some rows for each day, in order; by instrument within a day."""
        chosen = Samples(
            rows,
            rows,
            self.days[rows],
            None if self.instruments is None else self.instruments[rows],
        )
        return [rows[day] for day in chosen.rows_by_day()]

    def chunks(self, days: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        """Join days to chunks that fit into a bounded part of the memory."""
        width = len(self.fields) * (self.n_steps or 1)
        chunks: list[list[np.ndarray]] = []
        n_cells = CELLS
        for rows in days:
            n_cells += len(rows) * width
            if n_cells > CELLS:
                chunks.append([])
                n_cells = len(rows) * width
            chunks[-1].append(rows)
        return chunks

    def gather(self, rows: np.ndarray) -> Any:
        """Copy some rows: an array (R, T, F), or a table."""
        if isinstance(self.values, pd.DataFrame):
            return self.values.iloc[rows].copy()
        is_lazy = isinstance(self.values, WindowArray)
        gathered = self.values.gather(rows) if is_lazy else self.values[rows]
        # Rows of a transposed array come transposed, too, and could not be changed as flat rows.
        gathered = np.ascontiguousarray(gathered)
        if isinstance(self.model, SequenceRegressor):
            gathered = gathered.astype(np.float32, copy=False)
            # Here and not while predicting, where a row's number is its place in the chunk.
            check_finite(gathered, self.values, rows, "X")
        return gathered

    def predict(self, gathered: Any, rows: np.ndarray) -> np.ndarray:
        """Predict gathered rows, changed or not."""
        if not isinstance(self.model, SequenceRegressor):
            return check_numbers("the predictions of estimator", self.model.predict(gathered))
        return predict_rows(self.model.net_, self.samples(rows, gathered)).astype(np.float64)

    def samples(self, rows: np.ndarray, gathered: np.ndarray | None = None) -> Samples:
        """Make samples of some rows, for a skattn regressor."""
        return Samples(
            self.gather(rows) if gathered is None else gathered,
            np.full(len(rows), np.nan, dtype=np.float32),
            None if self.days is None else self.days[rows],
            None if self.instruments is None else self.instruments[rows],
        )


def count_rows(name: str, max_samples: Any, n_rows: int) -> int:
    """Read a number of rows that is given as an int, or as a share of all."""
    max_samples = check_value(name, max_samples, "int | float", above=0)
    if isinstance(max_samples, int):
        return min(max_samples, n_rows)
    check_value(name, max_samples, "float", above=0, at_most=1)
    return max(1, round(max_samples * n_rows))


def _as_index(instruments: Any) -> pd.Index | None:
    return None if instruments is None else pd.Index(as_array("instruments", instruments))


def _check_lengths(values: Any, days: Any, instruments: Any) -> None:
    if values.ndim not in (2, 3):
        raise ValueError(
            f"The model reads a table (N, columns) or windows (N, T, F); X has "
            f"{values.ndim} dimensions."
        )
    for name, given in (("days", days), ("instruments", instruments)):
        if given is not None and len(given) != len(values):
            raise ValueError(f"X has {len(values)} rows, and {name} has {len(given)}.")


def _fields_of(values: Any) -> tuple[Any, ...]:
    if isinstance(values, WindowArray):
        return values.fields
    if isinstance(values, pd.DataFrame):
        return tuple(values.columns)
    return tuple(f"x{i}" for i in range(values.shape[-1]))
