"""K-fold over blocks of trading days."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from skattn._params import check_count
from skattn.model_selection._base import DailySplitter, check_purge
from skattn.model_selection._folds import Fold, blocks, purge_around


class PurgedDailyKFold(DailySplitter):
    """K-fold cross-validation over blocks of consecutive trading days.

    Each day is tested once. The other days train, but for those whose labels overlap the labels
    or the days of the test: ``purge`` days on both sides of it, and ``embargo`` more after it.

    Parameters
    ----------
    n_splits : int, default=5
        Number of blocks, at least 2. Their sizes differ by at most one day.
    purge : int or "auto", default="auto"
        Trading days left out before and after the test days: the reach of the label. "auto"
        takes it from ``y.attrs["horizon"]`` (``skattn.preprocessing.make_label`` writes it), else
        2, the reach of qlib's ``Ref($close, -2) / Ref($close, -1) - 1``. It trusts ``y.attrs``,
        which pandas copies to what is computed from y: a label that was shifted or combined by
        hand needs a number.
    embargo : int, default=0
        Trading days left out after the test, on top of the purge.

    Raises
    ------
    ValueError
        A parameter is not allowed.

    See Also
    --------
    sklearn.model_selection.KFold : The same over samples, without purge.
    DailyTimeSeriesSplit : Trains on the past only.
    CombinatorialPurgedDailyKFold : Tests several blocks at a time.

    Notes
    -----
    Days are those that occur in the data: one on which no stock has a row is not counted. Purge
    and embargo are counted in these days, which never makes them shorter.

    Training days after the test make use of all data, but are no simulation of trading.

    The embargo begins where the purge ends, as skfolio's. That of purgedcv, given as a number of
    observations, begins at the last test day: it is ours plus the purge.

    References
    ----------
    M. López de Prado (2018), "Advances in Financial Machine Learning", section 7.4.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skattn.model_selection import PurgedDailyKFold
    >>> days = pd.date_range("2024-01-01", periods=12)
    >>> index = pd.MultiIndex.from_product([days, ["A", "B"]], names=["datetime", "instrument"])
    >>> X = pd.DataFrame({"x": np.arange(24.0)}, index=index)
    >>> cv = PurgedDailyKFold(n_splits=3, purge=1, embargo=1)
    >>> day = X.index.get_level_values("datetime").day
    >>> for i, (train, test) in enumerate(cv.split(X)):
    ...     print(f"Fold {i}: train {np.unique(day[train])}, test {np.unique(day[test])}")
    Fold 0: train [ 7  8  9 10 11 12], test [1 2 3 4]
    Fold 1: train [ 1  2  3 11 12], test [5 6 7 8]
    Fold 2: train [1 2 3 4 5 6 7], test [ 9 10 11 12]

    The blocks partition the rows, so each has one prediction out of fold:

    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> cross_val_predict(LinearRegression(), X, 2 * X["x"], cv=cv)[:3].round(6)
    array([0., 2., 4.])
    """

    def __init__(self, n_splits: int = 5, *, purge: int | str = "auto", embargo: int = 0) -> None:
        check_count("n_splits", n_splits, 2)
        check_purge(purge)
        check_count("embargo", embargo, 0)
        self.n_splits = n_splits
        self.purge = purge
        self.embargo = embargo

    def _split_days(self, calendar: pd.DatetimeIndex, purge: int) -> Iterator[Fold]:
        self._check_blocks(calendar, "n_splits")
        for block in blocks(len(calendar), self.n_splits):
            yield purge_around(block, len(calendar), purge, self.embargo)

    def _describe(self) -> str:
        return f"{self.n_splits} blocks of days, each tested once"
