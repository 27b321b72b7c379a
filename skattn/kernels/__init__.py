"""Kernels: functions of tensors, independent of models, parameters and estimators."""

from skattn.kernels._blocks import by_rows, draws_random_numbers, map_blocks
from skattn.kernels._frequency_memory import MemoryStep, last_memory_state, memory_steps
from skattn.kernels._position_independent import PositionIndependent
from skattn.kernels._tiled_feed_forward import TILED_WIDTH, feed_forward

__all__ = [
    "TILED_WIDTH",
    "MemoryStep",
    "PositionIndependent",
    "by_rows",
    "draws_random_numbers",
    "feed_forward",
    "last_memory_state",
    "map_blocks",
    "memory_steps",
]
