"""What a scheduler and its workers pass to each other: jobs in groups, and what comes of them."""

import os
import platform
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

Job = TypeVar("Job", bound=Hashable)
"""A trial or a starting point, by its name (`TrialSpec`, `StartId`)."""


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


Message = Record[Job] | ProgressReport[Job]
"""What a worker sends to the scheduler."""

Event = Message[Job] | Lost[Job]
"""What a scheduler tells of its jobs."""

Outcome = Record[Job] | Lost[Job]
"""How an attempt at a job ended."""


def worker_name(pid: int | None = None) -> str:
    """Return what stores call this process, or another of this machine."""
    return f"{platform.node()}:{os.getpid() if pid is None else pid}"


class Runner(Protocol[Job]):
    """Runs jobs, in a worker or in this process."""

    def run(self, group: Iterable[Job]) -> Iterator[Message[Job]]:
        """Run the jobs of a group in their order.

        Args:
            group: the jobs.

        Yields:
            one record for each job, and before it any number of reports.
        """


class JobSource(Protocol[Job]):
    """All that a worker needs besides its jobs. It is sent to every worker."""

    @property
    def devices(self) -> Sequence[str]:
        """The devices that workers are spread over; several may share one."""

    def runner(self, device: str) -> Runner[Job]:
        """Return what runs the jobs of a worker on ``device``."""
