"""Search for the model that a class of qlib stands for: built in, of LightGBM, or of a plugin."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from skattn.parameters import shown
from skattn.plugins import get_model, list_models
from skattn.qlib._lightgbm import import_lightgbm, make_lightgbm
from skattn.qlib._models import MODELS, make_regressor
from skattn.qlib._plugin_models import make_from_plugin
from skattn.qlib._settings import Section, text

LIGHTGBM = "qlib.contrib.model.gbdt:LGBModel"

Make = Callable[[Section, Path | None, dict[str, Any]], tuple[Any, int | None]]


class NoModelError(Exception):
    """A class of qlib has no model here; the text gives the reason and the cure."""


class Translation(NamedTuple):
    """How a class of qlib is translated.

    ``make`` takes ``task.model.kwargs``, the folder of the workflow and the parameters of early
    stopping, and gives the unfitted regressor and the number of features per step, None if any.
    ``series`` is True if the class reads the windows of a TSDatasetH. ``windows`` is False if the
    regressor reads the columns of a table.
    """

    make: Make
    series: bool
    windows: bool = True


def find_model(section: Section) -> Translation:
    """Find the model that ``task.model`` names, by class and module.

    Raises
    ------
    NoModelError
        Nobody has the model, or what has it is not installed or fails.
    """
    name = section.read("class", text)
    module = section.read("module_path", text)
    sought = f"{module}:{name}"
    model = MODELS.get(module)
    if model is not None and model.name == name:
        section.done("class", model.skattn)
        return Translation(partial(make_regressor, model), model.series)
    if sought == LIGHTGBM:
        try:
            import_lightgbm()
        except ImportError as error:
            raise NoModelError(str(error)) from error
        section.done("class", "lightgbm.LGBMRegressor")
        return Translation(make_lightgbm, series=False, windows=False)
    specs = list_models()
    for spec in specs:
        if sought in spec.qlib:
            try:
                found = get_model(spec.name)
            except (ImportError, TypeError, ValueError) as error:
                raise NoModelError(str(error)) from error
            section.done("class", spec.name)
            make = partial(make_from_plugin, found, spec.qlib_parameters)
            return Translation(make, series=module.endswith("_ts"))
    known = [f"{each.name} of {path}" for path, each in MODELS.items()]
    known += [" of ".join(reversed(each.split(":"))) for spec in specs for each in spec.qlib]
    known.append(" of ".join(reversed(LIGHTGBM.split(":"))))
    raise NoModelError(
        f"no model here stands for {shown(name)} of {shown(module)}. There are models for: "
        f"{', '.join(sorted(known))}. A plugin's model stands for the class if its author says "
        f"ModelSpec(qlib=({shown(sought)},))."
    )
