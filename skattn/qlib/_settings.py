"""Reader of settings that records the translation of each key of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import pandas as pd

from skattn.panel.internal import read_day
from skattn.parameters import shown

REQUIRED = object()
# A workflow has about a hundred keys and fewer than 10 levels. Nested aliases can make millions.
MAX_KEYS = 10_000
MAX_DEPTH = 50

Check = Callable[[Any], Any]


class ExpectedError(TypeError):
    """A value is of the wrong kind; the text says which values are allowed."""


@dataclass
class Ledger:
    """Record of the translation of each key, by dotted path."""

    translated: dict[str, str] = field(default_factory=dict)
    untranslated: dict[str, str] = field(default_factory=dict)


class Section:
    """A mapping within the settings, with its position.

    Parameters
    ----------
    path : str
        Dotted path of the mapping; empty for the whole workflow.
    values : mapping
        The settings.
    ledger : Ledger
        Record of the translation of the settings.
    """

    def __init__(self, path: str, values: Mapping, ledger: Ledger) -> None:
        self.path = path
        self.values = values
        self.ledger = ledger

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def at(self, key: object) -> str:
        """Give the dotted path of a key."""
        return f"{self.path}.{key}" if self.path else str(key)

    def read(self, key: str, check: Check, default: Any = REQUIRED, into: str = "") -> Any:
        """Read a key, check its value, and record the key as translated.

        Raises
        ------
        TypeError, ValueError
            The key is missing and has no default, or ``check`` rejects the value.
        """
        if key not in self.values:
            if default is REQUIRED:
                raise self._missing(key)
            value = default
        else:
            value = self.values[key]
        try:
            value = check(value)
        except ExpectedError as error:
            raise TypeError(f"{self.at(key)} must be {error}; got {shown(value)}.") from None
        except ValueError as error:
            raise ValueError(f"{self.at(key)} must be {error}; got {shown(value)}.") from None
        if key in self.values:
            self.done(key, f"{into}={shown(value)}" if into else "read")
        return value

    def section(self, key: str, default: Any = REQUIRED) -> Section:
        """Read a key that holds a mapping."""
        if key not in self.values and default is REQUIRED:
            raise self._missing(key)
        values = self.values.get(key, default)
        if values is None and default is not REQUIRED:
            values = default
        if not isinstance(values, Mapping):
            raise TypeError(f"{self.at(key)} must be a mapping; got {shown(values)}.")
        if not values and key in self.values:
            self.done(key, "nothing to translate")
        return Section(self.at(key), values, self.ledger)

    def _missing(self, key: str) -> ValueError:
        known = ", ".join(map(str, self.values)) or "nothing"
        return ValueError(f"{self.at(key)} is missing; {self.path or 'the workflow'} has {known}.")

    def done(self, key: object, became: str) -> None:
        """Record the translation of a key and of all keys below."""
        for path, _ in leaves(self.values.get(key), self.at(key)):
            self.ledger.untranslated.pop(path, None)
            self.ledger.translated[path] = became

    def skip(self, key: object, why: str) -> None:
        """Record why a key and all keys below are not translated.

        The key may be absent, because a default of qlib may be untranslated too.
        """
        for path, _ in leaves(self.values.get(key), self.at(key)):
            self.ledger.translated.pop(path, None)
            self.ledger.untranslated[path] = why

    def skip_rest(self, why: str) -> None:
        """Record why all keys without a record are not translated."""
        for key, value in self.values.items():
            for path, _ in leaves(value, self.at(key)):
                if path not in self.ledger.translated:
                    self.ledger.untranslated.setdefault(path, why)


def leaves(value: Any, path: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield the innermost keys and their values, by dotted path.

    Examples
    --------
    >>> from skattn.qlib._settings import leaves
    >>> dict(leaves({"a": {"b": 1}, "c": [{"d": [2, 3]}, {}]}))
    {'a.b': 1, 'c.0.d': [2, 3], 'c.1': {}}
    """
    if id(value) in above:
        raise ValueError(f"{path} contains itself through an anchor.")
    if len(above) > MAX_DEPTH:
        raise ValueError(f"{path} is more than {MAX_DEPTH} levels deep.")
    nested = (Mapping, list, tuple)
    if isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, nested) and any(isinstance(part, nested) for part in value):
        parts = list(enumerate(value))
    else:
        parts = []
    if not parts:
        yield path, value
    for key, part in parts:
        yield from leaves(part, f"{path}.{key}" if path else str(key), (*above, id(value)))


def whole(value: Any) -> int:
    """Check for a whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ExpectedError("a whole number")
    return int(value)


def number(value: Any) -> float:
    """Check for a number; accept texts such as "1e-3", which yaml.safe_load leaves as text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ExpectedError("a number") from None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ExpectedError("a number")
    return float(value)


def text(value: Any) -> str:
    """Check for a text."""
    if not isinstance(value, str):
        raise ExpectedError("a text")
    return value


def flag(value: Any) -> bool:
    """Check for true or false."""
    if not isinstance(value, bool):
        raise ExpectedError("true or false")
    return value


def names(value: Any) -> list[str]:
    """Check for a list of texts."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        raise ExpectedError("a list of texts")
    return list(value)


def first_day(value: Any, *, last: bool = False) -> pd.Timestamp:
    """Check for the first day of a span; a text such as "2008" means all days of the year."""
    try:
        return read_day("", value, last=last)
    except ValueError:
        raise ExpectedError("a day such as 2008-01-01") from None


def last_day(value: Any) -> pd.Timestamp:
    """Check for the last day of a span."""
    return first_day(value, last=True)


def check_size(name: str, values: Mapping) -> None:
    """Raise if the settings are larger than any workflow, so that later code need not check."""
    try:
        if any(i >= MAX_KEYS for i, _ in enumerate(leaves(values))):
            raise ValueError(f"more than {MAX_KEYS} keys after expanding aliases.")
    except ValueError as error:
        raise ValueError(f"{name} is not a workflow: {error}") from None


def or_none(check: Check) -> Check:
    """Make a check that also accepts None."""
    return lambda value: None if value is None else check(value)


def one_of(allowed: Mapping[Any, Any]) -> Check:
    """Make a check for one of the given texts, in any case, that returns the mapped value."""

    def check(value: Any) -> Any:
        key = value.lower() if isinstance(value, str) else value
        if not isinstance(key, str) or key not in allowed:
            raise ValueError(f"one of {sorted(allowed)}")
        return allowed[key]

    return check
