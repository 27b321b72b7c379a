"""Attention maps with labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skattn.base import SequenceRegressor
from skattn.preprocessing import CrossSectionalTarget
from skattn.training.batches import Samples
from skattn.training.samples import check_rows


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """An attention map of more than two axes.

    Parameters
    ----------
    values : ndarray of shape (N, ...)
        The weights.
    axes : tuple of str
        A name for each axis.
    labels : tuple of Index
        The labels along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skattn.inspection import AttentionMap
    >>> labels = (pd.RangeIndex(3), pd.RangeIndex(2), pd.RangeIndex(2))
    >>> AttentionMap(np.zeros((3, 2, 2)), ("row", "head", "lag"), labels)
    AttentionMap(row: 3, head: 2, lag: 2)
    """

    values: np.ndarray
    axes: tuple[str, ...]
    labels: tuple[pd.Index, ...]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Give the weights."""
        return np.array(self.values, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        sizes = zip(self.axes, self.values.shape, strict=True)
        return f"AttentionMap({', '.join(f'{name}: {size}' for name, size in sizes)})"


def attention_weights(
    estimator: Any, X: Any, *, days: Any = None, instruments: Any = None
) -> Bunch:
    """Give what a fitted model attends to for each row, with labels.

    Parameters
    ----------
    estimator : skattn regressor, Pipeline, search or CrossSectionalTarget
        Fitted. A pipeline must end in a skattn regressor; of a search the best one is taken.
    X : what the estimator's ``predict`` takes, N rows
        The rows to look at.
    days, instruments : array-like of shape (N,), default=None
        As for ``predict``.

    Returns
    -------
    maps : Bunch
        By name. A map with one axis beside the rows is a DataFrame, one with more an AttentionMap.
        Axes are named: ``lag`` (steps back, 0 is the latest), ``query`` and ``key`` (lags, too),
        ``layer``, ``head``, ``frequency`` (cycles a step), ``concept``, ``stock`` (instruments; NaN
        for those that the row's day does not have).

        - ALSTM: ``time`` (lag); sums to one.
        - Transformer: ``layers`` (layer, head, query, key); sums to one over the keys.
        - SFM: ``frequency`` (lag, frequency); sums to one over the frequencies.
        - HIST: ``stock_to_concept`` (concept), the weight with which the stock enters the concept's
          vector; ``concept_to_stock`` (concept), what it takes from those that have members, and
          ``hidden_concept`` (stock), what it takes from the hidden concepts around these stocks,
          which sum to one.

    Raises
    ------
    TypeError
        The estimator is not a skattn regressor, nor ends in one.
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
    model, X = _unwrap(estimator, X)
    maps = model.attend(X, days=days, instruments=instruments)
    if not maps:
        raise ValueError(f"{type(model).__name__} has no attention to look at.")
    samples = check_rows(model, X, days=days, instruments=instruments)
    index = getattr(X, "index", None)
    rows = index if isinstance(index, pd.Index) else pd.RangeIndex(len(samples))
    axes = getattr(model.module_, "attention_axes", {})
    labelled = {}
    for name, values in maps.items():
        names = axes.get(name, tuple(f"axis_{i}" for i in range(1, values.ndim)))
        labelled[name] = _label(model, samples, rows, values, names)
    return Bunch(**labelled)


def _unwrap(estimator: Any, X: Any) -> tuple[SequenceRegressor, Any]:
    """Find the regressor, and X as it gets it."""
    check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        return _unwrap(estimator.best_estimator_, X)
    if isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        return _unwrap(estimator[-1], X)
    if isinstance(estimator, CrossSectionalTarget):
        return _unwrap(estimator.regressor_, X)
    if not isinstance(estimator, SequenceRegressor):
        raise TypeError(
            f"attention_weights needs a skattn regressor, a Pipeline that ends in one, or a search "
            f"or CrossSectionalTarget over them; got {type(estimator).__name__}."
        )
    return estimator, X


def _label(
    model: SequenceRegressor,
    samples: Samples,
    rows: pd.Index,
    values: np.ndarray,
    axes: tuple[str, ...],
) -> pd.DataFrame | AttentionMap:
    if axes == ("stock",) and samples.instruments is not None:
        return _by_instrument(samples, rows, values)
    labels = [
        _axis_labels(model, name, size) for name, size in zip(axes, values.shape[1:], strict=True)
    ]
    if values.ndim == 2:
        return pd.DataFrame(values, index=rows, columns=labels[0])
    return AttentionMap(values, ("row", *axes), (rows, *labels))


def _axis_labels(model: SequenceRegressor, axis: str, size: int) -> pd.Index:
    if axis in ("lag", "query", "key"):
        return pd.RangeIndex(size - 1, -1, -1, name=axis)
    if axis == "frequency":
        return pd.Index(np.arange(size) / size, name=axis)
    if axis == "concept":
        return pd.Index(cast(Any, model.net_.context).names, name=axis)
    return pd.RangeIndex(size, name=axis)


def _by_instrument(samples: Samples, rows: pd.Index, values: np.ndarray) -> pd.DataFrame:
    """Columns for instruments, where the map's are places in the row's day."""
    codes, names = pd.factorize(samples.instruments, sort=True)
    wide = np.full((len(samples), len(names)), np.nan, dtype=values.dtype)
    for day in samples.rows_by_day():
        wide[day[:, None], codes[day]] = values[day, : len(day)]
    return pd.DataFrame(wide, index=rows, columns=pd.Index(names, name="stock"))
