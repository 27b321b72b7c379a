"""GRU: a prediction from the last state of gated recurrent units."""

from __future__ import annotations

from skattn.models._last_state import LastState, LastStateRegressor


class GRU(LastState):
    """A GRU over the window, and a linear output from its last state.

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
    qlib, ``qlib/contrib/model/pytorch_gru.py``, ``GRUModel``: same mathematics and same
    weight names.

    Examples
    --------
    >>> import torch
    >>> from skattn.models import GRU
    >>> GRU(n_features=6, hidden_size=8)(torch.zeros(5, 60, 6)).shape
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
        super().__init__("gru", n_features, hidden_size, num_layers, dropout, n_outputs)


class GRURegressor(LastStateRegressor):
    """Recurrent network of gated recurrent units.

    The network is a GRU over the window with a linear output from its last state.

    References
    ----------
    Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
    Machine Translation", arXiv 1406.1078.
    qlib, ``qlib/contrib/model/pytorch_gru.py`` and
    ``examples/benchmarks/GRU/workflow_config_gru_Alpha360.yaml`` for the defaults.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import GRURegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10, 2)).astype("float32")
    >>> y = X[:, -1, 0]
    >>> model = GRURegressor(hidden_size=8, max_epochs=60, lr=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.5)
    True

    A schedule of the learning rate is a callback of skorch's:

    >>> from skorch.callbacks import LRScheduler
    >>> from torch.optim.lr_scheduler import StepLR
    >>> halving = LRScheduler(StepLR, step_size=2, gamma=0.5)
    >>> model.set_params(callbacks=[halving], max_epochs=4).fit(X, y).history_["lr"].tolist()
    [0.01, 0.01, 0.005, 0.005]
    >>> model.partial_fit(X, y).history_["lr"].tolist()
    [0.01, 0.01, 0.005, 0.005, 0.0025]
    """

    def build_module(self, n_steps: int, n_features: int, n_outputs: int = 1) -> GRU:
        """Make the torch module for windows of this shape."""
        return GRU(n_features, self.hidden_size, self.num_layers, self.dropout, n_outputs)
