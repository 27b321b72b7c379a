"""``skattn info``."""

from __future__ import annotations

import inspect
from typing import Any

import click

from skattn.cli._models import model_fields
from skattn.cli._output import console, print_json, quiet, table, text
from skattn.plugins import InstalledModel, find_installed, get_model


def find(name: str) -> tuple[InstalledModel, type]:
    """Find a model and import its class, or end with what is wrong.

    Parameters
    ----------
    name : str
        Name of the model.

    Returns
    -------
    model : InstalledModel
    cls : type
        Class of the regressor.

    Raises
    ------
    click.BadParameter
        No model has this name.
    click.ClickException
        The model cannot be loaded.
    """
    try:
        with quiet():
            return find_installed(name), get_model(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    except (ImportError, TypeError) as error:
        raise click.ClickException(str(error)) from error


def show_info(name: str, as_json: bool) -> None:
    """Print what a model is, and its parameters."""
    model, cls = find(name)
    from skattn.parameters import shown

    known = model_fields(model)
    known["description"] = _description(cls)
    try:
        known["parameters"] = _parameters(cls)
    except Exception as error:  # a class that declares nothing may raise anything
        said = f"{model.source}: {cls.__name__} does not name its parameters: {error!r}"
        raise click.ClickException(said) from error
    if as_json:
        print_json(known)
        return
    out = console()
    out.print(text(model.name, "bold"), text(known["summary"]))
    out.print()
    lines = {
        "class": known["class"],
        "from": f"{model.distribution} {model.version}",
        "reference": known["reference"],
        "skattn": known["requires_skattn"],
        "stands for": ", ".join(known["qlib"]),
    }
    out.print(table(["", ""], [(text(key, "dim"), said) for key, said in lines.items() if said]))
    if known["description"]:
        out.print()
        for paragraph in known["description"].split("\n\n"):
            out.print(text(paragraph))
    for title, is_own in (("Parameters of its own", True), ("Training parameters", False)):
        rows = [
            (each["name"], shown(each["default"]), each["allowed"], _sentence(each["doc"]))
            for each in known["parameters"]
            if each["own"] is is_own
        ]
        if rows:
            out.print()
            out.print(text(title, "bold"))
            out.print(table(["name", "default", "allowed", "meaning"], rows))


def _description(cls: type) -> str:
    """The first paragraphs of a docstring, up to its sections."""
    lines = (inspect.getdoc(cls) or "").splitlines()
    sections = (i for i, line in enumerate(lines) if line and set(line) == {"-"})
    end = next(sections, len(lines) + 1) - 1
    return _plain("\n".join(lines[:end]).strip())


def _parameters(cls: type) -> list[dict[str, Any]]:
    """The parameters of a regressor: those of its own first."""
    from skattn.base import SequenceRegressor
    from skattn.parameters import DeclaredParameters, parameters_of

    if not issubclass(cls, DeclaredParameters):
        made: Any = cls()
        return [
            {"name": name, "default": value, "allowed": "", "doc": "", "own": True}
            for name, value in made.get_params(deep=False).items()
        ]
    shared = parameters_of(SequenceRegressor)
    found = [
        {
            "name": name,
            "default": declared.default,
            "allowed": declared.allowed(),
            "doc": _plain(declared.doc),
            "own": name not in shared,
        }
        for name, declared in parameters_of(cls).items()
    ]
    return sorted(found, key=lambda each: not each["own"])


def _plain(doc: str) -> str:
    return doc.replace("``", "")


def _sentence(doc: str) -> str:
    """The first sentence, which says what a parameter is."""
    return doc.partition(". ")[0].rstrip(".")
