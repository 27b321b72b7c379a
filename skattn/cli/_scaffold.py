"""``skattn new-plugin``: a distribution that brings one model."""

from __future__ import annotations

import datetime
import os
import tempfile
from importlib.resources import files
from pathlib import Path
from string import Template

import skattn
from skattn.cli._output import quiet
from skattn.plugins import check_name, list_installed

# The file of each template; the model has one of two.
TEMPLATES = {
    "pyproject.toml": "pyproject.toml",
    "LICENSE": "LICENSE",
    "README.md": "README.md",
    "package.py": "{package}/__init__.py",
    "test.py": "tests/test_{module}.py",
}
LONGEST_NAME = 50


def write_plugin(name: str, directory: Path, *, cross_sectional: bool = False) -> Path:
    """Write the files of a plugin into a new folder.

    Parameters
    ----------
    name : str
        Name of the model.
    directory : Path
        Where the folder ``skattn-name`` is made.
    cross_sectional : bool, default=False
        Whether the model looks across the stocks of a day.

    Returns
    -------
    folder : Path
        The new folder. It is there with all its files or not at all.

    Raises
    ------
    ValueError
        The name is no valid name of a model, or skattn has it.
    OSError
        The folder exists, the directory does not, or a file cannot be written.
    """
    words = _words(name)
    directory = Path(directory)
    if not directory.is_dir():
        raise NotADirectoryError(f"--directory must be a folder that exists; got {directory}.")
    folder = directory / words["distribution"]
    if os.path.lexists(folder):
        raise FileExistsError(
            f"{folder} exists already, and nothing was changed. Say another name, or another "
            f"--directory."
        )
    model = "cross_sectional_model.py" if cross_sectional else "model.py"
    templates = {**TEMPLATES, model: "{package}/model.py"}
    try:
        # The folder is made beside, and gets its name when it is whole.
        with tempfile.TemporaryDirectory(prefix=".skattn-", dir=directory) as beside:
            made = Path(beside) / folder.name
            for template, place in templates.items():
                path = made / place.format(**words)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_read(template).substitute(words), encoding="utf-8")
            made.rename(folder)
    except OSError as error:
        raise OSError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return folder


def _words(name: str) -> dict[str, str]:
    """What the templates have in place of each word."""
    check_name("the name of a model", name)
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"the name of a model must have at most {LONGEST_NAME} letters; got {len(name)}."
        )
    if name.startswith("skattn-"):
        plain = name.removeprefix("skattn-")
        raise ValueError(
            f"the name of a model must not begin with 'skattn-', which the distribution's name "
            f"gets; say {plain!r}."
        )
    with quiet():
        built_in = [model.name for model in list_installed() if model.distribution == "skattn"]
    if name in built_in:
        raise ValueError(f"skattn has a model {name!r} of its own; the built-in ones: {built_in}.")
    title = "".join(part.capitalize() for part in name.split("-"))
    if f"{title}Regressor" in skattn.__all__:
        raise ValueError(
            f"the name {name!r} makes a class {title}Regressor, which skattn has; say another one."
        )
    return {
        "name": name,
        "distribution": f"skattn-{name}",
        "module": name.replace("-", "_"),
        "package": f"skattn_{name.replace('-', '_')}",
        "title": title,
        "skattn_version": skattn.__version__,
        "year": str(datetime.date.today().year),
    }


def _read(template: str) -> Template:
    return Template(files("skattn.cli").joinpath("templates", f"{template}.txt").read_text("utf-8"))
