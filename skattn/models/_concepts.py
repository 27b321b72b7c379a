"""Which concepts a stock belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


class ConceptTable:
    """Weights of instruments in concepts, looked up by row.

    Parameters
    ----------
    concepts : DataFrame, Series, mapping or None
        Instrument by concept, with weights (0 or 1, or any that are not negative); or the one
        concept of each instrument. Instruments without one may be missing or have NaN.

    Raises
    ------
    ValueError, TypeError
        An instrument occurs twice, or a weight is negative, missing, infinite or no number.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.models._concepts import ConceptTable
    >>> table = ConceptTable({"KO": "drinks", "PEP": "drinks", "XOM": "oil"})
    >>> table(pd.Index(["XOM", "KO", "new"]), 3)["concepts"]
    array([[0., 1.],
           [1., 0.],
           [0., 0.]], dtype=float32)
    """

    def __init__(self, concepts: Any) -> None:
        table = _as_frame(concepts)
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()].unique()
            raise ValueError(
                f"concepts has {len(twice)} instruments more than once, first {list(twice[:3])}. A "
                f"stock of several concepts is one row of a DataFrame (instrument x concept)."
            )
        if not table.columns.is_unique:
            twice = table.columns[table.columns.duplicated()].unique()
            raise ValueError(f"concepts has columns more than once: {list(twice[:3])}.")
        weights = _as_weights(table)
        self.instruments = table.index
        self.names = table.columns
        self.reported: set = set()  # instruments without a concept, of which a fit has told
        # A last row for the instruments that are not known.
        self.weights = np.vstack([weights, np.zeros((1, weights.shape[1]), np.float32)])

    def __call__(self, instruments: pd.Index | None, n_rows: int) -> Mapping[str, np.ndarray]:
        """Look up the weights (n_rows, C) of each row's instrument."""
        if instruments is None:
            return {"concepts": np.zeros((n_rows, len(self.names)), np.float32)}
        return {"concepts": self.weights[self.instruments.get_indexer(instruments)]}

    def unknown(self, instruments: pd.Index) -> pd.Index:
        """Those of the instruments, once each, that belong to no concept."""
        unique = instruments.unique()
        without = self.weights[self.instruments.get_indexer(unique)].sum(axis=1) == 0
        return unique[without]


def _as_frame(concepts: Any) -> pd.DataFrame:
    if concepts is None:
        return pd.DataFrame()
    if isinstance(concepts, Mapping):
        concepts = pd.Series(dict(concepts), dtype=object)
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
            f"{weights[row, column]} for instrument {table.index[row]!r} in concept "
            f"{table.columns[column]!r} ({int(bad.sum())} such in all)."
        )
    return weights
