"""Make windows of the last days from a table of features."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skattn.panel import WindowArray, build_windows
from skattn.panel.internal import MAX_LENGTH, check_panel_input
from skattn.parameters import parameter
from skattn.preprocessing._base import check_index_kept, single_task
from skattn.preprocessing._history import (
    LookbackTransformer,
    check_one_stamp_a_day,
    last_steps,
)


class RollingWindow(LookbackTransformer):
    """Turn a table of features into windows of consecutive days.

    The window of a row holds the stock's features of that day and of the days before, as qlib's
    ``TSDatasetH`` gives them to recurrent models. The windows store the table once, and each window
    is assembled when it is gathered.

    Parameters
    ----------
    length : int, default=20
        Days in each window, today included; ``step_len`` in qlib.
    fill_method : {"none", "ffill", "ffill+bfill"}, default="none"
        How to fill the days of a window on which the stock has no row. "none" gives NaN. "ffill"
        copies the previous row in the window. "ffill+bfill" also fills the days before the first
        row in the window with a copy of that row. Rows are copied only from inside the window,
        which ends today. NaN inside a row stays NaN.
    calendar : array-like of dates, default=None
        All trading days of the market. Days without a row are missing in windows. None takes the
        days of the rows, and the days between fitted and later rows that are still in the index of
        X.

    Attributes
    ----------
    history_ : DataFrame or None
        The last ``2 * length - 1`` fitted days. ``transform`` looks back into these days. They
        suffice for later rows and for the rows of the last ``length`` fitted days.
    calendar_ : DatetimeIndex or None
        Days seen in ``fit``.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, if X had names.

    Notes
    -----
    *Live use.* After ``fit`` on history, ``transform`` can get only today's rows. The windows of
    today's rows equal, bit for bit, the windows in the full table. See :class:`Alpha360` for the
    days between fitted and later rows.

    *Plain arrays.* A 2-D array holds N univariate series of T steps, oldest first. A 3-D array
    (N, T, F) holds windows. Only the last ``length`` steps of each series or window are kept;
    shorter input is padded in front.

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

    length: int = parameter(20, at_least=1, at_most=MAX_LENGTH, positional=True)
    fill_method: str = parameter("none", one_of=("none", "ffill", "ffill+bfill"))

    @single_task
    def fit(self, X: Any, y: Any = None) -> RollingWindow:
        """Check X and store its last days.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index, or array-like
            Features; NaN is allowed.
        y : object
            Only the index of y is used: if y has a (datetime, instrument) index, X must have this
            index too.

        Returns
        -------
        self : RollingWindow

        Raises
        ------
        TypeError
            X already holds windows.
        ValueError
            A parameter is out of range. The index is not (datetime, instrument) or has duplicate
            keys, or X has lost the index that y has. A column is not numeric, or is infinite.
        """
        self._checked_parameters()
        values = self._check(X, reset=True)
        if self.input_kind_ == "table":
            self._remember(values, X.index, list(X.columns), self.length - 1)
            return self
        check_index_kept(X, y, "columns would be read as the steps of a series")
        self._forget()
        return self

    def transform(self, X: Any) -> WindowArray | np.ndarray:
        """Make the window that ends at each row.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index, or array-like
            Columns as in ``fit``. Windows look back into X. For rows that are not in X, windows
            look back into the days stored in ``fit``.

        Returns
        -------
        windows : WindowArray of shape (n_rows, length, n_columns)
            Windows with the index and the row order of X. For arrays the result is an ndarray.
        """
        check_is_fitted(self)
        values = self._check(X, reset=False)
        if self.input_kind_ != "table":
            return last_steps(values, self.length, edge=self.fill_method == "ffill+bfill")
        memory, calendar = self._recall(X.index, self.length - 1)
        return build_windows(
            values,
            X.index,
            self.length,
            memory=memory,
            calendar=calendar,
            fields=[str(name) for name in X.columns],
            fill_method=self.fill_method,
        )

    def _check(self, X: Any, *, reset: bool) -> np.ndarray:
        if isinstance(X, WindowArray):
            raise TypeError("X already holds windows; RollingWindow makes windows from a table.")
        values = cast(np.ndarray, check_panel_input(self, X, reset=reset, by_index=True))
        if self.input_kind_ == "table":
            check_one_stamp_a_day(X.index)
        return values

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
