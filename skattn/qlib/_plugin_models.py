"""Translation of the settings of a class of qlib to the parameters of a plugin's model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from skattn.parameters import DeclaredParameters, Parameter, parameters_of
from skattn.qlib._models import TRAINING, WORKERS, Kwarg, find_file
from skattn.qlib._settings import Check, Section, number, one_of, or_none, whole

# Settings of training that mean the same in all of qlib's classes.
SHARED = {
    **TRAINING,
    "metric": Kwarg(
        "monitor",
        one_of({"": "valid_loss", "loss": "valid_loss", "mse": "valid_loss", "ic": "valid_ic"}),
        "",
    ),
    "reg": Kwarg("weight_decay", number, 0.0),
}


def make_from_plugin(
    regressor_class: Any,
    renamed: Mapping[str, str],
    kwargs: Section,
    folder: Path | None,
    stopping: dict[str, Any],
) -> tuple[Any, int | None]:
    """Make the unfitted regressor, and return d_feat, the number of features per step, with it.

    Parameters
    ----------
    regressor_class : type
        Class of the plugin's regressor.
    renamed : mapping of str to str
        Parameter of the regressor for each setting that has another name, as in
        ``ModelSpec.qlib_parameters``.
    kwargs : Section
        The settings. What they leave out has the defaults of the regressor, not of qlib.
    folder : Path or None
        Folder of the workflow, where files are searched, too.
    stopping : dict of str to object
        Parameters of early stopping; those that the regressor has are set.
    """
    declared = _declared(regressor_class)
    parameters = {name: value for name, value in stopping.items() if name in declared}
    # Where each parameter comes from: two settings must not set one parameter.
    settings: dict[str, object] = {}
    d_feat = None
    for key in kwargs.values:
        name, check = _meaning(key, renamed, declared, folder)
        if key == "d_feat":
            d_feat = kwargs.read(key, or_none(whole), into="features per step")
        elif name not in declared:
            meant = f"its ModelSpec(qlib_parameters=...) means {name!r}"
            kwargs.skip(
                key,
                WORKERS.get(key)
                or f"{regressor_class.__name__} has no such parameter"
                + (f": {meant}" if key in renamed else ""),
            )
        elif name in settings:
            raise ValueError(
                f"{kwargs.at(settings[name])} and {kwargs.at(key)} both set {name} of "
                f"{regressor_class.__name__}; leave one out."
            )
        else:
            settings[name] = key
            parameters[name] = _read(kwargs, key, name, check, declared[name])
    return regressor_class(**parameters), d_feat


def _declared(regressor_class: Any) -> dict[str, Parameter | None]:
    """Parameters by name; None where it is not declared what a value may be."""
    if issubclass(regressor_class, DeclaredParameters):
        return dict(parameters_of(regressor_class))
    return dict.fromkeys(regressor_class().get_params(deep=False))


def _meaning(
    key: Any, renamed: Mapping[str, str], declared: Mapping[str, Any], folder: Path | None
) -> tuple[Any, Check | None]:
    """Parameter that a setting sets, and the check of qlib's value where it has one of its own."""
    shared = SHARED.get(key)
    if key in renamed:
        name, check = renamed[key], None
    elif shared is not None and shared.parameter in declared:
        name, check = shared.parameter, shared.check
    else:
        name, check = ("pretrained" if key == "model_path" else key), None
    if name == "pretrained":
        check = or_none(partial(find_file, folder=folder))
    return name, check


def _read(
    kwargs: Section, key: str, name: str, check: Check | None, declared: Parameter | None
) -> Any:
    """Read a setting, and check its value as the regressor declares its parameter."""

    def spelt(value: Any) -> Any:
        """Spell a text as the declaration does, and read a number that YAML left as a text."""
        if declared is None or not isinstance(value, str):
            return value
        same = [allowed for allowed in declared.one_of if allowed.lower() == value.lower()]
        if not same and "float" in declared.kinds and declared.kinds.isdisjoint({"str", "object"}):
            return number(value)
        return same[0] if same else value

    value = kwargs.read(key, check or spelt, into=name)
    if declared is None:
        return value
    try:
        return declared.normalise(name, value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{kwargs.at(key)}: {error}") from None
