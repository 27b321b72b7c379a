"""What all splitters share: days of rows, the purge, the picture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable

from skattn.model_selection._display import SplitDisplay, day_roles
from skattn.model_selection._folds import Fold
from skattn.panel import days_of, resolve_purge


class DailySplitter(BaseCrossValidator):
    """Base of the splitters that keep days whole: they choose days, this class finds the rows.

    A subclass has ``n_splits`` and ``purge``, and implements ``_split_days(calendar, purge)``,
    which yields :class:`Fold` objects of positions in the calendar, and ``_describe()``.
    """

    n_splits: int
    purge: int | str

    # Metadata routing: `groups` are passed on when given, as scikit-learn's group splitters ask.
    __metadata_request__split = {"groups": True}

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of each training and test set.

        All folds are checked before the first is given.

        Parameters
        ----------
        X : DataFrame, WindowArray or array-like of n_samples rows
            Rows in any order. Where it has an index with a level ``datetime``, days come from
            there, unless ``groups`` are given.
        y : Series or array-like of shape (n_samples,), default=None
            Its index is used for days when X has none. Its ``attrs["horizon"]`` is what
            ``purge="auto"`` reads.
        groups : array-like of dates, shape (n_samples,), default=None
            The day of each row: datetime64, Timestamp or str; not integers.

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
            Days are not known, there are too few of them for the splits, or a fold has no day
            to train on.
        """
        day_of_row, calendar = self._days(X, y, groups)
        for fold in self._folds(calendar, resolve_purge(self.purge, y)):
            yield (
                rows_on(fold.train, day_of_row, len(calendar)),
                rows_on(fold.test, day_of_row, len(calendar)),
            )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object
            Not used, for scikit-learn's convention.

        Returns
        -------
        n_splits : int
        """
        return int(self.n_splits)

    def plot(self, X: Any, y: Any = None, groups: Any = None, *, ax: Any = None) -> SplitDisplay:
        """Draw the folds on a calendar, one row a fold (needs matplotlib).

        Parameters
        ----------
        X, y, groups : object
            As in :meth:`split`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        display : SplitDisplay
            With ``ax_`` and ``figure_``, and the data of the picture in ``roles``.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError, ValueError
            As :meth:`split`; or ``ax`` is no Axes.
        """
        _, calendar = self._days(X, y, groups)
        purge = resolve_purge(self.purge, y)
        title = repr(self).replace("purge='auto'", f"purge='auto' ({purge} days)")
        roles = day_roles(self._folds(calendar, purge), calendar)
        return SplitDisplay(roles, title=title).plot(ax=ax)

    def __repr__(self) -> str:
        """Give the call that makes this splitter, in the order of its signature."""
        names = signature(type(self)).parameters
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({values})"

    def __str__(self) -> str:
        """Give the repr, and what the splitter does."""
        return f"{self!r}: {self._describe()}"

    @abstractmethod
    def _split_days(self, calendar: pd.DatetimeIndex, purge: int) -> Iterator[Fold]:
        """Yield the folds as positions in the sorted calendar."""

    @abstractmethod
    def _describe(self) -> str:
        """Say in a few words what the folds are."""

    def _days(self, X: Any, y: Any, groups: Any) -> tuple[np.ndarray, pd.DatetimeIndex]:
        """Each row's position in the calendar, and the calendar."""
        X, y, groups = indexable(X, y, groups)
        try:
            days = days_of(groups, X, y)
        except TypeError as error:
            raise TypeError(
                f"groups must hold the trading day of each row as dates (datetime64, Timestamp or "
                f"str); got {np.asarray(groups).dtype}. Leave groups out to take the days from the "
                f"index of X or y."
            ) from error
        return pd.factorize(days, sort=True)

    def _check_blocks(self, calendar: pd.DatetimeIndex, name: str) -> None:
        """Raise where there are fewer days than blocks, whose number is the parameter ``name``."""
        n_blocks = getattr(self, name)
        if len(calendar) < n_blocks:
            raise ValueError(
                f"{self!r} needs {n_blocks} trading days at the least; there "
                f"{are(len(calendar))}. Use a smaller {name}."
            )

    def _folds(self, calendar: pd.DatetimeIndex, purge: int) -> Iterator[Fold]:
        """Check all folds, then give them: no search begins that cannot end."""
        for number, fold in enumerate(self._split_days(calendar, purge)):
            if len(fold.train) == 0:
                counts = [f"{len(fold.test)} to test"]
                counts += [f"{len(days)} {why}" for why, days in fold.left_out.items() if len(days)]
                first, last = (day_text(calendar[fold.test[end]]) for end in (0, -1))
                raise ValueError(
                    f"{self!r} leaves no day to train on in fold {number}, which tests from "
                    f"{first} to {last}: of "
                    f"{len(calendar)} trading days, {', '.join(counts)}, with a purge of {purge}. "
                    f"More days leave some, or a smaller purge or embargo."
                )
        return self._split_days(calendar, purge)


def rows_on(days: np.ndarray, day_of_row: np.ndarray, n_days: int) -> np.ndarray:
    """Find all rows of some days, given as positions in the calendar or a mask of it."""
    chosen = np.zeros(n_days, dtype=bool)
    chosen[days] = True
    return np.flatnonzero(chosen[day_of_row])


def check_purge(purge: Any) -> None:
    """Raise where ``purge`` is neither "auto" nor an integer of at least 0."""
    resolve_purge(purge, None)


def are(n: int) -> str:
    """Say "is 1" or "are n"."""
    return f"is {n}" if n == 1 else f"are {n}"


def day_text(stamp: pd.Timestamp) -> str:
    """Write a day as an error shows it."""
    return f"{stamp:%Y-%m-%d}"
