"""Parameters: declared with bounds and words, used, checked, and with defaults that work."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from skattn.base import CrossSectionalRegressor, SequenceRegressor
from skattn.parameters import MISSING, Parameter, parameters_of, shown
from skattn.testing._data import fitted, make_panel, small

NUMBERS = {"int", "float"}
PLAIN = (int, float, str, bool)


def check_parameters_are_declared(estimator: SequenceRegressor) -> None:
    """Look at the class: every setting is a parameter, with bounds and a description."""
    cls = type(estimator)
    known = parameters_of(cls)
    for base in cls.__mro__:
        if base in (SequenceRegressor, CrossSectionalRegressor) or not issubclass(
            base, SequenceRegressor
        ):
            continue
        for name, value in vars(base).items():
            forgotten = isinstance(value, PLAIN) and not name.startswith("_") and name not in known
            if forgotten:
                kind = type(value).__name__
                raise AssertionError(
                    f"{base.__name__}.{name} = {value!r} is no parameter: users cannot set it, and "
                    f"searches cannot vary it. Declare it with an annotation, "
                    f"`{name}: {kind} = parameter({value!r}, ...)`, or as a ClassVar within the "
                    f"module if it is no setting."
                )
    for name, declared in _own(cls).items():
        kinds, where = declared.kinds, f"{cls.__name__}.{name}"
        if declared.default is MISSING:
            raise AssertionError(
                f"{where} has no default: every parameter has one, so that "
                f"{cls.__name__}() can be made. Write parameter(default, ...)."
            )
        if not declared.doc:
            raise AssertionError(
                f"{where} has no description: write parameter(..., doc='What it means.')."
            )
        lower = declared.at_least is not None or declared.above is not None
        if kinds & NUMBERS and not lower and declared.check is None:
            raise AssertionError(
                f"{where} is a number without bounds: write parameter(..., at_least=1), above=0, "
                f"at_most=... or below=1, so that a slip is named and not trained on."
            )
        if "str" in kinds and not declared.one_of and declared.check is None:
            raise AssertionError(
                f"{where} takes any text: write parameter(..., one_of=('a', 'b')), or check=."
            )


def check_parameters_have_an_effect(estimator: SequenceRegressor) -> None:
    """Change each parameter of the class's own: the module or its predictions change."""
    cls, panel = type(estimator), make_panel()
    base, _ = fitted(estimator, panel)
    predicted = base.predict(panel.X)
    for name, declared in _own(cls).items():
        without = []
        for value in _other_values(declared, getattr(base, name)):
            try:
                changed, _ = fitted(estimator, panel, **{name: value})
            except ValueError:
                continue  # not beside the other parameters, as the error says
            same = _shapes(changed) == _shapes(base)
            if not same or not np.array_equal(changed.predict(panel.X), predicted):
                break
            without.append(value)
        else:
            if not without:
                continue
            raise AssertionError(
                f"{cls.__name__}.{name} has no effect: with {name}={shown(without[0])} in "
                f"place of {shown(getattr(base, name))}, a fit gives the same module and the same "
                f"bits. Give it to the module in build_module, as self.{name}, or take it away. "
                f"Where it counts only beside other parameters, name those in "
                f"parameters_for_checks."
            )


def check_defaults_work(estimator: SequenceRegressor) -> None:
    """Fit one epoch with the defaults, on short and long windows."""
    cls = type(estimator)
    # A model may refuse windows that are too short or narrow for it, where it says so.
    for n_steps, n_features in ((20, 32), (20, 6), (3, 1), (1, 1)):
        panel = make_panel(6, n_steps=n_steps, n_features=n_features)
        model = cls().set_params(max_epochs=1, early_stopping=False, device="cpu", random_state=0)
        try:
            predicted = model.fit(*panel).predict(panel.X[:3])
        except ValueError as error:
            says_so = any(word in str(error) for word in ("step", "field", "feature", "column"))
            if n_features < 32 and says_so:
                continue
            raise AssertionError(_does_not_work(cls, n_steps, n_features, error)) from error
        except Exception as error:
            raise AssertionError(_does_not_work(cls, n_steps, n_features, error)) from error
        if not np.isfinite(predicted).all():
            raise AssertionError(_does_not_work(cls, n_steps, n_features, "it predicts NaN"))


def _does_not_work(cls: type, n_steps: int, n_features: int, found: object) -> str:
    kind = f"{type(found).__name__}: " if isinstance(found, Exception) else ""
    return (
        f"{cls.__name__}() with its defaults does not work on windows of {n_steps} steps and "
        f"{n_features} fields: {kind}{found}. Let build_module use the n_steps and n_features that "
        f"it gets, for any numbers of them, or raise a ValueError that says how many steps or "
        f"features the model needs."
    )


def check_bad_values_are_named(estimator: SequenceRegressor) -> None:
    """Give each parameter values that it does not allow: the error names it."""
    cls, panel = type(estimator), make_panel(6)
    for name, declared in parameters_of(cls).items():
        for value in _bad_values(declared):
            model = small(estimator, **{"early_stopping": False, name: value})
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    model.fit(*panel)
            except (ValueError, TypeError) as error:
                if name in str(error):
                    continue
                found = f"raises {type(error).__name__}: {error}"
            except Exception as error:
                found = f"raises {type(error).__name__}: {error}"
            else:
                found = "raises nothing"
            raise AssertionError(
                f"{cls.__name__}({name}={shown(value)}).fit {found}. It must raise a ValueError or "
                f"TypeError that names {name}: give parameter({name!r}...) its bounds, and let "
                f"fit check them (SequenceRegressor's own fit does)."
            )


def _own(cls: type) -> Mapping[str, Parameter]:
    """Parameters that the class, and no base class of skattn, declares."""
    bases = CrossSectionalRegressor if issubclass(cls, CrossSectionalRegressor) else None
    inherited = parameters_of(bases or SequenceRegressor)
    return {name: each for name, each in parameters_of(cls).items() if name not in inherited}


def _other_values(declared: Parameter, value: Any) -> Iterator[Any]:
    """Values that a parameter allows besides the one that it has."""
    candidates: list[Any] = [text for text in declared.one_of if text != value]
    if "bool" in declared.kinds:
        candidates.append(not value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        whole = "int" in declared.kinds
        candidates += [value * 2, value + 1, value - 1] if whole else [0.5, value * 2, value / 2]
    for candidate in candidates:
        try:
            allowed = declared.normalise("value", candidate)
        except (ValueError, TypeError):
            continue
        if allowed != value:
            yield allowed


def _bad_values(declared: Parameter) -> list[Any]:
    """Values of each kind that a parameter does not allow."""
    candidates: list[Any] = ["no such value", float("nan"), -1e9, [1], object()]
    candidates += [bound for bound in (declared.above, declared.below) if bound is not None]
    if declared.at_least is not None:
        candidates.append(declared.at_least - 1)
    bad = []
    for candidate in candidates:
        try:
            declared.normalise("value", candidate)
        except (ValueError, TypeError):
            bad.append(candidate)
    return bad


def _shapes(model: SequenceRegressor) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.module_.state_dict().items()}


PARAMETERS = (
    check_parameters_are_declared,
    check_parameters_have_an_effect,
    check_defaults_work,
    check_bad_values_are_named,
)
