"""Walk-forward splits, counted in trading days."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import count
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, TimeSeriesSplit
from sklearn.utils import indexable

from skattn.panel import days_of

DaySplits = Iterator[tuple[np.ndarray, np.ndarray]]


class DailySplitter(BaseCrossValidator):
    """Base of the splitters that keep days whole: they choose days, this class finds the rows.

    A subclass implements ``_split_days(calendar)``, which yields pairs of positions in the
    calendar (training days, test days), and ``get_n_splits``.
    """

    # Metadata routing: `groups` are passed on when given, as scikit-learn's group splitters ask.
    __metadata_request__split = {"groups": True}

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of each training and test set.

        Parameters
        ----------
        X : DataFrame, WindowArray or array-like of n_samples rows
            Rows in any order. Where it has an index with a level ``datetime``, days come from
            there, unless ``groups`` are given.
        y : Series or array-like of shape (n_samples,), default=None
            Its index is used for days when X has none.
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
            Days are not known, or there are too few of them for the splits.
        """
        X, y, groups = indexable(X, y, groups)
        try:
            days = days_of(groups, X, y)
        except TypeError as error:
            raise TypeError(
                f"groups must hold the trading day of each row as dates (datetime64, Timestamp or "
                f"str); got {np.asarray(groups).dtype}. Leave groups out to take the days from the "
                f"index of X or y."
            ) from error
        day_of_row, calendar = pd.factorize(days, sort=True)
        for train_days, test_days in self._split_days(calendar):
            yield (
                _rows_on(train_days, day_of_row, len(calendar)),
                _rows_on(test_days, day_of_row, len(calendar)),
            )

    @abstractmethod
    def _split_days(self, calendar: pd.DatetimeIndex) -> DaySplits:
        """Yield (training days, test days) as positions in the sorted calendar."""


class DailyTimeSeriesSplit(DailySplitter):
    """Walk-forward cross-validator over whole trading days.

    It is scikit-learn's ``TimeSeriesSplit`` with days in the place of samples: each test set is
    a run of consecutive days, training sets end ``purge`` days before it, and all stocks of a
    day are on the same side.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 2.
    max_train_size : int, default=None
        Most training days of a split: a rolling window. None: all days so far (expanding).
    test_size : int, default=None
        Days of each test set. None: ``n_days // (n_splits + 1)``.
    purge : int, default=2
        Days dropped between training and test. A label at day t that is made of prices up to
        day t + 2, as qlib's ``Ref($close, -2) / Ref($close, -1) - 1`` is, would reach into the
        test days from the 2 days before them.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : The same over samples.

    Notes
    -----
    Days are those that occur in the data: one on which no stock has a row is not counted.
    The days come from ``groups``, else from the index of X, else of y.

    References
    ----------
    M. López de Prado (2018), "Advances in Financial Machine Learning", chapter 7 (purging).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skattn.model_selection import DailyTimeSeriesSplit
    >>> days = pd.date_range("2024-01-01", periods=8)
    >>> index = pd.MultiIndex.from_product([days, ["A", "B"]], names=["datetime", "instrument"])
    >>> X = pd.DataFrame({"x": np.arange(16.0)}, index=index)
    >>> cv = DailyTimeSeriesSplit(n_splits=3, test_size=1, purge=2)
    >>> cv
    DailyTimeSeriesSplit(max_train_size=None, n_splits=3, purge=2, test_size=1)
    >>> day = X.index.get_level_values("datetime").day
    >>> for i, (train, test) in enumerate(cv.split(X)):
    ...     print(f"Fold {i}:")
    ...     print(f"  Train: days={np.unique(day[train])}, rows={train}")
    ...     print(f"  Test:  days={np.unique(day[test])}, rows={test}")
    Fold 0:
      Train: days=[1 2 3], rows=[0 1 2 3 4 5]
      Test:  days=[6], rows=[10 11]
    Fold 1:
      Train: days=[1 2 3 4], rows=[0 1 2 3 4 5 6 7]
      Test:  days=[7], rows=[12 13]
    Fold 2:
      Train: days=[1 2 3 4 5], rows=[0 1 2 3 4 5 6 7 8 9]
      Test:  days=[8], rows=[14 15]

    In a search or a cross-validation:

    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.model_selection import cross_validate
    >>> from skattn.metrics import ic_scorer
    >>> y = 2 * X["x"]
    >>> scores = cross_validate(LinearRegression(), X, y, cv=cv, scoring=ic_scorer)
    >>> scores["test_score"]
    array([1., 1., 1.])
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        max_train_size: int | None = None,
        test_size: int | None = None,
        purge: int = 2,
    ) -> None:
        _check_count("n_splits", n_splits, 2)
        _check_count("max_train_size", max_train_size, 1, or_none=True)
        _check_count("test_size", test_size, 1, or_none=True)
        _check_count("purge", purge, 0)
        self.n_splits = n_splits
        self.max_train_size = max_train_size
        self.test_size = test_size
        self.purge = purge

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
        return self.n_splits

    def _split_days(self, calendar: pd.DatetimeIndex) -> DaySplits:
        if not self._is_enough(len(calendar)):
            needed = next(n for n in count(len(calendar)) if self._is_enough(n))
            raise ValueError(
                f"{self!r} needs {needed} trading days; there {_are(len(calendar))}. "
                f"Fewer splits, a smaller test_size or a smaller purge need fewer."
            )
        splitter = TimeSeriesSplit(
            self.n_splits,
            max_train_size=self.max_train_size,
            test_size=self.test_size,
            gap=self.purge,
        )
        yield from splitter.split(calendar)

    def _is_enough(self, n_days: int) -> bool:
        """Whether the first split has at least one day to train on and one to test on."""
        test_size = self.test_size or n_days // (self.n_splits + 1)
        return test_size > 0 and n_days > self.n_splits * test_size + self.purge


def _rows_on(days: np.ndarray, day_of_row: np.ndarray, n_days: int) -> np.ndarray:
    chosen = np.zeros(n_days, dtype=bool)
    chosen[days] = True
    return np.flatnonzero(chosen[day_of_row])


def _check_count(name: str, value: Any, least: int, *, or_none: bool = False) -> None:
    if or_none and value is None:
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        allowed = f"an integer of at least {least}" + (" or None" if or_none else "")
        raise ValueError(f"{name} must be {allowed}; got {value!r}.")


def _are(n: int) -> str:
    return f"is {n}" if n == 1 else f"are {n}"
