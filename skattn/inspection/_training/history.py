"""What fits record by epoch, as one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.callback import ScoringMonitor, ScoringMonitorLog

from skattn.base import SequenceRegressor
from skattn.inspection._fitted import fitted_model
from skattn.parameters import check_value, shown, summed_up
from skattn.training import MONITORS, best_epoch

# Columns of the table that are no values, in their order around the values.
KEYS, MARK = ["fit", "epoch"], "is_best"
LOSSES = ["train_loss", "valid_loss"]
SCORES = [name for name in MONITORS if name not in LOSSES]


def epoch_values(estimator: Any, X: Any = None, y: Any = None) -> dict[str, float]:
    """Give what the last epoch of a fit has recorded: losses, monitored score, learning rate.

    It is a ``scoring`` for :class:`sklearn.callback.ScoringMonitor`: a search throws its candidates
    away, and a monitor on the regressor keeps their values by epoch. No rows are predicted.

    Parameters
    ----------
    estimator : skattn regressor, Pipeline, search, CrossSectionalTarget or LearntConcepts
        Fitted estimator.
    X, y : object
        Not used; present because scikit-learn passes them.

    Returns
    -------
    values : dict of str to float
        ``epoch``, ``train_loss``, ``valid_loss``, ``valid_ic`` or ``valid_rank_ic``, and ``lr``,
        as far as the fit has them.

    Raises
    ------
    TypeError
        The estimator does not end in a skattn regressor.
    sklearn.exceptions.NotFittedError
        The estimator is not fitted.

    See Also
    --------
    TrainingDisplay.from_log : The picture of the values.

    Examples
    --------
    >>> from skattn.datasets import make_market
    >>> from skattn.inspection import epoch_values
    >>> from skattn.models import GRURegressor
    >>> from skattn.preprocessing import Alpha360, RobustZScore
    >>> market = make_market(n_stocks=5, n_days=60, random_state=0)
    >>> X = RobustZScore().fit_transform(Alpha360(length=5).fit_transform(market.ohlcv))
    >>> model = GRURegressor(hidden_size=4, max_epochs=2, random_state=0).fit(X, market.label)
    >>> sorted(epoch_values(model))
    ['epoch', 'lr', 'train_loss', 'valid_loss']
    """
    model = fitted_model(estimator, None, "epoch_values")[0]
    last = model.history_.iloc[-1]
    known = [name for name in (*LOSSES, *SCORES, "lr") if name in last]
    return {"epoch": float(last.name), **{name: float(last[name]) for name in known}}


def table_of_fits(models: Mapping[str, SequenceRegressor]) -> pd.DataFrame:
    """Join the histories of fitted regressors."""
    parts = []
    for name, model in models.items():
        history = model.history_
        columns = [name for name in (*LOSSES, *SCORES, "lr") if name in history]
        if "lr" not in columns and "event_lr" in history:
            # Fits of older versions have the learning rate where skorch's LRScheduler wrote it.
            history, columns = history.rename(columns={"event_lr": "lr"}), [*columns, "lr"]
        part = history[columns].astype(float).reset_index()
        part.insert(0, "fit", name)
        part[MARK] = part["epoch"] == best_epoch(history, model.monitor)
        parts.append(part)
    return _in_order(pd.concat(parts, ignore_index=True))


NO_EPOCHS = (
    "log has no epochs: set the ScoringMonitor on the skattn regressor, with "
    "regressor.set_callbacks(monitor), before the pipeline or the search is fitted."
)


def last_run(log: Any) -> Any:
    """Give the last log of a monitor; anything else as it is."""
    if not isinstance(log, ScoringMonitor):
        return log
    try:
        return log.get_logs()
    except ValueError as error:
        raise ValueError(NO_EPOCHS) from error


def table_of_log(log: ScoringMonitorLog, search: Any) -> pd.DataFrame:
    """Make a table of what a ScoringMonitor has logged of each epoch."""
    rows = [row for row in log.data if row["task_name"] == "epoch"]
    if not rows:
        raise ValueError(NO_EPOCHS)
    paths = sorted({row["parent_task_id_path"] for row in rows})
    names = dict(zip(paths, _names_of_fits(paths, log, search), strict=True))
    places = set(ScoringMonitorLog.__annotations__) | {
        "task_id_path",
        "parent_task_id_path",
        "task_name",
        "task_id",
        "sequential_subtasks",
    }
    table = pd.DataFrame(
        {
            "fit": names[row["parent_task_id_path"]],
            "epoch": row["task_id"] + 1,
            **{name: value for name, value in row.items() if name not in places},
        }
        for row in rows
    )
    table["epoch"] = table["epoch"].astype(int)
    table = table.sort_values(KEYS, key=_by_first_seen(list(names.values())), ignore_index=True)
    table[MARK] = False
    watched = next((name for name in (*SCORES, "valid_loss") if name in table), None)
    if watched is not None:
        for _, fit in table.groupby("fit", sort=False):
            best = best_epoch(fit.set_index("epoch"), watched)
            table.loc[fit.index, MARK] = fit["epoch"] == best
    return _in_order(table)


def check_name(name: Any) -> None:
    """Raise if a name is no text, or text that pandas and matplotlib cannot write."""
    check_value("name", name, "str | None")
    try:
        (name or "").encode()
    except UnicodeEncodeError:
        raise ValueError(f"name must be text that can be written as UTF-8; got {name!r}.") from None


def models_by_name(estimators: Any, caller: str) -> dict[str, SequenceRegressor]:
    """Find the fitted regressors of a mapping, a sequence or an ensemble."""
    members = _members(estimators)
    if isinstance(members, Mapping):
        named: Iterable[tuple[Any, Any]] = members.items()
    elif _is_sequence(members):
        named = ((f"fit {number}", each) for number, each in enumerate(members, start=1))
    else:
        raise TypeError(
            f"estimators must be a mapping of names to fitted estimators, a sequence of fitted "
            f"estimators or a fitted ensemble such as VotingRegressor; got {shown(estimators)}."
        )
    models = {}
    for name, estimator in named:
        if not isinstance(name, str):
            raise TypeError(f"estimators must have names that are str; got {shown(name)}.")
        check_name(name)
        try:
            models[name] = fitted_model(estimator, None, caller)[0]
        except TypeError as error:
            raise TypeError(f"estimators: {name!r} cannot be drawn. {error}") from error
    if not models:
        raise ValueError("estimators is empty: give one fitted estimator or more.")
    return models


def _is_sequence(members: Any) -> bool:
    if isinstance(members, np.ndarray):
        return members.ndim == 1
    return isinstance(members, Sequence) and not isinstance(members, (str, bytes))


def _members(estimators: Any) -> Any:
    """Give the members of a fitted ensemble; anything else as it is."""
    named = getattr(estimators, "named_estimators_", None)
    if isinstance(named, Mapping):
        return {name: each for name, each in named.items() if not isinstance(each, str)}
    return getattr(estimators, "estimators_", estimators)


def _names_of_fits(
    paths: Sequence[tuple[int, ...]], log: ScoringMonitorLog, search: Any
) -> list[str]:
    if search is None:
        if len(paths) == 1:
            return [log.estimator_name]
        return [f"fit {number}" for number in range(1, len(paths) + 1)]
    candidates = getattr(search, "cv_results_", {}).get("params", [])
    n_splits = getattr(search, "n_splits_", 0)
    # Number of the first candidate of each round of a halving search.
    firsts = np.cumsum([0, *getattr(search, "n_candidates_", [])])
    is_halving = hasattr(search, "n_candidates_")
    names = []
    for path in paths:
        # The path of a fit: the run, its search (0) or its refit (1), then the places in these.
        if log.estimator_name != type(search).__name__:
            break
        if path[1:2] == (1,):
            names.append("refit")
            continue
        if len(path) < 3 + is_halving:
            break
        first = int(firsts[path[2]]) if is_halving and path[2] < len(firsts) else 0
        candidate, fold = divmod(path[2 + is_halving], max(n_splits, 1))
        if first + candidate >= len(candidates):
            break
        names.append(f"{_text_of(candidates[first + candidate])}, fold {fold + 1}")
    if len(names) < len(paths):
        raise ValueError(
            f"search must be the fitted search that the log was written in, a "
            f"{log.estimator_name}; got {shown(search)}."
        )
    return names


def _text_of(params: Mapping[str, Any]) -> str:
    """Write the parameters of a candidate, without the names of the steps that they belong to."""
    short = {name.rpartition("__")[2]: value for name, value in params.items()}
    if len(short) < len(params):
        short = dict(params)
    return ", ".join(f"{name}={shown(summed_up(value, name), 40)}" for name, value in short.items())


def _by_first_seen(names: list[str]) -> Any:
    places = {name: place for place, name in enumerate(names)}
    return lambda column: column.map(places) if column.name == "fit" else column


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    known = [name for name in (*LOSSES, *SCORES) if name in table]
    others = [name for name in table if name not in {*KEYS, *known, "lr", MARK}]
    return table[[*KEYS, *known, *others, *(["lr"] if "lr" in table else []), MARK]]
