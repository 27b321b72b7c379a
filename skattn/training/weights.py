"""Starting from known weights, and holding some of them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch
from torch import nn


def load_weights(module: nn.Module, source: Any) -> Bunch:
    """Copy into a module the weights that match its own by name and shape.

    Parameters
    ----------
    module : torch.nn.Module
        Module whose parameters and buffers are overwritten in place.
    source : path, state dict, or fitted skattn regressor (also in a FrozenEstimator)
        A file is read with ``weights_only=True``: it can hold tensors and no code.

    Returns
    -------
    report : Bunch
        Lists of names: ``loaded``; ``missing``, weights of the module that the source lacks or has
        in another shape; and ``unexpected``, weights of the source that match none of the module.

    Raises
    ------
    ValueError
        The file cannot be read as weights, no weight in the file matches, or the file has an LSTM
        where the module has a GRU, or a GRU where the module has an LSTM.
    TypeError
        The source is of another kind.
    """
    weights = _read(source)
    own = module.state_dict()
    _check_base(weights, own)
    fits = {
        name: value
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
    module.load_state_dict(fits, strict=False)
    return Bunch(
        loaded=sorted(fits),
        missing=sorted(set(own) - set(fits)),
        unexpected=sorted(set(weights) - set(fits)),
    )


def freeze_parameters(module: nn.Module, names: Sequence[str]) -> None:
    """Keep parameters from being trained.

    Parameters
    ----------
    module : torch.nn.Module
        Module whose parameters get ``requires_grad``: False for the named ones, True for others.
    names : sequence of str
        Names, or their beginnings up to a dot: "rnn" holds everything in ``module.rnn``.

    Raises
    ------
    ValueError
        A name matches nothing.
    """
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
    held = {p for group in frozen.values() for p in group}
    if len(held) == len(parameters):
        raise ValueError(f"freeze={list(names)} leaves nothing to train.")
    for name, parameter in parameters.items():
        parameter.requires_grad_(name not in held)


def _read(source: Any) -> Mapping[str, torch.Tensor]:
    source = source.estimator if isinstance(source, FrozenEstimator) else source
    if hasattr(source, "module_"):
        return source.module_.state_dict()
    if isinstance(source, BaseEstimator):
        raise ValueError(
            f"pretrained={source!r} is not fitted. Cross-validation and searches clone parameters, "
            f"which unfits them: pass its state dict (model.module_.state_dict()), or "
            f"sklearn.frozen.FrozenEstimator(model)."
        )
    if isinstance(source, Mapping):
        weights: Any = source
    elif isinstance(source, (str, Path)):
        if not Path(source).is_file():
            raise ValueError(f"pretrained={str(source)!r} is not a file.")
        try:
            weights = torch.load(source, map_location="cpu", weights_only=True)
        except (
            pickle.UnpicklingError,
            RuntimeError,
            OSError,
            EOFError,
            ValueError,
            KeyError,
        ) as error:
            raise ValueError(
                f"pretrained={str(source)!r} cannot be read as a file of weights (a truncated "
                f"file, or one that holds more than tensors): {str(error).splitlines()[0]}"
            ) from error
    else:
        raise TypeError(
            f"pretrained must be a path, a state dict or a fitted skattn regressor; got "
            f"{type(source).__name__}."
        )
    if not isinstance(weights, Mapping) or not all(map(torch.is_tensor, weights.values())):
        raise ValueError("pretrained must hold a state dict: a mapping of names to tensors.")
    return weights


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
    rows, hidden = weight.shape if weight.ndim == 2 else (0, 1)
    return rows // hidden if rows % hidden == 0 else 0


def _shapes(weights: Mapping[str, torch.Tensor]) -> str:
    shown = [f"{name} {tuple(value.shape)}" for name, value in list(weights.items())[:4]]
    return ", ".join(shown) + (", ..." if len(weights) > 4 else "")
