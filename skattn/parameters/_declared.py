"""Classes whose annotated attributes are their parameters."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, dataclass_transform

from skattn.parameters._allowed import Parameter, kinds_of
from skattn.parameters._docstring import add_sections

_BOUNDS = "skattn bounds"


def parameter(
    default: Any,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    one_of: Sequence[str] = (),
    instance_of: type | tuple[type, ...] = (),
    words: str = "",
    check: Callable[[Any], None] | None = None,
    doc: str = "",
    positional: bool = False,
) -> Any:
    """Declare a parameter of a regressor, a transformer or a splitter.

    Its annotation says of what kind a value is: ``int``, ``float``, ``bool``, ``str``, ``None``,
    several of them with ``|``, or anything else, which ``instance_of`` bounds. Numpy's integers and
    floats are numbers, True is not a count, and numbers that torch cannot hold are refused.

    Parameters
    ----------
    default : object
        Default value.
    at_least, above, at_most, below : float, default=None
        Bounds of numbers: >=, >, <= and <.
    one_of : sequence of str, default=()
        Texts that are allowed. Empty: any text.
    instance_of : type or tuple of type, default=()
        Classes of values of another kind. Empty: any value.
    words : str, default=""
        How such values are called in messages, as in "a callable".
    check : callable, default=None
        Further check: takes a value and raises a ValueError or TypeError.
    doc : str, default=""
        Description, which a docstring without a section Parameters gets.
    positional : bool, default=False
        Whether the parameter may be given without its name.

    Returns
    -------
    field : dataclasses.Field

    Examples
    --------
    >>> from skattn import SequenceRegressor, parameter
    >>> class MyRegressor(SequenceRegressor):
    ...     hidden_size: int = parameter(64, at_least=1, doc="Size of the state.")
    ...     rnn: str = parameter("gru", one_of=("gru", "lstm"))
    ...     dropout: float = parameter(0.0, at_least=0, below=1)
    """
    if isinstance(one_of, str):
        raise TypeError(f"one_of must be a tuple of texts, such as ({one_of!r},); got {one_of!r}.")
    classes = instance_of if isinstance(instance_of, tuple) else (instance_of,)
    bounds = {
        "at_least": at_least,
        "above": above,
        "at_most": at_most,
        "below": below,
        "one_of": tuple(one_of),
        "instance_of": classes,
        "words": words,
        "check": check,
        "doc": inspect.cleandoc(doc),
    }
    return field(default=default, kw_only=not positional, metadata={_BOUNDS: bounds})


def parameters_of(cls: Any) -> Mapping[str, Parameter]:
    """List the declared parameters of a class, by name.

    Parameters
    ----------
    cls : type
        A subclass of DeclaredParameters.

    Returns
    -------
    parameters : dict of str to Parameter

    Examples
    --------
    >>> from skattn import GRURegressor
    >>> from skattn.parameters import parameters_of
    >>> parameters_of(GRURegressor)["lr"].allowed()
    'a float above 0'
    """
    return dict(cls._parameters)


def check_parameters(estimator: DeclaredParameters) -> dict[str, Any]:
    """Check every declared parameter of an estimator, as ``fit`` does first of all.

    Parameters
    ----------
    estimator : DeclaredParameters
        A transformer, a splitter or a regressor.

    Returns
    -------
    parameters : dict of str to object
        The values, with numpy's numbers as plain ones.

    Raises
    ------
    InvalidParameterError
        A value is not allowed. It is a ValueError and a TypeError.

    Examples
    --------
    >>> from skattn.parameters import check_parameters
    >>> from skattn.preprocessing import RollingWindow
    >>> check_parameters(RollingWindow(length=5))["length"]
    5
    """
    return estimator._checked_parameters()


@dataclass_transform()
class DeclaredParameters:
    """Base of classes whose annotated attributes are their parameters.

    A subclass gets an ``__init__`` that takes its own parameters and the inherited ones, by
    keyword unless declared ``positional``. A plain value for an inherited parameter, such as
    ``batch_size = 2048``, changes its default and nothing else, also in a class that is mixed in;
    ``parameter(...)`` declares it anew, with other bounds. A docstring without a section
    Parameters gets one, made of what is declared.
    """

    # Section Attributes of a docstring that has none.
    _attributes_doc: ClassVar[str] = ""
    # What parameters_of gives.
    _parameters: ClassVar[Mapping[str, Parameter]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _refuse_constructors(cls)
        _refuse_bare_parameters(cls)
        _refuse_misspelt_defaults(cls)
        _refuse_hidden_members(cls)
        _inherit_bounds(cls)
        text = cls.__dict__.get("__doc__")
        dataclass(kw_only=True, eq=False, repr=False)(cls)
        cls._parameters = {each.name: _read_field(cls, each) for each in fields(cls)}  # type: ignore[arg-type]
        cls.__doc__ = None if text is None else _with_sections(cls, inspect.cleandoc(text))

    def _checked_parameters(self) -> dict[str, Any]:
        """Check every parameter; give them with numpy's scalars as plain values.

        Raises
        ------
        InvalidParameterError
            A parameter has a value that is not allowed.
        """
        owner = type(self).__name__
        return {
            name: declared.normalise(name, getattr(self, name), owner)
            for name, declared in parameters_of(type(self)).items()
        }


def _read_field(cls: type, declared: Field) -> Parameter:
    """Read a field, and check that its default is allowed."""
    bounds = declared.metadata.get(_BOUNDS, {})
    try:
        read = Parameter(kinds=kinds_of(declared.type), default=declared.default, **bounds)
        if declared.default is not MISSING:
            read.normalise(declared.name, declared.default)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{cls.__name__}.{declared.name}: {error}") from error
    is_object = "object" in read.kinds and not read.instance_of and not read.words
    return replace(read, words=str(declared.type)) if is_object else read


def _refuse_constructors(cls: type) -> None:
    """Raise where a class, or a class that it mixes in, has a constructor of its own."""
    for base in cls.__mro__[:-1]:
        if "__init__" in base.__dict__ and "__dataclass_fields__" not in base.__dict__:
            owner = "" if base is cls else f", which {base.__name__} brings"
            raise TypeError(
                f"{cls.__name__} must not define __init__{owner}: the constructor is made of the "
                f"annotated attributes of the class, such as "
                f"`hidden_size: int = parameter(64, at_least=1)`, so that scikit-learn can clone "
                f"and search them. What follows from parameters belongs into fit or build_module."
            )


def _refuse_bare_parameters(cls: type) -> None:
    """Raise where a parameter has no annotation, or a default that instances would share."""
    annotated = _own_annotations(cls)
    for name, value in vars(cls).items():
        if isinstance(value, Field) and name not in annotated:
            raise TypeError(
                f"{cls.__name__}.{name} has no annotation, which says of what kind its values "
                f"are: write `{name}: int = parameter(...)`."
            )
        default = value.default if isinstance(value, Field) else value
        if "ClassVar" in str(annotated.get(name, "")):
            continue  # no parameter
        if name in annotated and isinstance(default, (list, dict, set)):
            raise TypeError(
                f"{cls.__name__}.{name} has the default {default!r}, which all instances would "
                f"share: use a tuple, or None."
            )


def _refuse_misspelt_defaults(cls: type) -> None:
    """Raise where a plain value has nearly the name of a parameter."""
    known = list(_inherited_fields(cls))
    annotated = _own_annotations(cls)
    for name, value in vars(cls).items():
        is_value = isinstance(value, (int, float, str, bool, type(None)))
        if is_value and name not in annotated and not name.startswith("_") and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            if close:
                raise TypeError(
                    f"{cls.__name__}.{name} is no parameter. Did you mean {close[0]!r}? (A "
                    f"parameter of its own has an annotation.)"
                )


def _refuse_hidden_members(cls: type) -> None:
    """Raise where a new parameter would hide a method or a fitted attribute."""
    known = _inherited_fields(cls)
    for name, value in vars(cls).items():
        if isinstance(value, Field) and name not in known:
            hidden = next((base for base in cls.__mro__[1:] if name in vars(base)), None)
            if hidden is not None or name.endswith("_"):
                what = "a fitted attribute" if hidden is None else f"{hidden.__name__}.{name}"
                raise TypeError(
                    f"{cls.__name__}.{name} must have another name: it would hide {what}."
                )


def _inherit_bounds(cls: type) -> None:
    """Let another default of an inherited parameter keep its bounds and its description.

    The default that counts is the first along the order in which Python looks attributes up.
    """
    by_dataclass = {
        name: known for base in reversed(cls.__mro__[1:]) for name, known in _own_fields(base)
    }
    for name, known in _inherited_fields(cls).items():
        value = next(vars(base)[name] for base in cls.__mro__ if name in vars(base))
        changes = name in vars(cls) or value is not by_dataclass[name].default
        if isinstance(value, Field) or not changes:
            continue
        if isinstance(value, (property, cached_property, classmethod, staticmethod)):
            raise TypeError(
                f"{cls.__name__}.{name} must not be a {type(value).__name__}: {name} is a "
                f"parameter, which stores a value."
            )
        annotations = {**_own_annotations(cls)}
        if "ClassVar" in str(annotations.get(name, "")):
            raise TypeError(f"{cls.__name__}.{name} must not be a ClassVar: it is a parameter.")
        cls.__annotations__ = {name: known.type, **annotations}
        setattr(cls, name, field(default=value, kw_only=known.kw_only, metadata=known.metadata))


def _inherited_fields(cls: type) -> dict[str, Field]:
    """Give the inherited fields that have a default, each from the class that declares it."""
    found: dict[str, Field] = {}
    for base in cls.__mro__[1:]:
        for name, known in _own_fields(base):
            if known.default is not MISSING and name in vars(base):
                found.setdefault(name, known)
    return found


def _own_annotations(cls: type) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(cls)


def _own_fields(cls: type) -> list[tuple[str, Field]]:
    if "__dataclass_fields__" not in cls.__dict__:
        return []
    return [(each.name, each) for each in fields(cls)]  # type: ignore[arg-type]


def _with_sections(cls: type, text: str) -> str:
    """Add what is declared to a docstring, a class's own parameters before the inherited ones."""
    known = parameters_of(cls)
    inherited = {name for base in cls.__mro__[1:] for name, _ in _own_fields(base)}
    names = [
        *(name for name in known if name not in inherited),
        *(n for n in known if n in inherited),
    ]
    return add_sections(text, {name: known[name] for name in names}, cls._attributes_doc)  # type: ignore[attr-defined]
