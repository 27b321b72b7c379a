"""What a module gets beside the windows, looked up by the instrument of each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skattn.parameters import shown


class SideInputs:
    """What a module gets beside the windows; this base class gives nothing.

    A subclass names its inputs and implements ``rows``. It is pickled with the model.

    Attributes
    ----------
    names : tuple of str
        Names of the inputs: keyword arguments of the module's ``forward`` and ``attend``.
    axis_labels : dict of str to Index
        Labels of the axes of attention maps that the inputs know, such as "concept".

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.training import SideInputs
    >>> class Size(SideInputs):
    ...     names = ("size",)
    ...
    ...     def __init__(self, sizes):
    ...         self.sizes = pd.Series(sizes, dtype="float32")
    ...
    ...     def rows(self, instruments, n_rows):
    ...         return {"size": self.sizes.reindex(instruments).fillna(0).to_numpy()}
    >>> Size({"A": 1.0, "B": 3.0}).rows(pd.Index(["B", "B"]), 2)
    {'size': array([3., 3.], dtype=float32)}
    """

    names: tuple[str, ...] = ()

    @property
    def axis_labels(self) -> Mapping[str, pd.Index]:
        """Labels of axes of attention maps."""
        return {}

    def rows(self, instruments: pd.Index | None, n_rows: int) -> Mapping[str, np.ndarray]:
        """Look the inputs up for some rows.

        Parameters
        ----------
        instruments : Index of length n_rows, or None
            Stock of each row; None where stocks are unknown.
        n_rows : int
            Number of rows.

        Returns
        -------
        inputs : dict of str to ndarray of shape (n_rows, ...)
            One array of finite numbers for each of ``names``.
        """
        return {}

    def check(self, instruments: pd.Index | None, *, fitting: bool) -> None:
        """Look at the instruments of the rows before anything is computed; may warn or raise.

        Parameters
        ----------
        instruments : Index of length N, or None
            Stock of each row.
        fitting : bool
            True in ``fit``, False in ``predict``.
        """


def check_side_inputs(side_inputs: Any, maker: str) -> SideInputs:
    """Raise where ``make_side_inputs`` of the class ``maker`` has given something else."""
    if not isinstance(side_inputs, SideInputs):
        raise TypeError(
            f"{maker}.make_side_inputs must give a skattn.training.SideInputs; got "
            f"{type(side_inputs).__name__}."
        )
    names = side_inputs.names
    if not isinstance(names, (tuple, list)) or not all(isinstance(each, str) for each in names):
        raise TypeError(
            f'{type(side_inputs).__name__}.names must be a tuple of names, such as ("size",); '
            f"got {shown(names)}."
        )
    taken = {"x", "present"} & set(side_inputs.names)
    if taken:
        raise ValueError(
            f"{type(side_inputs).__name__}.names must not hold {sorted(taken)}: the windows and "
            f"the mask of a day's rows have these names."
        )
    return side_inputs
