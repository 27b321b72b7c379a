"""HIST: what stocks share through known and hidden concepts, over a recurrent network."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar

import pandas as pd
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skattn._warn import warn_user
from skattn.base import SequenceRegressor, estimator
from skattn.models._concepts import ConceptTable
from skattn.models._recurrent import BLOCK_ROWS, RECURRENT_CONSTRAINTS, RNNS, make_rnn, time_major
from skattn.training.blocks import by_rows


class HIST(nn.Module):
    """Predefined concepts, hidden concepts and the individual rest of each stock's state.

    A GRU or LSTM encodes the window of each stock. Three modules share out the state: the stocks
    of a predefined concept form its vector, and each stock takes from the concepts by similarity;
    of what is left, stocks that are most similar to another form hidden concepts, from which each
    takes again; the rest is the stock's own.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    hidden_size : int, default=64
        Size of the recurrent state.
    num_layers : int, default=2
        Recurrent layers.
    rnn : {"gru", "lstm"}, default="lstm"
        Recurrent unit.
    dropout : float, default=0.0
        Between the recurrent layers.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_hist.py``, ``HISTModel``: same mathematics, same names of
    weights (those that it never uses are left out). Several days may come at once.

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
    cross_sectional = True

    def __init__(
        self,
        n_features: int,
        hidden_size: int = 64,
        num_layers: int = 2,
        rnn: str = "lstm",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.rnn_rows = BLOCK_ROWS[rnn]
        self.rnn = make_rnn(rnn, n_features, hidden_size, num_layers, dropout)
        self.fc_es = _linear(hidden_size)
        self.fc_es_fore = _linear(hidden_size)
        self.fc_es_back = _linear(hidden_size)
        self.fc_is = _linear(hidden_size)
        self.fc_is_fore = _linear(hidden_size)
        self.fc_is_back = _linear(hidden_size)
        self.fc_indi = _linear(hidden_size)
        self.fc_out = nn.Linear(hidden_size, 1)

    def forward(
        self,
        x: torch.Tensor,
        present: torch.Tensor | None = None,
        concepts: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict one value for each stock of each of D days.

        Parameters
        ----------
        x : tensor of shape (D, S, T, F)
            Windows of the day's stocks.
        present : tensor of bool, shape (D, S), default=None
            False for rows that only fill a day up to S. None: all are there.
        concepts : tensor of shape (D, S, C), default=None
            Weight of each stock in each predefined concept. None: there are none.

        Returns
        -------
        predicted : tensor of shape (D, S)
        """
        return self._forward(x, present, concepts)[0]

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
            ``stock_to_concept`` (D, S, C): weight with which the stock enters the concept's
            vector. ``concept_to_stock`` (D, S, C): what the stock takes from the concepts that
            have members; sums to one over them. ``hidden_concept`` (D, S, S): what it takes from
            the hidden concepts, each formed around the stock of its column; sums to one.
        """
        return self._forward(x, present, concepts)[1]

    def _forward(
        self, x: torch.Tensor, present: torch.Tensor | None, concepts: torch.Tensor | None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        n_days, n_stocks = x.shape[:2]
        if present is None:
            present = x.new_ones(n_days, n_stocks, dtype=torch.bool)
        if concepts is None:
            concepts = x.new_zeros(n_days, n_stocks, 0)
        there = present[:, :, None].to(x.dtype)
        states = by_rows(self._encode, x.flatten(0, 1), self.rnn, self.rnn_rows)
        states = states.unflatten(0, (n_days, n_stocks)) * there

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
        predicted = self.fc_out(predefined + hidden + individual)[:, :, 0]
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
    """Similarity (D, S, K) of vectors (D, S, H) and (D, K, H); of zero vectors it is zero."""
    # In bf16 near stocks would be equally near.
    with torch.autocast(a.device.type, enabled=False):
        b = b.to(a.dtype)
        norms = [torch.linalg.vector_norm(v, dim=2) for v in (a, b)]
        return a @ b.mT / (norms[0][:, :, None] * norms[1][:, None] + 1e-6)


def _take(
    states: torch.Tensor, vectors: torch.Tensor, exists: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each stock takes from concepts, by similarity: weights (D, S, K) and the mixture."""
    similarity = _cosine(states, vectors)
    weights = similarity.masked_fill(~exists, torch.finfo(similarity.dtype).min).softmax(dim=2)
    # Where no concept exists at all, nothing is taken.
    weights = weights * exists
    return weights, weights @ vectors


def _link(states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Link each stock to the other that it is most similar to.

    The stocks that are linked to, and by more than nothing, become hidden concepts, which they
    enter themselves as well. Gives the weights (D, S, S) with which stocks enter, and which of the
    columns are concepts (D, 1, S).
    """
    similarity = _cosine(states, states)
    own = similarity.diagonal(dim1=1, dim2=2)
    # Zero on the diagonal: a stock unlike all others is linked to none.
    others = similarity - torch.diag_embed(own)
    nearest, which = others.max(dim=2, keepdim=True)
    links = torch.zeros_like(others).scatter(2, which, nearest)
    is_concept = links.sum(dim=1, keepdim=True) != 0
    return links + torch.diag_embed(own * is_concept[:, 0]), is_concept


@estimator
class HISTRegressor(SequenceRegressor):
    """Shared information of predefined and hidden concepts over a recurrent network.

    It looks across the stocks of a day, and is trained on batches of whole days. Days come from the
    index of X, else of y, else from ``days``; without any, each row is taken for a day of its own,
    with a warning. Rows without a label are context: they are seen by the other stocks of their
    day.

    Parameters
    ----------
    concepts : DataFrame, Series, mapping or None, default=None
        Weight of each instrument in each concept (instrument x concept: 0 or 1, or weights), or
        the one concept of each instrument. An instrument that it does not know has none, which is
        reported once. None: there are no predefined concepts.
    hidden_size : int, default=64
        Size of the recurrent state.
    num_layers : int, default=2
        Recurrent layers.
    rnn : {"gru", "lstm"}, default="lstm"
        Recurrent unit.
    dropout : float, default=0.0
        Between the recurrent layers, in [0, 1).
    days_per_batch : int, default=1
        Days a training step. The loss is the mean over their labelled rows. ``batch_size`` counts
        only where the days are unknown.
    {training_parameters}

    Attributes
    ----------
    {training_attributes}

    References
    ----------
    Xu et al. 2021, "HIST: A Graph-based Framework for Stock Trend Forecasting via Mining
    Concept-Oriented Shared Information", arXiv 2110.13716. qlib,
    ``qlib/contrib/model/pytorch_hist.py`` and
    ``examples/benchmarks/HIST/workflow_config_hist_Alpha360.yaml`` for the defaults. (Its lr is
    0.0001, to go on from a pretrained LSTM: see ``pretrained``.)

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

    concepts: pd.DataFrame | pd.Series | Mapping | None = None
    hidden_size: int = 64
    num_layers: int = 2
    rnn: str = "lstm"
    dropout: float = 0.0
    days_per_batch: int = 1
    monitor: str = "valid_ic"

    _parameter_constraints: ClassVar[dict] = {
        **RECURRENT_CONSTRAINTS,
        "concepts": [pd.DataFrame, pd.Series, Mapping, None],
        "rnn": [StrOptions(set(RNNS))],
        "days_per_batch": [Interval(Integral, 1, None, closed="left")],
    }

    def build_module(self, n_steps: int, n_features: int) -> HIST:
        """Make the torch module for windows of this shape."""
        return HIST(n_features, self.hidden_size, self.num_layers, self.rnn, self.dropout)

    def make_context(self) -> ConceptTable:
        """Make what looks up the concepts of a batch's rows."""
        return ConceptTable(self.concepts)

    def check_instruments(
        self, instruments: pd.Index | None, *, context: Any, fitting: bool
    ) -> None:
        """Report the instruments that have no concept.

        Raises
        ------
        ValueError
            There are concepts, but the instruments are unknown or none of them has one.
        """
        if context.names.empty:
            return
        if instruments is None:
            raise ValueError(
                "concepts was given, but the instruments of X are not known: give X an index with "
                "a level 'instrument' (skattn.from_long makes one), or pass instruments=."
            )
        unknown = context.unknown(instruments)
        n_all = len(instruments.unique())
        if fitting and len(unknown) == n_all:
            raise ValueError(
                f"concepts knows none of the {n_all} instruments of X: it has "
                f"{list(context.instruments[:3])}, X has {list(unknown[:3])}."
            )
        # What a fit has said is not said again, by itself or in prediction.
        new = [name for name in unknown if name not in context.reported]
        if new:
            warn_user(
                f"{len(new)} of {n_all} instruments belong to no concept: {new[:5]}"
                f"{'' if len(new) <= 5 else ' and others'}."
            )
        if fitting:
            context.reported.update(unknown)
