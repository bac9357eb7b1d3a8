"""A sweep's work on this machine: the starting points that it lacks, and its trials.

Where every worker has a starting point to make, trials do not wait for the last of them: whoever has none left to make
runs the trials of those that are there. Fewer starting points than workers share all cores, and are made first.
"""

import contextlib
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from voicefit.sweep.engine import Record, Runner, Workplace, group_trials, run_in_workers, run_trials
from voicefit.sweep.plan import TrialSpec
from voicefit.sweep.starts import Place, Workshop, hear_record, made_at_once, make_starts
from voicefit.system.progress import Progress


def run_here(
    trials: Sequence[TrialSpec],
    workshop: Workshop,
    workplace: Workplace,
    workers: int,
    limit: float | None,
    progress: Progress,
) -> Generator[Record]:
    """Make every missing starting point and run every trial; records are as in :func:`run_trials`.

    Args:
        trials: what to run.
        workshop: for the starting points that they lack.
        workplace: for the trials.
        workers: how many; 1 is this process, as in :func:`run_trials`.
        limit: seconds that a trial may take, see :func:`run_trials`; starting points have none.
        progress: told of every step of a starting point.

    Raises:
        VoicefitError: a starting point cannot be made, or worker processes cannot be started.
    """
    if workers == 1 or made_at_once(workshop, workers) < workers:
        make_starts(workshop, progress, workers)
        yield from run_trials(trials, workplace, workers, limit)
        return
    shared = workshop.shared(workers)
    groups: deque[deque[Any]] = shared.groups
    waiting: dict[Place, list[deque[TrialSpec]]] = defaultdict(list)
    for group in group_trials(trials):
        place = (group[0].encoder, group[0].start)
        (waiting[place] if place in shared.keys else groups).append(group)
    with contextlib.closing(run_in_workers(groups, _Grounds(shared, workplace), workers, limit)) as records:
        for task, said in records:
            if isinstance(task, TrialSpec):
                yield task, said
            elif hear_record(shared, task, said, progress):
                groups.extend(waiting[task])


@dataclass(frozen=True)
class _Grounds:
    """All that a worker needs for either."""

    workshop: Workshop
    workplace: Workplace

    @property
    def devices(self) -> Sequence[str]:
        return self.workplace.devices

    def runner(self, device: str) -> "_EitherRunner":
        return _EitherRunner(self.workshop.runner(device), self.workplace.runner(device))


@dataclass(frozen=True)
class _EitherRunner:
    starts: Runner
    trials: Runner

    def run(self, group: Iterable[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
        group = list(group)
        return (self.trials if isinstance(group[0], TrialSpec) else self.starts).run(group)
