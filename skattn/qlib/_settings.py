"""Reading settings so that none is lost: what became of each key of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import pandas as pd

from skattn.panel import read_day

REQUIRED = object()
# A workflow has about a hundred keys, not 10 deep; aliases of aliases soon make millions.
MAX_KEYS = 10_000
MAX_DEPTH = 50

Check = Callable[[Any], Any]


class ExpectedError(TypeError):
    """A value is of the wrong kind; the text says what is allowed."""


@dataclass
class Ledger:
    """What became of each key, by its dotted path."""

    translated: dict[str, str] = field(default_factory=dict)
    untranslated: dict[str, str] = field(default_factory=dict)


class Section:
    """A mapping among the settings, and its place there.

    Parameters
    ----------
    path : str
        Its dotted path; empty for the whole.
    values : mapping
        The settings.
    ledger : Ledger
        Where it is written what became of them.
    """

    def __init__(self, path: str, values: Mapping, ledger: Ledger) -> None:
        self.path = path
        self.values = values
        self.ledger = ledger

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def at(self, key: object) -> str:
        """Dotted path of a key."""
        return f"{self.path}.{key}" if self.path else str(key)

    def read(self, key: str, check: Check, default: Any = REQUIRED, into: str = "") -> Any:
        """Read a key, check it, and write down that it is translated.

        Raises
        ------
        TypeError, ValueError
            It is missing without a default, or not what ``check`` allows.
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
            raise TypeError(f"{self.at(key)} must be {error}; got {value!r}.") from None
        except ValueError as error:
            raise ValueError(f"{self.at(key)} must be {error}; got {value!r}.") from None
        if key in self.values:
            self.done(key, f"{into}={value!r}" if into else "read")
        return value

    def section(self, key: str, default: Any = REQUIRED) -> Section:
        """Read a key that holds a mapping."""
        if key not in self.values and default is REQUIRED:
            raise self._missing(key)
        values = self.values.get(key, default)
        if values is None and default is not REQUIRED:
            values = default
        if not isinstance(values, Mapping):
            raise TypeError(f"{self.at(key)} must be a mapping; got {values!r}.")
        if not values and key in self.values:
            self.done(key, "nothing to translate")
        return Section(self.at(key), values, self.ledger)

    def _missing(self, key: str) -> ValueError:
        known = ", ".join(map(str, self.values)) or "nothing"
        return ValueError(f"{self.at(key)} is missing; {self.path or 'the workflow'} has {known}.")

    def done(self, key: object, became: str) -> None:
        """Write down what a key became, with all that is under it."""
        for path, _ in leaves(self.values.get(key), self.at(key)):
            self.ledger.untranslated.pop(path, None)
            self.ledger.translated[path] = became

    def skip(self, key: object, why: str) -> None:
        """Write down why a key is not translated, with all that is under it.

        It need not be there: what qlib does by default may be what is not translated.
        """
        for path, _ in leaves(self.values.get(key), self.at(key)):
            self.ledger.translated.pop(path, None)
            self.ledger.untranslated[path] = why

    def skip_rest(self, why: str) -> None:
        """Write down why all keys that are not yet told are not translated."""
        for key, value in self.values.items():
            for path, _ in leaves(value, self.at(key)):
                if path not in self.ledger.translated:
                    self.ledger.untranslated.setdefault(path, why)


def leaves(value: Any, path: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Give all keys that hold no mapping, nor a list of them, by dotted path.

    Examples
    --------
    >>> from skattn.qlib._settings import leaves
    >>> dict(leaves({"a": {"b": 1}, "c": [{"d": [2, 3]}, {}]}))
    {'a.b': 1, 'c.0.d': [2, 3], 'c.1': {}}
    """
    if id(value) in above:
        raise ValueError(f"{path} contains itself, through an anchor.")
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
    """Check for a number; texts such as "1e-3" are numbers, as yaml.safe_load makes them."""
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
    """Check for the first day of a span; a text such as "2008" is all its days."""
    try:
        return read_day("", value, last=last)
    except ValueError:
        raise ExpectedError("a day such as 2008-01-01") from None


def last_day(value: Any) -> pd.Timestamp:
    """Check for the last day of a span."""
    return first_day(value, last=True)


def check_size(name: str, values: Mapping) -> None:
    """Raise where the settings are more than any workflow has: nothing else needs to then."""
    try:
        if any(i >= MAX_KEYS for i, _ in enumerate(leaves(values))):
            raise ValueError(f"more than {MAX_KEYS} keys, aliases written out.")
    except ValueError as error:
        raise ValueError(f"{name} is no workflow: {error}") from None


def or_none(check: Check) -> Check:
    """Let None pass."""
    return lambda value: None if value is None else check(value)


def one_of(allowed: Mapping[Any, Any]) -> Check:
    """Check for one of some texts (in any case), and give what each stands for."""

    def check(value: Any) -> Any:
        key = value.lower() if isinstance(value, str) else value
        if not isinstance(key, str) or key not in allowed:
            raise ValueError(f"one of {sorted(allowed)}")
        return allowed[key]

    return check
