"""The seed of a fit, and torch's generators during the fit.

A module draws its random numbers (initial weights, dropout) from torch's default generators, which
belong to the process. So fits in threads take turns: a fit holds the turn from its first to its
last random number, its own numbers are in place meanwhile, and the user's numbers afterwards.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.utils import check_random_state

# Seconds after which a fit that waits may run inside another fit's callback. The callback may be
# what waits for this fit. Shorter callbacks draw their own fit's numbers without interference.
PATIENCE = 0.2


def draw_seed(random_state: Any) -> int:
    """Draw the seed of one fit; None means fresh entropy. Global generators are not used."""
    if random_state is None:
        return secrets.randbelow(2**31)
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Wait for the turn, seed torch's generators, and restore their state afterwards."""
    turn = _Turn(seed, device)
    with _turns:
        turn.wait()
        outer = _holder()
        _hand_over(turn)
    try:
        yield
    finally:
        with _turns:
            # A fit inside a callback gives the turn back to the fit that the callback belongs to.
            goes_on = outer is not None and (outer.lent_at is not None or outer.is_here())
            _hand_over(outer if goes_on else None)


@contextmanager
def lending() -> Iterator[None]:
    """Let fits of other threads run, while a callback of this thread's fit takes long."""
    turn = _holder()
    if turn is None or not turn.is_here() or turn.lent_at is not None:
        yield
        return
    turn.lent_at = time.monotonic()
    try:
        yield
    finally:
        with _turns:
            turn.lent_at = None
            turn.wait()
            _hand_over(turn)


class _Turn:
    """The random numbers of one fit, in place or put aside."""

    def __init__(self, seed: int, device: str) -> None:
        self.thread = threading.get_ident()
        self.lent_at: float | None = None
        self.generators = _default_generators(device)
        # What is not in place: the fit's states, or the states of what was there before.
        self.aside = [
            torch.Generator(generator.device).manual_seed(seed).get_state()
            for generator in self.generators
        ]

    def exchange(self) -> None:
        """Put the fit's states in place and the others aside, or the other way round."""
        in_place = [generator.get_state() for generator in self.generators]
        for generator, state in zip(self.generators, self.aside, strict=True):
            generator.set_state(state)
        self.aside = in_place

    def is_here(self) -> bool:
        """Whether the fit runs in the calling thread."""
        return self.thread == threading.get_ident()

    def wait(self) -> None:
        """Wait until the turn is free, or has been lent for long enough."""
        while not self._may_begin():
            _turns.wait(PATIENCE)

    def _may_begin(self) -> bool:
        holder = _holder()
        if holder is None or holder is self or holder.is_here():
            return True
        return holder.lent_at is not None and time.monotonic() - holder.lent_at >= PATIENCE


def _default_generators(device: str) -> list[torch.Generator]:
    """List the generators that a fit draws from: the processor's, and its device's."""
    kind, index = torch.device(device).type, torch.device(device).index
    if kind == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if index is None else index
        return [torch.default_generator, torch.cuda.default_generators[index]]
    if kind == "mps":
        return [torch.default_generator, torch.mps._get_default_mps_generator()]
    return [torch.default_generator]


_turns = threading.Condition()
_held: list[_Turn] = []  # the turn that is in place, or nothing


def _holder() -> _Turn | None:
    return next(iter(_held), None)


def _hand_over(turn: _Turn | None) -> None:
    """Put the user's states in place, then those of a fit."""
    if _holder() is not turn:
        for held in _held:
            held.exchange()
        _held[:] = [] if turn is None else [turn]
        for held in _held:
            held.exchange()
        _turns.notify_all()


def _forget_other_threads() -> None:
    """In a forked process, end the turn of a fit whose thread the process does not have."""
    global _turns
    _turns = threading.Condition()
    holder = _holder()
    if holder is not None and not holder.is_here():
        with _turns:
            _hand_over(None)


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_forget_other_threads)
