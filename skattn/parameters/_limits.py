"""Largest sizes of models: larger numbers are slips that would fill the memory or hang."""

from __future__ import annotations

# The size of a state or a step, the layers of a network, the width of a feed-forward network.
MAX_SIZE, MAX_LAYERS, MAX_WIDTH = 65_536, 1_000, 1_048_576
