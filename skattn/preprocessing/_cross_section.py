"""Scaling within each day: a stock beside the other stocks, not beside its own past."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skattn.panel import WindowArray, check_panel_input, level_codes
from skattn.preprocessing._base import PanelTransformer, check_index_kept, is_long, single_task
from skattn.preprocessing._lookback import check_one_stamp_a_day
from skattn.preprocessing._robust import MAD_TO_STD

METHODS = ("rank", "zscore", "robust")
# qlib's factor: ranks, uniform in [0, 1], have a standard deviation of about 1 / 3.46.
RANK_TO_STD = 3.46
ROBUST_CLIP = 3.0


class CrossSectionalScaler(OneToOneFeatureMixin, PanelTransformer):
    """Scale each column within each day, over the stocks of that day.

    Nothing is learned: a day is scaled by itself, so that no row depends on another day, and
    training and test rows are treated alike.

    Parameters
    ----------
    method : {"rank", "zscore", "robust"}, default="rank"
        - "rank": ``3.46 * (r - 0.5)``, where r is the rank from 1 to n over the n values of the
          day, divided by n. Ties share their average rank.
        - "zscore": minus the day's mean, divided by the day's standard deviation (ddof=1).
        - "robust": minus the day's median, divided by 1.4826 x the day's median absolute
          deviation, clipped to [-3, 3].

    Attributes
    ----------
    by_day_ : bool
        Whether X had a (datetime, instrument) index in ``fit``.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had names.

    See Also
    --------
    RobustZScore : Scaling by statistics of the training rows.
    CrossSectionalTarget : The same for the label.

    Notes
    -----
    *Tables and wide panels.* With a (datetime, instrument) index, a row is a stock on a day, and
    each column is scaled within each day. Without it, X is a wide panel: a row is a day, a column
    is a stock, and each row is scaled by itself. What was fitted as one cannot be transformed as
    the other.

    *Missing.* NaN stays NaN and counts for nothing.

    *Days without a spread.* Where 0 would be divided by 0 the result is NaN, as in qlib: "zscore"
    of a day whose values are all equal or of a single stock, and "robust" of values at the median
    where more than half of them are equal (the others go to the limits). "rank" has no such case:
    all equal is ``1.73 / n``, a single stock 1.73. ``sklearn.impute.SimpleImputer`` fills what is
    missing.

    *Windows.* (N, T, F) windows cannot be scaled: their steps lie on other days. Scale the table
    before it is made windows of.

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

    def __init__(self, method: str = "rank") -> None:
        self.method = method

    @single_task
    def fit(self, X: Any, y: Any = None) -> CrossSectionalScaler:
        """Check X.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            A (datetime, instrument) table, or a wide panel.
        y : object
            Ignored, but for its index: where y has a (datetime, instrument) index, X must.

        Returns
        -------
        self : CrossSectionalScaler

        Raises
        ------
        TypeError
            X is a WindowArray.
        ValueError
            The method is unknown; X is empty, not numeric, infinite or badly indexed, or has lost
            the index that y has.
        """
        check_method(self.method)
        self._check(X, reset=True)
        self.by_day_ = is_long(X)
        check_index_kept(X, y, "rows would be taken for days of a wide panel")
        return self

    def transform(self, X: Any) -> pd.DataFrame | np.ndarray:
        """Scale X, each day by itself.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            As in ``fit``. All stocks that a day's values are to be compared with must be there.

        Returns
        -------
        X : DataFrame or ndarray of the same shape
            A DataFrame keeps its index and names.
        """
        check_is_fitted(self)
        if is_long(X) != self.by_day_:
            kinds = (
                "without a (datetime, instrument) index",
                "with a (datetime, instrument) index",
            )
            raise ValueError(
                f"CrossSectionalScaler was fitted on X {kinds[self.by_day_]}; got one "
                f"{kinds[not self.by_day_]}."
            )
        values = self._check(X, reset=False)
        if self.by_day_:
            check_one_stamp_a_day(X.index)
            day = level_codes(X.index, "datetime")[0]
            scaled = np.empty_like(values)
            for column in range(values.shape[1]):
                scaled[:, column] = scale_by_day(values[:, column], day, self.method)
        else:
            row = np.repeat(np.arange(len(values)), values.shape[1])
            scaled = scale_by_day(values.ravel(), row, self.method).reshape(values.shape)
            scaled = scaled.astype(values.dtype)
        if isinstance(X, pd.DataFrame):
            return pd.DataFrame(scaled, X.index, X.columns)
        return scaled

    def _check(self, X: Any, *, reset: bool) -> np.ndarray:
        if isinstance(X, WindowArray) or getattr(X, "ndim", 2) == 3:
            raise TypeError(
                "CrossSectionalScaler scales tables, not (N, T, F) windows, whose steps lie on "
                "other days than their rows. Put it before the step that makes the windows, or "
                'let that step give columns (layout="columns").'
            )
        return np.asarray(check_panel_input(self, X, reset=reset))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def check_method(method: Any) -> None:
    """Raise where ``method`` is not one of those that scale a day."""
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}; got {method!r}.")


def scale_by_day(values: np.ndarray, day: np.ndarray, method: str) -> np.ndarray:
    """Scale values within each day, in float64.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN stays NaN.
    day : ndarray of int, shape (n,)
        The number of each value's day.
    method : {"rank", "zscore", "robust"}
        How.

    Returns
    -------
    scaled : ndarray of float64, shape (n,)
    """
    column = pd.Series(values, dtype=np.float64)
    days = column.groupby(day, sort=False)
    if method == "rank":
        # A row a day: five times faster than days.rank().
        place = days.cumcount().to_numpy()
        grid = np.full((day.max() + 1, place.max() + 1), np.nan)
        grid[day, place] = column
        ranks = pd.DataFrame(grid).rank(axis="columns", pct=True).to_numpy()
        return RANK_TO_STD * (ranks[day, place] - 0.5)
    if method == "zscore":
        # Values that are all equal may differ from their mean by rounding.
        has_spread = days.transform("max") > days.transform("min")
        scaled = (column - days.transform("mean")) / days.transform("std").where(has_spread)
    else:
        deviation = column - days.transform("median")
        spread = deviation.abs().groupby(day, sort=False).transform("median")
        scaled = (deviation / spread / MAD_TO_STD).clip(-ROBUST_CLIP, ROBUST_CLIP)
    return scaled.to_numpy()
