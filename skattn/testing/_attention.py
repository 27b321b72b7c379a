"""Attention maps: their axes, labels and sums, and that they belong to their rows."""

from __future__ import annotations

from collections.abc import Mapping
from unittest import SkipTest

import pandas as pd
import torch

from skattn.base import SequenceRegressor
from skattn.inspection import AttentionDisplay, attention_weights
from skattn.testing._data import Probe, change

STOCK = "stock"


def check_attention_is_as_declared(estimator: SequenceRegressor) -> None:
    """Look at the maps' names, axes, sizes and labels."""
    probe = _probe(estimator)
    where, maps = f"{probe.name}.attention_axes", probe.attend()
    # Raises where a declared map is missing, or has other rows or another number of axes.
    labelled = attention_weights(probe.model, probe.panel.X)
    undeclared = sorted(set(maps) - set(probe.contract.attention_axes))
    if undeclared:
        shape = tuple(maps[undeclared[0]].shape)
        raise AssertionError(
            f"{where} does not name the axes of the maps {undeclared}, so that nobody knows what "
            f"they are. {undeclared[0]!r} has the shape {shape}: name its axes beyond the rows, "
            f'such as attention_axes = {{"{undeclared[0]}": ("lag",)}}.'
        )
    for name, axes in probe.contract.attention_axes.items():
        sizes = maps[name].shape[_n_row_axes(probe) :]
        for axis, size in zip(axes, sizes, strict=True):
            expected = _size(probe, axis)
            if expected not in (None, size):
                raise AssertionError(
                    f"{where}[{name!r}] names the axes {axes}, but the map has the sizes "
                    f"{tuple(sizes)}: {axis!r} has {expected}. Name the axes in the order of the "
                    f"map, or transpose the map in attend."
                )
        if not bool(maps[name].isfinite().all()):
            raise AssertionError(
                f"{probe.name}.attend gives NaN or infinity in the map {name!r}. A softmax whose "
                f"scores are all -inf is NaN: mask with torch.finfo(scores.dtype).min."
            )
        index = labelled[name].index if hasattr(labelled[name], "index") else labelled[name].labels
        rows = index if isinstance(index, pd.MultiIndex) else index[0]
        if not rows.equals(probe.panel.X.index):
            raise AssertionError(
                f"attention_weights labels the map {name!r} with other rows than those of X. Leave "
                f"attend and check_rows to SequenceRegressor."
            )


def check_attention_sums(estimator: SequenceRegressor) -> None:
    """Sum the weights of each map over the axes over which they are to sum to 1."""
    probe = _probe(estimator)
    maps = probe.attend()
    for name, axes in probe.contract.attention_axes.items():
        values = maps[name][probe.present]
        summed = probe.contract.sums_of(name)
        if not summed or values.numel() == 0:
            continue
        over = tuple(1 + axes.index(axis) for axis in summed)
        if _sum_to_one(values, over):
            continue
        words = " and ".join(map(repr, summed))
        others = [axis for axis in range(1, values.ndim) if axis not in over]
        instead = [axes[axis - 1] for axis in others if _sum_to_one(values, (axis,))]
        if instead:
            raise AssertionError(
                f"{probe.name}.attend gives the map {name!r} transposed: its weights sum to 1 over "
                f"{instead[0]!r}, not over {words}. Transpose the map in attend (.mT), or take the "
                f"softmax over the axis that is summed, or name the axes in their order in "
                f"attention_axes, or say in attention_sums over which axes they sum to 1."
            )
        if axes[-1] == STOCK and STOCK in summed and _sums_over_stocks(probe, maps[name]):
            raise AssertionError(
                f"{probe.name}.attend gives the map {name!r} transposed: the weights that the "
                f"stocks give to one stock sum to 1, not those that one stock gives to the others. "
                f"Take softmax(dim=-1) of the scores (D, S, S), or transpose the map (.mT)."
            )
        totals = values.sum(dim=over)
        raise AssertionError(
            f"{probe.name}.attend gives weights in the map {name!r} that sum to "
            f"{float(totals.min()):.4g} to {float(totals.max()):.4g} over {words}, not to 1. Take "
            f"softmax over that axis, after masks and without dropout; where the weights are not "
            f'meant to sum to 1, declare attention_sums = {{"{name}": ()}} on {probe.name}.'
        )


def check_attention_leaves_padding_out(estimator: SequenceRegressor) -> None:
    """Look at the weights of rows that only fill a day up."""
    probe = _probe(estimator)
    maps, present = probe.attend(), probe.present
    for name, axes in probe.contract.attention_axes.items():
        for place, axis in enumerate(axes, start=2):
            if axis == STOCK:
                by_stock = maps[name].movedim(place, 2)
                padded = present[:, :, None] & ~present[:, None]
                if bool(by_stock[padded].any()):
                    raise AssertionError(
                        f"{probe.name}.attend gives weight to rows that only fill a day up, in the "
                        f"map {name!r}: mask the scores before the softmax, "
                        f"scores.masked_fill(~present[:, None], torch.finfo(scores.dtype).min)."
                    )


def check_attention_is_the_same_twice(estimator: SequenceRegressor) -> None:
    """Ask for the maps twice, and for predictions before and afterwards."""
    probe = _probe(estimator)
    predicted, first = probe.forward(), probe.attend()
    again = probe.attend()
    for name in first:
        if not torch.equal(first[name], again[name]):
            raise AssertionError(
                f"{probe.name}.attend gives other weights in the map {name!r} when it is called "
                f"again: it must draw no random numbers. Compute the weights that forward uses, "
                f"with dropout by nn.Dropout or F.dropout(weights, p, training=self.training)."
            )
    if not torch.equal(predicted, probe.forward()):
        raise AssertionError(
            f"{probe.name}.forward predicts something else after a call of attend: attend must "
            f"change nothing in the module."
        )


def check_attention_belongs_to_its_row(estimator: SequenceRegressor) -> None:
    """Take rows in another order, and change the other rows: each row's map stays its own."""
    probe = _probe(estimator)
    before, present = probe.attend(), probe.present
    order = torch.arange(len(probe.x)).roll(2).flip(0)
    turned = probe.attend(**{name: values[order] for name, values in probe.inputs.items()})
    x = probe.garbage()
    x[0] = probe.x[0]
    changed = probe.attend(x=x)
    padded = probe.attend(x=torch.where(present[..., None, None], probe.x, probe.garbage()))
    rows = "days" if probe.contract.cross_sectional else "rows"
    for name in before:
        found = change(before[name][order][present[order]], turned[name][present[order]])
        if found:
            raise AssertionError(
                f"{probe.name}.attend mixes up rows in the map {name!r}: with the {rows} of x in "
                f"another order, a row's weights change {found}. Row b of the map belongs to row b "
                f"of x and is computed from it by the weights that forward uses, not drawn."
            )
        found = change(before[name][0][present[0]], changed[name][0][present[0]])
        if found:
            raise AssertionError(
                f"{probe.name}.attend lets {rows} see each other in the map {name!r}: where the "
                f"other {rows} change, weights change {found}. Softmax and products run over no "
                f"axis of {rows}, axis 0 of x."
            )
        found = change(before[name][present], padded[name][present])
        if found:
            raise AssertionError(
                f"{probe.name}.attend sees the rows that only fill a day up: where such rows "
                f"change, weights in the map {name!r} change {found}. Leave them out by present."
            )


def check_attention_can_be_drawn(estimator: SequenceRegressor) -> None:
    """Draw each map with AttentionDisplay, where matplotlib is installed."""
    probe = _probe(estimator)
    try:
        from matplotlib import pyplot
    except ImportError:
        raise SkipTest("matplotlib is not installed") from None
    for name, values in probe.attend().items():
        if not values.numel():
            continue  # as of no concept
        try:
            display = AttentionDisplay.from_estimator(probe.model, probe.panel.X, map=name)
        except ValueError as error:
            raise AssertionError(
                f"AttentionDisplay cannot draw the map {name!r} of {probe.name}, whose axes are "
                f"{probe.contract.attention_axes[name]}: {error}"
            ) from error
        pyplot.close(display.figure_)


def _probe(estimator: SequenceRegressor) -> Probe:
    probe = Probe(estimator)
    if not probe.contract.attends:
        raise SkipTest(f"{probe.name} has no attend")
    return probe


def _n_row_axes(probe: Probe) -> int:
    return 2 if probe.contract.cross_sectional else 1


def _size(probe: Probe, axis: str) -> int | None:
    """Size that an axis of this name has; None where any will do."""
    if axis in ("lag", "query", "key"):
        return probe.x.shape[-2]
    if axis == STOCK:
        return probe.x.shape[1]
    labels: Mapping = probe.model.net_.side_inputs.axis_labels
    return len(labels[axis]) if axis in labels else None


def _sum_to_one(values: torch.Tensor, over: tuple[int, ...]) -> bool:
    """Whether weights sum to 1; those that are all zero, as of no concept, count as well."""
    totals = values.double().sum(dim=over)
    none = (values == 0).all(dim=over)
    one = (totals - 1).abs() < 1e-3
    return bool((one | none).all() and one.any() and (values >= 0).all())


def _sums_over_stocks(probe: Probe, values: torch.Tensor) -> bool:
    """Whether the weights of a map (D, S, ..., S) sum to 1 over the rows."""
    there = probe.present.reshape(*probe.present.shape, *(1,) * (values.ndim - 2))
    totals = (values * there).sum(dim=1).movedim(-1, 1)[probe.present]
    return bool(torch.isclose(totals, torch.ones_like(totals), rtol=0, atol=1e-3).all())


ATTENTION_OVER_STOCKS = (check_attention_leaves_padding_out,)
ATTENTION = (
    check_attention_is_as_declared,
    check_attention_is_the_same_twice,
    check_attention_sums,
    check_attention_belongs_to_its_row,
    check_attention_can_be_drawn,
)
