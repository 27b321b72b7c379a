"""Progress of fits and searches: bars that fit a terminal of 80 columns, in a notebook too.

scikit-learn's own ``sklearn.callback.ProgressBar`` keeps a bar of every fit there has been, under
names that fill 80 columns. Here finished fits go into the bar of what they are a part of.
"""

from __future__ import annotations

import html
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import current_process
from threading import Lock, get_ident
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar as RichBar
from rich.table import Table
from rich.text import Text
from sklearn.callback import CallbackContext
from sklearn.callback._transport import (
    ListenerHandle,
    _message_consumers,
    close_listener,
    open_listener,
    send,
)

from skattn.parameters import check_value

__all__ = ["ProgressBar"]

# Seconds between two pictures of the bars in a notebook.
PAUSE = 0.2
# Columns of a terminal that names leave to the bar, the percentage, the time and the gaps.
BESIDE_NAMES = 36

# Number of a task at each level, from the outermost.
Place = tuple[int, ...]


class ProgressBar:
    """Progress bars of a fit, a search or ``cross_val_signal``, for what is running now.

    The first bar is the whole, with the time that is left; below it are the steps, fits and epochs
    that are running, also those in worker processes. In a terminal the bars take its width, in a
    Jupyter notebook they are one output that changes (without ipywidgets). Where the output is
    neither, such as a log file, a pipe or the log of a CI, nothing is printed.

    Parameters
    ----------
    max_propagation_depth : int, default=None
        How many levels of estimators inside the outermost one have bars; 0: the outermost alone.
        None: all.

    Raises
    ------
    InvalidParameterError
        ``max_propagation_depth`` is neither None nor an int of at least 0.

    See Also
    --------
    sklearn.callback.ProgressBar : A bar of every fit, those that are finished too.
    skattn.model_selection.cross_val_signal : Shows its folds on ``estimator``'s bars.

    Examples
    --------
    >>> from skattn import GRURegressor
    >>> from skattn.progress import ProgressBar
    >>> model = GRURegressor(max_epochs=2).set_callbacks(ProgressBar())

    A search hands the bars on to what it fits:
    ``GridSearchCV(pipeline, ...).set_callbacks(ProgressBar())``.
    """

    def __init__(self, max_propagation_depth: int | None = None) -> None:
        self.max_propagation_depth = check_value(
            "max_propagation_depth", max_propagation_depth, "int | None", at_least=0
        )
        # Copies of the callback in worker processes send their messages by these.
        self._handles: dict[UUID, ListenerHandle] = {}

    def setup(self, estimator: Any, context: CallbackContext) -> None:
        """Show the first bar."""
        bars = _Bars()
        handle = self._handles[context.root_uuid] = open_listener(bars.receive)
        _bars_of_runs[handle] = bars
        bars.start()

    def on_fit_task_begin(self, estimator: Any, context: CallbackContext) -> None:
        """Add a bar for a task that has parts or is a fit."""
        is_fit = context.parent is None or context.source_estimator_name is not None
        if is_fit or context.max_subtasks != 0:
            name = context.estimator_name if is_fit else context.task_name
            total = None if context.parent is None else context.parent.max_subtasks
            if total is not None and total > 1:
                name = f"{name} {context.task_id + 1}/{total}"
            self._send(context, name, context.max_subtasks)

    def on_fit_task_end(self, estimator: Any, context: CallbackContext) -> None:
        """Count the task in the bar of what it is a part of."""
        self._send(context)

    def teardown(self, estimator: Any, context: CallbackContext) -> None:
        """Leave the first bar, or the bars of the fits that failed."""
        handle = self._handles.pop(context.root_uuid, None)
        if handle is not None:  # else setup failed
            close_listener(handle)
            _bars_of_runs.pop(handle).stop()

    def _send(self, context: CallbackContext, *begun: Any) -> None:
        sender = os.getpid(), get_ident()
        message = _Message(_place(context), _kind(context), sender, *begun)
        # A worker of another machine cannot reach the bars, which is no reason for a fit to fail.
        with suppress(OSError, EOFError):
            send(self._handles[context.root_uuid], message)


class _Message(NamedTuple):
    """Begin of a task, or the end of a task where there is no name."""

    place: Place
    kind: str
    sender: tuple[int, int]  # process and thread
    name: str | None = None
    n_parts: int | None = None


def _place(context: CallbackContext) -> Place:
    """Number of the task at each level, from the outermost."""
    above = () if context.parent is None else _place(context.parent)
    return (*above, context.task_id)


def _kind(context: CallbackContext) -> str:
    """Name of the task by what it is a part of."""
    return context.source_task_name or context.task_name


@dataclass
class _Task:
    """A task that is running, or the outermost one."""

    name: str
    n_parts: int | None
    sender: tuple[int, int]
    n_ended: int = 0
    kinds: set[str] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)
    took: float | None = None


class _Row(NamedTuple):
    """What is shown of a task."""

    name: str
    done: float | None
    time: str


class _Bars:
    """The bars of one run, wherever they are shown."""

    def __init__(self) -> None:
        self._console = Console()
        self._tasks: dict[Place, _Task] = {}
        self._lock = Lock()
        # Bars of several worker processes would write over each other.
        is_main = current_process().name == "MainProcess"
        self._in_notebook = is_main and self._console.is_jupyter
        self._display_id = uuid4().hex
        self._shown_at = 0.0
        in_terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        with suppress(AttributeError, ValueError):  # there is no output, or it is closed
            # FORCE_COLOR, which CIs set, would have rich take a log file for a terminal.
            in_terminal = in_terminal and sys.stdout.isatty()
        self._live = (
            Live(get_renderable=self._table, console=self._console)
            if is_main and in_terminal
            else None
        )

    def start(self) -> None:
        if self._in_notebook:
            from IPython.display import display

            display(self._picture(), raw=True, display_id=self._display_id)
        elif self._live is not None:
            self._live.start(refresh=False)

    def receive(self, message: _Message) -> None:
        """Take a message, from whatever thread."""
        with self._lock:
            if message.name is not None:
                self._end_failed(message)
                self._tasks[message.place] = _Task(message.name, message.n_parts, message.sender)
            else:
                self._end(message.place, message.kind)
            due = time.monotonic() - self._shown_at > PAUSE
        if due:
            self._show()

    def stop(self) -> None:
        if self._live is not None:
            # A terminal that has gone away, or a full disk, is no reason for a fit to fail.
            with suppress(OSError, ValueError):
                self._live.stop()
        self._show()

    def _show(self) -> None:
        """Change the output of a notebook; a terminal is drawn by a thread of its own."""
        if self._in_notebook:
            from IPython.display import update_display

            self._shown_at = time.monotonic()
            update_display(self._picture(), raw=True, display_id=self._display_id)

    def _end_failed(self, begun: _Message) -> None:
        """End what the sender did before at this place: a fit that fails does not tell its end."""
        for place, task in list(self._tasks.items()):
            is_beside = place[:-1] == begun.place[:-1] and place != begun.place
            if is_beside and task.sender == begun.sender:
                self._end(place, begun.kind)

    def _end(self, place: Place, kind: str) -> None:
        for inside in [each for each in self._tasks if each[: len(place)] == place]:
            task = self._tasks[inside]
            if len(inside) == 1:
                task.took = time.monotonic() - task.began
            else:
                del self._tasks[inside]
        if place[:-1] in self._tasks:
            self._tasks[place[:-1]].n_ended += 1
            self._tasks[place[:-1]].kinds.add(kind)

    def _done(self, place: Place) -> float | None:
        """Share of the task that is done; None: nobody knows."""
        task = self._tasks[place]
        if task.took is not None:
            return 1.0
        if not task.n_parts:
            return None
        parts = [self._done(each) or 0.0 for each in self._tasks if each[:-1] == place]
        return min(1.0, (task.n_ended + sum(parts)) / task.n_parts)

    def _rows(self) -> Iterator[_Row]:
        with self._lock:
            shown: list[Place] = []
            for place, task in sorted(self._tasks.items()):
                parts = [each for each in self._tasks if each[:-1] == place]
                if len(place) > 1 and task.n_parts == 1 and parts:
                    continue  # the only part says the same
                indent = "  " * sum(place[: len(above)] == above for above in shown)
                shown.append(place)
                done = self._done(place)
                yield _Row(indent + task.name, done, _time(task, done, is_first=len(place) == 1))

    def _table(self) -> Table:
        """Bars of a terminal."""
        table = Table.grid(padding=(0, 1), expand=True)
        most = max(10, self._console.width - BESIDE_NAMES)
        table.add_column(no_wrap=True, overflow="ellipsis", min_width=min(24, most), max_width=most)
        table.add_column(ratio=1)
        table.add_column(justify="right", no_wrap=True, min_width=4)
        table.add_column(no_wrap=True, min_width=12)
        for name, done, clock in self._rows():
            bar = RichBar(
                total=1.0 if done is not None else None,
                completed=done or 0.0,
                pulse=done is None,
                animation_time=time.monotonic(),
            )
            percent = "" if done is None else f"{done:.0%}"
            table.add_row(Text(name), bar, percent, Text(clock))
        return table

    def _picture(self) -> dict[str, str]:
        """Bars of a notebook, and in words for viewers without HTML."""
        lines, rows = [], []
        for name, done, clock in self._rows():
            percent = "" if done is None else f"{done:.0%}"
            lines.append(f"{name} {percent} {clock}".rstrip())
            value = "" if done is None else f' value="{done:.3f}"'
            indent = len(name) - len(name.lstrip())
            rows.append(
                f'<tr><td style="text-align:left;padding-left:{indent}ch">{html.escape(name)}</td>'
                f'<td><progress{value}></progress></td><td style="text-align:right">{percent}</td>'
                f'<td style="text-align:left">{clock}</td></tr>'
            )
        return {"text/plain": "\n".join(lines), "text/html": f"<table>{''.join(rows)}</table>"}


# What draws cannot be pickled, so that it is kept here and not on the callback.
_bars_of_runs: dict[ListenerHandle, _Bars] = {}


def _forget_bars() -> None:
    """In a forked process, send messages to the process that draws, whose locks may be taken."""
    for handle in _bars_of_runs:
        _message_consumers.pop(handle.address, None)
    _bars_of_runs.clear()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_forget_bars)


def _time(task: _Task, done: float | None, *, is_first: bool) -> str:
    """Say how long the task took, what is left, or how long the first one has been running."""
    if task.took is not None:
        return f"took {_clock(task.took)}"
    spent = time.monotonic() - task.began
    # Parts of several kinds, such as the steps of a pipeline, do not tell what the others take.
    if done and task.n_ended > 1 and len(task.kinds) == 1:
        return f"{_clock(spent * (1 - done) / done)} left"
    return _clock(spent) if is_first else ""


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
