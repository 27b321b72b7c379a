"""Plots of how fits went, by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.callback import ScoringMonitorLog

from skattn.base import SequenceRegressor
from skattn.inspection._fitted import fitted_model
from skattn.inspection._training.axes import draw_fits, height_of
from skattn.inspection._training.history import (
    KEYS,
    MARK,
    check_name,
    last_run,
    models_by_name,
    table_of_fits,
    table_of_log,
)
from skattn.parameters import InvalidParameterError, check_number_columns, check_value, shown
from skattn.utils import axes_to_draw, import_pyplot

LOSS_WORDS = {"mse": "mean squared error", "mae": "mean absolute error", "huber": "Huber loss"}


class TrainingDisplay:
    """Plots of losses, monitored score and learning rate by epoch, of one fit or several.

    :meth:`from_estimator`, :meth:`from_estimators` and :meth:`from_log` make a display and draw it
    at once. The plots stand one below the other and share the epochs. What no fit has recorded is
    left out. The learning rate is that at the beginning of the epoch.

    Parameters
    ----------
    history : pandas.DataFrame
        A row for each epoch of each fit: ``fit`` (name), ``epoch`` (from 1), values such as
        ``train_loss``, ``valid_loss``, ``valid_ic``, ``valid_rank_ic`` and ``lr``, and ``is_best``.
    loss : str, default=None
        What the losses are, for the labels of axes.
    name : str, default=None
        Title.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        Axes of the last plot, from top to bottom.
    figure_ : matplotlib Figure
        Figure of the axes.

    See Also
    --------
    epoch_values : What a monitor keeps of the candidates of a search.

    Notes
    -----
    *The best epoch* has the best value of what ``monitor`` names, and early stopping restores its
    weights. It is marked with a dot, and with a line where there is one fit. A fit without
    validation rows has no best epoch.

    *Several fits.* Each fit is a thin line; ten of them have names, the others are grey. A bold
    line is the mean of three fits or more, as far as all of them went.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn.datasets import make_market
    >>> from skattn.inspection import TrainingDisplay
    >>> from skattn.model_selection import PurgedDailyKFold
    >>> from skattn.models import GRURegressor
    >>> from skattn.preprocessing import Alpha360, RobustZScore
    >>> market = make_market(n_stocks=5, n_days=80, random_state=0)
    >>> model = GRURegressor(hidden_size=4, max_epochs=2, random_state=0)
    >>> pipeline = make_pipeline(Alpha360(length=5), RobustZScore(), model)
    >>> folds = cross_validate(
    ...     pipeline, market.ohlcv, market.label, cv=PurgedDailyKFold(3), return_estimator=True
    ... )
    >>> display = TrainingDisplay.from_estimators(folds["estimator"])
    >>> display.history.groupby("fit")["epoch"].max().to_dict()
    {'fit 1': 2, 'fit 2': 2, 'fit 3': 2}
    >>> [" ".join(ax.get_ylabel().split()) for ax in display.ax_]
    ['training loss (mean squared error)', 'validation loss (mean squared error)', 'learning rate']
    """

    def __init__(
        self, *, history: pd.DataFrame, loss: str | None = None, name: str | None = None
    ) -> None:
        self.history = history
        self.loss = loss
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, name: str | None = None
    ) -> TrainingDisplay:
        """Draw the fit of an estimator.

        Parameters
        ----------
        estimator : skattn regressor, Pipeline, search, CrossSectionalTarget or LearntConcepts
            Fitted estimator. A pipeline must end in a skattn regressor. From a search, the best
            estimator is taken.
        ax : matplotlib Axes, default=None
            Axes of a grid of subplots, whose place the plots take. None: a new figure.
        name : str, default=None
            Title. None: the class name of the regressor.

        Returns
        -------
        display : TrainingDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            The estimator does not end in a skattn regressor, or ``ax`` is not an Axes.
        ValueError
            ``ax`` is not in a grid of subplots.
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        """
        import_pyplot("TrainingDisplay")
        check_name(name)
        model = fitted_model(estimator, None, "TrainingDisplay")[0]
        name = type(model).__name__ if name is None else name
        return cls._of_models({name: model}, name).plot(ax=ax)

    @classmethod
    def from_estimators(
        cls, estimators: Any, *, ax: Any = None, name: str | None = None
    ) -> TrainingDisplay:
        """Draw several fits in one picture: folds, seeds, models or the members of an ensemble.

        Parameters
        ----------
        estimators : mapping of str to estimator, sequence of estimators, or fitted ensemble
            Fitted estimators as for :meth:`from_estimator`, such as
            ``cross_validate(..., return_estimator=True)["estimator"]``. Members of an ensemble,
            such as VotingRegressor or BaggingRegressor, are its ``estimators_``. For the
            candidates of a search see :meth:`from_log`.
        ax : matplotlib Axes, default=None
            Axes of a grid of subplots, whose place the plots take. None: a new figure.
        name : str, default=None
            Title.

        Returns
        -------
        display : TrainingDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            An estimator does not end in a skattn regressor, a name is not a str, or ``ax`` is not
            an Axes.
        ValueError
            There are no estimators, or ``ax`` is not in a grid of subplots.
        sklearn.exceptions.NotFittedError
            An estimator is not fitted.
        """
        import_pyplot("TrainingDisplay")
        check_name(name)
        return cls._of_models(models_by_name(estimators, "TrainingDisplay"), name).plot(ax=ax)

    @classmethod
    def from_log(
        cls, log: Any, *, search: Any = None, ax: Any = None, name: str | None = None
    ) -> TrainingDisplay:
        """Draw what a :class:`sklearn.callback.ScoringMonitor` has logged of each epoch.

        A search throws away the candidates that it fits. A monitor on the regressor keeps the
        values of each candidate and fold, also where the search runs in several processes.

        Parameters
        ----------
        log : ScoringMonitor or ScoringMonitorLog
            Monitor of a skattn regressor, or one of the monitor's logs. Of a monitor the last run
            is taken. With ``scoring=epoch_values`` it keeps losses and learning rates; a score of
            scikit-learn's is that of the training rows.
        search : fitted search, default=None
            Search that the log was written in: its candidates name the fits. None: the fits are
            numbered, the refit among them.
        ax : matplotlib Axes, default=None
            Axes of a grid of subplots, whose place the plots take. None: a new figure.
        name : str, default=None
            Title.

        Returns
        -------
        display : TrainingDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            ``log`` is no monitor and no log, or ``ax`` is not an Axes.
        ValueError
            The log has no epochs or is of another search, or ``ax`` is not in a grid of subplots.

        Examples
        --------
        >>> from sklearn.callback import ScoringMonitor
        >>> from sklearn.model_selection import GridSearchCV
        >>> from sklearn.pipeline import make_pipeline
        >>> from skattn.datasets import make_market
        >>> from skattn.inspection import TrainingDisplay, epoch_values
        >>> from skattn.metrics import rank_ic_scorer
        >>> from skattn.model_selection import PurgedDailyKFold
        >>> from skattn.models import GRURegressor
        >>> from skattn.preprocessing import Alpha360, RobustZScore
        >>> market = make_market(n_stocks=5, n_days=80, random_state=0)
        >>> monitor = ScoringMonitor(scoring=epoch_values)
        >>> model = GRURegressor(hidden_size=4, max_epochs=2, random_state=0)
        >>> pipeline = make_pipeline(
        ...     Alpha360(length=5), RobustZScore(), model.set_callbacks(monitor)
        ... )
        >>> search = GridSearchCV(
        ...     pipeline,
        ...     {"gruregressor__lr": [0.001, 0.01]},
        ...     scoring=rank_ic_scorer,
        ...     cv=PurgedDailyKFold(2),
        ... )
        >>> search = search.fit(market.ohlcv, market.label)
        >>> display = TrainingDisplay.from_log(monitor, search=search)
        >>> list(display.history["fit"].unique())
        ['lr=0.001, fold 1', 'lr=0.001, fold 2', 'lr=0.01, fold 1', 'lr=0.01, fold 2', 'refit']
        """
        import_pyplot("TrainingDisplay")
        check_name(name)
        log = last_run(log)
        if not isinstance(log, ScoringMonitorLog):
            raise TypeError(
                f"log must be a sklearn.callback.ScoringMonitor or one of its logs; got "
                f"{shown(log)}."
            )
        return cls(history=table_of_log(log, search), name=name).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> TrainingDisplay:
        """Draw the fits.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes of a grid of subplots, whose place the plots take. None: a new figure.
            A figure with a layout, such as ``pyplot.subplots(layout="constrained")``, makes room
            for all labels.

        Returns
        -------
        display : TrainingDisplay
            This display.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            ``ax`` is not an Axes, or ``history`` is no such table.
        ValueError
            There is nothing to draw, or ``ax`` is not in a grid of subplots.
        """
        check_name(self.name)
        check_value("loss", self.loss, "str | None")
        values = self._values()
        figsize = (7.0, height_of(self.history, values))
        with axes_to_draw("TrainingDisplay", ax, figsize=figsize) as ax:
            self.ax_ = draw_fits(ax, self.history, values, loss=self.loss, title=self.name)
            self.figure_ = ax.figure
        return self

    @classmethod
    def _of_models(cls, models: dict[str, SequenceRegressor], name: str | None) -> TrainingDisplay:
        losses = {_loss_words(model) for model in models.values()}
        loss = losses.pop() if len(losses) == 1 else None
        return cls(history=table_of_fits(models), loss=loss, name=name)

    def _values(self) -> list[str]:
        """Check the table, and list the columns to draw."""
        table = self.history
        needed = [*KEYS, MARK]
        if not isinstance(table, pd.DataFrame) or not {*needed} <= {*table.columns}:
            got = list(table.columns) if isinstance(table, pd.DataFrame) else shown(table)
            raise InvalidParameterError(
                f"history must be a DataFrame with the columns {needed} and values by epoch, as "
                f"TrainingDisplay.from_estimator makes it; got {got}."
            )
        names = [name for name in table if name not in needed]
        check_number_columns("history", table, ["epoch", *names])
        twice = table[table.duplicated(KEYS)]
        if not twice.empty:
            raise InvalidParameterError(
                f"history must have one row for each epoch of a fit; got several for "
                f"{shown(twice[KEYS].iloc[0].to_dict())}."
            )
        if table["fit"].isna().any():
            raise InvalidParameterError("history must name the fit of each row; got missing names.")
        known = [name for name in names if np.isfinite(table[name].astype(float)).any()]
        if not known:
            raise ValueError("There is nothing to draw: history has no values.")
        return known


def _loss_words(model: SequenceRegressor) -> str | None:
    loss: Any = model.loss
    if isinstance(loss, str):
        return LOSS_WORDS.get(loss, loss)
    return getattr(loss, "__name__", type(loss).__name__)
