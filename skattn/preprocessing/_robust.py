"""Robust z-score from the median and the median absolute deviation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_is_fitted

from skattn.panel import Clip, Fill, Scale, Transform, WindowArray
from skattn.panel.internal import check_panel_input
from skattn.parameters import parameter
from skattn.preprocessing._base import PanelTransformer, single_task

# qlib adds this number to the deviation, so that the divisor of a constant cell is not zero.
EPSILON = 1e-12
# 1.4826 MAD estimates the standard deviation of a normal distribution.
MAD_TO_STD = 1.4826


class RobustZScore(OneToOneFeatureMixin, PanelTransformer):
    """Subtract the median, divide by 1.4826 x the median absolute deviation, clip and fill.

    Each cell has its own statistics. A cell is a column of a table or 2-D array, or a (step, field)
    pair of windows. The statistics are learned only from the rows passed to ``fit``.

    Parameters
    ----------
    clip : float, default=3.0
        Values are clipped to [-clip, clip], in standard deviations. None disables clipping.
    fill_value : float, default=0.0
        Value that replaces missing values after scaling; 0 is the median. With None missing values
        stay NaN, and another step must fill them before they reach a regressor.
    subsample : int, default=None
        Maximum number of rows to learn the statistics from. The rows are drawn at random, and each
        fit draws the same rows. The medians of a million rows are close to the medians of all rows
        of a market and take a fraction of the time. None means all rows.

    Attributes
    ----------
    center_ : ndarray of shape (n_columns,) or (T, F)
        Medians, NaN ignored; NaN for a cell without any value.
    scale_ : ndarray of shape (n_columns,) or (T, F)
        1.4826 x (median absolute deviation + 1e-12); NaN for a cell without any value.
    n_features_in_ : int
        Number of columns or fields.
    n_steps_in_ : int
        Number of steps, if X has three dimensions.
    feature_names_in_ : ndarray of str
        Names of the columns, if X had names.

    Notes
    -----
    A cell without any training value is treated as missing in ``transform``, because its scale is
    unknown.

    Scaling of a WindowArray is recorded and applied when batches are gathered.

    If more than half of the values of a cell are equal, the deviation of the cell is zero. The cell
    is then divided by 1.5e-12, as in qlib, so clipping sends all different values to the limits.

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

    clip: float | None = parameter(3.0, above=0, positional=True)
    fill_value: float | None = parameter(0.0)
    subsample: int | None = parameter(None, at_least=1)

    @single_task
    def fit(self, X: Any, y: Any = None) -> RobustZScore:
        """Learn the medians and deviations.

        Parameters
        ----------
        X : WindowArray, DataFrame or array-like of shape (n_samples, n_columns) or (N, T, F)
            Training rows; NaN is ignored.
        y : None
            Ignored.

        Returns
        -------
        self : RobustZScore
        """
        self._checked_parameters()
        X = check_panel_input(self, X, reset=True)
        if self.subsample is not None and self.subsample < len(X):
            X = X[np.sort(sample_without_replacement(len(X), self.subsample, random_state=0))]
        if isinstance(X, np.ndarray) and X.ndim == 2:
            self.center_, self.scale_ = _median_and_scale(X, np.empty_like(X, order="F"))
            return self
        # One buffer serves all steps, because allocating memory costs more than the medians.
        buffer = np.empty((X.shape[2], len(X)), dtype=X.dtype).T
        cells = []
        for step in range(X.shape[1]):
            values = X.gather_step(step, buffer) if isinstance(X, WindowArray) else X[:, step]
            cells.append(_median_and_scale(values, buffer))
        self.center_, self.scale_ = (np.stack(part) for part in zip(*cells, strict=True))
        return self

    def transform(self, X: Any) -> WindowArray | pd.DataFrame | np.ndarray:
        """Scale X.

        Parameters
        ----------
        X : WindowArray, DataFrame or array-like of the fitted shape
            Values to scale.

        Returns
        -------
        X : WindowArray, DataFrame or ndarray of the same shape
            A DataFrame keeps its index and names.
        """
        check_is_fitted(self)
        table, X = X, check_panel_input(self, X, reset=False)
        lazily = isinstance(X, WindowArray)
        dtype = X.dtype
        transforms: list[Transform] = [Scale(self.center_.astype(dtype), self.scale_.astype(dtype))]
        if self.clip is not None:
            transforms.append(Clip(self.clip))
        if self.fill_value is not None:
            transforms.append(Fill(self.fill_value))
        if not lazily:
            X = X.copy()
        for transform in transforms:
            X = X.with_transform(transform) if lazily else transform(X, slice(None))
        if isinstance(table, pd.DataFrame):
            return pd.DataFrame(X, table.index, table.columns)
        return X

    @available_if(lambda self: getattr(self, "input_kind_", "array") != "windows")
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the input columns (not available for windows).

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns. None takes the names seen in ``fit``, or x0, x1, ...

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
    """Return the median and the scale of each column; uses ``buffer`` as working memory."""
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
    """Return the median of the known values, reordering ``column``; NaN sorts to the end."""
    middle = [(n_known - 1) // 2, n_known // 2]
    column.partition(middle)
    return column[middle].mean()
