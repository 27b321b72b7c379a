"""Seeds: the same bits from one seed, others from another, and nobody else's generator touched."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from skattn.base import SequenceRegressor
from skattn.parameters import parameters_of
from skattn.testing._data import N_FEATURES, N_STEPS, fitted, make_panel, small

SEEDED = (
    "fit seeds torch's generator before it calls build_module and forward: draw weights and "
    "everything else by torch (nn.Linear, nn.init.normal_, torch.randn), without a generator or a "
    "seed of your own, and not by numpy or random. A generator of numpy is made in build_module as "
    "np.random.default_rng(int(torch.randint(2**31, ())))."
)


def dropouts(estimator: SequenceRegressor) -> dict[str, float]:
    """Dropout rates to check with: whatever has such a name and takes 0.3."""
    known = parameters_of(type(estimator))
    found = {}
    for name, declared in known.items():
        if "dropout" in name.lower() and "float" in declared.kinds:
            try:
                found[name] = declared.normalise(name, 0.3)
            except (TypeError, ValueError):
                continue
    return found


def check_same_seed_same_bits(estimator: SequenceRegressor) -> None:
    """Fit twice from one seed, with dropout where there is some."""
    panel = make_panel()
    first, again = (fitted(estimator, panel, **dropouts(estimator))[0] for _ in range(2))
    weights = again.module_.state_dict()
    for name, value in first.module_.state_dict().items():
        if not torch.equal(value, weights[name]):
            raise AssertionError(
                f"two fits with random_state=0 give other weights, first {name!r}. {SEEDED}"
            )
    if not np.array_equal(first.predict(panel.X), again.predict(panel.X)):
        raise AssertionError(
            f"two fits with random_state=0 have the same weights but predict other numbers: "
            f"{type(first.module_).__name__} keeps something beside its parameters and buffers. "
            f"{SEEDED}"
        )


def check_another_seed_gives_other_bits(estimator: SequenceRegressor) -> None:
    """Build and fit from two seeds: the weights before training and the predictions differ."""
    panel = make_panel()
    models = [
        fitted(estimator, panel, **dropouts(estimator), random_state=seed)[0] for seed in (0, 1)
    ]
    predicted, other = (model.predict(panel.X) for model in models)
    if np.array_equal(predicted, other):
        raise AssertionError(
            f"random_state is ignored: fits with random_state=0 and random_state=1 give the same "
            f"bits. build_module and forward must not seed generators (torch.manual_seed), and fit "
            f"is left to SequenceRegressor, which orders batches by random_state. {SEEDED}"
        )
    weights, states = [], []
    for seed in (0, 1):
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            module = small(estimator).build_module(N_STEPS, N_FEATURES)
            states.append(torch.get_rng_state())
        # Weights of one value, such as zeros, are drawn by nobody.
        drawn = {n: p for n, p in module.named_parameters() if p.numel() and p.min() < p.max()}
        weights.append(drawn)
    first, second = weights
    same = all(name in second and torch.equal(first[name], second[name]) for name in first)
    if torch.equal(*states) or (first and same):
        raise AssertionError(
            f"random_state is ignored: build_module gives {type(module).__name__} the same weights "
            f"whatever the seed, or seeds torch's generator. {SEEDED}"
        )


def check_global_generators_are_untouched(estimator: SequenceRegressor) -> None:
    """Look at the global generators of torch, numpy and random after each call."""
    panel, model = make_panel(), small(estimator, **dropouts(estimator))
    calls: dict[str, Callable] = {
        "fit": lambda: model.fit(*panel),
        "predict": lambda: model.predict(panel.X),
        "attend": lambda: model.attend(panel.X),
    }
    with _kept_states():
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002 - the global generator is what is looked at
        torch.manual_seed(3)
        for name, call in calls.items():
            before = _states()
            call()
            touched = [each for each, state in _states().items() if state != before[each]]
            if touched:
                raise AssertionError(
                    f"{name} draws from, or seeds, the global generator of "
                    f"{' and '.join(touched)}, which belongs to the user. {SEEDED}"
                )


def _states() -> dict[str, object]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (name, np.asarray(keys).tobytes(), *rest),
        "random": random.getstate(),
    }


@contextmanager
def _kept_states() -> Iterator[None]:
    """Leave the generators as they were found, whatever is looked at."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng([]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


SEEDS = (
    check_same_seed_same_bits,
    check_another_seed_gives_other_bits,
    check_global_generators_are_untouched,
)
