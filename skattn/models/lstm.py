"""LSTM: a prediction from the last state of a long short-term memory."""

from __future__ import annotations

from skattn.models._last_state import LastState, LastStateRegressor


class LSTM(LastState):
    """An LSTM over the window, and a linear output from its last state.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    hidden_size : int, default=64
        Size of the recurrent state.
    num_layers : int, default=2
        Number of recurrent layers.
    dropout : float, default=0.0
        Dropout rate between the recurrent layers.
    n_outputs : int, default=1
        Number of labels K that are predicted.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_lstm.py``, ``LSTMModel``: same mathematics and same
    weight names.

    Examples
    --------
    >>> import torch
    >>> from skattn.models import LSTM
    >>> LSTM(n_features=6, hidden_size=8)(torch.zeros(5, 60, 6)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int = 64,
        num_layers: int = 2,
        dropout: float = 0.0,
        n_outputs: int = 1,
    ) -> None:
        super().__init__("lstm", n_features, hidden_size, num_layers, dropout, n_outputs)


class LSTMRegressor(LastStateRegressor):
    """Recurrent network of long short-term memory.

    The network is an LSTM over the window with a linear output from its last state.

    References
    ----------
    Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", Neural Computation 9(8).
    qlib, ``qlib/contrib/model/pytorch_lstm.py`` and
    ``examples/benchmarks/LSTM/workflow_config_lstm_Alpha360.yaml`` for the defaults.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import LSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10, 2)).astype("float32")
    >>> y = X[:, -1, 0]
    >>> model = LSTMRegressor(hidden_size=8, max_epochs=60, lr=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.5)
    True
    """

    def build_module(self, n_steps: int, n_features: int, n_outputs: int = 1) -> LSTM:
        """Make the torch module for windows of this shape."""
        return LSTM(n_features, self.hidden_size, self.num_layers, self.dropout, n_outputs)
