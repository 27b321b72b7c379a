"""Searches and cross-validation on the machines of a cluster, through joblib's backends.

dask and Ray do the work: ``joblib.parallel_config("dask")`` and ``joblib.parallel_config("ray")``
send the fits of ``GridSearchCV`` and ``cross_val_signal`` there. This package holds what they lack.
"""

from skattn.cluster._check import check_workers
from skattn.cluster._ray import register_ray

__all__ = ["check_workers", "register_ray"]
