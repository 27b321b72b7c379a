"""SFM: a recurrent network with a memory that is split into frequencies."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from skattn.base import SequenceRegressor, parameter
from skattn.kernels import last_memory_state, memory_steps
from skattn.parameters import MAX_SIZE

# Order of the gates in the stacked tensors: input, state forgetting, output, frequency forgetting,
# candidate. The candidate comes last, because it takes tanh and the others the hard sigmoid.
GATES = ("i", "ste", "o", "fre", "c")


class SFM(nn.Module):
    r"""State-frequency memory: an LSTM whose cell state is a spectrum of its past.

    With :math:`\sigma` the hard sigmoid, :math:`\odot` the product by element, and
    :math:`\omega_k = 2 \pi k / K` for the K frequencies, step t computes

    .. math::

        i_t, s_t, o_t &= \sigma(W_{i,s,o} x_t + U_{i,s,o} h_{t-1} + b_{i,s,o}) \in R^H \\
        f_t &= \sigma(W_f x_t + U_f h_{t-1} + b_f) \in R^K \\
        c_t &= i_t \odot \tanh(W_c x_t + U_c h_{t-1} + b_c) \in R^H \\
        S_t &= (f_t s_t^T) \odot S_{t-1} + e^{j \omega t} c_t^T \in C^{K \times H} \\
        h_t &= o_t \odot \tanh(u_a^T |S_t|^2 + b_a) \in R^H

    The prediction is a linear function of the last step's :math:`W_p h_T + b_p`.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    hidden_size : int, default=64
        Size H of the recurrent state.
    freq_dim : int, default=25
        Number of frequencies K of the memory: 0, 1/K, ..., (K-1)/K cycles per step.
    output_dim : int, default=32
        Size of the layer between the last state and the prediction.
    dropout_W : float, default=0.0
        Dropout rate of the input. Each window has one mask, the same at every step and for every
        gate.
    dropout_U : float, default=0.0
        Dropout rate of the recurrent state. Each window has one mask, the same at every step. A
        dropped unit does not reach the gates, and its amplitudes :math:`|S|^2` do not reach the
        output.
    n_outputs : int, default=1
        Number of labels K that are predicted.

    Attributes
    ----------
    block_rows : int or None, default=128
        Rows that one thread computes at a time. The memory of 128 rows stays in the processor's
        cache. None: all rows of a batch at once.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_sfm.py``, ``SFM_Model``: same mathematics and same weight
    names. qlib accepts the dropout rates but ignores them.

    Examples
    --------
    >>> import torch
    >>> from skattn.models import SFM
    >>> module = SFM(n_features=6, hidden_size=8, freq_dim=10)
    >>> x = torch.zeros(5, 60, 6)
    >>> module(x).shape, module.attend(x)["frequency"].shape
    (torch.Size([5]), torch.Size([5, 60, 10]))
    """

    attention_axes: ClassVar[dict] = {"frequency": ("lag", "frequency")}
    block_rows: int | None = 128

    def __init__(
        self,
        n_features: int,
        hidden_size: int = 64,
        freq_dim: int = 25,
        output_dim: int = 32,
        dropout_W: float = 0.0,
        dropout_U: float = 0.0,
        n_outputs: int = 1,
    ) -> None:
        super().__init__()
        self.dropout_W = dropout_W
        self.dropout_U = dropout_U
        # Gates: input, state forgetting, frequency forgetting, candidate, output.
        for gate, size, bias in (
            ("i", hidden_size, 0.0),
            ("ste", hidden_size, 1.0),
            ("fre", freq_dim, 1.0),
            ("c", hidden_size, 0.0),
            ("o", hidden_size, 0.0),
        ):
            W = nn.init.xavier_uniform_(torch.empty(n_features, size))
            U = nn.init.orthogonal_(torch.empty(hidden_size, size))
            self.register_parameter(f"W_{gate}", nn.Parameter(W))
            self.register_parameter(f"U_{gate}", nn.Parameter(U))
            self.register_parameter(f"b_{gate}", nn.Parameter(torch.full((size,), bias)))
        self.U_a = nn.Parameter(nn.init.orthogonal_(torch.empty(freq_dim, 1)))
        self.b_a = nn.Parameter(torch.zeros(hidden_size))
        self.W_p = nn.Parameter(nn.init.xavier_uniform_(torch.empty(hidden_size, output_dim)))
        self.b_p = nn.Parameter(torch.zeros(output_dim))
        self.fc_out = nn.Linear(output_dim, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one value, or K values, for each of the B windows.

        Parameters
        ----------
        x : tensor of shape (B, T, F)

        Returns
        -------
        predicted : tensor of shape (B,), or (B, K) for several outputs
        """
        # No autocast: rounding errors of a lower precision would add up over the recurrence.
        with torch.autocast(x.device.type, enabled=False):
            state = last_memory_state(*self._recurrence_inputs(x))
        return self.fc_out(F.linear(state, self.W_p.T, self.b_p)).squeeze(-1)

    @torch.no_grad()
    def attend(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        r"""Attention maps: ``frequency`` of shape (B, T, K), which sums to 1 over frequencies.

        The weight of a frequency measures its contribution to the state of a step. Frequency k
        enters the state of unit h as :math:`u_{a,k} |S_{t,k,h}|^2`. Its weight is the mean
        magnitude over the units, :math:`|u_{a,k}| \sum_h |S_{t,k,h}|^2 / H`, divided by the sum of
        the mean magnitudes over frequencies. If all magnitudes are zero, as for an empty memory,
        the weights are equal.
        """
        n_freq = len(self.U_a)
        parts = []
        with torch.autocast(x.device.type, enabled=False):
            for step in memory_steps(*self._recurrence_inputs(x)):
                re_im = step.power.view(2, n_freq, len(x), -1)
                parts.append(re_im.sum(dim=0).mean(dim=2).T * self.U_a[:, 0].abs())
        weights = torch.stack(parts, dim=1)
        total = weights.sum(dim=2, keepdim=True)
        return {"frequency": torch.where(total > 0, weights / total, 1 / n_freq)}

    def _recurrence_inputs(self, x: torch.Tensor) -> tuple[Any, ...]:
        """Compute the inputs of the recurrence in ``skattn.kernels``."""
        _, n_steps, n_features = x.shape
        W, U, b = (torch.cat([getattr(self, f"{name}_{g}") for g in GATES], -1) for name in "WUb")
        x_mask = self._mask(x, n_features, self.dropout_W)
        if x_mask is not None:
            x = x * x_mask[:, None]
        h_mask = self._mask(x, len(self.b_a), self.dropout_U)
        # Time first, (T, B, ...): the recurrence then reads contiguous memory.
        z = F.linear(x.transpose(0, 1).contiguous(), W.T, b)
        waves = _waves(n_steps, len(self.U_a)).to(z)
        return z, U.T.contiguous(), self.U_a[:, 0], self.b_a, waves, h_mask

    def _mask(self, x: torch.Tensor, size: int, rate: float) -> torch.Tensor | None:
        """Dropout mask (B, size), scaled to keep the mean; None if nothing is dropped."""
        if not self.training or rate == 0:
            return None
        return F.dropout(x.new_ones(len(x), size), rate)


def _waves(n_steps: int, n_freq: int) -> torch.Tensor:
    """exp(j omega t) of steps t = 1..T: (T, 2K), K real parts and then K imaginary parts."""
    # 2 pi t is rounded as in qlib, so that qlib's weights give the same results here.
    turns = torch.tensor(2 * math.pi) * torch.arange(1, n_steps + 1)
    angles = torch.outer(turns.double(), torch.arange(n_freq).double() / n_freq)
    return torch.cat((angles.cos(), angles.sin()), dim=1)


class SFMRegressor(SequenceRegressor):
    """Recurrent network with a memory that is split into frequencies.

    The cell resembles an LSTM. For each hidden unit, the cell keeps the amplitudes and phases of K
    frequencies. It forgets by unit and by frequency. The hidden state sees only the amplitudes.

    References
    ----------
    Zhang, Aggarwal, Qi 2017, "Stock Price Prediction via Discovering Multi-Frequency Trading
    Patterns", KDD 2017. qlib, ``qlib/contrib/model/pytorch_sfm.py`` and
    ``examples/benchmarks/SFM/workflow_config_sfm_Alpha360.yaml`` for the defaults,
    except for qlib's 20 epochs, which are enough only for large data.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SFMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10, 2)).astype("float32")
    >>> y = X[:, -3, 0]
    >>> model = SFMRegressor(
    ...     hidden_size=8, freq_dim=5, batch_size=50, max_epochs=60, lr=0.01, random_state=0
    ... ).fit(X, y)
    >>> model.predict(X[:2]).shape
    (2,)
    >>> bool(model.score(X, y) > 0.5)
    True
    """

    hidden_size: int = parameter(
        64, at_least=1, at_most=MAX_SIZE, doc="Size of the recurrent state."
    )
    freq_dim: int = parameter(
        25, at_least=1, at_most=MAX_SIZE, doc="Number of frequencies of the memory."
    )
    output_dim: int = parameter(
        32,
        at_least=1,
        at_most=MAX_SIZE,
        doc="Size of the layer between the last state and the prediction.",
    )
    dropout_W: float = parameter(  # noqa: N815 - the paper's name
        0.0,
        at_least=0,
        below=1,
        doc="""
            Dropout rate of the input. Each window has one mask, the same at every step and for
            every gate.""",
    )
    dropout_U: float = parameter(  # noqa: N815
        0.0,
        at_least=0,
        below=1,
        doc="""
            Dropout rate of the recurrent state and its amplitudes, with one mask per window. (The
            workflow of qlib sets both rates to 0.5, but the module of qlib ignores the rates, so
            qlib's published numbers are for 0.)""",
    )
    batch_size: int = 1600
    parameters_for_checks = {"hidden_size": 16, "freq_dim": 5, "output_dim": 4}

    def build_module(self, n_steps: int, n_features: int, n_outputs: int = 1) -> SFM:
        """Make the torch module for windows of this shape."""
        return SFM(
            n_features,
            self.hidden_size,
            self.freq_dim,
            self.output_dim,
            self.dropout_W,
            self.dropout_U,
            n_outputs,
        )
