"""Faults that are known and wait for their cure. There should be none."""

from __future__ import annotations

import re

# Regular expressions of case-argument-value, by the file that holds the cure.
KNOWN: tuple[str, ...] = (
    # panel/_index.py: check_index of what is no index, days_of of what is no array of dates
    r"check_index-index-.*",
    r".*-(days|groups)-(nested|broken repr)",
    r".*-(days|groups)-rows: (object with (list|broken repr)|ragged list|torch .*)",
    r".*-rows: equal level names",
    # parameters/_numbers.py: check_numbers of tensors, of tables of polars, of integers too large
    r".*-y(_true|_pred|_val)?-(tensor|10\*\*400)",
    r".*-y(_true|_pred|_val)?-rows: (torch.*|polars series|object with 10\*\*400)",
    # panel/_long.py
    r"from_long-frame-rows: object with (10\*\*400|broken repr)",
    r"from_long-(datetime|instrument)-broken repr",
    r"from_long\((csv|parquet)\)-frame-file: 5000 characters",
    # panel/_dates.py: read_day of an object that cannot be shown
    r"read_provider-(start|end)-broken repr",
    r"load_workflow.*(start|end)_time-broken repr",
    # qlib/_provider.py
    r"read_provider-uri-features/a/.*: directory",
    r"read_provider-(instruments|fields)-(0-d|tensor|broken repr)",
    # labels.py
    r"make_label-price-(surrogate|broken repr)",
    r"check_labels-required-pd.NA",
    # metrics/: scorers of what is no estimator, Displays, a number of quantiles without bound
    r"(rank_)?ic(ir)?_scorer-estimator-.*",
    r"signal_report-by-nested",
    r".*-n_quantiles-2\*\*31-1",
    r"SignalDisplay.*-name-(pd.NA|broken repr)",
    r"SignalDisplay.from_estimator-estimator-broken repr",
    # model_selection/
    r"DailyTimeSeriesSplit-n_splits-2\*\*31-1",
    r"SplitDisplay-(roles-.*|title-broken repr)",
    r"DateSplit-(train|valid|test)-(nested|broken repr)",
    r"reconstruct_paths-predictions-0-d",
    r"(.*DailyKFold|DailyTimeSeriesSplit|DateSplit.*|reconstruct_paths)-(X|y)-broken repr",
    # training/weights.py, training/checkpoint.py
    r"pretrained.*-file: .*",
    r".*checkpoint-(surrogate|file: (5000 characters|deep|NUL byte|surrogate))",
    r"training-freeze-nested",
    # base/_regressor.py
    r"GRURegressor.score-sample_weight-.*",
    # plugins.py
    r"(get|make)_model-name-.*",
)


def is_known(key: str) -> bool:
    """Whether a fault waits for its cure."""
    return any(re.fullmatch(pattern, key) for pattern in KNOWN)
