"""The default score of a regressor, and what fits a signal better."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score

from skattn.base._outputs import Outputs, check_same_outputs
from skattn.labels import check_labels
from skattn.panel import align_y, days_of, instruments_of
from skattn.parameters import check_lengths
from skattn.training import check_sample_weight, to_floats
from skattn.utils import warn_user


def r2_of_labelled(estimator: BaseEstimator, X: Any, y: Any, sample_weight: Any) -> float:
    """Give R² of the labelled rows, and say what judges the order of stocks where R² is below 0."""
    check_lengths({"X": X, "y": y})
    align_y(X, y)
    labels = to_floats(check_labels(y, several=True), "y")
    net = estimator.net_
    check_same_outputs(labels, y, Outputs(net.n_outputs, net.output_names))
    weight = None
    if sample_weight is not None:
        weight = check_sample_weight(sample_weight, len(labels), X, y)
    days = days_of(None, X, y, required=False)
    instruments = instruments_of(y) if instruments_of(X) is None else None
    predicted = estimator.predict(X, days=days, instruments=instruments)
    n_outputs, scores = net.n_outputs, []
    for label, of_label in zip(
        labels.reshape(-1, n_outputs).T, predicted.reshape(-1, n_outputs).T, strict=True
    ):
        known = ~np.isnan(label)
        if known.any():
            its_weight = None if weight is None else weight[known]
            scores.append(r2_score(label[known], of_label[known], sample_weight=its_weight))
    r2 = float(np.mean(scores))
    if days is not None and r2 < 0:
        warn_user(
            f"score is R², here {r2:.3g}: it compares the size of predictions with the size of "
            f"labels, and is below 0 for most signals. The order of the stocks within a day is "
            f"judged by scoring=skattn.metrics.rank_ic_scorer in searches and cross-validation."
        )
    return r2
