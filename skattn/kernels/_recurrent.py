"""GRUs and LSTMs over windows."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skattn.kernels._compiled import TILE_ROWS, compiled_recurrences
from skattn.kernels._compiled_layer import can_compile, run_layers


class _MayCompile(nn.RNNBase):
    """Recurrent layers that run as compiled code where they can, else as torch's own."""

    unit: str

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As torch's layer: the states of all steps, and what the last step leaves."""
        if hx is not None or not can_compile(self, input):
            return super().forward(input, hx)
        with torch.autocast("cpu", enabled=False):
            states, last, cells = run_layers(self, input.float())
        return states, (last, cells) if self.unit == "lstm" else last


class GRU(_MayCompile, nn.GRU):
    """torch's GRU: same parameters, state dict and initial weights."""

    unit = "gru"


class LSTM(_MayCompile, nn.LSTM):
    """torch's LSTM: same parameters, state dict and initial weights."""

    unit = "lstm"


#: Recurrent layers by the name that the parameter ``rnn`` takes.
RNNS: dict[str, type[GRU] | type[LSTM]] = {"gru": GRU, "lstm": LSTM}

# Rows for which torch's own layers are fastest.
_ROWS_OF_TORCH = {"gru": 200, "lstm": 128}


def rnn_rows(rnn: str) -> int:
    """Give the number of rows that one thread computes at a time, for ``block_rows``.

    Parameters
    ----------
    rnn : {"gru", "lstm"}
        Recurrent unit.

    Returns
    -------
    rows : int
        The fastest number: a tile of the compiled code, or what suits torch's own layers.

    Examples
    --------
    >>> from skattn.kernels import rnn_rows
    >>> rnn_rows("lstm")
    128
    """
    return TILE_ROWS if rnn in compiled_recurrences().modules else _ROWS_OF_TORCH[rnn]


def make_rnn(
    rnn: str, input_size: int, hidden_size: int, num_layers: int = 1, dropout: float = 0.0
) -> nn.GRU | nn.LSTM:
    """Make a GRU or LSTM whose input is time-major, as ``time_major`` makes it.

    The layer is torch's, with torch's parameters and initial weights. On a CPU, in float32, it runs
    as compiled code where numba is installed (``pip install "skattn[fast]"``). Elsewhere, in
    ``torch.compile`` and in exports it runs as torch's own; so does an LSTM that predicts, or under
    autocast, for which torch has oneDNN's code. The environment variable ``SKATTN_COMPILED=0``
    switches the compiled code off.

    Parameters
    ----------
    rnn : {"gru", "lstm"}
        Recurrent unit.
    input_size : int
        Size F of the input at each step.
    hidden_size : int
        Size of the state.
    num_layers : int, default=1
        Number of recurrent layers.
    dropout : float, default=0.0
        Dropout rate between the layers.

    Returns
    -------
    rnn : torch.nn.GRU or torch.nn.LSTM

    Examples
    --------
    >>> import torch
    >>> from skattn.kernels import make_rnn, time_major
    >>> states, _ = make_rnn("gru", 6, 8)(time_major(torch.zeros(5, 60, 6)))
    >>> states[-1].shape
    torch.Size([5, 8])
    """
    # torch warns about dropout in a single layer, where dropout has no effect.
    between = dropout if num_layers > 1 else 0.0
    return RNNS[rnn](input_size, hidden_size, num_layers, dropout=between)


def time_major(x: torch.Tensor) -> torch.Tensor:
    """Lay windows (B, T, F) out as (T, B, F), so that the recurrence reads contiguous memory."""
    return x.transpose(0, 1).contiguous()
