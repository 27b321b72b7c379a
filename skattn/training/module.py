"""What a module may declare: the contract between an architecture and training.

A module is a plain ``torch.nn.Module``. Only ``forward`` is required.

``forward(x)``
    Takes windows (B, T, F) to predictions (B,). Rows must not see each other. Where
    ``build_module`` takes a third argument, ``n_outputs=1``, the module can be trained on several
    labels at once: of K > 1 outputs, ``forward`` gives (B, K), or (D, S, K) where it is
    cross-sectional.
``block_rows`` : int or None, default None
    Rows that a CPU computes at a time, each block on a thread of its own. None: all rows of a batch
    are computed at once.
``cross_sectional`` : bool, default False
    Whether the module looks across the stocks of a day. ``forward(x, present, ...)`` then takes
    whole days (D, S, T, F) to (D, S); ``present`` (D, S) is False for rows that only fill a day up
    to S stocks. Days must not see each other.
``attend``
    Takes what ``forward`` takes to a dict of attention maps by name: (B, ...), or (D, S, ...) of a
    cross-sectional module. Without it the model has no attention.
``attention_axes`` : dict of str to tuple of str, default {}
    Names of the axes of each map beyond its rows. ``skattn.inspection`` labels the axes "lag",
    "query", "key", "frequency", "stock", "feature" (the leading fields of the windows) and those
    that the side inputs know, such as "concept", and draws what fits them.
``attention_sums`` : dict of str to tuple of str, default {}
    Names of the axes over which the weights of a map sum to 1, () where the weights have no such
    sum. A map that is not named here sums to 1 over "key", else over its last axis.
    ``skattn.testing`` checks the sums. By them, ``skattn.inspection.AttentionDisplay`` holds
    weights against no preference, and ``FeatureImportanceDisplay`` finds the map that divides
    attention among the lags; nothing else depends on them.
Side inputs
    What the regressor's ``make_side_inputs`` gives beside the windows comes as keyword arguments of
    ``forward`` and ``attend``, tensors (B, ...) or (D, S, ...).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from skattn.parameters import InvalidParameterError, check_value, shown

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@dataclass(frozen=True)
class ModuleContract:
    """What a module declares, checked.

    Parameters
    ----------
    block_rows : int or None, default=None
        Rows that a CPU computes at a time.
    cross_sectional : bool, default=False
        Whether the module looks across the stocks of a day.
    attention_axes : dict of str to tuple of str, default={}
        Names of the axes of each attention map beyond its rows.
    attends : bool, default=False
        Whether the module has attention maps.
    attention_sums : dict of str to tuple of str, default={}
        Names of the axes over which the weights of a map sum to 1.
    """

    block_rows: int | None = None
    cross_sectional: bool = False
    attention_axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attends: bool = False
    attention_sums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def sums_of(self, name: str) -> tuple[str, ...]:
        """Give the axes over which the weights of a map sum to 1; () where they have no such sum.

        Parameters
        ----------
        name : str
            Name of the map.

        Returns
        -------
        axes : tuple of str
        """
        axes = self.attention_axes.get(name, ())
        return self.attention_sums.get(name, ("key",) if "key" in axes else axes[-1:])


def read_contract(module: nn.Module, side_inputs: Sequence[str] = ()) -> ModuleContract:
    """Read and check what a module declares.

    Parameters
    ----------
    module : torch.nn.Module
        The module.
    side_inputs : sequence of str, default=()
        Names of what the module gets beside the windows.

    Returns
    -------
    contract : ModuleContract

    Raises
    ------
    TypeError, ValueError
        A member is not what the contract allows; the text names the class and the member.

    Examples
    --------
    >>> import torch
    >>> from skattn.training import read_contract
    >>> class Mean(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x.mean(dim=(1, 2))
    >>> read_contract(Mean())
    ModuleContract(block_rows=None, cross_sectional=False, attention_axes={}, attends=False, ...)
    """
    name = type(module).__name__
    try:
        block_rows = check_value(
            f"{name}.block_rows", getattr(module, "block_rows", None), "int | None", at_least=1
        )
        crosses = check_value(
            f"{name}.cross_sectional", getattr(module, "cross_sectional", False), "bool"
        )
    except InvalidParameterError as error:
        raise TypeError(str(error)) from None
    attend = getattr(module, "attend", None)
    _check_arguments(f"{name}.forward", module.forward, crosses, side_inputs)
    if attend is not None:
        _check_arguments(f"{name}.attend", attend, crosses, side_inputs)
    if block_rows is not None:
        _check_rows_are_apart(name, module, crosses)
    axes = _read_axes(f"{name}.attention_axes", getattr(module, "attention_axes", {}))
    sums = _read_axes(f"{name}.attention_sums", getattr(module, "attention_sums", {}))
    if axes and attend is None:
        raise TypeError(f"{name}.attention_axes names the axes of maps, but there is no attend.")
    for key, summed in sums.items():
        if key not in axes or not set(summed) <= set(axes[key]):
            has = f"gives it the axes {axes[key]}" if key in axes else f"has the maps {list(axes)}"
            raise TypeError(
                f"{name}.attention_sums[{key!r}] names the axes {summed}, but attention_axes {has}."
            )
    return ModuleContract(block_rows, crosses, axes, attend is not None, sums)


def _check_arguments(
    member: str, function: Callable, cross_sectional: bool, side_inputs: Sequence[str]
) -> None:
    """Raise where a member cannot be called as training calls it."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # compiled code has none
    named = ["present"] * cross_sectional + list(side_inputs)
    try:
        signature.bind(None, **dict.fromkeys(named))
    except TypeError:
        kind = "of a cross-sectional module " if cross_sectional else ""
        wanted = ", ".join(["x", *named]) + (", ..." if cross_sectional else "")
        raise TypeError(
            f"{member} {kind}takes ({wanted}); it has {signature}.{_hint(signature, named)}"
        ) from None


def _hint(signature: inspect.Signature, named: Sequence[str]) -> str:
    """Say where the arguments come from that a member has, or lacks."""
    if "present" in signature.parameters and "present" not in named:
        return " A module that looks across stocks declares cross_sectional = True."
    beside = [name for name in named if name != "present"]
    if beside and not set(beside) <= set(signature.parameters):
        return f" {', '.join(beside)} come from make_side_inputs of the regressor."
    if len(signature.parameters) > 1 + len(named):
        return " What a module gets beside the windows comes from make_side_inputs."
    return ""


def _check_rows_are_apart(name: str, module: nn.Module, cross_sectional: bool) -> None:
    """Raise where blocks of rows cannot be computed on their own."""
    if cross_sectional:
        raise TypeError(
            f"{name}.block_rows is for modules of single rows, but cross_sectional is True."
        )
    for part in module.modules():
        if isinstance(part, BATCH_NORMS):
            raise TypeError(
                f"{name}.block_rows says that rows do not see each other, but {name} has a "
                f"{type(part).__name__}, in which they do: use LayerNorm, or no block_rows."
            )


def _read_axes(member: str, axes: Any) -> dict[str, tuple[str, ...]]:
    is_dict = isinstance(axes, Mapping) and all(isinstance(key, str) for key in axes)
    if not is_dict or not all(
        isinstance(names, (tuple, list)) and all(isinstance(each, str) for each in names)
        for names in axes.values()
    ):
        raise TypeError(
            f"{member} must be a dict of the names of maps to tuples of the names of their axes, "
            f'such as {{"time": ("lag",)}}; got {shown(axes)}.'
        )
    return {key: tuple(names) for key, names in axes.items()}


def check_maps(
    module: nn.Module, contract: ModuleContract, x: torch.Tensor, maps: Any
) -> Mapping[str, torch.Tensor]:
    """Check the attention maps that a module gives: their names, and their number of axes.

    Parameters
    ----------
    module : torch.nn.Module
        It made the maps.
    contract : ModuleContract
        What the module declares.
    x : tensor of shape (B, T, F) or (D, S, T, F)
        What the maps were made of.
    maps : dict of str to tensor
        The maps, each with the axes of its rows first.

    Returns
    -------
    maps : dict of str to tensor

    Raises
    ------
    TypeError, ValueError
        The maps are no dict of tensors, a declared map is missing, or a map has other rows than x
        or another number of axes than declared.
    """
    name = type(module).__name__
    if not isinstance(maps, Mapping) or not all(map(torch.is_tensor, maps.values())):
        raise TypeError(f"{name}.attend must give a dict of names to tensors; got {shown(maps)}.")
    missing = sorted(set(contract.attention_axes) - set(maps))
    if missing:
        raise ValueError(
            f"{name}.attention_axes names the maps {missing}, which attend does not give."
        )
    n_row_axes = 2 if contract.cross_sectional else 1
    for key, values in maps.items():
        if values.shape[:n_row_axes] != x.shape[:n_row_axes]:
            raise ValueError(
                f"{name}.attend must give maps that begin with the rows of x, "
                f"{tuple(x.shape[:n_row_axes])}; the map {key!r} has the shape "
                f"{tuple(values.shape)}."
            )
    for key, axes in contract.attention_axes.items():
        n_axes = maps[key].ndim - n_row_axes
        if n_axes != len(axes):
            raise ValueError(
                f"{name}.attention_axes[{key!r}] names {len(axes)} axes {axes}, but the map has "
                f"{n_axes} (shape {tuple(maps[key].shape)})."
            )
        for axis, size in zip(axes, maps[key].shape[n_row_axes:], strict=True):
            if axis in ("lag", "query", "key") and size != x.shape[-2]:
                raise ValueError(
                    f"{name}.attention_axes[{key!r}]: the axis {axis!r} has a place for each of "
                    f"the {x.shape[-2]} steps; the map has {size}."
                )
    return maps
