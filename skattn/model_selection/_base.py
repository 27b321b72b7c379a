"""Base class of all splitters: days of rows, the purge and the plot."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import date
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable

from skattn.labels import label_ends, resolve_purge
from skattn.model_selection._display import SplitDisplay, day_roles
from skattn.model_selection._folds import Fold
from skattn.panel import days_of
from skattn.panel.internal import index_of
from skattn.parameters import DeclaredParameters, from_tensor, parameters_of, shown

# Each split is a fit. A far larger number is a mistake and would look like a hang.
MAX_SPLITS = 100_000


class DailySplitter(DeclaredParameters, BaseCrossValidator):
    """Base class of splitters that keep days whole.

    A subclass chooses days, and this base class finds the rows of the days. A subclass declares its
    parameters, including ``purge``, as annotated attributes and has ``n_splits``. A subclass
    implements ``_describe()`` and ``_split_days(calendar, ends)``, which yields :class:`Fold`
    objects with positions in the calendar. Parameters are checked when a splitter is created;
    ``_check_together`` adds checks that combine several parameters.
    """

    # Metadata routing passes `groups` on if given, as for scikit-learn's group splitters.
    __metadata_request__split = {"groups": True}

    def __post_init__(self) -> None:
        """Check the parameters."""
        # Store plain numbers instead of numpy's: scikit-learn clones splitters without get_params.
        for name, value in self._checked_parameters().items():
            setattr(self, name, value)
        self._check_together()

    @property
    def _purge(self) -> int | str | pd.Series:
        return self.purge  # type: ignore[attr-defined]

    def _check_together(self) -> None:
        """Check combinations of parameters."""

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of each training and test set.

        All folds are checked before the first fold is returned.

        Parameters
        ----------
        X : DataFrame, WindowArray or array-like of n_samples rows
            Rows in any order. If X has an index with a level ``datetime`` and ``groups`` is None,
            the days come from this index.
        y : Series or array-like of shape (n_samples,), default=None
            Labels. The index of y gives the days if X has no days. ``purge="auto"`` reads
            ``y.attrs["reach"]``.
        groups : array-like of dates, shape (n_samples,), default=None
            Day of each row as datetime64, Timestamp or str, not as integers.

        Yields
        ------
        train : ndarray of int
            Row positions, increasing.
        test : ndarray of int
            Row positions, increasing.

        Raises
        ------
        TypeError
            ``groups`` are not dates.
        ValueError
            The days are unknown, there are too few days for the splits, or a fold has no training
            day.
        """
        rows = self._read_rows(X, y, groups)
        for fold in self._folds(rows):
            yield rows.on(fold.train), rows.on(fold.test)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object
            Not used; present for compatibility with scikit-learn.

        Returns
        -------
        n_splits : int
        """
        return int(self.n_splits)  # type: ignore[attr-defined]

    def plot(self, X: Any, y: Any = None, groups: Any = None, *, ax: Any = None) -> SplitDisplay:
        """Plot the folds on a calendar, one row per fold (requires matplotlib).

        Parameters
        ----------
        X, y, groups : object
            As in :meth:`split`.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None creates a new figure. The title and the legend find room in a
            figure with a layout, such as ``pyplot.subplots(2, 2, layout="constrained")``.

        Returns
        -------
        display : SplitDisplay
            Display with ``ax_`` and ``figure_``, and with the data of the plot in ``roles``.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError, ValueError
            As for :meth:`split`, or ``ax`` is not an Axes.
        """
        rows = self._read_rows(X, y, groups)
        roles = day_roles(self._folds(rows), rows.calendar)
        return SplitDisplay(roles, title=self._title(rows)).plot(ax=ax)

    def __repr__(self) -> str:
        """Return the call that creates this splitter, with parameters in signature order.

        As of scikit-learn's estimators, only parameters that differ from their defaults are shown,
        unless ``sklearn.set_config(print_changed_only=False)``.
        """
        given = {name: getattr(self, name) for name in signature(type(self)).parameters}
        if get_config()["print_changed_only"]:
            known = parameters_of(type(self))
            given = {name: v for name, v in given.items() if _differs(v, known[name].default)}
        values = ", ".join(f"{name}={parameter_text(value)}" for name, value in given.items())
        return f"{type(self).__name__}({values})"

    def __str__(self) -> str:
        """Return the repr and a short description of the splitter."""
        return f"{self!r}: {self._describe()}"

    @abstractmethod
    def _split_days(self, calendar: pd.DatetimeIndex, ends: np.ndarray) -> Iterator[Fold]:
        """Yield the folds as positions in the sorted calendar.

        ``ends`` has the position of the last day that the labels of each day look at.
        """

    @abstractmethod
    def _describe(self) -> str:
        """Describe the folds in a few words."""

    def _title(self, rows: Rows) -> str:
        """Describe the splitter above a picture, with the purge that "auto" found."""
        if not isinstance(self._purge, str):
            return repr(self)
        n_days = "1 day" if rows.purge == 1 else f"{rows.purge} days"
        return f"{self!r}, purge of {n_days}"

    def _read_rows(self, X: Any, y: Any, groups: Any) -> Rows:
        """Find the day of each row, and how far the labels of each day look ahead."""
        day_of_row, calendar = self._days(X, y, groups)
        purge = resolve_purge(self._purge, y)
        ends = label_ends(purge, calendar, day_of_row, index_of(X, y), _labelled(y))
        return Rows(day_of_row, calendar, purge, ends)

    def _days(self, X: Any, y: Any, groups: Any) -> tuple[np.ndarray, pd.DatetimeIndex]:
        """Return each row's position in the calendar, and the calendar."""
        check_rows(X=X, y=y, groups=groups)
        X, y, groups = indexable(X, y, groups)
        try:
            days = days_of(groups, X, y)
        except TypeError as error:
            raise TypeError(
                f"groups must hold the trading day of each row as dates (datetime64, Timestamp or "
                f"str): {error} Leave groups out to take the days from the index of X or y."
            ) from error
        return pd.factorize(days, sort=True)

    def _check_runs(self, calendar: pd.DatetimeIndex, name: str) -> None:
        """Raise if there are fewer days than runs; the parameter ``name`` is the number of runs."""
        n_runs = getattr(self, name)
        if len(calendar) < n_runs:
            raise ValueError(
                f"{self!r} needs at least {n_runs} trading days; there "
                f"{are(len(calendar))}. Use a smaller {name} than {n_runs}."
            )

    def _folds(self, rows: Rows) -> Iterator[Fold]:
        """Check all folds first, so that a search fails at the start, not halfway."""
        calendar = rows.calendar
        for number, fold in enumerate(self._split_days(calendar, rows.ends)):
            if len(fold.train) == 0:
                counts = [f"{len(fold.test)} to test"]
                counts += [f"{len(days)} {why}" for why, days in fold.left_out.items() if len(days)]
                first, last = (day_text(calendar[fold.test[end]]) for end in (0, -1))
                raise ValueError(
                    f"{self!r} leaves no training day in fold {number}, which tests from "
                    f"{first} to {last}: of "
                    f"{len(calendar)} trading days, {', '.join(counts)}, with purge="
                    f"{parameter_text(rows.purge)}. Use more days, or a smaller purge or embargo."
                )
        return self._split_days(calendar, rows.ends)


class Rows(NamedTuple):
    """The rows of a split: their days, and how far labels look ahead."""

    day_of_row: np.ndarray
    calendar: pd.DatetimeIndex
    purge: int | pd.Series
    # Position of the last day that the labels of each day look at.
    ends: np.ndarray

    def on(self, days: np.ndarray) -> np.ndarray:
        """Find all rows of the given days."""
        return rows_on(days, self.day_of_row, len(self.calendar))


def _labelled(y: Any) -> np.ndarray | None:
    """Find the rows that have a label, of any kind; None where y is no table of labels."""
    try:
        return None if y is None else pd.DataFrame(from_tensor(y)).notna().to_numpy().any(axis=1)
    except (TypeError, ValueError):
        return None


def check_rows(**given: Any) -> None:
    """Raise if something given, by name, has no rows."""
    for name, values in given.items():
        if values is not None and not (hasattr(values, "__len__") or hasattr(values, "shape")):
            raise TypeError(f"{name} must have a row for each sample; got {shown(values)}.")


def rows_on(days: np.ndarray, day_of_row: np.ndarray, n_days: int) -> np.ndarray:
    """Find all rows of the given days: positions in the calendar, or a mask of the calendar."""
    chosen = np.zeros(n_days, dtype=bool)
    chosen[days] = True
    return np.flatnonzero(chosen[day_of_row])


def are(n: int) -> str:
    """Return "is 1" or "are n"."""
    return f"is {n}" if n == 1 else f"are {n}"


def day_text(stamp: pd.Timestamp) -> str:
    """Format a day for error messages."""
    return f"{stamp:%Y-%m-%d}"


def parameter_text(value: Any) -> str:
    """Show a parameter in a few words: long tables by their size, midnights as dates."""
    if isinstance(value, pd.Series) and len(value) != 2:
        return f"<{len(value)} last days>"
    if np.iterable(value) and not isinstance(value, str):
        return f"({', '.join(map(parameter_text, value))})"
    if isinstance(value, date | np.datetime64):
        day = pd.Timestamp(value)
        return repr(day_text(day)) if day.tz is None and day == day.normalize() else repr(day)
    return shown(value, 10_000)


def _differs(value: Any, default: Any) -> bool:
    """Return whether a parameter differs from its default, also in its type."""
    return type(value) is not type(default) or bool(value != default)
