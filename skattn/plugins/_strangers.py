"""Care with strangers' objects and exceptions: each may raise anything whenever it is touched."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_RAISE = bytes([dis.opmap["RAISE_VARARGS"]])
# A class's own name, past a metaclass that has another idea of the name.
class_name: Callable[[type], str] = type.__dict__["__name__"].__get__


def shown(value: object, most: int = 200, *, show: Callable[[object], str] = repr) -> str:
    """Show an object in a message, however long or broken its repr is.

    ``skattn.parameters.shown`` does the same for what users pass; to import numpy for it would
    make lists of models slow, and a stranger's repr may even end the program.
    """
    try:
        text = str.__str__(show(value))
    except BaseException as error:
        let_ctrl_c_pass(error)
        return f"<{class_name(type(value))} that cannot be shown>"
    return text if len(text) <= most else f"{text[:most]}..."


def described(error: BaseException) -> str:
    """Describe an exception by its class and text."""
    text = shown(error, 1000, show=str)
    return f"{class_name(type(error))}: {text}" if text else class_name(type(error))


@contextmanager
def blaming(what: str, kind: type[Exception]) -> Iterator[None]:
    """Raise an exception of ours, which says what went wrong, in place of a stranger's."""
    try:
        yield
    except BaseException as error:
        let_ctrl_c_pass(error)
        raise kind(f"{what}: {described(error)}") from error


def let_ctrl_c_pass(error: BaseException) -> None:
    """Raise the exception again if it is the user's own Ctrl-C.

    A plugin may execute ``raise KeyboardInterrupt`` itself, which is a failure as any other. The
    user's interrupt comes between two other instructions, or from a handler of signals: the one
    function that gets the interrupted frame as an argument.
    """
    if not isinstance(error, KeyboardInterrupt):
        return
    trace, is_handled, is_raised = error.__traceback__, False, False
    while trace is not None:
        frame, at = trace.tb_frame, trace.tb_lasti
        is_raised = frame.f_code.co_code[at : at + 1] == _RAISE
        is_handled |= any(type(value) is FrameType for value in frame.f_locals.values())
        trace = trace.tb_next
    if is_handled or not is_raised:
        raise error
