"""Importance of fields and lags by permutation within the day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skattn.inspection._importance.groups import Group, make_groups
from skattn.inspection._importance.rows import ModelRows, count_rows
from skattn.inspection._importance.significance import mean_tests
from skattn.inspection._sampling import spread
from skattn.labels import check_labels, holding_days
from skattn.metrics import daily_ic
from skattn.parameters import check_value
from skattn.training import draw_seed

METHODS = {"rank_ic": "spearman", "ic": "pearson"}


def permutation_importance(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    scoring: str = "rank_ic",
    n_repeats: int = 1,
    max_samples: float = 10_000,
    random_state: Any = None,
    days: Any = None,
    instruments: Any = None,
) -> Bunch:
    """Measure how much of the daily (rank) IC is lost where inputs are permuted within the day.

    On each day, the stocks exchange the inputs of a group, such as the closes of lags 4 to 7. All
    inputs of the group move together, and no value leaves its day. What a field tells of the day
    as a whole therefore stays, and a field that is equal for all stocks of a day has importance 0.
    The inputs are those of the model: steps of a pipeline before the last are applied once.

    Parameters
    ----------
    estimator : regressor, Pipeline, search, CrossSectionalTarget or LearntConcepts
        Fitted. The model may be a skattn regressor or any other regressor that reads a table.
    X : input of the estimator's ``predict``, N rows
        Rows to score, best those that the estimator was not fitted on. Windows are gathered some
        days at a time, and never laid out as a whole.
    y : array-like of shape (N,)
        Labels; NaN means unlabelled. Unlabelled rows are left out, or context for a model that
        looks across the stocks of a day: there they exchange inputs, too.
    groups : None, int, {"fields", "lags"} or mapping, default=None
        What is permuted together.

        - None: each field in six runs of lags, or as many as there are lags. The recent runs are
          short: of 60 lags 0-1, 2-3, 4-7, 8-14, 15-29 and 30-59. Lag 0 is the latest step.
        - int: each field in so many runs of lags.
        - "fields": each field with all its lags.
        - "lags": each of the runs of lags, with all fields.
        - A mapping of names to lists of pairs ``(field, lags)``; lags are an int, a range, a slice
          or a list. Fields are the ``fields`` of a WindowArray, or x0, x1, ... of an array.

        A table has columns in place of fields and lags: None or "fields" takes each column by
        itself, a mapping has lists of columns.
    scoring : {"rank_ic", "ic"}, default="rank_ic"
        Correlation by day between predictions and labels.
    n_repeats : int, default=1
        Times that each group is permuted. The daily drops are averages over them.
    max_samples : int or float in (0, 1], default=10_000
        Number of rows, or share of the rows, that are scored: whole days, evenly spaced over time,
        at least one. Each group costs a prediction of all of them: by default, 36 groups take
        370,000 predictions, less than a minute for an ALSTM on two cores. The standard error tells
        what the sample leaves open.
    random_state : int, RandomState or None, default=None
        Seed. The order of a day depends on the seed, the day and the repeat alone: neither on the
        order of the rows of X (where the instruments are known) nor on the other groups and days.
    days, instruments : array-like of shape (N,), default=None
        Day and instrument of each row. None: from the index of X, else of y.

    Returns
    -------
    result : Bunch
        importances : ndarray of shape (n_groups, n_repeats)
            Mean drop of the daily IC.
        importances_mean, importances_std : ndarray of shape (n_groups,)
            Mean and standard deviation over the repeats.
        table : DataFrame
            A row for each group: ``field``, ``lags``, ``importance``, ``standard_error`` and ``t``
            (Newey and West, over the days), the two-sided ``p``, and ``p_holm``, which is corrected
            for the number of groups.
        daily : DataFrame of shape (n_days, n_groups)
            Drop of each scored day. NaN on days on which all predictions are equal.
        baseline : Series of shape (n_days,)
            IC of each scored day, nothing permuted.

    Raises
    ------
    TypeError
        ``estimator`` does not predict.
    ValueError
        The days are unknown, X and y have different rows, no day has two labelled stocks with
        different labels, the model predicts the same for all stocks of every day, the groups name
        unknown fields or lags or are empty, or a parameter is out of range.

    See Also
    --------
    integrated_gradients : Importance from the model's gradients, without labels.
    FeatureImportanceDisplay : Draws the importance beside the attention.
    sklearn.inspection.permutation_importance : The same over rows of all days, for 2-D X.

    Notes
    -----
    Days with fewer than two labelled stocks are not scored: one stock has nobody to exchange with.

    Where inputs are correlated, the model finds in one what it lost in the other: the drops of all
    groups then add up to less than the IC. Groups of correlated inputs tell more than single ones.

    If y tells its horizon of h days, as :func:`skattn.make_label` writes it, ``t`` and ``p`` take
    h - 1 neighbouring days for correlated; else the usual number of
    :func:`skattn.metrics.usual_lags`. Days that were not scored keep their place.

    References
    ----------
    L. Breiman (2001), "Random Forests", Machine Learning 45.
    S. Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal
    of Statistics 6.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn import ALSTMRegressor
    >>> from skattn.datasets import make_market
    >>> from skattn.inspection import permutation_importance
    >>> from skattn.preprocessing import Alpha360, RobustZScore
    >>> market = make_market(n_stocks=10, n_days=60, random_state=0)
    >>> model = ALSTMRegressor(hidden_size=4, max_epochs=1, random_state=0)
    >>> pipeline = make_pipeline(Alpha360(["close", "volume"], length=5), RobustZScore(), model)
    >>> pipeline = pipeline.fit(market.ohlcv, market.label)
    >>> result = permutation_importance(
    ...     pipeline, market.ohlcv, market.label, groups=2, random_state=0
    ... )
    >>> result.table[["field", "lags"]]
                 field lags
    group
    close 0-1    close  0-1
    close 2-4    close  2-4
    volume 0-1  volume  0-1
    volume 2-4  volume  2-4
    >>> result.daily.shape == (len(result.baseline), 4)
    True
    """
    method = METHODS[check_value("scoring", scoring, "str", one_of=tuple(METHODS))]
    n_repeats = check_value("n_repeats", n_repeats, "int", at_least=1)
    check_value("max_samples", max_samples, "int | float", above=0)
    seed = _read_seed(random_state)
    label = check_labels(y)
    rows = ModelRows(estimator, X, y, days=days, instruments=instruments)
    if len(label) != len(rows):
        raise ValueError(f"X has {len(rows)} rows, and y has {len(label)}.")
    made = make_groups(groups, rows.fields, rows.n_steps)
    scored = _days_to_score(rows, label)
    n_rows = sum(map(len, scored))
    scored = spread(scored, count_rows("max_samples", max_samples, n_rows))
    baseline, drops = [], []
    for chunk in rows.chunks(scored):
        ic, dropped = _drops_of(rows, chunk, label, made, method, n_repeats, seed)
        baseline.append(ic)
        drops.append(dropped)
    return _summarise(pd.concat(baseline), np.concatenate(drops), made, rows.days, holding_days(y))


def _read_seed(random_state: Any) -> int:
    """Check a seed, and draw the number that all orders of rows follow from."""
    check_value(
        "random_state",
        random_state,
        "int | RandomState | None",
        at_least=0,
        at_most=2**32 - 1,
        instance_of=(np.random.RandomState,),
    )
    return draw_seed(random_state)


def _days_to_score(rows: ModelRows, label: np.ndarray) -> list[np.ndarray]:
    """Give the rows of each day on which labels can be ranked."""
    labelled = ~np.isnan(label)
    taken = np.arange(len(rows)) if rows.whole_days else np.flatnonzero(labelled)
    days = [day for day in rows.by_day(taken) if len(np.unique(label[day][labelled[day]])) > 1]
    if not days:
        raise ValueError(
            "No day has two labelled stocks with different labels, so there is nothing to rank "
            "within a day. Pass days with more stocks, or check that y is not constant."
        )
    return days


def _drops_of(
    rows: ModelRows,
    days: list[np.ndarray],
    label: np.ndarray,
    groups: list[Group],
    method: Any,
    n_repeats: int,
    seed: int,
) -> tuple[pd.Series, np.ndarray]:
    """Score some days, and permute each group: the IC by day, and drops (day, group, repeat)."""
    numbers = np.concatenate(days)
    of_day = rows.days[numbers]
    gathered = rows.gather(numbers)

    def score() -> pd.Series:
        predicted = rows.predict(gathered, numbers)
        return daily_ic(label[numbers], predicted, days=of_day, method=method)

    ic = score()
    drops = np.empty((len(days), len(groups), n_repeats))
    for repeat in range(n_repeats):
        source = _order_within_days(days, of_day, seed, repeat)
        for place, group in enumerate(groups):
            with _permuted(gathered, group.cells, source):
                drops[:, place, repeat] = ic - score()
    return ic, drops


def _order_within_days(
    days: list[np.ndarray], of_day: pd.DatetimeIndex, seed: int, repeat: int
) -> np.ndarray:
    """Number the row whose inputs each row of a chunk gets."""
    first, orders = 0, []
    for rows in days:
        # The day's own number: which other days there are makes no difference.
        number = (of_day[first] - pd.Timestamp(0)).days % 2**32
        rng = np.random.default_rng([seed, number, repeat])
        orders.append(first + rng.permutation(len(rows)))
        first += len(rows)
    return np.concatenate(orders)


@contextmanager
def _permuted(gathered: Any, cells: np.ndarray, source: np.ndarray) -> Iterator[None]:
    """Give rows the cells of other rows, in place, and restore them afterwards."""
    if isinstance(gathered, pd.DataFrame):
        kept = {place: gathered.iloc[:, place].array for place in cells}
        for place, column in kept.items():
            gathered.isetitem(place, column.take(source))
        yield
        for place, column in kept.items():
            gathered.isetitem(place, column)
        return
    flat = gathered.reshape(len(gathered), -1)
    before = flat[:, cells]
    flat[:, cells] = before[source]
    yield
    flat[:, cells] = before


def _summarise(
    baseline: pd.Series,
    drops: np.ndarray,
    groups: list[Group],
    days: pd.DatetimeIndex,
    horizon: int | None,
) -> Bunch:
    if baseline.isna().all():
        raise ValueError(
            "estimator predicts the same for all stocks of every day that was scored, so that "
            "there is no IC to lose. Train the model longer, or check its input."
        )
    index = pd.Index([group.name for group in groups], name="group", tupleize_cols=False)
    # Where a permutation leaves all predictions of a day equal, the other repeats speak.
    daily = pd.DataFrame(_known_mean(drops, axis=2), baseline.index, index)
    importances = _known_mean(drops, axis=0)
    calendar = days.unique().sort_values()
    tests = mean_tests(daily.reindex(calendar), None if horizon is None else horizon - 1)
    table = pd.DataFrame(
        {"field": [g.field for g in groups], "lags": [g.lags for g in groups]}, index
    ).assign(importance=daily.mean(), **tests)
    return Bunch(
        importances=importances,
        importances_mean=importances.mean(axis=1),
        importances_std=importances.std(axis=1),
        table=table,
        daily=daily,
        baseline=baseline,
    )


def _known_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is not NaN; NaN where nothing is known."""
    with np.errstate(invalid="ignore"):
        return np.nansum(values, axis=axis) / np.count_nonzero(~np.isnan(values), axis=axis)
