"""Which concepts a stock belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skattn.parameters import shown
from skattn.training.side_inputs import SideInputs
from skattn.utils import warn_user


class ConceptTable(SideInputs):
    """Weights of instruments in concepts, as the side input ``concepts`` of a module.

    Parameters
    ----------
    concepts : DataFrame, Series, mapping or None
        Weights (instrument x concept: 0 or 1, or any that are not negative), or the one concept of
        each instrument. Instruments without a concept may be missing or have NaN.

    Raises
    ------
    ValueError, TypeError
        An instrument occurs twice, or a weight is negative, missing, infinite or no number.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.training import ConceptTable
    >>> table = ConceptTable({"KO": "drinks", "PEP": "drinks", "XOM": "oil"})
    >>> table.rows(pd.Index(["XOM", "KO", "new"]), 3)["concepts"]
    array([[0., 1.],
           [1., 0.],
           [0., 0.]], dtype=float32)
    """

    names = ("concepts",)

    def __init__(self, concepts: Any) -> None:
        table = _as_frame(concepts)
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()].unique()
            raise ValueError(
                f"concepts has {len(twice)} instruments more than once, first "
                f"{shown(list(twice[:3]))}. A stock of several concepts is one row of a DataFrame "
                f"(instrument x concept)."
            )
        if not table.columns.is_unique:
            twice = table.columns[table.columns.duplicated()].unique()
            raise ValueError(f"concepts has columns more than once: {shown(list(twice[:3]))}.")
        weights = _as_weights(table)
        self.instruments = table.index
        self.concepts = table.columns
        self.reported: set = set()  # instruments without a concept that a fit has reported
        # A last row of zeros for unknown instruments.
        self.weights = np.vstack([weights, np.zeros((1, weights.shape[1]), np.float32)])

    @property
    def axis_labels(self) -> Mapping[str, pd.Index]:
        """Names of the concepts, for axes "concept"."""
        return {"concept": self.concepts}

    def rows(self, instruments: pd.Index | None, n_rows: int) -> Mapping[str, np.ndarray]:
        """Look up the weights (n_rows, C) of each row's instrument.

        Parameters
        ----------
        instruments : Index of length n_rows, or None
            Stock of each row. None: no row belongs to a concept.
        n_rows : int
            Number of rows.

        Returns
        -------
        inputs : dict
            ``concepts``, an ndarray of float32.
        """
        if instruments is None:
            return {"concepts": np.zeros((n_rows, len(self.concepts)), np.float32)}
        return {"concepts": self.weights[self.instruments.get_indexer(instruments)]}

    def unknown(self, instruments: pd.Index) -> pd.Index:
        """Instruments that belong to no concept, each once."""
        unique = instruments.unique()
        without = self.weights[self.instruments.get_indexer(unique)].sum(axis=1) == 0
        return unique[without]

    def check(self, instruments: pd.Index | None, *, fitting: bool) -> None:
        """Warn of the instruments that belong to no concept, each once a fit.

        Parameters
        ----------
        instruments : Index of length N, or None
            Stock of each row.
        fitting : bool
            True in ``fit``, False in ``predict``.

        Raises
        ------
        ValueError
            There are concepts, but the instruments are unknown or none of them has a concept.
        """
        if self.concepts.empty:
            return
        if instruments is None:
            raise ValueError(
                "concepts was given, but the instruments of X are not known: give X an index with "
                "a level 'instrument' (skattn.from_long makes one), or pass instruments=."
            )
        unknown = self.unknown(instruments)
        n_all = len(instruments.unique())
        if fitting and len(unknown) == n_all:
            raise ValueError(
                f"concepts knows none of the {n_all} instruments of X: it has "
                f"{shown(list(self.instruments[:3]))}, X has {shown(list(unknown[:3]))}."
            )
        # An instrument is reported once a fit, and not again in prediction.
        new = [name for name in unknown if name not in self.reported]
        if new:
            warn_user(
                f"{len(new)} of {n_all} instruments belong to no concept: {shown(new[:5])}"
                f"{'' if len(new) <= 5 else ' and others'}."
            )
        if fitting:
            self.reported.update(unknown)


def _as_frame(concepts: Any) -> pd.DataFrame:
    if concepts is None:
        return pd.DataFrame()
    if isinstance(concepts, Mapping):
        concepts = pd.Series(dict(concepts), dtype=object)
    if not isinstance(concepts, (pd.DataFrame, pd.Series)):
        raise TypeError(
            f"concepts must be a DataFrame (instrument x concept), a Series or mapping of "
            f"instruments to labels, or None; got {shown(concepts)}."
        )
    if isinstance(concepts.index, pd.MultiIndex):
        raise ValueError(
            f"concepts must have one row an instrument; its index has the levels "
            f"{list(concepts.index.names)}."
        )
    if isinstance(concepts, pd.DataFrame):
        return concepts
    try:
        # Dummies of labels: a column a concept, NaN in none.
        return pd.get_dummies(concepts, dtype=np.float32)
    except TypeError as error:
        raise TypeError(
            f"concepts as a Series or mapping holds the one concept of each instrument, a label; "
            f"several of them are a DataFrame (instrument x concept): {error}."
        ) from error


def _as_weights(table: pd.DataFrame) -> np.ndarray:
    try:
        weights = table.to_numpy(dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"concepts must hold numbers (instrument x concept), or be a Series or mapping of "
            f"instruments to labels: {error}"
        ) from error
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"concepts must hold weights that are finite and not negative; got "
            f"{weights[row, column]} for instrument {shown(table.index[row])} in concept "
            f"{shown(table.columns[column])} ({int(bad.sum())} such in all)."
        )
    return weights
