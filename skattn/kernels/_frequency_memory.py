"""Recurrence of a memory that is split into frequencies, with its own gradient.

One tensor holds the gates of a step in the order input, state, output, frequency and candidate
(sizes H, H, H, K, H). The candidate takes tanh; the other gates take the hard sigmoid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class _Sizes(NamedTuple):
    """Sizes of a recurrence, and tensors of matching shapes.

    The memory S of B windows is a real tensor (2K, B * H): K rows of real parts, then K rows of
    imaginary parts. In this layout, long loops run over contiguous memory, and a sum over
    frequencies is a product with a vector. A tensor (K, B, H) multiplies both parts.
    """

    n_rows: int
    n_hidden: int
    n_freq: int

    def split(self, gates: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
        """Split (T, B, 4H + K) by gate, then by step: T tensors (B, H) or (B, K) of each gate."""
        H, K = self.n_hidden, self.n_freq
        return [gate.unbind() for gate in gates.split([H, H, H, K, H], dim=2)]

    def new_memory(self, like: torch.Tensor) -> torch.Tensor:
        """Allocate a tensor for a memory."""
        return like.new_empty(2 * self.n_freq, self.n_rows * self.n_hidden)

    def new_factor(self, like: torch.Tensor) -> torch.Tensor:
        """Allocate a tensor for a factor of both parts of a memory."""
        return like.new_empty(self.n_freq, self.n_rows, self.n_hidden)


def _sizes(z: torch.Tensor, u_a: torch.Tensor, b_a: torch.Tensor) -> _Sizes:
    return _Sizes(n_rows=z.shape[1], n_hidden=len(b_a), n_freq=len(u_a))


def _outer(s: torch.Tensor, f: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Compute f s^T of each window: (K, B, H) from s (B, H) and f (B, K)."""
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


class MemoryStep(NamedTuple):
    """Results of a step. The next step overwrites S and power."""

    h: torch.Tensor  # (B, H)
    a: torch.Tensor  # (B, H): tanh(u_a^T |S|^2 + b_a)
    S: torch.Tensor  # (2K, B * H)
    power: torch.Tensor  # (2K, B * H): the squares of S


def memory_steps(
    z: torch.Tensor,
    U: torch.Tensor,
    u_a: torch.Tensor,
    b_a: torch.Tensor,
    waves: torch.Tensor,
    mask: torch.Tensor | None,
) -> Iterator[MemoryStep]:
    """Run the recurrence without gradients, and overwrite z with the gates."""
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
        yield MemoryStep(h, a, S, power)


# Whether torch.export, on which torch.onnx.export stands, traces the code. torch 2.6 cannot tell.
_is_exporting = getattr(torch.compiler, "is_exporting", lambda: False)


def last_memory_state(*inputs: Any) -> torch.Tensor:
    """Compute h after the last step."""
    return _exported_state(*inputs) if _is_exporting() else _last_state(*inputs)


def _exported_state(
    z: torch.Tensor,
    U: torch.Tensor,
    u_a: torch.Tensor,
    b_a: torch.Tensor,
    waves: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Compute h after the last step with operations that exporters know: none is in place."""
    sizes = _sizes(z, u_a, b_a)
    H, K = sizes.n_hidden, sizes.n_freq
    S = z.new_zeros(2, K, sizes.n_rows, H)
    h = z.new_zeros(sizes.n_rows, H)
    for z_t, wave in zip(z.unbind(), waves.view(-1, 2, K, 1, 1).unbind(), strict=True):
        gates = z_t + F.linear(h if mask is None else h * mask, U)
        hard, c = gates.split([3 * H + K, H], dim=1)
        i, s, o, f = F.hardsigmoid(hard).split([H, H, H, K], dim=1)
        S = f.T[:, :, None] * s * S + wave * (i * torch.tanh(c))
        amplitude = (S.square().sum(dim=0) * u_a[:, None, None]).sum(dim=0)
        h = o * torch.tanh((amplitude if mask is None else amplitude * mask) + b_a)
    return h


@torch.compiler.disable
def _last_state(*inputs: Any) -> torch.Tensor:
    if torch.is_grad_enabled():
        return _Recurrence.apply(*inputs)
    *_, last = memory_steps(*inputs)
    return last.h


class _Recurrence(torch.autograd.Function):
    """Last state of the recurrence, with its gradient.

    Parameters
    ----------
    z : tensor of shape (T, B, 4H + K)
        Contribution of the inputs to the gates, before the activations.
    U : tensor of shape (4H + K, H)
    u_a : tensor of shape (K,)
    b_a : tensor of shape (H,)
    waves : tensor of shape (T, 2K)
    mask : tensor of shape (B, H) or None
        Dropout mask.

    Notes
    -----
    torch's own gradient would keep several tensors of the memory's size (2KH numbers per window)
    for each step. Writing and reading these tensors takes most of the time. Here the memory is kept
    only every sqrt(T) steps, and the backward pass computes the memories in between again, one
    stretch of steps at a time.
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
        for t, step in enumerate(memory_steps(gates, U, u_a, b_a, waves, mask)):
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
        # dv is the gradient by v. Gradients of gates are by the values before the activation.
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
                # h = o a, a = tanh(m u_a^T |S|^2 + b_a), where m is the dropout mask
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
                # Gates: z + U m h_before
                dz[t].mul_(slope[n])
                dh = torch.mm(dz[t], U)
                if mask is not None:
                    dh *= mask
        if mask is not None:
            before = before * mask
        dU = dz.flatten(0, 1).T @ before.flatten(0, 1)
        return dz, dU, d2u_a[:K] + d2u_a[K:], da.sum((0, 1)), None, None
