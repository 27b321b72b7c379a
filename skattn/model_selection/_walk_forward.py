"""Walk-forward splits counted in trading days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import numpy as np
import pandas as pd

from skattn.labels import PURGE_BOUNDS
from skattn.model_selection._base import MAX_SPLITS, DailySplitter, are
from skattn.model_selection._embargo import EMBARGO_BOUNDS, embargo_ends
from skattn.model_selection._folds import Fold
from skattn.parameters import parameter


class DailyTimeSeriesSplit(DailySplitter):
    """Walk-forward cross-validator over whole trading days.

    The splitter works like scikit-learn's ``TimeSeriesSplit``, with days in place of samples. Each
    test set is a run of consecutive days, and the training set ends ``purge + gap`` days before the
    test set. All stocks of a day are on the same side.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 2.
    max_train_size : int, default=None
        Maximum number of training days in a split (rolling window). None uses all earlier days
        (expanding window).
    test_size : int, default=None
        Number of days in each test set. None means ``n_days // (n_splits + 1)``.
    purge : int, "auto" or Series of dates, default="auto"
        Trading days dropped before each test set: the reach of the label. For example, qlib's label
        ``Ref($close, -2) / Ref($close, -1) - 1`` at day t uses prices up to day t + 2, so the
        labels of the last 2 days before the test set would use prices of the test days. "auto"
        reads the reach from ``y.attrs["reach"]``, which ``skattn.make_label`` sets. Without this
        entry "auto" warns and uses 2. pandas copies ``y.attrs`` to everything computed from y, so
        pass a number for a label that was shifted or combined by hand.

        A Series of dates, with the index of the rows, tells the last day that each label looks at,
        such as the day on which a barrier was touched; NaT stands for a row without a label. A day
        is left out where any label of it overlaps the test days, so that days stay whole.
    gap : int, default=0
        Trading days between training and test set, in addition to the purge. The gap simulates the
        time between training and use of a model.
    embargo : int, float or Timedelta, default=0
        Trading days after each test set that the training sets of later splits leave out: a number,
        a fraction below 1 of all trading days (rounded up), or a span of time as
        ``pandas.Timedelta``. No split trains on days after its own test set, so an embargo is not
        needed against leaks. The walk-forward splits of other libraries ignore an embargo or do not
        have this parameter. An embargo is useful if results on a test set led to changes of the
        model: the days right after the test set should not confirm these changes.

    Raises
    ------
    ValueError
        A parameter is not allowed.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : Walk-forward splits over samples.
    DateSplit : One split at given dates.

    Notes
    -----
    Only days in the data count: a day on which no stock has a row is skipped. The days come from
    ``groups``, else from the index of X, else from the index of y.

    ``HalvingGridSearchCV`` and ``HalvingRandomSearchCV`` with ``resource="n_samples"`` draw random
    rows from the folds, which splits days. With another resource, such as ``max_epochs``, days stay
    whole.

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
    >>> print(cv)
    DailyTimeSeriesSplit(n_splits=3, test_size=1, purge=2): 3 test sets of 1 day, one after the
    other, each after all of its training days
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

    n_splits: int = parameter(5, at_least=2, at_most=MAX_SPLITS, positional=True)
    max_train_size: int | None = parameter(None, at_least=1)
    test_size: int | None = parameter(None, at_least=1)
    purge: int | str | pd.Series = parameter("auto", **PURGE_BOUNDS)
    gap: int = parameter(0, at_least=0)
    embargo: int | float | timedelta = parameter(0, **EMBARGO_BOUNDS)

    def _split_days(self, calendar: pd.DatetimeIndex, ends: np.ndarray) -> Iterator[Fold]:
        n_days = len(calendar)
        # Where labels differ in reach, at least the smallest reach is purged.
        self._check_days(n_days, int((ends - np.arange(n_days)).min()))
        test_size = self._test_size(n_days)
        day = np.arange(n_days)
        first_test = n_days - self.n_splits * test_size
        tested = np.arange(first_test + test_size - 1, n_days, test_size)
        embargoed = np.zeros(n_days, dtype=bool)
        for last, end in zip(tested, embargo_ends(self.embargo, tested, calendar), strict=True):
            embargoed[last + 1 : end + 1] = True
        for start in range(first_test, n_days, test_size):
            stop = start - self.gap
            purged = ends[:stop] >= stop
            train = np.flatnonzero(~embargoed[:stop] & ~purged)
            if self.max_train_size is not None:
                train = train[-self.max_train_size :]
            first = train[0] if len(train) else 0
            left_out = {
                "purged": np.flatnonzero(purged),
                "gap": day[stop:start],
                # Days before a rolling window are unused because of their age, not embargoed.
                "embargoed": np.flatnonzero(embargoed[:stop] & ~purged & (day[:stop] > first)),
            }
            yield Fold(train, day[start : start + test_size], left_out)

    def _check_days(self, n_days: int, purge: int) -> None:
        """Raise if the first split has no training day or no test day."""
        before = purge + self.gap

        def is_enough(n: int) -> bool:
            test_size = self._test_size(n)
            return test_size > 0 and n > self.n_splits * test_size + before

        if is_enough(n_days):
            return
        # Fewer days than ``least`` are never enough, so the search starts there.
        least = (before + 1 - self.n_splits) * (self.n_splits + 1)
        if self.test_size is not None:
            least = self.n_splits * self.test_size + before + 1
        needed = next(n for n in count(max(n_days, least)) if is_enough(n))
        raise ValueError(
            f"{self!r} needs {needed} trading days; there {are(n_days)}. Use fewer splits than "
            f"{self.n_splits}, or a smaller test_size, purge (here {purge}) or gap."
        )

    def _test_size(self, n_days: int) -> int:
        return self.test_size or n_days // (self.n_splits + 1)

    def _describe(self) -> str:
        days = "equal length" if self.test_size is None else f"{self.test_size} days"
        days = "1 day" if self.test_size == 1 else days
        most = "" if self.max_train_size is None else f", at most {self.max_train_size}"
        return (
            f"{self.n_splits} test sets of {days}, one after the other, each after all of its "
            f"training days{most}"
        )
