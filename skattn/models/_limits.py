"""Largest sizes of the models: larger numbers are slips that would fill the memory or hang."""

from __future__ import annotations

MAX_SIZE, MAX_LAYERS = 65_536, 1_000
