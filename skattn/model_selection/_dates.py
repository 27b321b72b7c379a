"""One split at given dates, with named segments like qlib's train, valid and test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from skattn.labels import PURGE_BOUNDS
from skattn.model_selection._base import DailySplitter, day_text, parameter_text
from skattn.model_selection._folds import Fold
from skattn.panel.internal import Day, read_day
from skattn.parameters import MISSING, parameter, shown


class DateSplit(DailySplitter):
    """One split at given dates: train on a segment, evaluate on a later segment.

    The segments are the segments of qlib's ``DatasetH(segments={"train": ..., "valid": ...,
    "test": ...})``. The last ``purge`` days of a segment before the next segment are left out,
    because their labels use prices of the next segment. qlib keeps these days; ``purge=0`` keeps
    them too.

    Parameters
    ----------
    train : (first, last)
        First and last training day, both included. None means no bound on that side. Days are dates
        or strings. The strings "2014-06" and "2014" cover all days of the month or year, as in
        pandas' slices.
    valid : (first, last), default=None
        Days for model selection, all after ``train``.
    test : (first, last), default=None
        Days for the final evaluation, all after ``train`` and ``valid``.
    evaluate : {"valid", "test"}, default=None
        Segment that :meth:`split` returns as the test set. None means "test" if this segment is
        given, else "valid".
    purge : int, "auto" or Series of dates, default="auto"
        Trading days left out before the next segment: the reach of the label. "auto" reads the
        reach from ``y.attrs["reach"]``, which ``skattn.make_label`` sets. Without this entry "auto"
        warns and uses 2, the reach of qlib's ``Ref($close, -2) / Ref($close, -1) - 1``. pandas
        copies ``y.attrs`` to everything computed from y, so pass a number for a label that was
        shifted or combined by hand.

        A Series of dates, with the index of the rows, tells the last day that each label looks at,
        such as the day on which a barrier was touched; NaT stands for a row without a label. A day
        is left out where any label of it overlaps the next segment, so that days stay whole.

    Attributes
    ----------
    n_splits : int
        Number of splits, always 1.

    Raises
    ------
    ValueError
        A segment is not a pair of dates, or ends before it begins. Segments overlap or are in the
        wrong order. There is no segment to evaluate. Another parameter is not allowed.

    See Also
    --------
    DailyTimeSeriesSplit : Several splits, counted in days.

    Notes
    -----
    Days between segments are not used. Each segment needs at least one trading day in the data.
    Leave out a segment without a trading day.

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
    None), purge=1): trains on train, evaluates on test
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

    n_splits: ClassVar[int] = 1

    train: Sequence[Day] = parameter(MISSING, positional=True)
    valid: Sequence[Day] | None = parameter(None, positional=True)
    test: Sequence[Day] | None = parameter(None, positional=True)
    evaluate: str | None = parameter(None, one_of=("valid", "test"))
    purge: int | str | pd.Series = parameter("auto", **PURGE_BOUNDS)

    def _check_together(self) -> None:
        bounds = self._bounds()
        if len(bounds) == 1:
            raise ValueError("DateSplit needs valid or test besides train; both are None.")
        if self._evaluated not in bounds:
            raise ValueError(
                f"evaluate={self.evaluate!r} needs the segment {self.evaluate}, which is None."
            )
        names = list(bounds)
        for name, following in pairwise(names):
            if bounds[name][1] >= bounds[following][0]:
                raise ValueError(
                    f"Segments must be in the order train, valid, test and must not share days; "
                    f"got {name}={parameter_text(getattr(self, name))} and "
                    f"{following}={parameter_text(getattr(self, following))}."
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
            Increasing row positions for each given segment, without the purged days. The keys are
            "train", "valid" and "test". Example: ``X.iloc[rows["valid"]]``.

        Raises
        ------
        TypeError, ValueError
            As for :meth:`split`.
        """
        rows = self._read_rows(X, y, groups)
        kept, _ = self._segment_days(rows.calendar, rows.ends)
        return {name: rows.on(days) for name, days in kept.items()}

    def _split_days(self, calendar: pd.DatetimeIndex, ends: np.ndarray) -> Iterator[Fold]:
        kept, purged = self._segment_days(calendar, ends)
        train, test = kept.pop("train"), kept.pop(self._evaluated)
        yield Fold(train, test, {**kept, "purged": purged}, self._evaluated)

    def _segment_days(
        self, calendar: pd.DatetimeIndex, ends: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the kept days of each segment and the purged days, as calendar positions."""
        days = {
            name: np.flatnonzero((calendar >= first) & (calendar <= last))
            for name, (first, last) in self._bounds().items()
        }
        for name, chosen in days.items():
            if len(chosen) == 0:
                span = "there are no trading days"
                if len(calendar):
                    span = f"they go from {day_text(calendar[0])} to {day_text(calendar[-1])}"
                raise ValueError(
                    f"The segment {name}={parameter_text(getattr(self, name))} has no trading day "
                    f"among the {len(calendar)} trading days of the data; {span}. Use other dates"
                    f"{'' if name == 'train' else f', or leave {name} out of the DateSplit'}."
                )
        kept = dict(days)
        names = list(days)
        for name, following in pairwise(names):
            kept[name] = days[name][ends[days[name]] < days[following][0]]
            if len(kept[name]) == 0:
                purge = (ends[days[name]] - days[name]).min()
                raise ValueError(
                    f"A purge of {purge} days or more leaves no day of the segment {name}="
                    f"{parameter_text(getattr(self, name))}, which has {len(days[name])} trading "
                    f"days in the data, before {following} begins on "
                    f"{day_text(calendar[days[following][0]])}: the labels of all of them look at "
                    f"{following}. Use a longer segment or a smaller purge."
                )
        purged = np.concatenate([np.setdiff1d(days[name], kept[name]) for name in names])
        return kept, purged

    def _bounds(self) -> dict[str, tuple[pd.Timestamp, pd.Timestamp]]:
        """Return the first and last day of each given segment."""
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
    has_parts = np.iterable(segment) and hasattr(segment, "__len__")
    if isinstance(segment, (str, bytes)) or not has_parts or len(segment) != 2:
        raise ValueError(
            f"{name} must be a pair (first day, last day), with None for no bound; got "
            f"{shown(segment)}."
        )
    first, last = (
        read_day(name, day, last=last) for day, last in zip(segment, (False, True), strict=True)
    )
    if first > last:
        raise ValueError(f"{name} ends before it begins: {shown(segment)}.")
    return first, last
