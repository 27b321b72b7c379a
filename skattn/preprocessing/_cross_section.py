"""Scale within each day: compare a stock with the other stocks, not with its own past."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skattn.panel import WindowArray
from skattn.panel.internal import check_panel_input, level_codes
from skattn.parameters import as_floats, as_whole_numbers, check_value, parameter
from skattn.preprocessing._base import PanelTransformer, check_index_kept, single_task
from skattn.preprocessing._history import check_one_stamp_a_day
from skattn.preprocessing._robust import MAD_TO_STD

#: The ways to scale within a day.
METHODS = ("rank", "zscore", "robust")
# qlib's factor. Ranks are uniform in [0, 1], with a standard deviation of about 1 / 3.46.
RANK_TO_STD = 3.46
ROBUST_CLIP = 3.0
# Largest number of a day: memory is claimed for all numbers up to the largest.
MAX_DAY = 10_000_000


class CrossSectionalScaler(OneToOneFeatureMixin, PanelTransformer):
    """Scale each column within each day, over the stocks of that day.

    The scaler learns nothing in ``fit``. Each day is scaled separately, so no row depends on
    another day, and training and test rows are treated alike.

    Parameters
    ----------
    method : {"rank", "zscore", "robust"}, default="rank"
        - "rank": ``3.46 * (r - 0.5)``, where r is the rank from 1 to n among the n values of the
          day, divided by n. Ties share their average rank.
        - "zscore": subtract the day's mean, divide by the day's standard deviation (ddof=1).
        - "robust": subtract the day's median, divide by 1.4826 x the day's median absolute
          deviation, clip to [-3, 3].

    Attributes
    ----------
    input_kind_ : {"table", "array"}
        "table" if X had a (datetime, instrument) index in ``fit``, "array" if X was a wide panel.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, if X had names.

    See Also
    --------
    RobustZScore : Scaling by statistics of the training rows.
    CrossSectionalTarget : Scaling of the label within each day.

    Notes
    -----
    *Tables and wide panels.* With a (datetime, instrument) index, a row is a stock on a day, and
    each column is scaled within each day. Without this index, X is a wide panel: a row is a day, a
    column is a stock, and each row is scaled separately. ``transform`` takes only the kind of input
    that ``fit`` got.

    *Missing values.* NaN stays NaN and is ignored within its day.

    *Days without spread.* The result of 0 / 0 is NaN, as in qlib. "zscore" gives NaN for a day with
    a single stock or with equal values only. "robust" gives NaN for values at the median if more
    than half of the day's values are equal; the other values go to the clip limits. "rank" always
    gives numbers: ``1.73 / n`` for n equal values, and 1.73 for a single stock.
    ``sklearn.impute.SimpleImputer`` can fill the missing values.

    *Windows.* (N, T, F) windows cannot be scaled, because their steps lie on different days. Scale
    the table before making windows.

    References
    ----------
    qlib, ``qlib/data/dataset/processor.py``, ``CSRankNorm`` and ``CSZScoreNorm``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn import from_long
    >>> from skattn.preprocessing import CrossSectionalScaler
    >>> days = ["2024-01-02"] * 3 + ["2024-01-03"] * 3
    >>> long = pd.DataFrame({"date": days, "ticker": [*"ABCABC"], "pe": [9, 12, 30, 8, 8, None]})
    >>> CrossSectionalScaler("zscore").fit_transform(from_long(long))["pe"].unstack().round(2)
    instrument    A     B     C
    datetime
    2024-01-02 -0.7 -0.44  1.14
    2024-01-03  NaN   NaN   NaN
    """

    method: str = parameter("rank", one_of=METHODS, positional=True)

    @single_task
    def fit(self, X: Any, y: Any = None) -> CrossSectionalScaler:
        """Check X.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            A (datetime, instrument) table, or a wide panel.
        y : object
            Only the index of y is used: if y has a (datetime, instrument) index, X must have this
            index too.

        Returns
        -------
        self : CrossSectionalScaler

        Raises
        ------
        TypeError
            X is a WindowArray.
        ValueError
            The method is unknown. X is empty, not numeric, infinite or badly indexed, or X has lost
            the index that y has.
        """
        self._checked_parameters()
        self._check(X, reset=True)
        check_index_kept(X, y, "rows would be read as days of a wide panel")
        return self

    def transform(self, X: Any) -> pd.DataFrame | np.ndarray:
        """Scale X, each day separately.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            Same kind of input as in ``fit``. Each day needs all stocks of its cross-section.

        Returns
        -------
        X : DataFrame or ndarray of the same shape
            A DataFrame keeps its index and names.
        """
        check_is_fitted(self)
        values = self._check(X, reset=False)
        if self.input_kind_ == "table":
            check_one_stamp_a_day(X.index)
            day = level_codes(X.index, "datetime")[0]
            scaled = np.empty_like(values)
            for column in range(values.shape[1]):
                scaled[:, column] = scale_within_days(values[:, column], day, self.method)
        else:
            row = np.repeat(np.arange(len(values)), values.shape[1])
            scaled = scale_within_days(values.ravel(), row, self.method).reshape(values.shape)
            scaled = scaled.astype(values.dtype)
        if isinstance(X, pd.DataFrame):
            return pd.DataFrame(scaled, X.index, X.columns)
        return scaled

    def _check(self, X: Any, *, reset: bool) -> np.ndarray:
        if isinstance(X, WindowArray) or getattr(X, "ndim", 2) == 3:
            raise TypeError(
                "CrossSectionalScaler scales tables, not (N, T, F) windows, because the steps of "
                "a window lie on different days. Put CrossSectionalScaler before the step that "
                'makes the windows, or let that step return columns (layout="columns").'
            )
        return np.asarray(check_panel_input(self, X, reset=reset, by_index=True))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def scale_within_days(values: np.ndarray, day: np.ndarray, method: str) -> np.ndarray:
    """Scale values within each day, in float64.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN stays NaN.
    day : ndarray of int, shape (n,)
        Day number of each value.
    method : {"rank", "zscore", "robust"}
        Scaling method; see :class:`CrossSectionalScaler`.

    Returns
    -------
    scaled : ndarray of float64, shape (n,)

    Raises
    ------
    TypeError, ValueError
        ``values`` or ``day`` are no numbers, differ in length, or the method is unknown.
    """
    check_value("method", method, "str", one_of=METHODS)
    values = as_floats("values", values, n_dims=1).astype(np.float64, copy=False)
    day = as_whole_numbers("day", day)
    if len(day) != len(values):
        raise ValueError(f"day must have one number per value; got {len(day)} and {len(values)}.")
    if len(day) == 0:
        return values
    if day.min() < 0 or day.max() > MAX_DAY:
        raise ValueError(
            f"day must hold numbers from 0 to {MAX_DAY:,}; got {day.min()} to {day.max()}."
        )
    if method == "rank":
        # One row per day: five times faster than groupby(day).rank().
        place = pd.Series(values).groupby(day, sort=False).cumcount().to_numpy()
        grid = np.full((day.max() + 1, place.max() + 1), np.nan)
        grid[day, place] = values
        ranks = pd.DataFrame(grid).rank(axis="columns", pct=True).to_numpy()
        return RANK_TO_STD * (ranks[day, place] - 0.5)
    # Sorted by day and value, each day is a run that is summed by itself, in an order that neither
    # other days nor the order of the rows influence, in any bit.
    order = np.lexsort((values, day))
    order = order[~np.isnan(values[order])]
    scaled = np.full(len(values), np.nan)
    if len(order):
        scale = _zscore if method == "zscore" else _robust
        scaled[order] = scale(_Runs.of(values[order], day[order]))
    return scaled


class _Runs(NamedTuple):
    """Values sorted by day and value, divided by a power of two so that none overflows."""

    values: np.ndarray
    run: np.ndarray  # number of the run of each value
    first: np.ndarray  # position of the first value of each run
    size: np.ndarray  # number of values in each run

    @classmethod
    def of(cls, values: np.ndarray, day: np.ndarray) -> _Runs:
        """Find the runs of equal days; scaling does not depend on the unit of the values."""
        first = np.flatnonzero(np.r_[True, day[1:] != day[:-1]])
        size = np.diff(np.r_[first, len(values)])
        run = np.repeat(np.arange(len(first)), size)
        largest = np.maximum(np.abs(values[first]), np.abs(values[first + size - 1]))
        # Division by a power of two changes no digit.
        exponent = np.frexp(largest)[1]
        return cls(np.ldexp(values, -exponent[run]), run, first, size)

    def medians(self, values: np.ndarray) -> np.ndarray:
        """Give the median of each run of sorted values."""
        middle = self.first + (self.size - 1) // 2, self.first + self.size // 2
        return (values[middle[0]] + values[middle[1]]) / 2


def _zscore(runs: _Runs) -> np.ndarray:
    values, run, first, size = runs
    mean = np.add.reduceat(values, first) / size
    deviation = values - mean[run]
    # Equal values may differ from their mean by rounding errors.
    has_spread = values[first] < values[first + size - 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.add.reduceat(deviation**2, first) / (size - 1)
    return deviation / np.sqrt(np.where(has_spread, variance, np.nan))[run]


def _robust(runs: _Runs) -> np.ndarray:
    values, run, _, _ = runs
    deviation = values - runs.medians(values)[run]
    size = np.abs(deviation)
    spread = runs.medians(size[np.lexsort((size, run))])
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = deviation / spread[run] / MAD_TO_STD
    return np.clip(scaled, -ROBUST_CLIP, ROBUST_CLIP)
