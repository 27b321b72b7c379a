"""Where a fit runs, and the randomness that it has to itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.utils import check_random_state


def draw_seed(random_state: Any) -> int:
    """Seed of one fit; None means fresh entropy, and numpy's global generator stays as it is."""
    if random_state is None:
        return secrets.randbelow(2**31)
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's generators, and put them back afterwards."""
    devices = []
    if device.startswith("cuda"):
        index = torch.device(device).index
        devices = [torch.cuda.current_device() if index is None else index]
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def pick_device(device: str) -> str:
    """Resolve "auto", and check that the device is there.

    Raises
    ------
    ValueError
        It is no torch device, or a CUDA device where there is none.
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
