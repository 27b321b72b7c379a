"""What a plugin says of its models, and the hook by which skattn asks."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import pluggy

from skattn.plugins._strangers import shown

PROJECT = "skattn"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True)
class ModelSpec:
    """Description of a plugin's model, available without importing the model.

    Parameters
    ----------
    name : str
        Name by which users ask for the model.
    target : str
        Location of the regressor's class, ``"package.module:Class"``. Imported on first use,
        and checked then.
    summary : str, default=""
        One-line summary for lists of models.
    reference : str, default=""
        Paper or code that the model follows.

    Raises
    ------
    TypeError
        ``name``, ``summary`` or ``reference`` is no str, or ``name`` cannot be hashed.
    ValueError
        ``name`` is empty.

    Examples
    --------
    >>> from skattn import ModelSpec
    >>> ModelSpec("mine", "mypackage.model:MyRegressor", summary="A model of my own").name
    'mine'
    """

    name: str
    target: str
    summary: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        for field in ("name", "summary", "reference"):
            value = getattr(self, field)
            if not isinstance(value, str):
                raise TypeError(f"{field} of a ModelSpec must be a str; got {shown(value)}.")
        if not isinstance(self.name, Hashable):
            raise TypeError(f"name of a ModelSpec must be hashable; got {shown(self.name)}.")
        if not str.strip(self.name):
            raise ValueError(f"name of a ModelSpec must not be empty; got {shown(self.name)}.")


class Hooks:
    """Hooks that skattn calls."""

    @hookspec
    def skattn_models(self) -> ModelSpec | list[ModelSpec]:  # type: ignore[empty-body]
        """Describe the models of a plugin, as a ModelSpec or a list of ModelSpec."""
