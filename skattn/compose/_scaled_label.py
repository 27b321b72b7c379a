"""Scale labels within each day."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skattn.labels import check_labels
from skattn.panel import align_y, days_of
from skattn.parameters import check_lengths
from skattn.preprocessing import scale_within_days
from skattn.utils import warn_user


def scale_label(
    X: Any, y: Any, days: Any, method: str | None, suffix: str = ""
) -> np.ndarray | pd.Series | pd.DataFrame:
    """Scale labels within each day; a Series stays a Series with its index, name and attrs.

    Of several labels, each is scaled on its own, and a table stays a table.

    Parameters
    ----------
    X : array-like of n_samples rows
        Rows whose index may contain the days.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels; NaN stays NaN.
    days : array-like of dates, shape (n_samples,), or None
        Trading day of each row. None reads the days from the index of X, else of y.
    method : {"rank", "zscore", "robust"} or None
        Scaling method; see :class:`skattn.preprocessing.CrossSectionalScaler`. None checks the
        labels and leaves them as they are.
    suffix : str, default=""
        Suffix of the names X and y in error messages, such as "_val".

    Returns
    -------
    label : ndarray, Series or DataFrame, of the shape of y

    Raises
    ------
    TypeError, ValueError
        The labels are not numeric or are infinite, the labels are equal within every day, or X and
        y have different rows.
    """
    name = f"y{suffix}"
    check_lengths({f"X{suffix}": X}, **{name: y}, days=days)
    align_y(X, y, names=(f"X{suffix}", name))
    labels = check_labels(y, name, required=False, warn=True, several=True)
    known = days_of(days, X, y, what=name, required=False)
    if known is None and method is not None:
        warn_user(
            f"The trading days of {name} are not known: all its labels are scaled as if they "
            f"were of one day. Give {name} an index with a level 'datetime'"
            f"{'' if suffix else ', or pass days='}."
        )
    if method is None:
        scaled = labels
    else:
        day = np.zeros(len(labels), dtype=int) if known is None else pd.factorize(known)[0]
        columns = [labels] if labels.ndim == 1 else list(labels.T.copy())
        scaled = np.stack([scale_within_days(each, day, method) for each in columns], axis=1)
        scaled = scaled.reshape(labels.shape)
    empty = np.flatnonzero(np.isnan(scaled).all(axis=0))
    if len(empty):
        n_missing = np.isnan(labels if labels.ndim == 1 else labels[:, empty[0]]).sum()
        where = ""
        if labels.ndim == 2:
            names = y.columns if isinstance(y, pd.DataFrame) else range(labels.shape[1])
            where = f" in column {names[empty[0]]!r}"
        raise ValueError(
            f"{name} has no label to train on{where}: {n_missing} are NaN "
            f"(n_samples={len(labels)}), and the other labels are equal within each day."
        )
    if not isinstance(y, (pd.Series, pd.DataFrame)):
        return scaled
    label: pd.Series | pd.DataFrame
    if isinstance(y, pd.DataFrame) and labels.ndim == 2:
        label = pd.DataFrame(scaled, y.index, y.columns)
    else:
        label = pd.Series(scaled, y.index, name=getattr(y, "name", None))
    label.attrs.update(y.attrs)
    return label
