"""Reader of qlib's binary provider folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skattn.panel.internal import Day, read_day
from skattn.parameters import shown
from skattn.qlib._files import check_path, read_text
from skattn.utils import warn_user

FIELDS = ("open", "high", "low", "close", "volume")
PARTS = ("calendars", "instruments", "features")
# A day, optionally with a time, without a time zone.
DAY = r"(\d{4}-\d{1,2}-\d{1,2}|\d{8})([ T][\d:.]+)?"

# Device names on Windows: qlib adds a prefix to codes with such a name.
DEVICES = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{name}{i}" for name in ("COM", "LPT") for i in range(10)),
}

Span = tuple[pd.Timestamp, pd.Timestamp]


def read_provider(
    uri: str | os.PathLike,
    instruments: str | Sequence[str] = "all",
    fields: Sequence[str] | None = None,
    start: Day = None,
    end: Day = None,
) -> pd.DataFrame:
    r"""Read the daily prices in a provider folder of qlib, without qlib.

    A provider folder holds three kinds of files:

    - ``calendars/day.txt``: one trading day per line;
    - ``instruments/<name>.txt``: the spans of days in which a stock belongs to a market;
    - ``features/<code>/<field>.day.bin``: little-endian float32 values. The first value is the
      position of the series' first day in the calendar.

    Parameters
    ----------
    uri : path
        The folder, such as "~/.qlib/qlib_data/cn_data".
    instruments : str or sequence of str, default="all"
        Name of a market, such as "csi300", or a list of codes. The file of a market lists its
        stocks and their spans (a stock may leave and come back). Codes of a list are read over all
        days. Codes keep the given spelling; the names of their folders are in lower case.
    fields : sequence of str, default=None
        Fields to read; a leading "$" is dropped. None: open, high, low, close, volume, and also
        vwap if every stock has a vwap.
    start, end : str, date, Timestamp or None, default=None
        First and last day, both included; need not be trading days. Texts such as "2024-01" and
        "2024" stand for all days of the month or year, as in pandas' slices. None: the first or
        last day of the calendar.

    Returns
    -------
    ohlcv : DataFrame of float32
        One column per field, with the index (datetime, instrument), sorted by day, then by code.
        If no day or no series lies between ``start`` and ``end``, the table is empty and a warning
        is issued.

    Raises
    ------
    FileNotFoundError
        The folder is not a provider folder, the market does not exist, or a code or a field of a
        stock has no file.
    ValueError
        A file is malformed: the message names the file, the line and the fault. Or ``start`` or
        ``end`` is not a day, or ``start`` is after ``end``; the name of a market, a code or a field
        is a path; or two codes differ only in case.
    TypeError
        A parameter has the wrong type.

    Notes
    -----
    Values and rows equal ``D.features(D.instruments(name), ["$open", ...], start, end)`` bit for
    bit. The rows of a stock are the days from the first to the last day of its series that lie in
    one of its spans. Days of NaN (suspensions) are included. qlib's index is (instrument,
    datetime), sorted by code. qlib ignores missing data silently, but this function reports
    missing data: a listed code without files or a stock's field without a file is an error, and a
    market's stock without data is a warning.

    qlib's prices are adjusted. The field "factor" converts adjusted prices to paid prices.

    References
    ----------
    qlib, ``qlib/data/storage/file_storage.py`` and ``LocalDatasetProvider`` in
    ``qlib/data/data.py``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skattn.qlib import read_provider
    >>> home = Path(tempfile.mkdtemp())
    >>> for part in ("calendars", "instruments", "features/ko"):
    ...     (home / part).mkdir(parents=True)
    >>> _ = (home / "calendars/day.txt").write_text("2024-01-02\n2024-01-03\n2024-01-04\n")
    >>> _ = (home / "instruments/all.txt").write_text("KO\t2024-01-02\t2024-01-04\n")
    >>> np.array([1, 59.5, 60.0], "<f4").tofile(home / "features/ko/close.day.bin")
    >>> read_provider(home, fields=["close"])
                           close
    datetime   instrument
    2024-01-03 KO           59.5
    2024-01-04 KO           60.0
    """
    folder = _check_folder(uri)
    calendar = _read_calendar(folder / "calendars" / "day.txt")
    first, last = _day_range(calendar, start, end)
    spans = _find_instruments(folder, instruments)
    homes = _find_homes(folder, spans, is_market=isinstance(instruments, str))
    names = _check_fields(fields, homes)

    blocks, days, stocks = [], [], []
    for i, (code, home) in enumerate(homes.items()):
        series = [_open_series(home / f"{name.lower()}.day.bin", len(calendar)) for name in names]
        wanted = np.zeros(len(calendar), dtype=bool)
        for one in series:
            wanted[one.days] = True
        wanted &= _in_spans(calendar, spans[code])
        wanted[:first] = wanted[last:] = False
        rows = np.flatnonzero(wanted)
        if len(rows) == 0:
            continue
        block = np.full((len(rows), len(names)), np.nan, dtype=np.float32)
        for column, one in enumerate(series):
            inside = (rows >= one.days.start) & (rows < one.days.stop)
            block[inside, column] = one.values[rows[inside] - one.days.start]
        blocks.append(block)
        days.append(rows)
        stocks.append(np.full(len(rows), i))
    if not blocks:
        what = repr(instruments) if isinstance(instruments, str) else f"the {len(homes)} codes"
        warn_user(
            f"{folder} has no data of {what} between start={start!r} and end={end!r}, so the "
            f"table is empty. The calendar goes from {calendar[0].date()} to {calendar[-1].date()}."
        )
    return _table(blocks, days, stocks, calendar, list(homes), names)


class _Series(NamedTuple):
    """Values of one file, still on disk, and their positions in the calendar."""

    values: np.ndarray
    days: slice


def _check_folder(uri: Any) -> Path:
    folder = check_path("uri", uri)
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        what = (
            "is not a folder"
            if not folder.is_dir()
            else f"has no folder {' and no '.join(missing)}"
        )
        raise FileNotFoundError(
            f"{folder} {what}. A provider folder of qlib has the folders calendars/, instruments/ "
            f"and features/."
        )
    return folder


def _read_lines(path: Path, what: str) -> list[tuple[int, str]]:
    """Read the nonblank lines of a file, with their line numbers."""
    lines = enumerate(read_text(path, what).splitlines(), 1)
    return [(i, line.strip()) for i, line in lines if line.strip()]


def _read_days(path: Path, lines: list[tuple[int, str]], texts: list[str]) -> pd.DatetimeIndex:
    """Parse one day per line."""
    known = [text if re.fullmatch(DAY, text) else None for text in texts]
    days = pd.DatetimeIndex(pd.to_datetime(known, format="ISO8601", errors="coerce"))
    for i in np.flatnonzero(days.isna())[:1]:
        raise ValueError(
            f"{path}, line {lines[i][0]}: {texts[i]!r} is not a day such as 2024-01-31 without a "
            f"time zone."
        )
    return days


def _check_names(what: str, names: Iterable[str]) -> None:
    """Raise if a name would lead to another folder."""
    for name in names:
        if re.search(r"[/\\\0]", name) or not name.strip(". "):
            raise ValueError(f"{what} must be names, not paths; got {name!r}.")


def _read_calendar(path: Path) -> pd.DatetimeIndex:
    lines = _read_lines(path, "the file lists the trading days of the folder")
    if not lines:
        raise ValueError(f"{path} must list trading days, but has no day.")
    calendar = _read_days(path, lines, [line for _, line in lines])
    for i in np.flatnonzero(calendar[1:] <= calendar[:-1])[:1]:
        (number, line), before = lines[i + 1], lines[i][1]
        how = "comes twice" if calendar[i + 1] == calendar[i] else f"comes after {before}"
        raise ValueError(f"{path}, line {number}: {line} {how}; days must be sorted and differ.")
    return calendar


def _day_range(calendar: pd.DatetimeIndex, start: Any, end: Any) -> tuple[int, int]:
    """Positions of the first wanted day, and of the day after the last wanted day."""
    first, last = read_day("start", start, last=False), read_day("end", end, last=True)
    if first > last:
        raise ValueError(f"start must not be after end; got {shown(start)} and {shown(end)}.")
    return int((calendar < first).sum()), int((calendar <= last).sum())


def _find_instruments(folder: Path, instruments: Any) -> dict[str, list[Span] | None]:
    """Codes, sorted, with their spans; None for codes that are read over all days."""
    if isinstance(instruments, str):
        return dict(sorted(_read_spans(folder / "instruments", instruments).items()))
    if not np.iterable(instruments) or isinstance(instruments, dict):
        raise TypeError(
            f"instruments must be the name of a market or a list of codes; got "
            f"{shown(instruments)}."
        )
    codes = list(instruments)
    bad = [code for code in codes if not isinstance(code, str)]
    if bad or not codes:
        raise TypeError(
            f"instruments must be one or more codes, as str; got {shown(bad or codes)}."
        )
    return dict.fromkeys(sorted(codes))


def _read_spans(home: Path, market: str) -> dict[str, list[Span]]:
    _check_names("instruments", [market])
    path = home / f"{market.lower()}.txt"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in home.glob("*.txt"))) or "none"
        raise FileNotFoundError(
            f"{path} does not exist; the folder has the markets: {known}. Pass codes as a list."
        )
    lines = _read_lines(path, "the file lists the stocks of a market")
    cells = [line.split("\t") for _, line in lines]
    for (number, line), cell in zip(lines, cells, strict=True):
        if len(cell) < 3 or not cell[0].strip():
            raise ValueError(
                f"{path}, line {number}: {line!r} must be a code, a first day and a last day, "
                f"separated by tabs."
            )
    ends = [_read_days(path, lines, [cell[i].strip() for cell in cells]) for i in (1, 2)]
    for i in np.flatnonzero(ends[0] > ends[1])[:1]:
        number, line = lines[i]
        raise ValueError(f"{path}, line {number}: {line!r}: the first day is after the last.")
    spans: dict[str, list[Span]] = {}
    for cell, first, last in zip(cells, *ends, strict=True):
        spans.setdefault(cell[0].strip(), []).append((first, last))
    if not spans:
        raise ValueError(f"{path} must list instruments, but has no instrument.")
    return spans


def _find_homes(folder: Path, codes: Iterable[str], *, is_market: bool) -> dict[str, Path]:
    """Find the folder of each code; codes without a folder are left out."""
    homes: dict[str, Path] = {}
    codes_of: dict[Path, str] = {}
    _check_names("codes of instruments", codes)
    for code in codes:
        name = f"_qlib_{code}" if code.upper() in DEVICES else code
        home = homes[code] = folder / "features" / name.lower()
        if codes_of.setdefault(home, code) != code:
            raise ValueError(
                f"{codes_of[home]!r} and {code!r} are the same stock, because case does not matter."
            )
    missing = [code for code, home in homes.items() if not home.is_dir()]
    if not missing:
        return homes
    text = (
        f"{len(missing)} of {len(homes)} instruments have no folder in {folder / 'features'}: "
        f"{', '.join(missing[:5])}{'' if len(missing) <= 5 else ', ...'}."
    )
    if not is_market or len(missing) == len(homes):
        raise FileNotFoundError(text)
    warn_user(f"{text} The table leaves out instruments without a folder.")
    return {code: home for code, home in homes.items() if code not in set(missing)}


def _check_fields(fields: Sequence[str] | None, homes: dict[str, Path]) -> list[str]:
    if fields is None:
        vwap = all((home / "vwap.day.bin").is_file() for home in homes.values())
        return [*FIELDS, *(["vwap"] if vwap else [])]
    listed = np.iterable(fields) and not isinstance(fields, str)
    names = list(fields) if listed else []
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"fields must be a list of names, such as ['open', 'close'], or None; got "
            f"{shown(fields)}."
        )
    names = [name.removeprefix("$") for name in names]
    _check_names("fields", names)
    if len({name.lower() for name in names}) < len(names):
        raise ValueError(f"fields must differ; got {names}.")
    return names


def _open_series(path: Path, n_days: int) -> _Series:
    """Open a series; only the first value is read."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        there = sorted(found.name.split(".")[0] for found in path.parent.glob("*.day.bin"))
        hint = ""
        if path.name == "vwap.day.bin":
            hint = (
                ' Leave vwap out of fields, and let Alpha158(vwap="typical") or '
                'Alpha360(vwap="typical") compute (high + low + close) / 3 instead.'
            )
        raise FileNotFoundError(
            f"{path} does not exist; {path.parent.name} has the fields: {', '.join(there)}.{hint}"
        ) from None
    if not path.is_file():
        raise ValueError(f"{path} is not a file; it must hold the series of a field.")
    if size == 0 or size % 4:
        raise ValueError(
            f"{path} has {size} bytes; a series holds one or more float32 of 4 bytes. The file is "
            f"{'empty' if size == 0 else 'cut short'}."
        )
    values = np.memmap(path, dtype="<f4", mode="r")
    place, length = float(values[0]), len(values) - 1
    if not (place >= 0 and place.is_integer() and place + length <= n_days and place < n_days):
        raise ValueError(
            f"{path} does not match the calendar: the series holds {length} days from position "
            f"{place:g} on, and calendars/day.txt has {n_days} days (positions 0 to {n_days - 1})."
        )
    return _Series(values[1:], slice(int(place), int(place) + length))


def _in_spans(calendar: pd.DatetimeIndex, spans: list[Span] | None) -> np.ndarray:
    inside = np.full(len(calendar), spans is None)
    for first, last in spans or ():
        inside[calendar.searchsorted(first) : calendar.searchsorted(last, side="right")] = True
    return inside


def _table(
    blocks: list[np.ndarray],
    days: list[np.ndarray],
    stocks: list[np.ndarray],
    calendar: pd.DatetimeIndex,
    codes: list[str],
    names: list[str],
) -> pd.DataFrame:
    """Combine the rows of the stocks, sorted by day."""
    none = np.zeros(0, dtype=np.intp)
    day, stock = (np.concatenate([none, *part]) for part in (days, stocks))
    # The stocks are already in order, and a stable sort keeps that order.
    order = np.argsort(day, kind="stable")
    index = pd.MultiIndex(
        levels=[calendar, pd.Index(codes, dtype="str")],
        codes=[day[order], stock[order]],
        names=["datetime", "instrument"],
    )
    values = np.concatenate([np.zeros((0, len(names)), np.float32), *blocks])[order]
    return pd.DataFrame(values, index.remove_unused_levels(), names, copy=False)
