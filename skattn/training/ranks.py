"""Fits that several processes of torch.distributed share, each with a part of every batch.

Rows do not see each other, nor do the days of a cross-sectional module. So each process computes
the predictions of its part, all get the predictions of the whole batch, and each computes the loss
of the whole batch. The gradient of that loss through a process's own predictions, summed over the
processes, is the gradient of one process that computes everything: for every loss, for weights and
for days of unequal size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

from skattn.training.module import BATCH_NORMS
from skattn.training.samples import FitData
from skattn.training.seeding import seeded

GOES_ON, ENDED, FAILED = range(3)
# What the other processes wait for, should this one fail.
PREPARING, TRAINING, GRADIENTS, NOTHING = "preparing", "training", "gradients", "nothing"


class Ranks:
    """The processes of a fit: this one, by its rank, among all.

    No process waits for one that fails: a failure is told in the place of what the others wait for.
    """

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self.device = "cpu"
        self.module: nn.Module | None = None
        self._waiting_for = PREPARING

    def agree(self, facts: Mapping[str, tuple[str, str]], net: Any, data: FitData) -> None:
        """Raise, in every process, where a fit is not the same in all, or cannot be shared.

        Parameters
        ----------
        facts : dict of str to (str, str)
            What has to be the same: a digest of it, and words for it.
        net : SequenceNet
            Initialized.
        data : FitData
            The rows.

        Raises
        ------
        ValueError
            The processes differ, a batch is smaller than their number, the module takes means over
            a batch, or the process group has no backend for the device.
        """
        self.device, self.module = net.device, net.module_
        kind = torch.device(self.device).type
        backend = distributed.get_backend_config()
        if f"{kind}:" not in backend:
            raise ValueError(
                f"data_parallel=True: the process group is for {backend} and has no backend for "
                f"device={self.device!r}. Use init_process_group('gloo') for processors and "
                f"'nccl' for GPUs of NVIDIA."
            )
        self._waiting_for = NOTHING
        everyones = self._gather(facts)
        differing = []
        for name in facts:
            of_name = [theirs.get(name, ("", "absent")) for theirs in everyones]
            rank = next((r for r, (digest, _) in enumerate(of_name) if digest != of_name[0][0]), 0)
            if rank:
                words = f"{of_name[0][1]} in rank 0, {of_name[rank][1]} in rank {rank}"
                differing.append(f"{name} ({words})")
        if differing:
            raise ValueError(
                f"data_parallel=True: every process calls fit with the same rows and parameters, "
                f"but the processes differ in {'; '.join(differing)}."
            )
        of_days = net.contract.cross_sectional and data.train.days is not None
        name = "days_per_batch" if of_days else "batch_size"
        if getattr(net, name) < self.size and (of_days or not net.by_days):
            raise ValueError(
                f"data_parallel=True: {self.size} processes share a batch, which needs as many "
                f"{'days' if of_days else 'rows'}. Raise {name}={getattr(net, name)} to "
                f"{self.size} or more."
            )
        for part in net.module_.modules():
            if isinstance(part, BATCH_NORMS):
                raise ValueError(
                    f"data_parallel=True: {type(net.module_).__name__} has a "
                    f"{type(part).__name__}, which takes means over the rows of a process alone. "
                    f"Use LayerNorm, or data_parallel=False."
                )
        self._waiting_for = TRAINING

    def forward(self, infer: Callable[[Any], torch.Tensor], x: Any, y: Any) -> torch.Tensor:
        """Predict a batch. Gradients go through the part of this process.

        Parameters
        ----------
        infer : callable
            Takes the inputs of some rows, or days, to their predictions.
        x : tensor, or dict of tensors
            Inputs of the batch.
        y : tensor, or dict with the tensor "y"
            Labels of the batch, of the shape that predictions have.

        Returns
        -------
        predicted : tensor like the labels
        """
        predicted = torch.zeros_like(y["y"] if isinstance(y, Mapping) else y, device=self.device)
        first, last = (len(predicted) * rank // self.size for rank in (self.rank, self.rank + 1))
        # Parts draw other dropout masks. The generators of all processes stay in the same state.
        seed = int(torch.randint(2**31, ())) + self.rank
        own = predicted[first:last]
        if first < last:
            is_dict = isinstance(x, Mapping)
            part = {k: v[first:last] for k, v in x.items()} if is_dict else x[first:last]
            with seeded(seed, self.device):
                own = infer(part)
            predicted[first:last] = own.detach()
        self._meet(GOES_ON)
        self._add_up(predicted)
        self._waiting_for = GRADIENTS if torch.is_grad_enabled() else TRAINING
        return torch.cat([predicted[:first], own, predicted[last:]])

    def add_gradients(self) -> None:
        """Sum the gradients of the module over the processes."""
        trained = self._trained()
        has = torch.tensor([p.grad is not None for p in trained], device=self.device)
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        total = torch.cat([*(part.flatten() for part in parts), has.to(parts[0].dtype)])
        self._waiting_for = NOTHING
        self._add_up(total)
        *sums, counts = total.split([*(p.numel() for p in trained), len(trained)])
        if bool(counts.isnan().any()):
            self._gather(None)
        for parameter, gradient, count in zip(trained, sums, counts.tolist(), strict=True):
            # An optimizer leaves parameters alone that no process has a gradient of.
            known = gradient.view_as(parameter).to(parameter.dtype)
            parameter.grad = known if count else None
        self._waiting_for = TRAINING

    def _trained(self) -> list[nn.Parameter]:
        return (
            [] if self.module is None else [p for p in self.module.parameters() if p.requires_grad]
        )

    def end(self, digest: str) -> None:
        """Wait for the others to end training, and raise where weights differ."""
        self._meet(ENDED)
        self._waiting_for = NOTHING
        if len(set(self._gather(digest))) > 1:
            raise ValueError(
                "data_parallel=True: the processes have trained to other weights. Give callbacks "
                "that change the learning rate or the weights to every process, and keep nothing "
                "of a batch in a buffer of the module."
            )

    def tell(self, error: Exception) -> None:
        """Tell the others that this process has failed."""
        failed = f"{type(error).__name__}: {error}"
        with suppress(RuntimeError):
            if self._waiting_for == PREPARING:
                self._gather(None, failed)
            elif self._waiting_for == TRAINING:
                self._meet(FAILED, failed)
            elif self._waiting_for == GRADIENTS:
                # In the place of the counts, which are numbers otherwise.
                parts = [torch.full([p.numel() + 1], torch.nan).to(p) for p in self._trained()]
                self._add_up(torch.cat(parts))
                self._gather(None, failed)

    def _meet(self, fate: int, why: str | None = None) -> None:
        """Tell the others of a step, or of the end of training, and raise where theirs differs."""
        self._waiting_for = NOTHING
        fates = torch.zeros(self.size, device=self.device)
        fates[self.rank] = fate
        self._add_up(fates)
        if len(known := set(fates.tolist())) == 1 and fate != FAILED:
            return
        if FAILED in known:
            self._gather(None, why)
            return
        ended = fates.tolist().index(ENDED)
        raise ValueError(
            f"data_parallel=True: training has ended in rank {ended}, and goes on in rank "
            f"{fates.tolist().index(GOES_ON)}. Give callbacks that end training to every process."
        )

    def _gather(self, known: Any, failed: str | None = None) -> list:
        """Give what every process knows; raise where another process has failed."""
        everyones: list = [None] * self.size
        try:
            distributed.all_gather_object(everyones, (known, failed))
        except RuntimeError as error:
            raise _lost() from error
        for rank, (_, theirs) in enumerate(everyones):
            if theirs is not None and failed is None:
                raise RuntimeError(
                    f"data_parallel=True: the process of rank {rank} has failed: {theirs}"
                )
        return [theirs for theirs, _ in everyones]

    def _add_up(self, tensor: torch.Tensor) -> None:
        """Sum a tensor over the processes, in place."""
        try:
            distributed.all_reduce(tensor)
        except RuntimeError as error:
            raise _lost() from error


def _lost() -> RuntimeError:
    return RuntimeError(
        "data_parallel=True: this process has lost another process of the fit, which has ended "
        "early or kept this one waiting for longer than the timeout of init_process_group. What "
        "the other process prints tells why."
    )


@contextmanager
def joined(wanted: Any) -> Iterator[Ranks | None]:
    """Join the processes that share a fit, and tell them where this one fails.

    Parameters
    ----------
    wanted : object
        The parameter ``data_parallel``, which may not have been checked yet.

    Yields
    ------
    ranks : Ranks or None
        None where one process does everything.

    Raises
    ------
    ValueError
        The process has joined no process group.
    RuntimeError
        Another process has failed.
    """
    if not (isinstance(wanted, (bool, np.bool_)) and wanted):
        yield None
        return
    if not (distributed.is_available() and distributed.is_initialized()):
        raise ValueError(
            "data_parallel=True shares a fit among the processes of torch.distributed, and this "
            "process has joined none. Start the script by torchrun --nproc-per-node 2 script.py, "
            "and call torch.distributed.init_process_group('gloo') in it (on GPUs 'nccl'); or set "
            "data_parallel=False."
        )
    if distributed.get_world_size() == 1:
        yield None
        return
    ranks = Ranks()
    try:
        yield ranks
    except Exception as error:
        ranks.tell(error)
        raise


def shared_step(net: Any, ranks: Ranks, batch: tuple[Any, Any]) -> dict[str, torch.Tensor]:
    """Compute the predictions and loss of a batch, and in training the gradients."""
    x, y = batch
    predicted = ranks.forward(net.infer, x, y)
    loss = net.get_loss(predicted, y)
    if torch.is_grad_enabled():
        if loss.requires_grad:  # a process without a row has nothing to pass back
            loss.backward()
        ranks.add_gradients()
    return {"loss": loss, "y_pred": predicted}
