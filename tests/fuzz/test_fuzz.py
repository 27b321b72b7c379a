"""No user's mistake ends in an error of a library below: every argument gets hostile values."""

from __future__ import annotations

import dis
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest
import sklearn
from fuzz.callables import (
    EXCUSED,
    Case,
    cases,
    cube,
    public_callables,
    series,
    table,
)
from fuzz.values import hostile
from sklearn.exceptions import NotFittedError

import skattn

OURS = (ValueError, TypeError, ImportError, FileNotFoundError, NotFittedError)
HOMES = tuple(str(Path(package.__file__).parent) + os.sep for package in (skattn, sklearn))
# Of the processor: a busy machine is no fault. A case that waits has ten times as long.
SECONDS = 5
# What a case may claim in addition: larger claims end in a MemoryError, which is a fault.
MEMORY = 2 << 30
# What no argument that holds a number may take.
NO_NUMBERS = {"True", "np.True_", "nan", "bytes", "object", "complex", "pd.NA", "[2]", "0-d"}

CASES = list(cases())
MARKED = [
    pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.is_slow else [])
    for case in CASES
]

UNMAKEABLE = (TypeError, ValueError, KeyError, AttributeError, NotImplementedError, ArithmeticError)


@pytest.fixture(scope="session", autouse=True)
def _compiled_once():
    """Compile the recurrent layers before anything is timed."""
    for rnn in ("gru", "lstm"):
        skattn.make_model("alstm", rnn=rnn, hidden_size=4, max_epochs=1).fit(
            cube(), cube()[:, -1, 0]
        )


class Timeout(BaseException):
    """A case took too long."""


def fault_of(
    error: BaseException, words: tuple[str, ...], also: tuple[type[Exception], ...]
) -> str | None:
    """Say why an error is not one of ours; None where it is one."""
    kind = type(error)
    if isinstance(error, Timeout):
        return f"hangs for more than {SECONDS} s"
    if not isinstance(error, (*OURS, *also)) or isinstance(error, UnicodeError):
        return f"{kind.__name__}: {shorten(error)}"
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or not last.tb_frame.f_code.co_filename.startswith(HOMES):
        return f"{kind.__name__} of {where(last)}: {shorten(error)}"
    if not is_raised_in(last):
        return f"{kind.__name__} of what {where(last)} calls: {shorten(error)}"
    is_skattns = last.tb_frame.f_code.co_filename.startswith(HOMES[0])
    if is_skattns and not any(word.lower() in str(error).lower() for word in words):
        return f"{kind.__name__} without any of {words}: {shorten(error)}"
    return None


def is_raised_in(last: TracebackType) -> bool:
    """Whether a frame raised the error itself: numpy's functions in C have no frame."""
    instruction = next(
        each for each in dis.get_instructions(last.tb_frame.f_code) if each.offset == last.tb_lasti
    )
    return instruction.opname == "RAISE_VARARGS"


def where(last: TracebackType | None) -> str:
    if last is None:
        return "nowhere"
    path = Path(last.tb_frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name}:{last.tb_lineno}"


def shorten(error: BaseException) -> str:
    try:
        return str(error)[:160].replace("\n", " ")
    except Exception as broken:
        return f"no text ({broken!r})"


def run(case: Case, arguments: dict, seconds: int = SECONDS) -> BaseException | None:
    """Call within a time limit; give the error that ended the call."""

    def stop(*_):
        raise Timeout

    limits = {signal.ITIMER_PROF: seconds, signal.ITIMER_REAL: 10 * seconds}
    before = {each: signal.signal(each, stop) for each in (signal.SIGPROF, signal.SIGALRM)}
    for timer, limit in limits.items():
        signal.setitimer(timer, limit)
    try:
        case.call(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    finally:
        for timer in limits:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    return None


@pytest.fixture(autouse=True)
def _limits():
    """Limit the memory, keep warnings quiet, close figures."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    resource.setrlimit(resource.RLIMIT_AS, before)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def test_every_public_callable_has_a_case():
    found = {name for name, _ in public_callables()}
    covered = {case.covers for case in CASES}
    assert found - covered - set(EXCUSED) == set()
    assert (covered | set(EXCUSED)) - found == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_valid_call_is_valid(case, folder):
    error = run(case, case.arguments(folder), seconds=60)
    if error is not None:
        raise error


@pytest.mark.parametrize(("kind", "good"), [("array", cube), ("frame", table), ("series", series)])
def test_every_hostile_value_can_be_made_of_numbers(kind, good, folder):
    for _, make in hostile(kind, good(), folder):
        make()


@pytest.mark.parametrize("case", MARKED)
def test_a_hostile_value_gets_an_error_of_ours(case, folder, monkeypatch):
    monkeypatch.chdir(folder)
    faults = dict(faults_of(case, folder))
    if faults:
        text = "\n".join(f"{key}: {fault}" for key, fault in faults.items())
        pytest.fail(f"{len(faults)} faults\n{text}", pytrace=False)


def faults_of(case: Case, folder: Path) -> Iterator[tuple[str, str]]:
    """Run a case with every hostile value of every argument, and give what is not an error of ours.

    The variable FUZZ_TRACEBACK prints where the faults come from.
    """
    for argument, good in case.arguments(folder).items():
        words = (argument, *case.words.get(argument, ()))
        kind = case.kinds.get(argument, "scalar")
        if kind in ("file", "folder"):
            words = (*words, Path(good).suffix or Path(good).name)
        for name, make in hostile(kind, good, folder):
            try:
                value = make()
            except UNMAKEABLE:
                continue  # this valid value cannot be made hostile in this way
            if f"{argument}-{name}" in case.excused:
                continue
            error = run(case, {**case.arguments(folder), argument: value})
            fault = None if error is None else fault_of(error, words, case.also)
            if error is None and name in NO_NUMBERS and type(good) in (int, float):
                fault = "is taken for a number"
            if fault is not None:
                if os.environ.get("FUZZ_TRACEBACK") and error is not None:
                    traceback.print_exception(error)
                yield f"{case.name}-{argument}-{name}", fault
