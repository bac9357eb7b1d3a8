"""What a scheduler and its workers pass to each other: jobs in groups, and what comes of them."""

import os
import platform
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

Job = TypeVar("Job", bound=Hashable)
"""A trial or a starting point, by its name (`TrialSpec`, `StartId`)."""


@dataclass(frozen=True)
class Batch(Generic[Job]):
    """Jobs that a worker runs as one: a job in a group like any other.

    Attributes:
        jobs: one or more.
    """

    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Record(Generic[Job]):
    """How a job ended.

    Attributes:
        job: the job.
        result: what came of it; empty where it failed.
        error: why it failed; ``None`` where it did not.
        worker: the process that ran it, as ``host:pid``; empty where it is not known.
    """

    job: Job
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    worker: str = ""


@dataclass(frozen=True)
class Lost(Generic[Job]):
    """An attempt at a job that was lost with its worker; the job is tried again.

    Attributes:
        job: the job.
        worker: the worker's name.
        cause: what ended it.
    """

    job: Job
    worker: str
    cause: str


@dataclass(frozen=True)
class ProgressReport(Generic[Job]):
    """How far a job is that has not ended.

    Attributes:
        job: the job.
        steps: what is being done, how much of it is done and how much there is; the latest of each.
    """

    job: Job
    steps: tuple[tuple[str, int, int], ...]


Records = tuple[Record[Job], ...]
"""How the jobs of a batch ended, in their order."""

Message = Record[Job] | Records[Job] | ProgressReport[Job]
"""What a worker sends to the scheduler."""

Outcome = Record[Job] | Records[Job] | Lost[Job]
"""How an attempt at a job ended, or at a batch of them."""

Event = Outcome[Job] | ProgressReport[Job]
"""What a scheduler tells of its jobs."""


def each_record(outcomes: Iterable[Outcome[Job]]) -> Iterator[Record[Job]]:
    """Yield the records of jobs one by one, and no attempt that was lost."""
    for outcome in outcomes:
        if isinstance(outcome, tuple):
            yield from outcome
        elif isinstance(outcome, Record):
            yield outcome


def worker_name(pid: int | None = None) -> str:
    """Return what stores call this process, or another of this machine."""
    return f"{platform.node()}:{os.getpid() if pid is None else pid}"


class Runner(Protocol[Job]):
    """Runs jobs, in a worker or in this process."""

    def run(self, group: Iterable[Any]) -> Iterator[Message[Job]]:
        """Run the jobs of a group in their order.

        Args:
            group: the jobs, and batches of them.

        Yields:
            one record for each job or the records of a batch at once, and before them any number of reports.
        """


class JobSource(Protocol[Job]):
    """All that a worker needs besides its jobs. It is sent to every worker."""

    @property
    def devices(self) -> Sequence[str]:
        """The devices that workers are spread over; several may share one."""

    def runner(self, device: str) -> Runner[Job]:
        """Return what runs the jobs of a worker on ``device``."""
