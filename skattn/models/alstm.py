"""ALSTM: a recurrent network with attention over its steps."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from skattn.base import SequenceRegressor, parameter
from skattn.kernels import RNNS, make_rnn, rnn_rows, time_major
from skattn.parameters import MAX_LAYERS, MAX_SIZE


class ALSTM(nn.Module):
    """Linear map and tanh, a GRU or LSTM, attention over its steps, and a linear output.

    The parameters and the names of the weights match ``ALSTMModel`` in qlib,
    ``qlib/contrib/model/pytorch_alstm.py``. :class:`ALSTMRegressor` describes the parameters;
    ``n_outputs`` is the number of labels that are predicted.

    Examples
    --------
    >>> import torch
    >>> from skattn.models import ALSTM
    >>> module = ALSTM(n_features=6, hidden_size=8)
    >>> module(torch.zeros(5, 60, 6)).shape, module.attend(torch.zeros(5, 60, 6))["time"].shape
    (torch.Size([5]), torch.Size([5, 60]))
    """

    attention_axes: ClassVar[dict] = {"time": ("lag",)}

    def __init__(
        self,
        n_features: int,
        hidden_size: int = 64,
        num_layers: int = 2,
        rnn: str = "gru",
        dropout: float = 0.0,
        n_outputs: int = 1,
    ) -> None:
        super().__init__()
        self.block_rows = rnn_rows(rnn)
        self.net = nn.Sequential()
        self.net.add_module("fc_in", nn.Linear(n_features, hidden_size))
        self.net.add_module("act", nn.Tanh())
        self.rnn = make_rnn(rnn, hidden_size, hidden_size, num_layers, dropout)
        self.fc_out = nn.Linear(2 * hidden_size, n_outputs)
        self.att_net = nn.Sequential()
        self.att_net.add_module("att_fc_in", nn.Linear(hidden_size, hidden_size // 2))
        self.att_net.add_module("att_dropout", nn.Dropout(dropout))
        self.att_net.add_module("att_act", nn.Tanh())
        self.att_net.add_module("att_fc_out", nn.Linear(hidden_size // 2, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict values (B,), or (B, K) for several outputs, for windows (B, T, F)."""
        states, weights = self._states_and_weights(x)
        context = (weights * states).sum(dim=0)
        return self.fc_out(torch.cat((states[-1], context), dim=1)).squeeze(-1)

    def attend(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Attention maps: ``time`` of shape (B, T), which sums to 1 over the steps."""
        _, weights = self._states_and_weights(x)
        return {"time": weights[:, :, 0].T}

    def _states_and_weights(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states, _ = self.rnn(self.net(time_major(x)))
        return states, torch.softmax(self.att_net(states), dim=0)


class ALSTMRegressor(SequenceRegressor):
    """Recurrent network with temporal attention.

    The network is a linear map with tanh, a GRU or LSTM over the window, and attention over its
    steps. A linear output reads the last state and the attention-weighted sum of the states.

    References
    ----------
    Qin et al. 2017, "A Dual-Stage Attention-Based Recurrent Neural Network for Time Series
    Prediction", arXiv 1704.02971. qlib, ``qlib/contrib/model/pytorch_alstm.py`` and
    ``examples/benchmarks/ALSTM/workflow_config_alstm_Alpha360.yaml`` for the defaults.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import ALSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10, 2)).astype("float32")
    >>> y = X[:, -3, 0]
    >>> model = ALSTMRegressor(hidden_size=8, max_epochs=60, lr=0.01, random_state=0).fit(X, y)
    >>> model.predict(X[:2]).shape, bool(model.score(X, y) > 0.5)
    ((2,), True)
    """

    hidden_size: int = parameter(
        64,
        at_least=2,
        at_most=MAX_SIZE,
        doc="Size of the state; the attention network is half as wide.",
    )
    num_layers: int = parameter(
        2, at_least=1, at_most=MAX_LAYERS, doc="Number of recurrent layers."
    )
    rnn: str = parameter("gru", one_of=tuple(RNNS), doc="Recurrent unit.")
    dropout: float = parameter(
        0.0,
        at_least=0,
        below=1,
        doc="Dropout rate between the recurrent layers and in the attention network.",
    )
    parameters_for_checks = {"hidden_size": 16}

    def build_module(self, n_steps: int, n_features: int, n_outputs: int = 1) -> ALSTM:
        """Make the torch module for windows of this shape."""
        return ALSTM(
            n_features, self.hidden_size, self.num_layers, self.rnn, self.dropout, n_outputs
        )
