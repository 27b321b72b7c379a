"""What the models over a recurrent network share."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import nn

from skattn.base import SequenceRegressor, estimator

RNNS = {"gru": nn.GRU, "lstm": nn.LSTM}

# Rows whose states a recurrent network computes on one thread at a time: what was fastest.
BLOCK_ROWS = {"gru": 200, "lstm": 128}

RECURRENT_CONSTRAINTS: dict[str, list] = {
    **SequenceRegressor._parameter_constraints,
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "num_layers": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
}


def make_rnn(
    rnn: str, input_size: int, hidden_size: int, num_layers: int, dropout: float
) -> nn.GRU | nn.LSTM:
    """Make a GRU or LSTM whose input is time-major, (T, B, input_size)."""
    # torch warns of dropout in a single layer, where it has no effect.
    between = dropout if num_layers > 1 else 0.0
    return RNNS[rnn](input_size, hidden_size, num_layers, dropout=between)


def time_major(x: torch.Tensor) -> torch.Tensor:
    """Lay windows (B, T, F) out as (T, B, F), so that the recurrence reads contiguous memory."""
    return x.transpose(0, 1).contiguous()


class LastState(nn.Module):
    """A GRU or LSTM over the window, and a linear output of its last state.

    Parameters
    ----------
    rnn : {"gru", "lstm"}
        Recurrent unit.
    n_features : int
        Size F of the input at each step.
    hidden_size : int
        Size of the recurrent state.
    num_layers : int
        Recurrent layers.
    dropout : float
        Between the recurrent layers.
    """

    def __init__(
        self, rnn: str, n_features: int, hidden_size: int, num_layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.block_rows = BLOCK_ROWS[rnn]
        self.rnn = make_rnn(rnn, n_features, hidden_size, num_layers, dropout)
        self.fc_out = nn.Linear(hidden_size, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one value for each of the B windows.

        Parameters
        ----------
        x : tensor of shape (B, T, F)

        Returns
        -------
        predicted : tensor of shape (B,)
        """
        states, _ = self.rnn(time_major(x))
        return self.fc_out(states[-1])[:, 0]


@estimator
class LastStateRegressor(SequenceRegressor):
    """Base of the regressors that read a recurrent network's last state."""

    hidden_size: int = 64
    num_layers: int = 2
    dropout: float = 0.0

    _parameter_constraints: ClassVar[dict] = RECURRENT_CONSTRAINTS
