"""Alpha360: the last 60 days of prices and volume, relative to the latest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skattn._params import check_count
from skattn.panel import (
    DivideByLatest,
    TakeFields,
    WindowArray,
    build_windows,
    check_panel_input,
)
from skattn.preprocessing._base import single_task
from skattn.preprocessing._lookback import last_steps
from skattn.preprocessing._ohlcv import FIELDS, OhlcvTransformer

LAYOUTS = ("windows", "columns")


def _gives_columns(self: Alpha360) -> bool:
    return self.layout == "columns"


class Alpha360(OhlcvTransformer):
    """Windows of prices divided by the latest close, and of volume by the latest volume.

    The raw-price features of qlib: 6 fields x 60 days make the 360 of the name. They are not
    computed here but recorded: the windows hold the price table once and divide each batch
    when it is gathered.

    Parameters
    ----------
    fields : sequence of {"close", "open", "high", "low", "vwap", "volume"}, default=None
        The fields, in the order they come out. None: all six in this order, vwap only where the
        table has that column or ``vwap="typical"``.
    length : int, default=60
        Days a window, today's included.
    vwap : {None, "typical"}, default=None
        None takes the column "vwap" of the table. "typical" computes the typical price
        (high + low + close) / 3 in its place, which stands in for the volume-weighted average
        price where a vendor has none.
    layout : {"windows", "columns"}, default="windows"
        "windows" gives a WindowArray of shape (N, length, F); "columns" a table with qlib's
        names, feature by feature, oldest first: CLOSE59, ..., CLOSE0, OPEN59, ..., VOLUME0.
    calendar : array-like of dates, default=None
        Every trading day of the market, where the rows do not have them all: those that
        a splitter has purged, for example. Days that it has and the rows do not are missing in
        windows, where they would be passed over otherwise. None: the days of the rows.

    Attributes
    ----------
    fields_ : tuple of str
        The fields that come out.
    history_ : DataFrame or None
        The last ``2 * length - 1`` days that ``fit`` saw, into which ``transform`` looks back:
        enough for later rows, and for those of the last ``length`` fitted days.
    calendar_ : DatetimeIndex or None
        The days that ``fit`` saw.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns seen in ``fit``, where X had names.

    Notes
    -----
    *Causal.* The window of day t holds prices of t and before, nothing else. The lookback is
    ``length - 1`` days of the market calendar, which is every day that the rows have; a day that
    a stock misses is NaN in its windows, as in qlib. Days before a stock's first row are NaN.

    *Rows that are not the fitted ones.* ``transform`` knows X and the days in ``history_``.
    Rows that come next see full windows. Where rows follow on the fitted days after a pause of more
    weekdays than are usual in these, the weekdays are missing in windows, not spliced, and a
    warning says so; so are those of any pause of more than 4 (and twice the usual). Shorter pauses
    are taken for holidays: ``calendar`` tells exactly. For earlier rows pass the days before them
    too.

    *Missing.* Zero prices and zero volume are vendors' ways to say "no value" and become NaN.
    Where the latest close (volume) is missing, so is the whole window of prices (volume).

    *Plain arrays.* A 2-D array means N univariate price series of T steps, oldest first: the
    windows are their last ``length`` steps (padded with NaN) divided by the last one. A 3-D
    array (N, T, F) holds the ``fields`` in order.

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

    def __init__(
        self,
        fields: Sequence[str] | None = None,
        *,
        length: int = 60,
        vwap: str | None = None,
        layout: str = "windows",
        calendar: Any = None,
    ) -> None:
        self.fields = fields
        self.length = length
        self.vwap = vwap
        self.layout = layout
        self.calendar = calendar

    @single_task
    def fit(self, X: Any, y: Any = None) -> Alpha360:
        """Check X and remember its last days.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index, or array-like
            Prices and volume in the columns open, high, low, close, volume (and vwap).
        y : None
            Ignored.

        Returns
        -------
        self : Alpha360

        Raises
        ------
        ValueError
            A parameter is out of range; the index is not (datetime, instrument) or has duplicate
            keys; a column is missing, not numeric or infinite.
        """
        self._check_parameters()
        if not isinstance(X, pd.DataFrame):
            X = check_panel_input(self, X, reset=True)
            self.fields_ = self._array_fields(X)
            self._forget()
            return self
        self._check_table(X, reset=True)
        usual = tuple(field for field in FIELDS if field != "vwap" or self._has_vwap(X))
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
            Columns as in ``fit``. Windows reach back into X and, where X does not have a row,
            into the days remembered from ``fit``.

        Returns
        -------
        windows : WindowArray of shape (n_rows, length, n_fields)
            With X's index, in X's order. With ``layout="columns"`` a DataFrame of shape
            (n_rows, n_fields * length). For arrays, ndarrays of the same shapes.
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
        windows = windows.with_step(_divide_by_latest(sources))
        if len(sources) > len(self.fields_):
            kept = np.arange(len(self.fields_))
            windows = windows.with_step(TakeFields(kept), fields=self.fields_)
        if self.layout == "windows":
            return windows
        flat = _flatten(np.asarray(windows))
        return pd.DataFrame(flat, X.index, self.get_feature_names_out(), copy=False)

    @available_if(_gives_columns)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns, as in qlib (``layout="columns"`` only).

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
        check_count("length", self.length, 1)
        self._check_vwap()
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {LAYOUTS}; got {self.layout!r}.")
        if self.fields is None:
            return
        unknown = [field for field in self.fields if field not in FIELDS]
        if isinstance(self.fields, str) or unknown or len(self.fields) == 0:
            raise ValueError(f"fields must be a sequence out of {FIELDS}; got {self.fields!r}.")
        if len(set(self.fields)) < len(self.fields):
            raise ValueError(f"fields must differ; got {self.fields!r}.")

    def _sources(self) -> list[str]:
        """Fields that the windows hold: those that come out, and the close to divide by."""
        by_close = any(field != "volume" for field in self.fields_)
        return [*self.fields_, *(["close"] if by_close and "close" not in self.fields_ else [])]

    def _array_fields(self, X: np.ndarray | WindowArray) -> tuple[str, ...]:
        n_fields = X.shape[2] if len(X.shape) == 3 else 1
        fields = self.fields
        if fields is None:
            fields = FIELDS[:1] if n_fields == 1 else [f for f in FIELDS if f != "vwap"]
            fields = FIELDS if n_fields == len(FIELDS) else fields
        if len(fields) != n_fields or ("close" not in fields and set(fields) != {"volume"}):
            raise ValueError(
                f"An array with {n_fields} field(s) does not hold the fields {tuple(fields)} "
                f"(close is needed to divide by); pass a table or other fields."
            )
        return tuple(fields)

    def _transform_array(self, X: Any) -> np.ndarray:
        X = self._check_array(X)
        cube = last_steps(np.asarray(X, dtype=np.float32), self.length)
        cube[cube == 0] = np.nan
        cube = _divide_by_latest(self.fields_)(cube, slice(None))
        return cube if self.layout == "windows" else _flatten(cube)


def _divide_by_latest(fields: Sequence[str]) -> DivideByLatest:
    """Volume is divided by the latest volume, everything else by the latest close."""
    by = [fields.index("volume" if name == "volume" else "close") for name in fields]
    return DivideByLatest(np.array(by))


def _flatten(cube: np.ndarray) -> np.ndarray:
    return cube.transpose(0, 2, 1).reshape(len(cube), -1)
