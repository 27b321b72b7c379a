"""GATs: each stock's state beside the states of its peers of the day."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from skattn.base import CrossSectionalRegressor, parameter
from skattn.kernels import by_rows, make_rnn, rnn_rows, time_major
from skattn.parameters import MAX_LAYERS, MAX_SIZE


class GATs(nn.Module):
    """A GRU or LSTM over each window, graph attention across the stocks of a day, a linear output.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    hidden_size, num_layers, rnn, dropout
        As for ``GATsRegressor``.

    Examples
    --------
    >>> import torch
    >>> from skattn_gats.model import GATs
    >>> module, x = GATs(n_features=6, hidden_size=8), torch.randn(2, 30, 60, 6)
    >>> module(x, torch.ones(2, 30, dtype=torch.bool)).shape  # two days of 30 stocks
    torch.Size([2, 30])
    """

    cross_sectional = True
    attention_axes: ClassVar[dict] = {"peers": ("stock",)}

    def __init__(
        self,
        n_features: int,
        hidden_size: int = 64,
        num_layers: int = 2,
        rnn: str = "gru",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.rnn_rows = rnn_rows(rnn)
        self.rnn = make_rnn(rnn, n_features, hidden_size, num_layers, dropout)
        self.transformation = nn.Linear(hidden_size, hidden_size)
        self.a = nn.Parameter(torch.randn(2 * hidden_size, 1))
        self.fc = nn.Linear(hidden_size, hidden_size)
        self.fc_out = nn.Linear(hidden_size, 1)

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Predict each stock of each day: (D, S, T, F) and (D, S) to (D, S)."""
        states, weights = self._states_and_weights(x, present)
        mixed = F.leaky_relu(self.fc(weights @ states + states))
        return self.fc_out(mixed)[..., 0]

    def attend(self, x: torch.Tensor, present: torch.Tensor) -> dict[str, torch.Tensor]:
        """Attention maps: ``peers`` (D, S, S), the weight of each stock for the stock."""
        return {"peers": self._states_and_weights(x, present)[1]}

    def _states_and_weights(
        self, x: torch.Tensor, present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        states = by_rows(self._last_state, x.flatten(0, 1), self.rnn, self.rnn_rows)
        states = states.unflatten(0, x.shape[:2])
        # A pair's score is a . (W key, W query): a dot product of the key plus one of the query.
        probes = self.a.view(2, -1)
        of_pair = F.linear(
            states, probes @ self.transformation.weight, probes @ self.transformation.bias
        )
        of_key, of_query = of_pair.unbind(-1)
        scores = F.leaky_relu(of_query[:, :, None] + of_key[:, None])
        scores = scores.masked_fill(~present[:, None], torch.finfo(scores.dtype).min)
        return states, scores.softmax(-1)

    def _last_state(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.rnn(time_major(x))
        return states[-1]


class GATsRegressor(CrossSectionalRegressor):
    """Graph attention across the stocks of a day, over a recurrent network.

    A GRU or LSTM takes the window of each stock to a state. Each stock adds the states of all
    stocks of its day, weighted by attention, to its own. Two linear layers follow.

    References
    ----------
    Velickovic et al. 2018, "Graph Attention Networks", arXiv 1710.10903. qlib,
    ``qlib/contrib/model/pytorch_gats.py``: same mathematics, weight names and defaults. (qlib's
    workflow for Alpha360 starts from a pretrained LSTM, with a dropout of 0.7 and a lr of 0.0001.)
    """

    hidden_size: int = parameter(64, at_least=1, at_most=MAX_SIZE, doc="Size of the state.")
    num_layers: int = parameter(2, at_least=1, at_most=MAX_LAYERS, doc="Recurrent layers.")
    rnn: str = parameter("gru", one_of=("gru", "lstm"), doc="Recurrent unit.")
    dropout: float = parameter(
        0.0, at_least=0, below=1, doc="Dropout rate between the recurrent layers."
    )
    parameters_for_checks = {"hidden_size": 8}

    def build_module(self, n_steps: int, n_features: int) -> GATs:
        """Make the torch module for windows of this shape."""
        return GATs(n_features, self.hidden_size, self.num_layers, self.rnn, self.dropout)
