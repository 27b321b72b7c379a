"""Combinatorial purged cross-validation over blocks of trading days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from skattn._params import check_count, check_numbers
from skattn.model_selection._base import DailySplitter, check_purge, rows_on
from skattn.model_selection._folds import Fold, blocks, purge_around
from skattn.panel import align_y

# Each split is a fit: a number far above this is a slip, and would only seem to hang.
MAX_SPLITS = 100_000


class CombinatorialPurgedDailyKFold(DailySplitter):
    """Combinatorial purged cross-validation (CPCV) over blocks of trading days.

    The days are cut into ``n_folds`` blocks, and each choice of ``n_test_folds`` blocks is a test
    set once. So each block is tested several times, by models of different training sets, and
    the predictions can be put together to several complete backtests: see
    :meth:`reconstruct_paths`.

    Parameters
    ----------
    n_folds : int, default=10
        Number of blocks of consecutive days, at least 2. Their sizes differ by at most one day.
    n_test_folds : int, default=2
        Blocks that a split tests, from 1 to ``n_folds - 1``. With 1 it is ``PurgedDailyKFold``.
    purge : int or "auto", default="auto"
        Trading days left out before and after each run of test days: the reach of the label.
        "auto" takes it from ``y.attrs["horizon"]`` (``skattn.preprocessing.make_label`` writes
        it), else 2, the reach of qlib's ``Ref($close, -2) / Ref($close, -1) - 1``. It trusts
        ``y.attrs``, which pandas copies to what is computed from y: a label that was shifted or
        combined by hand needs a number.
    embargo : int, default=0
        Trading days left out after each run of test days, on top of the purge.

    Raises
    ------
    ValueError
        A parameter is not allowed, or there would be more than 100,000 splits.

    See Also
    --------
    PurgedDailyKFold : Tests one block at a time.
    skfolio.model_selection.CombinatorialPurgedCV : The same over observations of portfolios.

    Notes
    -----
    Days are those that occur in the data: one on which no stock has a row is not counted. Purge
    and embargo are counted in these days, which never makes them shorter.

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
    CombinatorialPurgedDailyKFold(n_folds=4, n_test_folds=2, purge=1, embargo=0): 6 splits, each
    tests 2 of 4 blocks of days; 3 backtest paths
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

    def __init__(
        self,
        n_folds: int = 10,
        n_test_folds: int = 2,
        *,
        purge: int | str = "auto",
        embargo: int = 0,
    ) -> None:
        check_count("n_folds", n_folds, 2)
        check_count("n_test_folds", n_test_folds, 1)
        if n_test_folds >= n_folds:
            raise ValueError(
                f"n_test_folds must be smaller than n_folds={n_folds}, so that a fold is left to "
                f"train on; got {n_test_folds}."
            )
        if comb(n_folds, n_test_folds) > MAX_SPLITS:
            raise ValueError(
                f"n_folds={n_folds} and n_test_folds={n_test_folds} make "
                f"{comb(n_folds, n_test_folds):,} splits, each a fit; at most {MAX_SPLITS:,} are "
                f"allowed. Fewer n_folds, or n_test_folds nearer to 1 or to n_folds, make fewer."
            )
        check_purge(purge)
        check_count("embargo", embargo, 0)
        self.n_folds = n_folds
        self.n_test_folds = n_test_folds
        self.purge = purge
        self.embargo = embargo

    @property
    def n_splits(self) -> int:  # type: ignore[override]
        """Number of splits: ways to choose the test folds."""
        return comb(self.n_folds, self.n_test_folds)

    @property
    def n_test_paths(self) -> int:
        """Number of backtest paths: how often each fold is tested."""
        return comb(self.n_folds - 1, self.n_test_folds - 1)

    def reconstruct_paths(
        self, predictions: Sequence[Any], X: Any = None, groups: Any = None
    ) -> pd.DataFrame:
        """Put the predictions of the splits together to complete backtests.

        Parameters
        ----------
        predictions : sequence of array-like
            One for each split, in the order of :meth:`split`: the predictions of its test rows,
            in their order.
        X : DataFrame, WindowArray or array-like of n_samples rows, default=None
            The rows that were split; only their days are used. None: from ``groups``.
        groups : array-like of dates, shape (n_samples,), default=None
            The day of each row, as in :meth:`split`. None: from the index of X.

        Returns
        -------
        paths : DataFrame of shape (n_samples, n_test_paths)
            Each column has one prediction for each row, made by a model that was not trained on
            its day. Indexed as X where X has an index.

        Raises
        ------
        TypeError
            ``groups`` are not dates; or ``predictions`` are no sequence, but for example a dict
            or a generator.
        ValueError
            The number of predictions is not that of the splits, or that of their rows; they are
            not one number a row; a prediction has an index of other rows; or the days are not
            known.
        """
        if not isinstance(predictions, Sequence | np.ndarray):
            raise TypeError(
                f"predictions must be a sequence, such as a list, of one array for each split; got "
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
        self._check_blocks(calendar, "n_folds")
        fold_of_day = np.repeat(
            np.arange(self.n_folds), [len(block) for block in blocks(len(calendar), self.n_folds)]
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

    def _split_days(self, calendar: pd.DatetimeIndex, purge: int) -> Iterator[Fold]:
        self._check_blocks(calendar, "n_folds")
        days_of_fold = blocks(len(calendar), self.n_folds)
        for test_folds in self._test_folds():
            test = np.concatenate([days_of_fold[fold] for fold in test_folds])
            yield purge_around(test, len(calendar), purge, self.embargo)

    def _test_folds(self) -> Iterator[list[int]]:
        return map(list, combinations(range(self.n_folds), self.n_test_folds))

    def _describe(self) -> str:
        paths = "path" if self.n_test_paths == 1 else "paths"
        return (
            f"{self.n_splits} splits, each tests {self.n_test_folds} of {self.n_folds} blocks of "
            f"days; {self.n_test_paths} backtest {paths}"
        )
