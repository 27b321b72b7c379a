"""The device that a fit runs on."""

from __future__ import annotations

import torch


def pick_device(device: str) -> str:
    """Resolve "auto", and check that the device is there.

    Raises
    ------
    ValueError
        ``device`` is no torch device, or names a device that is missing.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(
            f"device must be 'auto' or a torch device such as 'cpu' or 'cuda:0'; got {device!r}."
        ) from error
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r}, but torch finds no such {kind} device; use 'auto' or 'cpu'."
        ) from error
    return device
