"""Convolution over the steps of windows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def local_convolution(conv: nn.Conv1d, steps: torch.Tensor) -> torch.Tensor:
    """Compute a convolution over steps that stay in the layout (B, T, D) of encoder layers.

    torch's own convolution wants (B, D, T) and copies twice. Here a single matrix product gives
    what each step adds to its neighbours, and the products are shifted and summed.

    Parameters
    ----------
    conv : torch.nn.Conv1d
        Its weights are read. Kernel, padding with zeros and dilation are free; the stride is 1
        and the groups are one.
    steps : tensor of shape (B, T, D)
        Input.

    Returns
    -------
    y : tensor of shape (B, T', D')
        What ``conv`` gives up to rounding, in the layout of the input. T' is T where the padding
        is half of the kernel.

    Raises
    ------
    ValueError
        ``conv`` has a stride, groups, or a padding with something other than zeros.

    Examples
    --------
    >>> import torch
    >>> from skattn.kernels import local_convolution
    >>> conv, steps = torch.nn.Conv1d(8, 4, 3, padding=1), torch.randn(5, 10, 8)
    >>> expected = conv(steps.transpose(1, 2)).transpose(1, 2)
    >>> torch.allclose(local_convolution(conv, steps), expected, atol=1e-5)
    True
    """
    if conv.stride != (1,) or conv.groups != 1 or conv.padding_mode != "zeros":
        raise ValueError(
            f"conv must have stride 1, one group and a padding with zeros; got {conv}. "
            f"torch computes others: conv(steps.transpose(1, 2)).transpose(1, 2)."
        )
    (n_taps,), (apart,) = conv.kernel_size, conv.dilation
    reach = apart * (n_taps - 1)
    if isinstance(conv.padding, str):
        # torch's "same" puts an odd step of padding at the end.
        before = reach // 2 if conv.padding == "same" else 0
        after = reach - before if conv.padding == "same" else 0
    else:
        (before,) = (after,) = conv.padding
    weight = conv.weight.permute(2, 0, 1).flatten(0, 1)  # (taps * D', D)
    taps = F.linear(steps, weight).chunk(n_taps, dim=-1)
    # A tap reads the step that is so many steps later; a negative padding takes steps away.
    shifted = [
        F.pad(tap, (0, 0, before - i * apart, after - reach + i * apart))
        for i, tap in enumerate(taps)
    ]
    y = sum(shifted[1:], shifted[0])
    return y if conv.bias is None else y + conv.bias
