"""A recurrent network whose last state predicts: the model of GRU and LSTM."""

from __future__ import annotations

import torch
from torch import nn

from skattn.base import SequenceRegressor, parameter
from skattn.kernels import make_rnn, rnn_rows, time_major
from skattn.parameters import MAX_LAYERS, MAX_SIZE


class LastState(nn.Module):
    """A GRU or LSTM over the window, and a linear output from its last state.

    Parameters
    ----------
    rnn : {"gru", "lstm"}
        Recurrent unit.
    n_features : int
        Size F of the input at each step.
    hidden_size : int
        Size of the recurrent state.
    num_layers : int
        Number of recurrent layers.
    dropout : float
        Dropout rate between the recurrent layers.
    n_outputs : int, default=1
        Number of labels K that are predicted.
    """

    def __init__(
        self,
        rnn: str,
        n_features: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        n_outputs: int = 1,
    ) -> None:
        super().__init__()
        self.block_rows = rnn_rows(rnn)
        self.rnn = make_rnn(rnn, n_features, hidden_size, num_layers, dropout)
        self.fc_out = nn.Linear(hidden_size, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one value, or K values, for each of the B windows.

        Parameters
        ----------
        x : tensor of shape (B, T, F)

        Returns
        -------
        predicted : tensor of shape (B,), or (B, K) for several outputs
        """
        states, _ = self.rnn(time_major(x))
        return self.fc_out(states[-1]).squeeze(-1)


class LastStateRegressor(SequenceRegressor):
    """Base of the regressors that read a recurrent network's last state."""

    hidden_size: int = parameter(
        64, at_least=1, at_most=MAX_SIZE, doc="Size of the recurrent state."
    )
    num_layers: int = parameter(
        2, at_least=1, at_most=MAX_LAYERS, doc="Number of recurrent layers."
    )
    dropout: float = parameter(
        0.0, at_least=0, below=1, doc="Dropout rate between the recurrent layers."
    )
    parameters_for_checks = {"hidden_size": 16}
