"""Plot of folds on a calendar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from skattn.model_selection._folds import Fold
from skattn.parameters import shown
from skattn.utils import check_axes, import_pyplot

# Petroff's palette is readable with all kinds of colour vision; hatches mark days left out.
STYLES: dict[str, dict[str, Any]] = {
    "train": {"facecolor": "#3f90da"},
    "valid": {"facecolor": "#832db6"},
    "test": {"facecolor": "#ffa90e"},
    "purged": {"facecolor": "#bd1f01", "hatch": "////"},
    "gap": {"facecolor": "#d0d0d0", "hatch": "...."},
    "embargoed": {"facecolor": "#94a4a2", "hatch": "xxxx"},
}


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
        if not (title is None or isinstance(title, str)):
            raise TypeError(f"title must be a str or None; got {shown(title)}.")
        self.roles = roles
        self.title = title

    def plot(self, *, ax: Any = None) -> SplitDisplay:
        """Draw the folds.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None creates a new figure.

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
        pyplot = import_pyplot("A picture of the folds")
        from matplotlib import dates, ticker
        from matplotlib.patches import Patch

        if ax is None:
            height = 1.5 + 0.3 * min(len(self.roles), 30)
            _, ax = pyplot.subplots(figsize=(8, height), layout="constrained")
        check_axes(ax)
        days = self.roles.columns
        edges = dates.date2num(days.append(days[-1:] + pd.Timedelta(days=1)))
        for fold, row in zip(self.roles.index, self.roles.to_numpy(), strict=True):
            # Each run of one role is one bar up to the next run, so weekends leave no gaps.
            starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
            for start, stop in zip(starts, np.r_[starts[1:], len(row)], strict=True):
                if row[start]:
                    bar = (edges[start], edges[stop] - edges[start])
                    ax.broken_barh([bar], (fold - 0.4, 0.8), **_style(row[start]))
        present = set(self.roles.to_numpy().ravel())
        handles = [Patch(label=role, **_style(role)) for role in STYLES if role in present]
        ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5))
        ax.set(xlabel="Date", ylabel="Fold", title=self.title)
        ax.title.set(fontsize="small", wrap=True)
        ax.set_xlim(edges[0], edges[-1])
        ax.set_ylim(len(self.roles) - 0.5, -0.5)
        ax.yaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
        locator = dates.AutoDateLocator()
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        self.ax_, self.figure_ = ax, ax.figure
        return self


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


def _style(role: str) -> dict[str, Any]:
    return {"edgecolor": "white", "linewidth": 0.5, **STYLES[role]}
