"""Plots of a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from skattn.labels import holding_days
from skattn.metrics._ic import NAMES, Method
from skattn.metrics._quantiles import quantile_returns
from skattn.metrics._report import signal_report
from skattn.metrics._scorers import check_predicts, with_days
from skattn.panel import align_y, days_of
from skattn.parameters import InvalidParameterError, check_value
from skattn.utils import check_axes, import_pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["cumulative_ic", "monthly_ic", "quantile_returns", "cumulative_returns"]

KINDS: tuple[str, ...] = get_args(Kind)
TITLES = {"pearson": "IC", "spearman": "rank IC"}


class SignalDisplay:
    """Plots of how well predictions rank stocks within days.

    :meth:`from_predictions` and :meth:`from_estimator` make a display and draw it at once.
    :meth:`plot` draws the display again, as another kind of plot or beside another signal.

    Parameters
    ----------
    daily : pandas.DataFrame
        Daily values, the result of ``signal_report(..., by="day")``.
    quantile_returns : pandas.DataFrame of shape (n_days, n_quantiles)
        Mean labels by quantile, the result of :func:`quantile_returns`.
    holding_days : int, default=1
        Days over which a label's return is earned. Cumulative returns are divided by this number.
    name : str, default=None
        Name of the signal in titles and legends.

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

    >>> one = display.plot("cumulative_ic")
    >>> two = SignalDisplay.from_predictions(
    ...     label, noise[1], kind="cumulative_ic", ax=one.ax_, name="two"
    ... )
    >>> [line.get_label() for line in two.ax_.get_lines()]
    ['one (mean IC ...)', 'two (mean IC ...)']
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
        y_true, y_pred : array-like of shape (n_samples,)
            Labels (NaN: unlabelled) and predictions, as for :func:`signal_report`.
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
        """Draw the predictions of a fitted estimator.

        Parameters
        ----------
        estimator : object
            A fitted regressor, pipeline or search.
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
            Name of the signal. None: the estimator's class name.

        Returns
        -------
        display : SignalDisplay

        Raises
        ------
        ImportError, TypeError, ValueError
            As :meth:`from_predictions`; or X, y and days have different rows.
        """
        import_pyplot("SignalDisplay")
        check_predicts(estimator)
        align_y(X, y)
        align_y(X, days, names=("X", "days"))
        return cls.from_predictions(
            y,
            with_days(estimator, days).predict(X),
            days=days_of(days, X, y),
            n_quantiles=n_quantiles,
            kind=kind,
            method=method,
            ax=ax,
            name=type(estimator).__name__ if name is None else name,
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
              month.
            - "quantile_returns": mean label of the stocks by quantile of the prediction, lowest
              first, in the unit of the labels.
            - "cumulative_returns": sum of the daily mean labels of each quantile up to each day,
              without compounding, divided by the days over which a label's return is earned.
            - "all": the four plots above.
        method : {"pearson", "spearman"}, default="pearson"
            Correlation of the IC, as for :func:`daily_ic`.
        ax : matplotlib Axes, default=None
            Axes to draw into; four Axes for "all". None: a new figure.

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
            The kind or the method is unknown, "all" is given other than four axes,
            ``holding_days`` is below 1, ``name`` is no str, or there are no rows.
        """
        pyplot = import_pyplot("SignalDisplay")
        check_value("kind", kind, "str", one_of=("all", *KINDS))
        check_value("method", method, "str", one_of=tuple(NAMES))
        self._check_data()
        if self.daily.empty:
            raise ValueError("There is nothing to draw: no row was given.")
        if kind != "all":
            ax = pyplot.subplots(layout="constrained")[1] if ax is None else ax
            check_axes(ax)
            self.ax_ = ax
            self._draw(kind, method, self.ax_)
            self.figure_ = self.ax_.figure
            return self
        if ax is None:
            ax = pyplot.subplots(2, 2, figsize=(12, 8), layout="constrained")[1]
        ax = np.asarray(ax, dtype=object)
        if ax.size != len(KINDS):
            raise ValueError(f"kind='all' needs {len(KINDS)} axes; got {ax.size}.")
        for axes in ax.flat:
            check_axes(axes)
        self.ax_ = ax
        for each, axes in zip(KINDS, self.ax_.flat, strict=True):
            self._draw(each, method, axes)
        self.figure_ = self.ax_.flat[0].figure
        return self

    def _check_data(self) -> None:
        """Raise if the display was made of tables that its constructors do not produce."""
        check_value("holding_days", self.holding_days, "int", at_least=1)
        check_value("name", self.name, "str | None")
        for name, columns in (("daily", [*NAMES.values()]), ("quantile_returns", [])):
            frame = getattr(self, name)
            is_frame = isinstance(frame, pd.DataFrame) and isinstance(frame.index, pd.DatetimeIndex)
            if not is_frame or not {*columns} <= {*frame.columns}:
                source = "signal_report(..., by='day')" if columns else "quantile_returns"
                got = list(frame.columns) if is_frame else type(frame).__name__
                raise InvalidParameterError(
                    f"{name} must be a DataFrame by day, as {source} makes it"
                    f"{f', with the columns {columns}' if columns else ''}; got {got}."
                )

    def _draw(self, kind: str, method: Method, ax: Axes) -> None:
        if kind == "cumulative_ic":
            self._draw_cumulative_ic(method, ax)
        elif kind == "monthly_ic":
            self._draw_monthly_ic(method, ax)
        elif kind == "quantile_returns":
            self._draw_quantile_returns(ax)
        else:
            self._draw_cumulative_returns(ax)

    def _draw_cumulative_ic(self, method: Method, ax: Axes) -> None:
        ic = self.daily[NAMES[method]]
        label = f"mean {TITLES[method]} {ic.mean():.4f}"
        label = f"{self.name} ({label})" if self.name else label
        ax.plot(ic.index, ic.fillna(0).cumsum(), label=label)
        ax.set(title=f"Cumulative {TITLES[method]}", ylabel=f"sum of daily {TITLES[method]}")
        ax.tick_params(axis="x", rotation=30)
        ax.legend()

    def _draw_monthly_ic(self, method: Method, ax: Axes) -> None:
        ic = self.daily[NAMES[method]]
        table = ic.groupby([ic.index.year, ic.index.month]).mean().unstack()
        years = range(table.index.min(), table.index.max() + 1)
        table = table.reindex(index=years, columns=range(1, 13))
        values = table.to_numpy()
        limit = np.nanmax(np.abs(values), initial=1e-12)
        image = ax.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        for row, column in np.argwhere(~np.isnan(values)):
            value = values[row, column]
            # Both ends of the colour map are dark, so large values need white text.
            color = "white" if abs(value) > 0.6 * limit else "black"
            text = f"{value:.2f}"
            ax.text(column, row, text, ha="center", va="center", color=color, fontsize="small")
        ax.figure.colorbar(image, ax=ax)
        ax.set_xticks(range(12), table.columns)
        ax.set_yticks(range(len(table)), table.index)
        ax.set(title=self._titled(f"mean {TITLES[method]} by month"), xlabel="month", ylabel="year")

    def _draw_quantile_returns(self, ax: Axes) -> None:
        means = self.quantile_returns.mean()
        ax.bar(means.index, means)
        ax.axhline(0, color="grey", linewidth=0.8)
        ax.set_xticks(means.index)
        ax.set(title=self._titled("mean label by quantile of the prediction"))
        ax.set(xlabel="quantile (1 has the lowest predictions)", ylabel="mean label")

    def _draw_cumulative_returns(self, ax: Axes) -> None:
        import matplotlib

        sums = self.quantile_returns.fillna(0).cumsum() / self.holding_days
        colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, sums.shape[1]))
        for (quantile, values), color in zip(sums.items(), colors, strict=True):
            ax.plot(values.index, values, color=color, label=str(quantile))
        ax.set(title=self._titled("cumulative label by quantile of the prediction"))
        ax.set(ylabel="sum of daily mean labels")
        ax.tick_params(axis="x", rotation=30)
        ax.legend(title="quantile")

    def _titled(self, text: str) -> str:
        return f"{self.name}: {text}" if self.name else text[0].upper() + text[1:]
