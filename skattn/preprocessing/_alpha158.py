"""Alpha158: features computed from the last 60 days of prices and volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skattn.panel.internal import MAX_LENGTH, OHLCV_FIELDS, Layout, check_panel_input, lay_out
from skattn.parameters import check_value, parameter, shown
from skattn.preprocessing._base import read_list, single_task
from skattn.preprocessing._factors import FAMILIES, KBAR, PRICES, StockRows, kbar
from skattn.preprocessing._ohlcv import OhlcvTransformer
from skattn.utils import check_jobs

LENGTHS = (5, 10, 20, 30, 60)
# The order of qlib's columns.
# fmt: off
OPERATORS = (
    "ROC", "MA", "STD", "BETA", "RSQR", "RESI", "MAX", "LOW", "QTLU", "QTLD", "RANK", "RSV", "IMAX",
    "IMIN", "IMXD", "CORR", "CORD", "CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD", "VMA", "VSTD",
    "WVMA", "VSUMP", "VSUMN", "VSUMD",
)
# fmt: on
# qlib's operator LOW makes the columns MIN5, MIN10, ...
PREFIXES = {operator: operator for operator in OPERATORS} | {"LOW": "MIN"}
# Number of rows computed at a time, so that intermediate results stay in the cache.
CHUNK_ROWS = 1 << 14

# Largest number of threads: larger numbers are slips.
MAX_JOBS = 1_024


class Alpha158(OhlcvTransformer):
    """Compute the price and volume features of qlib's Alpha158 for each stock and day.

    The 158 features have qlib's names: 9 features of the shape of the day's candle, 4 prices of the
    day relative to the close, and 29 rolling statistics over windows of 5 to 60 days.

    Parameters
    ----------
    lengths : sequence of int, default=(5, 10, 20, 30, 60)
        Window lengths in days, each at least 2.
    include : sequence of str, default=None
        Statistics to compute, named as in qlib ("ROC", "MA", ...). None means all.
    exclude : sequence of str, default=()
        Statistics to leave out.
    columns : sequence of str, default=None
        Names of the columns to keep, in this order, such as ``Alpha158.SELECTED20``. Other columns
        are not computed. None means all columns.
    vwap : {None, "typical"}, default=None
        None reads the column "vwap" of the table. Without this column there is no VWAP0, and 157
        features remain. "typical" computes (high + low + close) / 3 in place of the column.
    calendar : array-like of dates, default=None
        All trading days of the market. Days without a row are missing in windows. None takes the
        days of the rows, and the days between fitted and later rows that are still in the index of
        X.
    n_jobs : int, default=None
        Number of threads. None means 1 unless in a ``joblib.parallel_config`` context, -1 means all
        processors. The result does not depend on the number of threads.

    Attributes
    ----------
    SELECTED20 : tuple of str
        The 20 columns of qlib's published workflows for recurrent models.
    columns_ : tuple of str
        Names of the output columns.
    history_ : DataFrame or None
        Prices and volume of the last fitted days. ``transform`` looks back into these days.
    calendar_ : DatetimeIndex or None
        Days seen in ``fit``.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns seen in ``fit``, if X had names.

    Notes
    -----
    *Causal.* The features of day t use prices of day t and of the ``max(lengths)`` market days
    before t. In a stock's first days windows are shorter, as in qlib.

    *Rows after the fitted rows.* ``transform`` uses X and the days in ``history_``. The rows that
    directly follow the fitted rows get bit for bit the same features as in the full table. See
    :class:`Alpha360` for rows that come later or begin earlier.

    *Missing values.* Data vendors write zero prices and zero volume for "no value". Zeros are read
    as missing, as in :class:`Alpha360`; qlib keeps the zeros. The statistics skip missing values.
    In IMAX, IMIN and IMXD a missing value counts as the highest and the lowest value, because qlib
    applies numpy's argmax, which finds missing values first.

    *Plain arrays.* A 2-D array holds N univariate price series of T steps, oldest first. A 3-D
    array (N, T, F) with F = 5 or 6 holds close, open, high, low, (vwap,) volume. The output holds
    the features of the latest step that can be computed from these fields.

    References
    ----------
    qlib, ``qlib/contrib/data/loader.py``, ``Alpha158DL``; ``qlib/data/ops.py``.

    Examples
    --------
    >>> from skattn.datasets import make_market
    >>> from skattn.preprocessing import Alpha158
    >>> ohlcv = make_market(n_stocks=5, n_days=80, random_state=0).ohlcv
    >>> Alpha158(vwap="typical").fit_transform(ohlcv).shape[1]
    158
    >>> Alpha158(columns=["KLEN", "ROC5"]).fit_transform(ohlcv).columns.tolist()
    ['KLEN', 'ROC5']
    """

    # fmt: off
    SELECTED20 = (
        "RESI5", "WVMA5", "RSQR5", "KLEN", "RSQR10", "CORR5", "CORD5", "CORR10", "ROC60", "RESI10",
        "VSTD5", "RSQR60", "CORR60", "WVMA60", "STD5", "RSQR20", "CORD60", "CORD10", "CORR20",
        "KLOW",
    )
    # fmt: on

    lengths: Sequence[int] = parameter(LENGTHS, positional=True)
    include: Sequence[str] | None = parameter(None)
    exclude: Sequence[str] = parameter(())
    columns: Sequence[str] | None = parameter(None)
    n_jobs: int | None = parameter(None, at_least=-MAX_JOBS, at_most=MAX_JOBS, check=check_jobs)

    @single_task
    def fit(self, X: Any, y: Any = None) -> Alpha158:
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
        self : Alpha158

        Raises
        ------
        ValueError
            A parameter is out of range. The index is not (datetime, instrument) or has duplicate
            keys. A column is missing, not numeric or infinite.
        """
        self._check_parameters()
        if not isinstance(X, pd.DataFrame):
            shape = check_panel_input(self, X, reset=True).shape
            self.columns_ = self._choose(_array_fields(shape))
            self._check_series(X, y, _longest(self.columns_))
            self._forget()
            return self
        self._check_table(X, reset=True)
        fields = [field for field in OHLCV_FIELDS if field != "vwap" or self._has_vwap(X)]
        columns = self._choose(fields)
        sources = _fields_of(columns)
        self._check_columns(X, sources)
        self._remember(self._values(X, sources), X.index, sources, _longest(columns), age=True)
        self.columns_ = columns
        return self

    def transform(self, X: Any) -> pd.DataFrame | np.ndarray:
        """Compute the features of each row.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index, or array-like
            Columns as in ``fit``. Windows look back into X. For rows that are not in X, windows
            look back into the days stored in ``fit``.

        Returns
        -------
        features : DataFrame of float32, shape (n_rows, n_columns)
            Features with the index and the row order of X. For arrays the result is an ndarray.
        """
        check_is_fitted(self)
        sources = _fields_of(self.columns_)
        if not isinstance(X, pd.DataFrame):
            return self._transform_array(X, sources)
        self._check_table(X, reset=False)
        self._check_columns(X, sources)
        lookback = _longest(self.columns_)
        (known, earlier), calendar = self._recall(X.index, lookback)
        layout = lay_out(X.index, earlier=earlier, calendar=calendar, margin=lookback)
        values = self._values(X, sources)
        table = np.ascontiguousarray(layout.table(values, known.reshape(-1, len(sources))).T)
        fields = dict(zip(sources, table, strict=True))
        features = self._compute(fields, layout, len(earlier))
        return pd.DataFrame(features.T, X.index, list(self.columns_), copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns, as in qlib.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        return np.asarray(self.columns_, dtype=object)

    def all_columns(self) -> list[str]:
        """Return the names of all columns that the parameters allow, in qlib's order.

        Returns
        -------
        names : list of str
            All names before the selection by ``columns``. VWAP0 is always included, even if the
            table has no column "vwap".
        """
        return list(self._all_columns())

    def _check_parameters(self) -> None:
        self._checked_parameters()
        lengths = read_list("lengths", self.lengths)
        if not lengths:
            raise ValueError(f"lengths must hold at least one length; got {shown(self.lengths)}.")
        for length in lengths:
            check_value("Alpha158: lengths", length, "int", at_least=2, at_most=MAX_LENGTH)
        for name in ("include", "exclude"):
            allowed = set(PREFIXES) | set(PREFIXES.values())
            unknown = _others(read_list(name, getattr(self, name)), allowed)
            if unknown:
                raise ValueError(
                    f"{name} must hold names from {', '.join(OPERATORS)}; got {shown(unknown)}."
                )
        columns = read_list("columns", self.columns)
        possible = set(self._all_columns())
        unknown = _others(columns, possible)
        if unknown:
            raise ValueError(
                f"columns must hold names such as KLEN, OPEN0, {OPERATORS[0]}{lengths[0]}, with "
                f"the lengths {lengths}; got {shown(unknown)}."
            )
        for name, values in (("lengths", lengths), ("columns", columns)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must not hold duplicates; got {values}.")
        if self.columns is not None and not columns:
            raise ValueError("columns must name at least one column, or be None for all; got none.")

    def _all_columns(self) -> Iterator[str]:
        yield from KBAR
        yield from PRICES
        included = set(OPERATORS if self.include is None else self.include)
        excluded = set(self.exclude or ())
        for operator in OPERATORS:
            names = {operator, PREFIXES[operator]}
            if names & included and not names & excluded:
                yield from (f"{PREFIXES[operator]}{length}" for length in self.lengths)

    def _choose(self, fields: Sequence[str]) -> tuple[str, ...]:
        """Return the output columns that can be computed from the fields."""
        possible = [name for name in self._all_columns() if set(_fields_of([name])) <= set(fields)]
        columns = possible if self.columns is None else list(self.columns)
        without = [name for name in columns if name not in possible]
        if without:
            raise ValueError(
                f"columns: {', '.join(without[:5])} cannot be computed from the fields "
                f"{', '.join(fields)}."
            )
        return tuple(columns)

    def _compute(self, fields: dict[str, np.ndarray], layout: Layout, n_earlier: int) -> np.ndarray:
        """Compute the features of the rows after the first ``n_earlier``: (n_columns, n_rows)."""
        rows = layout.rows[n_earlier:]
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        out = np.empty((len(self.columns_), len(rows)), dtype=np.float32)
        column = {name: i for i, name in enumerate(self.columns_)}

        def compute(first: int, last: int) -> None:
            """Compute the features of stocks ``first`` to ``last - 1``, and fill ``out``."""
            start, stop = layout.offsets[first], layout.offsets[last]
            begin, end = np.searchsorted(rows, [start, stop])
            if begin == end:
                return
            spans = np.diff(layout.offsets[first : last + 1])
            age = np.arange(stop - start) - np.repeat(
                layout.offsets[first:last] - start + layout.margin - 1, spans
            )
            stocks = StockRows({name: values[start:stop] for name, values in fields.items()}, age)
            to = _as_slice(order[begin:end])
            # Results are aligned at their ends, so positions count from the end.
            place = rows[begin:end] - stop
            for name, values in _features(stocks, column):
                out[column[name], to] = values[place]

        # Each task takes whole stocks: the statistics of a stock need only the stock's own past.
        number = (layout.offsets[1:] - 1) // CHUNK_ROWS
        edges = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [len(number)]])
        tasks = pairwise(edges)
        Parallel(n_jobs=self.n_jobs, require="sharedmem")(delayed(compute)(*task) for task in tasks)
        return out

    def _transform_array(self, X: Any, sources: list[str]) -> np.ndarray:
        X = self._check_array(X)
        cube = np.asarray(X, dtype=np.float32)
        cube = cube[:, :, None] if cube.ndim == 2 else cube
        cube = np.where(cube == 0, np.float32(np.nan), cube)
        n_series, n_steps, _ = cube.shape
        names = _array_fields(X.shape)
        margin = _longest(self.columns_)
        padded = np.pad(cube, ((0, 0), (margin, 0), (0, 0)), constant_values=np.nan)
        offsets = np.arange(n_series + 1) * (margin + n_steps)
        layout = Layout(offsets[1:] - 1, np.arange(n_series), offsets, margin)
        fields = {
            name: np.ascontiguousarray(padded[:, :, names.index(name)]).ravel() for name in sources
        }
        return np.ascontiguousarray(self._compute(fields, layout, 0).T)


def _features(rows: StockRows, wanted: dict[str, int]) -> Iterator[tuple[str, np.ndarray]]:
    """Compute the wanted columns of the given stocks."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if not wanted.keys().isdisjoint(KBAR):
            yield from ((name, x) for name, x in kbar(rows).items() if name in wanted)
        for name in PRICES:
            if name in wanted:
                yield name, rows[name[:-1].lower()] / rows["close"]
        for family in FAMILIES:
            lengths = {
                int(number) for prefix, number in map(_split, wanted) if prefix in family.operators
            }
            by_length = family.compute(rows, sorted(lengths)) if lengths else ()
            for length, results in by_length:
                for operator, values in results.items():
                    if (name := f"{operator}{length}") in wanted:
                        yield name, values


def _others(names: list, allowed: set[str]) -> list:
    """Return what is none of the allowed names; some values cannot even be looked up in a set."""
    return [name for name in names if not (isinstance(name, str) and name in allowed)]


def _as_slice(rows: np.ndarray) -> np.ndarray | slice:
    """Return consecutive rows as a slice, because numpy copies far faster to a slice."""
    first, last = rows[0], rows[-1]
    return slice(first, last + 1) if (np.diff(rows) == 1).all() else rows


def _split(name: str) -> tuple[str, str]:
    """Split a column name into operator and window length."""
    prefix = name.rstrip("0123456789")
    return prefix, name[len(prefix) :]


def _fields_of(columns: Sequence[str]) -> list[str]:
    """Return the fields that the columns need, in the order of OHLCV_FIELDS."""
    needed = set()
    for name in columns:
        prefix, _ = _split(name)
        if name in KBAR:
            needed |= {"open", "high", "low", "close"}
        elif name in PRICES:
            needed |= {prefix.lower(), "close"}
        else:
            needed |= next(set(family.fields) for family in FAMILIES if prefix in family.operators)
    return [field for field in OHLCV_FIELDS if field in needed]


def _array_fields(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the fields in an array of shape (N, T) or (N, T, F)."""
    n_fields = shape[2] if len(shape) == 3 else 1
    without_vwap = tuple(field for field in OHLCV_FIELDS if field != "vwap")
    by_number = {
        1: OHLCV_FIELDS[:1],
        len(OHLCV_FIELDS) - 1: without_vwap,
        len(OHLCV_FIELDS): OHLCV_FIELDS,
    }
    if n_fields not in by_number:
        raise ValueError(
            f"An array of windows must hold 1 field (close), 5 ({', '.join(without_vwap)}) or 6 "
            f"({', '.join(OHLCV_FIELDS)}); got {n_fields}."
        )
    return by_number[n_fields]


def _longest(columns: Sequence[str]) -> int:
    """Return how many rows the columns look back: the longest window.

    The first change in a window needs the row before the window.
    """
    return max(
        (int(_split(name)[1]) for name in columns if name not in (*KBAR, *PRICES)), default=0
    )
