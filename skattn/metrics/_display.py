"""Plots of a signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from skattn.labels import holding_days
from skattn.metrics._draw import (
    Tables,
    draw_cumulative_ic,
    draw_cumulative_returns,
    draw_months_of_signals,
    draw_months_of_years,
    draw_quantile_returns,
)
from skattn.metrics._ic import NAMES, Method
from skattn.metrics._quantiles import quantile_returns
from skattn.metrics._report import signal_report
from skattn.metrics._scorers import check_predicts, with_days
from skattn.metrics._signals import SIGNAL, read_signals
from skattn.panel import align_y, days_of
from skattn.parameters import InvalidParameterError, check_number_columns, check_value
from skattn.utils import axes_to_draw, check_axes, import_pyplot, size_in_points, split_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["cumulative_ic", "monthly_ic", "quantile_returns", "cumulative_returns"]

KINDS: tuple[str, ...] = get_args(Kind)
TITLES = {"pearson": "IC", "spearman": "rank IC"}

# Points between plots whose legends stand below them.
GAP = 80
# Four plots in axes of fewer points stand below each other.
NARROW = 360
# More lines, bars and rows than this cannot be told apart.
MAX_SIGNALS = 6


class SignalDisplay:
    """Plots of how well predictions rank stocks within days, of one signal or up to six.

    :meth:`from_predictions` and :meth:`from_estimator` make a display and draw it at once.
    :meth:`plot` draws the display again, as another kind of plot or beside another signal.

    Parameters
    ----------
    daily : pandas.DataFrame
        Daily values, the result of ``signal_report(..., by="day")``, indexed by day, or by
        (signal, day) for several signals.
    quantile_returns : pandas.DataFrame of n_quantiles columns
        Mean labels by quantile of the same signals, the result of :func:`quantile_returns`.
    holding_days : int, default=1
        Days over which a label's return is earned. Cumulative returns are divided by this number.
    name : str, default=None
        Name of the signal in titles and legends; of several signals, the beginning of titles.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of four Axes for ``kind="all"``
        Axes of the last plot.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    signal_report : The same results in numbers.

    References
    ----------
    qlib, ``model_performance_graph`` in
    ``qlib/contrib/report/analysis_model/analysis_model_performance.py``.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn.datasets import make_market
    >>> from skattn.metrics import SignalDisplay
    >>> label = make_market(n_stocks=10, n_days=60, random_state=0).label
    >>> noise = np.random.default_rng(0).normal(size=(2, len(label)))
    >>> display = SignalDisplay.from_predictions(label, noise[0], name="one")
    >>> display.plot("monthly_ic", method="spearman").ax_.get_title()
    'one: mean rank IC by month'

    Two signals in one picture:

    >>> two = SignalDisplay.from_predictions(
    ...     label, {"one": noise[0], "two": noise[1]}, kind="cumulative_ic"
    ... )
    >>> [line.get_label() for line in two.ax_.get_lines()]
    ['one (mean IC ...)', 'two (mean IC ...)']
    >>> two.daily.index.names
    FrozenList(['signal', 'datetime'])
    """

    def __init__(
        self,
        *,
        daily: pd.DataFrame,
        quantile_returns: pd.DataFrame,
        holding_days: int = 1,
        name: str | None = None,
    ) -> None:
        self.daily = daily
        self.quantile_returns = quantile_returns
        self.holding_days = holding_days
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        days: Any = None,
        n_quantiles: int = 5,
        kind: Kind | Literal["all"] = "all",
        method: Method = "pearson",
        ax: Any = None,
        name: str | None = None,
    ) -> SignalDisplay:
        """Draw a signal from labels and predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Labels; NaN means unlabelled.
        y_pred : array-like of shape (n_samples,), mapping of str to array-like, or DataFrame
            Predictions of one signal or of several, as for :func:`signal_report`.
        days : array-like of dates, shape (n_samples,), default=None
            Trading day of each row. None: taken from the index of ``y_true``, else of ``y_pred``.
        n_quantiles : int, default=5
            Number of groups into which stocks are sorted by prediction.
        kind, method, ax
            As for :meth:`plot`.
        name : str, default=None
            Name of the signal in titles and legends.

        Returns
        -------
        display : SignalDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError, ValueError
            As :func:`signal_report`, :func:`quantile_returns` and :meth:`plot`.
        """
        import_pyplot("SignalDisplay")
        _check_number(len(read_signals(y_pred).predictions))
        display = cls(
            daily=signal_report(y_true, y_pred, days=days, by="day"),
            quantile_returns=quantile_returns(y_true, y_pred, days=days, n_quantiles=n_quantiles),
            holding_days=holding_days(y_true) or 1,
            name=name,
        )
        return display.plot(kind, method=method, ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        days: Any = None,
        n_quantiles: int = 5,
        kind: Kind | Literal["all"] = "all",
        method: Method = "pearson",
        ax: Any = None,
        name: str | None = None,
    ) -> SignalDisplay:
        """Draw the predictions of a fitted estimator, or of several.

        Parameters
        ----------
        estimator : object, or mapping of str to object
            A fitted regressor, pipeline or search; several of them by name, such as
            ``{"ALSTM": search, "ridge": pipeline}``.
        X : DataFrame, WindowArray or array-like of n_samples rows
            Input of the prediction. Use rows that the estimator was not fitted on.
        y : array-like of shape (n_samples,)
            Labels; NaN means unlabelled.
        days : array-like of dates, shape (n_samples,), default=None
            Trading day of each row. The days are also passed to ``estimator.predict`` if that
            method has a parameter ``days``. None: taken from the index of X, else of y.
        n_quantiles, kind, method, ax
            As for :meth:`from_predictions`.
        name : str, default=None
            Name of the signal. None: the class name of a single estimator.

        Returns
        -------
        display : SignalDisplay

        Raises
        ------
        ImportError, TypeError, ValueError
            As :meth:`from_predictions`; or X, y and days have different rows.
        """
        import_pyplot("SignalDisplay")
        several = isinstance(estimator, Mapping)
        estimators = dict(estimator) if several else {type(estimator).__name__: estimator}
        if not estimators:
            raise InvalidParameterError("estimator is an empty mapping. Give at least one.")
        _check_number(len(estimators))
        for each in estimators.values():
            check_predicts(each)
        align_y(X, y)
        align_y(X, days, names=("X", "days"))
        predicted = {key: with_days(each, days).predict(X) for key, each in estimators.items()}
        return cls.from_predictions(
            y,
            predicted if several else next(iter(predicted.values())),
            days=days_of(days, X, y),
            n_quantiles=n_quantiles,
            kind=kind,
            method=method,
            ax=ax,
            name=next(iter(estimators)) if name is None and not several else name,
        )

    def plot(
        self, kind: Kind | Literal["all"] = "all", *, method: Method = "pearson", ax: Any = None
    ) -> SignalDisplay:
        """Draw the signal.

        Parameters
        ----------
        kind : str, default="all"
            - "cumulative_ic": sum of the daily IC up to each day. A day without an IC adds nothing.
            - "monthly_ic": heat map of the mean IC, with a row for each year and a column for each
              month; of several signals, with a row for each signal and a column for each month.
              The numbers are in cells that have room for them.
            - "quantile_returns": mean label of the stocks by quantile of the prediction, lowest
              first, in the unit of the labels.
            - "cumulative_returns": sum of the daily mean labels of each quantile up to each day,
              without compounding, divided by the days over which a label's return is earned; of
              several signals, that of the top quantile minus that of the bottom quantile.
            - "all": the four plots above.
        method : {"pearson", "spearman"}, default="pearson"
            Correlation of the IC, as for :func:`daily_ic`.
        ax : matplotlib Axes, default=None
            Axes to draw into. For "all": four Axes, or one of a grid of subplots, whose place the
            four plots take, below each other where the axes are narrower than 5 inches. None: a
            new figure. Legends, which stand below their axes, find room in a figure with a layout,
            such as ``pyplot.subplots(layout="constrained")``.

        Returns
        -------
        display : SignalDisplay
            This display.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            ``ax`` is not an Axes, or the display was made of something other than tables by day.
        ValueError
            The kind or the method is unknown, "all" is given other than one or four axes,
            ``holding_days`` is below 1, ``name`` is no str, there are no rows, or more than six
            signals.
        """
        import_pyplot("SignalDisplay")
        check_value("kind", kind, "str", one_of=("all", *KINDS))
        check_value("method", method, "str", one_of=tuple(NAMES))
        self._check_data()
        if self.daily.empty:
            raise ValueError("There is nothing to draw: no row was given.")
        if kind == "all" and np.ndim(ax) > 0:
            axes = _four_axes(ax)
            self._draw_all(method, axes)
            self.ax_, self.figure_ = axes, axes.flat[0].figure
            return self
        size = (12, 8.5) if kind == "all" else None
        with axes_to_draw("SignalDisplay", ax, figsize=size) as place:
            drawn: Any = place
            if kind == "all":
                is_narrow = size_in_points(place)[0] < NARROW
                drawn = split_axes(place, *((4, 1) if is_narrow else (2, 2)), gap=GAP)
                self._draw_all(method, drawn)
            else:
                self._draw(kind, method, drawn)
        self.ax_, self.figure_ = drawn, place.figure
        return self

    def _check_data(self) -> None:
        """Raise if the display was made of tables that its constructors do not produce."""
        check_value("holding_days", self.holding_days, "int", at_least=1)
        check_value("name", self.name, "str | None")
        for name, columns in (("daily", [*NAMES.values()]), ("quantile_returns", [])):
            frame = getattr(self, name)
            is_frame = isinstance(frame, pd.DataFrame) and _is_by_day(frame.index)
            if not is_frame or not {*columns} <= {*frame.columns}:
                source = "signal_report(..., by='day')" if columns else "quantile_returns"
                got = list(frame.columns) if is_frame else type(frame).__name__
                raise InvalidParameterError(
                    f"{name} must be a DataFrame by day, as {source} makes it"
                    f"{f', with the columns {columns}' if columns else ''}; got {got}."
                )
            check_number_columns(name, frame, columns or None)
            if frame.shape[1] == 0 or frame.index.get_level_values(-1).hasnans:
                raise InvalidParameterError(f"{name} must have columns, and a day in each row.")
        names = list(_by_signal(self.daily, None))
        if not all(isinstance(name, (str, type(None))) for name in names):
            raise InvalidParameterError(f"Signals must have names (str) in daily; got {names}.")
        if names != (others := list(_by_signal(self.quantile_returns, None))):
            raise InvalidParameterError(
                f"daily and quantile_returns must be of the same signals, in the same order; got "
                f"{names} and {others}."
            )
        _check_number(len(names))

    def _draw_all(self, method: Method, axes: np.ndarray) -> None:
        for kind, ax in zip(KINDS, axes.flat, strict=True):
            self._draw(kind, method, ax)

    def _draw(self, kind: str, method: Method, ax: Axes) -> None:
        daily = _by_signal(self.daily, self.name)
        returns = _by_signal(self.quantile_returns, self.name)
        column, ic_name = NAMES[method], TITLES[method]
        if kind == "cumulative_ic":
            draw_cumulative_ic(ax, daily, column, ic_name)
        elif kind == "monthly_ic" and len(daily) == 1:
            (table,) = daily.values()
            draw_months_of_years(ax, table[column], ic_name, self._titled(kind, ic_name))
        elif kind == "monthly_ic":
            draw_months_of_signals(ax, daily, column, ic_name, self._titled(kind, ic_name))
        elif kind == "quantile_returns":
            draw_quantile_returns(ax, returns, self._titled(kind))
        else:
            kind = "spread" if len(returns) > 1 else kind
            draw_cumulative_returns(ax, returns, self.holding_days, self._titled(kind))

    def _titled(self, kind: str, ic_name: str = "") -> str:
        text = {
            "monthly_ic": f"mean {ic_name} by month",
            "quantile_returns": "mean label by quantile of the prediction",
            "cumulative_returns": "cumulative label by quantile of the prediction",
            "spread": "cumulative label, top minus bottom quantile of the prediction",
        }[kind]
        names = list(_by_signal(self.daily, self.name))
        name = self.name or (names[0] if len(names) == 1 else None)
        return f"{name}: {text}" if name else text[0].upper() + text[1:]


def _check_number(n_signals: int) -> None:
    if n_signals > MAX_SIGNALS:
        raise ValueError(
            f"A SignalDisplay draws up to {MAX_SIGNALS} signals, because more cannot be told "
            f"apart; got {n_signals}. Choose some of them, such as the best by signal_report."
        )


def _is_by_day(index: pd.Index) -> bool:
    """Return whether the rows are days, or signals and days."""
    if isinstance(index, pd.MultiIndex):
        is_pair = index.nlevels == 2 and index.names[0] == SIGNAL
        return is_pair and isinstance(index.levels[1], pd.DatetimeIndex)
    return isinstance(index, pd.DatetimeIndex)


def _by_signal(table: pd.DataFrame, name: str | None) -> Tables:
    """Take the table of each signal; one signal without a level of names is called ``name``."""
    if not isinstance(table.index, pd.MultiIndex):
        return {name: table}
    return {each: table.loc[each] for each in table.index.unique(0)}


def _four_axes(ax: Any) -> np.ndarray:
    axes = np.asarray(ax, dtype=object)
    if axes.size != len(KINDS):
        raise ValueError(f"kind='all' needs {len(KINDS)} axes, or one; got {axes.size}.")
    for each in axes.flat:
        check_axes(each)
    return axes
