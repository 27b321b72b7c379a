"""Column names of a price table."""

from __future__ import annotations

# The order of the fields in qlib's Alpha360.
OHLCV_FIELDS = ("close", "open", "high", "low", "vwap", "volume")
