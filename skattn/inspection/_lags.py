"""Attention to the lags of a window, whatever further axes a map has."""

from __future__ import annotations

import warnings

import numpy as np

# The axes that hold a place for each step of a window.
STEPS = ("lag", "key")


def by_lag(values: np.ndarray, axes: tuple[str, ...]) -> np.ndarray:
    """Reduce a map (N, ...) to (N, T): what the latest step reads, as the prediction reads it.

    Of queries, the latest is taken. Of frequencies, all above 0 are added up: the weights of a lag
    sum to 1 over the frequencies, so that what varies is how much moves at all. Other axes are
    averaged.

    Parameters
    ----------
    values : ndarray of shape (N, ...)
        Weights.
    axes : tuple of str
        Names of the axes beyond the rows, with "lag" or "key" among them.

    Returns
    -------
    weights : ndarray of shape (N, T)
    """
    steps = "lag" if "lag" in axes else "key"
    names = ["row", *axes]
    for axis in axes:
        place = names.index(axis)
        if axis == steps:
            continue
        if axis == "query":
            values = values.take(-1, axis=place)
        elif axis == "frequency":
            values = values.take(np.arange(1, values.shape[place]), axis=place).sum(axis=place)
        else:
            with warnings.catch_warnings():
                # Where all weights are missing, so is their mean.
                warnings.simplefilter("ignore", RuntimeWarning)
                values = np.asarray(np.nanmean(values, axis=place, dtype=np.float64))
        del names[place]
    return values
