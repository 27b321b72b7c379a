"""One instrument over time: its price, the attention to each date, and what the market did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skattn.inspection._fitted import fitted_model
from skattn.inspection._timeline.daily_series import read_daily
from skattn.inspection._timeline.instrument_windows import (
    dates_of_steps,
    pick_map,
    rows_of,
    weights_by_lag,
)
from skattn.inspection._timeline.market_spans import (
    MARKET_COLUMNS,
    attention_by_date,
    compare_market,
    is_high,
    market_of,
    spans_of,
)
from skattn.parameters import check_number_columns, check_value, shown
from skattn.utils import (
    COLORS,
    axes_to_draw,
    check_axes,
    date_axis,
    import_pyplot,
    ink,
    set_label,
    set_title,
    split_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "AttentionTimelineDisplay"
SPAN_COLUMNS = ("start", "end", "days", "attention")


class AttentionTimelineDisplay:
    """Attention to the dates of one instrument, below its price, and what the market did in spans.

    The upper plot shows the price or another series, the lower plot the attention on the same
    dates. Spans of high attention are shaded in both. :meth:`from_estimator` makes a display and
    draws it at once; :meth:`plot` draws it again.

    Parameters
    ----------
    attention : Series by date
        Attention to each date; 1 means as much as dates at the same lags usually get.
    weights : DataFrame of shape (n_windows, n_steps)
        Weight of each lag (columns) in the window that ends on each date (index).
    series : Series by date
        What the upper plot shows.
    spans : DataFrame
        Spans of high attention: ``start``, ``end``, ``days`` and ``attention`` (mean).
    market : DataFrame
        What is compared (index): ``inside`` and ``outside`` (means on the dates in spans and on all
        other dates), ``difference`` and ``p_value``.
    name : str, default=None
        Title.

    Attributes
    ----------
    ax_ : ndarray of two matplotlib Axes
        Axes of the last plot, the upper one first.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    attention_weights : The weights of all rows.

    Notes
    -----
    *Attention to a date.* In the window that ends on day t, the weight of lag l belongs to the row
    of the instrument l rows before. A date gets weights from all the windows that contain it. Their
    sum is divided by the sum of the mean weights of the same lags over all windows of the
    instrument. So neither a preference for recent days nor the ends of the history look like a
    preference for a date. Dates at the ends whose windows hold less than half of the usual weight
    have no attention (NaN) and do not count.

    *Looking back.* The attention to a date is read from windows that end on the date and after it.
    It is a picture for looking back, and must never become a feature: it knows later days.

    *Not the cause.* A p-value says whether spans and market go together, and not why; attention is
    not explanation. Each row of the table is a test of its own.

    *p-values.* Attention and volatility both come in clusters: permuting single days would call any
    two clustered series related. Here the marks of high attention are shifted against the market
    by 1, 2, ... days, from the end round to the start, which keeps the clusters of both. The
    p-value is the share of the shifts, no shift included, whose difference of the means is at
    least as large in absolute value. All shifts are used, so nothing depends on a seed. With fewer
    than 20 days no p-value could reach 0.05, and it is NaN. Where the end of a history is joined to
    its start, clusters are broken once: on simulated noise, 3 to 7 % of the p-values are at most
    0.05, the most where the clusters are long and strong.

    References
    ----------
    Lotwick, Silverman 1982, "Methods for Analysing Spatial Processes of Several Types of Points",
    J. R. Statist. Soc. B 44, for the test by shifts on a circle (there, a torus). Phipson, Smyth
    2010, "Permutation P-values Should Never Be Zero", for counting the observed arrangement.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn.datasets import make_market
    >>> from skattn.inspection import AttentionTimelineDisplay
    >>> from skattn.models import ALSTMRegressor
    >>> from skattn.preprocessing import Alpha360, RobustZScore
    >>> market = make_market(n_stocks=5, n_days=90, random_state=0)
    >>> model = ALSTMRegressor(hidden_size=4, max_epochs=1, random_state=0)
    >>> pipeline = make_pipeline(Alpha360(length=5), RobustZScore(), model)
    >>> pipeline = pipeline.fit(market.ohlcv, market.label)
    >>> stock = market.ohlcv.index[0][1]
    >>> display = AttentionTimelineDisplay.from_estimator(
    ...     pipeline, market.ohlcv, stock, ohlcv=market.ohlcv
    ... )
    >>> display.market.index.tolist()
    ['return', 'volatility', 'volume']
    >>> display.spans.columns.tolist()
    ['start', 'end', 'days', 'attention']
    """

    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        attention: pd.Series,
        weights: pd.DataFrame,
        series: pd.Series,
        spans: pd.DataFrame,
        market: pd.DataFrame,
        name: str | None = None,
    ) -> None:
        self.attention = attention
        self.weights = weights
        self.series = series
        self.spans = spans
        self.market = market
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        instrument: Any,
        *,
        ohlcv: Any,
        map: str | None = None,
        quantile: float = 0.9,
        days: Any = None,
        instruments: Any = None,
        ax: Any = None,
        name: str | None = None,
    ) -> AttentionTimelineDisplay:
        """Draw the attention of a fitted estimator to the dates of an instrument.

        Parameters
        ----------
        estimator : skattn regressor, Pipeline, search, CrossSectionalTarget or LearntConcepts
            Fitted estimator. A pipeline must end in a skattn regressor. From a search, the best
            estimator is taken.
        X : input of the estimator's ``predict``, N rows
            Rows that hold all days of the instrument. Models that look across stocks need the other
            stocks of these days too.
        instrument : object
            The instrument to look at, such as "AAPL".
        ohlcv : DataFrame or Series
            By (datetime, instrument), or of the instrument alone by day. Of a table, the column
            ``close`` is drawn, and return, volatility (absolute return) and, where there is a
            column ``volume``, the logarithm of the volume relative to its median over the 20 days
            before are compared. Zeros count as missing. Of a Series, such as an index or a rate,
            its level and its daily change are compared.
        map : str, default=None
            Name of the attention map. None: the map of attention to lags; of several, a map whose
            last axis are lags, with the fewest other axes. Of queries, the latest is taken, which
            the prediction reads. Of frequencies, those above 0 are added up. Other axes, such as
            layers and heads, are averaged.
        quantile : float in (0, 1), default=0.9
            Attention is high above this quantile over the dates.
        days, instruments : array-like of shape (N,), default=None
            Day and instrument of each row, as for ``predict``. None: from the index of X.
        ax : matplotlib Axes, default=None
            Axes of a grid of subplots, in whose place the two plots are drawn. None: a new figure.
        name : str, default=None
            Title. None: the instrument, the model's class and the name of the map.

        Returns
        -------
        display : AttentionTimelineDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            The estimator does not end in a skattn regressor, or ``ohlcv`` is no table or Series.
        ValueError
            The model has no attention to lags, or several maps of it; the instrument is not in X or
            in ``ohlcv``; X has a single day of it or windows of a single step; days or instruments
            are not known; ``ohlcv`` has no ``close`` or no day of X.
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        """
        import_pyplot(NAME)
        quantile = check_value("quantile", quantile, "float", above=0, below=1)
        check_value("map", map, "str | None")
        check_value("name", name, "str | None")
        if ax is not None:
            check_axes(ax)
        model, X = fitted_model(estimator, X, NAME)
        samples = model.check_rows(X, days=days, instruments=instruments)
        chosen = pick_map(model, map)
        rows, own_days = rows_of(samples, instrument)
        daily = read_daily(ohlcv, instrument)
        _check_overlap(daily.index, own_days, instrument)
        weights = weights_by_lag(model, X, samples, rows, chosen)
        attention = attention_by_date(weights, dates_of_steps(samples.X, rows))
        if attention.isna().all():
            raise ValueError(
                f"The map {chosen!r} of {type(model).__name__} gives no weight to any date of the "
                f"instrument {shown(instrument)}. Choose another map with map=."
            )
        high = is_high(attention, quantile)
        title = f"{instrument}: attention of {type(model).__name__}, map {chosen!r}"
        display = cls(
            attention=attention,
            weights=weights,
            series=daily.iloc[:, 0].loc[attention.index[0] : attention.index[-1]],
            spans=spans_of(attention, high),
            market=compare_market(high, market_of(daily)),
            name=title if name is None else name,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> AttentionTimelineDisplay:
        """Draw the series and the attention.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes of a grid of subplots, in whose place the two plots are drawn. None: a new figure.
            A figure with a layout, such as ``pyplot.subplots(layout="constrained")``, makes room
            for all labels.

        Returns
        -------
        display : AttentionTimelineDisplay
            This display.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError, ValueError
            ``ax`` is no Axes of a grid of subplots, or the display was made of other data than
            :meth:`from_estimator` makes.
        """
        import_pyplot(NAME)
        self._check_data()
        with axes_to_draw(NAME, ax, figsize=(8, 5)) as place:
            above, below = split_axes(place, 2, height_ratios=(3, 2)).ravel()
            below.sharex(above)
            above.tick_params(labelbottom=False)
            known = self.series.dropna()
            # A single day is a point, which a line does not show.
            marker = {"marker": "."} if len(known) < 2 else {}
            above.plot(known.index, known, color=COLORS[0], linewidth=1.2, **marker)
            label = "close (price)" if self.series.name == "close" else str(self.series.name)
            set_label(above, "y", label)
            below.plot(self.attention.index, self.attention, color=ink(), linewidth=1.2)
            below.axhline(1, color="grey", linewidth=0.8, linestyle="--")
            below.set_ylabel("attention\n(1: usual)")
            below.set_xlabel("date")
            for each in (above, below):
                self._shade(each)
            above.margins(x=0.02)
            date_axis(below)
            set_title(above, self.name or "Attention over time")
            set_title(below, _market_text(self.market, len(self.spans)), fontsize=9)
            self.ax_ = np.array([above, below], dtype=object)
            self.figure_ = place.figure
        return self

    def _shade(self, ax: Axes) -> None:
        """Shade the spans, each day from noon to noon, wide enough to be seen."""
        half = pd.Timedelta(hours=12)
        for start, end in zip(self.spans["start"], self.spans["end"], strict=True):
            ax.axvspan(
                start - half, end + half, facecolor=COLORS[1], edgecolor=COLORS[1], alpha=0.35,
                linewidth=0.8, zorder=0,
            )  # fmt: skip

    def _check_data(self) -> None:
        check_value("name", self.name, "str | None")
        for name in ("attention", "series"):
            found = getattr(self, name)
            is_series = isinstance(found, pd.Series) and isinstance(found.index, pd.DatetimeIndex)
            if not is_series or found.dtype.kind not in "fiu" or found.index.hasnans:
                raise TypeError(f"{name} must be a Series of numbers by day; got {shown(found)}.")
        for name, columns in (("spans", SPAN_COLUMNS), ("market", MARKET_COLUMNS)):
            found = getattr(self, name)
            if not isinstance(found, pd.DataFrame) or not {*columns} <= {*found.columns}:
                raise TypeError(
                    f"{name} must be a DataFrame with the columns {columns} of dates and numbers; "
                    f"got {shown(found)}."
                )
            numbers = [each for each in columns if each not in ("start", "end")]
            check_number_columns(name, found, numbers)
        for name in ("start", "end"):
            if self.spans[name].dtype.kind != "M" or self.spans[name].isna().any():
                raise TypeError(
                    f"spans must hold dates in the column {name!r}; got {shown(self.spans[name])}."
                )


def _check_overlap(known: pd.DatetimeIndex, wanted: pd.DatetimeIndex, instrument: Any) -> None:
    """Raise where the series has none of the days of X."""
    if not len(known.intersection(wanted)):
        has = f"{known.min().date()} to {known.max().date()}" if len(known) else "no day"
        raise ValueError(
            f"ohlcv has no day of X of the instrument {shown(instrument)}: X has "
            f"{wanted.min().date()} to {wanted.max().date()}, ohlcv has {has}."
        )


def _market_text(market: pd.DataFrame, n_spans: int) -> str:
    """Put the table into a sentence; what belongs together is not broken over two lines."""
    if not n_spans:
        return "No date stands out."
    items = []
    for what, row in market.iterrows():
        inside, outside = _with_unit(what, row["inside"]), _with_unit(what, row["outside"])
        p_value = "" if np.isnan(row["p_value"]) else f" (p = {row['p_value']:.2g})"
        items.append(f"{what} {inside}, else {outside}{p_value}".replace(" ", "\N{NO-BREAK SPACE}"))
    return f"Shaded, of high attention: {'; '.join(items)}"


def _with_unit(what: Any, value: float) -> str:
    if np.isnan(value):
        return "unknown"
    if what in ("return", "volatility"):
        return f"{100 * value:.2f} %"
    # The mean of logarithms is a factor on the usual volume.
    return (
        f"{np.exp(value):.2f}\N{MULTIPLICATION SIGN} usual" if what == "volume" else f"{value:.4g}"
    )
