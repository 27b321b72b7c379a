"""One split at dates: named segments, as qlib's train, valid and test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from skattn.model_selection._base import DailySplitter, check_purge, day_text, rows_on
from skattn.model_selection._folds import Fold
from skattn.panel import Day, read_day, resolve_purge


class DateSplit(DailySplitter):
    """One split at dates: train on a segment, evaluate on a later one.

    The segments are those of qlib's ``DatasetH(segments={"train": ..., "valid": ..., "test":
    ...})``. A segment's last ``purge`` days before the next segment are left out, as their labels
    are made of the next segment's prices. qlib keeps them, which ``purge=0`` does too.

    Parameters
    ----------
    train : (first, last)
        First and last day of training, both included; None: no bound on that side. Days are
        dates, or text: "2014-06" and "2014" stand for all their days, as in pandas' slices.
    valid : (first, last), default=None
        Days to choose a model on, all after ``train``.
    test : (first, last), default=None
        Days to judge the model on, all after ``train`` and ``valid``.
    evaluate : {"valid", "test"}, default=None
        The segment that :meth:`split` gives as test set. None: "test" if there is one, else
        "valid".
    purge : int or "auto", default="auto"
        Trading days left out before the next segment: the reach of the label. "auto" takes it
        from ``y.attrs["horizon"]`` (``skattn.preprocessing.make_label`` writes it), else 2, the
        reach of qlib's ``Ref($close, -2) / Ref($close, -1) - 1``. It trusts ``y.attrs``, which
        pandas copies to what is computed from y: a label that was shifted or combined by hand
        needs a number.

    Attributes
    ----------
    n_splits : int
        1.

    Raises
    ------
    ValueError
        A segment is no pair of dates, ends before it begins, overlaps another or comes before
        it; there is none to evaluate; or another parameter is not allowed.

    See Also
    --------
    DailyTimeSeriesSplit : Several splits, counted in days.

    Notes
    -----
    Days between segments train nothing. Each segment needs a trading day in the data: leave out
    one that the data do not have.

    References
    ----------
    qlib, ``DatasetH`` in ``qlib/data/dataset/__init__.py`` (segments).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skattn.model_selection import DateSplit
    >>> days = pd.date_range("2024-01-01", periods=12)
    >>> index = pd.MultiIndex.from_product([days, ["A", "B"]], names=["datetime", "instrument"])
    >>> X = pd.DataFrame({"x": np.arange(24.0)}, index=index)
    >>> cv = DateSplit(
    ...     train=(None, "2024-01-06"), valid=("2024-01-07", "2024-01-09"),
    ...     test=("2024-01-10", None), purge=1,
    ... )
    >>> print(cv)
    DateSplit(train=(None, '2024-01-06'), valid=('2024-01-07', '2024-01-09'), test=('2024-01-10',
    None), evaluate=None, purge=1): trains on train, evaluates on test
    >>> day = X.index.get_level_values("datetime").day
    >>> for train, test in cv.split(X):
    ...     print(f"train {np.unique(day[train])}, test {np.unique(day[test])}")
    train [1 2 3 4 5], test [10 11 12]

    The rows of the segments, for a fit with ``X_val`` and ``y_val``:

    >>> rows = cv.segments(X)
    >>> for name in rows:
    ...     print(name, np.unique(day[rows[name]]))
    train [1 2 3 4 5]
    valid [7 8]
    test [10 11 12]
    >>> X_val = X.iloc[rows["valid"]]
    """

    n_splits: ClassVar[int] = 1  # type: ignore[misc]

    def __init__(
        self,
        train: Sequence[Day],
        valid: Sequence[Day] | None = None,
        test: Sequence[Day] | None = None,
        *,
        evaluate: str | None = None,
        purge: int | str = "auto",
    ) -> None:
        self.train = train
        self.valid = valid
        self.test = test
        self.evaluate = evaluate
        self.purge = purge
        check_purge(purge)
        if evaluate not in (None, "valid", "test"):
            raise ValueError(f"evaluate must be 'valid', 'test' or None; got {evaluate!r}.")
        bounds = self._bounds()
        if len(bounds) == 1:
            raise ValueError("DateSplit needs valid or test besides train; both are None.")
        if self._evaluated not in bounds:
            raise ValueError(f"evaluate={evaluate!r} needs the segment {evaluate}; it is None.")
        names = list(bounds)
        for name, following in pairwise(names):
            if bounds[name][1] >= bounds[following][0]:
                raise ValueError(
                    f"Segments must follow one another in the order train, valid, test without "
                    f"a common day; got {name}={getattr(self, name)!r} and "
                    f"{following}={getattr(self, following)!r}."
                )

    def segments(self, X: Any, y: Any = None, groups: Any = None) -> dict[str, np.ndarray]:
        """Find the rows of each segment.

        Parameters
        ----------
        X, y, groups : object
            As in :meth:`split`.

        Returns
        -------
        rows : dict of str to ndarray of int
            Row positions, increasing, by "train", "valid" and "test" as far as they are given:
            ``X.iloc[rows["valid"]]``. Without the purged days.

        Raises
        ------
        TypeError, ValueError
            As :meth:`split`.
        """
        day_of_row, calendar = self._days(X, y, groups)
        kept, _ = self._segment_days(calendar, resolve_purge(self.purge, y))
        return {name: rows_on(days, day_of_row, len(calendar)) for name, days in kept.items()}

    def _split_days(self, calendar: pd.DatetimeIndex, purge: int) -> Iterator[Fold]:
        kept, purged = self._segment_days(calendar, purge)
        train, test = kept.pop("train"), kept.pop(self._evaluated)
        yield Fold(train, test, {**kept, "purged": purged}, self._evaluated)

    def _segment_days(
        self, calendar: pd.DatetimeIndex, purge: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Days that each segment keeps, and the purged ones, as positions in the calendar."""
        days = {
            name: np.flatnonzero((calendar >= first) & (calendar <= last))
            for name, (first, last) in self._bounds().items()
        }
        for name, chosen in days.items():
            if len(chosen) == 0:
                span = "there are none"
                if len(calendar):
                    span = f"they go from {day_text(calendar[0])} to {day_text(calendar[-1])}"
                raise ValueError(
                    f"The segment {name}={getattr(self, name)!r} has no trading day among the "
                    f"{len(calendar)} of the data; {span}. Use other dates"
                    f"{'' if name == 'train' else f', or leave {name} out of the DateSplit'}."
                )
        kept = dict(days)
        names = list(days)
        for name, following in pairwise(names):
            kept[name] = days[name][days[name] + purge < days[following][0]]
            if len(kept[name]) == 0:
                raise ValueError(
                    f"A purge of {purge} leaves no day of the segment {name}="
                    f"{getattr(self, name)!r}, which has {len(days[name])} trading days in the "
                    f"data, before {following} begins on "
                    f"{day_text(calendar[days[following][0]])}. Use a longer segment or a smaller "
                    f"purge."
                )
        purged = np.concatenate([np.setdiff1d(days[name], kept[name]) for name in names])
        return kept, purged

    def _bounds(self) -> dict[str, tuple[pd.Timestamp, pd.Timestamp]]:
        """First and last day of each given segment."""
        return {
            name: _read_segment(name, segment)
            for name in ("train", "valid", "test")
            if (segment := getattr(self, name)) is not None or name == "train"
        }

    @property
    def _evaluated(self) -> str:
        return self.evaluate or ("valid" if self.test is None else "test")

    def _describe(self) -> str:
        return f"trains on train, evaluates on {self._evaluated}"


def _read_segment(name: str, segment: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    if isinstance(segment, str) or np.ndim(segment) != 1 or len(segment) != 2:
        raise ValueError(
            f"{name} must be a pair (first day, last day), None for no bound; got {segment!r}."
        )
    first, last = (
        read_day(name, day, last=last) for day, last in zip(segment, (False, True), strict=True)
    )
    if first > last:
        raise ValueError(f"{name} ends before it begins: {segment!r}.")
    return first, last
