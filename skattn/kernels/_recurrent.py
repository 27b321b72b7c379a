"""GRUs and LSTMs over windows."""

from __future__ import annotations

import torch
from torch import nn

#: torch's recurrent layers by the name that the parameter ``rnn`` takes.
RNNS = {"gru": nn.GRU, "lstm": nn.LSTM}

#: Rows that one thread computes at a time: the fastest number for each recurrent unit.
RNN_ROWS = {"gru": 200, "lstm": 128}


def make_rnn(
    rnn: str, input_size: int, hidden_size: int, num_layers: int = 1, dropout: float = 0.0
) -> nn.GRU | nn.LSTM:
    """Make a GRU or LSTM whose input is time-major, as ``time_major`` makes it.

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
