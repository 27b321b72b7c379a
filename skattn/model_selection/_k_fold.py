"""K-fold over blocks of trading days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pandas as pd

from skattn.labels import PURGE_BOUNDS
from skattn.model_selection._base import MAX_SPLITS, DailySplitter
from skattn.model_selection._embargo import EMBARGO_BOUNDS
from skattn.model_selection._folds import Fold, cut_into_runs, purge_around
from skattn.parameters import parameter


class PurgedDailyKFold(DailySplitter):
    """K-fold cross-validation over blocks of consecutive trading days.

    Each day is tested once. Training uses the other days, except days whose labels overlap the
    labels or the days of the test block: ``purge`` days on both sides of the test block, and
    ``embargo`` further days after it.

    Parameters
    ----------
    n_splits : int, default=5
        Number of blocks, at least 2. Block sizes differ by at most one day.
    purge : int, "auto" or Series of dates, default="auto"
        Trading days left out before and after the test days: the reach of the label. "auto" reads
        the reach from ``y.attrs["reach"]``, which ``skattn.make_label`` sets. Without this entry
        "auto" warns and uses 2, the reach of qlib's ``Ref($close, -2) / Ref($close, -1) - 1``.
        pandas copies ``y.attrs`` to everything computed from y, so pass a number for a label that
        was shifted or combined by hand.

        A Series of dates, with the index of the rows, tells the last day that each label looks at,
        such as the day on which a barrier was touched; NaT stands for a row without a label. A day
        is left out where any label of it overlaps the test days or their labels, so that days stay
        whole.
    embargo : int, float or Timedelta, default=0
        Trading days left out after the test block, in addition to the purge: a number, a fraction
        below 1 of all trading days (rounded up), or a span of time as ``pandas.Timedelta``.

    Raises
    ------
    ValueError
        A parameter is not allowed.

    See Also
    --------
    sklearn.model_selection.KFold : K-fold over samples, without purge.
    DailyTimeSeriesSplit : Trains on the past only.
    CombinatorialPurgedDailyKFold : Tests several blocks at a time.

    Notes
    -----
    Only days in the data count: a day on which no stock has a row is skipped. Purge and embargo
    count the days in the data, so they never cover fewer market days than requested.

    Training days after the test block use all the data, but do not simulate trading.

    The embargo begins where the purge ends, as in skfolio. In purgedcv an embargo given as a number
    of observations begins at the last test day, so it equals this embargo plus the purge.

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

    The blocks partition the rows, so each row has one out-of-fold prediction:

    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> cross_val_predict(LinearRegression(), X, 2 * X["x"], cv=cv)[:3].round(6)
    array([0., 2., 4.])
    """

    n_splits: int = parameter(5, at_least=2, at_most=MAX_SPLITS, positional=True)
    purge: int | str | pd.Series = parameter("auto", **PURGE_BOUNDS)
    embargo: int | float | timedelta = parameter(0, **EMBARGO_BOUNDS)

    def _split_days(self, calendar: pd.DatetimeIndex, ends: np.ndarray) -> Iterator[Fold]:
        self._check_runs(calendar, "n_splits")
        for test in cut_into_runs(len(calendar), self.n_splits):
            yield purge_around(test, ends, self.embargo, calendar)

    def _describe(self) -> str:
        return f"{self.n_splits} blocks of days, each tested once"
