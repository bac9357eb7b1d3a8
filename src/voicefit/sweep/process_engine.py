"""A sweep's work on this machine: the starting points that it lacks, and its trials.

Where every worker has a starting point to make, trials do not wait for the last of them: a worker that has none left to
make runs the trials of those that are there. Fewer starting points than workers share all cores, and are made first.
"""

import contextlib
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voicefit.sweep.jobs import Lost, Message, Outcome, Record, Runner
from voicefit.sweep.process_transport import ProcessTransport
from voicefit.sweep.scheduler import Scheduler
from voicefit.sweep.specs import StartId, TrialSpec
from voicefit.sweep.start_jobs import StartJobs, handle_message, make_starts, starts_at_once
from voicefit.sweep.trial_jobs import TrialJob, TrialJobs, first_trial, group_trials, run_trials
from voicefit.system.progress import Progress


def run_jobs(
    trials: Sequence[TrialSpec],
    start_jobs: StartJobs,
    trial_jobs: TrialJobs,
    workers: int,
    trial_timeout: float | None,
    progress: Progress,
    losses: Mapping[TrialSpec, Sequence[str]] | None = None,
) -> Generator[Outcome[TrialSpec]]:
    """Make every missing starting point and run every trial.

    Args:
        trials: what to run.
        start_jobs: the starting points that they lack.
        trial_jobs: what the trials need.
        workers: how many; 1 is this process, as in :func:`voicefit.sweep.trial_jobs.run_trials`.
        trial_timeout: seconds that a trial may take, see there; starting points have no limit.
        progress: called at every step of a starting point.
        losses: trial → what ended the attempts at it that were lost in earlier calls.

    Yields:
        the record of each trial as soon as it is there, and each attempt that was lost with its worker.

    Raises:
        VoicefitError: a starting point cannot be made, or worker processes cannot be started.
    """
    if workers == 1 or starts_at_once(start_jobs, workers) < workers:
        make_starts(start_jobs, progress, workers)
        yield from run_trials(trials, trial_jobs, workers, trial_timeout, losses)
        return
    shared = start_jobs.shared(workers)
    groups: deque[deque[Any]] = deque(shared.groups)
    waiting: dict[StartId, list[deque[TrialJob]]] = defaultdict(list)
    for group in group_trials(trials, trial_jobs.methods, losses or ()):
        start_id = first_trial(group).start_id
        (waiting[start_id] if start_id in shared.keys else groups).append(group)
    transport = ProcessTransport(MixedJobs(shared, trial_jobs))
    scheduler: Scheduler[Any, Any] = Scheduler(groups, transport, workers, trial_timeout, losses)
    with contextlib.closing(scheduler.run()) as messages:
        for message in messages:
            if isinstance(message, tuple):
                yield message
                continue
            if isinstance(message, Record | Lost) and isinstance(message.job, TrialSpec):
                yield message
            elif handle_message(shared, message, progress):
                groups.extend(waiting[message.job])


@dataclass(frozen=True)
class MixedJobs:
    """All that a worker needs for both.

    Attributes:
        starts: what it takes to pre-finetune.
        trials: what trials need.
    """

    starts: StartJobs
    trials: TrialJobs

    @property
    def devices(self) -> Sequence[str]:
        """Where workers run, in turn."""
        return self.trials.devices

    def runner(self, device: str) -> "MixedRunner":
        """Return what runs either kind of jobs on ``device``."""
        return MixedRunner(self.starts.runner(device), self.trials.runner(device))


@dataclass(frozen=True)
class MixedRunner:
    """Runs groups of either kind of jobs.

    Attributes:
        starts: runs starting points.
        trials: runs trials.
    """

    starts: Runner[StartId]
    trials: Runner[TrialSpec]

    def run(self, group: Iterable[Any]) -> Iterator[Message[Any]]:
        """Yield the messages of a group, whose jobs are all of one kind."""
        jobs = list(group)
        return self.starts.run(jobs) if isinstance(jobs[0], StartId) else self.trials.run(jobs)
