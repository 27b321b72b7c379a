"""Plot of folds on a calendar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skattn.model_selection._folds import Fold
from skattn.parameters import shown
from skattn.utils import axes_to_draw, date_axis, legend_below, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Petroff's palette is readable with all kinds of colour vision; hatches mark days left out.
STYLES: dict[str, dict[str, Any]] = {
    "train": {"facecolor": "#3f90da"},
    "valid": {"facecolor": "#832db6"},
    "test": {"facecolor": "#ffa90e"},
    "purged": {"facecolor": "#bd1f01", "hatch": "////"},
    "gap": {"facecolor": "#d0d0d0", "hatch": "...."},
    "embargoed": {"facecolor": "#94a4a2", "hatch": "xxxx"},
}

MANY_FOLDS = 60


class SplitDisplay:
    """Display of folds on a calendar, one row per fold.

    The ``plot`` method of a splitter returns a SplitDisplay.

    Parameters
    ----------
    roles : DataFrame of str, shape (n_splits, n_days)
        Role of each day in each fold: "train", "valid", "test", "purged", "gap", "embargoed", or
        "" for a day that the fold does not use. The columns are the days.
    title : str, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the last :meth:`plot`.
    figure_ : matplotlib.figure.Figure
        Figure of ``ax_``.

    See Also
    --------
    DailyTimeSeriesSplit.plot : Draw the folds of a splitter.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.model_selection import PurgedDailyKFold
    >>> days = pd.date_range("2024-01-01", periods=6)
    >>> display = PurgedDailyKFold(n_splits=2, purge=1).plot(days, groups=days)
    >>> display.roles.T
    fold             0       1
    datetime
    2024-01-01    test   train
    2024-01-02    test   train
    2024-01-03    test  purged
    2024-01-04  purged    test
    2024-01-05   train    test
    2024-01-06   train    test
    """

    ax_: Any
    figure_: Any

    def __init__(self, roles: pd.DataFrame, *, title: str | None = None) -> None:
        is_table = isinstance(roles, pd.DataFrame) and isinstance(roles.columns, pd.DatetimeIndex)
        if not is_table or roles.empty:
            raise TypeError(
                f"roles must be a DataFrame of str with a row for each fold and a column for each "
                f"day; got {shown(roles)}. The plot method of a splitter makes it."
            )
        known = roles.astype(str).isin([*STYLES, ""])
        if not known.all(axis=None):
            strange = roles.to_numpy()[~known.to_numpy()][0]
            raise ValueError(f"Roles must be {', '.join(STYLES)}, or empty; got {shown(strange)}.")
        if not (title is None or isinstance(title, str)):
            raise TypeError(f"title must be a str or None; got {shown(title)}.")
        self.roles = roles
        self.title = title

    def plot(self, *, ax: Any = None) -> SplitDisplay:
        """Draw the folds.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None creates a new figure. The title and the legend find room in a
            figure with a layout, such as ``pyplot.subplots(2, 2, layout="constrained")``.

        Returns
        -------
        display : SplitDisplay
            This object, with ``ax_`` and ``figure_``.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            ``ax`` is not an Axes.
        """
        height = 2 + 0.3 * min(len(self.roles), 30)
        with axes_to_draw("A picture of the folds", ax, figsize=(8, height)) as ax:
            self._draw(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(self, ax: Axes) -> None:
        from matplotlib import dates, ticker
        from matplotlib.collections import PolyCollection
        from matplotlib.patches import Patch

        days = self.roles.columns
        edges = dates.date2num(days.append(days[-1:] + pd.Timedelta(days=1)))
        bars = _bars(self.roles.to_numpy(), edges)
        # Lines around the bars of many folds, and hatches in them, would hide the colours.
        plain = {"hatch": None, "linewidth": 0} if len(self.roles) > MANY_FOLDS else {}
        handles = []
        for role, corners in bars.items():
            style = {"edgecolor": "white", "linewidth": 0.5, **STYLES[role], **plain}
            handles.append(Patch(label=role, **style))
            if style.get("hatch"):
                # Of many years, a few days left out would be thinner than the lines around them.
                color = style["facecolor"]
                ax.add_collection(PolyCollection(corners, facecolor=color, edgecolor=color))
                style["linewidth"] = 0
            ax.add_collection(PolyCollection(corners, **style))
        legend_below(ax, handles)
        ax.set(xlabel="Date", ylabel="Fold")
        if self.title:
            set_title(ax, self.title)
        ax.set_xlim(edges[0], edges[-1])
        ax.set_ylim(len(self.roles) - 0.5, -0.5)
        ax.yaxis.set_major_locator(
            ticker.MaxNLocator("auto", integer=True, min_n_ticks=min(2, len(self.roles)))
        )
        date_axis(ax)


def day_roles(folds: Iterable[Fold], calendar: pd.DatetimeIndex) -> pd.DataFrame:
    """Tabulate the role of each calendar day in each fold, for ``roles`` of SplitDisplay."""
    rows = []
    for fold in folds:
        row = np.full(len(calendar), "", dtype=object)
        sides = {"train": fold.train, fold.test_name: fold.test}
        for role, days in {**fold.left_out, **sides}.items():
            row[days] = role
        rows.append(row)
    index = pd.RangeIndex(len(rows), name="fold")
    return pd.DataFrame(rows, index, calendar.rename("datetime"))


def _bars(roles: np.ndarray, edges: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Corners of the bars of each role, in the order of STYLES.

    Each run of one role is one bar up to the next run, so weekends leave no gaps.
    """
    half = 0.4 if len(roles) <= MANY_FOLDS else 0.5
    bars: dict[str, list[np.ndarray]] = {role: [] for role in STYLES}
    for fold, row in enumerate(roles):
        starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
        for start, stop in zip(starts, np.r_[starts[1:], len(row)], strict=True):
            if row[start]:
                left, right, low, high = edges[start], edges[stop], fold - half, fold + half
                corners = [(left, low), (left, high), (right, high), (right, low)]
                bars[row[start]].append(np.array(corners))
    return {role: corners for role, corners in bars.items() if corners}
