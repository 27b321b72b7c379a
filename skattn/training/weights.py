"""Starting from known weights, and holding some of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch
from torch import nn
from torch.nn.parameter import is_lazy

from skattn.parameters import shown
from skattn.training.weight_file import read_weight_file
from skattn.utils import warn_user

# What wrappers put before the names of a module's weights: DataParallel, torch.compile.
PREFIXES = ("module.", "_orig_mod.")


def load_weights(module: nn.Module, source: Any) -> Bunch:
    """Copy into a module the weights that match its own by name and shape.

    The prefixes "module." (DataParallel) and "_orig_mod." (torch.compile) are taken off names
    that the module does not have. Weights are cast to the dtype of the module's own.

    Parameters
    ----------
    module : torch.nn.Module
        Module whose parameters and buffers are overwritten in place, or left as they are where
        an error is raised.
    source : path, state dict, or fitted skattn regressor (also in a FrozenEstimator)
        A file of ``torch.save`` or safetensors is read as tensors, and no code in it is run.

    Returns
    -------
    report : Bunch
        Lists of names: ``loaded``; ``missing``, weights of the module that the source lacks or has
        in another shape; and ``unexpected``, weights of the source that match none of the module.
        ``prefix`` is what was taken off the names, such as "module."; "" where nothing was.

    Raises
    ------
    ValueError
        The file cannot be read as weights, it holds something other than a state dict of dense
        tensors, no weight in it matches, a matching weight is not finite or is of another kind of
        number, or the file has an LSTM where the module has a GRU, or a GRU where the module has
        an LSTM.
    TypeError
        The source is of another kind.
    """
    own = module.state_dict()
    weights, prefix = _without_prefixes(_check_state(_read(source), source, own), own)
    _check_base(weights, own)
    fits = {
        name: _cast(name, value, own[name])
        for name, value in weights.items()
        if name in own and value.shape == own[name].shape
    }
    # A bias of one number fits any module; the learned weights are matrices.
    has_matrices = any(value.ndim > 1 for value in own.values())
    if not any(value.ndim > 1 or not has_matrices for value in fits.values()):
        raise ValueError(
            f"pretrained matches no weight of {type(module).__name__} by name and shape. It has "
            f"{_shapes(weights)}; the module has {_shapes(own)}."
        )
    _check_finite(fits, {name for name, _ in module.named_parameters(remove_duplicate=False)})
    module.load_state_dict(fits, strict=False)
    apart = [name for name in weights if name in own and name not in fits]
    if apart:
        pairs = [f"{n} {tuple(weights[n].shape)} for {tuple(own[n].shape)}" for n in apart[:4]]
        warn_user(
            f"pretrained has {len(apart)} weights of another shape than those of "
            f"{type(module).__name__}, which keep their random start: {', '.join(pairs)}"
            f"{', ...' if len(apart) > 4 else ''}. pretrained_report_ lists all that are missing."
        )
    return Bunch(
        loaded=sorted(fits),
        missing=sorted(set(own) - set(fits)),
        unexpected=sorted(set(weights) - set(fits)),
        prefix=prefix,
    )


def freeze_parameters(module: nn.Module, names: Sequence[str]) -> None:
    """Keep parameters from being trained.

    Parameters
    ----------
    module : torch.nn.Module
        Module whose named parameters get ``requires_grad=False``; others stay as the module made
        them.
    names : sequence of str
        Names, or their beginnings up to a dot: "rnn" holds everything in ``module.rnn``.

    Raises
    ------
    ValueError
        A name matches nothing.
    TypeError
        A name is no str.
    """
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"freeze must hold names, each a str; got {shown(list(names))}.")
    parameters = dict(module.named_parameters())
    frozen = {
        name: [p for p in parameters if p == name or p.startswith(f"{name}.")] for name in names
    }
    unknown = [name for name, held in frozen.items() if not held]
    if unknown:
        parts = sorted({p.split(".")[0] for p in parameters})
        raise ValueError(f"freeze={unknown} matches no parameter; the module has {parts}.")
    if not parameters:
        raise ValueError(f"{type(module).__name__} has no parameters to train.")
    for name in {p for group in frozen.values() for p in group}:
        parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ValueError(f"freeze={list(names)} leaves nothing to train.")


def _read(source: Any) -> Any:
    source = source.estimator if isinstance(source, FrozenEstimator) else source
    if isinstance(module := getattr(source, "module_", None), nn.Module):
        return module.state_dict()
    if hasattr(source, "build_module"):
        raise ValueError(
            f"pretrained={shown(source)} is not fitted. Cross-validation and searches clone "
            f"parameters, which unfits them: pass its state dict (model.module_.state_dict()), or "
            f"sklearn.frozen.FrozenEstimator(model)."
        )
    if isinstance(source, (str, os.PathLike)):
        return read_weight_file(source)
    if isinstance(source, Mapping):
        return source
    cure = ""
    if isinstance(source, nn.Module):
        cure = " Pass its state dict, module.state_dict()."
    elif isinstance(source, BaseEstimator):
        cure = " Pass the regressor in it, such as pipeline[-1] or search.best_estimator_."
    raise TypeError(
        f"pretrained must be a path, a state dict or a fitted skattn regressor; got "
        f"{type(source).__name__}.{cure}"
    )


def _check_state(found: Any, source: Any, own: Collection[str]) -> Mapping[str, torch.Tensor]:
    """Raise if an object is not a state dict of dense tensors; name the state dict in it."""
    must = "pretrained must hold a state dict: a mapping of names to tensors"
    if not isinstance(found, Mapping):
        raise ValueError(f"{must}; got {type(found).__name__}.")
    if not found:
        raise ValueError(f"{must}; got an empty one.")
    inner = [key for key, value in found.items() if _is_state(value)]
    if inner:
        key = max(
            inner, key=lambda key: len({_own_name(name, own) for name in found[key]} & set(own))
        )
        is_file = isinstance(source, (str, os.PathLike))
        whole = (
            f"torch.load({os.fsdecode(source)!r}, weights_only=True)" if is_file else "pretrained"
        )
        raise ValueError(
            f"{must}; got a mapping with the keys {shown(list(found))}. Pass the state dict in it: "
            f"{whole}[{key!r}]."
        )
    for name, value in found.items():
        if not isinstance(name, str):
            raise ValueError(f"{must}; got the name {shown(name)} of type {type(name).__name__}.")
        if not torch.is_tensor(value):
            raise ValueError(
                f"{must}; got {type(value).__name__} for {name!r} among {shown(list(found))}."
            )
        if value.is_meta or is_lazy(value):
            raise ValueError(f"pretrained: the weight {name!r} has a shape and no numbers.")
        if value.layout is not torch.strided or value.is_nested or value.is_quantized:
            cure = "dequantize()" if value.is_quantized else "to_dense()"
            raise ValueError(
                f"pretrained: the weight {name!r} must be a dense tensor of plain numbers; got "
                f"{_kind(value)}. Call its {cure} first."
            )
    return found


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(name, str) for name in value)
        and all(map(torch.is_tensor, value.values()))
    )


def _kind(value: torch.Tensor) -> str:
    if value.is_nested:
        return "a nested tensor"
    return f"{value.dtype}" if value.is_quantized else f"{value.layout}"


def _own_name(name: str, own: Collection[str]) -> str:
    """Take the prefixes of wrappers off a name, until the module has the name."""
    while name not in own and name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name


def _without_prefixes(
    weights: Mapping[str, torch.Tensor], own: Collection[str]
) -> tuple[dict[str, torch.Tensor], str]:
    """Take the prefixes of wrappers off the names, and give the longest of them."""
    theirs: dict[str, str] = {}
    for name in weights:
        short = _own_name(name, own)
        if short not in own:
            short = name
        if short in theirs:
            raise ValueError(
                f"pretrained has two weights for {short!r}: {theirs[short]!r} and {name!r}. Keep "
                f"one of them."
            )
        theirs[short] = name
    prefix = max((name.removesuffix(short) for short, name in theirs.items()), key=len)
    return {short: weights[name] for short, name in theirs.items()}, prefix


def _cast(name: str, value: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Cast a weight to the module's dtype, without a change from one kind of number to another."""
    kinds = ("is_floating_point", "is_complex")
    if any(getattr(value, kind)() != getattr(own, kind)() for kind in kinds):
        raise ValueError(
            f"pretrained: the weight {name!r} is of {value.dtype}, and the module needs "
            f"{own.dtype}."
        )
    return value.detach().to(own.dtype)


def _check_finite(weights: Mapping[str, torch.Tensor], parameters: Collection[str]) -> None:
    """Raise if a weight is not a number; buffers, such as masks, may be infinite."""
    for name, value in weights.items():
        bad = ~value.isfinite() if name in parameters else value.isnan()
        if n_bad := int(bad.sum()):
            raise ValueError(
                f"pretrained: the weight {name!r} has {n_bad} values among {value.numel()} that "
                f"are NaN, infinite or too large for {value.dtype}: the training that it comes "
                f"from has diverged, or the file is damaged."
            )


# The number of gates tells the kind of a recurrent unit.
UNITS = {3: "gru", 4: "lstm"}


def _check_base(weights: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> None:
    """Raise where recurrent networks of the same name have units of different kinds."""
    for name in own:
        if name.endswith("weight_hh_l0") and name in weights:
            theirs, ours = (UNITS.get(_gates(state[name])) for state in (weights, own))
            if theirs and ours and theirs != ours:
                raise ValueError(
                    f"pretrained holds the weights of {theirs!r} units and the module has "
                    f"{ours!r} units: use a model or rnn={theirs!r} that fits them."
                )


def _gates(weight: torch.Tensor) -> int:
    rows, hidden = weight.shape if weight.ndim == 2 else (0, 0)
    return rows // hidden if hidden and rows % hidden == 0 else 0


def _shapes(weights: Mapping[str, torch.Tensor]) -> str:
    first = [f"{name} {tuple(value.shape)}" for name, value in list(weights.items())[:4]]
    return ", ".join(first) + (", ..." if len(weights) > 4 else "")
