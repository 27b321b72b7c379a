"""Picture of importance by field and lag, beside attention and over time."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from skattn.inspection._importance import plots
from skattn.inspection._importance.agreement import (
    attention_by_lag,
    compare_by_lag,
    rank_correlations,
)
from skattn.inspection._importance.gradients import import_captum, integrated_gradients
from skattn.inspection._importance.groups import Group, make_groups
from skattn.inspection._importance.permutation import permutation_importance
from skattn.inspection._importance.rows import ModelRows
from skattn.inspection._importance.significance import by_quarter
from skattn.labels import check_labels, holding_days
from skattn.parameters import InvalidParameterError, check_number_columns, check_value, shown
from skattn.utils import axes_to_draw, check_axes, import_pyplot, split_axes

# Lags as a table writes them: "" for columns, "0", "4-7" or "0,5-6".
LAGS = r"|\d+(-\d+)?(,\d+(-\d+)?)*"
NAMES = {"rank_ic": "rank IC", "ic": "IC"}
METHODS = ("permutation", "integrated_gradients", "both")
KINDS = ("all", "map", "time")
# Points between plots, for titles and legends; groups whose importance is drawn over time.
GAP, LINES = 90, 5


class FeatureImportanceDisplay:
    """Picture of the importance of fields and lags, beside the attention and over time.

    :meth:`from_estimator` makes a display and draws it. :meth:`plot` draws it again.

    Attention is not explanation: a model may look at a lag without need, and need a lag at which
    it hardly looks, because its states carry the past along. The display shows both by lag, their
    rank correlation, and the lags at which they disagree.

    Parameters
    ----------
    permutation : DataFrame, default=None
        ``table`` of :func:`permutation_importance`.
    gradients : DataFrame, default=None
        The same groups with the columns ``field``, ``lags`` and ``importance``, the sum of the mean
        absolute attributions. One of the two tables is needed.
    daily : DataFrame, default=None
        ``daily`` of :func:`permutation_importance`, with a row of NaN for each day that was not
        scored: neighbouring rows count as neighbouring days.
    attention : Series, default=None
        Mean attention by lag.
    overlap : int, default=None
        Days by which the labels of neighbouring days overlap. None: unknown.
    scoring : {"rank_ic", "ic"}, default="rank_ic"
        What the permutation importance is a drop of.

    Attributes
    ----------
    by_lag : DataFrame or None
        Importance and attention by run of lags, as multiples of what the run would have if all
        lags were alike, and where they disagree: "attention, no importance" (the attention is at
        least 1.25 times the uniform one, the importance by permutation not significant at 5 % after
        Holm's correction, or that of gradients below 0.8) or "importance, no attention" (the
        reverse). None where groups do not divide the lags into runs.
    agreement : Series
        Spearman's rank correlation of importance and attention over the runs, for each method; no
        entry for a model without a map over lags. Over six runs, chance alone gives 0.77 or more,
        of either sign, in one case of ten.
    quarters : DataFrame or None
        Mean drop of the daily IC by quarter and group, with its standard error.
    ax_ : ndarray of Axes
        The plots, from top to bottom.
    figure_ : matplotlib Figure

    See Also
    --------
    permutation_importance, integrated_gradients, attention_weights : The numbers.

    References
    ----------
    S. Jain and B. Wallace (2019), "Attention is not Explanation", NAACL, arXiv 1902.10186.
    S. Wiegreffe and Y. Pinter (2019), "Attention is not not Explanation", EMNLP, arXiv 1908.04626.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn import ALSTMRegressor
    >>> from skattn.datasets import make_market
    >>> from skattn.inspection import FeatureImportanceDisplay
    >>> from skattn.preprocessing import Alpha360, RobustZScore
    >>> market = make_market(n_stocks=10, n_days=60, random_state=0)
    >>> model = ALSTMRegressor(hidden_size=4, max_epochs=1, random_state=0)
    >>> pipeline = make_pipeline(Alpha360(["close", "volume"], length=8), RobustZScore(), model)
    >>> pipeline = pipeline.fit(market.ohlcv, market.label)
    >>> display = FeatureImportanceDisplay.from_estimator(
    ...     pipeline, market.ohlcv, market.label, groups=3, random_state=0
    ... )
    >>> display.by_lag.index.tolist()
    ['4-7', '2-3', '0-1']
    >>> len(display.ax_), display.agreement.index.tolist()
    (3, ['permutation'])
    """

    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        permutation: pd.DataFrame | None = None,
        gradients: pd.DataFrame | None = None,
        daily: pd.DataFrame | None = None,
        attention: pd.Series | None = None,
        overlap: int | None = None,
        scoring: str = "rank_ic",
    ) -> None:
        self.permutation = permutation
        self.gradients = gradients
        self.daily = daily
        self.attention = attention
        self.overlap = overlap
        self.scoring = scoring

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        method: str = "permutation",
        groups: Any = None,
        scoring: str = "rank_ic",
        n_repeats: int = 1,
        max_samples: float | None = None,
        baseline: Any = None,
        n_steps: int = 32,
        random_state: Any = None,
        days: Any = None,
        instruments: Any = None,
        kind: str = "all",
        ax: Any = None,
    ) -> FeatureImportanceDisplay:
        """Compute the importance of a fitted estimator, and draw it.

        Parameters
        ----------
        estimator : regressor, Pipeline, search, CrossSectionalTarget or LearntConcepts
            Fitted, as for :func:`permutation_importance`; for integrated gradients, as for
            :func:`integrated_gradients`.
        X : input of the estimator's ``predict``, N rows
            Rows to inspect.
        y : array-like of shape (N,)
            Labels; NaN means unlabelled. Integrated gradients do not look at them.
        method : {"permutation", "integrated_gradients", "both"}, default="permutation"
            How importance is measured.
        groups, scoring, n_repeats, random_state, days, instruments
            As for :func:`permutation_importance`.
        max_samples : int or float, default=None
            As for both functions. None: the default of each.
        baseline, n_steps
            As for :func:`integrated_gradients`.
        kind, ax
            As for :meth:`plot`.

        Returns
        -------
        display : FeatureImportanceDisplay

        Raises
        ------
        ImportError
            matplotlib, or captum for integrated gradients, is not installed.
        TypeError, ValueError
            As :func:`permutation_importance`, :func:`integrated_gradients` and :meth:`plot`.
        """
        import_pyplot(cls.__name__)
        if ax is not None:
            check_axes(ax)
        check_value("method", method, "str", one_of=METHODS)
        if method != "permutation":
            import_captum("FeatureImportanceDisplay")
        check_value("kind", kind, "str", one_of=KINDS)
        if ax is not None:
            check_axes(ax)
        if method == "integrated_gradients":
            _check_has_time(kind, None)
        check_value("n_repeats", n_repeats, "int", at_least=1)
        rows = ModelRows(estimator, X, y, days=days, instruments=instruments)
        label = check_labels(y)
        if len(label) != len(rows):
            raise ValueError(f"X has {len(rows)} rows, and y has {len(label)}.")
        asked: dict[str, Any] = {"days": rows.days, "instruments": rows.instruments}
        if max_samples is not None:
            asked["max_samples"] = max_samples
        made = make_groups(groups, rows.fields, rows.n_steps)
        found: dict[str, Any] = {}
        # First, because they take less time to find what is wrong.
        if method != "permutation":
            result = integrated_gradients(
                rows.model, rows.X, baseline=baseline, n_steps=n_steps, **asked
            )
            found["gradients"] = _by_group(result.importance, made)
        if method != "integrated_gradients":
            result = permutation_importance(
                rows.model,
                rows.X,
                y,
                groups=groups,
                scoring=scoring,
                n_repeats=n_repeats,
                random_state=random_state,
                **asked,
            )
            # Days that were not scored keep their place, by which neighbouring days are told.
            calendar = rows.days.unique().sort_values()
            found |= {"permutation": result.table, "daily": result.daily.reindex(calendar)}
        horizon = holding_days(y)
        display = cls(
            **found,
            attention=attention_by_lag(rows),
            overlap=None if horizon is None else horizon - 1,
            scoring=scoring,
        )
        return display.plot(kind, ax=ax)

    @cached_property
    def by_lag(self) -> pd.DataFrame | None:
        """Importance and attention by run of lags."""
        self._check_data()
        return compare_by_lag(
            self.permutation, self.gradients, self.daily, self.attention, self.overlap
        )

    @cached_property
    def agreement(self) -> pd.Series:
        """Rank correlation of importance and attention over the runs of lags."""
        return rank_correlations(self.by_lag)

    @cached_property
    def quarters(self) -> pd.DataFrame | None:
        """Mean drop of the daily IC by quarter and group."""
        self._check_data()
        return None if self.daily is None else by_quarter(self.daily, self.overlap)

    def plot(self, kind: str = "all", *, ax: Any = None) -> FeatureImportanceDisplay:
        """Draw the importance.

        Parameters
        ----------
        kind : {"all", "map", "time"}, default="all"
            - "map": heat map of fields by lags for each method, or bars where the groups form no
              such grid; of many fields the 40 most important. A star marks a group whose
              permutation importance differs from zero (p < 0.05 after Holm's correction). Below,
              for a model with a map over lags, importance and attention by lag: 1 is what a lag
              would have if all were alike, and lags at which both disagree are shaded.
            - "time": mean drop of the daily IC by quarter for the five most important groups, with
              bands of 1.96 standard errors. It needs permutation importance.
            - "all": both.
        ax : matplotlib Axes, default=None
            Axes of a grid of subplots whose place the plots take. None: a new figure.
            A figure with a layout, such as ``pyplot.subplots(layout="constrained")``, makes room
            for all labels.

        Returns
        -------
        display : FeatureImportanceDisplay
            This display.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            ``ax`` is not an Axes, or the display was made of other data than it needs.
        ValueError
            The kind is unknown, "time" is asked for without permutation importance, or ``ax`` is
            in no grid of subplots.
        """
        import_pyplot(type(self).__name__)
        check_value("kind", kind, "str", one_of=KINDS)
        self._check_data()
        _check_has_time(kind, self.daily)
        panels: list[tuple[float, Any]] = []
        if kind != "time":
            for table, what in self._tables():
                panels.append(
                    (plots.height_of(table), partial(plots.draw_importance, table=table, what=what))
                )
            if self.by_lag is not None and "attention" in self.by_lag:
                draw = partial(plots.draw_profile, table=self.by_lag, agreement=self.agreement)
                panels.append((2.8, draw))
        if kind != "map" and self.quarters is not None:
            what = f"drop of the {NAMES[self.scoring]}"
            draw = partial(
                plots.draw_quarters, quarters=self.quarters, groups=self._top(), what=what
            )
            panels.append((3.2, draw))
        heights = [height for height, _ in panels]
        with axes_to_draw(type(self).__name__, ax, figsize=(8, sum(heights))) as ax:
            grid = split_axes(
                ax, len(panels), 2, gap=GAP, height_ratios=heights, width_ratios=(40, 1)
            )
            for (_, draw), (main, beside) in zip(panels, grid, strict=True):
                draw(main, beside)
        self.ax_ = grid[:, 0]
        self.figure_ = ax.figure
        return self

    def _tables(self) -> list[tuple[pd.DataFrame, str]]:
        """Give each table of groups, and what its importance is."""
        what = f"drop of the daily {NAMES[self.scoring]}"
        both = [(self.permutation, what), (self.gradients, "mean |attribution|")]
        return [(table, what) for table, what in both if table is not None]

    def _top(self) -> list:
        """Name the most important groups."""
        assert self.daily is not None
        return self.daily.mean().nlargest(LINES).index.tolist()

    def _check_data(self) -> None:
        """Raise if the display was made of data that from_estimator does not produce."""
        check_value("overlap", self.overlap, "int | None", at_least=0)
        check_value("scoring", self.scoring, "str", one_of=tuple(NAMES))
        if self.permutation is None and self.gradients is None:
            raise InvalidParameterError(
                "permutation and gradients are both None: one of the two tables is needed."
            )
        for name, columns in (
            ("permutation", ["field", "lags", "importance", "p_holm"]),
            ("gradients", ["field", "lags", "importance"]),
        ):
            table = getattr(self, name)
            if table is None:
                continue
            is_table = isinstance(table, pd.DataFrame) and len(table) > 0
            if not is_table or not {*columns} <= {*table.columns}:
                raise InvalidParameterError(
                    f"{name} must be a DataFrame with a row for each group and the columns "
                    f"{columns}; got {shown(table)}."
                )
            error = [each for each in ("standard_error",) if each in table]
            check_number_columns(name, table, [*columns[2:], *error])
            strange = table["lags"][~table["lags"].astype(str).str.fullmatch(LAGS)]
            if len(strange):
                raise InvalidParameterError(
                    f"{name} must hold runs of lags such as '4-7' in the column 'lags'; got "
                    f"{shown(strange.iloc[0])}."
                )
        daily, groups = self.daily, self.permutation
        if daily is not None and not (
            isinstance(daily, pd.DataFrame)
            and isinstance(daily.index, pd.DatetimeIndex)
            and groups is not None
            and daily.columns.equals(groups.index)
        ):
            raise InvalidParameterError(
                f"daily must be a DataFrame with a row for each day and a column for each group of "
                f"permutation, as permutation_importance makes it; got {shown(daily)}."
            )
        if daily is not None:
            check_number_columns("daily", daily)
            if not len(daily) or np.isinf(daily.to_numpy(dtype=float)).any():
                raise InvalidParameterError("daily must have days, and no infinite values.")
        attention = self.attention
        if attention is not None and not (
            isinstance(attention, pd.Series) and attention.dtype.kind in "biuf"
        ):
            raise InvalidParameterError(
                f"attention must be a Series of weights by lag, or None; got "
                f"{shown(self.attention)}."
            )


def _check_has_time(kind: str, daily: pd.DataFrame | None) -> None:
    """Raise where importance over time is asked for, and no day has one."""
    if kind == "time" and daily is None:
        raise ValueError(
            "kind='time' draws permutation importance, which this display does not have: "
            "pass method='permutation' or 'both' to from_estimator."
        )


def _by_group(importance: pd.DataFrame, groups: list[Group]) -> pd.DataFrame:
    """Sum attributions over the cells of each group."""
    cells = importance.to_numpy().T.ravel()
    index = pd.Index([group.name for group in groups], name="group", tupleize_cols=False)
    return pd.DataFrame(
        {
            "field": [group.field for group in groups],
            "lags": [group.lags for group in groups],
            "importance": [cells[group.cells].sum() for group in groups],
        },
        index,
    )
