"""Walk-forward splits, counted in trading days."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import pandas as pd

from skattn._params import check_count
from skattn.model_selection._base import DailySplitter, are, check_purge
from skattn.model_selection._folds import Fold


class DailyTimeSeriesSplit(DailySplitter):
    """Walk-forward cross-validator over whole trading days.

    It is scikit-learn's ``TimeSeriesSplit`` with days in the place of samples: each test set is
    a run of consecutive days, training sets end ``purge + gap`` days before it, and all stocks
    of a day are on the same side.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 2.
    max_train_size : int, default=None
        Most training days of a split: a rolling window. None: all days so far (expanding).
    test_size : int, default=None
        Days of each test set. None: ``n_days // (n_splits + 1)``.
    purge : int or "auto", default="auto"
        Trading days dropped before each test: the reach of the label. A label at day t that is
        made of prices up to day t + 2, as qlib's ``Ref($close, -2) / Ref($close, -1) - 1`` is,
        would reach into the test days from the 2 days before them. "auto" takes the reach from
        ``y.attrs["horizon"]`` (``skattn.preprocessing.make_label`` writes it), else it is 2. It
        trusts ``y.attrs``, which pandas copies to what is computed from y: a label that was
        shifted or combined by hand needs a number.
    gap : int, default=0
        Trading days between training and test on top of the purge: how long a trained model
        waits before it is used.
    embargo : int, default=0
        Trading days after each test set that the training sets of later splits leave out. No
        split trains on days after its own test, so none is needed against leaks, and other
        libraries' walk-forward splits ignore it or have none. It is of use where what was seen
        in a test set led to changes that its next days should not confirm.

    Raises
    ------
    ValueError
        A parameter is not allowed.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : The same over samples.
    DateSplit : One split, at dates.

    Notes
    -----
    Days are those that occur in the data: one on which no stock has a row is not counted.
    The days come from ``groups``, else from the index of X, else of y.

    ``HalvingGridSearchCV`` and ``HalvingRandomSearchCV`` with ``resource="n_samples"`` draw rows
    at random from the folds and so cut days. With another resource, as ``max_epochs``, days stay
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
    DailyTimeSeriesSplit(n_splits=3, max_train_size=None, test_size=1, purge=2, gap=0, embargo=0):
    3 test sets of 1 day, one after the other, each after all of its training days
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
        purge: int | str = "auto",
        gap: int = 0,
        embargo: int = 0,
    ) -> None:
        check_count("n_splits", n_splits, 2)
        check_count("max_train_size", max_train_size, 1, or_none=True)
        check_count("test_size", test_size, 1, or_none=True)
        check_purge(purge)
        check_count("gap", gap, 0)
        check_count("embargo", embargo, 0)
        self.n_splits = n_splits
        self.max_train_size = max_train_size
        self.test_size = test_size
        self.purge = purge
        self.gap = gap
        self.embargo = embargo

    def _split_days(self, calendar: pd.DatetimeIndex, purge: int) -> Iterator[Fold]:
        n_days = len(calendar)
        self._check_days(n_days, purge)
        test_size = self._test_size(n_days)
        day = np.arange(n_days)
        first_test = n_days - self.n_splits * test_size
        # Test sets follow one another, so that this counts from the end of the latest one.
        since_test = (day - first_test) % test_size
        embargoed = (day >= first_test + test_size) & (since_test < self.embargo)
        for start in range(first_test, n_days, test_size):
            end = start - self.gap - purge
            train = np.flatnonzero(~embargoed[:end])
            if self.max_train_size is not None:
                train = train[-self.max_train_size :]
            left_out = {
                "purged": day[end : end + purge],
                "gap": day[end + purge : start],
                # Days before a rolling window are out of sight for their age.
                "embargoed": np.flatnonzero(embargoed[:end] & (day[:end] > train[0])),
            }
            yield Fold(train, day[start : start + test_size], left_out)

    def _check_days(self, n_days: int, purge: int) -> None:
        """Raise where the first split has no day to train on, or none to test on."""
        before = purge + self.gap

        def is_enough(n: int) -> bool:
            test_size = self._test_size(n)
            return test_size > 0 and n > self.n_splits * test_size + before

        if is_enough(n_days):
            return
        # Where to begin to count: fewer days are never enough.
        least = (before + 1 - self.n_splits) * (self.n_splits + 1)
        if self.test_size is not None:
            least = self.n_splits * self.test_size + before + 1
        needed = next(n for n in count(max(n_days, least)) if is_enough(n))
        raise ValueError(
            f"{self!r} needs {needed} trading days; there {are(n_days)}. Fewer splits, a smaller "
            f"test_size, purge (here {purge}) or gap need fewer."
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
