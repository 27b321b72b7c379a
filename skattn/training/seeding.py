"""The seed of a fit, and torch's generators during the fit."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.utils import check_random_state


def draw_seed(random_state: Any) -> int:
    """Draw the seed of one fit; None means fresh entropy. Global generators are not used."""
    if random_state is None:
        return secrets.randbelow(2**31)
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's generators, and restore their state afterwards."""
    devices = []
    if device.startswith("cuda"):
        index = torch.device(device).index
        devices = [torch.cuda.current_device() if index is None else index]
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
