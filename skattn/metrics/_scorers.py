"""Scorers of the daily scores, for ``scoring=`` in cross-validation and searches."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from inspect import signature
from typing import Any

# A scorer of make_scorer passes y_true and y_pred only. Here y may be a plain array, so the scorer
# also needs the index of X. Subclassing scikit-learn's scorer lets several metrics share one
# prediction; a scorer of another class would predict again for each metric.
from sklearn.metrics._scorer import _Scorer

from skattn.metrics._columns import chosen_column
from skattn.metrics._ic import ic_score, icir_score, rank_ic_score, rank_icir_score
from skattn.panel import align_y, days_of
from skattn.parameters import check_value, shown


class DailyScorer(_Scorer):
    """Scorer of predictions day by day; greater is better.

    Call it as ``scorer(estimator, X, y)``. Days come from the metadata ``days``, else from the
    index of X, else from the index of y. With scikit-learn's metadata routing enabled, the scorer
    requests ``days`` by default:
    ``cross_validate(..., scoring=ic_scorer, params={"days": days})``.

    Where a row has several labels, the score is the mean over their columns, and
    :meth:`of_column` makes the scorer of one of them:
    ``scoring={name: rank_ic_scorer.of_column(name) for name in y.columns}``.

    Parameters
    ----------
    score_func : callable
        Function ``score_func(y_true, y_pred, *, days)`` that returns a float.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from skattn.metrics import ic_scorer
    >>> days = pd.to_datetime(["2024-01-02"] * 3 + ["2024-01-03"] * 3)
    >>> index = pd.MultiIndex.from_arrays([days, list("ABCABC")], names=["datetime", "instrument"])
    >>> X = pd.DataFrame({"x": [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]}, index=index)
    >>> y = 2 * X["x"]
    >>> ic_scorer
    DailyScorer(ic_score)
    >>> round(ic_scorer(LinearRegression().fit(X, y), X, y), 6)
    1.0
    """

    __metadata_request__score = {"days": True}
    _column: str | int | None = None

    def __init__(self, score_func: Callable[..., float]) -> None:
        super().__init__(score_func, sign=1, kwargs={})

    def __call__(
        self,
        estimator: Any,
        X: Any,
        y_true: Any,
        sample_weight: Any = None,
        *,
        days: Any = None,
    ) -> float:
        """Score the predictions of a fitted estimator.

        Parameters
        ----------
        estimator : object
            A fitted regressor.
        X : DataFrame, WindowArray or array-like of n_samples rows
            Input of the prediction.
        y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels; NaN means unlabelled.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows within their day, for IC and ICIR. Ranks have no weights.
        days : array-like of dates, shape (n_samples,), default=None
            Trading day of each row. The days are also passed to ``estimator.predict`` if that
            method has a parameter ``days``, as in skattn's regressors. None: taken from the index
            of X, else of ``y_true``.

        Returns
        -------
        score : float

        Raises
        ------
        TypeError, ValueError
            As for :func:`daily_ic`; the estimator cannot predict; or X, y_true and days have
            different rows.
        """
        return self._score(
            _call_method, estimator, X, y_true, days=days, sample_weight=sample_weight
        )

    def _score(
        self,
        method_caller: Callable,
        estimator: Any,
        X: Any,
        y_true: Any,
        *,
        days: Any = None,
        sample_weight: Any = None,
    ) -> float:
        check_predicts(estimator)
        align_y(X, y_true)
        align_y(X, days, names=("X", "days"))
        known_days = days_of(days, X, y_true)
        estimator = with_days(estimator, days)
        beside = {"days": known_days}
        if sample_weight is not None:
            if "sample_weight" not in signature(self._score_func).parameters:
                raise ValueError(
                    f"sample_weight must be None for {self!r}: a rank correlation has no weights."
                )
            beside["sample_weight"] = sample_weight
        if self._column is None:
            return super()._score(method_caller, estimator, X, y_true, **beside)
        # The whole prediction is what scorers of several columns share.
        predicted = method_caller(estimator, "predict", X)
        label, predicted = chosen_column(y_true, predicted, self._column)
        return self._score_func(label, predicted, **beside)

    def of_column(self, column: str | int) -> DailyScorer:
        """Make the scorer of one column, where a row has several labels.

        Parameters
        ----------
        column : str or int
            Name of the column in y, or the column's number, from 0 on. Where y is a table with
            numbers as names, the name counts.

        Returns
        -------
        scorer : DailyScorer
            A copy of this scorer. Scorers of several columns share one prediction.

        Examples
        --------
        >>> from skattn.metrics import rank_ic_scorer
        >>> {name: rank_ic_scorer.of_column(name) for name in ("1d", "5d")}["5d"]
        DailyScorer(rank_ic_score, column='5d')
        """
        scorer = copy(self)
        scorer._column = check_value("column", column, "str | int", at_least=0)
        return scorer

    def set_score_request(self, **kwargs: bool | str | None) -> DailyScorer:
        """Make a scorer with another metadata request, and leave the shared scorer unchanged.

        Parameters
        ----------
        **kwargs : bool, str or None
            ``days=True`` (the default request), ``days=False``, or ``days="another_name"``.

        Returns
        -------
        scorer : DailyScorer
            A copy of this scorer with the new request.
        """
        return super(DailyScorer, copy(self)).set_score_request(**kwargs)

    def __repr__(self) -> str:
        column = "" if self._column is None else f", column={self._column!r}"
        return f"{type(self).__name__}({self._score_func.__name__}{column})"


class _WithDays:
    """A fitted estimator whose ``predict`` gets the days of its rows."""

    def __init__(self, estimator: Any, days: Any) -> None:
        self.estimator = estimator
        self.days = days

    def __getattr__(self, name: str) -> Any:
        return getattr(self.estimator, name)

    def predict(self, X: Any) -> Any:
        return self.estimator.predict(X, days=self.days)


def check_predicts(estimator: Any) -> None:
    """Raise if an estimator cannot predict; a class cannot."""
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise TypeError(f"estimator must have a method predict; got {shown(estimator)}.")


def with_days(estimator: Any, days: Any) -> Any:
    """Pass days, if given, to a ``predict`` that has a parameter ``days``."""
    if days is None or "days" not in signature(estimator.predict).parameters:
        return estimator
    return _WithDays(estimator, days)


def _call_method(estimator: Any, method: str, X: Any, **_: Any) -> Any:
    return getattr(estimator, method)(X)


ic_scorer = DailyScorer(ic_score)
icir_scorer = DailyScorer(icir_score)
rank_ic_scorer = DailyScorer(rank_ic_score)
rank_icir_scorer = DailyScorer(rank_icir_score)
