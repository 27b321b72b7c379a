"""MarketInformation: columns that describe the market of the day, appended to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from skattn.panel import check_index, days_of
from skattn.parameters import check_parameters, check_value, parameter
from skattn.preprocessing import PanelTransformer
from skattn_master.series import (
    check_last_days,
    column_names,
    describe,
    dropped_days,
    read_index,
    read_rows,
    universe,
)

LENGTHS = (5, 10, 20, 30, 60)


class MarketInformation(PanelTransformer):
    """Append the market's return and traded value, and their mean and deviation, to a table.

    For each market there are 1 + 4 columns for each length: MARKET_RETURN, the return of the day,
    and MARKET_RETURN_MEAN5, MARKET_RETURN_STD5, MARKET_AMOUNT_MEAN5, MARKET_AMOUNT_STD5, ... over
    the last 5 and more days, today included. The amount is the traded value, relative to today's.
    All stocks of a day have the same values.

    Parameters
    ----------
    features : transformer, default=None
        Makes the columns that the market's columns are appended to, such as ``Alpha158()``; it gets
        X as it is. None: the columns of X.
    weights : {"equal", "value"}, default="equal"
        Weights of the stocks in the market's return: equal, or by the value that was traded on the
        day before. It does not matter where ``indexes`` are given.
    indexes : DataFrame, or mapping of names to DataFrames, default=None
        Series that stand for the market, such as those of a stock index: columns close, and amount
        or volume, by date. From a mapping the columns are MARKET_NAME_RETURN, ...; they come in its
        order. None: the market is made of the rows of X.
    lengths : sequence of int, default=(5, 10, 20, 30, 60)
        Days of the means and deviations, each at least 2.

    Attributes
    ----------
    features_ : transformer
        The fitted transformer, where ``features`` is given.
    market_ : DataFrame or None
        Return and traded value of each fitted day; None where ``indexes`` are given.
    last_rows_ : DataFrame or None
        Close and traded value of the stocks on the last fitted day.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Names of the columns of X, where all are text.

    Notes
    -----
    *The market of the rows.* X has the column close, and amount (traded value) or volume, which
    close makes a value of. Zeros are read as missing. A stock counts on a day if it has a close on
    this day and on the market's day before. Days with rows are the market's days.

    *Causal.* The columns of day t are made of prices and volume of day t and of the days before,
    bit for bit. In the first days windows are shorter; a deviation needs two days. What is unknown
    is NaN: scale with ``RobustZScore``, which fills. (Scaling within a day takes the information
    away, because all stocks of a day have the same.)

    *Rows after the fitted rows.* A day that ``fit`` has seen keeps the market that ``fit`` has
    seen. A later day's market is made of its rows and of the fitted days, so that today's rows
    alone get what they get in the full table; pass all stocks of the day. Days that were dropped
    between fitted and later rows, and that the index of X still holds in its levels, count as days
    without information.

    *Index series.* They have their own days. On a day that an index does not have, its columns are
    NaN. Before X goes beyond the last day of an index, pass longer series with ``set_params``.

    References
    ----------
    Li et al. 2024, arXiv 2312.15235, whose 63 columns are those of three indexes.

    Examples
    --------
    >>> from skattn.datasets import make_market
    >>> from skattn.preprocessing import Alpha158
    >>> from skattn_master import MarketInformation
    >>> ohlcv = make_market(n_stocks=5, n_days=80, random_state=0).ohlcv
    >>> table = MarketInformation(Alpha158(columns=["KLEN"]), lengths=(5,)).fit_transform(ohlcv)
    >>> table.columns.tolist()[:4]
    ['KLEN', 'MARKET_RETURN', 'MARKET_RETURN_MEAN5', 'MARKET_RETURN_STD5']
    """

    features: Any = parameter(None, positional=True)
    weights: str = parameter("equal", one_of=("equal", "value"))
    indexes: pd.DataFrame | Mapping[str, pd.DataFrame] | None = parameter(
        None, instance_of=(pd.DataFrame, Mapping), words="a DataFrame or a mapping of DataFrames"
    )
    lengths: Sequence[int] = parameter(LENGTHS)

    def fit(self, X: pd.DataFrame, y: Any = None) -> MarketInformation:
        """Remember the market of X, and fit ``features``.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index
            Prices and volume.
        y : object
            Passed to ``features``.

        Returns
        -------
        self : MarketInformation

        Raises
        ------
        ValueError
            X has no (datetime, instrument) index, lacks a column, or has prices or volume that are
            negative or infinite; a parameter is not allowed; an index series is not as described.
        """
        self._check_parameters()
        self._check(X, reset=True)
        self.market_ = self.last_rows_ = None
        if self.indexes is None:
            rows = read_rows(X)
            calendar = pd.DatetimeIndex(rows["day"].unique()).sort_values()
            self.market_ = universe(rows, calendar, by_value=self.weights == "value")
            self.last_rows_ = rows[rows["day"] == calendar[-1]]
        else:
            self._index_series()
        self.__dict__.pop("features_", None)
        if self.features is not None:
            self.features_ = clone(self.features)
            if hasattr(self.features_, "set_output"):
                self.features_.set_output(transform="pandas")
            self.features_.fit(X, y)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Append the market's columns.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index
            Columns as in ``fit``; all stocks of each day that ``fit`` has not seen.

        Returns
        -------
        table : DataFrame
            The columns of ``features``, or of X, and the market's in float32, with the index and
            the row order of X.
        """
        check_is_fitted(self)
        self._check(X, reset=False)
        days = days_of(None, X)
        if self.market_ is None:
            series = self._index_series()
            check_last_days(series, days.max())
        else:
            series = {"": self._market_of(X)}
        market = np.hstack([
            describe(values, self.lengths).reindex(days).to_numpy(np.float32)
            for values in series.values()
        ])  # fmt: skip
        table = pd.DataFrame(market, X.index, self._names(), copy=False)
        return pd.concat([self._own_columns(X), table], axis=1)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X, where X had none in text.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        if self.features is not None:
            own = self.features_.get_feature_names_out(input_features)
        else:
            own = getattr(self, "feature_names_in_", input_features)
        return np.asarray([*own, *self._names()], dtype=object)

    def _check_parameters(self) -> None:
        check_parameters(self)
        lengths = self.lengths
        if isinstance(lengths, str) or not np.iterable(lengths) or len(lengths) == 0:
            raise ValueError(f"lengths must be a sequence of at least one length; got {lengths!r}.")
        for length in lengths:
            check_value("MarketInformation: lengths", length, "int", at_least=2)
        if len(set(lengths)) < len(lengths):
            raise ValueError(f"lengths must not hold duplicates; got {lengths!r}.")
        features = self.features
        is_made = hasattr(features, "fit") and hasattr(features, "transform")
        if features is not None and (isinstance(features, type) or not is_made):
            raise TypeError(
                f"features must be a transformer, such as Alpha158(), or None; got {features!r}."
            )

    def _check(self, X: Any, *, reset: bool) -> None:
        if not isinstance(X, pd.DataFrame):
            raise ValueError(
                f"MarketInformation needs a pandas table with a (datetime, instrument) index, "
                f"because the market is that of the row's day; got {type(X).__name__}. "
                f"skattn.from_long makes one; after a step that returns an array, "
                f"set_output(transform='pandas') keeps the index."
            )
        check_index(X.index)
        if len(X) == 0:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        taken = X.columns.intersection(self._names())
        if self.features is None and len(taken):
            raise ValueError(f"X has the columns {list(taken)} already.")
        validate_data(self, X, reset=reset, skip_check_array=True)

    def _own_columns(self, X: pd.DataFrame) -> pd.DataFrame:
        if self.features is None:
            return X
        own = self.features_.transform(X)
        if not isinstance(own, pd.DataFrame) or not own.index.equals(X.index):
            raise ValueError(
                f"features must give a DataFrame with the rows of X, to which columns can be "
                f"appended; {type(self.features).__name__} gave {type(own).__name__}. Windows are "
                f"made after the market's columns, by RollingWindow."
            )
        return own

    def _market_of(self, X: pd.DataFrame) -> pd.DataFrame:
        """Give the market of the fitted days and of the other days of X."""
        fitted = self.market_.index
        rows = read_rows(X)
        rows = rows[~(rows["day"] == fitted[-1])]
        days = pd.DatetimeIndex(rows["day"].unique())
        if days.isin(fitted).all():
            return self.market_
        calendar = fitted.union(days).union(dropped_days(X.index, fitted, days))
        by_value = self.weights == "value"
        market = universe(pd.concat([self.last_rows_, rows]), calendar, by_value=by_value)
        market.loc[fitted] = self.market_
        return market

    def _index_series(self) -> dict[str, pd.DataFrame]:
        return {name: read_index(name, table) for name, table in self._index_tables().items()}

    def _index_tables(self) -> dict[str, Any]:
        if isinstance(self.indexes, pd.DataFrame):
            return {"": self.indexes}
        return dict(self.indexes)

    def _names(self) -> list[str]:
        markets = [""] if self.indexes is None else self._index_tables()
        return [name for market in markets for name in column_names(market, self.lengths)]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
