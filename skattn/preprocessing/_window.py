"""Windows of the last days of a table of features."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skattn._params import check_count
from skattn.panel import WindowArray, build_windows, check_panel_input
from skattn.preprocessing._base import check_index_kept, is_long, single_task
from skattn.preprocessing._lookback import (
    LookbackTransformer,
    check_one_stamp_a_day,
    last_steps,
)

FILLS = ("none", "ffill", "ffill+bfill")


class RollingWindow(LookbackTransformer):
    """Turn a table of features into windows: each row with those of the days before it.

    qlib's ``TSDatasetH``, for what recurrent models read. The windows hold the table once; each is
    put together when it is gathered.

    Parameters
    ----------
    length : int, default=20
        Days a window, today's included; ``step_len`` in qlib.
    fill : {"none", "ffill", "ffill+bfill"}, default="none"
        What stands in a window for the days on which the stock has no row: NaN ("none"); the row of
        the day before ("ffill"); and, before the first row in the window, that row ("ffill+bfill").
        Rows are taken from inside the window alone, which ends today. NaN inside a row stays.
    calendar : array-like of dates, default=None
        Every trading day of the market, where the rows do not have them all: those that a splitter
        has purged, for example. Days that it has and the rows do not are missing in windows, where
        they would be passed over otherwise. None: the days of the rows.

    Attributes
    ----------
    history_ : DataFrame or None
        The last ``2 * length - 1`` days that ``fit`` saw, into which ``transform`` looks back:
        enough for later rows, and for those of the last ``length`` fitted days.
    calendar_ : DatetimeIndex or None
        The days that ``fit`` saw.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had names.

    Notes
    -----
    *Live.* After ``fit`` on history, ``transform`` of today's rows alone gives the windows that
    they have in the full table, to the bit. Rows that do not follow on the remembered days have the
    days between missing, not spliced: see :class:`Alpha360`.

    *Plain arrays.* A 2-D array means N univariate series of T steps, oldest first, a 3-D one
    (N, T, F) windows: of each the last ``length`` steps are kept, padded in front.

    References
    ----------
    qlib, ``qlib/data/dataset/__init__.py``, ``TSDatasetH`` and ``TSDataSampler``.

    Examples
    --------
    >>> from skattn.datasets import make_market
    >>> from skattn.preprocessing import Alpha158, RollingWindow
    >>> ohlcv = make_market(n_stocks=5, n_days=80, random_state=0).ohlcv
    >>> features = Alpha158(columns=Alpha158.SELECTED20).fit_transform(ohlcv)
    >>> RollingWindow(20).fit_transform(features).shape[1:]
    (20, 20)
    """

    def __init__(self, length: int = 20, *, fill: str = "none", calendar: Any = None) -> None:
        self.length = length
        self.fill = fill
        self.calendar = calendar

    @single_task
    def fit(self, X: Any, y: Any = None) -> RollingWindow:
        """Check X and remember its last days.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index, or array-like
            Features; NaN is let through.
        y : object
            Ignored, but for its index: where y has a (datetime, instrument) index, X must.

        Returns
        -------
        self : RollingWindow

        Raises
        ------
        TypeError
            X holds windows already.
        ValueError
            A parameter is out of range; the index is not (datetime, instrument) or has duplicate
            keys, or X has lost the one that y has; a column is not numeric or infinite.
        """
        check_count("length", self.length, 1)
        if self.fill not in FILLS:
            raise ValueError(f"fill must be one of {FILLS}; got {self.fill!r}.")
        values = self._check(X, reset=True)
        if self._by_day:
            self._remember(values, X.index, list(X.columns), self.length - 1)
            return self
        check_index_kept(X, y, "columns would be taken for the steps of a series")
        self._forget()
        return self

    def transform(self, X: Any) -> WindowArray | np.ndarray:
        """Make the window that ends at each row.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index, or array-like
            Columns as in ``fit``. Windows reach back into X and, where X does not have a row, into
            the days remembered from ``fit``.

        Returns
        -------
        windows : WindowArray of shape (n_rows, length, n_columns)
            With X's index, in X's order. For arrays an ndarray.
        """
        check_is_fitted(self)
        values = self._check(X, reset=False)
        if not self._by_day:
            return last_steps(values, self.length, edge=self.fill == "ffill+bfill")
        memory, calendar = self._recall(X.index, self.length - 1)
        return build_windows(
            values,
            X.index,
            self.length,
            memory=memory,
            calendar=calendar,
            fields=[str(name) for name in X.columns],
            fill=self.fill,
        )

    def _check(self, X: Any, *, reset: bool) -> np.ndarray:
        if isinstance(X, WindowArray):
            raise TypeError("X holds windows already; RollingWindow makes them of a table.")
        by_day = is_long(X)
        if reset:
            self._by_day = by_day
        elif by_day != self._by_day:
            kinds = ("a table with a (datetime, instrument) index", "rows without such an index")
            fitted, got = kinds if self._by_day else kinds[::-1]
            raise ValueError(f"RollingWindow was fitted on {fitted}; got {got}.")
        values = cast(np.ndarray, check_panel_input(self, X, reset=reset))
        if by_day:
            check_one_stamp_a_day(X.index)
        return values

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
