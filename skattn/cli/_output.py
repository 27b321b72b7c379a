"""Text and JSON for the terminal; what strangers wrote is shown, never interpreted."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow", "xfail": "yellow"}


def console() -> Console:
    """Make a console for the standard output as it is now."""
    # A terminal that lacks a letter gets another one instead of a traceback.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, markup=False, emoji=False)


def text(value: object, style: str = "") -> Text:
    """Text without control characters, which could write anywhere on a terminal."""
    plain = "".join(each if each.isprintable() else " " for each in str(value))
    return Text(" ".join(plain.split()), style)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Make a table that fits the terminal; long words are folded.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : iterable of sequences
        Cells: objects, or Text with a style.

    Returns
    -------
    table : rich.table.Table
    """
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=any(columns))
    for heading in columns:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else text(cell) for cell in row))
    return made


def print_json(value: Any) -> None:
    """Print JSON that any parser reads: other values are their repr."""
    print(json.dumps(_plain(value), indent=2, default=_shown))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value - value != 0:
        return repr(value)  # JSON has no infinity
    return value


def _shown(value: object) -> str:
    # Imported here: numpy comes with it, and lists of models have texts alone.
    from skattn.parameters import shown

    return shown(value)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep reports of plugins, which a command shows in its own way, and their prints apart."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.filterwarnings("ignore", r"skattn: ", UserWarning)
        yield
