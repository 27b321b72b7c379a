"""``skattn doctor``."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import skattn
from skattn.cli._models import problem_fields
from skattn.cli._output import console, print_json, quiet, table, text
from skattn.plugins import Problem, get_model, list_installed, list_problems

VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
    *("SKATTN_COMPILED", "SKATTN_PLUGINS"),
)


def examine(as_json: bool) -> int:
    """Print what skattn has to do with here, and what is broken; give the exit code."""
    problems: list[Problem] = []
    with quiet():
        found: dict[str, Any] = {
            "versions": _versions(problems),
            "devices": _devices(problems),
            "threads": _threads(),
            "recurrent layers": _recurrent_layers(),
            "plugins": _plugins(problems),
        }
    is_broken = any(problem.kind != "clash" for problem in problems)
    found |= {"ok": not is_broken, "problems": [problem_fields(each) for each in problems]}
    if as_json:
        print_json(found)
    else:
        _show(found)
    return int(is_broken)


def _versions(problems: list[Problem]) -> dict[str, str]:
    found = {
        "python": f"{platform.python_version()} ({platform.system()} {platform.machine()})",
        "skattn": f"{skattn.__version__} in {Path(skattn.__file__).parent}",
    }
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(line) for line in requires("skattn") or ()]
        installed = version("skattn")
    except PackageNotFoundError:
        needed = []  # a checkout on the path: nothing says what is needed
        installed = skattn.__version__
    if installed != skattn.__version__:
        text = f"is {skattn.__version__} here, but {installed} is installed: there are two of them"
        cure = "Start Python outside of a checkout of skattn, or install that checkout."
        problems.append(Problem("skattn", text, "version", cure))
    for each in needed:
        if each.marker is not None and not each.marker.evaluate({"extra": ""}):
            continue
        try:
            found[each.name] = here = version(each.name)
        except PackageNotFoundError:
            here = ""
        if not here or not each.specifier.contains(here, prereleases=True):
            found[each.name] = here or "missing"
            text = f"is {here}; skattn needs {each}" if here else f"is missing; skattn needs {each}"
            problems.append(Problem(each.name, text, cure=f'pip install "{each}"'))
    return found


def _devices(problems: list[Problem]) -> list[str]:
    try:
        import torch
    except Exception as error:  # a broken library ends in OSError or anything else
        text = f"cannot be imported: {type(error).__name__}: {error}"
        problems.append(Problem("torch", text, cure="pip install --force-reinstall torch"))
        return []
    found = [f"cpu ({platform.processor() or platform.machine()})"]
    if torch.cuda.is_available():
        found += [
            f"cuda:{number} ({torch.cuda.get_device_name(number)})"
            for number in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def _threads() -> dict[str, Any]:
    affinity = getattr(os, "sched_getaffinity", None)
    found: dict[str, Any] = {"cores": len(affinity(0)) if affinity else os.cpu_count()}
    try:
        import torch

        found["torch"] = torch.get_num_threads()
    except Exception:  # said among the problems
        pass
    found |= {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return found


def _recurrent_layers() -> str:
    """How GRUs and LSTMs run on the processor."""
    try:
        from skattn.kernels import compiled_recurrences

        modules, reason = compiled_recurrences()
    except Exception as error:  # said among the problems, where torch is the cause
        return f"unknown: {type(error).__name__}"
    return f"compiled, by {reason}" if modules else f"torch's own: {reason}"


def _plugins(problems: list[Problem]) -> list[dict[str, Any]]:
    """The models by plugin; each class is imported, and what fails is a problem."""
    is_whole = all(problem.kind == "clash" for problem in problems)
    problems.extend(list_problems())
    found: dict[str, dict[str, Any]] = {}
    for model in list_installed():
        plugin = found.setdefault(
            model.source,
            {"distribution": model.distribution, "version": model.version, "models": []},
        )
        plugin["models"].append(model.name)
        # Where torch is missing, every model fails for one reason, which is said already.
        if not is_whole:
            continue
        try:
            get_model(model.name)
        except (ImportError, TypeError) as error:
            name = model.distribution
            cure = f"pip install --upgrade {name}, or pip uninstall {name}" if name else ""
            source, _, said = f"{error}".partition(model.source)
            problems.append(
                Problem(
                    f"{source}{model.source}",
                    said.strip(),
                    cure=cure,
                    distribution=name,
                    version=model.version,
                    spec=model.spec,
                )
            )
    return list(found.values())


def _show(found: dict[str, Any]) -> None:
    out = console()
    _section("Versions", ["", ""], found["versions"].items())
    _section("Devices", [""], [(each,) for each in found["devices"]])
    _section("Threads and variables", ["", ""], found["threads"].items())
    _section("Recurrent layers on the processor", [""], [(found["recurrent layers"],)])
    rows = [
        (plugin["distribution"], plugin["version"], ", ".join(plugin["models"]))
        for plugin in found["plugins"]
    ]
    _section("Plugins", ["distribution", "version", "models"], rows)
    if not found["problems"]:
        out.print(text("Nothing is broken.", "green"))
    for problem in found["problems"]:
        style = "yellow" if problem["kind"] == "clash" else "red"
        out.print(text(f"{problem['kind']}: {problem['source']} {problem['text']}", style))
        if problem["cure"]:
            out.print(text(f"cure: {problem['cure']}"))


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    out = console()
    out.print(text(title, "bold"))
    out.print(table(columns, rows))
    out.print()
