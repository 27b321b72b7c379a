"""An attention map with labels, of any number of axes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skattn.parameters import InvalidParameterError, as_array, as_floats, shown


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """An attention map of more than two axes.

    Parameters
    ----------
    values : ndarray of shape (N, ...)
        Attention weights.
    axes : tuple of str
        Name of each axis.
    labels : tuple of Index
        Labels along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skattn.inspection import AttentionMap
    >>> labels = (pd.RangeIndex(3), pd.RangeIndex(2), pd.RangeIndex(2))
    >>> weights = AttentionMap(np.ones((3, 2, 2)), ("row", "head", "lag"), labels)
    >>> weights
    AttentionMap(row: 3, head: 2, lag: 2)
    >>> weights.select(head=1).mean("row").to_frame()
    lag    0    1
    0    1.0  1.0
    """

    values: np.ndarray
    axes: tuple[str, ...]
    labels: tuple[pd.Index, ...]

    def __post_init__(self) -> None:
        """Check that there is a name and an index for each axis."""
        values = as_array("values", self.values)
        object.__setattr__(self, "values", values)
        for name, kind in (("axes", str), ("labels", pd.Index)):
            found = getattr(self, name)
            is_tuple = isinstance(found, tuple) and all(isinstance(each, kind) for each in found)
            if not is_tuple or len(found) != values.ndim:
                raise TypeError(
                    f"{name} must be a tuple of {values.ndim} {kind.__name__}, one for each axis "
                    f"of values; got {shown(found)}."
                )

    def select(self, **labels: Any) -> AttentionMap:
        """Take one label of one or more axes.

        Parameters
        ----------
        **labels : object
            The label to take, by the name of its axis, such as ``layer=0, head=1``.

        Returns
        -------
        weights : AttentionMap
            The map without these axes.

        Raises
        ------
        ValueError
            The map has no axis of this name, the axis no such label, or no axis would be left.
        """
        self._check_axes(tuple(labels))
        place: list[Any] = [slice(None)] * self.values.ndim
        for axis, label in labels.items():
            at = self.axes.index(axis)
            known = self.labels[at]
            try:
                place[at] = known.get_loc(label)
            except Exception:  # pandas' errors depend on the kind of label
                place[at] = None
            if not isinstance(place[at], int):
                raise ValueError(
                    f"The axis {axis!r} has no label {shown(label)}; it has {shown(list(known))}."
                )
        kept = [i for i, axis in enumerate(self.axes) if axis not in labels]
        return self._with(self.values[tuple(place)], kept)

    def mean(self, *axes: str) -> AttentionMap:
        """Average over one or more axes; weights that are missing (NaN) do not count.

        Parameters
        ----------
        *axes : str
            Names of the axes.

        Returns
        -------
        weights : AttentionMap
            The map without these axes.

        Raises
        ------
        ValueError
            The map has no axis of this name, or no axis would be left.
        """
        self._check_axes(axes)
        over = tuple(self.axes.index(axis) for axis in axes)
        with warnings.catch_warnings():
            # Where all weights are missing, so is their mean.
            warnings.simplefilter("ignore", RuntimeWarning)
            values = np.nanmean(self.values, axis=over, dtype=np.float64)
        return self._with(np.asarray(values), [i for i in range(self.values.ndim) if i not in over])

    def to_frame(self) -> pd.DataFrame:
        """Give the weights as a table: the last axis in columns, the others in the index.

        Returns
        -------
        table : DataFrame
        """
        columns = self.labels[-1].rename(self.axes[-1])
        values = self.values.reshape(-1, len(columns))
        if self.values.ndim == 1:
            return pd.DataFrame(values, columns=columns)
        if self.values.ndim == 2:
            return pd.DataFrame(values, index=self.labels[0], columns=columns)
        keys = np.indices(self.values.shape[:-1]).reshape(self.values.ndim - 1, -1)
        levels: list[pd.Index] = []
        for name, index, positions in zip(self.axes, self.labels, keys, strict=False):
            taken = index[positions]
            many = isinstance(taken, pd.MultiIndex)
            names = list(taken.names) if many else [name]
            levels += [taken.get_level_values(i).rename(n) for i, n in enumerate(names)]
        return pd.DataFrame(values, pd.MultiIndex.from_arrays(levels), columns)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Give the weights as an array."""
        return np.array(self.values, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        sizes = zip(self.axes, self.values.shape, strict=True)
        return f"AttentionMap({', '.join(f'{name}: {size}' for name, size in sizes)})"

    def _check_axes(self, axes: tuple[str, ...]) -> None:
        unknown = [axis for axis in axes if not isinstance(axis, str) or axis not in self.axes]
        if unknown or len(set(axes)) >= self.values.ndim:
            given = shown(list(axes))
            raise ValueError(
                f"axes must be some of {self.axes}, and leave at least one; got {given}."
            )

    def _with(self, values: np.ndarray, kept: list[int]) -> AttentionMap:
        axes, labels = (tuple(all_[i] for i in kept) for all_ in (self.axes, self.labels))
        return AttentionMap(values, axes, labels)


def as_map(weights: Any) -> AttentionMap:
    """Read weights as a map of real numbers, or raise."""
    if isinstance(weights, AttentionMap):
        values = as_floats("weights", weights.values)
        return AttentionMap(values, weights.axes, weights.labels)
    if not isinstance(weights, pd.DataFrame):
        raise InvalidParameterError(
            f"weights must be an AttentionMap or a DataFrame, as attention_weights gives them; got "
            f"{shown(weights)}."
        )
    axis = str(weights.columns.name or "place")
    values = as_floats("weights", weights.to_numpy())
    return AttentionMap(values, ("row", axis), (weights.index, weights.columns))
