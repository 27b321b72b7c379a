"""Attention maps with labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skattn.base import SequenceRegressor
from skattn.inspection._attention.map import AttentionMap
from skattn.inspection._fitted import fitted_model, no_attention
from skattn.panel import WindowArray
from skattn.training import Samples


def attention_weights(
    estimator: Any, X: Any, *, days: Any = None, instruments: Any = None
) -> Bunch:
    """Give the attention weights of a fitted model for each row, with labels.

    Parameters
    ----------
    estimator : skattn regressor, Pipeline, search, CrossSectionalTarget or LearntConcepts
        Fitted estimator. A pipeline must end in a skattn regressor. From a search, the best
        estimator is taken.
    X : input of the estimator's ``predict``, N rows
        Rows to inspect.
    days, instruments : array-like of shape (N,), default=None
        Day and instrument of each row, as for ``predict``.

    Returns
    -------
    maps : Bunch
        Attention maps by name. A map with one axis besides the rows is a DataFrame. A map with
        more axes is an AttentionMap. Axes are named ``lag`` (steps back, 0 is the latest),
        ``query`` and ``key`` (also lags), ``layer``, ``head``, ``frequency`` (cycles per step),
        ``concept``, ``feature`` (the leading fields of the windows) and ``stock`` (instruments;
        NaN for instruments missing on the row's day).

        - ALSTM: ``time`` (lag); sums to 1.
        - Transformer: ``layers`` (layer, head, query, key); sums to 1 over the keys.
        - SFM: ``frequency`` (lag, frequency); sums to 1 over the frequencies.
        - HIST: ``stock_to_concept`` (concept), weight of the stock in the concept's vector;
          ``concept_to_stock`` (concept), weight of each concept with members for the stock, sums
          to 1; ``hidden_concept`` (stock), weight of the hidden concept around each stock, sums
          to 1.

    Raises
    ------
    TypeError
        The estimator is not a skattn regressor and does not end in a skattn regressor.
    ValueError
        The model has no attention.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn.datasets import make_market
    >>> from skattn.inspection import attention_weights
    >>> from skattn.models import ALSTMRegressor
    >>> from skattn.preprocessing import Alpha360, RobustZScore
    >>> market = make_market(n_stocks=5, n_days=60, random_state=0)
    >>> model = ALSTMRegressor(hidden_size=4, max_epochs=1, random_state=0)
    >>> pipeline = make_pipeline(Alpha360(length=5), RobustZScore(), model)
    >>> weights = attention_weights(pipeline.fit(market.ohlcv, market.label), market.ohlcv)
    >>> weights.time.columns
    RangeIndex(start=4, stop=-1, step=-1, name='lag')
    >>> bool(weights.time.sum(axis=1).round(4).eq(1).all())
    True
    """
    model, X = fitted_model(estimator, X, "attention_weights")
    maps = model.attend(X, days=days, instruments=instruments)
    if not maps:
        raise no_attention(model)
    samples = model.check_rows(X, days=days, instruments=instruments)
    index = getattr(X, "index", None)
    rows = index if isinstance(index, pd.Index) else pd.RangeIndex(len(samples))
    axes = model.net_.contract.attention_axes
    labelled = {}
    for name, values in maps.items():
        names = axes.get(name, tuple(f"axis_{i}" for i in range(1, values.ndim)))
        labelled[name] = _label(model, samples, rows, values, names)
    return Bunch(**labelled)


def _label(
    model: SequenceRegressor,
    samples: Samples,
    rows: pd.Index,
    values: np.ndarray,
    axes: tuple[str, ...],
) -> pd.DataFrame | AttentionMap:
    labels = []
    for place, name in enumerate(axes, start=1):
        if name == "stock" and samples.instruments is not None:
            values, label = _by_instrument(samples, values, place)
        else:
            label = _axis_labels(model, samples.X, name, values.shape[place])
        labels.append(label)
    if values.ndim == 2:
        return pd.DataFrame(values, index=rows, columns=labels[0])
    return AttentionMap(values, ("row", *axes), (rows, *labels))


def _axis_labels(model: SequenceRegressor, X: Any, axis: str, size: int) -> pd.Index:
    if axis in ("lag", "query", "key"):
        return pd.RangeIndex(size - 1, -1, -1, name=axis)
    if axis == "frequency":
        return pd.Index(np.arange(size) / size, name=axis)
    known = model.net_.side_inputs.axis_labels.get(axis)
    if axis == "feature" and isinstance(X, WindowArray) and len(X.fields) >= size:
        known = X.fields[:size]
    if known is not None and len(known) == size:
        return pd.Index(known, name=axis)
    return pd.RangeIndex(size, name=axis)


def _by_instrument(samples: Samples, values: np.ndarray, axis: int) -> tuple[np.ndarray, pd.Index]:
    """Rearrange an axis from positions within the row's day to one position per instrument."""
    codes, names = pd.factorize(samples.instruments, sort=True)
    by_place = np.moveaxis(values, axis, 1)
    shape = (len(samples), len(names), *by_place.shape[2:])
    wide = np.full(shape, np.nan, dtype=values.dtype)
    for day in samples.rows_by_day():
        wide[day[:, None], codes[day]] = by_place[day, : len(day)]
    return np.moveaxis(wide, 1, axis), pd.Index(names, name="stock")
