"""The number of tasks at a time."""

from __future__ import annotations


def check_jobs(n_jobs: int | None) -> None:
    """Raise if ``n_jobs`` is 0, which joblib cannot run."""
    if n_jobs == 0:
        raise ValueError("n_jobs must not be 0; None means 1, and -1 all processors.")
