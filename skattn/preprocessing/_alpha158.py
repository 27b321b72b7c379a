"""Alpha158: features of the last 60 days of prices and volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skattn._params import check_count
from skattn.panel import Layout, check_panel_input, lay_out
from skattn.preprocessing._base import single_task
from skattn.preprocessing._factors import FAMILIES, KBAR, PRICES, Block, kbar
from skattn.preprocessing._ohlcv import FIELDS, OhlcvTransformer

WINDOWS = (5, 10, 20, 30, 60)
# In the order of qlib's columns.
# fmt: off
OPERATORS = (
    "ROC", "MA", "STD", "BETA", "RSQR", "RESI", "MAX", "LOW", "QTLU", "QTLD", "RANK", "RSV", "IMAX",
    "IMIN", "IMXD", "CORR", "CORD", "CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD", "VMA", "VSTD",
    "WVMA", "VSUMP", "VSUMN", "VSUMD",
)
# fmt: on
# qlib's operator LOW makes the columns MIN5, MIN10, ...
PREFIXES = {operator: operator for operator in OPERATORS} | {"LOW": "MIN"}
# Rows that are computed at a time: what is made of them stays in the cache.
BLOCK_ROWS = 1 << 14


class Alpha158(OhlcvTransformer):
    """Price and volume features of each stock and day, by name and number those of qlib's Alpha158.

    The shape of the day's candle (9), its prices relative to the close (4), and 29 statistics of
    the days before, over windows of 5 to 60 days.

    Parameters
    ----------
    windows : sequence of int, default=(5, 10, 20, 30, 60)
        Days of the windows, each at least 2.
    include : sequence of str, default=None
        The statistics to compute, as qlib names them ("ROC", "MA", ...). None: all.
    exclude : sequence of str, default=()
        Statistics to leave out.
    columns : sequence of str, default=None
        Names of the columns to keep, in this order, such as ``Alpha158.SELECTED20``. Others are
        not computed. None: all.
    vwap : {None, "typical"}, default=None
        None takes the column "vwap" of the table; where it has none, there is no VWAP0 and 157
        features are left. "typical" computes (high + low + close) / 3 in its place.
    calendar : array-like of dates, default=None
        Every trading day of the market, where the rows do not have them all: those that a splitter
        has purged, for example. Days that it has and the rows do not are missing in windows, where
        they would be passed over otherwise. None: the days of the rows.
    n_jobs : int, default=None
        Threads; None is one unless in a ``joblib.parallel_config`` context, -1 all processors. The
        result is the same.

    Attributes
    ----------
    SELECTED20 : tuple of str
        The 20 columns of qlib's published workflows for recurrent models.
    columns_ : tuple of str
        The columns that come out.
    history_ : DataFrame or None
        The last days that ``fit`` saw, into which ``transform`` looks back: prices and volume.
    calendar_ : DatetimeIndex or None
        The days that ``fit`` saw.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns seen in ``fit``, where X had names.

    Notes
    -----
    *Causal.* Features of day t are made of prices of t and of the ``max(windows)`` days of the
    market before. In a stock's first days windows are shorter, as in qlib.

    *Rows that are not the fitted ones.* ``transform`` knows X and the days in ``history_``: rows
    that come next have the features that they have in the full table, to the bit. See
    :class:`Alpha360` for rows that come later, or begin earlier.

    *Missing.* Zero prices and zero volume are vendors' ways to say "no value" and are read as
    missing, as in :class:`Alpha360`; qlib takes them as they are. Missing values are left out of
    the statistics; in IMAX, IMIN and IMXD a missing value counts as the highest and the lowest
    (numpy's argmax, which qlib applies, finds it first).

    *Plain arrays.* A 2-D array means N univariate price series of T steps, oldest first; a 3-D
    array (N, T, F) with F = 5 or 6 holds close, open, high, low, (vwap,) volume. The features are
    those of the latest step, as far as the fields allow.

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

    def __init__(
        self,
        windows: Sequence[int] = WINDOWS,
        *,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        vwap: str | None = None,
        calendar: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.windows = windows
        self.include = include
        self.exclude = exclude
        self.columns = columns
        self.vwap = vwap
        self.calendar = calendar
        self.n_jobs = n_jobs

    @single_task
    def fit(self, X: Any, y: Any = None) -> Alpha158:
        """Check X and remember its last days.

        Parameters
        ----------
        X : DataFrame with a (datetime, instrument) index, or array-like
            Prices and volume in the columns open, high, low, close, volume (and vwap).
        y : None
            Ignored.

        Returns
        -------
        self : Alpha158

        Raises
        ------
        ValueError
            A parameter is out of range; the index is not (datetime, instrument) or has duplicate
            keys; a column is missing, not numeric or infinite.
        """
        self._check_parameters()
        if not isinstance(X, pd.DataFrame):
            X = check_panel_input(self, X, reset=True)
            self.columns_ = self._choose(_array_fields(X.shape))
            self._forget()
            return self
        self._check_table(X, reset=True)
        fields = [field for field in FIELDS if field != "vwap" or self._has_vwap(X)]
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
            Columns as in ``fit``. Windows reach back into X and, where X does not have a row,
            into the days remembered from ``fit``.

        Returns
        -------
        features : DataFrame of float32, shape (n_rows, n_columns)
            With X's index, in X's order. For arrays an ndarray.
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
        """Names of the columns, as in qlib.

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

    def _check_parameters(self) -> None:
        self._check_vwap()
        windows = _read_list("windows", self.windows)
        if not windows:
            raise ValueError(f"windows must hold a length at least; got {self.windows!r}.")
        for length in windows:
            check_count("windows", length, 2)
        for name in ("include", "exclude"):
            allowed = set(PREFIXES) | set(PREFIXES.values())
            unknown = [
                each for each in _read_list(name, getattr(self, name)) if each not in allowed
            ]
            if unknown:
                raise ValueError(
                    f"{name} must be names out of {', '.join(OPERATORS)}; got {unknown}."
                )
        columns = _read_list("columns", self.columns)
        possible = set(self._all_columns())
        unknown = [name for name in columns if name not in possible]
        if unknown:
            raise ValueError(
                f"columns must be names such as KLEN, OPEN0, {OPERATORS[0]}{windows[0]}, over the "
                f"windows {windows}; got {unknown}."
            )
        for name, values in (("windows", windows), ("columns", columns)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must differ; got {values}.")
        if self.columns is not None and not columns:
            raise ValueError("columns must name a column at least, or be None for all; got none.")

    def _all_columns(self) -> Iterator[str]:
        yield from KBAR
        yield from PRICES
        included = set(OPERATORS if self.include is None else self.include)
        excluded = set(self.exclude or ())
        for operator in OPERATORS:
            names = {operator, PREFIXES[operator]}
            if names & included and not names & excluded:
                yield from (f"{PREFIXES[operator]}{length}" for length in self.windows)

    def _choose(self, fields: Sequence[str]) -> tuple[str, ...]:
        """Columns that come out, of those that the fields allow."""
        possible = [name for name in self._all_columns() if set(_fields_of([name])) <= set(fields)]
        columns = possible if self.columns is None else list(self.columns)
        without = [name for name in columns if name not in possible]
        if without:
            raise ValueError(
                f"columns: {', '.join(without[:5])} cannot be made of the fields "
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
            """Compute the stocks from one to another, and put them where they belong."""
            start, stop = layout.offsets[first], layout.offsets[last]
            begin, end = np.searchsorted(rows, [start, stop])
            if begin == end:
                return
            spans = np.diff(layout.offsets[first : last + 1])
            age = np.arange(stop - start) - np.repeat(
                layout.offsets[first:last] - start + layout.margin - 1, spans
            )
            block = Block({name: values[start:stop] for name, values in fields.items()}, age)
            to = _as_slice(order[begin:end])
            # Where results are aligned at their ends.
            place = rows[begin:end] - stop
            for name, values in _features(block, column):
                out[column[name], to] = values[place]

        # Blocks of whole stocks: the statistics of a stock need its own past alone.
        number = (layout.offsets[1:] - 1) // BLOCK_ROWS
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


def _features(block: Block, wanted: dict[str, int]) -> Iterator[tuple[str, np.ndarray]]:
    """Compute the wanted columns of a block."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if not wanted.keys().isdisjoint(KBAR):
            yield from ((name, x) for name, x in kbar(block).items() if name in wanted)
        for name in PRICES:
            if name in wanted:
                yield name, block[name[:-1].lower()] / block["close"]
        for family in FAMILIES:
            windows = {
                int(number) for prefix, number in map(_split, wanted) if prefix in family.operators
            }
            results_by_window = family.compute(block, sorted(windows)) if windows else ()
            for length, results in results_by_window:
                for operator, values in results.items():
                    if (name := f"{operator}{length}") in wanted:
                        yield name, values


def _as_slice(rows: np.ndarray) -> np.ndarray | slice:
    """Give rows that follow one another as a slice, to which numpy copies far faster."""
    first, last = rows[0], rows[-1]
    return slice(first, last + 1) if (np.diff(rows) == 1).all() else rows


def _split(name: str) -> tuple[str, str]:
    """Split a column's name into operator and window."""
    prefix = name.rstrip("0123456789")
    return prefix, name[len(prefix) :]


def _fields_of(columns: Sequence[str]) -> list[str]:
    """Fields that columns are made of, in the order of FIELDS."""
    needed = set()
    for name in columns:
        prefix, _ = _split(name)
        if name in KBAR:
            needed |= {"open", "high", "low", "close"}
        elif name in PRICES:
            needed |= {prefix.lower(), "close"}
        else:
            needed |= next(set(family.fields) for family in FAMILIES if prefix in family.operators)
    return [field for field in FIELDS if field in needed]


def _array_fields(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Fields that an array (N, T) or (N, T, F) holds."""
    n_fields = shape[2] if len(shape) == 3 else 1
    without_vwap = tuple(field for field in FIELDS if field != "vwap")
    by_number = {1: FIELDS[:1], len(FIELDS) - 1: without_vwap, len(FIELDS): FIELDS}
    if n_fields not in by_number:
        raise ValueError(
            f"An array of windows must hold 1 field (close), 5 ({', '.join(without_vwap)}) or 6 "
            f"({', '.join(FIELDS)}); got {n_fields}."
        )
    return by_number[n_fields]


def _longest(columns: Sequence[str]) -> int:
    """Rows that columns look back: the longest window, of which changes need a row more."""
    return max(
        (int(_split(name)[1]) for name in columns if name not in (*KBAR, *PRICES)), default=0
    )


def _read_list(parameter: str, values: Any) -> list:
    """Give a parameter as a list; None as an empty one."""
    if isinstance(values, str) or not (values is None or np.iterable(values)):
        raise TypeError(f"{parameter} must be a sequence; got {values!r}.")
    return [] if values is None else list(values)
