"""Groups of the inputs that are permuted together: fields x runs of lags, or columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skattn.parameters import InvalidParameterError, check_value, shown

RUNS = 6


@dataclass(frozen=True, eq=False)
class Group:
    """Inputs that are permuted together.

    Parameters
    ----------
    name : str
        Name of the group.
    field : str
        The field, or the fields with commas between them.
    lags : str
        The lags, such as "4-7"; "" where the inputs are columns.
    cells : ndarray of int
        Numbers of the inputs: ``step * F + field`` of windows, numbers of columns.
    """

    name: Any
    field: Any
    lags: str
    cells: np.ndarray


def make_groups(groups: Any, fields: tuple[Any, ...], n_steps: int | None) -> list[Group]:
    """Read what a user passes as ``groups``.

    Parameters
    ----------
    groups : None, int, "fields", "lags" or mapping
        As for ``permutation_importance``.
    fields : tuple
        Names of the fields, or of the columns.
    n_steps : int or None
        Steps of the windows; None for columns.

    Raises
    ------
    ValueError
        The groups name unknown fields or lags, are empty, or are of another kind.
    """
    if isinstance(groups, Mapping):
        return _of_mapping(groups, fields, n_steps)
    check_value("groups", groups, "int | str | None", one_of=("fields", "lags"), at_least=1)
    if n_steps is None:
        if groups not in (None, "fields"):
            raise ValueError(
                f"groups must be None or a mapping of names to lists of columns, because the model "
                f"reads a table whose columns have no lags; got {shown(groups)}."
            )
        return [Group(name, name, "", np.array([i])) for i, name in enumerate(fields)]
    if isinstance(groups, int) and groups > n_steps:
        raise ValueError(
            f"groups={groups} runs of lags are more than the {n_steps} lags of the windows."
        )
    everywhere = np.arange(n_steps)
    if groups == "fields":
        return [_group(str(f), [(i, everywhere)], fields, n_steps) for i, f in enumerate(fields)]
    runs = lag_runs(n_steps, groups if isinstance(groups, int) else min(RUNS, n_steps))
    if groups == "lags":
        every = range(len(fields))
        return [_group(f"lag {span(r)}", [(i, r) for i in every], fields, n_steps) for r in runs]
    return [
        _group(f"{field} {span(run)}", [(i, run)], fields, n_steps)
        for i, field in enumerate(fields)
        for run in runs
    ]


def lag_runs(n_steps: int, n_runs: int) -> list[np.ndarray]:
    """Cut the lags 0 to T - 1 into runs whose lengths grow by about the same factor.

    >>> [span(run) for run in lag_runs(60, 6)]
    ['0-1', '2-3', '4-7', '8-14', '15-29', '30-59']
    """
    number = np.arange(1, n_runs + 1)
    edges = np.round(n_steps ** (number / n_runs)).astype(int)
    edges = np.maximum.accumulate(edges - number) + number
    return np.split(np.arange(n_steps), edges[:-1])


def span(lags: np.ndarray) -> str:
    """Write lags as runs: "0", "4-7" or "0,5-6"."""
    lags = np.unique(lags)
    runs = np.split(lags, np.flatnonzero(np.diff(lags) > 1) + 1)
    return ",".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


def _group(name: Any, parts: list, fields: tuple[Any, ...], n_steps: int) -> Group:
    cells = [(n_steps - 1 - lags) * len(fields) + field for field, lags in parts]
    named = dict.fromkeys(str(fields[field]) for field, _ in parts)
    lags = np.concatenate([lags for _, lags in parts])
    return Group(name, ", ".join(named), span(lags), np.unique(np.concatenate(cells)))


def _of_mapping(groups: Mapping, fields: tuple[Any, ...], n_steps: int | None) -> list[Group]:
    if not groups:
        raise ValueError("groups is empty: it must name at least one group.")
    made = []
    for name, members in groups.items():
        if not isinstance(name, str):
            raise InvalidParameterError(f"groups must map names to lists; got {shown(name)}.")
        where = f"groups[{name!r}]"
        if not isinstance(members, (list, tuple)):
            raise InvalidParameterError(f"{where} must be a list; got {shown(members)}.")
        if not members:
            raise ValueError(f"{where} is empty: a group has at least one input.")
        if n_steps is None:
            numbers = [_number_of(where, each, fields, "column") for each in members]
            columns = ", ".join(str(fields[number]) for number in dict.fromkeys(numbers))
            made.append(Group(name, columns, "", np.unique(numbers)))
        else:
            parts = [_read_part(where, each, fields, n_steps) for each in members]
            made.append(_group(name, parts, fields, n_steps))
    return made


def _read_part(where: str, part: Any, fields: tuple, n_steps: int) -> tuple[int, np.ndarray]:
    """Read a pair (field, lags)."""
    if not isinstance(part, tuple) or len(part) != 2:
        raise InvalidParameterError(
            f'{where} must hold pairs (field, lags), such as ("{fields[0]}", 0), '
            f'("{fields[0]}", range(5)) or ("{fields[0]}", slice(None)); got {shown(part)}.'
        )
    field, lags = part
    number = _number_of(where, field, fields, "field")
    try:
        found = np.arange(n_steps)[lags] if isinstance(lags, slice) else np.array(lags, ndmin=1)
    except (TypeError, ValueError, IndexError):
        found = np.array([np.nan])
    if found.ndim != 1 or found.dtype.kind not in "iu" or len(found) == 0:
        raise InvalidParameterError(
            f"{where}: the lags of {shown(field)} must be an int, a range, a slice or a list of "
            f"ints, at least one of them; got {shown(lags)}."
        )
    if found.min() < 0 or found.max() >= n_steps:
        raise ValueError(
            f"{where}: lags are steps back, 0 (the latest) to {n_steps - 1}; got {shown(lags)}."
        )
    return number, found


def _number_of(where: str, name: Any, fields: tuple, what: str) -> int:
    for number, field in enumerate(fields):
        if isinstance(name, (str, int, tuple)) and field == name:
            return number
    known = ", ".join(map(str, fields[:10])) + (", ..." if len(fields) > 10 else "")
    raise ValueError(f"{where}: there is no {what} {shown(name)}. The {what}s are {known}.")
