"""Column names of a price table."""

from __future__ import annotations

from collections.abc import Iterable

# The order of the fields in qlib's Alpha360.
OHLCV_FIELDS = ("close", "open", "high", "low", "vwap", "volume")


def rename_hint(columns: Iterable[object], missing: Iterable[str], table: str) -> str:
    """Name the call that renames columns such as "Close", where a missing name is among them."""
    lower = {str(name).lower() for name in columns}
    return f" {table}.rename(columns=str.lower) renames them." if lower & set(missing) else ""
