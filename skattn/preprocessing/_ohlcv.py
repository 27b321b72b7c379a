"""Read prices and volume from a user's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Tags

from skattn.panel import WindowArray, check_index
from skattn.panel.internal import (
    OHLCV_FIELDS,
    check_input_kind,
    check_numeric,
    check_panel_input,
    rename_hint,
)
from skattn.parameters import parameter, shown
from skattn.preprocessing._base import check_index_kept
from skattn.preprocessing._history import LookbackTransformer, check_one_stamp_a_day
from skattn.utils import warn_user

VWAPS = ("typical",)


class OhlcvTransformer(LookbackTransformer):
    """Base class of transformers of tables with open, high, low, close, volume (and vwap).

    Zero prices and zero volume are read as missing.
    """

    vwap: str | None = parameter(None, one_of=VWAPS)

    def _has_vwap(self, X: pd.DataFrame) -> bool:
        return self.vwap == "typical" or "vwap" in X.columns

    def _check_table(self, X: pd.DataFrame, *, reset: bool) -> None:
        """Check the index, and with ``reset`` set scikit-learn's attributes for the columns."""
        check_index(X.index)
        check_input_kind(self, X, reset=reset)
        check_one_stamp_a_day(X.index)
        if len(X) == 0:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        if reset:
            self.n_features_in_ = X.shape[1]
            self.feature_names_in_ = np.asarray(X.columns, dtype=object)

    def _check_series(self, X: Any, y: Any, n_wanted: int) -> None:
        """Look at an array X in ``fit``: whether its columns may be fields rather than steps."""
        if self.input_kind_ == "array":
            check_index_kept(
                X,
                y,
                f"{self.n_features_in_} columns are read as the steps of one series of prices",
                expected=self.n_features_in_ > max(n_wanted - 1, len(OHLCV_FIELDS)),
            )

    def _check_array(self, X: Any) -> np.ndarray | WindowArray:
        """Check an array X."""
        return check_panel_input(self, X, reset=False, by_index=True)

    def _check_columns(self, X: pd.DataFrame, fields: Sequence[str]) -> None:
        """Raise if X lacks a column that the fields need."""
        needed = self._columns_of(fields)
        missing = [name for name in needed if name not in X.columns]
        if missing:
            hint = rename_hint(X.columns, missing, "X")
            if "vwap" in missing:
                hint += (
                    f' {type(self).__name__}(vwap="typical") computes (high + low + close) / 3 '
                    f"instead of reading vwap."
                )
            there = [field for field in OHLCV_FIELDS if field in X.columns]
            if there and getattr(self, "fields", ()) is None:
                hint += f" {type(self).__name__}({there}) makes windows of what is there."
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
        _check_prices(values, fields, X.index)
        return values

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _check_prices(values: np.ndarray, fields: Sequence[str], index: pd.MultiIndex) -> None:
    """Raise where a price or volume is negative; warn where high is below low."""
    for column, field in zip(values.T, fields, strict=True):
        negative = np.flatnonzero(column < 0)
        if len(negative):
            raise ValueError(
                f"The column {field!r} of X must not be negative; {len(negative)} values are, "
                f"first {column[negative[0]]} at {index[negative[0]]}. Some vendors (CRSP) mark "
                f"quotes by a minus sign: take the absolute value where that is so."
            )
    if {"high", "low"} <= set(fields):
        high, low = (values[:, fields.index(name)] for name in ("high", "low"))
        crossed = np.flatnonzero(high < low)
        if len(crossed):
            warn_user(
                f"high is below low in {len(crossed)} of {len(values)} rows of X, first at "
                f"{index[crossed[0]]}: the features of these rows take them as they are."
            )


def _read(column: pd.Series, dtype: type = np.float32) -> np.ndarray:
    # Prices are stored in float32, as in qlib; the precision is sufficient.
    try:
        with np.errstate(over="ignore"):
            values = column.to_numpy(dtype=dtype, na_value=np.nan, copy=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"Column {shown(column.name)} is not numeric: {error}") from error
    values[values == 0] = np.nan
    return values
