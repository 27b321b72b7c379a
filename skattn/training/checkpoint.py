"""Fits that outlive their process: the end of every epoch is stored, and a fit resumes there.

Any number of fits may share a directory. Each fit has a folder there, named by a digest of
everything that its bits depend on.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from numbers import Number
from typing import Any

import torch
from skorch.callbacks import Callback, EarlyStopping, LRScheduler, PassthroughScoring
from skorch.history import History

from skattn.training.callbacks import StopTraining
from skattn.training.digest import FitIdentity, fit_digest
from skattn.training.epoch_files import DamagedEpoch, EpochFiles, StoredEpoch
from skattn.training.net import OPTIMIZERS, SequenceNet
from skattn.training.samples import FitData
from skattn.utils import warn_user

STATE = {"stopped", "seed", "history", "weights", "optimizer", "callbacks", "random"}


def open_checkpoint(
    directory: str | os.PathLike | None,
    identity: FitIdentity,
    net: SequenceNet,
    data: FitData,
    max_epochs: int,
) -> Checkpoint | None:
    """Find what is stored of a fit, and load it.

    Parameters
    ----------
    directory : path or None
        Where fits are stored. None: the fit is not stored.
    identity : FitIdentity
        What tells the fit from others in the directory.
    net : SequenceNet
        Initialized, with the weights and history that the fit starts from. Where an epoch is
        stored, the net gets the weights and history of that epoch.
    data : FitData
        What the net will be trained on.
    max_epochs : int
        Epochs that the fit adds to the history of the net.

    Returns
    -------
    checkpoint : Checkpoint or None

    Raises
    ------
    ValueError
        The directory cannot be used, a parameter has no digest, or no stored epoch is whole and
        ``random_state`` does not tell the seed.
    """
    if directory is None:
        return None
    files = EpochFiles(directory, f"{identity.model.__name__}-{fit_digest(identity, net, data)}")
    knows_seed = identity.parameters["random_state"] is not None
    return Checkpoint(files, net, max_epochs, knows_seed)


class Checkpoint:
    """What is stored of one fit.

    The last epoch of a fit that ended stays, so that fits which differ in ``max_epochs`` alone find
    their own last epoch. Of the other epochs the newest two stay.

    Parameters
    ----------
    files : EpochFiles
        The stored epochs.
    net : SequenceNet
        As for ``open_checkpoint``.
    epochs : int
        Number of epochs that the fit adds.
    knows_seed : bool
        Whether the seed of the net is that of every equal fit.
    """

    def __init__(self, files: EpochFiles, net: SequenceNet, epochs: int, knows_seed: bool) -> None:
        self.files = files
        self.end = len(net.history) + epochs
        self.knows_seed = knows_seed
        files.remove_leftovers()
        self._epoch, self._state = self._load(net)

    def epochs_left(self, net: SequenceNet) -> int:
        """Count the epochs that are still to be run."""
        stopped = self._state is not None and self._state["stopped"]
        return 0 if stopped else self.end - len(net.history)

    def fit_loop(self, net: SequenceNet, data: FitData, epochs: int) -> None:
        """Run epochs and store the end of each.

        This is no callback: when a callback ends training, skorch does not call the callbacks
        after it, and the stored state must be the state that all callbacks have left.
        """
        self._resume(net)
        for _ in range(epochs):
            try:
                net.fit_loop(data, epochs=1)
            except StopTraining:
                self._write(net, stopped=True)
                raise
            self._write(net, stopped=False)

    def _load(self, net: SequenceNet) -> tuple[StoredEpoch | None, dict | None]:
        """Load the newest whole epoch that is no later than this fit's last."""
        damaged = []
        for epoch in self.files.list():
            if epoch.number > self.end:
                continue
            try:
                state = self.files.read(epoch)
            except FileNotFoundError:
                return self._load(net)  # an equal fit is an epoch further
            except DamagedEpoch:
                damaged.append(str(epoch.path))
                continue
            try:
                self._apply(net, state, epoch.number)
            except Exception as error:
                # A file that another program wrote can fail in any way.
                raise self.files.unusable(epoch.path, error) from error
            if damaged:
                _warn_of(damaged, f"goes on from epoch {epoch.number}")
            return epoch, state
        if damaged and not self.knows_seed:
            raise ValueError(
                f"checkpoint: every stored epoch of this fit is damaged: {', '.join(damaged)}. "
                f"With random_state=None the seed is lost as well. Delete the folder "
                f"{self.files.folder} to train with another seed."
            )
        if damaged:
            _warn_of(damaged, "is trained from its start, with the same seed")
        return None, None

    def _apply(self, net: SequenceNet, state: Any, number: int) -> None:
        """Give a net what is stored, and raise where that is not the state of a fit like the net's.

        The digest tells that the bits are those that were written, and nothing of who wrote them.
        """
        _require(isinstance(state, dict) and state.keys() == STATE, "its parts are other ones")
        seed, history, random = state["seed"], state["history"], state["random"]
        _require(isinstance(state["stopped"], bool), "'stopped' is no bool")
        known = net.seed if self.knows_seed else seed
        _require(type(seed) is int and 0 <= seed < 2**31 and seed == known, f"its seed is {seed!r}")
        _require(
            isinstance(history, list) and len(history) == number, f"no history of {number} epochs"
        )
        for row, epoch in zip(history, range(1, number + 1), strict=True):
            _require(
                isinstance(row, dict)
                and all(isinstance(name, str) for name in row)
                and row["epoch"] == epoch
                and row["batches"] == []
                and isinstance(row["train_batch_count"], int)
                and isinstance(row["train_loss"], Number),
                f"its history tells something else of epoch {epoch}",
            )
        torch.Generator().set_state(random["cpu"])
        if torch.device(net.device).type == "cuda":
            torch.Generator(net.device).set_state(random["cuda"])
        _check_weights(net, state["weights"])
        _load_optimizer(net, state["optimizer"])
        net.module_.load_state_dict(state["weights"])
        net.history, net.seed = History(history), seed

    def _resume(self, net: SequenceNet) -> None:
        """Restore the state that the beginning of training has reset."""
        epoch, state = self._epoch, self._state
        self._epoch = self._state = None
        if epoch is None or state is None:
            return
        try:
            for callback, known in zip(_stateful(net), state["callbacks"], strict=True):
                _load_callback(net, callback, known)
            # A scheduler takes a step when it begins, which changes the optimizer.
            net.optimizer_.load_state_dict(state["optimizer"])
        except Exception as error:
            raise self.files.unusable(epoch.path, error) from error
        torch.set_rng_state(state["random"]["cpu"])
        if "cuda" in state["random"]:
            torch.cuda.set_rng_state(state["random"]["cuda"], net.device)

    def _write(self, net: SequenceNet, *, stopped: bool) -> None:
        """Store the end of an epoch; of processes that share a fit, the first does."""
        if net.ranks is not None and net.ranks.rank > 0:
            return
        number = len(net.history)
        random = {"cpu": torch.get_rng_state()}
        if torch.device(net.device).type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(net.device)
        state = {
            "stopped": stopped,
            "seed": net.seed,
            # With a row for each batch, every epoch would take longer to store than the last.
            "history": [{**row, "batches": []} for row in net.history],
            "weights": dict(net.module_.state_dict()),
            "optimizer": net.optimizer_.state_dict(),
            "callbacks": [_state_of(callback) for callback in _stateful(net)],
            "random": random,
        }
        self.files.write(number, state, last=stopped or number >= self.end)


def _stateful(net: SequenceNet) -> list[Callback]:
    """List skorch's callbacks that remember earlier epochs; the parameters fix their order."""
    kinds = (EarlyStopping, LRScheduler, PassthroughScoring)
    return [callback for _, callback in net.callbacks_ if isinstance(callback, kinds)]


def _state_of(callback: Callback) -> dict:
    if isinstance(callback, LRScheduler):
        return callback.lr_scheduler_.state_dict()
    return {name: value for name, value in vars(callback).items() if name.endswith("_")}


def _load_callback(net: SequenceNet, callback: Callback, known: Any) -> None:
    """Give a callback what is stored of it."""
    is_scheduler = isinstance(callback, LRScheduler)
    kind = type(callback.lr_scheduler_ if is_scheduler else callback)
    # A class of the user's may change the kinds of what it remembers.
    if kind.__module__.partition(".")[0] in ("skorch", "torch"):
        _require(_alike(known, _state_of(callback)), f"it holds no state of {kind.__name__}")
    if is_scheduler:
        callback.lr_scheduler_.load_state_dict(known)
        return
    if known.get("best_model_weights_") is not None:
        _check_weights(net, known["best_model_weights_"])
    vars(callback).update(known)


def _alike(known: Any, now: Any) -> bool:
    """Whether a stored state has the names and kinds of the state that training begins with."""
    if isinstance(now, Mapping):
        return isinstance(known, Mapping) and all(
            name in known and _alike(known[name], value) for name, value in now.items()
        )
    if isinstance(now, (list, tuple)):
        return type(known) is type(now) and len(known) == len(now) and all(map(_alike, known, now))
    return now is None or isinstance(known, Number if isinstance(now, Number) else type(now))


def _load_optimizer(net: SequenceNet, known: Any) -> None:
    """Give the optimizer what is stored of it, and see that it can take a step."""
    optimizer = net.optimizer_
    needed = [set(group) for group in optimizer.param_groups]
    optimizer.load_state_dict(known)
    for group, names in zip(optimizer.param_groups, needed, strict=True):
        lacking = sorted(names - set(group))
        _require(not lacking, f"its optimizer lacks {lacking}")
    if type(optimizer) in OPTIMIZERS.values():
        trial = copy.deepcopy(optimizer)
        for group in trial.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        trial.step()


def _check_weights(net: SequenceNet, known: Any) -> None:
    own = net.module_.state_dict()
    _require(
        isinstance(known, Mapping)
        and known.keys() == own.keys()
        and all(_kind(known[name]) == _kind(value) for name, value in own.items()),
        "its weights are of another module",
    )


def _kind(value: Any) -> Any:
    return (value.shape, value.dtype) if isinstance(value, torch.Tensor) else type(value)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _warn_of(damaged: list[str], what: str) -> None:
    warn_user(
        f"checkpoint: damaged, with other bits than were written: {', '.join(damaged)}. The fit "
        f"{what}."
    )
