"""Which recurrences run as compiled code: found once a process, and said where it fails."""

from __future__ import annotations

import os
import threading
from functools import cache
from types import ModuleType
from typing import NamedTuple

from skattn.utils import warn_user

SWITCH = "SKATTN_COMPILED"
# Rows of a tile, which compiled code computes at a time.
TILE_ROWS = 128


class Recurrences(NamedTuple):
    """Compiled modules by recurrent unit; none, and the reason, where torch's own run."""

    modules: dict[str, ModuleType]
    reason: str


def compiled_recurrences() -> Recurrences:
    """Import, once a process, the compiled recurrences, and numba with them.

    Returns
    -------
    recurrences : Recurrences
        ``modules`` is empty where numba is not installed, is broken or is switched off by
        ``SKATTN_COMPILED=0``; a broken numba is reported by one warning.

    Examples
    --------
    >>> from skattn.kernels import compiled_recurrences
    >>> isinstance(compiled_recurrences().reason, str)
    True
    """
    with _lock:  # two threads that start together import it once
        return _import()


_lock = threading.Lock()


@cache
def _import() -> Recurrences:
    switch = os.environ.get(SWITCH, "").strip().lower()
    if switch in ("0", "false", "no", "off"):
        return Recurrences({}, f"switched off by {SWITCH}={switch}")
    try:
        import numba
    except ModuleNotFoundError as error:
        if error.name == "numba":
            return Recurrences({}, 'numba is not installed: pip install "skattn[fast]"')
        return _broken(error)
    except Exception as error:
        return _broken(error)
    try:
        from skattn.kernels import _numba_gru, _numba_lstm
    except Exception as error:
        return _broken(error)
    modules = {"gru": _numba_gru, "lstm": _numba_lstm}
    return Recurrences(modules, f"numba {numba.__version__}")


def _broken(error: Exception) -> Recurrences:
    reason = f"numba is broken ({type(error).__name__}: {error})"
    warn_user(
        f"{reason}. Recurrent models run on torch's own code, which is slower. Reinstall numba, "
        f"or set {SWITCH}=0 to be without it and without this warning."
    )
    return Recurrences({}, reason)
