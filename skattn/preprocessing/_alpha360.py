"""Alpha360: the last 60 days of prices and volume, relative to the latest values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skattn.panel import DivideByLatest, TakeFields, WindowArray, build_windows
from skattn.panel.internal import MAX_LENGTH, OHLCV_FIELDS, check_panel_input
from skattn.parameters import parameter, shown
from skattn.preprocessing._base import read_list, single_task
from skattn.preprocessing._history import last_steps
from skattn.preprocessing._ohlcv import OhlcvTransformer


def _gives_columns(self: Alpha360) -> bool:
    return self.layout == "columns"


class Alpha360(OhlcvTransformer):
    """Make windows of prices divided by the latest close, and of volume by the latest volume.

    These are the raw-price features of qlib; 6 fields x 60 days give the 360 in the name. The
    division is recorded and applied later: the windows store the price table once and divide each
    batch when the batch is gathered.

    Parameters
    ----------
    fields : sequence of {"close", "open", "high", "low", "vwap", "volume"}, default=None
        Fields in the order of the output. None means all six fields in this order; vwap is included
        only if the table has a column "vwap" or ``vwap="typical"``.
    length : int, default=60
        Days in each window, today included.
    vwap : {None, "typical"}, default=None
        None reads the column "vwap" of the table. "typical" computes the typical price
        (high + low + close) / 3 instead, for vendors without a volume-weighted average price.
    layout : {"windows", "columns"}, default="windows"
        "windows" returns a WindowArray of shape (N, length, F). "columns" returns a table with
        qlib's names, feature by feature, oldest first: CLOSE59, ..., CLOSE0, OPEN59, ..., VOLUME0.
    calendar : array-like of dates, default=None
        All trading days of the market. Days without a row are missing in windows. None takes the
        days of the rows, and the days between fitted and later rows that are still in the index of
        X.

    Attributes
    ----------
    fields_ : tuple of str
        Fields of the output.
    history_ : DataFrame or None
        The last ``2 * length - 1`` fitted days. ``transform`` looks back into these days. They
        suffice for later rows and for the rows of the last ``length`` fitted days.
    calendar_ : DatetimeIndex or None
        Days seen in ``fit``.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns seen in ``fit``, if X had names.

    Notes
    -----
    *Causal.* The window of day t holds only prices of day t and earlier. The lookback is
    ``length - 1`` days of the market calendar. The market calendar holds every day on which any row
    lies. A day that a stock misses is NaN in the stock's windows, as in qlib. Days before a stock's
    first row are NaN.

    *Rows other than the fitted rows.* ``transform`` uses X and the days in ``history_``. Rows that
    directly follow the fitted rows have full windows. ``calendar`` gives the days of the market
    exactly. Without ``calendar``, the days between fitted and later rows that are still in the
    index of X, such as the days purged by a splitter, are missing in windows. Otherwise consecutive
    days with rows are treated as neighbours. A warning names a pause after the fitted days that is
    longer than any pause within the fitted days, and another pause of more than 10 weekdays;
    shorter pauses pass without a word. Rows that come back from a file do not know dropped days:
    pass ``calendar`` there. To transform earlier rows, also pass the days before them.

    *Missing values.* Data vendors write zero prices and zero volume for "no value". Zeros become
    NaN. If the latest close (volume) is missing, the whole window of prices (volume) is missing.

    *Plain arrays.* A 2-D array holds N univariate price series of T steps, oldest first. The
    windows are the last ``length`` steps, padded with NaN and divided by the last step. A 3-D array
    (N, T, F) holds the ``fields`` in order.

    References
    ----------
    qlib, ``qlib/contrib/data/loader.py``, ``Alpha360DL``.

    Examples
    --------
    >>> from skattn.datasets import make_market
    >>> from skattn.preprocessing import Alpha360
    >>> ohlcv = make_market(n_stocks=5, n_days=80, random_state=0).ohlcv
    >>> Alpha360(vwap="typical").fit_transform(ohlcv).shape[1:]
    (60, 6)
    >>> Alpha360(["close"], length=3, layout="columns").fit_transform(ohlcv).columns.tolist()
    ['CLOSE2', 'CLOSE1', 'CLOSE0']
    """

    fields: Sequence[str] | None = parameter(None, positional=True)
    length: int = parameter(60, at_least=1, at_most=MAX_LENGTH)
    layout: str = parameter("windows", one_of=("windows", "columns"))

    @single_task
    def fit(self, X: Any, y: Any = None) -> Alpha360:
        """Check X and store its last days.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index, or array-like
            Prices and volume in the columns open, high, low, close, volume (and vwap).
        y : object
            Only the index of y is used: if y has a (datetime, instrument) index, X must have this
            index too.

        Returns
        -------
        self : Alpha360

        Raises
        ------
        ValueError
            A parameter is out of range. The index is not (datetime, instrument) or has duplicate
            keys. A column is missing, not numeric or infinite.
        """
        self._check_parameters()
        if not isinstance(X, pd.DataFrame):
            self.fields_ = self._array_fields(check_panel_input(self, X, reset=True))
            self._check_series(X, y, self.length)
            self._forget()
            return self
        self._check_table(X, reset=True)
        usual = tuple(field for field in OHLCV_FIELDS if field != "vwap" or self._has_vwap(X))
        self.fields_ = usual if self.fields is None else tuple(self.fields)
        sources = self._sources()
        self._check_columns(X, sources)
        self._remember(self._values(X, sources), X.index, sources, self.length - 1)
        return self

    def transform(self, X: Any) -> WindowArray | pd.DataFrame | np.ndarray:
        """Make the window that ends at each row.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index, or array-like
            Columns as in ``fit``. Windows look back into X. For rows that are not in X, windows
            look back into the days stored in ``fit``.

        Returns
        -------
        windows : WindowArray of shape (n_rows, length, n_fields)
            Windows with the index and the row order of X. With ``layout="columns"`` the result is a
            DataFrame of shape (n_rows, n_fields * length). For arrays the result is an ndarray of
            the same shape.
        """
        check_is_fitted(self)
        if not isinstance(X, pd.DataFrame):
            return self._transform_array(X)
        self._check_table(X, reset=False)
        sources = self._sources()
        self._check_columns(X, sources)
        memory, calendar = self._recall(X.index, self.length - 1)
        windows = build_windows(
            self._values(X, sources),
            X.index,
            self.length,
            memory=memory,
            calendar=calendar,
            fields=sources,
        )
        windows = windows.with_transform(_divide_by_latest(sources))
        if len(sources) > len(self.fields_):
            kept = np.arange(len(self.fields_))
            windows = windows.with_transform(TakeFields(kept), fields=self.fields_)
        if self.layout == "windows":
            return windows
        flat = _flatten(np.asarray(windows))
        return pd.DataFrame(flat, X.index, self.get_feature_names_out(), copy=False)

    @available_if(_gives_columns)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns, as in qlib (``layout="columns"`` only).

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        names = [f"{f.upper()}{lag}" for f in self.fields_ for lag in reversed(range(self.length))]
        return np.asarray(names, dtype=object)

    def _check_parameters(self) -> None:
        self._checked_parameters()
        if self.fields is None:
            return
        fields = read_list("fields", self.fields)
        if not fields or not all(isinstance(each, str) and each in OHLCV_FIELDS for each in fields):
            raise ValueError(
                f"fields must be a sequence of names from {OHLCV_FIELDS}; got {shown(self.fields)}."
            )
        if len(set(fields)) < len(fields):
            raise ValueError(f"fields must not hold duplicates; got {shown(self.fields)}.")

    def _sources(self) -> list[str]:
        """Return the fields stored in the windows: the output fields, and close as the divisor."""
        by_close = any(field != "volume" for field in self.fields_)
        return [*self.fields_, *(["close"] if by_close and "close" not in self.fields_ else [])]

    def _array_fields(self, X: np.ndarray | WindowArray) -> tuple[str, ...]:
        n_fields = X.shape[2] if len(X.shape) == 3 else 1
        fields = self.fields
        if fields is None:
            fields = OHLCV_FIELDS[:1] if n_fields == 1 else [f for f in OHLCV_FIELDS if f != "vwap"]
            fields = OHLCV_FIELDS if n_fields == len(OHLCV_FIELDS) else fields
        if len(fields) != n_fields or ("close" not in fields and set(fields) != {"volume"}):
            raise ValueError(
                f"An array with {n_fields} field(s) does not hold the fields {tuple(fields)} "
                f"(close is needed as the divisor). Pass a table or other fields."
            )
        return tuple(fields)

    def _transform_array(self, X: Any) -> np.ndarray:
        X = self._check_array(X)
        cube = last_steps(np.asarray(X, dtype=np.float32), self.length)
        cube[cube == 0] = np.nan
        cube = _divide_by_latest(self.fields_)(cube, slice(None))
        return cube if self.layout == "windows" else _flatten(cube)


def _divide_by_latest(fields: Sequence[str]) -> DivideByLatest:
    """Divide volume by the latest volume, and all other fields by the latest close."""
    by = [fields.index("volume" if name == "volume" else "close") for name in fields]
    return DivideByLatest(np.array(by))


def _flatten(cube: np.ndarray) -> np.ndarray:
    return cube.transpose(0, 2, 1).reshape(len(cube), -1)
