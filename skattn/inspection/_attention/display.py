"""Heat maps of attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing

from skattn.inspection._attention import draw, tables, views
from skattn.inspection._attention.map import AttentionMap, as_map
from skattn.inspection._attention.rows import row_labels, rows_of_day, rows_to_draw
from skattn.inspection._attention.weights import attention_weights
from skattn.inspection._fitted import fitted_model, no_attention
from skattn.parameters import InvalidParameterError, check_numbers, check_value, shown
from skattn.utils import axes_to_draw, check_axes, import_pyplot, set_title

Kind = Literal["rows", "grid", "frequency", "concepts", "stocks", "graph"]
Sort = Literal["day", "stock", "prediction", "row"]

SIZES = {"frequency": (8.0, 5.0), "concepts": (7.0, 7.0), "stocks": (7.0, 6.5)}
OF_A_DAY = ("concepts", "stocks", "graph")


class AttentionDisplay:
    """Pictures of where a model attends.

    :meth:`from_estimator` makes a display and draws it at once. :meth:`plot` draws the display
    again, as another kind of plot. What is drawn follows from the axes of the attention map, not
    from the model, so that the models of plugins are drawn, too.

    Attention says what a model weighs, not what its predictions depend on:
    :class:`FeatureImportanceDisplay` shows both side by side.

    Parameters
    ----------
    weights : AttentionMap or DataFrame
        Attention weights with a row a sample, as :func:`attention_weights` gives them.
    sums : tuple of str, default=None
        Axes over which the weights sum to 1. None: "key", else the last axis. (): none.
    predicted : array-like of shape (N,), default=None
        Predictions of the rows, for ``sort="prediction"``.
    groups : Series or mapping, default=None
        Group of each stock, such as its sector, for plots of stocks. None: a stock's group is the
        stock or concept to which it gives most weight.
    name : str, default=None
        What is drawn, for the title.

    Attributes
    ----------
    table_ : DataFrame
        What the heat map of the last plot shows.
    profile_ : DataFrame
        Mean over the rows, with the quarter and three quarter quantiles "low" and "high", for each
        lag (or other place); after plots of kind "rows" and "frequency".
    groups_ : Series
        Group of each stock, in the order of the plot; after plots of kind "concepts", "stocks" and
        "graph".
    ax_ : ndarray of matplotlib Axes
        Axes of the last plot, of shape (layers, heads) for kind "grid".
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    attention_weights : The weights in numbers.
    AttentionTimelineDisplay : Attention of one stock beside the market.

    Examples
    --------
    >>> from skattn.datasets import make_market
    >>> from skattn.inspection import AttentionDisplay
    >>> from skattn.models import ALSTMRegressor
    >>> from skattn.preprocessing import Alpha360
    >>> market = make_market(n_stocks=5, n_days=60, random_state=0)
    >>> X = Alpha360(length=5).fit_transform(market.ohlcv)
    >>> X = X[~np.isnan(X).any(axis=(1, 2))]
    >>> model = ALSTMRegressor(hidden_size=4, max_epochs=1, random_state=0)
    >>> display = AttentionDisplay.from_estimator(model.fit(X, market.label[X.index]), X)
    >>> display.profile_["mean"].index.tolist()
    [4, 3, 2, 1, 0]
    >>> display.plot(sort="prediction", against="uniform").table_.shape  # quantiles, lags
    (5, 5)
    """

    table_: pd.DataFrame
    profile_: pd.DataFrame
    groups_: pd.Series
    ax_: np.ndarray
    figure_: Any

    def __init__(
        self,
        *,
        weights: AttentionMap | pd.DataFrame,
        sums: tuple[str, ...] | None = None,
        predicted: Any = None,
        groups: Any = None,
        name: str | None = None,
    ) -> None:
        self.weights = weights
        self.sums = sums
        self.predicted = predicted
        self.groups = groups
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        map: str | None = None,
        kind: Kind | None = None,
        sort: Sort | None = None,
        day: Any = None,
        against: Literal["uniform"] | None = None,
        select: Mapping[str, Any] | None = None,
        groups: Any = None,
        subsample: int | None = 2_000,
        days: Any = None,
        instruments: Any = None,
        ax: Any = None,
        name: str | None = None,
    ) -> AttentionDisplay:
        """Draw the attention of a fitted model.

        Parameters
        ----------
        estimator : skattn regressor, Pipeline, search, CrossSectionalTarget or LearntConcepts
            Fitted estimator, as for :func:`attention_weights`.
        X : input of the estimator's ``predict``, N rows
            Rows to inspect.
        map : str, default=None
            Name of the attention map, for models that have several. None: the first that the model
            declares, that has weights, and of which ``kind`` can be drawn.
        kind, sort, day, against, select, ax
            As for :meth:`plot`.
        groups : Series or mapping, default=None
            Group of each stock, such as its sector.
        subsample : int or None, default=2000
            Number of rows to compute, evenly spaced over the days and stocks; whole days for models
            that look across stocks. None: all rows. A ``day`` is always whole.
        days, instruments : array-like of shape (N,), default=None
            Day and instrument of each row, as for ``predict``.
        name : str, default=None
            What is drawn, for the title. None: the model's class and the name of the map.

        Returns
        -------
        display : AttentionDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError, ValueError
            As :func:`attention_weights` and :meth:`plot`; or the model has no map of this name.
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        """
        import_pyplot("AttentionDisplay")
        if ax is not None:
            check_axes(ax)
        subsample = check_value("subsample", subsample, "int | None", at_least=1)
        model, X = fitted_model(estimator, X, "AttentionDisplay")
        contract = model.net_.contract
        if not contract.attends:
            raise no_attention(model)
        samples = model.check_rows(X, days=days, instruments=instruments)
        if not len(samples):
            raise ValueError("There is nothing to draw: X has no rows.")
        map = check_value("map", map, "str | None")
        declared = tuple(contract.attention_axes)
        if map is not None and declared and map not in declared:
            raise ValueError(
                f"map must be one of the maps of {type(model).__name__}, {list(declared)}; got "
                f"{map!r}."
            )
        name = check_value("name", name, "str | None")
        whole_day = day is not None
        wanted = (map,) if map else tables.maps_for(kind, contract.attention_axes)
        if declared:
            whole_day |= _kind(kind, contract.attention_axes[wanted[0]]) in OF_A_DAY
        if whole_day:
            rows = rows_of_day(samples.days, day)
        else:
            rows = rows_to_draw(samples, subsample, whole_days=contract.cross_sectional)
        known = {
            key: None if found is None else found[rows]
            for key, found in (("days", samples.days), ("instruments", samples.instruments))
        }
        taken = _safe_indexing(X, rows)
        maps = attention_weights(model, taken, **known)
        if map is None:
            # A model without concepts has no weights of concepts.
            map = next((key for key in wanted or maps if np.size(maps[key])), None)
        if map is None or map not in maps:
            of_kind = "" if kind is None else f" as kind={kind!r}"
            raise ValueError(f"{type(model).__name__} has no weights to draw{of_kind}.")
        weights = as_map(maps[map])
        labels = row_labels(weights.labels[0], **known)
        weights = AttentionMap(weights.values, weights.axes, (labels, *weights.labels[1:]))
        predicted = model.predict(taken, **known)
        display = cls(
            weights=weights,
            sums=contract.sums_of(map),
            predicted=predicted if predicted.ndim == 1 else None,
            groups=groups,
            name=f"{type(model).__name__}: {map}" if name is None else name,
        )
        return display.plot(kind, sort=sort, day=day, against=against, select=select, ax=ax)

    def plot(
        self,
        kind: Kind | None = None,
        *,
        sort: Sort | None = None,
        day: Any = None,
        against: Literal["uniform"] | None = None,
        select: Mapping[str, Any] | None = None,
        ax: Any = None,
    ) -> AttentionDisplay:
        """Draw the attention.

        Parameters
        ----------
        kind : str, default=None
            None: the first of these that fits the axes of the map.

            - "grid" (query and key): a heat map for each layer and head, the last two of the
              further axes;
            - "frequency" (lag and frequency): a heat map, and the mean of each frequency;
            - "concepts" (concept): a heat map of the stocks of a day;
            - "stocks" (stock): a heat map of the stocks of a day, sorted by group;
            - "graph" (stock): the stocks of a day on a circle, by group, each linked to the stock
              to which it gives most weight, at least 1.25 times the mean of those that get any;
            - "rows" (all maps but those of stocks): a heat map of rows and lags (or other places),
              over the mean profile and its band. Of queries, the latest is taken, which the
              prediction reads.
        sort : {"day", "stock", "prediction", "row"}, default=None
            Order of the rows in the heat map of kind "rows", in bins of rows. "prediction": by the
            quantile of the prediction among those of its day (tenths, fewer where days have fewer
            stocks). "row": as they are given. None: by day, where days are known.
        day : date, default=None
            Day whose rows are drawn. None: for plots of the stocks of a day the last day, for
            other plots all days.
        against : {"uniform"}, default=None
            "uniform": weights are multiplied by the number of places among which they are divided,
            so that 1 means no preference; differences under 25 % look flat. None: the weights.
        select : mapping of str to object, default=None
            Labels of axes to take, such as ``{"head": 0}``. Axes that the plot does not show are
            averaged.
        ax : matplotlib Axes, default=None
            Axes to draw on, of a grid of subplots; plots of several panels divide them. None: a new
            figure.
            A figure with a layout, such as ``pyplot.subplots(layout="constrained")``, makes room
            for all labels.

        Returns
        -------
        display : AttentionDisplay
            This display.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            ``ax`` is not an Axes, or the display was made of something other than weights.
        ValueError
            The kind does not fit the axes, a name is unknown, a day has no rows, or days, stocks
            or predictions are needed and not known.
        """
        import_pyplot("AttentionDisplay")
        check_value("against", against, "str | None", one_of=("uniform",))
        views.check_groups(self.groups)
        weights, predicted = self._rows_of(day)
        # Before labels are taken: one of the places among which weights are divided may be asked
        # for.
        weights, scale = self._scaled(weights, against)
        weights = tables.select_labels(weights, select)
        kind_ = _kind(kind, weights.axes[1:])
        view = views.VIEWS[kind_](weights, sort=sort, predicted=predicted, groups=self.groups)
        title = f"{self.name or 'Attention'}, {view.what}"
        with axes_to_draw("AttentionDisplay", ax, figsize=_figsize(kind_, weights)) as ax:
            drawn = draw.DRAWINGS[kind_](ax, view, scale)
            set_title(ax, title, above=None if drawn.flat[0] is ax else drawn)
        self.ax_, self.figure_ = drawn if kind_ == "grid" else drawn.ravel(), ax.figure
        self.table_ = view.table
        for name in ("profile", "groups"):
            self.__dict__.pop(f"{name}_", None)
            if (found := getattr(view, name)) is not None:
                setattr(self, f"{name}_", found)
        return self

    def _rows_of(self, day: Any) -> tuple[AttentionMap, np.ndarray | None]:
        """Check the weights, and take the day that is asked for."""
        weights = tables.by_day(as_map(self.weights))
        if not weights.values.size:
            raise ValueError(
                f"There is nothing to draw: {self.name or 'the map'} has the shape "
                f"{weights.values.shape}."
            )
        known = np.isfinite(weights.values)
        if not known.any() or np.isinf(weights.values).any():
            raise ValueError(
                f"weights must be finite, or NaN where there are none; got "
                f"{np.isinf(weights.values).sum()} infinite and {known.sum()} finite weights."
            )
        check_value("name", self.name, "str | None")
        predicted = None
        if self.predicted is not None:
            predicted = check_numbers("predicted", self.predicted)
            if np.isnan(predicted).any():
                raise ValueError(f"predicted has {np.isnan(predicted).sum()} missing values.")
            if len(predicted) != len(weights.values):
                raise ValueError(
                    f"predicted has {len(predicted)} values for {len(weights.values)} rows of "
                    f"weights."
                )
        if day is not None:
            rows = rows_of_day(tables.level(weights.labels[0], "datetime"), day)
            weights = tables.take(weights, rows)
            predicted = None if predicted is None else predicted[rows]
        return weights, predicted

    def _scaled(
        self, weights: AttentionMap, against: str | None
    ) -> tuple[AttentionMap, draw.Scale]:
        """Hold the weights against no preference, if that is asked for."""
        sums = ("key",) if "key" in weights.axes else weights.axes[-1:]
        if self.sums is not None:
            known = weights.axes[1:]
            is_tuple = isinstance(self.sums, (tuple, list))
            if not is_tuple or not all(
                isinstance(axis, str) and axis in known for axis in self.sums
            ):
                raise InvalidParameterError(
                    f"sums must be a tuple of some of the axes {known}, or None; got "
                    f"{shown(self.sums)}."
                )
            sums = tuple(self.sums)
        if against is not None:
            if not sums:
                raise ValueError(
                    f'against="uniform" needs weights that sum to 1 over an axis; those of '
                    f"{self.name or 'this map'} have no such sum. Draw the weights themselves, "
                    f"or another map of the model."
                )
            scale = draw.Scale("times no preference", against, 1.0)
            return tables.times_uniform(weights, sums), scale
        if not sums or {*tables.OF_A_DAY} & {*sums}:
            return weights, draw.Scale("attention weight", None, None)
        sizes = [len(weights.labels[weights.axes.index(axis)]) for axis in sums]
        return weights, draw.Scale("attention weight", None, 1 / float(np.prod(sizes)))


def _kind(kind: str | None, axes: tuple[str, ...]) -> str:
    fitting = tables.kinds_of(axes)
    kind = check_value("kind", kind, "str | None", one_of=("rows", "grid", "frequency", *OF_A_DAY))
    if kind is None:
        return fitting[0]
    if kind not in fitting:
        raise ValueError(
            f"kind={kind!r} does not fit a map of {axes}; these do: {', '.join(fitting)}."
        )
    return kind


def _figsize(kind: str, weights: AttentionMap) -> tuple[float, float]:
    if kind == "grid":
        sizes = [
            len(each)
            for axis, each in zip(weights.axes[1:], weights.labels[1:], strict=True)
            if axis not in ("query", "key")
        ]
        rows, columns = (1, 1, *sizes)[-2:]
        return min(12.0, 2.6 * columns + 2), min(12.0, 2.4 * rows + 1)
    return SIZES.get(kind, (7.0, 6.0))
