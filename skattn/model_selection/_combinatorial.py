"""Combinatorial purged cross-validation over blocks of trading days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from skattn.labels import PURGE_BOUNDS
from skattn.model_selection._base import MAX_SPLITS, DailySplitter, rows_on
from skattn.model_selection._embargo import EMBARGO_BOUNDS
from skattn.model_selection._folds import Fold, cut_into_runs, purge_around
from skattn.panel import align_y
from skattn.parameters import check_numbers, parameter


class CombinatorialPurgedDailyKFold(DailySplitter):
    """Combinatorial purged cross-validation (CPCV) over blocks of trading days.

    The days are cut into ``n_folds`` blocks, and each choice of ``n_test_folds`` blocks is a test
    set once. Each block is therefore tested several times, by models with different training sets.
    :meth:`reconstruct_paths` combines the predictions to several complete backtests.

    Parameters
    ----------
    n_folds : int, default=10
        Number of blocks of consecutive days, at least 2. Block sizes differ by at most one day.
    n_test_folds : int, default=2
        Number of test blocks in each split, from 1 to ``n_folds - 1``. With 1 the splits are the
        splits of ``PurgedDailyKFold``.
    purge : int, "auto" or Series of dates, default="auto"
        Trading days left out before and after each run of test days: the reach of the label. "auto"
        reads the reach from ``y.attrs["reach"]``, which ``skattn.make_label`` sets. Without this
        entry "auto" warns and uses 2, the reach of qlib's
        ``Ref($close, -2) / Ref($close, -1) - 1``. pandas copies ``y.attrs`` to everything computed
        from y, so pass a number for a label that was shifted or combined by hand.

        A Series of dates, with the index of the rows, tells the last day that each label looks at,
        such as the day on which a barrier was touched; NaT stands for a row without a label. A day
        is left out where any label of it overlaps the test days or their labels, so that days stay
        whole.
    embargo : int, float or Timedelta, default=0
        Trading days left out after each run of test days, in addition to the purge: a number, a
        fraction below 1 of all trading days (rounded up), or a span of time as
        ``pandas.Timedelta``.

    Raises
    ------
    ValueError
        A parameter is not allowed, or there would be more than 100,000 splits.

    See Also
    --------
    PurgedDailyKFold : Tests one block at a time.
    skfolio.model_selection.CombinatorialPurgedCV : CPCV over observations of portfolios.

    Notes
    -----
    Only days in the data count: a day on which no stock has a row is skipped. Purge and embargo
    count the days in the data, so they never cover fewer market days than requested.

    The splits come in the order of ``itertools.combinations``. The k-th split that tests a block
    gives that block's predictions to path k, as in skfolio and purgedcv.

    References
    ----------
    M. López de Prado (2018), "Advances in Financial Machine Learning", chapter 12.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skattn.model_selection import CombinatorialPurgedDailyKFold
    >>> days = pd.date_range("2024-01-01", periods=12)
    >>> index = pd.MultiIndex.from_product([days, ["A", "B"]], names=["datetime", "instrument"])
    >>> X = pd.DataFrame({"x": np.arange(24.0)}, index=index)
    >>> cv = CombinatorialPurgedDailyKFold(n_folds=4, n_test_folds=2, purge=1)
    >>> print(cv)
    CombinatorialPurgedDailyKFold(n_folds=4, purge=1): 6 splits, each tests 2 of 4 blocks of days; 3
    backtest paths
    >>> day = X.index.get_level_values("datetime").day
    >>> for i, (train, test) in enumerate(cv.split(X)):
    ...     print(f"Fold {i}: train {np.unique(day[train])}, test {np.unique(day[test])}")
    Fold 0: train [ 8  9 10 11 12], test [1 2 3 4 5 6]
    Fold 1: train [ 5 11 12], test [1 2 3 7 8 9]
    Fold 2: train [5 6 7 8], test [ 1  2  3 10 11 12]
    Fold 3: train [ 1  2 11 12], test [4 5 6 7 8 9]
    Fold 4: train [1 2 8], test [ 4  5  6 10 11 12]
    Fold 5: train [1 2 3 4 5], test [ 7  8  9 10 11 12]

    Backtests from the models of a cross-validation:

    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import cross_validate
    >>> y = 2 * X["x"]
    >>> result = cross_validate(Ridge(), X, y, cv=cv, return_estimator=True, return_indices=True)
    >>> predictions = [
    ...     model.predict(X.iloc[rows])
    ...     for model, rows in zip(result["estimator"], result["indices"]["test"])
    ... ]
    >>> paths = cv.reconstruct_paths(predictions, X)
    >>> paths.round(1).head(3)
    path                     0    1    2
    datetime   instrument
    2024-01-01 A           0.4  0.1  0.5
               B           2.4  2.1  2.5
    2024-01-02 A           4.4  4.1  4.4
    """

    n_folds: int = parameter(10, at_least=2, at_most=MAX_SPLITS, positional=True)
    n_test_folds: int = parameter(2, at_least=1, positional=True)
    purge: int | str | pd.Series = parameter("auto", **PURGE_BOUNDS)
    embargo: int | float | timedelta = parameter(0, **EMBARGO_BOUNDS)

    def _check_together(self) -> None:
        if self.n_test_folds >= self.n_folds:
            raise ValueError(
                f"n_test_folds must be smaller than n_folds={self.n_folds}, so that a fold remains "
                f"for training; got {self.n_test_folds}."
            )
        if self.n_splits > MAX_SPLITS:
            raise ValueError(
                f"n_folds={self.n_folds} and n_test_folds={self.n_test_folds} make "
                f"{self.n_splits:,} splits, each a fit; at most {MAX_SPLITS:,} are allowed. Use "
                f"a smaller n_folds, or n_test_folds closer to 1 or to n_folds."
            )

    @property
    def n_splits(self) -> int:
        """Number of splits: the number of ways to choose the test folds."""
        return comb(self.n_folds, self.n_test_folds)

    @property
    def n_test_paths(self) -> int:
        """Number of backtest paths: the number of times each fold is tested."""
        return comb(self.n_folds - 1, self.n_test_folds - 1)

    def reconstruct_paths(
        self, predictions: Sequence[Any], X: Any = None, groups: Any = None
    ) -> pd.DataFrame:
        """Combine the predictions of the splits to complete backtests.

        Parameters
        ----------
        predictions : sequence of array-like
            One array per split, in the order of :meth:`split`. Each array holds the predictions of
            the split's test rows, in the order of the test rows.
        X : DataFrame, WindowArray or array-like of n_samples rows, default=None
            The rows that were split; only their days and index are used. None reads the days from
            ``groups``.
        groups : array-like of dates, shape (n_samples,), default=None
            Day of each row, as in :meth:`split`. None reads the days from the index of X.

        Returns
        -------
        paths : DataFrame of shape (n_samples, n_test_paths)
            Each column holds one prediction per row, made by a model that was not trained on the
            day of the row. The index is the index of X, if X has an index.

        Raises
        ------
        TypeError
            ``groups`` are not dates, or ``predictions`` is not a sequence but, for example, a dict
            or a generator.
        ValueError
            The number of arrays differs from the number of splits, or the length of an array
            differs from the number of its test rows. The predictions are not one number per row. An
            array has the index of other rows. The days are unknown.
        """
        is_scalar = isinstance(predictions, np.ndarray) and predictions.ndim == 0
        if is_scalar or not isinstance(predictions, Sequence | np.ndarray):
            raise TypeError(
                f"predictions must be a sequence, such as a list, with one array per split; got "
                f"{type(predictions).__name__}."
            )
        if len(predictions) != self.n_splits:
            raise ValueError(
                f"predictions must hold one array for each of the {self.n_splits} splits of "
                f"{self!r}; got {len(predictions)}."
            )
        day_of_row, calendar = self._days(groups if X is None else X, None, groups)
        index = getattr(X, "index", None)
        index = index if isinstance(index, pd.Index) else pd.RangeIndex(len(day_of_row))
        self._check_runs(calendar, "n_folds")
        fold_of_day = np.repeat(
            np.arange(self.n_folds),
            [len(run) for run in cut_into_runs(len(calendar), self.n_folds)],
        )
        values = np.empty((len(day_of_row), self.n_test_paths))
        times_tested = np.zeros(self.n_folds, dtype=int)
        for number, test_folds in enumerate(self._test_folds()):
            rows = rows_on(np.isin(fold_of_day, test_folds), day_of_row, len(calendar))
            name = f"predictions[{number}]"
            predicted = check_numbers(name, predictions[number])
            if len(predicted) != len(rows):
                raise ValueError(
                    f"{name} has {len(predicted)} values; split {number} tests {len(rows)} rows."
                )
            tested = pd.Series(index=index[rows], dtype=float)
            align_y(tested, predictions[number], ("X[test]", name))
            path = times_tested[fold_of_day[day_of_row[rows]]]
            values[rows, path] = predicted
            times_tested[test_folds] += 1
        return pd.DataFrame(values, index, pd.RangeIndex(self.n_test_paths, name="path"))

    def _split_days(self, calendar: pd.DatetimeIndex, ends: np.ndarray) -> Iterator[Fold]:
        self._check_runs(calendar, "n_folds")
        days_of_fold = cut_into_runs(len(calendar), self.n_folds)
        for test_folds in self._test_folds():
            test = np.concatenate([days_of_fold[fold] for fold in test_folds])
            yield purge_around(test, ends, self.embargo, calendar)

    def _test_folds(self) -> Iterator[list[int]]:
        return map(list, combinations(range(self.n_folds), self.n_test_folds))

    def _describe(self) -> str:
        paths = "path" if self.n_test_paths == 1 else "paths"
        return (
            f"{self.n_splits} splits, each tests {self.n_test_folds} of {self.n_folds} blocks of "
            f"days; {self.n_test_paths} backtest {paths}"
        )
