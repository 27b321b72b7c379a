"""Read text as dates, and refuse text that can be read in two ways."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
# A time, and a zone that is left out: a UTC offset or a name such as EST. A time is needed before
# a zone, because "-05" is also the end of a date.
TIME = (
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2})(?P<minutes>(?::?\d\d){0,2})(?P<fraction>\.\d+)?"
    r"(?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"(?:\s?(?:Z|[A-Z]{3,4}|[+-]\d\d(?::?\d\d)?))?)?"
)
WEEKDAY = r"(?:(?:[Mm]on|[Tt]ue|[Ww]ed|[Tt]hu|[Ff]ri|[Ss]at|[Ss]un)[a-z]*\.?,?\s+)?"
DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
NAME = r"(?P<month>[A-Za-z]{3,9})\.?"
SHAPES = [
    re.compile(shape + TIME)
    for shape in (
        r"(?P<year>\d{4})(?P<sep>[-/. ])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)",
        r"(?P<first>\d{1,2})(?P<sep>[-/. ])(?P<second>\d{1,2})(?P=sep)(?P<year>\d{4})",
        rf"{WEEKDAY}{DAY}[-\s/.]*{NAME}[-\s/.,]*(?P<year>\d{{4}})",
        rf"{WEEKDAY}{NAME}[-\s/]*{DAY}[-\s/,]+(?P<year>\d{{4}})",
        rf"(?P<year>\d{{4}})[-\s/]*{NAME}[-\s/]*{DAY}",
    )
]
SHORT_YEAR = re.compile(r"\d{1,2}(?P<sep>[-/. ])(?P<month>\d{1,2}|[A-Za-z]{3})(?P=sep)\d\d" + TIME)
# pandas reads these texts as missing, too.
MISSING = ("", "nat", "nan")


def read_texts(
    texts: Sequence[str], date_format: str | None, dayfirst: bool | None, cure: str
) -> pd.DatetimeIndex:
    """Read text as local times; :func:`read_dates` describes the parameters."""
    is_known = np.array([text.lower() not in MISSING for text in texts], dtype=bool)
    known = [text for text, here in zip(texts, is_known, strict=True) if here]
    # Files hold numbers with a fraction where the column also has missing values.
    known = [re.sub(r"^(\d+)\.0+$", r"\1", text) for text in known]
    if date_format is None:
        read = _read_shapes(known, dayfirst, cure)
    else:
        read = _read_formatted(known, date_format)
    return read.take(np.where(is_known, np.cumsum(is_known) - 1, -1), fill_value=pd.NaT)


def _read_formatted(texts: list[str], date_format: str) -> pd.DatetimeIndex:
    if "%z" in date_format.lower():
        # pandas refuses a column with several UTC offsets.
        stamps = [pd.to_datetime(text, format=date_format, errors="coerce") for text in texts]
        read = pd.DatetimeIndex([stamp.tz_localize(None) for stamp in stamps])
    else:
        read = pd.to_datetime(pd.Index(texts, dtype=object), format=date_format, errors="coerce")
    for i in np.flatnonzero(read.isna())[:1]:
        raise ValueError(f"{texts[i]!r} does not fit date_format={date_format!r}.")
    return read


def _read_shapes(texts: list[str], dayfirst: bool | None, cure: str) -> pd.DatetimeIndex:
    matches = [_match(text, cure) for text in texts]
    groups: dict[str, list[re.Match]] = {}
    for match in matches:
        if "first" in match.re.groupindex:
            groups.setdefault(match["sep"], []).append(match)
    orders = {sep: _day_is_first(group, dayfirst, cure) for sep, group in groups.items()}
    iso = [_iso(match, orders) for match in matches]
    read = pd.to_datetime(pd.Index(iso, dtype=object), format="ISO8601", errors="coerce")
    for i in np.flatnonzero(read.isna())[:1]:
        order = "" if dayfirst is None else f" with dayfirst={dayfirst}"
        raise TypeError(f"{texts[i]!r} is not a date{order}.")
    return read


def _match(text: str, cure: str) -> re.Match:
    for shape in SHAPES:
        if match := shape.fullmatch(text):
            return match
    if match := SHORT_YEAR.fullmatch(text):
        month = "%b" if match["month"].isalpha() else "%m"
        raise ValueError(
            f"{text!r} has a year of two digits. "
            + _format_cure(cure, match, f"%d{match['sep']}{month}{match['sep']}%y")
        )
    if re.fullmatch(r"-?\d+", text):
        raise TypeError(f"{text} does not have eight digits, as 20240102 has.")
    raise TypeError(f"{text!r} is not a date with a year, a month and a day, as 2024-01-02 is.")


def _day_is_first(matches: list[re.Match], dayfirst: bool | None, cure: str) -> bool:
    """Return the order of dates such as 05/03/2025 that have the same separator."""
    if dayfirst is not None:
        return dayfirst
    day_first = month_first = doubtful = None
    for match in matches:
        first, second = int(match["first"]), int(match["second"])
        if first <= 12 and second <= 12:
            # 05/05/2025 is the same day in both orders.
            doubtful = doubtful or (match if first != second else None)
        elif second <= 12:
            day_first = day_first or match
        elif first <= 12:
            month_first = month_first or match
    if day_first and month_first:
        raise ValueError(
            f"{day_first[0]!r} has the day first, and {month_first[0]!r} has the month first. "
            f"Bring the dates into one order."
        )
    if doubtful and not (day_first or month_first):
        first, second, year = (int(doubtful[part]) for part in ("first", "second", "year"))
        sep = doubtful["sep"]
        raise ValueError(
            f"{doubtful[0]!r} can be read as {first} {MONTHS[second - 1].title()} and as {second} "
            f"{MONTHS[first - 1].title()} {year}. "
            + _format_cure(cure, doubtful, f"%d{sep}%m{sep}%Y")
        )
    return day_first is not None


def _format_cure(cure: str, match: re.Match, date_format: str) -> str:
    if match["hour"] is not None:
        date_format += " %H" + "".join(f":%{part}" for part in "MS"[: match["minutes"].count(":")])
    return cure.format(format=date_format)


def _iso(match: re.Match, orders: dict[str, bool]) -> str:
    """Write a date as 2025-03-05 09:30:00; what is not a date stays so."""
    parts = match.groupdict()
    if "first" in parts:
        names = ("day", "month") if orders[parts["sep"]] else ("month", "day")
        parts.update(zip(names, (parts["first"], parts["second"]), strict=True))
    month = parts["month"]
    if month.isalpha():
        found = [i for i, name in enumerate(MONTHS, 1) if name.startswith(month.lower())]
        month = str(found[0] if found else 0)
    day = f"{parts['year']}-{month:0>2}-{parts['day']:0>2}"
    if parts["hour"] is None:
        return day
    hour = int(parts["hour"])
    if parts["half"] is not None:
        hour = hour % 12 + 12 * (parts["half"] in "pP")
    minutes = [*re.findall(r"\d\d", parts["minutes"]), "00", "00"][:2]
    return f"{day} {hour:02}:{':'.join(minutes)}{parts['fraction'] or ''}"
