"""What one parameter may be, and the error where it is something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np

# Larger integers do not fit where torch and numpy count, larger floats not into float32.
LARGEST_INT = 2**31 - 1
LARGEST_FLOAT = float(np.finfo(np.float32).max)

KINDS = {"int", "float", "bool", "str", "None"}


class InvalidParameterError(ValueError, TypeError):
    """A parameter has a value that is not allowed."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What one parameter may be, and what it means.

    Parameters
    ----------
    kinds : frozenset of str
        Kinds of values: "int", "float", "bool", "str", "None", or "object" for others.
    at_least, above, at_most, below : float, default=None
        Bounds of numbers.
    one_of : tuple of str, default=()
        Texts that are allowed. Empty: any text.
    instance_of : tuple of type, default=()
        Classes of other values. Empty: any.
    words : str, default=""
        How other values are called in messages and documentation.
    check : callable, default=None
        Further check: takes a value and raises a ValueError or TypeError.
    doc : str, default=""
        Description.
    default : object
        Default, for the documentation.
    """

    kinds: frozenset[str]
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    one_of: tuple[str, ...] = ()
    instance_of: tuple[type, ...] = ()
    words: str = ""
    check: Callable[[Any], None] | None = None
    doc: str = ""
    default: Any = None

    def __post_init__(self) -> None:
        """Check that the bounds belong to a kind of value."""
        numbers = {
            name: bound
            for name in ("at_least", "above", "at_most", "below")
            if (bound := getattr(self, name)) is not None
        }
        if numbers and self.kinds.isdisjoint({"int", "float"}):
            raise TypeError(
                f"{', '.join(numbers)} bound numbers; the annotation needs int or float."
            )
        if self.one_of and "str" not in self.kinds:
            raise TypeError("one_of lists texts; the annotation needs str.")
        if "object" in self.kinds and not self.instance_of and (numbers or self.one_of):
            raise TypeError(
                "the annotation allows values of any kind, which no bound can hold for; say which "
                "with instance_of, or annotate with int, float, bool, str and None alone."
            )

    def normalise(self, name: str, value: Any, owner: str = "") -> Any:
        """Check a value, and make numpy's scalars plain Python values.

        Parameters
        ----------
        name : str
            The parameter's name, for the error's text.
        value : object
            What was given.
        owner : str, default=""
            Whose parameter it is, for the error's text.

        Returns
        -------
        value : object
            An int, float, bool, str or None, or the object itself.

        Raises
        ------
        InvalidParameterError
            The value is not allowed. The error is both a ValueError and a TypeError.
        """
        plain = value
        if isinstance(value, np.generic):
            # In nanoseconds, a duration of numpy would become a bare count.
            is_time = isinstance(value, np.timedelta64)
            plain = (value.astype("timedelta64[us]") if is_time else value).item()
        if not self._allows(plain):
            start = f"{owner}: {name}" if owner else name
            raise InvalidParameterError(
                f"{start} must be {self.allowed(plain)}; got {shown(value)}."
            )
        if self.check is not None:
            self.check(plain)
        if isinstance(plain, bool) or not isinstance(plain, Real):
            return plain
        if isinstance(plain, Integral) and "int" in self.kinds:
            return int(plain)
        return float(plain) if "float" in self.kinds else plain

    def _allows(self, value: Any) -> bool:
        if "object" in self.kinds and not self.instance_of:
            return True
        if value is None:
            return "None" in self.kinds
        if isinstance(value, bool):
            return "bool" in self.kinds
        if isinstance(value, str):
            return "str" in self.kinds and (not self.one_of or value in self.one_of)
        if isinstance(value, Integral) and not self.kinds.isdisjoint({"int", "float"}):
            return self._is_within(value, self._largest)
        if isinstance(value, Real) and "float" in self.kinds:
            return value == value and self._is_within(value, LARGEST_FLOAT)
        return "object" in self.kinds and isinstance(value, self.instance_of)

    @property
    def _largest(self) -> float:
        """The bound of whole numbers, where no other is declared."""
        return LARGEST_INT if "int" in self.kinds else LARGEST_FLOAT

    @property
    def _words(self) -> str:
        """How values of other kinds are called."""
        return self.words or f"a {' or '.join(kind.__name__ for kind in self.instance_of)}"

    def _is_within(self, value: Any, largest: float) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and value <= (largest if self.at_most is None else self.at_most)
            and value >= -largest
        )

    def allowed(self, got: Any = None) -> str:
        """Say in words what is allowed."""
        parts = []
        if "int" in self.kinds or "float" in self.kinds:
            number = "an int" if "int" in self.kinds else "a float"
            parts.append(number + self._range(got))
        if "bool" in self.kinds:
            parts.append("a bool")
        if "str" in self.kinds:
            names = ", ".join(map(repr, self.one_of))
            parts.append(f"one of {names}" if len(self.one_of) > 1 else names or "a str")
        if "object" in self.kinds:
            parts.append(self._words)
        if "None" in self.kinds:
            parts.append("None")
        return " or ".join(parts)

    def _range(self, got: Any) -> str:
        texts = [
            f"{words} {bound:,}" if isinstance(bound, int) else f"{words} {bound:g}"
            for words, bound in (
                ("of at least", self.at_least),
                ("above", self.above),
                ("at most", self._shown_limit(got)),
                ("below", self.below),
            )
            if bound is not None
        ]
        return f" {' and '.join(texts)}" if texts else ""

    def _shown_limit(self, got: Any) -> float | None:
        """Upper bound, the general one where a value exceeds it."""
        is_number = isinstance(got, Real) and not isinstance(got, bool)
        if self.at_most is None and is_number and abs(got) > self._largest:
            return self._largest
        return self.at_most

    def kind_line(self) -> str:
        """Describe the allowed values as numpydoc does, with the default."""
        parts = []
        if self.one_of:
            parts.append("{" + ", ".join(f'"{name}"' for name in self.one_of) + "}")
        elif "str" in self.kinds:
            parts.append("str")
        for kind in ("int", "float"):
            if kind in self.kinds:
                parts.append(kind + self._interval())
        if "bool" in self.kinds:
            parts.append("bool")
        if "object" in self.kinds:
            parts.append(re.sub(r"^an? ", "", self._words))
        if "None" in self.kinds:
            parts.append("None")
        kinds = " or ".join(filter(None, parts)) or "object"
        if self.default is MISSING:
            return kinds
        default = f'"{self.default}"' if isinstance(self.default, str) else repr(self.default)
        return f"{kinds}, default={default}"

    def _interval(self) -> str:
        lower, upper = self.at_least, self.at_most
        if upper is None and self.below is None:
            if lower is not None:
                return f" >= {lower}"
            return "" if self.above is None else f" > {self.above}"
        above = "-inf" if self.above is None else self.above
        left = f"({above}" if lower is None else f"[{lower}"
        right = f"{self.below})" if upper is None else f"{upper}]"
        return f" in {left}, {right}"


def kinds_of(annotation: Any) -> frozenset[str]:
    """Read the kinds of values that an annotation allows; postponed annotations are text.

    Parameters
    ----------
    annotation : object
        A type, a union of types, or the text of one.

    Returns
    -------
    kinds : frozenset of str
        "int", "float", "bool", "str", "None", or "object" for everything else.
    """
    if not isinstance(annotation, str):
        origin = get_origin(annotation)
        if origin is Union or origin is UnionType:
            return frozenset().union(*map(kinds_of, get_args(annotation)))
        if origin is Annotated:
            return kinds_of(get_args(annotation)[0])
        annotation = getattr(annotation, "__name__", str(annotation))
        annotation = annotation.replace("NoneType", "None")
    text = annotation.strip("'\" ")
    while text != (shorter := _without_brackets(text)):
        text = shorter
    names = {part.strip() for part in text.split("|")}
    return frozenset(name if name in KINDS else "object" for name in names)


def _without_brackets(text: str) -> str:
    """Write Optional and Union with bars, and drop other brackets, innermost first."""
    text = re.sub(r"\b(?:typing\.)?Optional\[([^\[\]]*)\]", r"\1 | None", text)
    text = re.sub(
        r"\b(?:typing\.)?Union\[([^\[\]]*)\]", lambda found: found[1].replace(",", "|"), text
    )
    return re.sub(r"\[[^\[\]]*\]", "", text)


def check_value(name: str, value: Any, kind: str, **bounds: Any) -> Any:
    """Check one argument of a function as a declared parameter is checked.

    Parameters
    ----------
    name : str
        The argument's name.
    value : object
        What was given.
    kind : str
        What an annotation would say, such as "int" or "int | None".
    **bounds
        As for :func:`parameter`.

    Returns
    -------
    value : object
        Numpy's scalars as plain values.

    Raises
    ------
    InvalidParameterError
        The value is not allowed. The error is both a ValueError and a TypeError.

    Examples
    --------
    >>> from skattn.parameters import check_value
    >>> check_value("n_splits", 5, "int", at_least=2)
    5
    >>> check_value("n_splits", 1, "int", at_least=2)
    Traceback (most recent call last):
        ...
    skattn...InvalidParameterError: n_splits must be an int of at least 2; got 1.
    """
    return Parameter(kinds=kinds_of(kind), **bounds).normalise(name, value)


def shown(value: Any, most: int = 200) -> str:
    """Show a value in an error's text, however long or broken its repr is."""
    try:
        text = repr(value)
    except Exception:
        return f"a {type(value).__name__}"
    # An estimator's repr is broken into lines.
    text = re.sub(r"\s*\n\s*", " ", text)
    return text if len(text) <= most else f"{text[:most]}..."
