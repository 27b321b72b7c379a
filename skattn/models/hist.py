"""HIST: information that stocks share through concepts, over a recurrent network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pandas as pd
import torch
from torch import nn

from skattn.base import ConceptTable, CrossSectionalRegressor, parameter
from skattn.kernels import RNNS, by_rows, make_rnn, rnn_rows, time_major
from skattn.parameters import MAX_LAYERS, MAX_SIZE


class HIST(nn.Module):
    """Predefined concepts, hidden concepts and the individual rest of each stock's state.

    A GRU or LSTM encodes the window of each stock into a state. Three modules then split the
    state:

    1. The stocks of a predefined concept form the concept's vector. Each stock takes from the
       concepts by similarity.
    2. In the remaining state, each stock is linked to its most similar other stock. The stocks
       that are linked to form hidden concepts. Each stock takes from the hidden concepts by
       similarity.
    3. The rest is individual to the stock.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    hidden_size : int, default=64
        Size of the recurrent state.
    num_layers : int, default=2
        Number of recurrent layers.
    rnn : {"gru", "lstm"}, default="lstm"
        Recurrent unit.
    dropout : float, default=0.0
        Dropout rate between the recurrent layers.
    n_outputs : int, default=1
        Number of labels K that are predicted.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_hist.py``, ``HISTModel``: same mathematics and same
    weight names, without qlib's unused weights. A call may contain several days.

    Examples
    --------
    >>> import torch
    >>> from skattn.models import HIST
    >>> module = HIST(n_features=6, hidden_size=8)
    >>> x, concepts = torch.randn(2, 30, 60, 6), torch.ones(2, 30, 4)  # two days of 30 stocks
    >>> module(x, concepts=concepts).shape
    torch.Size([2, 30])
    """

    attention_axes: ClassVar[dict] = {
        "stock_to_concept": ("concept",),
        "concept_to_stock": ("concept",),
        "hidden_concept": ("stock",),
    }
    attention_sums: ClassVar[dict] = {"stock_to_concept": ()}
    cross_sectional = True

    def __init__(
        self,
        n_features: int,
        hidden_size: int = 64,
        num_layers: int = 2,
        rnn: str = "lstm",
        dropout: float = 0.0,
        n_outputs: int = 1,
    ) -> None:
        super().__init__()
        self.rnn_rows = rnn_rows(rnn)
        self.rnn = make_rnn(rnn, n_features, hidden_size, num_layers, dropout)
        self.fc_es = _linear(hidden_size)
        self.fc_es_fore = _linear(hidden_size)
        self.fc_es_back = _linear(hidden_size)
        self.fc_is = _linear(hidden_size)
        self.fc_is_fore = _linear(hidden_size)
        self.fc_is_back = _linear(hidden_size)
        self.fc_indi = _linear(hidden_size)
        self.fc_out = nn.Linear(hidden_size, n_outputs)

    def forward(
        self,
        x: torch.Tensor,
        present: torch.Tensor | None = None,
        concepts: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict one value, or K values, for each stock of each of D days.

        Parameters
        ----------
        x : tensor of shape (D, S, T, F)
            Windows of the day's stocks.
        present : tensor of bool, shape (D, S), default=None
            False for rows that only pad a day to S stocks. None: all stocks are present.
        concepts : tensor of shape (D, S, C), default=None
            Weight of each stock in each predefined concept. None: no predefined concepts.

        Returns
        -------
        predicted : tensor of shape (D, S), or (D, S, K) for several outputs
        """
        states, there, concepts = self._states(x, present, concepts)

        # Each day on one thread: the threads that torch gives a single operation would go on
        # waiting for the next one beside those that compute the blocks of states.
        def predict(*of_days: torch.Tensor) -> torch.Tensor:
            return self._share(*of_days)[0]

        return by_rows(predict, (states, there, concepts), self, 1)

    def attend(
        self,
        x: torch.Tensor,
        present: torch.Tensor | None = None,
        concepts: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Attention maps of each stock of each day.

        Returns
        -------
        maps : dict of tensors
            ``stock_to_concept`` (D, S, C): weight of the stock in the concept's vector.
            ``concept_to_stock`` (D, S, C): weight of each concept for the stock; sums to 1 over
            the concepts that have members. ``hidden_concept`` (D, S, S): weight of each hidden
            concept for the stock; sums to 1. A column's stock is the centre of its hidden concept.
        """
        return self._share(*self._states(x, present, concepts))[1]

    def _states(
        self, x: torch.Tensor, present: torch.Tensor | None, concepts: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Last states (D, S, H), which stocks are there (D, S, 1), and concepts (D, S, C)."""
        n_days, n_stocks = x.shape[:2]
        if present is None:
            present = x.new_ones(n_days, n_stocks, dtype=torch.bool)
        if concepts is None:
            concepts = x.new_zeros(n_days, n_stocks, 0)
        there = present[:, :, None].to(x.dtype)
        states = by_rows(self._encode, x.flatten(0, 1), self.rnn, self.rnn_rows)
        return states.unflatten(0, (n_days, n_stocks)) * there, there, concepts

    def _share(
        self, states: torch.Tensor, there: torch.Tensor, concepts: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Predictions and attention maps of days, from the states of their stocks."""
        members = concepts * there
        size = members.sum(dim=1, keepdim=True)
        enter = members / (members * size + 1)
        take, shared = _take(states, enter.mT @ states, size > 0)
        shared = self.fc_es(shared)
        back = self.fc_es_back(shared)
        predefined = nn.functional.leaky_relu(self.fc_es_fore(shared))

        rest = (states - back) * there
        links, is_concept = _link(rest)
        hidden_take, shared = _take(rest, links.mT @ rest, is_concept)
        shared = self.fc_is(shared)
        hidden = nn.functional.leaky_relu(self.fc_is_fore(shared))

        rest = states - back - self.fc_is_back(shared)
        individual = nn.functional.leaky_relu(self.fc_indi(rest))
        predicted = self.fc_out(predefined + hidden + individual).squeeze(-1)
        return predicted, {
            "stock_to_concept": enter,
            "concept_to_stock": take,
            "hidden_concept": hidden_take,
        }

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.rnn(time_major(x))
        return states[-1]


def _linear(size: int) -> nn.Linear:
    layer = nn.Linear(size, size)
    nn.init.xavier_uniform_(layer.weight)
    return layer


def _cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cosine similarity (D, S, K) of vectors (D, S, H) and (D, K, H); 0 for zero vectors."""
    # bf16 cannot tell apart the similarities of close stocks.
    with torch.autocast(a.device.type, enabled=False):
        b = b.to(a.dtype)
        norms = [torch.linalg.vector_norm(v, dim=2) for v in (a, b)]
        return a @ b.mT / (norms[0][:, :, None] * norms[1][:, None] + 1e-6)


def _take(
    states: torch.Tensor, vectors: torch.Tensor, exists: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix concepts for each stock by similarity: weights (D, S, K) and mixed vectors."""
    similarity = _cosine(states, vectors)
    weights = similarity.masked_fill(~exists, torch.finfo(similarity.dtype).min).softmax(dim=2)
    # Without any concept, softmax gives equal weights; the weights must be zero.
    weights = weights * exists
    return weights, weights @ vectors


def _link(states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Link each stock to the most similar other stock.

    A stock whose incoming links have a nonzero sum becomes a hidden concept, and is also a member
    of that concept. Returns the weights (D, S, S) of stocks in concepts, and a mask (D, 1, S) of
    the columns that are concepts.
    """
    similarity = _cosine(states, states)
    own = similarity.diagonal(dim1=1, dim2=2)
    # The diagonal is zero, so a stock unlike all others is linked to no other stock.
    others = similarity - torch.diag_embed(own)
    nearest, which = others.max(dim=2, keepdim=True)
    links = torch.zeros_like(others).scatter(2, which, nearest)
    is_concept = links.sum(dim=1, keepdim=True) != 0
    return links + torch.diag_embed(own * is_concept[:, 0]), is_concept


class HISTRegressor(CrossSectionalRegressor):
    """Shared information of predefined and hidden concepts over a recurrent network.

    The model looks across the stocks of a day and trains on batches of whole days. Days come from
    ``days``, else from the index of X, else from the index of y. If the days are unknown, a
    warning is issued and each row is treated as a day of its own. Rows without a label are
    context: the model shows them to the other stocks of their day.

    Notes
    -----
    A stock takes from a concept as much as the stock's state is like the concept's, whether it is a
    member or not. So the windows should say something about membership: where only other stocks
    of its sector move a stock, concepts alone find little, and concepts with a column for each
    sector in the windows find it.

    References
    ----------
    Xu et al. 2021, "HIST: A Graph-based Framework for Stock Trend Forecasting via Mining
    Concept-Oriented Shared Information", arXiv 2110.13716. qlib,
    ``qlib/contrib/model/pytorch_hist.py`` and
    ``examples/benchmarks/HIST/workflow_config_hist_Alpha360.yaml`` for the defaults. (The lr
    there is 0.0001, for training that starts from a pretrained LSTM: see ``pretrained``.)

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn.datasets import make_market
    >>> from skattn.models import HISTRegressor
    >>> from skattn.preprocessing import Alpha360, RobustZScore
    >>> market = make_market(n_stocks=10, n_days=80, late_listings=0, random_state=0)
    >>> model = HISTRegressor(concepts=market.concepts, hidden_size=8, max_epochs=2, random_state=0)
    >>> pipeline = make_pipeline(Alpha360(length=10), RobustZScore(), model)
    >>> pipeline.fit(market.ohlcv, market.label).predict(market.ohlcv).shape == market.label.shape
    True
    """

    concepts: pd.DataFrame | pd.Series | Mapping | None = parameter(
        None,
        instance_of=(pd.DataFrame, pd.Series, Mapping),
        words="a DataFrame, a Series or a mapping",
        doc="""
            Weight of each instrument in each concept (instrument x concept: 0 or 1, or weights), or
            the single concept of each instrument. Missing instruments have no concept, which is
            reported once. None: no predefined concepts.""",
    )
    hidden_size: int = parameter(
        64, at_least=1, at_most=MAX_SIZE, doc="Size of the recurrent state."
    )
    num_layers: int = parameter(
        2, at_least=1, at_most=MAX_LAYERS, doc="Number of recurrent layers."
    )
    rnn: str = parameter("lstm", one_of=tuple(RNNS), doc="Recurrent unit.")
    dropout: float = parameter(
        0.0, at_least=0, below=1, doc="Dropout rate between the recurrent layers."
    )
    monitor: str = "valid_ic"
    parameters_for_checks = {"hidden_size": 16}

    def build_module(self, n_steps: int, n_features: int, n_outputs: int = 1) -> HIST:
        """Make the torch module for windows of this shape."""
        return HIST(
            n_features, self.hidden_size, self.num_layers, self.rnn, self.dropout, n_outputs
        )

    def make_side_inputs(self) -> ConceptTable:
        """Make the table that looks up the concepts of a batch's rows."""
        return ConceptTable(self.concepts)
