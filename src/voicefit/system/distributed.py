"""One run on several processes, as `torchrun` and `accelerate launch` start them; each has a GPU if there are any."""

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
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from voicefit.errors import VoicefitError
from voicefit.system.launch import QUIET_EXIT_DELAY_S, process_count
from voicefit.system.machine import devices

T = TypeVar("T")

_PROCESS_GROUP_TIMEOUT = timedelta(hours=1)
"""A process waits this long for the others: the front end may have far more to do in one than in another."""

_run_numbers = itertools.count()
"""A process may take part in several runs, one after the other; each has its own part of the store."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them. A method returns the same in all of them, except ``share``.

    Attributes:
        rank: the number of this process, from 0.
        count: the number of processes.
        local_rank: the number of this process among those on its machine, from 0.
        local_count: the number of processes on its machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the process that writes files and reports progress."""
        return self.rank == 0

    @property
    def device(self) -> str:
        """Where this process's encoder runs.

        Raises:
            VoicefitError: the machine has GPUs, but fewer than processes.
        """
        names = devices()
        if names == ["cpu"]:
            return "cpu"
        if self.local_rank >= len(names):
            raise VoicefitError(
                f"{self.local_count} processes on a machine that shows {len(names)} GPUs; start one for each GPU"
            )
        return names[self.local_rank]

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Return this process's part of ``items``; the parts of all processes, by rank, make ``items``."""
        first, last = (len(items) * rank // self.count for rank in (self.rank, self.rank + 1))
        return items[first:last]

    def gather(self, value: T) -> list[T]:
        """Return the ``value`` of each process, in the order of ranks; wait for all of them.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        with _others_needed():
            dist.all_gather_object(values, value)
        return values

    def rows(self, items: Sequence[T], compute: Callable[[Sequence[T]], Tensor]) -> Tensor:
        """Return the result of ``compute`` on ``items``, a row for each; every process computes its share.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count == 1:
            return compute(items)
        share = self.share(items)
        parts = self.gather(compute(share).cpu() if share else None)
        return torch.cat([part for part in parts if part is not None])

    def require_same(self, value: object, what: str) -> None:
        """Refuse to continue if the processes would compute different things.

        Raises:
            VoicefitError: ``value`` is not equal in all of them; or another process has ended.
        """
        if any(other != value for other in self.gather(value)):
            raise VoicefitError(f"the processes of this run do not see the same {what}; they need the same files")

    def sum(self, values: Tensor) -> Tensor:
        """Sum the ``values`` of all processes element by element, in place, and return them.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count > 1:
            with _others_needed():
                dist.all_reduce(values)
        return values

    def copy_from_rank_zero(self, parameters: Iterable[nn.Parameter]) -> None:
        """Set ``parameters`` to those of rank 0.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count > 1:
            with _others_needed():
                for parameter in parameters:
                    dist.broadcast(parameter.detach(), 0)

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients by their sums over the processes, where any process has one.

        They are summed all at once, after the backward pass. A process may therefore lack some of them, which
        DistributedDataParallel does not allow. A parameter that no process has used keeps no gradient: with one of
        zeros, the optimiser would let it decay.

        Raises:
            VoicefitError: another process has ended.
        """
        if self.count == 1:
            return
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        summed = self.sum(torch.cat([used, *(gradient.flatten() for gradient in own)]))
        used, *gradients = summed.split([len(parameters), *(p.numel() for p in parameters)])
        for parameter, users, gradient in zip(parameters, used.tolist(), gradients, strict=True):
            parameter.grad = gradient.view_as(parameter) if users else None


ALONE = Processes()
"""The processes of a run that has only this one."""


@contextmanager
def joined() -> Iterator[Processes]:
    """Connect the processes that the environment variables of a launcher describe, for the time of the block.

    If several processes fail, one reports its error. The others exit with code 2 and print nothing.

    Yields:
        the processes; :data:`ALONE` without a launcher.

    Raises:
        VoicefitError: they cannot reach each other, or a machine has fewer GPUs than processes.
    """
    if process_count() == 1:
        yield ALONE
        return
    processes, store = _rendezvous()
    try:
        _connect(processes, store)
        yield processes
    except VoicefitError as error:
        if not _is_first_failure(store):
            time.sleep(QUIET_EXIT_DELAY_S)
            raise SystemExit(2) from error
        raise
    dist.destroy_process_group()


def _rendezvous() -> tuple[Processes, Store]:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        processes = Processes(*(int(os.environ[name]) for name in names))
        store, _, _ = next(rendezvous("env://", timeout=_PROCESS_GROUP_TIMEOUT))
    except (KeyError, ValueError, RuntimeError) as error:
        raise VoicefitError(
            f"WORLD_SIZE is set, but the other processes cannot be found ({_in_one_line(error)}); start them with "
            "torchrun or accelerate launch, or unset it"
        ) from error
    return processes, PrefixStore(f"voicefit/{next(_run_numbers)}", store)


def _connect(processes: Processes, store: Store) -> None:
    device = torch.device(processes.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=store,
            rank=processes.rank,
            world_size=processes.count,
            timeout=_PROCESS_GROUP_TIMEOUT,
        )
    except (RuntimeError, ValueError) as error:
        raise VoicefitError(f"the processes of this run cannot reach each other ({_in_one_line(error)})") from error


@contextmanager
def _others_needed() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo raises no class of its own
        raise VoicefitError(
            f"another process of this run has ended or does not answer ({_in_one_line(error)}); "
            "--resume continues from what was saved"
        ) from error


def _is_first_failure(store: Store) -> bool:
    try:
        return store.add("failed", 1) == 1
    except RuntimeError:  # the process that held the store has ended
        return True


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
