"""One scheduler for all workers, whatever carries its messages to them: processes of this machine, or Ray.

A worker is given one group of jobs at a time: the trials of one encoder, start, target and speaker, so that it loads
the starting point and pools the speaker's clips once; or one starting point to pre-finetune. A worker that is lost is
replaced, and its job in hand is tried again and has failed the third time. A worker whose trial takes longer than
the limit is killed, and the trial has failed. The rest of a group goes to another worker.

Trials may come in batches, which are run as one. Where a batch is lost with its worker, or takes longer than one trial
may, its trials are tried again one by one: whichever is to blame is found, and the others are recorded.

The shape is that of submitit (https://github.com/facebookincubator/submitit): one interface, and behind it what starts
workers and talks to them.
"""

import contextlib
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from voicefit.sweep.jobs import Batch, Event, Job, Lost, Message, Outcome, ProgressReport, Record, each_record
from voicefit.sweep.specs import TrialSpec

_MOST_LOSSES = 3
"""A job whose worker is lost so often has failed."""


class WorkerLostError(Exception):
    """A worker has ended, and the scheduler has not ended it. The text is the cause."""


class Worker(Protocol):
    """A worker, as its transport shows it to the scheduler."""

    @property
    def is_ready(self) -> bool:
        """Whether the worker can be given jobs."""

    @property
    def name(self) -> str:
        """The worker's name in stores, ``host:pid``."""

    def send(self, group: Sequence[Any]) -> None:
        """Give a group of jobs to a worker that is ready and has none; one that is lost shows it when it is read."""

    def has_message(self) -> bool:
        """Return whether a message waits to be read."""

    def receive(self) -> Message[Any] | None:
        """Read a message; ``None`` where the worker has only become ready.

        Raises:
            WorkerLostError: the worker has ended.
            VoicefitError: no worker could do better.
        """

    def kill(self) -> None:
        """End the worker at once, if it has not ended yet."""


WorkerT = TypeVar("WorkerT", bound=Worker)


class Transport(Protocol[WorkerT]):
    """Starts workers of one kind, and waits for their messages."""

    @property
    def worker_name(self) -> str:
        """What messages to a person call a worker."""

    def start(self, living: Sequence[WorkerT]) -> WorkerT:
        """Start a worker beside those that live.

        Raises:
            VoicefitError: it cannot be started.
        """

    def wait(self, workers: Sequence[WorkerT], timeout: float | None) -> list[WorkerT]:
        """Wait until workers can be read.

        Args:
            workers: all that live.
            timeout: seconds to wait at most; ``None`` is as long as it takes.

        Returns:
            those that have a message, have become ready or are lost; empty at the end of the timeout.

        Raises:
            VoicefitError: no worker will ever be ready.
        """


@dataclass
class _Assignment:
    """The jobs that a worker has left, and when it began the first of them, by the monotonic clock in seconds."""

    jobs: deque[Any] = field(default_factory=deque)
    begun_at: float = 0.0


class Scheduler(Generic[Job, WorkerT]):
    """Runs groups of jobs on workers.

    Args:
        groups: the jobs and batches, which are taken away from the left; more groups may be added while records are
            read.
        transport: starts the workers.
        workers: how many there are at most; there are never more than groups.
        trial_timeout: seconds that a trial may take, with the loading of its starting point and speaker where these
            fall to it, and with the start of its worker; ``None`` is for ever. Starting points have no limit.
        losses: job → what ended the attempts at it that were lost in earlier calls.
    """

    def __init__(
        self,
        groups: deque[deque[Any]],
        transport: Transport[WorkerT],
        workers: int,
        trial_timeout: float | None = None,
        losses: Mapping[Job, Sequence[str]] | None = None,
    ):
        self._groups, self._transport = groups, transport
        self._count, self._trial_timeout = workers, trial_timeout
        self._assignments: dict[WorkerT, _Assignment] = {}
        self._losses: dict[Job, list[str]] = {job: list(causes) for job, causes in (losses or {}).items()}

    def run(self) -> Generator[Event[Job]]:
        """Run all jobs; closing the generator ends the workers.

        Yields:
            each message as soon as it is there, and each attempt that is lost; one record for every job in all.

        Raises:
            VoicefitError: workers cannot be started, or cannot work at all.
        """
        try:
            while self._groups or any(assignment.jobs for assignment in self._assignments.values()):
                self._start_workers()
                self._assign_groups()
                for worker in self._transport.wait(list(self._assignments), self._seconds_to_timeout()):
                    yield from self._receive(worker)
                for worker in self._overdue():
                    yield from self._stop(worker)
        finally:
            for worker in self._assignments:
                worker.kill()

    def outcomes(self) -> Generator[Outcome[Job]]:
        """Run all jobs as :meth:`run` does, and yield the records and the attempts that are lost."""
        with contextlib.closing(self.run()) as events:
            yield from (event for event in events if not isinstance(event, ProgressReport))

    def records(self) -> Generator[Record[Job]]:
        """Run all jobs as :meth:`run` does, and yield the records alone, one by one."""
        with contextlib.closing(self.outcomes()) as outcomes:
            yield from each_record(outcomes)

    def _start_workers(self) -> None:
        """Start as many workers as there is work for."""
        busy = sum(1 for assignment in self._assignments.values() if assignment.jobs)
        while len(self._assignments) < min(self._count, busy + len(self._groups)):
            self._assignments[self._transport.start(list(self._assignments))] = _Assignment()

    def _assign_groups(self) -> None:
        """Give a group to each worker that is ready and has none."""
        for worker, assignment in self._assignments.items():
            if self._groups and worker.is_ready and not assignment.jobs:
                assignment.jobs = self._groups.popleft()
                assignment.begun_at = time.monotonic()
                worker.send(assignment.jobs)

    def _receive(self, worker: WorkerT) -> Iterator[Event[Job]]:
        assignment = self._assignments[worker]
        try:
            message = worker.receive()
        except WorkerLostError as error:
            yield from self._replace(worker, str(error))
            return
        if isinstance(message, Record | tuple):
            assignment.jobs.popleft()
            assignment.begun_at = time.monotonic()
        if message is not None:
            yield message

    def _replace(self, worker: WorkerT, cause: str) -> Iterator[Outcome[Job]]:
        """Remove a lost worker and put its jobs back; give up on the one in hand if it was lost too often.

        A worker without jobs was lost at rest, or before it was ready. That is held against no job.
        """
        jobs, name = self._remove(worker), worker.name
        if jobs:
            suspects = jobs[0].jobs if isinstance(jobs[0], Batch) else (jobs[0],)
            for job in suspects:
                self._losses.setdefault(job, []).append(f"{name}: {cause}")
            losses = self._losses[suspects[0]]
            if len(suspects) > 1 or len(losses) < _MOST_LOSSES:  # a lost worker may be an accident
                yield from (Lost(job, name, cause) for job in suspects)
                _take_apart(jobs)
            else:
                error = f"the {self._transport.worker_name} died {len(losses)} times ({'; '.join(losses)})"
                jobs.popleft()
                yield Record(suspects[0], error=error, worker=name)
        self._put_back(jobs)

    def _seconds_to_timeout(self) -> float | None:
        """Return the seconds until the first trial in hand is overdue."""
        begun_at = [self._assignments[worker].begun_at for worker in self._at_trials()]
        if self._trial_timeout is None or not begun_at:
            return None
        return max(0.0, min(begun_at) + self._trial_timeout - time.monotonic())

    def _overdue(self) -> list[WorkerT]:
        """Return the workers whose trial takes too long; one whose record waits to be read is not among them."""
        if self._trial_timeout is None:
            return []
        latest = time.monotonic() - self._trial_timeout
        late = [worker for worker in self._at_trials() if self._assignments[worker].begun_at <= latest]
        return [worker for worker in late if not worker.has_message()]

    def _at_trials(self) -> list[WorkerT]:
        return [
            worker
            for worker, assignment in self._assignments.items()
            if assignment.jobs and isinstance(assignment.jobs[0], TrialSpec | Batch)
        ]

    def _stop(self, worker: WorkerT) -> Iterator[Record[Job]]:
        """Kill a worker whose trial takes too long, and yield its record; a batch is run again, trial by trial."""
        jobs = self._remove(worker)
        if not _take_apart(jobs):
            error = f"took longer than the limit of {self._trial_timeout:g} s and was stopped"
            yield Record(jobs.popleft(), error=error, worker=worker.name)
        self._put_back(jobs)

    def _remove(self, worker: WorkerT) -> deque[Job]:
        worker.kill()
        return self._assignments.pop(worker).jobs

    def _put_back(self, jobs: deque[Job]) -> None:
        if jobs:
            self._groups.appendleft(jobs)


def _take_apart(jobs: deque[Any]) -> bool:
    """Put the jobs of a batch that is first in its place, and return whether it had more than one."""
    first = jobs[0]
    if not isinstance(first, Batch):
        return False
    jobs.popleft()
    jobs.extendleft(reversed(first.jobs))
    return len(first.jobs) > 1
