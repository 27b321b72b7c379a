"""Pictures of a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import InvalidParameterError

from skattn._params import check_count
from skattn._plot import check_axes, import_pyplot
from skattn.metrics._ic import NAMES, Method, check_method
from skattn.metrics._newey_west import holding_days
from skattn.metrics._quantiles import quantile_returns
from skattn.metrics._report import signal_report
from skattn.metrics._scorers import with_days
from skattn.panel import align_y, days_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["cumulative_ic", "monthly_ic", "quantile_returns", "cumulative_returns"]

KINDS: tuple[str, ...] = get_args(Kind)
TITLES = {"pearson": "IC", "spearman": "rank IC"}


class SignalDisplay:
    """Pictures of how well predictions rank stocks within days.

    Make one with :meth:`from_predictions` or :meth:`from_estimator`, which draw it at once;
    :meth:`plot` draws it again, in another way or beside another signal.

    Parameters
    ----------
    daily : pandas.DataFrame
        ``signal_report(..., by="day")``.
    quantile_returns : pandas.DataFrame of shape (n_days, n_quantiles)
        :func:`quantile_returns`.
    holding_days : int, default=1
        Days over which a label's return is earned; cumulative returns are divided by it.
    name : str, default=None
        What the signal is called in titles and legends.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of four of them for ``kind="all"``
        What was drawn into last.
    figure_ : matplotlib Figure
        What holds them.

    See Also
    --------
    signal_report : The same in numbers.

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
        """Draw a signal, given labels and predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,)
            Labels (NaN: unlabelled) and predictions, as for :func:`signal_report`.
        days : array-like of dates, shape (n_samples,), default=None
            Trading day of each row. None: from the index of ``y_true``, else of ``y_pred``.
        n_quantiles : int, default=5
            Number of groups that stocks are put into by prediction.
        kind, method, ax
            As for :meth:`plot`.
        name : str, default=None
            What the signal is called in titles and legends.

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
        """Draw what a fitted estimator predicts.

        Parameters
        ----------
        estimator : object
            A fitted regressor, pipeline or search.
        X : DataFrame, WindowArray or array-like of n_samples rows
            What it predicts from; rows it was not fitted on, if the picture is to mean anything.
        y : array-like of shape (n_samples,)
            Labels; NaN means unlabelled.
        days : array-like of dates, shape (n_samples,), default=None
            Trading day of each row; ``estimator.predict`` gets them, too, where it has a parameter
            ``days``. None: from the index of y, else of X.
        n_quantiles, kind, method, ax
            As for :meth:`from_predictions`.
        name : str, default=None
            What the signal is called. None: the estimator's class.

        Returns
        -------
        display : SignalDisplay

        Raises
        ------
        ImportError, TypeError, ValueError
            As :meth:`from_predictions`; or X and y have different rows.
        """
        import_pyplot("SignalDisplay")
        if not hasattr(estimator, "predict"):
            raise TypeError(f"estimator must have a method predict; got {estimator!r}.")
        align_y(X, y)
        return cls.from_predictions(
            y,
            with_days(estimator, days).predict(X),
            days=days_of(days, y, X),
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
            - "cumulative_ic": sum of the daily IC up to each day; a day without one adds nothing.
            - "monthly_ic": heat map of the mean IC, a row for each year, a column for each month.
            - "quantile_returns": mean label of the stocks by quantile of the prediction, lowest
              first, in the unit of the labels.
            - "cumulative_returns": the same as sums up to each day, without compounding, divided
              by the days over which a label's return is earned.
            - "all": these four.
        method : {"pearson", "spearman"}, default="pearson"
            Which IC, as for :func:`daily_ic`.
        ax : matplotlib Axes, default=None
            Where to draw; for "all", four of them. None: in a new figure.

        Returns
        -------
        display : SignalDisplay
            Itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            ``ax`` is no Axes, or the display was made of something that is no table by day.
        ValueError
            An unknown kind or method, not four axes for "all", ``holding_days`` below 1, or no
            rows.
        """
        pyplot = import_pyplot("SignalDisplay")
        if kind != "all" and kind not in KINDS:
            raise ValueError(f"kind must be 'all' or one of {', '.join(KINDS)}; got {kind!r}.")
        check_method(method)
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
        """Raise where the display was made of what its makers do not give."""
        check_count("holding_days", self.holding_days, 1)
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
            # Both ends of the colours are dark.
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
