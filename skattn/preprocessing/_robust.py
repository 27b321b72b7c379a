"""Robust z-score: median and median absolute deviation."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_is_fitted

from skattn._params import check_count
from skattn.panel import Clip, Fill, Scale, Step, WindowArray, check_panel_input
from skattn.preprocessing._base import PanelTransformer, single_task

# qlib adds this to the deviation, so that a constant cell is divided by something.
EPSILON = 1e-12
# 1.4826 MAD estimates the standard deviation of a normal distribution.
MAD_TO_STD = 1.4826


class RobustZScore(OneToOneFeatureMixin, PanelTransformer):
    """Subtract the median, divide by 1.4826 x the median absolute deviation, clip, fill.

    Every cell has its own statistics: each column of a table or 2-D array, each (step, field)
    of windows. They are learned from the rows that ``fit`` sees and nothing else.

    Parameters
    ----------
    clip : float, default=3.0
        Values are clipped to [-clip, clip], in standard deviations. None: not at all.
    fill_value : float, default=0.0
        What missing values become after scaling; 0 is the median. None: they stay NaN, and
        something else must fill them before they reach a regressor.
    subsample : int, default=None
        Most rows that the statistics are learned from, drawn at random, the same in each fit.
        Medians of a million rows are close to those of all rows of a market, in a fraction of the
        time. None: all rows.

    Attributes
    ----------
    center_ : ndarray of shape (n_columns,) or (T, F)
        Medians, NaN ignored; NaN for a cell that has no value at all.
    scale_ : ndarray of shape (n_columns,) or (T, F)
        1.4826 x (median absolute deviation + 1e-12); NaN for a cell that has no value at all.
    n_features_in_ : int
        Number of columns or fields.
    n_steps_in_ : int
        Number of steps, where X has three dimensions.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had names.

    Notes
    -----
    A cell that had no value in training is missing ever after: there is nothing to scale it by.

    Scaling of a WindowArray is recorded on it and done when batches are gathered.

    A cell with more than half its values equal has a deviation of zero; it is divided by
    1.5e-12, as in qlib, so that clipping sends whatever differs to the limits.

    References
    ----------
    qlib, ``qlib/data/dataset/processor.py``, ``RobustZScoreNorm`` and ``Fillna``.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn.preprocessing import RobustZScore
    >>> RobustZScore().fit_transform(np.array([[1.0], [2.0], [3.0], [np.nan], [99.0]])).ravel()
    array([-1.0117..., -0.3372...,  0.3372...,  0.        ,  3.        ])
    """

    def __init__(
        self,
        clip: float | None = 3.0,
        *,
        fill_value: float | None = 0.0,
        subsample: int | None = None,
    ) -> None:
        self.clip = clip
        self.fill_value = fill_value
        self.subsample = subsample

    @single_task
    def fit(self, X: Any, y: Any = None) -> RobustZScore:
        """Learn the medians and deviations.

        Parameters
        ----------
        X : WindowArray, DataFrame or array-like of shape (n_samples, n_columns) or (N, T, F)
            The training rows; NaN is ignored.
        y : None
            Ignored.

        Returns
        -------
        self : RobustZScore
        """
        for name, value in (("clip", self.clip), ("fill_value", self.fill_value)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
                raise TypeError(f"{name} must be a number or None; got {value!r}.")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be a positive number or None; got {self.clip!r}.")
        check_count("subsample", self.subsample, 1, or_none=True)
        X = check_panel_input(self, X, reset=True)
        if self.subsample is not None and self.subsample < len(X):
            X = X[np.sort(sample_without_replacement(len(X), self.subsample, random_state=0))]
        if isinstance(X, np.ndarray) and X.ndim == 2:
            self.center_, self.scale_ = _median_and_scale(X, np.empty_like(X, order="F"))
            return self
        # One buffer for all steps: fresh memory costs more than the medians.
        buffer = np.empty((X.shape[2], len(X)), dtype=X.dtype).T
        cells = []
        for step in range(X.shape[1]):
            values = X.gather_lag(step, buffer) if isinstance(X, WindowArray) else X[:, step]
            cells.append(_median_and_scale(values, buffer))
        self.center_, self.scale_ = (np.stack(part) for part in zip(*cells, strict=True))
        return self

    def transform(self, X: Any) -> WindowArray | pd.DataFrame | np.ndarray:
        """Scale X.

        Parameters
        ----------
        X : WindowArray, DataFrame or array-like of the fitted shape
            What to scale.

        Returns
        -------
        X : WindowArray, DataFrame or ndarray of the same shape
            A DataFrame keeps its index and names.
        """
        check_is_fitted(self)
        table, X = X, check_panel_input(self, X, reset=False)
        lazily = isinstance(X, WindowArray)
        dtype = X.dtype
        steps: list[Step] = [Scale(self.center_.astype(dtype), self.scale_.astype(dtype))]
        if self.clip is not None:
            steps.append(Clip(self.clip))
        if self.fill_value is not None:
            steps.append(Fill(self.fill_value))
        if not lazily:
            X = X.copy()
        for step in steps:
            X = X.with_step(step) if lazily else step(X, slice(None))
        if isinstance(table, pd.DataFrame):
            return pd.DataFrame(X, table.index, table.columns)
        return X

    @available_if(lambda self: getattr(self, "_fit_ndim", 2) == 2)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns, as they went in (not for windows).

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns; None: those seen in ``fit``, or x0, x1, ...

        Returns
        -------
        names : ndarray of str
        """
        return super().get_feature_names_out(input_features)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _median_and_scale(values: np.ndarray, buffer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of each column, worked out in the buffer."""
    if values is not buffer:
        buffer[:] = values
    center = np.full(buffer.shape[1], np.nan, dtype=buffer.dtype)
    scale = center.copy()
    for i, column in enumerate(buffer.T):
        n_known = len(column) - int(np.count_nonzero(np.isnan(column)))
        if n_known:
            center[i] = _median(column, n_known)
            np.abs(np.subtract(column, center[i], out=column), out=column)
            scale[i] = MAD_TO_STD * (_median(column, n_known) + EPSILON)
    return center, scale


def _median(column: np.ndarray, n_known: int) -> np.floating:
    """Median of the values that are not NaN; changes their order. NaN counts as the largest."""
    middle = [(n_known - 1) // 2, n_known // 2]
    column.partition(middle)
    return column[middle].mean()
