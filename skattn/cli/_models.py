"""``skattn models``."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from skattn.cli._output import console, print_json, quiet, table, text
from skattn.plugins import InstalledModel, Problem, list_installed, list_problems


def show_models(as_json: bool) -> None:
    """Print the installed models, and what is wrong with plugins."""
    with quiet():
        found, problems = list_installed(), list_problems()
    if as_json:
        print_json(
            {
                "models": [model_fields(model) for model in found],
                "problems": [problem_fields(problem) for problem in problems],
            }
        )
        return
    rows: list[tuple[object, ...]] = [
        (model.name, _class(model.spec.target), model.distribution, model.version, _summary(model))
        for model in found
    ]
    # Models of a name that is taken are in the list: nothing is wrong with them.
    rows += [_problem_row(problem) for problem in problems if problem.kind != "clash"]
    console().print(table(["name", "class", "distribution", "version", "summary"], rows))


def model_fields(model: InstalledModel) -> dict[str, Any]:
    """What is known of a model without importing the model."""
    spec = model.spec
    return {
        "name": model.name,
        "class": spec.target,
        "distribution": model.distribution,
        "version": model.version,
        "summary": spec.summary,
        "reference": spec.reference,
        "requires_skattn": spec.requires_skattn,
        "qlib": list(spec.qlib),
    }


def problem_fields(problem: Problem) -> dict[str, Any]:
    """A problem as JSON has it."""
    return {
        "kind": problem.kind,
        "source": problem.source,
        "text": problem.text,
        "cure": problem.cure,
        "plugin": problem.plugin,
        "distribution": problem.distribution,
        "version": problem.version,
        "model": problem.spec.name if problem.spec else None,
    }


def _summary(model: InstalledModel) -> Text | str:
    return model.spec.summary or text("(none)", "dim")


def _problem_row(problem: Problem) -> tuple[object, ...]:
    spec = problem.spec
    name = spec.name if spec else problem.plugin or problem.distribution or problem.source
    why = f"not loaded: {problem.source} {problem.text}" if spec else problem.text
    target = _class(spec.target) if spec else ""
    return (
        text(name, "red"), target, problem.distribution, problem.version, text(why, "red")
    )  # fmt: skip


def _class(target: str) -> str:
    return target.rpartition(":")[-1]
