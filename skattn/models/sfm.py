"""SFM: a recurrent network whose memory is split into frequencies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import torch
from sklearn.utils._param_validation import Interval
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from skattn.base import SequenceRegressor, estimator

# The gates: input, forgetting by state and by frequency, candidate, output. In this order they
# stand side by side: the hard sigmoid squashes all but the last, which tanh does.
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

    and the prediction is a linear function of the last :math:`W_p h_T + b_p`.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    hidden_size : int, default=64
        Size H of the recurrent state.
    freq_dim : int, default=25
        Frequencies K of the memory: 0, 1/K, ..., (K-1)/K cycles a step.
    output_dim : int, default=32
        Size of the layer between the last state and the prediction.
    dropout_W : float, default=0.0
        Dropout of the input: one mask a window, the same at every step and for every gate.
    dropout_U : float, default=0.0
        Dropout of the recurrent state, with one mask a window likewise. A unit that is dropped
        does not reach the gates, nor do its amplitudes :math:`|S|^2` reach the output.

    Attributes
    ----------
    block_rows : int or None, default=128
        Rows that training and prediction had best compute at a time, on one thread: the memory of
        so many stays in the processor's cache. None: no matter.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_sfm.py``, ``SFM_Model``: same mathematics, same names of
    weights; it takes the dropout rates and ignores them.

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
    ) -> None:
        super().__init__()
        self.dropout_W = dropout_W
        self.dropout_U = dropout_U
        # The gates: input, state and frequency (of forgetting), candidate, output.
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
        self.fc_out = nn.Linear(output_dim, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one value for each of the B windows.

        Parameters
        ----------
        x : tensor of shape (B, T, F)

        Returns
        -------
        predicted : tensor of shape (B,)
        """
        # The recurrence is computed in the precision of its weights: its errors would add up.
        with torch.autocast(x.device.type, enabled=False):
            state = _last_state(*self._recurrence_inputs(x))
        return self.fc_out(F.linear(state, self.W_p.T, self.b_p))[:, 0]

    @torch.no_grad()
    def attend(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        r"""Attention maps: ``frequency`` of shape (B, T, K), which sums to one over frequencies.

        How much each frequency has to say in the state of a step. It enters the state of unit h
        as :math:`u_{a,k} |S_{t,k,h}|^2`; its weight is the mean of the magnitude over the units,
        :math:`|u_{a,k}| \sum_h |S_{t,k,h}|^2 / H`, divided by the sum of these over frequencies.
        Where all are zero, as an empty memory's are, the weights are equal.
        """
        n_freq = len(self.U_a)
        parts = []
        with torch.autocast(x.device.type, enabled=False):
            for step in _steps(*self._recurrence_inputs(x)):
                re_im = step.power.view(2, n_freq, len(x), -1)
                parts.append(re_im.sum(dim=0).mean(dim=2).T * self.U_a[:, 0].abs())
        weights = torch.stack(parts, dim=1)
        total = weights.sum(dim=2, keepdim=True)
        return {"frequency": torch.where(total > 0, weights / total, 1 / n_freq)}

    def _recurrence_inputs(self, x: torch.Tensor) -> tuple[Any, ...]:
        """What the recurrence takes: see `_Recurrence`."""
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
        """Dropout's mask (B, size), scaled so that means stay; None where nothing is dropped."""
        if not self.training or rate == 0:
            return None
        return F.dropout(x.new_ones(len(x), size), rate)


def _waves(n_steps: int, n_freq: int) -> torch.Tensor:
    """exp(j omega t) of steps t = 1..T: (T, 2K), the K real parts and then the K imaginary."""
    # 2 pi t is rounded as qlib rounds it, so that its weights mean the same here.
    turns = torch.tensor(2 * math.pi) * torch.arange(1, n_steps + 1)
    angles = torch.outer(turns.double(), torch.arange(n_freq).double() / n_freq)
    return torch.cat((angles.cos(), angles.sin()), dim=1)


class _Sizes(NamedTuple):
    """Sizes of a recurrence, and the tensors that follow from them.

    The memory S of B windows is a real tensor (2K, B * H): K rows of real parts, then K rows of
    imaginary ones. So the long loops run over contiguous memory, and a sum over frequencies is
    the product with a vector. A tensor (K, B, H) multiplies both parts.
    """

    n_rows: int
    n_hidden: int
    n_freq: int

    def split(self, gates: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
        """Split (T, B, 4H + K) by gate, then by step: T tensors (B, H) or (B, K) of each gate."""
        H, K = self.n_hidden, self.n_freq
        return [gate.unbind() for gate in gates.split([H, H, H, K, H], dim=2)]

    def new_memory(self, like: torch.Tensor) -> torch.Tensor:
        """Room for a memory."""
        return like.new_empty(2 * self.n_freq, self.n_rows * self.n_hidden)

    def new_factor(self, like: torch.Tensor) -> torch.Tensor:
        """Room for what multiplies both parts of a memory."""
        return like.new_empty(self.n_freq, self.n_rows, self.n_hidden)


def _sizes(z: torch.Tensor, u_a: torch.Tensor, b_a: torch.Tensor) -> _Sizes:
    return _Sizes(n_rows=z.shape[1], n_hidden=len(b_a), n_freq=len(u_a))


def _outer(s: torch.Tensor, f: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Compute f s^T of each window: of (B, H) and (B, K) make (K, B, H)."""
    return torch.mul(f.T[:, :, None], s, out=out)


def _remember(
    S: torch.Tensor,
    forgetting: torch.Tensor,
    new: torch.Tensor,
    wave: torch.Tensor,
    out: torch.Tensor,
) -> torch.Tensor:
    """Compute the memory after a step: (f s^T) S + exp(j omega t) c^T."""
    torch.mul(S.view(2, -1), forgetting.view(1, -1), out=out.view(2, -1))
    return out.addcmul_(new.view(1, -1), wave)


class _Step(NamedTuple):
    """What a step leaves: S and power are overwritten by the next."""

    h: torch.Tensor  # (B, H)
    a: torch.Tensor  # (B, H): tanh(u_a^T |S|^2 + b_a)
    S: torch.Tensor  # (2K, B * H)
    power: torch.Tensor  # (2K, B * H): the squares of S


def _steps(
    z: torch.Tensor,
    U: torch.Tensor,
    u_a: torch.Tensor,
    b_a: torch.Tensor,
    waves: torch.Tensor,
    mask: torch.Tensor | None,
) -> Iterator[_Step]:
    """Run the recurrence, without gradients; z becomes the gates."""
    sizes = _sizes(z, u_a, b_a)
    S, power = sizes.new_memory(z).zero_(), sizes.new_memory(z)
    forgetting = sizes.new_factor(z)
    u_a = torch.cat((u_a, u_a))
    h = z.new_zeros(sizes.n_rows, sizes.n_hidden)
    hard = z[..., : -sizes.n_hidden].unbind()
    for z_t, hard_t, wave, i, s, o, f, c in zip(
        z.unbind(), hard, waves[:, :, None].unbind(), *sizes.split(z), strict=True
    ):
        z_t += F.linear(h if mask is None else h * mask, U)
        F.hardsigmoid(hard_t, inplace=True)
        c.tanh_()
        _remember(S, _outer(s, f, out=forgetting), i * c, wave, out=S)
        torch.mul(S, S, out=power)
        amplitude = torch.mv(power.T, u_a).view_as(h)
        if mask is not None:
            amplitude *= mask
        a = amplitude.add_(b_a).tanh_()
        h = o * a
        yield _Step(h, a, S, power)


@torch.compiler.disable
def _last_state(*inputs: Any) -> torch.Tensor:
    """Compute h after the last step."""
    if torch.is_grad_enabled():
        return _Recurrence.apply(*inputs)
    *_, last = _steps(*inputs)
    return last.h


class _Recurrence(torch.autograd.Function):
    """The last state of the recurrence, with its gradient.

    Parameters
    ----------
    z : tensor of shape (T, B, 4H + K)
        What the inputs add to the gates, before the activations.
    U : tensor of shape (4H + K, H)
    u_a : tensor of shape (K,)
    b_a : tensor of shape (H,)
    waves : tensor of shape (T, 2K)
    mask : tensor of shape (B, H) or None
        Dropout's.

    Notes
    -----
    torch's own gradient would keep, for each step, several tensors of the memory's size, 2KH
    numbers a window; to write and read them takes most of its time. Here the memory is kept every
    sqrt(T) steps only, and the backward pass computes those between again, a stretch at a time.
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: torch.Tensor,
        U: torch.Tensor,
        u_a: torch.Tensor,
        b_a: torch.Tensor,
        waves: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        n_steps = len(z)
        stretch = math.ceil(math.sqrt(n_steps))
        sizes = _sizes(z, u_a, b_a)
        gates = z.clone()
        before = z.new_zeros(n_steps, sizes.n_rows, sizes.n_hidden)  # h, before each step
        spoken = torch.empty_like(before)
        kept = [sizes.new_memory(z).zero_()]
        for t, step in enumerate(_steps(gates, U, u_a, b_a, waves, mask)):
            spoken[t] = step.a
            if t + 1 < n_steps:
                before[t + 1] = step.h
                if (t + 1) % stretch == 0:
                    kept.append(step.S.clone())
        ctx.save_for_backward(U, u_a, b_a, waves, mask, gates, before, spoken, *kept)
        return step.h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        # dv is the gradient by v; those of gates are by what was before the activation.
        U, u_a, b_a, waves, mask, gates, before, spoken, *kept = ctx.saved_tensors
        sizes, n_steps = _sizes(gates, u_a, b_a), len(gates)
        H, K = sizes.n_hidden, sizes.n_freq
        stretch = math.ceil(math.sqrt(n_steps))
        memories = [sizes.new_memory(gates) for _ in range(stretch)]
        factors = [sizes.new_factor(gates) for _ in range(stretch)]
        power, dS = sizes.new_memory(gates), sizes.new_memory(gates).zero_()
        pull, product = sizes.new_factor(gates), sizes.new_factor(gates)
        dz, da = torch.empty_like(gates), 1 - spoken.square()
        slopes = gates.new_empty(stretch, *gates.shape[1:])
        dre_dim, flat_pull, flat_product = dS.view(2, -1), pull.view(1, -1), product.view(K, -1)
        d2u_a, twice_u_a = u_a.new_zeros(2 * K), (2 * u_a)[:, None, None]
        i, s, o, f, c = sizes.split(gates)
        di, ds, do, df, dc = sizes.split(dz)
        for first in reversed(range(0, n_steps, stretch)):
            steps = range(first, min(first + stretch, n_steps))
            S = [kept[first // stretch]]  # S[n], before step first + n
            for t, factor, memory in zip(steps, factors, memories, strict=False):
                _outer(s[t], f[t], out=factor)
                S.append(_remember(S[-1], factor, i[t] * c[t], waves[t, :, None], out=memory))
            g = gates[steps.start : steps.stop]
            slope = torch.mul(g, g, out=slopes[: len(g)])
            torch.sub(1, slope[..., -H:], out=slope[..., -H:])  # tanh
            hard = slope[..., :-H]
            torch.sub(g[..., :-H], hard, out=hard).sign_().div_(6)  # 1/6 between 0 and 1
            for t in reversed(steps):
                n = t - first
                # h = o a, a = tanh(m u_a^T |S|^2 + b_a), where m is dropout's mask
                torch.mul(dh, spoken[t], out=do[t])
                da_t = da[t].mul_(dh).mul_(o[t])
                if mask is not None:
                    da_t = da_t * mask
                # |S|^2
                d2u_a.addmv_(torch.mul(S[n + 1], S[n + 1], out=power), da_t.view(-1))
                torch.mul(twice_u_a, da_t, out=pull)
                dre_dim.addcmul_(S[n + 1].view(2, -1), flat_pull)
                # S = (f s^T) S_before + exp(j omega t) (i c)^T
                dw = torch.mv(dS.T, waves[t]).view_as(dh)
                torch.mul(dw, c[t], out=di[t])
                torch.mul(dw, i[t], out=dc[t])
                torch.mul(dS[:K], S[n][:K], out=flat_product).addcmul_(dS[K:], S[n][K:])
                torch.sum(torch.mul(product, s[t], out=pull), dim=2, out=df[t].T)
                torch.sum(product.mul_(f[t].T[:, :, None]), dim=0, out=ds[t])
                dre_dim.mul_(factors[n].view(1, -1))
                # The gates: z + U m h_before
                dz[t].mul_(slope[n])
                dh = torch.mm(dz[t], U)
                if mask is not None:
                    dh *= mask
        if mask is not None:
            before = before * mask
        dU = dz.flatten(0, 1).T @ before.flatten(0, 1)
        return dz, dU, d2u_a[:K] + d2u_a[K:], da.sum((0, 1)), None, None


@estimator
class SFMRegressor(SequenceRegressor):
    """Recurrent network whose memory is split into frequencies.

    An LSTM-like cell that keeps, for each hidden unit, the amplitudes and phases of K frequencies,
    forgets by unit and by frequency, and shows its state the amplitudes.

    Parameters
    ----------
    hidden_size : int, default=64
        Size of the recurrent state.
    freq_dim : int, default=25
        Frequencies of the memory.
    output_dim : int, default=32
        Size of the layer between the last state and the prediction.
    dropout_W : float, default=0.0
        Dropout of the input, in [0, 1): one mask a window, the same at every step and for every
        gate.
    dropout_U : float, default=0.0
        Dropout of the recurrent state and its amplitudes, in [0, 1): one mask a window likewise.
        (qlib's workflow says 0.5 for both and its module ignores it: its published numbers are
        those of 0.)
    {training_parameters}

    Attributes
    ----------
    {training_attributes}

    References
    ----------
    Zhang, Aggarwal, Qi 2017, "Stock Price Prediction via Discovering Multi-Frequency Trading
    Patterns", KDD 2017. qlib, ``qlib/contrib/model/pytorch_sfm.py`` and
    ``examples/benchmarks/SFM/workflow_config_sfm_Alpha360.yaml`` for the defaults (but for its 20
    epochs, which are enough only for large data).

    Examples
    --------
    >>> import numpy as np
    >>> from skattn.models import SFMRegressor
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

    hidden_size: int = 64
    freq_dim: int = 25
    output_dim: int = 32
    dropout_W: float = 0.0  # noqa: N815 - the paper's name
    dropout_U: float = 0.0  # noqa: N815
    batch_size: int = 1600

    _parameter_constraints: ClassVar[dict] = {
        **SequenceRegressor._parameter_constraints,
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "freq_dim": [Interval(Integral, 1, None, closed="left")],
        "output_dim": [Interval(Integral, 1, None, closed="left")],
        "dropout_W": [Interval(Real, 0, 1, closed="left")],
        "dropout_U": [Interval(Real, 0, 1, closed="left")],
    }

    def build_module(self, n_steps: int, n_features: int) -> SFM:
        """Make the torch module for windows of this shape."""
        return SFM(
            n_features,
            self.hidden_size,
            self.freq_dim,
            self.output_dim,
            self.dropout_W,
            self.dropout_U,
        )
