"""Prices and volume out of a user's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Tags

from skattn.panel import WindowArray, check_index, check_numeric, check_panel_input
from skattn.preprocessing._lookback import LookbackTransformer, check_one_stamp_a_day

FIELDS = ("close", "open", "high", "low", "vwap", "volume")
VWAPS = (None, "typical")


class OhlcvTransformer(LookbackTransformer):
    """A transformer of a table with the columns open, high, low, close, volume (and vwap).

    A subclass has a parameter ``vwap``. Zero prices and zero volume are read as missing.
    """

    vwap: str | None
    _fit_ndim: int | None

    def _check_vwap(self) -> None:
        if self.vwap not in VWAPS:
            raise ValueError(f"vwap must be one of {VWAPS}; got {self.vwap!r}.")

    def _has_vwap(self, X: pd.DataFrame) -> bool:
        return self.vwap == "typical" or "vwap" in X.columns

    def _check_table(self, X: pd.DataFrame, *, reset: bool) -> None:
        """Check the index, and set (``reset``) what scikit-learn wants to know of the columns."""
        check_index(X.index)
        if not reset and self._fit_ndim is not None:
            raise ValueError(f"{type(self).__name__} was fitted on an array; got a table.")
        check_one_stamp_a_day(X.index)
        if len(X) == 0:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        if reset:
            self._fit_ndim = None
            self.n_features_in_ = X.shape[1]
            self.feature_names_in_ = np.asarray(X.columns, dtype=object)

    def _check_array(self, X: Any) -> np.ndarray | WindowArray:
        """Check X that is no table."""
        if self._fit_ndim is None:
            raise ValueError(
                f"{type(self).__name__} was fitted on a table; got {type(X).__name__}."
            )
        return check_panel_input(self, X, reset=False)

    def _check_columns(self, X: pd.DataFrame, fields: Sequence[str]) -> None:
        """Raise where X lacks what the fields are read from."""
        needed = self._columns_of(fields)
        missing = [name for name in needed if name not in X.columns]
        if missing:
            hint = ""
            if "vwap" in missing:
                hint = (
                    ' vwap="typical" computes (high + low + close) / 3 in place of a vwap column.'
                )
            raise ValueError(
                f"X lacks the column{'s' if len(missing) > 1 else ''} {missing}; it has "
                f"{list(X.columns)}.{hint}"
            )
        double = X.columns[X.columns.duplicated()].intersection(needed)
        if len(double):
            raise ValueError(f"X has more than one column {list(double)}.")
        check_numeric(X[needed])

    def _columns_of(self, fields: Sequence[str]) -> list[str]:
        needed = dict.fromkeys(fields)
        if self.vwap == "typical" and "vwap" in needed:
            del needed["vwap"]
            needed.update(dict.fromkeys(("high", "low", "close")))
        return list(needed)

    def _values(self, X: pd.DataFrame, fields: Sequence[str]) -> np.ndarray:
        """Read the fields as an array of shape (n_rows, n_fields), zeros as NaN."""
        values = np.empty((len(X), len(fields)), dtype=np.float32)
        for column, field in zip(values.T, fields, strict=True):
            if field == "vwap" and self.vwap == "typical":
                high, low, close = (_read(X[name], float) for name in ("high", "low", "close"))
                column[:] = (high + low + close) / 3
            else:
                column[:] = _read(X[field])
        bad = [i for i, column in enumerate(values.T) if np.isinf(column).any()]
        if bad:
            names = [fields[i] for i in bad]
            row = np.flatnonzero(np.isinf(values[:, bad[0]]))[0]
            raise ValueError(
                f"Input X contains infinity or a value too large for dtype('float32') in the "
                f"columns {names}, first at {X.index[row]}."
            )
        return values

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _read(column: pd.Series, dtype: type = np.float32) -> np.ndarray:
    # Prices are held in float32, as in qlib; they are exact enough in it.
    try:
        with np.errstate(over="ignore"):
            values = column.to_numpy(dtype=dtype, na_value=np.nan, copy=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Column {column.name!r} is not numeric: {error}") from error
    values[values == 0] = np.nan
    return values
