"""The default score of a regressor, and what fits a signal better."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score

from skattn.labels import check_labels
from skattn.panel import align_y, days_of, instruments_of
from skattn.parameters import check_lengths
from skattn.training import check_weights, to_floats
from skattn.utils import warn_user


def r2_of_labelled(estimator: BaseEstimator, X: Any, y: Any, sample_weight: Any) -> float:
    """Give R² of the labelled rows, and say what judges the order of stocks where R² is below 0."""
    check_lengths({"X": X, "y": y})
    align_y(X, y)
    labels = to_floats(check_labels(y), "y")
    known = ~np.isnan(labels)
    weight = None
    if sample_weight is not None:
        weight = check_weights(sample_weight, len(labels), X, y)[known]
    days = days_of(None, X, y, required=False)
    instruments = instruments_of(y) if instruments_of(X) is None else None
    predicted = estimator.predict(X, days=days, instruments=instruments)
    r2 = r2_score(labels[known], predicted[known], sample_weight=weight)
    if days is not None and r2 < 0:
        warn_user(
            f"score is R², here {r2:.3g}: it compares the size of predictions with the size of "
            f"labels, and is below 0 for most signals. The order of the stocks within a day is "
            f"judged by scoring=skattn.metrics.rank_ic_scorer in searches and cross-validation."
        )
    return r2
