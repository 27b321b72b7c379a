"""Scale within each day: compare a stock with the other stocks, not with its own past."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skattn.panel import WindowArray
from skattn.panel.internal import check_panel_input, level_codes
from skattn.parameters import parameter
from skattn.preprocessing._base import PanelTransformer, check_index_kept, single_task
from skattn.preprocessing._history import check_one_stamp_a_day
from skattn.preprocessing._robust import MAD_TO_STD

METHODS = ("rank", "zscore", "robust")
# qlib's factor. Ranks are uniform in [0, 1], with a standard deviation of about 1 / 3.46.
RANK_TO_STD = 3.46
ROBUST_CLIP = 3.0


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
    """
    column = pd.Series(values, dtype=np.float64)
    days = column.groupby(day, sort=False)
    if method == "rank":
        # One row per day: five times faster than days.rank().
        place = days.cumcount().to_numpy()
        grid = np.full((day.max() + 1, place.max() + 1), np.nan)
        grid[day, place] = column
        ranks = pd.DataFrame(grid).rank(axis="columns", pct=True).to_numpy()
        return RANK_TO_STD * (ranks[day, place] - 0.5)
    if method == "zscore":
        # Equal values may differ from their mean by rounding errors.
        has_spread = days.transform("max") > days.transform("min")
        scaled = (column - days.transform("mean")) / days.transform("std").where(has_spread)
    else:
        deviation = column - days.transform("median")
        spread = deviation.abs().groupby(day, sort=False).transform("median")
        scaled = (deviation / spread / MAD_TO_STD).clip(-ROBUST_CLIP, ROBUST_CLIP)
    return scaled.to_numpy()
