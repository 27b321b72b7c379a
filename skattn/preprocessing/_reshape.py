"""Reshape flat Alpha columns to windows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skattn.panel import WindowArray, check_index
from skattn.panel.internal import OHLCV_FIELDS, check_panel_input
from skattn.parameters import parameter
from skattn.preprocessing._base import PanelTransformer, single_task

NAME_AND_LAG = re.compile(r"(.*?)(\d+)")


class SequenceReshaper(PanelTransformer):
    """Reshape flat columns, sorted by feature and oldest first, to (N, T, F) windows.

    qlib's Alpha360 handler and ``Alpha360(layout="columns")`` return F x T columns CLOSE59, ...,
    CLOSE0, OPEN59, ..., VOLUME0. SequenceReshaper turns these columns back into sequences.

    Parameters
    ----------
    n_features : int, default=None
        Number of features F. None infers F from the column names, and takes 1 if there are no
        names.
    by : {"name", "position"}, default="name"
        How to order the columns of a DataFrame. "name" reads each column name as a feature name
        followed by a lag, if the names have this form. "position" keeps the order of the columns,
        feature by feature and oldest first.

    Attributes
    ----------
    fields_ : tuple of str
        Names of the features.
    n_steps_ : int
        Number of steps T.
    order_ : ndarray of int, shape (F * T,), or None
        Positions of the columns in the fitted table, if the columns are ordered by name.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns seen in ``fit``, feature by feature and oldest first, if X had names.

    Notes
    -----
    By name, shuffled columns are put in order: the features in qlib's order close, open, high, low,
    vwap, volume, then all other features by name. If the columns have two levels, as in qlib, the
    last level gives the names. Arrays and tables without such names are read by position.

    By position, any columns can be read as steps. Some of qlib's models read the columns of
    Alpha158 in this way, although the numbers in their names are not lags. The features are then
    named x0, x1, ...

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_alstm.py``, ``ALSTMModel.forward``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn.preprocessing import SequenceReshaper
    >>> table = pd.DataFrame([[1, 2, 3, 4]], columns=["OPEN0", "CLOSE0", "CLOSE1", "OPEN1"])
    >>> SequenceReshaper().fit_transform(table)
    array([[[3., 4.],
            [2., 1.]]])
    """

    n_features: int | None = parameter(None, at_least=1, positional=True)
    by: str = parameter("name", one_of=("name", "position"))

    @single_task
    def fit(self, X: Any, y: Any = None) -> SequenceReshaper:
        """Read the order of the columns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, F * T)
            Flat features.
        y : None
            Ignored.

        Returns
        -------
        self : SequenceReshaper

        Raises
        ------
        ValueError
            The number of columns is not a multiple of ``n_features``, the names lack lags, or a
            parameter is not allowed.
        """
        wanted = self._checked_parameters()["n_features"]
        X, fields, self.order_ = self._sort(X)
        columns = check_panel_input(self, X, reset=True)
        if len(columns.shape) != 2:
            raise ValueError(
                f"X must have two dimensions (flat columns); got shape {columns.shape}."
            )
        if fields is not None and wanted not in (None, len(fields)):
            raise ValueError(
                f"n_features={wanted}, but the column names have {len(fields)} features: "
                f"{', '.join(fields)}."
            )
        self.fields_ = fields or tuple(f"x{f}" for f in range(wanted or 1))
        n_steps, left = divmod(columns.shape[1], len(self.fields_))
        if left:
            raise ValueError(
                f"X has {columns.shape[1]} columns, which is not a multiple of "
                f"n_features={len(self.fields_)}."
            )
        self.n_steps_ = n_steps
        return self

    def transform(self, X: Any) -> WindowArray | np.ndarray:
        """Reshape X.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, F * T)
            Flat features. The columns of a DataFrame may be in a different order than in ``fit``.

        Returns
        -------
        windows : WindowArray or ndarray of shape (n_samples, T, F)
            A WindowArray with the index of X if X has a (datetime, instrument) index, else an
            ndarray.
        """
        check_is_fitted(self)
        X, fields, _ = self._sort(X)
        columns = np.asarray(check_panel_input(self, X, reset=False))
        if self.order_ is not None and not isinstance(X, pd.DataFrame):
            # The columns of an array have the order of the fitted table.
            columns = columns[:, self.order_]
        if fields is not None and fields != self.fields_:
            raise ValueError(
                f"X has the features {', '.join(fields)}, but SequenceReshaper is expecting "
                f"{', '.join(self.fields_)}."
            )
        n_features = len(self.fields_)
        cube = columns.reshape(len(columns), n_features, self.n_steps_)
        cube = np.ascontiguousarray(cube.transpose(0, 2, 1))
        if not (isinstance(X, pd.DataFrame) and isinstance(X.index, pd.MultiIndex)):
            return cube
        # The windows do not overlap: sample i holds the rows i * T to (i + 1) * T - 1.
        starts = np.arange(len(cube)) * self.n_steps_
        return WindowArray(
            cube.reshape(-1, n_features),
            starts + self.n_steps_ - 1,
            self.n_steps_,
            starts=starts,
            index=check_index(X.index),
            fields=self.fields_,
        )

    def _sort(self, X: Any) -> tuple[Any, tuple[str, ...] | None, np.ndarray | None]:
        return _sort_by_name(X) if self.by == "name" else (X, None, None)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _sort_by_name(X: Any) -> tuple[Any, tuple[str, ...] | None, np.ndarray | None]:
    """Sort the columns of a DataFrame feature by feature, oldest first.

    Returns the sorted table, its features and the original positions of its columns. If no column
    name has a lag, the function returns X unchanged, None and None.
    """
    if not isinstance(X, pd.DataFrame):
        return X, None, None
    # Columns of qlib's frames have a level above the names: ("feature", "CLOSE59").
    names = X.columns.get_level_values(-1)
    found = [NAME_AND_LAG.fullmatch(str(name)) for name in names]
    named = [bool(match and match[1]) for match in found]
    # scikit-learn names unnamed columns x0, x1, ...; these numbers are not lags.
    if not any(named) or all(re.fullmatch(r"x\d+", str(name)) for name in names):
        return X, None, None
    if not all(named):
        bad = [str(name) for name, is_named in zip(names, named, strict=True) if not is_named]
        raise ValueError(
            f"Column names must end with a lag, such as CLOSE59; columns without a lag: "
            f"{', '.join(bad[:5])}. Drop these columns, or use by='position'."
        )
    position: dict[tuple[str, int], int] = {}
    for i, match in enumerate(found):
        key = (match[1], int(match[2]))  # type: ignore[index]
        if key in position:
            raise ValueError(f"Columns {names[position[key]]} and {names[i]} name the same step.")
        position[key] = i
    rank = {field.upper(): i for i, field in enumerate(OHLCV_FIELDS)}
    fields = sorted(
        {name for name, _ in position},
        key=lambda name: (rank.get(name.upper(), len(rank)), name),
    )
    n_steps = 1 + max(lag for _, lag in position)
    wanted = [(field, lag) for field in fields for lag in reversed(range(n_steps))]
    missing = [f"{field}{lag}" for field, lag in wanted if (field, lag) not in position]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise ValueError(f"X lacks columns for some lags ({len(missing)} missing): {shown}.")
    order = np.array([position[key] for key in wanted])
    return X.iloc[:, order], tuple(fields), order
