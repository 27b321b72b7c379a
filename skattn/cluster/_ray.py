"""joblib on Ray, with arguments that are shipped once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from joblib.parallel import register_parallel_backend

# Bytes above which an argument goes into Ray's store.
LARGE = 1000


def register_ray() -> None:
    """Make ``joblib.parallel_config("ray")`` known, with arguments that are shipped once.

    ``ray.util.joblib.register_ray`` does the same, but sends all arguments of a task with each task
    under joblib 1.6. Here the table of a search, or of :func:`cross_val_signal`, is put
    into Ray's store once, and the tasks of a machine read it there without a copy. Scores and
    signals are the same.

    Raises
    ------
    ImportError
        Ray is not installed.

    See Also
    --------
    check_workers : Whether the nodes have what this process has.

    Examples
    --------
    >>> import joblib
    >>> from skattn.cluster import register_ray
    >>> register_ray()  # doctest: +SKIP
    >>> with joblib.parallel_config("ray", n_jobs=2):  # doctest: +SKIP
    ...     search.fit(X, y)
    """
    try:
        import ray
        from ray.util.joblib.ray_backend import RayBackend
    except ImportError as error:
        raise ImportError(
            'register_ray needs ray, which is not installed: pip install "skattn[ray]".'
        ) from error

    class ShipOnce(RayBackend):
        """Puts large arguments into Ray's store, once for each call of ``joblib.Parallel``."""

        def start_call(self) -> None:
            super().start_call()
            # The arguments stay alive beside their references, so that no id is given anew.
            self._shipped: dict[int, tuple[Any, Any]] = {}

        def stop_call(self) -> None:
            super().stop_call()
            self._shipped.clear()

        def submit(self, func: Any, callback: Callable | None = None) -> Any:
            func.items = [
                (
                    _fetch_and_call,
                    (function, *map(self._ship, args)),
                    {name: self._ship(value) for name, value in keywords.items()},
                )
                for function, args, keywords in func.items
            ]
            return super().submit(func, callback)

        def _ship(self, value: Any) -> Any:
            nbytes = getattr(value, "nbytes", 0)
            if max(sys.getsizeof(value), nbytes if isinstance(nbytes, int) else 0) < LARGE:
                return value
            if id(value) not in self._shipped:
                self._shipped[id(value)] = value, ray.put(value)
            return self._shipped[id(value)][1]

    register_parallel_backend("ray", ShipOnce)


def _fetch_and_call(function: Callable, *args: Any, **keywords: Any) -> Any:
    """Call a function with what lies in Ray's store under the references."""
    import ray

    def fetched(value: Any) -> Any:
        return ray.get(value) if isinstance(value, ray.ObjectRef) else value

    return function(*map(fetched, args), **{k: fetched(v) for k, v in keywords.items()})
