"""Kernels: functions of tensors, independent of models, parameters and estimators.

An author's module may use them as the built-in models do: ``feed_forward`` and the encoder layers
are several times as fast on a CPU as torch's own, ``by_rows`` spreads rows over threads.
"""

from skattn.kernels._blocks import by_rows, draws_random_numbers, map_blocks
from skattn.kernels._compiled import compiled_recurrences
from skattn.kernels._encoder import encode_last_step, encoder_attention, encoder_layer, sinusoids
from skattn.kernels._frequency_memory import MemoryStep, last_memory_state, memory_steps
from skattn.kernels._position_independent import PositionIndependent
from skattn.kernels._recurrent import RNNS, make_rnn, rnn_rows, time_major
from skattn.kernels._tiled_feed_forward import TILED_WIDTH, feed_forward

__all__ = [
    "RNNS",
    "TILED_WIDTH",
    "MemoryStep",
    "PositionIndependent",
    "by_rows",
    "compiled_recurrences",
    "draws_random_numbers",
    "encode_last_step",
    "encoder_attention",
    "encoder_layer",
    "feed_forward",
    "last_memory_state",
    "make_rnn",
    "map_blocks",
    "memory_steps",
    "rnn_rows",
    "sinusoids",
    "time_major",
]
