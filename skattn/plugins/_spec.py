"""What a plugin says of its models, and the hook by which skattn asks."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pluggy

from skattn.plugins._names import check_name
from skattn.plugins._strangers import shown

PROJECT = "skattn"

hookspec = pluggy.HookspecMarker(PROJECT)
#: Decorator of a plugin's function ``skattn_models``, which returns its :class:`skattn.ModelSpec`.
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True)
class ModelSpec:
    """Description of a plugin's model, available without importing the model.

    Parameters
    ----------
    name : str
        Name by which users ask for the model: lower-case letters, digits and single hyphens
        between them, beginning with a letter. Where another plugin has a model of this name, users
        ask for ``"distribution:name"``.
    target : str
        Location of the regressor's class, ``"package.module:Class"``. Imported on first use,
        and checked then.
    summary : str, default=""
        One-line summary for lists of models.
    reference : str, default=""
        Paper or code that the model follows.
    requires_skattn : str, default=""
        Versions of skattn that the model works with, such as ">=0.2,<1" (PEP 440). With another
        version the model is not loaded, and reported. A prerelease counts as the version that it
        precedes, unless the text names a prerelease. Empty: any version.
    qlib : sequence of str, default=()
        The classes of qlib that the model stands for, ``"package.module:Class"``, whose workflows
        ``skattn.qlib.load_workflow`` then translates to the model. A module whose name ends in
        ``_ts`` reads a TSDatasetH.
    qlib_parameters : mapping of str to str, default={}
        The model's parameter for each setting of qlib's class that has another name there, such as
        ``{"base_model": "rnn"}``. Training parameters (n_epochs, early_stop, ...) are known.

    Raises
    ------
    TypeError
        A text other than ``target`` is no str, ``name`` cannot be hashed, ``qlib`` is no sequence
        of str or ``qlib_parameters`` no mapping of str.
    ValueError
        ``name`` is empty, or not a name as above.

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
    requires_skattn: str = ""
    qlib: Sequence[str] = ()
    qlib_parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("name", "summary", "reference", "requires_skattn"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise TypeError(f"{name} of a ModelSpec must be a str; got {shown(value)}.")
        classes, renamed = self.qlib, self.qlib_parameters
        if not isinstance(classes, (tuple, list)) or not _are_texts(classes):
            raise TypeError(
                f"qlib of a ModelSpec must be a tuple of 'package.module:Class'; got "
                f"{shown(classes)}."
            )
        object.__setattr__(self, "qlib", tuple(classes))
        if not isinstance(renamed, Mapping) or not _are_texts([*renamed, *renamed.values()]):
            raise TypeError(
                f"qlib_parameters of a ModelSpec must map names to names; got {shown(renamed)}."
            )
        if not isinstance(self.name, Hashable):
            raise TypeError(f"name of a ModelSpec must be hashable; got {shown(self.name)}.")
        if not str.strip(self.name):
            raise ValueError(f"name of a ModelSpec must not be empty; got {shown(self.name)}.")
        check_name("name of a ModelSpec", str.__str__(self.name))


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


class Hooks:
    """Hooks that skattn calls."""

    @hookspec
    def skattn_models(self) -> ModelSpec | list[ModelSpec]:  # type: ignore[empty-body]
        """Describe the models of a plugin, as a ModelSpec or a list of ModelSpec."""
