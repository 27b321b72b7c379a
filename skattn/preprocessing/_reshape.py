"""From flat Alpha columns to windows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skattn.panel import WindowArray, check_index, check_panel_input
from skattn.preprocessing._base import PanelTransformer, single_task
from skattn.preprocessing._ohlcv import FIELDS

NAME_AND_LAG = re.compile(r"(.*?)(\d+)")


class SequenceReshaper(PanelTransformer):
    """Turn flat columns, feature by feature and oldest first, into (N, T, F) windows.

    qlib's Alpha360 handler, and ``Alpha360(layout="columns")``, give F x T columns CLOSE59, ...,
    CLOSE0, OPEN59, ..., VOLUME0. This makes sequences of them again.

    Parameters
    ----------
    n_features : int, default=None
        Number of features F. None: as the names of the columns say, 1 where there are no names.
    by : {"name", "position"}, default="name"
        What places the columns of a DataFrame. "name": a feature's name followed by its lag, where
        the names are such. "position": their order, feature by feature and oldest first.

    Attributes
    ----------
    fields_ : tuple of str
        Names of the features.
    n_steps_ : int
        Number of steps T.
    order_ : ndarray of int, shape (F * T,), or None
        Positions of the columns in the table that was fitted, where names place them.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns seen in ``fit``, feature by feature and oldest first, where X had
        names.

    Notes
    -----
    By name, shuffled columns come out right: features in qlib's order close, open, high, low, vwap,
    volume, then any others by name. Of qlib's two column levels the last one counts. Without such
    names, and in an array, position decides.

    By position, any columns may be taken for steps, as some of qlib's models take those of
    Alpha158, whose numbers are no lags. The features have the names x0, x1, ... then.

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

    def __init__(self, n_features: int | None = None, *, by: str = "name") -> None:
        self.n_features = n_features
        self.by = by

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
            The number of columns is no multiple of ``n_features``, the names lack lags, or a
            parameter is not allowed.
        """
        wanted = self.n_features
        if wanted is not None and (not isinstance(wanted, (int, np.integer)) or wanted < 1):
            raise ValueError(f"n_features must be a positive int or None; got {wanted!r}.")
        if self.by not in ("name", "position"):
            raise ValueError(f"by must be 'name' or 'position'; got {self.by!r}.")
        X, fields, self.order_ = self._sort(X)
        columns = check_panel_input(self, X, reset=True)
        if len(columns.shape) != 2:
            raise ValueError(
                f"X must have two dimensions (flat columns); got shape {columns.shape}."
            )
        if fields is not None and wanted not in (None, len(fields)):
            raise ValueError(
                f"n_features={wanted}, but the names of the columns tell {len(fields)} features: "
                f"{', '.join(fields)}."
            )
        self.fields_ = fields or tuple(f"x{f}" for f in range(wanted or 1))
        n_steps, left = divmod(columns.shape[1], len(self.fields_))
        if left:
            raise ValueError(
                f"X has {columns.shape[1]} columns, which is no multiple of "
                f"n_features={len(self.fields_)}."
            )
        self.n_steps_ = n_steps
        return self

    def transform(self, X: Any) -> WindowArray | np.ndarray:
        """Reshape X.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, F * T)
            Flat features. A DataFrame may have its columns in another order than in ``fit``.

        Returns
        -------
        windows : WindowArray or ndarray of shape (n_samples, T, F)
            A WindowArray, with the index, where X has a (datetime, instrument) index.
        """
        check_is_fitted(self)
        X, fields, _ = self._sort(X)
        columns = np.asarray(check_panel_input(self, X, reset=False))
        if self.order_ is not None and not isinstance(X, pd.DataFrame):
            # An array's columns are those of the table that was fitted, in its order.
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
        # Windows that do not overlap: sample i is the rows i * T ... (i + 1) * T - 1.
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
    """Put a DataFrame's columns feature by feature, oldest first.

    Gives it with its features and the order it had; X and None where no name has a lag.
    """
    if not isinstance(X, pd.DataFrame):
        return X, None, None
    # qlib's frames have a second level above the names: ("feature", "CLOSE59").
    names = X.columns.get_level_values(-1)
    found = [NAME_AND_LAG.fullmatch(str(name)) for name in names]
    named = [bool(match and match[1]) for match in found]
    # x0, x1, ... is scikit-learn's way to name columns that have no name: no lags.
    if not any(named) or all(re.fullmatch(r"x\d+", str(name)) for name in names):
        return X, None, None
    if not all(named):
        bad = [str(name) for name, is_named in zip(names, named, strict=True) if not is_named]
        raise ValueError(
            f"Columns are placed by a name and a lag, such as CLOSE59; these have none: "
            f"{', '.join(bad[:5])}. Drop them, or use by='position'."
        )
    position: dict[tuple[str, int], int] = {}
    for i, match in enumerate(found):
        key = (match[1], int(match[2]))  # type: ignore[index]
        if key in position:
            raise ValueError(f"Columns {names[position[key]]} and {names[i]} are the same step.")
        position[key] = i
    rank = {field.upper(): i for i, field in enumerate(FIELDS)}
    fields = sorted(
        {name for name, _ in position},
        key=lambda name: (rank.get(name.upper(), len(rank)), name),
    )
    n_steps = 1 + max(lag for _, lag in position)
    wanted = [(field, lag) for field in fields for lag in reversed(range(n_steps))]
    missing = [f"{field}{lag}" for field, lag in wanted if (field, lag) not in position]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise ValueError(f"X lacks columns that its names call for ({len(missing)}): {shown}.")
    order = np.array([position[key] for key in wanted])
    return X.iloc[:, order], tuple(fields), order
