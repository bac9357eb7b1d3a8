"""One run on several processes, as `torchrun` and `accelerate launch` start them, a GPU each where there are any."""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from voicefit.errors import VoicefitError
from voicefit.system.launch import LAST_WORDS, process_count
from voicefit.system.machine import devices

T = TypeVar("T")

_TIMEOUT = timedelta(hours=1)
"""How long a process waits for the others: the front end may have far more to do for one than for another."""

_runs = itertools.count()


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them. What a method computes is the same in all.

    Attributes:
        rank: of this one, from 0.
        count: of all.
        local_rank: of this one among those on its machine.
        local_count: of those on its machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and tells of progress."""
        return self.rank == 0

    @property
    def device(self) -> str:
        """Where this process's encoder runs.

        Raises:
            VoicefitError: the machine has GPUs, but fewer than processes.
        """
        found = devices()
        if found == ["cpu"]:
            return "cpu"
        if self.local_rank >= len(found):
            raise VoicefitError(
                f"{self.local_count} processes on a machine that shows {len(found)} GPUs; start one for each GPU"
            )
        return found[self.local_rank]

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of ``items``; all parts in the order of ranks are ``items``."""
        first, last = (len(items) * rank // self.count for rank in (self.rank, self.rank + 1))
        return items[first:last]

    def gather(self, value: T) -> list[T]:
        """What each process gives, in the order of ranks; waits for all of them.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count == 1:
            return [value]
        found: list[Any] = [None] * self.count
        with _others_needed():
            dist.all_gather_object(found, value)
        return found

    def rows(self, items: Sequence[T], compute: Callable[[Sequence[T]], Tensor]) -> Tensor:
        """What ``compute`` makes of ``items``, a row for each, every process computing its share.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count == 1:
            return compute(items)
        mine = self.share(items)
        parts = self.gather(compute(mine).cpu() if mine else None)
        return torch.cat([part for part in parts if part is not None])

    def require_same(self, value: object, what: str) -> None:
        """Refuse to go on where processes would go different ways.

        Raises:
            VoicefitError: ``value`` is not equal in all; or another process has ended.
        """
        if any(other != value for other in self.gather(value)):
            raise VoicefitError(f"the processes of this run do not see the same {what}; they need the same files")

    def sum(self, values: Tensor) -> Tensor:
        """The sum of what the processes give, element by element, in place.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count > 1:
            with _others_needed():
                dist.all_reduce(values)
        return values

    def copy_first(self, parameters: Iterable[nn.Parameter]) -> None:
        """Set ``parameters`` to those of the first process.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count > 1:
            with _others_needed():
                for parameter in parameters:
                    dist.broadcast(parameter.detach(), 0)

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients by their sums over the processes, where any process has one.

        All in one sum after the backward pass: it does not matter, as it does for DistributedDataParallel, which of
        them a process has. A parameter that no process has used keeps none, for the optimiser would let it decay.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count == 1:
            return
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
        mine = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        summed = self.sum(torch.cat([used, *(gradient.flatten() for gradient in mine)]))
        used, *gradients = summed.split([len(parameters), *(p.numel() for p in parameters)])
        for parameter, anywhere, gradient in zip(parameters, used.tolist(), gradients, strict=True):
            parameter.grad = gradient.view_as(parameter) if anywhere else None


ALONE = Processes()
"""A run in this process alone."""


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that the environment speaks of, in touch with each other for as long as the block lasts.

    Of an error that several of them meet one tells: the others end, with exit code 2 and without a word.

    Raises:
        VoicefitError: they cannot reach each other, or a machine has fewer GPUs than processes.
    """
    if process_count() == 1:
        yield ALONE
        return
    processes, store = _find()
    try:
        _connect(processes, store)
        yield processes
    except VoicefitError as error:
        if not _fails_first(store):
            time.sleep(LAST_WORDS)
            raise SystemExit(2) from error
        raise
    dist.destroy_process_group()


def _find() -> tuple[Processes, dist.Store]:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        processes = Processes(*(int(os.environ[name]) for name in names))
        store, _, _ = next(dist.rendezvous("env://", timeout=_TIMEOUT))
    except (KeyError, ValueError, RuntimeError) as error:
        raise VoicefitError(
            f"WORLD_SIZE is set, but the other processes cannot be found ({_line(error)}); start them with torchrun or "
            "accelerate launch, or unset it"
        ) from error
    return processes, dist.PrefixStore(f"voicefit/{next(_runs)}", store)


def _connect(processes: Processes, store: dist.Store) -> None:
    device = torch.device(processes.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=store,
            rank=processes.rank,
            world_size=processes.count,
            timeout=_TIMEOUT,
        )
    except (RuntimeError, ValueError) as error:
        raise VoicefitError(f"the processes of this run cannot reach each other ({_line(error)})") from error


@contextmanager
def _others_needed() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo raises nothing more particular
        raise VoicefitError(
            f"another process of this run has ended or does not answer ({_line(error)}); "
            "--resume goes on from what was saved"
        ) from error


def _fails_first(store: dist.Store) -> bool:
    try:
        return store.add("failed", 1) == 1
    except RuntimeError:  # the store went with the process that held it
        return True


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
